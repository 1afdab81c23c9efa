#!/usr/bin/env python3
"""Aggregates at their limits: columns that do not fit into memory together, shares that are too long, and an owner whose
numbers are wrong though everything else about it is right."""

import json
import random
import struct
import threading
import time

import harness
from site_rows import COLUMNS, FIGURES, assert_exact, column_metric, draw_row

U64 = (1 << 64) - 1


def call(node, table, *, timeout_ms=20000, aggregates=None, group_by=("site",), **more):
    query = {"table": table, "group_by": list(group_by), "limit_groups": 100000,
             "aggregates": aggregates or FIGURES}
    return node.new_client(60).call("POST", "/v1/aggregate",
                                    body=json.dumps({"queries": [query], "timeout_ms": timeout_ms, **more}))


def put_all(node, table, rows, w="all"):
    keys = list(rows)
    for at in range(0, len(keys), 5000):
        lines = "\n".join(json.dumps({"key": key, "value": rows[key]}) for key in keys[at:at + 5000])
        answer = node.client.call("POST", f"/v1/kv/{table}?w={w}", body=lines)
        assert answer.status == 200 and all(line["status"] == 200 for line in answer.lines), repr(answer)[:500]


def some_rows(count, seed):
    draw = random.Random(seed)
    return {f"key {i}": draw_row(draw) for i in range(count)}


