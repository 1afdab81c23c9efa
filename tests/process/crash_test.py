#!/usr/bin/env python3
"""Nodes that are killed, paused, restarted and closed while clients write: what was acknowledged is there."""

import random
import signal
import threading
import time

import harness
from load import ENOUGH, Load

KILLS = 12
RESTART_LIMIT_S = 10.0


class Crash(harness.ClusterTest):
    def assert_nothing_lost(self, cluster, load):
        self.assertGreater(load.acknowledged(), ENOUGH, "the load wrote something")
        self.assertEqual(load.faults(), [], "a read during the run lacked an acknowledged write")
        cluster.wait_met()
        cluster.wait_converged(60)
        for node in cluster:
            self.assertEqual(load.lost(node.client, 1), [], f"acknowledged writes are at {node.name}")
        partitions = {}

        def partition(key):
            if key not in partitions:
                partitions[key] = cluster["n1"].client.explain(key)["partition"]
            return partitions[key]
        self.assertEqual(load.reused_dots(partition), [], "a dot was given twice")
        for node in cluster:
            self.assertEqual(node.client.metrics()["covey_state_hash_alarms_total"], 0)

    def test_kill_9_of_any_node_under_load(self):
        cluster = self.start_cluster(3)
        order = random.Random(7)
        slowest = 0.0
        with Load(cluster) as load:
            for _ in range(KILLS):
                time.sleep(order.uniform(0.1, 0.5))
                node = cluster[order.choice(["n1", "n2", "n3"])]
                node.kill9()
                time.sleep(order.uniform(0.0, 0.8))
                start = time.monotonic()
                node.start()
                slowest = max(slowest, time.monotonic() - start)
        print(f"    {KILLS} kills, {load.acknowledged()} writes acknowledged, {load.failures()} refused or cut, "
              f"slowest restart {slowest:.2f} s")
        self.assertLess(slowest, RESTART_LIMIT_S * harness.SLOWNESS)
        self.assert_nothing_lost(cluster, load)

    def test_kill_9_of_all_nodes_at_once(self):
        cluster = self.start_cluster(3)
        for _ in range(3):
            with Load(cluster) as load:
                time.sleep(1.5)
                load.wait_written()
                for node in cluster:
                    node.process.kill()
            for node in cluster:
                node.kill9()
            for node in cluster:
                node.start(wait=False)
            for node in cluster:
                node.wait_ready()
            self.assert_nothing_lost(cluster, load)

    def test_rolling_restart_closes_in_order(self):
        cluster = self.start_cluster(3)
        with Load(cluster) as load:
            for node in cluster:
                time.sleep(0.5)
                self.assertEqual(node.terminate(), 0, "SIGTERM exits 0")
                node.start()
                cluster.wait_met()
        print(f"    {load.acknowledged()} writes acknowledged, {load.failures()} refused or cut")
        self.assert_nothing_lost(cluster, load)

    def test_sigterm_lets_requests_end(self):
        """What was begun before the signal is answered; connections that rest are closed."""
        cluster = self.start_cluster(3)
        node = cluster["n2"]
        cluster["n1"].pause()  # so that a write at W = all has to wait
        answers = []

        def write():
            answers.append(node.new_client().put("slow", "value", w=3, sloppy=False, timeout_ms=1500))
        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(0.5)
        node.process.terminate()
        writer.join(15)
        self.assertEqual(len(answers), 1, "the request in flight was answered")
        self.assertIn(answers[0].status, (503, 504))
        self.assertEqual(node.process.wait(20), 0)
        cluster["n1"].resume()

    def test_node_paused_for_longer_than_every_timeout(self):
        cluster = self.start_cluster(3)
        with Load(list(cluster)[1:]) as load:
            time.sleep(0.5)
            before = load.acknowledged()
            cluster["n1"].pause()
            harness.wait_until(lambda: not cluster.reaches(cluster["n2"])["n1"], 20, "n1 to be missed")
            time.sleep(4)
            cluster["n1"].resume()
            self.assertGreater(load.acknowledged(), before + 20, "writes went on without it")
            cluster.wait_met()
            time.sleep(0.5)
        self.assert_nothing_lost(cluster, load)

    def test_one_of_two_is_wiped_again_and_again(self):
        """Each time its incarnation begins anew, and there is no third node to tell the two of each other."""
        cluster = self.start_cluster(2, replicas=2)
        for i in range(200):
            self.assertEqual(cluster["n1"].client.put(f"key{i}", "value", w=2).status, 200)
        node = cluster["n2"]
        for _ in range(3):
            self.assertEqual(node.terminate(), 0)
            node.start()
            self.assertEqual(node.terminate(), 0)
            harness.shutil.rmtree(node.data_dir)
            node.start()
            cluster.wait_met()
            cluster.wait_filled()
            cluster.wait_converged()
            self.assertEqual(node.client.get("key7", r=1, sloppy=False).values, ["value"])

    def test_wiped_node_is_filled_again(self):
        cluster = self.start_cluster(3)
        with Load(cluster) as load:
            time.sleep(1)
        cluster.wait_converged()
        node = cluster["n3"]
        self.assertEqual(node.terminate(), 0)
        harness.shutil.rmtree(node.data_dir)
        with Load(list(cluster)[:2]) as more:
            harness.wait_until(lambda: more.acknowledged() > 200, what="the load")
        node.start()
        self.assert_nothing_lost(cluster, more)
        cluster.wait_filled()
        self.assertEqual(sum(p["ready"] for p in node.client.cluster()["ring"]), 16, "it is a full replica again")

    def test_disk_lost_under_load(self):
        """A node that forgot everything, while clients write, takes a new actor: no dot is given twice."""
        cluster = self.start_cluster(3)
        for name in ("n1", "n2"):
            node = cluster[name]
            with Load(cluster) as load:
                time.sleep(0.7)
                node.kill9()
                harness.shutil.rmtree(node.data_dir)
                node.start()
                cluster.wait_met()
                harness.wait_until(lambda: all(p["ready"] for p in node.client.cluster()["ring"]), 30,
                                   f"{name} to be filled")
                time.sleep(0.5)
            self.assert_nothing_lost(cluster, load)

    def test_sigint_ends_it_too(self):
        cluster = self.start_cluster(1, replicas=1)
        cluster["n1"].client.put("a", "1")
        cluster["n1"].client.close()
        cluster["n1"].signal(signal.SIGINT)
        self.assertEqual(cluster["n1"].process.wait(20), 0)
        self.assertEqual(cluster["n1"].start().client.get("a").values, ["1"])


if __name__ == "__main__":
    harness.main()
