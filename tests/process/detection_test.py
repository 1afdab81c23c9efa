#!/usr/bin/env python3
"""Who is alive: what the nodes of a real cluster find out together, and show."""

import time

import harness

WITHIN_S = 3.0  # a dead node is known to all


class Detection(harness.ClusterTest):
    def members(self, node):
        return {m["node"]: m for m in node.client.cluster()["members"]}

    def held_by_all(self, cluster, name, health):
        return all(self.members(node)[name]["health"] == health for node in cluster if node.name != name and node.alive())

    def seconds_until(self, cluster, name, health):
        began = time.monotonic()
        harness.wait_until(lambda: self.held_by_all(cluster, name, health), 30, f"{name} to be {health} for all")
        return time.monotonic() - began

    def settle(self, cluster):
        for node in cluster:
            self.seconds_until(cluster, node.name, "alive")

    def test_a_killed_node_is_dead_for_all_others_and_comes_back(self):
        cluster = self.start_cluster(5)
        self.settle(cluster)
        for victim in ("n2", "n4", "n1"):  # again only if the machine was busy
            before = self.members(cluster["n3"])[victim]["incarnation"]
            cluster[victim].kill9()
            seconds = self.seconds_until(cluster, victim, "dead")
            print(f"    {victim} was known to be dead by all others {seconds:.2f} s after its kill -9")
            seen = self.members(cluster["n3"])[victim]
            self.assertEqual((seen["state"], seen["reachable"]), ("dead", False))
            self.assertLess(seen["health_ms"], 30_000)
            shown = harness.covey("cluster", "status", nodes=[cluster["n3"].address])
            self.assertRegex(shown.stdout, rf"{victim} +dead ")
            cluster[victim].start()
            self.seconds_until(cluster, victim, "alive")
            self.assertGreater(self.members(cluster["n3"])[victim]["incarnation"], before)
            if seconds <= WITHIN_S:
                return
        self.fail(f"a dead node was never known to all within {WITHIN_S} s")

    def test_a_stopped_node_refutes_its_death_when_it_goes_on(self):
        cluster = self.start_cluster(3)
        self.settle(cluster)
        before = self.members(cluster["n1"])["n3"]["incarnation"]
        cluster["n3"].pause()
        try:
            seconds = self.seconds_until(cluster, "n3", "dead")
            print(f"    n3 was known to be dead by all others {seconds:.2f} s after it stopped")
            metrics = cluster["n1"].client.metrics()
            self.assertGreaterEqual(metrics["covey_member_deaths_total"], 1)
            self.assertGreaterEqual(metrics["covey_suspicions_total"], 1)
            refused = cluster["n1"].client.put("k", "v", w="all", sloppy=False)
            self.assert_answer(refused, 503, "unavailable")
            self.assertEqual(refused.error["owners"], {"n3": "dead"})
        finally:
            cluster["n3"].resume()
        self.seconds_until(cluster, "n3", "alive")
        self.assertGreater(self.members(cluster["n1"])["n3"]["incarnation"], before)
        self.assertGreaterEqual(cluster["n3"].client.metrics()["covey_refutations_total"], 1)
        harness.wait_until(lambda: cluster["n1"].client.put("k", "v", w="all", sloppy=False).status == 200, 20,
                           "all three to answer")

    def test_idle_nodes_say_little(self):
        cluster = self.start_cluster(3)
        self.settle(cluster)
        time.sleep(1)
        begun, before = time.monotonic(), cluster["n1"].client.metrics()
        time.sleep(3)
        seconds, after = time.monotonic() - begun, cluster["n1"].client.metrics()
        probes = (after["covey_probes_total"] - before["covey_probes_total"]) / seconds
        print(f"    {probes:.1f} probes a second, "
              f"{(after['covey_peer_sent_bytes_total'] - before['covey_peer_sent_bytes_total']) / seconds:.0f} bytes of all kinds")
        self.assertGreater(probes, 1)
        self.assertLess(probes, 4)
        for node in cluster:
            for health in self.members(node).values():
                self.assertEqual(health["health"], "alive")


if __name__ == "__main__":
    harness.main()