class Limits(harness.ClusterTest):
    def test_columns_that_do_not_fit_together_are_loaded_in_turns(self):
        # A table takes some 2.4 MB.
        tables = [{"name": name, "conflicts": "lww", "columns": COLUMNS} for name in "ab"]
        cluster = self.start_cluster(1, replicas=1, tables=tables, aggregation={"memory_mb": 3, "checkpoint_seconds": 1})
        node = cluster["n1"]
        rows = {name: some_rows(20000, name) for name in "ab"}
        for name in "ab":
            put_all(node, name, rows[name])
        for turn in range(3):
            for name in "ab":
                assert_exact(self, call(node, name), rows[name])
                changed = some_rows(20000, f"{name} {turn}")
                # The same keys each time: none may come back as it was the time before.
                changed = {key: changed[key] for key in random.Random(0).sample(sorted(changed), 300)}
                put_all(node, "ab"["ba".index(name)], changed)  # the other one, which has left
                rows["ab"["ba".index(name)]].update(changed)
                time.sleep(2.5)  # what is there is kept on disk before it leaves
        harness.wait_until(lambda: 0 < column_metric(node, "bytes") <= column_metric(node, "bytes_max") == 3 << 20,
                           what="columns to be within the limit")
        # What is told is of a moment ago.
        harness.wait_until(lambda: column_metric(node, "evicted_bytes") > 0 and node.client.cluster()["columns"]["evicted_bytes"] > 0,
                           what="evicted columns to be told of")
        harness.wait_until(lambda: column_metric(node, "evictions_total") >= 3 and column_metric(node, "returns_total") >= 3,
                           what="tables that left and came back to be counted")
        self.assertEqual(column_metric(node, "returns_refused_total"), 0)
        self.assertEqual(node.client.cluster()["columns"]["bytes_max"], 3 << 20)
        # Both at once, by many who wait for it.
        answers = {name: [] for name in "ab"}
        self.at_once(4, lambda number: [answers["ab"[number % 2]].append(call(node, "ab"[number % 2])) for _ in range(3)])
        for name in "ab":
            for answer in answers[name]:
                assert_exact(self, answer, rows[name])
        slow = [call(node, name, profile=True).json["profile"]["loading"] for name in "abab"]
        self.assertIn(16, slow, "the profile says that partitions were waited for")
        node.kill9()
        node.start()
        for name in "ba":
            assert_exact(self, call(node, name), rows[name])

    def at_once(self, count, work):
        failed = []

        def run(number):
            try:
                work(number)
            except Exception as problem:  # told by the test's own thread
                failed.append(problem)
        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])

    def test_columns_that_never_fit_are_refused_by_the_name_of_the_setting(self):
        tables = [{"name": "a", "conflicts": "lww", "columns": COLUMNS}]
        cluster = self.start_cluster(1, replicas=1, tables=tables, aggregation={"memory_mb": 1})
        node = cluster["n1"]
        put_all(node, "a", some_rows(20000, 1))
        refused = call(node, "a")
        self.assert_answer(refused, 503, "unavailable")
        self.assertIn("aggregation.memory_mb", refused.error["message"])
        reason, = refused.error["reasons"]
        self.assertIn("n1: ", reason)
        self.assertIn("table a", reason)
        self.assertEqual(refused.error["missing"], list(range(16)))
        partial = call(node, "a", coverage="available")
        self.assertEqual((partial.status, partial.json["coverage"]["answered"]), (200, 0), repr(partial))
        told = harness.covey("--table", "a", "agg", "sum(x)", nodes=[node.address])
        self.assertEqual((told.returncode, told.stdout), (4, ""))
        self.assertIn("aggregation.memory_mb", told.stderr)
        node.config["aggregation"]["memory_mb"] = 64
        self.assertEqual(node.terminate(), 0)
        node.start()
        assert_exact(self, call(node, "a"), some_rows(20000, 1))

    def test_owners_with_room_answer_for_one_without(self):
        tables = [{"name": "a", "conflicts": "lww", "columns": COLUMNS}]
        cluster = self.start_cluster(3, tables=tables)
        rows = some_rows(20000, 2)
        put_all(cluster["n2"], "a", rows)
        self.assertEqual(cluster["n1"].terminate(), 0)
        cluster["n1"].config["aggregation"] = {"memory_mb": 1}
        cluster["n1"].start()
        cluster.wait_met()
        cluster.wait_filled()
        for node in cluster:
            assert_exact(self, call(node, "a"), rows)

    def test_shares_beyond_the_limits(self):
        tables = [{"name": "a", "conflicts": "lww", "columns": COLUMNS}]
        cluster = self.start_cluster(3, replicas=1, tables=tables)
        rows = {f"k{i}": {"n": i, "site": f"{i:05d}" * 180} for i in range(5400)}
        put_all(cluster["n1"], "a", rows)
        ask = lambda: call(cluster["n1"], "a", aggregates={"i": {"sum": "n"}})
        self.assertEqual({g["i"] for g in ask().json["results"][0]["groups"]}, {row["n"] for row in rows.values()})

        def when_reached():
            """No partition has another owner than the one that has started again."""
            answers = []
            harness.wait_until(lambda: answers.append(ask()) or answers[-1].status != 503, what="all owners to be reached")
            return answers[-1]
        # Each of the two others has some 1.6 MB to tell.
        for name, setting in (("n1", "answer_mb"), ("n1", "share_mb"), ("n2", "share_mb")):
            node = cluster[name]
            node.config["aggregation"] = {setting: 3 if setting == "answer_mb" else 1}
            node.terminate()
            node.start()
            refused = when_reached()
            self.assert_answer(refused, 413, "too_large")
            self.assertIn(f"aggregation.{setting}", refused.error["message"])
            node.config["aggregation"] = {}
            node.terminate()
            node.start()
        self.assertEqual(when_reached().status, 200)


def rotated(x):
    return ((x << 29) | (x >> 35)) & U64


def mixed(x):
    x = (x + 0x9e3779b97f4a7c15) & U64
    x = ((x ^ (x >> 30)) * 0xbf58476d1ce4e5b9) & U64
    x = ((x ^ (x >> 27)) * 0x94d049bb133111eb) & U64
    return x ^ (x >> 31)


def checksum(data):
    """Of a section of a checkpoint (docs/formats.md)."""
    lanes = [0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89]
    padded = data + b"\0" * (-len(data) % 8)
    for i, (word,) in enumerate(struct.iter_unpack("<Q", padded)):
        lanes[i % 4] = rotated(((lanes[i % 4] ^ word) * 0x9fb21c651e98df25) & U64)
    out = mixed(len(data))
    for lane in lanes:
        out = mixed(out ^ lane)
    return out


def take_varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


