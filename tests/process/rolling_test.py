#!/usr/bin/env python3
"""Five nodes under load: each in turn restarted, each replaced by another one, and one whose disk is full for a while.

Afterwards nothing acknowledged is lost, nothing overwritten or deleted returns, no dot was given twice, all are equal.
"""

import os
import pathlib
import subprocess
import time
import unittest

import harness
from harness import covey, wait_until
from load import Load, verdict

MIB = 1024 * 1024


class Rolling(harness.ClusterTest):
    def tell(self, load, seconds):
        print(f"    {load.acknowledged()} writes acknowledged, {load.failures()} refused or cut; lost 0, returned 0, dots given "
              f"twice 0; equal {seconds:.1f} s after the nodes had met")

    def test_each_of_five_is_restarted_in_turn(self):
        cluster = self.start_cluster(5)
        with Load(cluster, deletes=5) as load:
            for node in cluster:
                self.assertEqual(node.terminate(), 0, "SIGTERM exits 0")
                node.start()
                cluster.wait_met()
        self.tell(load, verdict(self, cluster, load))

    def test_each_of_five_is_replaced(self):
        """One joins, one leaves, five times: at the end nobody of the first is there."""
        cluster, running = self.start_some(10, 5)
        with Load(cluster, deletes=5) as load:  # clients know all ten and use those that answer
            for joins, leaves in zip(list(cluster)[5:], list(cluster)[:5]):
                running.append(joins.start())
                cluster.wait_met(running)
                told = covey("cluster", "leave", leaves.name, nodes=[joins.address])
                self.assertEqual(told.returncode, 0, told.stderr)
                running.remove(leaves)
                self.assertEqual(leaves.process.wait(60 * harness.SLOWNESS), 0, leaves.log_end())
                leaves.client.close()
                cluster.wait_moved(running)
        self.tell(load, verdict(self, cluster, load, running))
        status = covey("cluster", "status", nodes=[running[0].address]).stdout
        self.assertIn("removed: n1,n2,n3,n4,n5", status)

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small disk needs root")
    def test_one_of_five_has_a_full_disk_for_a_while(self):
        """It takes no writes, the others go on, and it has all of it once there is room again."""
        cluster = self.make_cluster(5, storage={"cache_mb": 8, "write_buffer_mb": 4, "free_space_mb": 48})
        node = cluster["n5"]
        disk = pathlib.Path(cluster.folder) / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "covey-test", str(disk)], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)])
        node.config["data_dir"] = str(disk / "n5")
        cluster.start()
        with Load(cluster, deletes=5) as load:
            time.sleep(0.5)
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
            (disk / "ballast").write_bytes(bytes(free - 32 * MIB))
            wait_until(lambda: node.client.metrics()["covey_writes_refused"] == 1, 20, "writes to be refused")
            before = load.acknowledged()
            wait_until(lambda: load.acknowledged() > before + 100, 30, "writes to go on at the others")
            (disk / "ballast").unlink()
            wait_until(lambda: node.client.metrics()["covey_writes_refused"] == 0, 20, "writes to be taken again")
            time.sleep(0.5)
        self.tell(load, verdict(self, cluster, load))


if __name__ == "__main__":
    harness.main()
