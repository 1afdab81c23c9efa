#!/usr/bin/env python3
"""Counters, sets and hashes over HTTP and the command line, on three nodes."""

import base64
import json

import harness
from harness import covey
from http_client import quote

DOCUMENT = {"Accept": "application/vnd.covey+json"}


class Types(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster(3, proxied=True, limits={"elements": 100, "value_bytes": 10000}, tables=[
            {"name": "people", "columns": [{"name": "age", "type": "int64"}, {"name": "city", "type": "string"},
                                           {"name": "score", "type": "float64"}]},
            {"name": "counts", "columns": [{"name": "n", "path": "", "type": "int64"}]},
            {"name": "latest", "conflicts": "lww"}])
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()

    def setUp(self):
        self.key = self.id().rsplit(".", 1)[1]

    def change(self, op, node="n1", key=None, table="default", status=200, code=None, query="", **members):
        answer = self.cluster[node].client.call(
            "POST", f"/v1/kv/{table}/{quote(key or self.key)}{query}", json.dumps({"op": op, **members}),
            {"Content-Type": "application/json"})
        self.assert_answer(answer, status, code)
        return answer.json

    def value(self, node="n1", key=None, table="default", query="?r=quorum"):
        answer = self.cluster[node].client.call("GET", f"/v1/kv/{table}/{key or self.key}{query}")
        self.assert_answer(answer, 200)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        return answer.json

    def type_of(self, key=None, table="default"):
        return self.cluster["n1"].client.call("GET", f"/v1/kv/{table}/{key or self.key}").headers.get("Covey-Type")

    # --- counters ---

    def test_counter(self):
        answer = self.change("incr")
        self.assertEqual((answer["value"], answer["acks"]["needed"]), (1, 2))
        self.assertEqual(self.change("incr", "n2", by=41)["value"], 42)
        self.assertEqual(self.change("incr", "n3", by=-2)["value"], 40)
        self.assertEqual(self.value("n3"), 40)
        self.assertEqual(self.type_of(), "counter")
        self.assertEqual(self.change("incr", by=0.5)["value"], 40.5)
        self.change("incr", by=1, status=409, code="not_a_number")
        self.assertEqual(self.change("incr", by=0.5)["value"], 41)

    def test_counter_on_both_sides_of_a_cut(self):
        self.change("incr", by=1)
        self.cluster.part(["n1"], ["n2", "n3"])
        try:
            self.change("incr", "n1", by=10, query="?w=one")
            self.change("incr", "n2", by=100, query="?w=one")
        finally:
            self.cluster.heal()
        self.cluster.wait_converged()
        for node in ("n1", "n2", "n3"):
            self.assertEqual(self.value(node, query="?r=one"), 111)

    def test_token(self):
        for node in ("n1", "n2", "n3", "n1"):
            answer = self.change("incr", node, by=5, token="order 7")
            self.assertEqual(answer["value"], 5)
        self.assertTrue(answer["repeated"])
        self.assertEqual(self.value(), 5)

    def test_number_written_as_a_value(self):
        self.cluster["n1"].client.put(self.key, "5")
        self.assertEqual(self.change("incr")["value"], 6)
        self.assertEqual(self.value(), 6)
        context = self.cluster["n1"].client.get(self.key).context
        self.cluster["n1"].client.put(self.key, "text", headers={"Covey-Context": context})
        self.change("incr", status=409, code="not_a_number")
        self.assertEqual(self.type_of(), "value")

    def test_overflow(self):
        self.change("incr", by=2**63 - 1)
        self.change("incr", status=409, code="number_overflow")
        self.assertEqual(self.value(), 2**63 - 1)

    # --- sets ---

    def test_set(self):
        self.assertEqual(self.change("sadd", members=["b", "a", "b"])["added"], 2)
        self.assertEqual(self.change("sadd", "n2", members=["a", "ä", {"base64": "/w=="}])["added"], 2)
        self.assertEqual(self.value("n3"), ["a", "b", "ä", {"base64": "/w=="}])
        self.assertEqual(self.type_of(), "set")
        self.assertEqual(self.change("srem", members=["a", "x", {"base64": "/w=="}])["removed"], 2)
        self.assertEqual(self.value(), ["b", "ä"])
        self.change("srem", "n2", members=["b", "ä"])
        self.assert_answer(self.cluster["n1"].client.get(self.key), 404, "not_found")

    def test_addition_wins(self):
        self.change("sadd", members=["a", "b"], query="?w=all")
        self.cluster.part(["n1"], ["n2", "n3"])
        try:
            self.change("sadd", "n1", members=["a"], query="?w=one")
            self.change("srem", "n2", members=["a", "b"], query="?w=one")
        finally:
            self.cluster.heal()
        self.cluster.wait_converged()
        for node in ("n1", "n2", "n3"):
            self.assertEqual(self.value(node, query="?r=one"), ["a"])

    def test_limits(self):
        self.change("sadd", members=[str(i) for i in range(100)])
        self.change("sadd", members=["one more"], status=409, code="too_many_elements")
        self.change("sadd", key="long", members=["x" * 9000])
        self.change("sadd", key="long", members=["y" * 9000], status=413, code="too_large")
        self.change("sadd", key="many", members=[str(i) for i in range(101)], status=409, code="too_many_elements")

    # --- hashes ---

    def test_hash(self):
        self.assertEqual(self.change("hset", fields={"name": "Ada", "age": 36})["added"], 2)
        self.assertEqual(self.change("hset", "n2", fields={"age": 37, "city": "London"})["added"], 1)
        self.assertEqual(self.value("n3"), {"name": "Ada", "age": 37, "city": "London"})
        self.assertEqual(self.type_of(), "hash")
        self.assertEqual(self.change("hincr", field="age", by=3)["value"], 40)
        self.assertEqual(self.change("hdel", fields=["city", "none"])["removed"], 1)
        self.assertEqual(self.value(), {"name": "Ada", "age": 40})
        self.change("hincr", field="name", status=409, code="not_a_number")

    def test_hash_with_names_that_are_no_text(self):
        name = base64.b64encode(b"\xff\x00").decode()
        self.change("hset", fields=[[{"base64": name}, "v"], ["a", 1]])
        self.assertEqual(self.value(), [["a", 1], [{"base64": name}, "v"]])

    def test_fields_on_both_sides_of_a_cut(self):
        self.change("hset", fields={"a": "0", "b": "0"}, query="?w=all")
        self.cluster.part(["n1"], ["n2", "n3"])
        try:
            self.change("hset", "n1", fields={"a": "left"}, query="?w=one")
            self.change("hset", "n2", fields={"b": "right"}, query="?w=one")
            self.change("hincr", "n1", field="n", query="?w=one")
            self.change("hincr", "n2", field="n", query="?w=one")
        finally:
            self.cluster.heal()
        self.cluster.wait_converged()
        for node in ("n1", "n2", "n3"):
            self.assertEqual(self.value(node, query="?r=one"), {"a": "left", "b": "right", "n": 2})

    # --- all of them ---

    def test_wrong_type(self):
        self.change("sadd", members=["a"])
        self.change("incr", status=409, code="wrong_type")
        self.change("hset", fields={"f": "v"}, status=409, code="wrong_type")
        self.cluster["n1"].client.put(self.key, "a value, not having read")
        self.change("sadd", members=["a"], status=409, code="wrong_type")
        document = self.assert_answer(self.cluster["n1"].client.get(self.key, headers=DOCUMENT), 200).json
        shown = [(sibling.get("type"), sibling["value"]) for sibling in document["siblings"]]
        self.assertEqual(shown, [("set", ["a"]), (None, "a value, not having read")])
        self.cluster["n1"].client.put(self.key, "settled", headers={"Covey-Context": document["context"]})
        self.assertEqual(self.cluster["n1"].client.get(self.key).body, b"settled")
        document = self.assert_answer(self.cluster["n1"].client.get(self.key, headers=DOCUMENT), 200).json
        self.assertEqual(len(document["siblings"]), 1)

    def test_expiry(self):
        for op, members in (("incr", {}), ("sadd", {"members": ["a"]}), ("hset", {"fields": {"f": "v"}})):
            key = self.key + op
            self.change(op, key=key, query="?ttl_ms=100000", **members)
            self.change("persist", key=key)
            self.change("expire", key=key, query="?ttl_ms=1500")
            self.change(op, "n2", key=key, **members)
            harness.wait_until(lambda: self.cluster["n3"].client.get(key).status == 404, 20, "the key to expire")
        self.change("expire", status=400, code="bad_request")
        self.assertEqual(self.change("expire", key="nothing there", query="?ttl_ms=5")["added"], 0)

    def test_table_that_shows_the_newest(self):
        self.change("sadd", table="latest", members=["a"])
        self.change("sadd", "n2", table="latest", members=["b"])
        self.assertEqual(self.value(table="latest"), ["a", "b"])

    def test_lines(self):
        lines = [{"key": "l1", "op": "incr", "by": 2}, {"key": "l1", "op": "incr", "by": 3, "token": "t"},
                 {"key": "l2", "op": "sadd", "members": ["a"]}, {"key": "l3", "op": "hset", "fields": {"f": 1}},
                 {"key": "l3", "op": "hincr", "field": "f"}, {"key": "l1", "op": "get"}, {"key": "l2", "op": "get"},
                 {"key": "l3", "op": "get"}, {"key": "l2", "op": "incr"}, {"key": "l4", "op": "sadd"},
                 {"key": "l4", "value": 1, "by": 1}, {"key": "l4", "op": "incr", "value": 1}]
        answer = self.cluster["n1"].client.call("POST", "/v1/kv/default", "\n".join(json.dumps(line) for line in lines))
        results = self.assert_answer(answer, 200).lines
        self.assertEqual([line["status"] for line in results], [200] * 8 + [409] + [400] * 3)
        self.assertEqual((results[0]["value"], results[1]["value"], results[2]["added"], results[4]["value"]), (2, 5, 1, 2))
        self.assertEqual([(line["type"], line["value"]) for line in results[5:8]],
                         [("counter", 5), ("set", ["a"]), ("hash", {"f": 2})])
        rows = self.assert_answer(self.cluster["n2"].client.call("GET", "/v1/kv/default?prefix=l&r=quorum"), 200).lines
        self.assertEqual([(row["key"], row["type"], row["value"]) for row in rows[:-1] if row["key"] in ("l1", "l2", "l3")],
                         [("l1", "counter", 5), ("l2", "set", ["a"]), ("l3", "hash", {"f": 2})])

    def test_bad_bodies(self):
        for body in ("", "[]", "{}", "{\"op\": \"pop\"}", "{\"op\": \"incr\", \"by\": \"1\"}", "{\"op\": \"incr\", \"by\": 1e999}",
                     "{\"op\": \"incr\", \"token\": \"\"}", "{\"op\": \"incr\", \"token\": 1}", "{\"op\": \"incr\", \"members\": []}",
                     "{\"op\": \"sadd\"}", "{\"op\": \"sadd\", \"members\": []}", "{\"op\": \"sadd\", \"members\": [1]}",
                     "{\"op\": \"sadd\", \"members\": [{\"base64\": \"?\"}]}", "{\"op\": \"hset\", \"fields\": {}}",
                     "{\"op\": \"hset\", \"fields\": {\"f\": null}}", "{\"op\": \"hset\", \"fields\": {\"f\": [1]}}",
                     "{\"op\": \"hset\", \"fields\": {\"f\": 123456789012345678901234567890}}",
                     "{\"op\": \"hset\", \"fields\": [[\"a\"]]}", "{\"op\": \"hdel\", \"fields\": {\"a\": 1}}",
                     "{\"op\": \"hincr\"}", "{\"op\": \"persist\", \"by\": 1}", "{\"op\": \"incr\", \"op\": \"incr\"}",
                     "{\"op\": \"incr\", \"amount\": 1}"):
            answer = self.cluster["n1"].client.call("POST", "/v1/kv/default/bad", body)
            self.assert_answer(answer, 400, "bad_request")
            self.assertGreater(len(answer.error["message"]), 20, body)
        answer = self.cluster["n1"].client.call("POST", "/v1/kv/default/bad", "{\"op\": \"incr\"}", {"Covey-Context": "AAAA"})
        self.assert_answer(answer, 400, "bad_request")
        self.assert_answer(self.cluster["n1"].client.get("bad"), 404, "not_found")

    # --- columns ---

    def test_columns(self):
        self.change("hset", key="p1", table="people", fields={"age": 30, "city": "Oslo", "score": 1.5})
        self.change("hset", key="p2", table="people", fields={"age": 40, "city": "123"})
        self.change("hincr", key="p2", table="people", field="age", by=2)
        self.change("hset", key="p1", table="people", fields={"age": "old"}, status=422, code="bad_column")
        self.change("hincr", key="p1", table="people", field="city", status=422, code="bad_column")
        self.change("hincr", key="p1", table="people", field="age", by=0.5, status=422, code="bad_column")
        self.change("incr", key="c1", table="counts", by=5)
        self.change("incr", "n2", key="c2", table="counts", by=7)
        self.change("sadd", "n3", key="s1", table="counts", members=["a", "b", "c"])
        self.assertIn("72", self.run_ok("--table", "people", "agg", "sum(age)"))
        self.assertIn("123", self.run_ok("--table", "people", "agg", "count", "--by", "city"))
        self.assertIn("15", self.run_ok("--table", "counts", "agg", "sum(n)"))

    # --- the command line ---

    def run_ok(self, *arguments, code=0, node="n1", **options):
        ended = covey(*arguments, nodes=[self.cluster[node].address], **options)
        self.assertEqual(ended.returncode, code, f"covey {' '.join(arguments)}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def test_command_line(self):
        self.assertEqual(self.run_ok("incr", "c"), "1\n")
        self.assertEqual(self.run_ok("incr", "c", "5", "-w", "all", "--token", "t"), "6\n")
        self.assertEqual(self.run_ok("incr", "c", "5", "--token", "t", node="n2"), "6\n")
        self.assertEqual(self.run_ok("incr", "c", "--", "-2.5"), "3.5\n")
        self.assertEqual(self.run_ok("get", "c"), "3.5\n")
        self.assertEqual(self.run_ok("sadd", "s", "b", "a", "b"), "2 added\n")
        self.assertEqual(self.run_ok("smembers", "s", "-r", "quorum", node="n3"), "a\nb\n")
        self.assertEqual(json.loads(self.run_ok("--output", "json", "smembers", "s")), ["a", "b"])
        self.assertEqual(self.run_ok("srem", "s", "a", "x"), "1 removed\n")
        self.assertEqual(self.run_ok("hset", "h", "name", "Ada", "age", "36"), "2 added\n")
        self.assertEqual(self.run_ok("hget", "h", "name", node="n2"), "Ada\n")
        self.run_ok("hget", "h", "none", code=3)
        self.assertEqual(self.run_ok("hincr", "h", "age"), "37\n")
        self.assertEqual(self.run_ok("hgetall", "h"), "age\t37\nname\tAda\n")
        self.assertEqual(json.loads(self.run_ok("--output", "json", "hgetall", "h")), {"age": 37, "name": "Ada"})
        self.assertEqual(self.run_ok("hdel", "h", "age"), "1 removed\n")
        changed = json.loads(self.run_ok("--output", "json", "incr", "c", "0.5"))
        self.assertEqual((changed["value"], changed["acks"]["needed"]), (4, 2))
        self.run_ok("smembers", "h", code=1)
        self.run_ok("hgetall", "s", code=1)
        self.run_ok("smembers", "nothing", code=3)
        self.run_ok("incr", "s", code=1)
        before = self.run_ok("export", "s") + self.run_ok("export", "h")
        self.run_ok("incr", "elsewhere", "7")
        self.run_ok("sadd", "h2", "stays")
        self.run_ok("import", "-", "--format", "jsonl", input=before.replace('"h"', '"h2"') + self.run_ok("export", "elsewhere"))
        self.assertEqual(self.run_ok("hgetall", "h2"), self.run_ok("hgetall", "h"))
        self.assertEqual(self.run_ok("smembers", "s"), "b\n")
        self.assertEqual(self.run_ok("get", "elsewhere"), "7\n")
        self.run_ok("del", "h")
        self.run_ok("hgetall", "h", code=3)
        for wrong in (("incr",), ("incr", "c", "much"), ("sadd", "s"), ("hset", "h", "f"), ("hincr", "h"), ("hget", "h")):
            self.run_ok(*wrong, code=2)
        for command in ("incr", "sadd", "srem", "smembers", "hset", "hget", "hgetall", "hdel", "hincr"):
            self.assertIn("Example", self.run_ok(command, "--help"), command)


if __name__ == "__main__":
    harness.main()