class WrongNumbers(harness.ClusterTest):
    """What a machine with bad memory would keep: one number is another, and every checksum is of that one."""

    def forge(self, path):
        data = bytearray(path.read_bytes())
        at = 0
        for _ in range(2):  # head, keys
            at += 16 + struct.unpack_from("<Q", data, at)[0]
        while True:
            tag, length = struct.unpack_from("<QQ", data, at)
            body = at + 16
            if tag == 3 and data[body] == 0:  # a tile of the first column
                break
            at = body + length + 8
        _, place = take_varint(data, body + 1)       # row group
        _, place = take_varint(data, place)          # values
        place += 16                                  # least, greatest
        for _ in range(2):                           # lowest and highest bit
            _, place = take_varint(data, place)
        place += 1
        rows = (body + length - place) * 8 // 65     # a bit and 8 bytes each
        values = place + rows // 8
        first, second = data[values:values + 8], data[values + 8:values + 16]
        self.assertNotEqual(first, second)
        data[values:values + 8] = second
        struct.pack_into("<Q", data, body + length, checksum(bytes(data[at:body + length])))
        path.write_bytes(data)

    def test_an_owner_whose_numbers_differ_though_its_clock_does_not_is_found(self):
        tables = [{"name": "t", "conflicts": "lww", "columns": [{"name": "n", "type": "int64"}]}]
        cluster = self.start_cluster(3, tables=tables)
        rows = {f"key {i}": {"n": i * i} for i in range(2000)}
        put_all(cluster["n1"], "t", rows)
        cluster.wait_converged()
        ask = lambda node, **more: call(node, "t", group_by=(), aggregates={"s": {"sum": "n"}}, **more)
        right = sum(row["n"] for row in rows.values())
        value = lambda answer: answer.json["results"][0]["groups"][0]["s"]
        for node in cluster:
            answer = ask(node, verify="quorum")
            self.assertEqual((answer.status, value(answer), answer.json["verified"]["equal"]), (200, right, 16), repr(answer))
        bad = cluster["n3"]
        self.assertEqual(bad.terminate(), 0)
        self.forge(bad.data_dir / "columns" / "part-5-t")
        bad.start()
        cluster.wait_met()
        cluster.wait_converged()
        # Nobody notices who does not compare; which answer comes is up to the node that is asked. Until its own columns
        # are there, it is the others'.
        def is_wrong():
            answer = ask(bad)
            return answer.status == 200 and value(answer) != right
        harness.wait_until(is_wrong, what="the wrong number")
        self.assertEqual(value(ask(cluster["n1"])), right)
        differ = ask(bad, verify="quorum")
        self.assert_answer(differ, 500, "replicas_differ")
        place, = differ.error["partitions"]
        self.assertEqual(place["partition"], 5)
        self.assertIn("n3", place["nodes"])
        self.assertIn("compare their data", differ.error["message"])
        told = harness.covey("--table", "t", "agg", "sum(n)", "--verify", "quorum", nodes=[bad.address])
        self.assertEqual((told.returncode, told.stdout), (1, ""))
        self.assertIn("replicas_differ", told.stderr)
        self.assertIn("n3", told.stderr)
        lines = bad.client.call("GET", "/metrics").body.decode().splitlines()
        self.assertIn("covey_aggregate_replicas_differ_total 2", lines)
        # The wrong file is what is wrong: without it the columns are loaded from the objects.
        bad.kill9()
        (bad.data_dir / "columns" / "part-5-t").unlink()
        bad.start()
        cluster.wait_met()
        answer = ask(bad, verify="quorum")
        self.assertEqual((answer.status, value(answer), answer.json["verified"]["equal"]), (200, right, 16), repr(answer))
        told = harness.covey("--table", "t", "agg", "sum(n)", "--verify", "quorum", nodes=[bad.address])
        self.assertEqual((told.returncode, told.stdout.split()), (0, ["sum(n)", str(right)]))
        self.assertIn("16 of 16 partitions gave the same bits on 2 owners", told.stderr)


if __name__ == "__main__":
    harness.main()
