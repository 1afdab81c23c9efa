#!/usr/bin/env python3
"""Backups of running nodes: made under load, verified, restored to one node, to all and to another cluster."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

import harness
from load import ENOUGH, Load

MIB = 1024 * 1024


class BackupTest(harness.ClusterTest):
    def cluster_with_backups(self, size=3, **settings):
        folder = tempfile.mkdtemp(prefix="covey-backups.")
        self.addCleanup(shutil.rmtree, folder, True)
        self.backups = pathlib.Path(folder)
        return self.start_cluster(size, backup={"directory": folder, "keep": 3}, **settings)

    def backup(self, node, *arguments, code=0, action="create"):
        """Runs covey backup and returns what the node told of the job."""
        done = harness.covey("--output", "json", "backup", action, *arguments, nodes=[node.address])
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout.splitlines()[0]) if done.stdout else json.loads(done.stderr)

    def restore(self, node, *arguments, code=0, source=None):
        """Makes the node's data directory of its backups; returns what was said."""
        node.file.write_text(json.dumps(node.config))
        done = subprocess.run([harness.COVEYD, "--config", str(node.file), "--restore",
                               str(source or self.backups / node.name), *arguments],
                              capture_output=True, text=True, timeout=60 * harness.SLOWNESS)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def fill(self, node, prefix, count=200, size=1000):
        for start in range(0, count, 100):
            lines = [{"key": f"{prefix}{i}", "value_base64": "", "content_type": "text/plain"}
                     if size == 0 else {"key": f"{prefix}{i}", "value": os.urandom(size // 2).hex()}
                     for i in range(start, start + 100)]
            self.assertEqual({line["status"] for line in node.client.batch(lines, w=3).lines}, {200})

    def delete(self, node, key):
        read = node.client.get(key, r=2)
        self.assert_answer(node.client.delete(key, context=read.context, w=2), 200)


class OneNode(BackupTest):
    def test_list_verify_delete_and_keep(self):
        cluster = self.cluster_with_backups(1, replicas=1)
        node = cluster["n1"]
        answer = node.client.call("GET", "/v1/backup").json
        self.assertEqual((answer["backups"], answer["job"]), ([], None))
        for i in range(60):
            node.client.put(f"k{i}", os.urandom(50_000))
        first = self.backup(node)
        self.assertGreater(first["new_bytes"], 60 * 50_000)
        node.client.put("one more", "x")
        second = self.backup(node)
        self.assertGreater(second["backup"]["bytes"], 60 * 50_000)
        self.assertLess(second["new_bytes"], MIB, "tables are shared with the backup before")
        verified = self.backup(node, action="verify")
        self.assertEqual(verified["verified"], [1, 2])
        listed = harness.covey("backup", "list", nodes=[node.address])
        self.assertEqual([line.split()[:2] for line in listed.stdout.splitlines()[1:]], [["n1", "1"], ["n1", "2"]])

        # One flipped bit in a file of the second backup alone.
        private = sorted((self.backups / "n1" / "private" / "2").glob("MANIFEST*"))[0]
        data = bytearray(private.read_bytes())
        data[len(data) // 2] ^= 1
        private.write_bytes(data)
        found = self.backup(node, action="verify", code=1)
        self.assertEqual((found["verified"], [d["id"] for d in found["damaged"]]), ([1], [2]))
        self.assertIn("a backup is damaged", node.log.read_text())
        self.assertIn("not restored", self.restore(harness.Node(self.backups, "n1", {**node.config, "data_dir": str(
            self.backups / "fresh")}), code=1))
        self.backup(node, "2", action="delete")
        self.backup(node, "2", action="delete", code=3)

        for _ in range(4):
            made = self.backup(node)
        self.assertEqual(made["removed"], [2], "the configuration keeps three")
        self.assertEqual(self.backup(node, "--keep", "1")["removed"], [3, 4, 5])
        self.assertEqual([b["id"] for b in node.client.call("GET", "/v1/backup").json["backups"]], [6])
        metrics = node.client.metrics()
        self.assertEqual(metrics["covey_backups_made_total"], 7)
        self.assertAlmostEqual(metrics["covey_backup_newest_timestamp_seconds"], time.time(), delta=60)

    def test_what_is_refused(self):
        cluster = self.start_cluster(1, replicas=1)
        client = cluster["n1"].client
        self.assert_answer(client.call("POST", "/v1/backup/create"), 409, "no_backup_directory")
        self.assertEqual(client.call("GET", "/v1/backup").json["directory"], None)
        cluster = self.cluster_with_backups(1, replicas=1)
        client = cluster["n1"].client
        for body in ("[]", '{"keep": 0}', '{"keep": -1}', '{"keep": "3"}', '{"id": 3}', "{"):
            self.assert_answer(client.call("POST", "/v1/backup/create", body), 400, "bad_request")
        self.assert_answer(client.call("POST", "/v1/backup/delete", "{}"), 400, "bad_request")
        self.assert_answer(client.call("GET", "/v1/backup/create"), 405, "method_not_allowed")
        self.assert_answer(client.call("POST", "/v1/backup"), 405, "method_not_allowed")
        self.assert_answer(client.call("POST", "/v1/backup/other"), 404, "not_found")
        for number in ("-1", "0", "x", "4294967296"):
            done = harness.covey("backup", "delete", number, nodes=[cluster["n1"].address])
            self.assertEqual(done.returncode, 2)
            self.assertIn("not in range 1 to 4294967295\n", done.stderr)
        inside = {**cluster["n1"].config, "backup": {"directory": cluster["n1"].config["data_dir"] + "/backups"}}
        cluster["n1"].file.write_text(json.dumps(inside))
        checked = subprocess.run([harness.COVEYD, "--check", "--config", str(cluster["n1"].file)],
                                 capture_output=True, text=True)
        self.assertEqual(checked.returncode, 2)
        self.assertIn("/backup/directory", checked.stderr)

    def test_a_single_node_comes_back_as_it_was(self):
        cluster = self.cluster_with_backups(1, replicas=1)
        node = cluster["n1"]
        node.client.put("kept", "1")
        node.client.put("deleted", "1")
        self.delete_one(node, "deleted")
        self.backup(node)
        node.client.put("later", "1")
        self.assertEqual(node.terminate(), 0)
        self.assertIn("not empty", self.restore(node, code=1))
        shutil.rmtree(node.data_dir)
        self.assertIn("restored: backup 1", self.restore(node))
        node.start()
        self.assertIn("restored=true", node.log.read_text())
        self.assertEqual(node.client.get("kept", r=1, sloppy=False).values, ["1"])
        self.assertEqual(node.client.get("deleted").values, [])
        self.assertEqual(node.client.get("later").values, [], "nobody else has it")
        self.assert_answer(node.client.put("new", "1"), 200)
        self.backup(node)

    def delete_one(self, node, key):
        read = node.client.get(key)
        self.assert_answer(node.client.delete(key, context=read.context), 200)

    def test_closing_does_not_wait_for_a_backup(self):
        cluster = self.cluster_with_backups(1, replicas=1)
        node = cluster["n1"]
        for i in range(60):
            node.client.put(f"k{i}", os.urandom(200_000))
        self.backup(node)
        self.assertEqual(node.terminate(), 0)
        node.config["backup"]["rate_mb"] = 1
        shutil.rmtree(self.backups / "n1")
        node.start()
        answer = node.client.call("POST", "/v1/backup/create")
        self.assertEqual((answer.status, answer.json["job"]), (202, 1))
        self.assert_answer(node.client.call("POST", "/v1/backup/create"), 409, "backup_running")
        self.assertEqual(node.client.call("GET", "/v1/backup").json["job"]["state"], "running")
        begin = time.monotonic()
        self.assertEqual(node.terminate(), 0)
        self.assertLess(time.monotonic() - begin, 8 * harness.SLOWNESS)
        del node.config["backup"]["rate_mb"]
        node.start()
        self.assertEqual(node.client.call("GET", "/v1/backup").json["backups"], [])
        self.assertEqual(self.backup(node)["backup"]["id"], 1)
        self.assertEqual(self.backup(node, action="verify")["verified"], [1])

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small disk needs root")
    def test_a_full_disk_leaves_earlier_backups_good(self):
        cluster = self.cluster_with_backups(1, replicas=1)
        node = cluster["n1"]
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "covey-test", str(self.backups)],
                                 capture_output=True)
        if mounted.returncode != 0:
            self.skipTest(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.backups)])
        for i in range(40):
            node.client.put(f"k{i}", os.urandom(100_000))
        self.backup(node)
        for i in range(40):
            node.client.put(f"m{i}", os.urandom(100_000))
        failed = self.backup(node, code=1)
        self.assertEqual(failed["error"]["code"], "disk_full")
        self.assert_answer(node.client.put("more", "x"), 200)
        self.assertEqual(node.client.metrics()["covey_backups_failed_total"], 1)
        self.assertEqual(self.backup(node, action="verify")["verified"], [1])
        subprocess.run(["mount", "-o", "remount,size=64m", str(self.backups)], check=True)
        self.assertEqual(self.backup(node)["backup"]["id"], 2)
        self.assertEqual(self.backup(node, action="verify")["verified"], [1, 2])


