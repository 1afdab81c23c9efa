#!/usr/bin/env python3
"""covey cluster repair and await-converged on real nodes, and nodes whose files are damaged while clients write."""

import json
import re
import shutil
import time

import harness
from load import Load


class Repair(harness.ClusterTest):
    def repair(self, node, *arguments, code=0):
        done = harness.covey("--output", "json", "cluster", "repair", *arguments, nodes=[node.address])
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_equal_copies_are_found_equal(self):
        cluster = self.start_cluster(4)
        lines = [{"key": f"k{i}", "value": i} for i in range(500)]
        cluster["n1"].client.batch(lines, w=3)
        cluster.wait_converged()
        report = self.repair(cluster["n2"])
        self.assertEqual(report["states"], {"equal": 16})
        self.assertEqual(sum(p["objects"] for p in report["partitions"]), 500)
        self.assertEqual(report["repaired"], {})
        # Each pair of a partition's three keepers once, and the keeper that is left reads its own copy.
        checks = [c for node in cluster for c in node.client.call("GET", "/v1/cluster/repair").json["checks"]]
        pairs = [c for c in checks if c["with"]]
        self.assertEqual(len(pairs), 16 * 3)
        text = harness.covey("cluster", "repair", nodes=[cluster["n1"].address])
        self.assertIn("16 partitions: 16 equal", text.stdout)

    def test_under_load_nothing_is_lost_or_comes_back(self):
        cluster = self.start_cluster(3)
        with Load(cluster, keys=200) as load:
            time.sleep(0.5)
            for i in range(3):
                report = self.repair(cluster[f"n{i + 1}"])
                self.assertNotIn("failed", report["states"])
                self.assertEqual(report["repaired"], {}, "what is being written is no damage")
        self.assertEqual(load.faults(), [])
        cluster.wait_converged()
        for node in cluster:
            self.assertEqual(load.lost(node.client, 1), [])
            self.assertEqual(node.client.metrics()["covey_state_hash_alarms_total"], 0)

    def test_a_node_that_is_away_is_told(self):
        cluster = self.start_cluster(3)
        cluster["n1"].client.put("a", "1", w=3)
        cluster["n3"].kill9()
        harness.wait_until(lambda: not cluster.reaches(cluster["n1"])["n3"], 20, "n3 to be missed")
        report = self.repair(cluster["n1"], code=1)
        self.assertEqual(report["states"], {"failed": 16})
        self.assertIn("n3 does not answer", report["partitions"][0]["reason"])

    def test_what_is_refused(self):
        cluster = self.start_cluster(1, replicas=1)
        client = cluster["n1"].client
        for body in ("[]", "{", '{"except": "n1"}', '{"except": [1]}', '{"other": []}'):
            self.assert_answer(client.call("POST", "/v1/cluster/repair", body), 400, "bad_request")
        self.assert_answer(client.call("DELETE", "/v1/cluster/repair"), 405, "method_not_allowed")
        self.assertEqual(client.call("GET", "/v1/cluster/repair").json["checks"], [])
        self.assertEqual(client.call("POST", "/v1/cluster/repair").status, 202)

    def test_await_converged_tells_what_is_outstanding(self):
        cluster = self.start_cluster(3, proxied=True)
        cluster.part(["n1"], ["n2", "n3"])
        for i in range(50):
            self.assert_answer(cluster["n2"].client.put(f"k{i}", "x" * 100, w=2), 200)
        cluster["n1"].client.put("own", "1", w=1)
        waited = harness.covey("cluster", "await-converged", "--timeout", "1500ms", nodes=[cluster["n1"].address])
        self.assertEqual(waited.returncode, 4, waited.stdout + waited.stderr)
        # n1 lacks 50 updates, and each of the others one.
        self.assertRegex(waited.stderr, r"; 52 updates \(about .*\) are outstanding; how long that takes is not known, "
                                        r"as they do not become fewer")
        cluster.heal()
        waited = harness.covey("cluster", "await-converged", nodes=[cluster["n1"].address])
        self.assertEqual(waited.returncode, 0, waited.stderr)
        cluster["n3"].kill9()
        waited = harness.covey("cluster", "await-converged", "--timeout", "500ms", nodes=[cluster["n1"].address])
        self.assertEqual(waited.returncode, 4)
        self.assertRegex(waited.stderr, r"n3 can't be asked: 127.0.0.1:\d+: .*; how much is outstanding is not known, as not all "
                                        r"replicas can be asked")


