#!/usr/bin/env python3
"""Nodes that were away for so long that the others' logs were cut at their limit: repaired by comparing copies."""

import json

import harness
from load import Load, verdict

LOG_MAX = 32
KEYS = 400
PARTITIONS = 16


class Side:
    """What the nodes that reach each other hold of each key: values, and a context that covers them."""

    def __init__(self, case, node, level, name):
        self.case, self.node, self.level, self.name = case, node, level, name
        self.held, self.contexts, self.count = {}, {}, 0

    def read(self, key):
        answer = self.node.client.get(key, r=self.level)
        self.held[key], self.contexts[key] = set(answer.values), answer.context

    def put(self, key):
        self.count += 1
        value = f"{self.name} {self.count}"
        self.case.assert_answer(self.node.client.put(key, value, context=self.contexts.get(key), w=self.level), 200)
        self.read(key)
        self.case.assertEqual(self.held[key], {value})

    def delete(self, key):
        self.case.assert_answer(self.node.client.delete(key, context=self.contexts[key], w=self.level), 200)
        self.read(key)
        self.case.assertEqual(self.held[key], set())

    def change_much(self, turn):
        """Of five keys one is left alone, one overwritten, one overwritten twice, one overwritten and deleted, one deleted."""
        for i in range(KEYS):
            kind = (i + turn) % 5
            for _ in range((0, 1, 2, 1, 0)[kind]):
                self.put(f"k{i}")
            if kind >= 3:
                self.delete(f"k{i}")
        for i in range(KEYS // 2):
            self.put(f"{self.name}-new{i}")
            if i % 3 == 0:
                self.delete(f"{self.name}-new{i}")


class Absence(harness.ClusterTest):
    def make(self, **settings):
        cluster = self.start_cluster(3, limits={"log_entries": LOG_MAX}, **settings)
        lines = [{"key": f"k{i}", "value": i} for i in range(KEYS)]
        self.assertEqual({line["status"] for line in cluster["n1"].client.batch(lines, w=3).lines}, {200})
        cluster.wait_converged()
        self.wait_logs(cluster, lambda log: log == 0)
        return cluster

    def wait_logs(self, nodes, wanted):
        for node in nodes:
            harness.wait_until(lambda: all(wanted(p["log"]) for p in node.client.cluster()["ring"]), 30, f"{node.name}'s logs")

    def side(self, cluster, name, level):
        side = Side(self, cluster[name], level, name)
        for i in range(KEYS):
            side.read(f"k{i}")
        return side

    def wait_cut(self, nodes):
        self.wait_logs(nodes, lambda log: 0 < log <= LOG_MAX)
        for node in nodes:
            self.assertGreaterEqual(node.client.metrics()["covey_log_cuts_total"], PARTITIONS, node.name)

    def check(self, cluster, sides):
        """Every node holds what no side has replaced, of what it had before, and what each side holds beside."""
        waited = harness.covey("cluster", "await-converged", "--timeout", "30s", nodes=[cluster["n3"].address])
        self.assertEqual(waited.returncode, 0, waited.stderr)
        self.assertEqual(cluster.differences(), [])
        keys = {key for side in sides for key in side.held}
        seen = {"lost": [], "returned": []}
        for key in keys:
            held = [side.held.get(key, set()) for side in sides]
            first = {key[1:]}
            wanted = set.intersection(*held) | set.union(*held) - first
            for node in cluster:
                values = set(node.client.get(key, r=1).values)
                if wanted - values:
                    seen["lost"].append((node.name, key, wanted, values))
                if values - wanted:
                    seen["returned"].append((node.name, key, wanted, values))
        self.assertEqual(seen, {"lost": [], "returned": []})
        report = harness.covey("cluster", "repair", nodes=[cluster["n1"].address])
        self.assertIn(f"{PARTITIONS} partitions: {PARTITIONS} equal", report.stdout)
        for node in cluster:
            self.assertEqual(node.client.metrics()["covey_state_hash_alarms_total"], 0)

    def assert_repaired(self, node):
        """Not by the log: each partition by a comparison that was not a filling."""
        metrics = node.client.metrics()
        self.assertGreaterEqual(metrics["covey_repairs_finished_total"], PARTITIONS)
        self.assertGreater(metrics["covey_repair_objects_received_total"], 0)
        self.assertEqual(metrics["covey_copies_filled_total"], 0)

    def test_stopped_for_a_month(self):
        cluster = self.make()
        node = cluster["n3"]
        self.assertEqual(node.terminate(), 0)
        others = [cluster["n1"], cluster["n2"]]
        cluster.wait_met(others)
        side = self.side(cluster, "n1", 2)
        side.change_much(0)
        self.wait_cut(others)
        with Load(others, keys=50, deletes=5) as load:
            node.start()
            cluster.wait_met()
            report = harness.covey("--output", "json", "cluster", "repair", nodes=[cluster["n1"].address])
            self.assertEqual(report.returncode, 0, report.stdout + report.stderr)
            self.assertEqual(json.loads(report.stdout)["repaired"], {}, "what it lacks by its clock is no damage")
            harness.wait_until(lambda: node.client.metrics()["covey_repairs_finished_total"] >= PARTITIONS, 30, "the repair")
        self.check(cluster, [side])
        self.assert_repaired(node)
        verdict(self, cluster, load)

    def test_cut_off_for_a_month_with_writes_of_its_own(self):
        cluster = self.make(proxied=True)
        cluster.part(["n3"], ["n1", "n2"])
        sides = [self.side(cluster, "n1", 2), self.side(cluster, "n3", 1)]
        for turn, side in enumerate(sides):
            side.change_much(turn)
        self.wait_cut(cluster)
        cluster.heal()
        cluster.wait_met()
        self.check(cluster, sides)
        self.assert_repaired(cluster["n3"])
        self.assertGreater(sum(cluster[name].client.metrics()["covey_repairs_finished_total"] for name in ("n1", "n2")), 0)


if __name__ == "__main__":
    harness.main()