class Restore(BackupTest):
    def assert_nothing_lost(self, cluster, load):
        self.assertGreater(load.acknowledged(), ENOUGH)
        self.assertEqual(load.faults(), [])
        cluster.wait_met()
        cluster.wait_converged(60)
        for node in cluster:
            self.assertEqual(load.lost(node.client, 1), [], f"acknowledged writes are at {node.name}")
            self.assertEqual(node.client.metrics()["covey_state_hash_alarms_total"], 0)

    def test_a_lost_directory_is_restored_under_load(self):
        """With W = 2 nothing acknowledged is lost, and what was deleted since the backup stays deleted."""
        cluster = self.cluster_with_backups(3)
        node = cluster["n1"]
        self.fill(node, "old", 300)
        with Load(cluster) as load:
            time.sleep(0.5)
            self.backup(node)
            self.assertEqual(self.backup(node, action="verify")["verified"], [1])
            for i in range(100):
                self.delete(node, f"old{i}")
            time.sleep(0.5)
            node.kill9()
            shutil.rmtree(node.data_dir)
            for i in range(100, 150):
                self.delete(cluster["n2"], f"old{i}")
            self.restore(node)
            node.start()
            log = node.log.read_text()
            self.assertIn("restored=true", log)
            self.assertIn("fresh=false", log[log.rindex("data directory opened"):])
            cluster.wait_met()
            cluster.wait_filled()
            time.sleep(0.5)
        self.assert_nothing_lost(cluster, load)
        for one in cluster:
            for i in range(300):
                self.assertEqual(one.client.get(f"old{i}", r=1).status, 404 if i < 150 else 200, f"old{i} at {one.name}")
        self.assertEqual(load.reused_dots(lambda key: cluster["n1"].client.explain(key)["partition"]), [],
                         "a dot was given twice")

    def test_a_restored_node_does_not_count_before_it_is_filled(self):
        """It has forgotten what it acknowledged: alone it answers no strict read."""
        cluster = self.cluster_with_backups(3)
        node = cluster["n1"]
        self.backup(node)
        self.assert_answer(node.client.put("since", "1", w=3), 200)
        for one in cluster:
            one.kill9()
        shutil.rmtree(node.data_dir)
        self.restore(node)
        node.start()
        answer = node.client.get("since", r=1, sloppy=False)
        self.assertIn(answer.status, (503, 504), "not a stale 404")
        self.assertFalse(any(p["ready"] for p in node.client.cluster()["ring"]))
        for one in list(cluster)[1:]:
            one.start()
        cluster.wait_met()
        cluster.wait_filled()
        self.assertEqual(node.client.get("since", r=1, sloppy=False).values, ["1"])

    def test_all_nodes_from_backups_of_different_moments(self):
        """The union of what the backups hold, less what one of them knows to be deleted."""
        cluster = self.cluster_with_backups(3)
        n1, n2, n3 = cluster
        self.fill(n1, "a", 100)
        self.backup(n1)
        self.fill(n1, "b", 100)
        self.delete(n1, "a0")
        cluster.wait_converged()
        self.backup(n2)
        self.fill(n1, "c", 100)
        self.delete(n1, "a1")
        self.delete(n1, "b0")
        cluster.wait_converged()
        self.backup(n3)
        self.fill(n1, "d", 100)
        self.delete(n1, "a2")
        for node in cluster:
            node.kill9()
            shutil.rmtree(node.data_dir)
            self.restore(node)
        for node in cluster:
            node.start(wait=False)
        for node in cluster:
            node.wait_ready()
        cluster.wait_met()
        cluster.wait_filled()
        cluster.wait_converged(60)
        there = {f"{prefix}{i}" for prefix in "abc" for i in range(100)} - {"a0", "a1", "b0"}
        for node in cluster:
            found = {line["key"] for line in node.client.scan(limit=1000, r=1).lines if "key" in line}
            self.assertEqual(found, there, f"at {node.name}: d and the delete of a2 came after the last backup")
            self.assertEqual(node.client.metrics()["covey_state_hash_alarms_total"], 0)
        with Load(cluster) as load:
            time.sleep(1)
        self.assert_nothing_lost(cluster, load)

    def test_data_is_taken_into_another_cluster(self):
        """A cluster of its own is made of a backup, and its keys are exported from there."""
        cluster = self.cluster_with_backups(3)
        self.fill(cluster["n1"], "a", 200)
        cluster["n1"].client.put("twice", "1", w=3)
        cluster["n2"].client.put("twice", "2", w=3)
        cluster.wait_converged()
        self.backup(cluster["n1"])
        copy = harness.Cluster(1, replicas=1, name="copy")
        self.addCleanup(copy.stop)
        said = self.restore(copy["n1"], code=1)
        self.assertIn("--to-another-cluster", said)
        self.restore(copy["n1"], "--to-another-cluster")
        copy.start()
        members = [m["node"] for m in copy["n1"].client.cluster()["members"]]
        self.assertEqual(members, ["n1"], "it knows nothing of the other cluster's members")
        other = self.start_cluster(3, name="other")
        other["n1"].client.put("mine", "1", w=3)
        exported = harness.covey("export", nodes=[copy["n1"].address])
        self.assertEqual(exported.returncode, 0, exported.stderr)
        imported = harness.covey("import", "-", "--format", "jsonl", nodes=[other["n1"].address], input=exported.stdout)
        self.assertEqual(imported.returncode, 0, imported.stderr)
        other.wait_converged()
        for i in range(200):
            key = f"a{i}"
            self.assertEqual(other["n2"].client.get(key).body, cluster["n2"].client.get(key).body)
        self.assertEqual(other["n3"].client.get("twice").values, ["1", "2"])
        self.assertEqual(other["n3"].client.get("mine").values, ["1"])
        self.assertEqual(sorted(m["node"] for m in cluster["n1"].client.cluster()["members"]), ["n1", "n2", "n3"])


if __name__ == "__main__":
    harness.main()
