#!/usr/bin/env python3
"""Directories that were copied, put back or rolled back, also below nodes that run: no dot is given twice, nothing is lost.
And nodes whose addresses change."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

import harness
from load import Load, verdict


class IdentityTest(harness.ClusterTest):
    def setUp(self):
        self.given = {}  # (partition, dot) -> key and value

    def put(self, node, count, prefix="k", w=1):
        """Writes `count` keys at the node itself; returns the actors of their dots."""
        actors = set()
        for i in range(count):
            key, value = f"{prefix}{i}", f"{node.name} {time.monotonic_ns()}"
            answer = self.assert_answer(node.client.put(key, value, w=w), 200)
            place = (node.client.explain(key)["partition"], answer.json["dot"])
            self.assertNotIn(place, self.given, "a dot was given twice")
            self.given[place] = (key, value)
            actors.add(answer.json["dot"].split(":")[0])
        return actors

    def assert_all_there(self, cluster):
        """Nobody has read, so every value stands beside the others."""
        cluster.wait_met()
        cluster.wait_filled()
        cluster.wait_converged(60)
        for node in cluster:
            seen = {}
            for key, value in self.given.values():
                if key not in seen:
                    seen[key] = node.client.get(key, r=1).values
                self.assertIn(value, seen[key], f"{key} at {node.name}")
            self.assertEqual(node.client.metrics()["covey_state_hash_alarms_total"], 0)


class Copies(IdentityTest):
    def test_a_copy_begins_a_new_life(self):
        cluster = self.start_cluster(3)
        node = cluster["n3"]
        first = self.put(node, 40)
        self.assertEqual(node.terminate(), 0)
        shutil.copytree(node.data_dir, cluster.folder / "copy")
        shutil.rmtree(node.data_dir)
        (cluster.folder / "copy").rename(node.data_dir)
        node.start()
        cluster.wait_met()
        self.assertFalse(self.put(node, 40) & first, "a copy may be of any moment")
        self.assert_all_there(cluster)

    def test_an_old_copy_is_put_back(self):
        """What it has given out since is known to the others alone."""
        cluster = self.start_cluster(3)
        node = cluster["n3"]
        self.put(node, 40)
        self.assertEqual(node.terminate(), 0)
        shutil.copytree(node.data_dir, cluster.folder / "copy")
        node.start()
        cluster.wait_met()
        since = self.put(node, 40, w=3)
        self.assertEqual(node.terminate(), 0)
        shutil.rmtree(node.data_dir)
        (cluster.folder / "copy").rename(node.data_dir)
        node.start()
        cluster.wait_met()
        self.assertFalse(self.put(node, 40) & since)
        self.assert_all_there(cluster)

    def test_two_nodes_on_copies_of_one_directory(self):
        """Both are the same node to the others, who let one of them in. Both take writes; what both took is there when the
        second one is let in after the first one's end."""
        cluster = self.start_cluster(3)
        node = cluster["n1"]
        self.put(node, 20)
        self.assertEqual(node.terminate(), 0)
        config = {**node.config, "data_dir": str(cluster.folder / "twin"), "listen": {
            "http": f"127.0.0.1:{harness.free_port()}", "peer": f"127.0.0.1:{harness.free_port()}"}}
        shutil.copytree(node.data_dir, config["data_dir"])
        (cluster.folder / "twin-config").mkdir()
        twin = harness.Node(cluster.folder / "twin-config", "n1", config)
        self.addCleanup(twin.stop)
        node.start()
        cluster.wait_met()
        twin.start()
        harness.wait_until(lambda: "another process uses the node id" in twin.log.read_text(), 20, "the twin to be refused")
        firsts = self.put(node, 20)
        self.assertFalse(self.put(twin, 20) & firsts, "they are different lives")
        self.assertEqual(node.terminate(), 0)
        cluster.nodes["n1"] = twin
        self.assert_all_there(cluster)
        self.put(twin, 20)
        self.assert_all_there(cluster)

    @unittest.skipUnless(os.geteuid() == 0, "mounting an image needs root")
    def test_a_machine_is_rolled_back_to_a_snapshot(self):
        """Device, inodes and times are as they were: only the others know that its past is longer."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="covey-image."))
        self.addCleanup(shutil.rmtree, folder, True)
        image, mounted_at = folder / "disk.img", folder / "disk"
        mounted_at.mkdir()
        with open(image, "wb") as file:
            file.truncate(192 * 1024 * 1024)
        paths = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

        def tool(name, *args):
            found = shutil.which(name, path=paths)
            done = found and subprocess.run([found, *args], capture_output=True, text=True)
            return done if done and done.returncode == 0 else None
        # One device for the whole test: another one has another number, which the directory would show.
        attached = tool("mkfs.ext4", "-q", "-F", str(image)) and tool("losetup", "--find", "--show", str(image))
        if not attached:
            self.skipTest("an image can't be mounted here")
        device = attached.stdout.strip()
        self.addCleanup(tool, "losetup", "--detach", device)
        if not tool("mount", device, str(mounted_at)):
            self.skipTest("an image can't be mounted here")
        self.addCleanup(tool, "umount", "-l", str(mounted_at))
        cluster = self.make_cluster(3)
        node = cluster["n3"]
        node.config["data_dir"] = str(mounted_at / "n3")
        cluster.start()
        self.put(node, 40)
        self.assertEqual(node.terminate(), 0)
        self.assertTrue(tool("umount", str(mounted_at)))
        shutil.copyfile(device, folder / "snapshot.img")
        self.assertTrue(tool("mount", device, str(mounted_at)))
        node.start()
        cluster.wait_met()
        since = self.put(node, 40, w=3)
        self.assertEqual(node.terminate(), 0)
        self.assertTrue(tool("umount", str(mounted_at)))
        shutil.copyfile(folder / "snapshot.img", device)
        self.assertTrue(tool("mount", device, str(mounted_at)))
        node.start()
        self.assertIn("fresh=false clean=true restored=false", node.log.read_text().rsplit("data directory opened", 1)[1])
        cluster.wait_met()
        self.assertFalse(self.put(node, 40) & since, "a new life, though nothing in the directory says so")
        self.assert_all_there(cluster)


class Addresses(IdentityTest):
    def test_nodes_come_back_at_other_addresses(self):
        """First one, under load; then the two others together, whose old addresses are the only seeds."""
        cluster = self.start_cluster(3)
        for node in cluster:
            node.config["cluster"]["seeds"] = node.config["cluster"]["seeds"][:2]

        def move(node):
            self.assertEqual(node.terminate(), 0)
            node.config["listen"] = {"http": f"127.0.0.1:{harness.free_port()}", "peer": f"127.0.0.1:{harness.free_port()}"}
            moved = harness.Node(cluster.folder, node.name, node.config)
            cluster.nodes[node.name] = moved
            return moved
        with Load(list(cluster)[:2]) as load:
            time.sleep(0.5)
            move(cluster["n3"]).start()
            cluster.wait_met()
            time.sleep(0.5)
        verdict(self, cluster, load)
        for node in [move(cluster["n1"]), move(cluster["n2"])]:
            node.start()
        cluster.wait_met(limit_s=30)  # n3, whom both know, tells them of each other
        for node in cluster:
            told = {m["node"]: m["http"] for m in node.client.cluster()["members"]}
            self.assertEqual(told, {one.name: one.address for one in cluster})
        self.put(cluster["n1"], 20, w=3)
        self.assert_all_there(cluster)


if __name__ == "__main__":
    harness.main()
