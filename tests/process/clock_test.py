#!/usr/bin/env python3
"""Wall clocks that jump by hours and by a month, forward and back: what must not notice, and what is told."""

import time
import unittest

import harness
import preloaded

HOUR = 3600
MONTH = 30 * 24 * HOUR


@unittest.skipUnless(preloaded.LIBRARY, "sanitizers refuse preloaded libraries")
class Clocks(harness.ClusterTest):
    def make(self, **settings):
        cluster = self.make_cluster(3, **{**harness.PATIENT, **settings})
        preloaded.prepare(cluster)
        return cluster.start()

    def jumps_are_not_noticed(self, **settings):
        """By failure detection, by what waits for syncs, by clients' connections."""
        cluster = self.make(**settings)
        clients = {node.name: node.new_client() for node in cluster}
        for client in clients.values():
            client.put("begin", "x", w=3)
        sockets = {name: client.connection.sock for name, client in clients.items()}

        def health():
            return {(node.name, m["node"]): (m["state"], m["incarnation"]) for node in cluster for m in node.client.cluster()["members"]}
        before = health()
        self.assertEqual({state for state, _ in before.values()}, {"alive"})
        slowest = count = 0
        for seconds in (HOUR, -HOUR, 7 * HOUR, MONTH, -MONTH, 0):
            syncs = cluster["n2"].client.metrics()["covey_store_syncs_total"]
            preloaded.set_clock(cluster["n2"], seconds)
            end = time.monotonic() + 2
            while time.monotonic() < end:
                for name, client in clients.items():
                    begin = time.monotonic()
                    count += 1
                    self.assert_answer(client.put(f"k{count}", "x", w=3), 200)
                    slowest = max(slowest, time.monotonic() - begin)
            self.assertEqual(health(), before, f"{seconds} s")
            self.assertGreater(cluster["n2"].client.metrics()["covey_store_syncs_total"], syncs)
        for name, client in clients.items():
            self.assertIs(client.connection.sock, sockets[name], "the connection was kept")
            client.close()
        cluster.wait_converged()
        print(f"    the slowest of all writes took {slowest * 1000:.0f} ms")

    def test_jumps_with_syncs_that_writes_wait_for(self):
        self.jumps_are_not_noticed()

    def test_jumps_with_syncs_at_intervals(self):
        self.jumps_are_not_noticed(durability={"mode": "interval", "interval_ms": 200})

    def test_a_wrong_clock_is_told(self):
        cluster = self.make()
        for seconds, word in ((MONTH, "ahead of"), (-MONTH, "behind")):
            preloaded.set_clock(cluster["n3"], seconds)
            for name in ("n1", "n2"):
                node = cluster[name]
                harness.wait_until(lambda: abs(node.client.metrics()["covey_clock_difference_milliseconds"] - MONTH * 1000) < 60_000, 10, "the metric")
                harness.wait_until(lambda: f"the clock of n3 is 30 days {word}" in node.log.read_text(), 20, f"the log of {name}")
                status = harness.covey("cluster", "status", nodes=[node.address]).stdout
                self.assertIn(f"the clock of n3 is 30 days {word} that of {name}", status)
            preloaded.set_clock(cluster["n3"], 0)
            for node in cluster:
                harness.wait_until(lambda: node.client.metrics()["covey_clock_difference_milliseconds"] < 60_000, 10, "the metric")
        self.assertNotIn("the clock of", harness.covey("cluster", "status", nodes=[cluster["n1"].address]).stdout)

    def test_what_has_not_expired_is_not_deleted_by_a_clock_a_month_ahead(self):
        cluster = self.make()
        one = cluster["n1"].client
        for i in range(50):
            self.assert_answer(one.put(f"hour{i}", "x", w=3, ttl_ms=HOUR * 1000), 200)
        preloaded.set_clock(cluster["n3"], MONTH)
        for i in range(50):
            self.assert_answer(one.put(f"second{i}", "x", w=3, ttl_ms=1000), 200)
        self.assertEqual(cluster["n3"].client.get("hour0", r=1).status, 404, "its clock says that it is over")
        # Also a node that starts with such a clock.
        cluster["n3"].kill9()
        cluster["n3"].start()
        cluster.wait_met()

        def objects(node):
            return sum(p["objects"] for p in node.client.cluster()["ring"])
        for node in cluster:
            harness.wait_until(lambda: objects(node) == 50, 30, "the others to delete what has expired")
        time.sleep(8)
        for node in cluster:
            self.assertEqual(objects(node), 50)
        preloaded.set_clock(cluster["n3"], 0)
        for node in cluster:
            for i in range(50):
                self.assertEqual(node.client.get(f"hour{i}", r=1).status, 200)
        # One that is a month behind keeps nothing of what has expired.
        preloaded.set_clock(cluster["n3"], -MONTH)
        for i in range(50):
            self.assert_answer(one.put(f"second{i}", "x", w=3, ttl_ms=1000), 200)
        for node in cluster:
            harness.wait_until(lambda: objects(node) == 50, 30, "the others to delete what has expired")

    def test_the_last_write_of_a_clock_a_month_ahead_wins_until_somebody_writes_who_has_seen_it(self):
        cluster = self.make(proxied=True, tables=[{"name": "latest", "conflicts": "lww"}])

        def everywhere(key, value):
            for node in cluster:
                self.assertEqual(node.client.get(key, table="latest", r=1).values, [value], node.name)
        for seconds in (MONTH, -MONTH):
            key = f"key{seconds}"
            preloaded.set_clock(cluster["n3"], seconds)
            cluster.part(["n3"], ["n1", "n2"])
            self.assert_answer(cluster["n3"].client.put(key, "wrong clock", table="latest", w=1), 200)
            self.assert_answer(cluster["n1"].client.put(key, "right clock", table="latest", w=2), 200)
            cluster.heal()
            cluster.wait_met()
            cluster.wait_converged()
            everywhere(key, "wrong clock" if seconds > 0 else "right clock")
            for name in ("n1", "n3", "n2"):
                self.assert_answer(cluster[name].client.put(key, f"then {name}", table="latest", w=3), 200)
                everywhere(key, f"then {name}")
            # Other keys are not concerned: what others heard of that clock does not lead theirs.
            preloaded.set_clock(cluster["n3"], 0)
            for name in ("n3", "n1"):
                self.assert_answer(cluster[name].client.put(f"other{seconds}", name, table="latest", w=3), 200)
                everywhere(f"other{seconds}", name)


if __name__ == "__main__":
    harness.main()
