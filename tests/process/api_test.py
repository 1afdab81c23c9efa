#!/usr/bin/env python3
"""The HTTP interface as it is documented, call by call, on three nodes."""

import base64
import json
import re
import time

import harness

DOT = re.compile(r"^n\d\.[0-9a-f]+:\d+$")
CONTEXT = re.compile(r"^[A-Za-z0-9_-]+$")
DOCUMENT = {"Accept": "application/vnd.covey+json"}


class Api(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster(3, tables=[
            {"name": "readings", "conflicts": "lww",
             "columns": [{"name": "temp", "path": "/temp", "type": "float64"},
                         {"name": "count", "path": "/count", "type": "int64"},
                         {"name": "site", "path": "/site", "type": "string"}]}])
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()

    def setUp(self):
        self.client = self.cluster["n1"].client
        self.key = self.id().rsplit(".", 1)[1]

    # --- nodes ---

    def test_ready_line(self):
        node = self.cluster["n1"]
        line = node.out.read_text().splitlines()
        self.assertEqual(len(line), 1)
        self.assertRegex(line[0], rf"^ready: node n1 http 127\.0\.0\.1:{node.http_port} resp \S+ peer "
                                  rf"127\.0\.0\.1:{node.peer_port}$")

    def test_health(self):
        for path in ("/v1/health/live", "/v1/health/ready"):
            self.assertEqual(self.client.call("GET", path).status, 200)

    # --- one key ---

    def test_read_of_nothing(self):
        answer = self.assert_answer(self.client.get(self.key), 404, "not_found")
        self.assertRegex(answer.context, CONTEXT, "absent keys have a context too")
        self.assertRegex(answer.headers["Covey-Replicas"], r"^[23]/3$")

    def test_write_and_read(self):
        written = self.assert_answer(self.client.put(self.key, "hello", headers={"Content-Type": "text/css"}), 200)
        self.assertRegex(written.json["dot"], DOT)
        self.assertEqual(written.json["acks"]["needed"], 2)
        self.assertGreaterEqual(written.json["acks"]["received"], 2)
        self.assertEqual(written.json["context"], written.context)
        for node in self.cluster:
            read = node.client.get(self.key)
            self.assertEqual((read.status, read.body, read.headers["Content-Type"]), (200, b"hello", "text/css"))
            self.assertRegex(read.context, CONTEXT)
            self.assertRegex(read.headers["Covey-Replicas"], r"^[23]/3$")

    def test_any_bytes_are_keys_and_values(self):
        for key in (bytes(range(256)), b"a/b?c#d%41 +", b"k" * 2048, b"\0", "Schlüssel".encode(), b".", b".."):
            value = bytes(reversed(range(256)))
            self.assert_answer(self.client.put(key, value), 200)
            self.assertEqual(self.cluster["n2"].client.get(key).body, value)

    def test_values_of_every_size(self):
        for size in (0, 1, 65535, 65536, 1024 * 1024):
            self.assert_answer(self.client.put(self.key, b"v" * size, context=self.client.get(self.key).context), 200)
            self.assertEqual(len(self.cluster["n3"].client.get(self.key).body), size)

    def test_a_context_overwrites_what_it_covers(self):
        first = self.client.put(self.key, "1")
        second = self.cluster["n2"].client.put(self.key, "2", context=first.context)
        self.assertEqual(self.client.get(self.key).values, ["2"])
        third = self.cluster["n3"].client.put(self.key, "3", context=second.json["context"])
        self.assert_answer(third, 200)
        self.assertEqual(self.client.get(self.key).values, ["3"])

    def test_what_a_context_does_not_cover_stays_as_a_sibling(self):
        first = self.client.put(self.key, "1")
        self.client.put(self.key, "2", context=first.context)
        self.cluster["n2"].client.put(self.key, '{"three": 3}', context=first.context,
                                      headers={"Content-Type": "application/json"})
        self.cluster["n3"].client.put(self.key, b"\xff\xfe")
        read = self.client.get(self.key, r="all")
        self.assertEqual((read.status, read.headers["Content-Type"]), (300, "application/json"))
        siblings = read.json["siblings"]
        self.assertEqual(len(siblings), 3)
        self.assertEqual(read.json["context"], read.context)
        by_type = {s["content_type"]: s for s in siblings}
        for sibling in siblings:
            self.assertRegex(sibling["dot"], DOT)
            self.assertRegex(sibling["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(by_type["application/json"]["value"], {"three": 3})
        binary = [s for s in siblings if s.get("base64")]
        self.assertEqual([base64.b64decode(s["value"]) for s in binary], [b"\xff\xfe"])
        self.client.put(self.key, "settled", context=read.context)
        self.assertEqual(self.cluster["n2"].client.get(self.key).values, ["settled"])

    def test_documents(self):
        absent = self.client.get(self.key, headers=DOCUMENT)
        self.assertEqual((absent.status, absent.json["siblings"]), (404, []))
        self.client.put(self.key, "1", w="all")
        one = self.client.get(self.key, headers=DOCUMENT, r=2)
        self.assertEqual((one.status, len(one.json["siblings"])), (200, 1))
        self.assertEqual(one.json["replicas"]["owners"], 3)
        self.assertGreaterEqual(one.json["replicas"]["answered"], 2)
        self.assertEqual(sorted(one.json["replicas"]), ["answered", "asked", "behind", "owners"])
        self.assertEqual(one.json["context"], one.context)
        self.client.put(self.key, "2")
        two = self.client.get(self.key, headers=DOCUMENT)
        self.assertEqual((two.status, len(two.json["siblings"])), (200, 2))

    def test_delete(self):
        self.client.put(self.key, "1")
        context = self.client.get(self.key).context
        deleted = self.assert_answer(self.cluster["n2"].client.delete(self.key, context=context), 200)
        self.assertRegex(deleted.json["dot"], DOT)
        for node in self.cluster:
            self.assert_answer(node.client.get(self.key), 404, "not_found")

    def test_delete_leaves_what_it_has_not_seen(self):
        context = self.client.put(self.key, "seen").context
        self.client.put(self.key, "unseen")
        self.client.delete(self.key, context=context)
        self.assertEqual(self.cluster["n3"].client.get(self.key).values, ["unseen"])

    def test_deletes_leave_nothing_behind(self):
        key = self.key
        partition = self.client.explain(key)["partition"]

        def objects():
            return [p["objects"] for n in self.cluster for p in n.client.cluster()["ring"] if p["partition"] == partition]
        self.cluster.wait_converged()
        before = objects()
        self.client.put(key, "1")
        self.client.delete(key, context=self.client.get(key).context)
        self.cluster.wait_converged()
        self.assertEqual(objects(), before)
        harness.wait_until(lambda: not any(p["log"] for n in self.cluster for p in n.client.cluster()["ring"]), 20,
                           "dot logs to be empty")

    def test_levels(self):
        for level, needed in (("one", 1), ("quorum", 2), ("all", 3), ("1", 1), ("2", 2), ("3", 3)):
            written = self.client.put(self.key, "1", context=self.client.get(self.key).context, w=level)
            self.assertEqual(written.json["acks"]["needed"], needed)
            self.assertGreaterEqual(written.json["acks"]["received"], needed)
            read = self.client.get(self.key, r=level, headers=DOCUMENT)
            self.assertGreaterEqual(read.json["replicas"]["answered"], needed)

    def test_conditions(self):
        first = self.assert_answer(self.client.put(self.key, "1", headers={"If-None-Match": "*"}), 200)
        self.assert_answer(self.client.put(self.key, "2", headers={"If-None-Match": "*"}), 412, "precondition_failed")
        dot = first.json["dot"]
        second = self.assert_answer(self.client.put(self.key, "2", context=first.context,
                                                    headers={"If-Match": f'"{dot}"'}), 200)
        self.assert_answer(self.client.put(self.key, "3", headers={"If-Match": f'"{dot}"'}), 412, "precondition_failed")
        self.assert_answer(self.client.delete(self.key, headers={"If-Match": f'"{dot}"'}), 412, "precondition_failed")
        self.assert_answer(self.client.delete(self.key, context=second.context,
                                              headers={"If-Match": f'"{second.json["dot"]}"'}), 200)

    def test_ttl(self):
        self.client.put(self.key, "short", ttl_ms=1500)
        self.client.put(self.key + "-long", "long", ttl_ms=3_600_000)
        self.assertEqual(self.client.get(self.key).values, ["short"])
        harness.wait_until(lambda: all(n.client.get(self.key, r=1).status == 404 for n in self.cluster), 20,
                           "the value to expire everywhere")
        self.assertEqual(self.client.get(self.key + "-long").values, ["long"])

    def test_too_many_siblings(self):
        lines = [{"key": self.key, "value": i} for i in range(100)]
        self.assertEqual({line["status"] for line in self.client.batch(lines).lines}, {200})
        self.assert_answer(self.client.put(self.key, "one more"), 409, "too_many_siblings")
        read = self.client.get(self.key)
        self.assertEqual(len(read.json["siblings"]), 100)
        self.assert_answer(self.client.put(self.key, "settled", context=read.context), 200)
        self.assertEqual(self.client.get(self.key).values, ["settled"])

    # --- batches and scans ---

    def test_batch(self):
        binary = base64.b64encode(b"\xff\0").decode()
        answer = self.client.batch([
            {"key": "batch/a", "value": {"n": 1}}, {"key": "batch/b", "value": "text", "op": "put"},
            {"key_base64": binary, "value_base64": binary, "content_type": "image/x"},
            {"key": "batch/a", "op": "get"}, {"key": "batch/none", "op": "get"}, {"key": "x" * 3000, "value": 1},
            {"key": "batch/c", "value": 9007199254740993, "ttl_ms": 3_600_000}])
        self.assertEqual(answer.status, 200)
        lines = answer.lines
        self.assertEqual([line["status"] for line in lines], [200, 200, 200, 200, 404, 413, 200])
        self.assertEqual([line.get("key", line.get("key_base64")) for line in lines][:5],
                         ["batch/a", "batch/b", binary, "batch/a", "batch/none"], "a result for each line, in order")
        self.assertRegex(lines[0]["dot"], DOT)
        self.assertRegex(lines[0]["context"], CONTEXT)
        self.assertEqual(lines[3]["value"], {"n": 1})
        self.assertEqual(lines[4]["error"]["code"], "not_found")
        self.assertEqual(lines[5]["error"]["code"], "too_large")
        stored = self.cluster["n2"].client.get(b"\xff\0")
        self.assertEqual((stored.body, stored.headers["Content-Type"]), (b"\xff\0", "image/x"))
        self.assertEqual(self.client.get("batch/c").body, b"9007199254740993", "numbers keep their digits")

        answer = self.client.batch([{"key": "batch/a", "value": 2, "context": lines[0]["context"]},
                                    {"key": "batch/b", "op": "delete", "context": lines[1]["context"]},
                                    {"key": "batch/a", "op": "get"}], w="all")
        self.assertEqual([line["status"] for line in answer.lines][:2], [200, 200])
        self.assertEqual(self.client.get("batch/a").json, 2)
        self.assert_answer(self.client.get("batch/b"), 404, "not_found")

    def test_empty_batch(self):
        for body in (b"", b"\n\n"):
            answer = self.client.call("POST", "/v1/kv/default", body)
            self.assertEqual((answer.status, answer.body), (200, b""))

    def test_scan(self):
        keys = [f"scan/{i:04}" for i in range(500)]
        self.client.batch([{"key": key, "value": {"of": key}} for key in keys], w="all")
        self.client.put("scan/0007", '{"of": "sibling"}', headers={"Content-Type": "application/json"}, w="all")
        gone = self.client.get("scan/0003").context
        self.client.delete("scan/0003", context=gone, w="all")
        keys.remove("scan/0003")
        seen, cursor, pages = [], None, 0
        while True:
            options = {"prefix": "scan/", "limit": 77}
            if cursor:
                options["cursor"] = cursor
            answer = self.cluster["n2"].client.scan(**options)
            self.assertEqual(answer.status, 200)
            *rows, end = answer.lines
            self.assertIn("cursor", end)
            seen += rows
            cursor, pages = end["cursor"], pages + 1
            if not cursor:
                break
        self.assertEqual([row["key"] for row in seen], keys, "in order, each once, over pages")
        self.assertGreater(pages, 6)
        self.assertEqual(seen[0]["value"], {"of": "scan/0000"})
        self.assertRegex(seen[0]["context"], CONTEXT)
        self.assertEqual(len(next(row for row in seen if row["key"] == "scan/0007")["siblings"]), 2)
        started = self.client.scan(prefix="scan/", start="scan/0400", limit=1000, r="all").lines
        self.assertEqual([row["key"] for row in started[:-1]], [key for key in keys if key >= "scan/0400"])

    # --- tables ---

    def test_tables_at_run_time(self):
        definition = {"conflicts": "lww", "columns": [{"name": "a", "path": "/a", "type": "int64"}]}
        made = self.client.call("PUT", "/v1/tables/made", json.dumps(definition).encode())
        self.assertEqual(made.status, 200)
        for node in self.cluster:
            shown = harness.wait_until(lambda: (a := node.client.call("GET", "/v1/tables/made")).status == 200 and a, 20,
                                       f"the table at {node.name}").json
            self.assertEqual((shown["name"], shown["conflicts"], shown["columns"]),
                             ("made", "lww", definition["columns"]))
        names = [t["name"] for t in self.client.call("GET", "/v1/tables").json["tables"]]
        self.assertEqual(names, sorted(names))
        self.assertLessEqual({"default", "made", "readings"}, set(names))
        self.assert_answer(self.client.put("k", '{"a": 1}', table="made"), 200)
        altered = {"conflicts": "lww", "columns": []}
        self.client.call("PUT", "/v1/tables/made", json.dumps(altered).encode())
        harness.wait_until(lambda: self.cluster["n3"].client.call("GET", "/v1/tables/made").json["columns"] == [], 20,
                           "the altered table at n3")
        self.assert_answer(self.client.put("k2", "no JSON at all", table="made"), 200)
        self.assertEqual(self.client.call("DELETE", "/v1/tables/made").status, 200)
        for node in self.cluster:
            harness.wait_until(lambda: node.client.get("k", table="made").code == "no_such_table", 20,
                               f"the table to be gone at {node.name}")
        again = {"conflicts": "siblings"}
        harness.wait_until(
            lambda: self.client.call("PUT", "/v1/tables/made", json.dumps(again).encode()).status == 200, 30,
            "a new table of that name")
        harness.wait_until(lambda: all(n.client.get("k", table="made").code == "not_found" for n in self.cluster), 30,
                           "the new table at every node, empty")

    def test_last_write_wins(self):
        for i, node in enumerate(self.cluster):
            self.assert_answer(node.client.put("k", json.dumps({"count": i}), table="readings", w="all"), 200)
            time.sleep(0.005)
        for node in self.cluster:
            self.assertEqual(node.client.get("k", table="readings").json, {"count": 2})

    def test_columns(self):
        put = self.client.put
        self.assert_answer(put("c", '{"temp": 1, "count": 2, "site": "x", "more": []}', table="readings"), 200)
        self.assert_answer(put("c", '{"temp": null}', table="readings"), 200)
        self.assert_answer(put("c", '{}', table="readings"), 200)
        for bad in ('{"temp": "1"}', '{"count": 1.5}', '{"site": 1}', '[1]', 'x'):
            self.assert_answer(put("c", bad, table="readings"), 422, "bad_column")

    # --- the cluster ---

    def test_cluster(self):
        cluster = self.client.cluster()
        self.assertEqual([m["node"] for m in cluster["members"]], ["n1", "n2", "n3"])
        self.assertEqual({m["state"] for m in cluster["members"]}, {"alive"})
        self.assertEqual(len(cluster["ring"]), 16)
        for partition in cluster["ring"]:
            self.assertEqual(sorted(partition["owners"]), ["n1", "n2", "n3"])
            self.assertIn("clock", partition)
        self.assertIn("divergence", cluster)

    def test_explain(self):
        answer = self.client.explain(self.key, r="quorum", w="all")
        self.assertEqual(sorted(owner["node"] for owner in answer["owners"]), ["n1", "n2", "n3"])
        self.assertTrue(answer["read"]["would_succeed"] and answer["write"]["would_succeed"])
        self.assertEqual((answer["read"]["needed"], answer["write"]["needed"]), (2, 3))

    def test_explain_and_503_agree(self):
        """With a node gone, explain says what a write then answers: needed, reachable, and who is missing."""
        self.cluster["n3"].kill9()
        try:
            harness.wait_until(lambda: not self.cluster.reaches(self.cluster["n1"])["n3"], 20, "n3 to be missed")
            explained = self.client.explain(self.key, w="all", sloppy="false")
            self.assertFalse(explained["write"]["would_succeed"])
            error = self.assert_answer(self.client.put(self.key, "x", w="all", sloppy=False), 503, "unavailable").error
            self.assertEqual((error["needed"], error["reachable"]), (3, 2))
            self.assertEqual(list(error["owners"]), ["n3"])
            self.assertIn(error["owners"]["n3"], ("suspected", "unreachable", "dead"))
            self.assert_answer(self.client.get(self.key), 404, "not_found")  # nothing was written
            self.assert_answer(self.client.put(self.key, "x", w="quorum", sloppy=False), 200)
        finally:
            self.cluster["n3"].start()
            self.cluster.wait_met()
        self.cluster.wait_converged()
        self.assertEqual(self.cluster["n3"].client.get(self.key, r=1).values, ["x"])

    def test_metrics(self):
        self.client.put(self.key, "x")
        answer = self.client.call("GET", "/metrics")
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))
        types = {}
        for line in answer.body.decode().splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.assertNotIn(name, types, "each metric is declared once")
                types[name] = kind
            elif not line.startswith("#"):
                self.assertRegex(line, r'^[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+$')
        self.assertIn("histogram", types.values())

    def test_head_and_keep_alive(self):
        self.client.put(self.key, "12345")
        answer = self.client.call("HEAD", f"/v1/kv/default/{self.key}")
        self.assertEqual((answer.status, answer.body, answer.headers["Content-Length"]), (200, b"", "5"))

    def test_large_writes_in_a_row_wait_for_each_other(self):
        from http_client import raw
        value, count = b"w" * (1024 * 1024), 40
        request = (b"PUT /v1/kv/default/row-%d?w=2&timeout_ms=20000 HTTP/1.1\r\nHost: x\r\nContent-Length: "
                   + str(len(value)).encode() + b"\r\n\r\n" + value)
        out = raw(self.cluster["n1"].http_port, b"".join(request.replace(b"-%d", b"-%d" % i, 1) for i in range(count))
                  + b"GET /v1/health/live HTTP/1.0\r\n\r\n", wait_s=30)
        self.assertEqual(out.count(b"HTTP/1.1 200 OK\r\n"), count + 1, out[-300:])

    def test_more_large_reads_at_once_than_a_peers_buffer_holds(self):
        from http_client import raw
        value, count = b"v" * (1024 * 1024), 40
        for i in range(count):
            self.assert_answer(self.client.put(f"large-{i}", value, w="all"), 200)
        requests = b"".join(b"GET /v1/kv/default/large-%d?r=2&timeout_ms=10000 HTTP/1.1\r\nHost: x\r\n\r\n" % i
                            for i in range(count))
        out = raw(self.cluster["n1"].http_port, requests + b"GET /v1/health/live HTTP/1.0\r\n\r\n", wait_s=15)
        self.assertEqual(out.count(b"HTTP/1.1 200 OK\r\n"), count + 1)
        self.assertGreater(len(out), count * len(value))

    def test_requests_as_proxies_and_old_clients_send_them(self):
        from http_client import raw
        port = self.cluster["n1"].http_port
        live = b"{\"status\":\"live\"}\n"
        for head in (b"GET http://any.host:1/v1/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                     b"\r\nGET /v1/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                     b"GET /v1/health/live HTTP/1.0\r\n\r\n"):
            out = raw(port, head)
            self.assertTrue(out.startswith(b"HTTP/1.1 200 OK\r\n") and out.endswith(live), out)
        path = f"/v1/kv/default/{self.key}".encode()
        out = raw(port, b"PUT " + path + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nabc", wait_s=2)
        self.assertTrue(out.startswith(b"HTTP/1.1 501 "), out)
        self.assertEqual(out.count(b"HTTP/1.1 "), 1, "the body is not taken for a request")
        self.assert_answer(self.client.get(self.key), 404, "not_found")

    def test_numbers_keep_their_digits_in_every_answer(self):
        body = b'{"key":"digits","value":{"n":[12345678901234567890123,1e999,-0,1.50]}}\n{"key":"digits","value":2}\n'
        number = b'{"n":[12345678901234567890123,1e999,-0,1.50]}'
        lines = self.client.call("POST", "/v1/kv/default", body).lines
        self.assertEqual([line["status"] for line in lines], [200, 200])
        self.assertIn(b'"value":' + number, self.client.get("digits").body)
        self.assertIn(b'"value":' + number, self.client.scan(prefix="digits").body)
        self.assertIn(b'"value":' + number, self.client.batch([{"key": "digits", "op": "get"}]).body)

    def test_pipelined_requests_are_answered_in_order(self):
        from http_client import raw
        requests = b"".join(b"PUT /v1/kv/default/pipe-%d?w=all HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n%03d"
                            b"GET /v1/kv/default/pipe-%d?r=1 HTTP/1.1\r\nHost: x\r\n\r\n" % (i, i, i) for i in range(100))
        requests += b"GET /v1/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        out = raw(self.cluster["n1"].http_port, requests, wait_s=15)
        self.assertEqual(out.count(b"HTTP/1.1 "), 201)


if __name__ == "__main__":
    harness.main()
