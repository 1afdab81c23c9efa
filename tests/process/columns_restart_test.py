#!/usr/bin/env python3
"""Columns over a restart: exact whatever is left of their checkpoints, from wherever it is, and quick where it can be."""

import json
import math
import random
import shutil

import harness
from site_rows import COLUMNS, FIGURES, assert_exact, column_metric, draw_row

TABLES = [{"name": "t", "conflicts": "lww", "columns": COLUMNS}]
QUERY = {"table": "t", "group_by": ["site"], "aggregates": FIGURES}


class ColumnsRestart(harness.ClusterTest):
    def start_one(self, seconds=1, **settings):
        cluster = self.start_cluster(1, replicas=1, tables=TABLES, aggregation={"checkpoint_seconds": seconds}, **settings)
        self.random = random.Random(settings.get("name", ""))
        self.rows = {}
        return cluster["n1"]

    def write(self, node, count, keys=4000, table="t"):
        """Some new, some overwritten, some deleted."""
        lines = []
        rows = self.rows if table == "t" else {}
        for _ in range(count):
            key = f"key {self.random.randrange(keys)}"
            if key in rows and self.random.random() < 0.2:
                del rows[key]
                lines.append({"op": "delete", "key": key})
            else:
                rows[key] = draw_row(self.random)
                lines.append({"key": key, "value": rows[key]})
        # Lines of one batch are tried at the same time: each key once in it.
        for begin in range(0, len(lines), 500):
            seen, part = set(), []
            for line in lines[begin:begin + 500]:
                if line["key"] in seen:
                    self.post(node, part, table)
                    seen, part = set(), []
                seen.add(line["key"])
                part.append(line)
            self.post(node, part, table)

    def post(self, node, lines, table):
        answer = node.client.call("POST", f"/v1/kv/{table}", body="\n".join(json.dumps(line) for line in lines))
        self.assertTrue(answer.status == 200 and all(line["status"] == 200 for line in answer.lines), repr(answer))

    def assert_exact(self, node, rows=None):
        rows = self.rows if rows is None else rows
        answer = node.client.call("POST", "/v1/aggregate", body=json.dumps({"queries": [QUERY], "timeout_ms": 20000}))
        assert_exact(self, answer, rows)

    def began(self, node):
        """Parts that began with a checkpoint, and with all objects."""
        harness.wait_until(lambda: column_metric(node, "parts_restored_total") + column_metric(node, "parts_rebuilt_total") >= 16
                           and column_metric(node, "parts_loading") == 0, what="columns")
        return column_metric(node, "parts_restored_total"), column_metric(node, "parts_rebuilt_total")

    def wait_kept(self, node):
        """Until checkpoints hold all that was written."""
        harness.wait_until(lambda: column_metric(node, "checkpoints_total") >= 16, what="checkpoints")

    def test_orderly_stop_keeps_all(self):
        node = self.start_one(seconds=3600)
        self.write(node, 5000)
        self.assert_exact(node)
        for threads in (2, 3, 1):
            self.assertEqual(node.terminate(), 0)
            node.config["threads"] = threads
            node.start()
            self.assertEqual(self.began(node), (16, 0))
            self.assert_exact(node)
            self.write(node, 300)
            self.assert_exact(node)
        self.assertEqual(list(node.data_dir.glob("columns/new-*")), [])

    def test_killed_with_writes_after_the_checkpoint(self):
        node = self.start_one()
        self.write(node, 5000)
        self.wait_kept(node)
        for _ in range(3):
            self.write(node, 400)
            self.write(node, 100, table="default")
            node.kill9()
            node.start()
            self.assertEqual(self.began(node), (16, 0))
            self.assert_exact(node)
        # Killed again before anything was kept anew.
        self.write(node, 50)
        node.kill9()
        node.start()
        node.kill9()
        node.start()
        self.assert_exact(node)
        self.assertEqual(self.began(node), (16, 0))

    def test_an_older_database_beside_newer_checkpoints_and_the_reverse(self):
        node = self.start_one()
        self.write(node, 3000)
        self.assertEqual(node.terminate(), 0)
        shutil.copytree(node.data_dir, node.data_dir.with_name("backup"))
        older = dict(self.rows)
        node.start()
        self.write(node, 1500)
        self.assertEqual(node.terminate(), 0)
        shutil.copytree(node.data_dir, node.data_dir.with_name("newer"))
        newer = dict(self.rows)
        for database, columns, rows in (("backup", "newer", older), ("newer", "backup", newer), ("newer", "newer", newer)):
            shutil.rmtree(node.data_dir)
            shutil.copytree(node.data_dir.with_name(database), node.data_dir)
            shutil.rmtree(node.data_dir / "columns")
            shutil.copytree(node.data_dir.with_name(columns) / "columns", node.data_dir / "columns")
            node.start()
            self.assert_exact(node, rows)
            restored, _ = self.began(node)
            self.assertEqual(restored, 16 if database == columns else 0)
            # And what is written then is found again.
            self.rows = dict(rows)
            self.write(node, 200)
            node.kill9()
            node.start()
            self.assert_exact(node)
            self.assertEqual(node.terminate(), 0)

    def test_damaged_foreign_and_missing_files(self):
        node = self.start_one()
        self.write(node, 3000)
        self.assertEqual(node.terminate(), 0)
        mine = self.rows
        other = self.start_one(name="other")
        self.write(other, 3000)
        theirs, self.rows = self.rows, mine
        self.assertEqual(other.terminate(), 0)
        files = {file.name: file for file in node.data_dir.glob("columns/part-*")}
        self.assertEqual(len(files), 16)
        names = sorted(files)
        for name in names[:3]:  # another cluster's
            shutil.copy(other.data_dir / "columns" / name, files[name])
        shutil.copy(files[names[3]], files[names[4]])  # another partition's
        for name, at in zip(names[5:8], (3, 5000, -3)):
            bytes_ = bytearray(files[name].read_bytes())
            bytes_[at] ^= 16
            files[name].write_bytes(bytes_)
        files[names[8]].write_bytes(files[names[8]].read_bytes()[:4000])
        files[names[9]].unlink()
        (node.data_dir / "columns" / "new-3-t").write_bytes(b"half of one")
        (node.data_dir / "columns" / "changes-7").write_bytes(b"nonsense")
        node.start()
        self.assert_exact(node)
        self.assertEqual(self.began(node), (7, 9))
        self.assertNotEqual(mine, theirs)

    def test_table_that_was_dropped_defined_anew_or_otherwise(self):
        node = self.start_one()
        self.write(node, 2000)
        self.wait_kept(node)
        define = lambda columns: self.assertEqual(node.client.call(
            "PUT", "/v1/tables/t", body=json.dumps({"conflicts": "lww", "columns": columns})).status, 200)
        define([])  # what is written now is no column's business
        self.write(node, 500)
        define(COLUMNS)
        self.write(node, 100)
        node.kill9()
        node.start()
        self.assert_exact(node)
        define(COLUMNS[:1] + [{"name": "n", "path": "/x", "type": "float64"}] + COLUMNS[2:])
        node.kill9()
        node.start()
        for row in self.rows.values():
            row["n"] = row["x"]
        answer = node.client.call("POST", "/v1/aggregate", body=json.dumps(
            {"queries": [{"table": "t", "aggregates": {"s": {"sum": "n"}}}], "timeout_ms": 20000}))
        self.assertEqual(answer.json["results"][0]["groups"][0]["s"], math.fsum(r["x"] for r in self.rows.values()))

    def test_no_room_for_checkpoints_disturbs_nothing_else(self):
        node = self.start_one(seconds=3600)
        self.assertEqual(node.terminate(), 0)
        shutil.rmtree(node.data_dir / "columns")
        (node.data_dir / "columns").write_text("in the way")
        node.config["aggregation"]["checkpoint_seconds"] = 1
        node.start()
        self.write(node, 2000)
        harness.wait_until(lambda: column_metric(node, "checkpoints_failed_total") > 0, what="a checkpoint to fail")
        self.assertGreater(column_metric(node, "journal_failures_total"), 0)
        self.assert_exact(node)
        node.kill9()
        node.start()
        self.assert_exact(node)
        self.assertEqual(self.began(node), (0, 16))


if __name__ == "__main__":
    harness.main()
