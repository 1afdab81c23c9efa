#!/usr/bin/env python3
"""Data directories: full, in use, of somebody else, damaged."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

import harness

MIB = 1024 * 1024


class Directory(harness.ClusterTest):
    def refused(self, config, folder):
        """Starts a node that must not start; returns what it said."""
        file = pathlib.Path(folder) / "refused.json"
        file.write_text(json.dumps(config))
        ended = subprocess.run([harness.COVEYD, "--config", str(file)], capture_output=True, text=True,
                               timeout=20 * harness.SLOWNESS)
        self.assertNotEqual(ended.returncode, 0)
        self.assertNotIn("ready:", ended.stdout)
        return ended.stderr + ended.stdout

    def changed(self, original, **changes):
        config = json.loads(json.dumps(original.config))
        config["listen"] = {"http": "127.0.0.1:0", "peer": "127.0.0.1:0"}
        for key, value in changes.items():
            config[key] = {**config[key], **value} if isinstance(value, dict) else value
        return config

    def test_two_processes_on_one_directory(self):
        cluster = self.start_cluster(1, replicas=1)
        node = cluster["n1"]
        said = self.refused(self.changed(node), cluster.folder)
        self.assertIn(str(node.data_dir), said)
        self.assert_answer(node.client.put("a", "1"), 200)

    def test_directory_of_another_node_or_cluster(self):
        cluster = self.start_cluster(1, replicas=1)
        node = cluster["n1"]
        node.client.put("a", "1")
        self.assertEqual(node.terminate(), 0)
        said = self.refused(self.changed(node, node="n9"), cluster.folder)
        self.assertIn("n1", said)
        self.assertIn("n9", said)
        said = self.refused(self.changed(node, cluster={"name": "elsewhere"}), cluster.folder)
        self.assertIn("elsewhere", said)
        self.assertIn(cluster.name, said)
        self.assertEqual(node.start().client.get("a").values, ["1"], "it was left as it was")

    def test_two_processes_that_call_themselves_the_same(self):
        """The second one is kept out by the others, and the first goes on."""
        cluster = self.start_cluster(3)
        twin_config = self.changed(cluster["n1"], data_dir=str(cluster.folder / "twin"))
        twin_config["listen"] = {"http": f"127.0.0.1:{harness.free_port()}", "peer": f"127.0.0.1:{harness.free_port()}"}
        twin = harness.Node(cluster.folder / "twin-config", "n1", twin_config)
        twin.folder.mkdir()
        self.addCleanup(twin.stop)
        before = cluster.state_hashes()
        twin.start(wait=False)
        time.sleep(3)
        self.assertEqual(cluster.state_hashes(), before)
        self.assert_answer(cluster["n1"].client.put("a", "1", w=3), 200)

    def damage(self, table):
        with open(table, "r+b") as file:
            file.seek(table.stat().st_size // 2)
            file.write(b"\xff" * 4096)

    def get_surely(self, node, key, **options):
        """Once more while the node takes its new database."""
        for _ in range(100):
            try:
                answer = node.client.get(key, **options)
                if answer.status not in (503, 504):
                    return answer
            except OSError:
                node.client.close()
            time.sleep(0.1)
        return node.client.get(key, **options)

    def test_damage_while_the_node_was_down_is_told_and_filled_again(self):
        self.check_damage(while_running=False)

    def test_damage_under_a_running_node_is_told_and_filled_again(self):
        self.check_damage(while_running=True)

    def test_tables_that_open_and_cannot_be_read_are_set_aside(self):
        cluster = self.start_cluster(3, **harness.PATIENT)
        for i in range(20):
            self.assert_answer(cluster["n1"].client.put(f"k{i}", f"v{i}", w=3), 200)
        cluster.wait_converged()
        node = cluster["n3"]
        node.kill9()
        node.start()  # its logs become tables
        cluster.wait_met()
        node.kill9()
        tables = list(node.data_dir.rglob("*.sst"))
        self.assertTrue(tables)
        for table in tables:
            with open(table, "r+b") as file:  # the first block of data: the rest still opens
                file.seek(4)
                file.write(b"\xff" * 8)
        node.start()
        cluster.wait_met()
        self.assertTrue((node.data_dir / "db-damaged-1").exists())
        self.assertIn("storage is damaged", node.log.read_text())
        cluster.wait_converged(60)
        for i in range(20):
            self.assertEqual(self.get_surely(node, f"k{i}", r=1).body, f"v{i}".encode())

    def check_damage(self, while_running):
        cluster = self.start_cluster(3, storage={"cache_mb": 8, "object_cache_mb": 0, "write_buffer_mb": 4}, **harness.PATIENT)
        value = "x" * 1000
        for start in range(0, 8000, 1000):
            lines = [{"key": f"k{i}", "value": value + str(i)} for i in range(start, start + 1000)]
            answer = cluster["n1"].client.batch(lines, w=3)
            self.assertEqual({line["status"] for line in answer.lines}, {200})
        cluster.wait_converged()
        node = cluster["n3"]
        tables = sorted(node.data_dir.rglob("*.sst"), key=lambda path: path.stat().st_size)
        self.assertTrue(tables, "8 MB of values are in table files")
        if while_running:
            self.damage(tables[-1])
        else:
            node.kill9()
            self.damage(tables[-1])
            node.start()
            cluster.wait_met()
        # Found at the start, or when it is read: either way it is said, and meanwhile others answer for it.
        aside = node.data_dir / "db-damaged-1"
        for i in range(0, 8000, 10):
            answer = self.get_surely(node, f"k{i}", r=2)
            self.assertEqual(answer.status, 200, f"k{i}: {answer!r}")
            self.assertEqual(answer.json, value + str(i))
        harness.wait_until(lambda: aside.exists(), 30, "the damaged database to be set aside")
        self.assertIn("storage is damaged", node.log.read_text())
        cluster.wait_met()
        cluster.wait_converged(60)
        for i in range(0, 8000, 40):
            self.assertEqual(self.get_surely(node, f"k{i}", r=1).json, value + str(i))
        self.assertTrue(node.alive(), "the process went on")


@unittest.skipUnless(os.geteuid() == 0, "mounting a small disk needs root")
class FullDisk(harness.ClusterTest):
    def small_disk(self, megabytes):
        folder = tempfile.mkdtemp(prefix="covey-disk.")
        self.addCleanup(shutil.rmtree, folder, True)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "covey-test", folder],
                                 capture_output=True)
        if mounted.returncode != 0:
            self.skipTest(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", folder])
        return folder

    def node_on(self, folder, free_space_mb):
        cluster = harness.Cluster(1, replicas=1, folder=folder, storage={"free_space_mb": free_space_mb})
        self.addCleanup(cluster.stop)
        return cluster.start()["n1"]

    def test_filled_by_the_others_onto_a_full_disk(self):
        """Tables, logs and compactions meet the full disk at once: room heals it, and nobody else notices."""
        folder = self.small_disk(48)
        cluster = self.make_cluster(3, threads=1, storage={"cache_mb": 8, "object_cache_mb": 0, "write_buffer_mb": 4, "free_space_mb": 16},
                                    limits={"transfer_bytes_per_second": 0}, **harness.PATIENT)
        node = cluster["n3"]
        node.config["data_dir"] = f"{folder}/n3"
        node.config["storage"]["free_space_mb"] = 0
        cluster.start()
        self.assertEqual(node.terminate(), 0)
        shutil.rmtree(node.data_dir)
        for start in range(0, 1200, 100):
            lines = [{"key": f"k{i}", "value": os.urandom(50_000).hex()} for i in range(start, start + 100)]
            self.assertEqual({line["status"] for line in cluster["n1"].client.batch(lines, w=2).lines}, {200})
        node.start()
        for _ in range(12):
            time.sleep(1)
            self.assert_answer(cluster["n1"].client.put("probe", "x", w=2), 200)
        self.assertIn("No space left on device", node.log.read_text())
        subprocess.run(["mount", "-o", "remount,size=400m", folder], check=True)

        def filled():
            """Started again if RocksDB can't go on: then it ends by itself, and says so."""
            if not node.alive():
                self.assertRegex(node.log.read_text(), "can only be mended by a new start")
                node.start()
            return all(p["ready"] for p in node.client.cluster()["ring"])
        harness.wait_until(filled, 90, "the node to be filled")
        cluster.wait_filled(60)
        cluster.wait_converged(60)
        for i in range(0, 1200, 50):
            self.assert_answer(node.client.get(f"k{i}", r=1), 200)
        self.assertEqual(node.terminate(), 0)

    def put_until_refused(self, node, prefix, sizes):
        """Returns the keys that were acknowledged."""
        acknowledged = []
        for i in range(20_000):
            try:
                answer = node.client.put(f"{prefix}{i}", os.urandom(sizes(i)))  # nothing that could be compressed
            except OSError:
                return acknowledged
            if answer.status != 200:
                self.assertIn(answer.status, (500, 504, 507))
                return acknowledged
            acknowledged.append(f"{prefix}{i}")
        self.fail("the disk was not full")

    def test_full_disk_refuses_writes_and_resumes(self):
        folder = self.small_disk(160)
        node = self.node_on(folder, 64)
        client = node.client
        self.assert_answer(client.put("before", "kept"), 200)

        ballast = pathlib.Path(folder) / "ballast"
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
        with open(ballast, "wb") as file:
            file.write(b"\0" * (free - 40 * MIB))

        def refused():
            answer = client.put("during", "x")
            return answer if answer.status != 200 else None
        answer = harness.wait_until(refused, 10, "writes to be refused")
        self.assert_answer(answer, 507, "disk_full")
        self.assert_answer(client.delete("before"), 507, "disk_full")
        self.assertEqual(client.get("before").values, ["kept"], "reads go on")
        self.assertEqual(client.metrics()["covey_writes_refused"], 1)

        ballast.unlink()
        harness.wait_until(lambda: client.put("after", "y").status == 200, 10, "writes to be taken again")
        self.assertEqual(client.get("before").values, ["kept"])
        self.assertEqual(client.get("after").values, ["y"])
        self.assertEqual(node.terminate(), 0)

    def test_disk_full_to_the_last_byte(self):
        """With no floor to stop at, the disk itself refuses: nothing acknowledged is lost, and room heals it."""
        folder = self.small_disk(96)
        node = self.node_on(folder, 0)
        ballast = pathlib.Path(folder) / "ballast"
        with open(ballast, "wb") as file:
            file.write(b"\0" * (48 * MIB))
        acknowledged = self.put_until_refused(node, "k", lambda i: 100_000)
        ballast.unlink()
        time.sleep(1)
        if not node.alive():
            node.start()
        harness.wait_until(lambda: node.client.put("after", "y").status == 200, 20, "writes to be taken again")
        for key in acknowledged:
            self.assertEqual(node.client.get(key).status, 200, f"{key} was acknowledged")

    def test_killed_on_a_full_disk(self):
        """Again and again, at once or a while after the disk was full, with room made before or after."""
        folder = self.small_disk(128)
        node = self.node_on(folder, 0)
        ballast = pathlib.Path(folder) / "ballast"
        acknowledged = []
        for turn in range(6):
            free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
            with open(ballast, "wb") as file:
                file.write(b"\0" * max(0, free - 5 * MIB))
            sizes = (lambda i: 1_000_000 if i % 3 == 0 else 2_000) if turn % 2 else (lambda i: 20_000)
            acknowledged += self.put_until_refused(node, f"k{turn}-", sizes)
            time.sleep((0, 0.5, 1.5)[turn % 3])
            if turn >= 3:
                ballast.unlink()
                harness.wait_until(lambda: not node.alive() or node.client.put(f"k{turn}-after", "y").status == 200, 20,
                                   "writes to be taken again")
                time.sleep(0.1)
            node.kill9()
            ballast.unlink(missing_ok=True)
            node.start()
            for key in acknowledged:
                self.assertEqual(node.client.get(key).status, 200, f"{key} was acknowledged")
            for key in acknowledged[3:]:
                node.client.delete(key)
            del acknowledged[3:]


if __name__ == "__main__":
    harness.main()