class Estimate(harness.ClusterTest):
    def check(self, lose):
        """What is said of the time left is not far from what it then takes, at a pace that is given."""
        cluster = self.start_cluster(3, threads=2, cluster={"partitions": 4},
                                     limits={"log_entries": 32, "transfer_bytes_per_second": 1 << 20})
        value = "x" * 4000
        for turn in range(2):
            for start in range(0, 2000, 500):
                lines = [{"key": f"k{i}", "value": f"{turn}{value}"} for i in range(start, start + 500)]
                self.assertEqual({line["status"] for line in cluster["n1"].client.batch(lines, w=2).lines}, {200})
            if turn == 0:
                cluster.wait_converged()
                self.assertEqual(cluster["n3"].terminate(), 0)
                cluster.wait_met([cluster["n1"], cluster["n2"]])
        if lose:
            shutil.rmtree(cluster["n3"].data_dir)
        harness.wait_until(lambda: all(0 < p["log"] <= 32 for p in cluster["n1"].client.cluster()["ring"]), 30, "the logs to be cut")
        cluster["n3"].start()
        waited = harness.covey("cluster", "await-converged", "--timeout", "4s", nodes=[cluster["n1"].address])
        self.assertEqual(waited.returncode, 4, waited.stdout + waited.stderr)
        told = re.search(r"; (\d+) updates \(about .*\) are outstanding, which takes about (\d+) (m?s) at the present rate", waited.stderr)
        self.assertTrue(told, waited.stderr)
        seconds = int(told[2]) / (1000 if told[3] == "ms" else 1)
        begin = time.monotonic()
        waited = harness.covey("cluster", "await-converged", "--timeout", "2m", nodes=[cluster["n1"].address], timeout=150)
        self.assertEqual(waited.returncode, 0, waited.stderr)
        took = time.monotonic() - begin
        print(f"    told {seconds} s, took {took:.1f} s")
        self.assertTrue(seconds / 5 - 2 < took < seconds * 5 + 2, "the order of magnitude")

    def test_of_a_copy_that_is_filled(self):
        self.check(lose=True)

    def test_of_a_copy_that_is_repaired(self):
        self.check(lose=False)


class Damage(harness.ClusterTest):
    """Files with flipped bytes, found while clients write: set aside, filled again, nothing acknowledged lost."""

    def flip(self, node, pattern, place):
        files = sorted(node.data_dir.glob("db/" + pattern), key=lambda path: path.stat().st_size)
        self.assertTrue(files, pattern)
        with open(files[-1], "r+b") as file:
            written = len(file.read().rstrip(b"\0"))  # a log of a killed node ends with room for more
            at = int((written - 16) * place)
            file.seek(at)
            old = file.read(16)
            file.seek(at)
            file.write(bytes(byte ^ 0x55 for byte in old))

    def damaged_while_down(self, pattern, place):
        cluster = self.start_cluster(3, storage={"cache_mb": 8, "object_cache_mb": 0, "write_buffer_mb": 4})
        node = cluster["n3"]
        cluster["n1"].client.batch([{"key": f"k{i}", "value": "x" * 3000} for i in range(1000)], w=3)
        cluster["n1"].client.batch([{"key": f"m{i}", "value": "x" * 3000} for i in range(1000)], w=3)
        with Load(cluster) as load:
            time.sleep(0.5)
            node.kill9()
            self.flip(node, pattern, place)
            node.start()
            cluster.wait_met()
            harness.wait_until(lambda: (node.data_dir / "db-damaged-1").exists(), 30, "the damage to be met")
            cluster.wait_filled(60)
            time.sleep(0.3)
        self.assertIn("storage is damaged", node.log.read_text())
        self.assertEqual(load.faults(), [])
        cluster.wait_converged(60)
        for one in cluster:
            self.assertEqual(load.lost(one.client, 1), [], one.name)
            self.assertEqual(one.client.metrics()["covey_state_hash_alarms_total"], 0)
        self.assertEqual(load.reused_dots(lambda key: cluster["n1"].client.explain(key)["partition"]), [])
        done = harness.covey("--output", "json", "cluster", "repair", nodes=[node.address])
        self.assertEqual(json.loads(done.stdout)["states"], {"equal": 16}, done.stdout)

    def test_log(self):
        self.damaged_while_down("*.log", 0.5)

    def test_manifest(self):
        self.damaged_while_down("MANIFEST-*", 0.5)

    def test_table(self):
        """The end of a table, which every opening reads."""
        self.damaged_while_down("*.sst", 1)


if __name__ == "__main__":
    harness.main()
