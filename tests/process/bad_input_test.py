#!/usr/bin/env python3
"""What clients and strangers must not be able to do: every answer is API.md's, the node goes on, nothing changes."""

import base64
import json
import os
import random
import socket
import struct
import subprocess
import threading
import time

import harness
from http_client import Http, raw

MIB = 1024 * 1024


def head_of(answer):
    return answer.split(b"\r\n", 1)[0]


def flipped(token, position):
    """A token with one character exchanged."""
    other = "A" if token[position] != "A" else "B"
    return token[:position] + other + token[position + 1:]


class BadInput(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster(3)
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()
        client = cls.cluster["n1"].client
        assert client.call("PUT", "/v1/tables/typed", json.dumps(
            {"columns": [{"name": "n", "path": "/n", "type": "int64"}]}).encode()).status == 200
        for i in range(50):
            assert client.put(f"k{i}", f"value {i}", w=3).status == 200
        cls.cluster.wait_converged()

    def setUp(self):
        self.node = self.cluster["n1"]
        self.client = self.node.client
        self.before = self.cluster.state_hashes()
        self.addCleanup(self.assert_unharmed)

    def assert_unharmed(self):
        for node in self.cluster:
            self.assertTrue(node.alive(), f"{node.name} goes on: {node.log_end()}")
            self.assertEqual(node.new_client().get("k1", r=1).values, ["value 1"])
        self.assertEqual(self.cluster.state_hashes(), self.before, "nothing has changed")

    def refuse(self, status, code, method, path, body=None, headers=None):
        return self.assert_answer(self.client.call(method, path, body, headers), status, code)

    # --- levels and other parameters ---

    def test_levels(self):
        for level in ("0", "4", "-1", "two", "", "1.5", "QUORUM", "1e0", "99999999999999999999", "%00", "one,all"):
            self.refuse(400, "bad_request", "GET", f"/v1/kv/default/k1?r={level}")
            self.refuse(400, "bad_request", "PUT", f"/v1/kv/default/k1?w={level}", b"x")
            self.refuse(400, "bad_request", "DELETE", f"/v1/kv/default/k1?w={level}")
            self.refuse(400, "bad_request", "GET", f"/v1/kv/default?r={level}")
            self.refuse(400, "bad_request", "POST", f"/v1/kv/default?w={level}", b'{"key":"k1","value":1}\n')
            self.refuse(400, "bad_request", "GET", f"/v1/explain/default/k1?r={level}")

    def test_parameters(self):
        for parameter in ("sloppy=yes", "sloppy=", "timeout_ms=0", "timeout_ms=-5", "timeout_ms=soon", "ttl_ms=0",
                          "ttl_ms=x", "ttl_ms=-1", "ttl_ms=99999999999999999999999", "timeout_ms=%zz", "%"):
            self.refuse(400, "bad_request", "PUT", f"/v1/kv/default/k1?{parameter}", b"x")
        for parameter in ("limit=0", "limit=-1", "limit=many", "cursor=!!", "cursor=AAAA"):
            self.refuse(400, "bad_request", "GET", f"/v1/kv/default?{parameter}")

    # --- contexts ---

    def test_contexts(self):
        good = self.client.get("k1").context
        elsewhere = self.client.get("k2").context
        forged = ["x", "", "====", "null", "AAAA", "A" * 5000, good[:-1], good[:-4], good[: len(good) // 2], good[1:],
                  good + "A", good + good, "é".encode().decode("latin-1"), elsewhere,
                  base64.urlsafe_b64encode(os.urandom(40)).decode().rstrip("=")]
        forged += [flipped(good, i) for i in range(len(good) - 1)]
        for context in forged:
            for method, body in (("PUT", b"x"), ("DELETE", None)):
                answer = self.client.call(method, "/v1/kv/default/k1", body, {"Covey-Context": context})
                self.assertEqual((answer.status, answer.code), (400, "bad_request"), f"context {context!r}: {answer!r}")
        answer = self.client.put("k1", "x", table="typed", context=good)
        self.assertIn(answer.status, (400, 422), "the context of another table's key")
        lines = self.client.batch([{"key": "k1", "value": 1, "context": c} for c in forged[:12]]).lines
        self.assertEqual({line["status"] for line in lines}, {400})

    def test_conditions(self):
        for name, value in (("If-None-Match", '"x"'), ("If-None-Match", "n1.1:1"), ("If-Match", "garbage"),
                            ("If-Match", '"n1.1"'), ("If-Match", '"n1.zz:1"'), ("If-Match", '"n1.1:-4"'),
                            ("If-Match", "")):
            answer = self.client.call("PUT", "/v1/kv/default/k1", b"x", {name: value})
            if value:  # an empty field is none
                self.assert_answer(answer, 400, "bad_request")
        if answer.status == 200:  # that write was one: take it back
            context = self.client.get("k1").context
            self.client.put("k1", "value 1", context=context, w=3)
            self.cluster.wait_converged()
            self.before = self.cluster.state_hashes()
        self.assert_answer(self.client.put("k1", "x", headers={"If-None-Match": "*"}), 412, "precondition_failed")
        self.assert_answer(self.client.put("k1", "x", headers={"If-Match": '"n1.1:1"'}), 412, "precondition_failed")

    # --- keys, bodies, tables, paths, methods ---

    def test_keys(self):
        for method, body in (("GET", None), ("PUT", b"x"), ("DELETE", None)):
            self.refuse(400, "bad_request", method, "/v1/kv/default/", body)
            self.refuse(413, "too_large", method, "/v1/kv/default/" + "k" * 2049, body)
            self.refuse(413, "too_large", method, "/v1/kv/default/" + "%00" * 2049, body)
            self.refuse(400, "bad_request", method, "/v1/kv/default/%", body)
            self.refuse(400, "bad_request", method, "/v1/kv/default/a%4", body)
            self.refuse(400, "bad_request", method, "/v1/kv/default/a%zz", body)
        lines = self.client.batch([{"key": ""}, {"key": "k" * 2049, "value": 1}, {"key_base64": "", "value": 1},
                                   {"key_base64": "!!", "value": 1}]).lines
        self.assertEqual([line["status"] for line in lines], [400, 413, 400, 400])

    def test_bodies_over_the_limit(self):
        answer = self.refuse(413, "too_large", "PUT", "/v1/kv/default/k1", b"x" * (MIB + 1))
        self.assertIn("1048576", answer.error["message"], "the limit is named")
        announced = b"PUT /v1/kv/default/k1 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n"
        self.assertIn(b" 413 ", head_of(raw(self.node.http_port, announced)))
        chunks = (b"PUT /v1/kv/default/k1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                  + b"40000\r\n" + b"x" * 0x40000 + b"\r\n") + (b"40000\r\n" + b"x" * 0x40000 + b"\r\n") * 8 + b"0\r\n\r\n"
        self.assertIn(b" 413 ", head_of(raw(self.node.http_port, chunks)))
        self.assertIn(b" 413 ", head_of(raw(self.node.http_port,
                      b"PUT /v1/kv/default/k1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n")))
        line = self.client.batch([{"key": "k1", "value": "x" * (MIB + 1)}]).lines[0]
        self.assertEqual((line["status"], line["error"]["code"]), (413, "too_large"))

    def test_columns(self):
        for body in (b"", b"1", b"[]", b"text", b'{"n":', b'{"n":"1"}', b'{"n":1.5}', b'{"n":99999999999999999999}'):
            self.refuse(422, "bad_column", "PUT", "/v1/kv/typed/k1", body)

    def test_tables(self):
        for method, path in (("GET", "/v1/kv/absent/k"), ("GET", "/v1/kv/absent"), ("GET", "/v1/explain/absent/k"),
                             ("GET", "/v1/tables/absent"), ("DELETE", "/v1/tables/absent")):
            self.refuse(404, "no_such_table", method, path)
        self.refuse(404, "no_such_table", "PUT", "/v1/kv/absent/k", b"x")
        self.refuse(404, "no_such_table", "POST", "/v1/kv/absent", b'{"key":"a","value":1}\n')
        for name in ("a%2Fb", "%00", "a%20b", "x" * 65, "%ff"):
            self.refuse(400, "bad_request", "PUT", f"/v1/tables/{name}", b"{}")
        for body in (b"{", b"[]", b'"x"', b'{"conflicts":"newest"}', b'{"colums":[]}', b'{"columns":{}}',
                     b'{"columns":[{}]}', b'{"columns":[{"name":"a","type":"int32"}]}',
                     b'{"columns":[{"name":"a","path":"x","type":"int64"}]}',
                     b'{"columns":[{"name":"a","type":"int64"},{"name":"a","type":"string"}]}'):
            self.refuse(400, "bad_request", "PUT", "/v1/tables/new", body)
        self.refuse(400, "bad_request", "DELETE", "/v1/tables/default")

    def test_paths_and_methods(self):
        for path in ("/", "/v1", "/v1/", "/v1/kv", "/v2/kv/default/k1", "/v1/cluster/x", "/metrics/", "//", "/v1/health"):
            self.refuse(404, "not_found", "GET", path)
        for method, path in (("POST", "/v1/explain/default/k1"), ("PATCH", "/v1/kv/default/k1"), ("PUT", "/v1/kv/default"),
                             ("DELETE", "/v1/kv/default"), ("POST", "/v1/cluster"), ("PUT", "/metrics"),
                             ("DELETE", "/v1/health/ready"), ("POST", "/v1/tables"), ("PUT", "/v1/explain/default/k1"),
                             ("BREW", "/v1/kv/default/k1")):
            answer = self.refuse(405, "method_not_allowed", method, path)
            self.assertIn("Allow", answer.headers)

    def test_what_is_nested_without_end(self):
        deep = b"[" * 100000 + b"]" * 100000
        for method, path, body in (("PUT", "/v1/tables/deep", b'{"columns": %s}' % deep), ("POST", "/v1/aggregate", deep),
                                   ("POST", "/v1/cluster/leave", b'{"node": %s}' % deep),
                                   ("POST", "/v1/cluster/replace", b"[" * 100000)):
            answer = self.client.call(method, path, body)
            self.assert_answer(answer, 400, "bad_request")
            self.assertIn("32 levels", answer.error["message"])

    def test_broken_batches(self):
        fine = b'{"key":"k1","value":"overwritten"}\n'
        for line, number in ((b"{", 2), (b"[1]", 2), (b'{"key":"a","value":}', 2), (b"\xff\xfe", 2), (b'"text"', 2),
                             (b"{}{}", 2), (b'{"key":"a"} trailing', 2), (b'{"key":"\xff","value":1}', 2)):
            answer = self.refuse(400, "bad_request", "POST", "/v1/kv/default", fine + line + b"\n")
            self.assertEqual(answer.error.get("line"), number, "the line is named")
            self.assertIn(str(number), answer.error["message"])
        deep = b'{"key":"k1","value":' + b"[" * 20000 + b"]" * 20000 + b"}\n"
        self.assertIn(self.client.call("POST", "/v1/kv/default", deep).status, (200, 400))
        lines = self.client.batch([{}, {"value": 1}, {"key": 5, "value": 1}, {"key": "a", "op": "erase"},
                                   {"key": "a"}, {"key": "a", "value": 1, "value_base64": "AA=="},
                                   {"key": "a", "value_base64": "*"}, {"key": "a", "value": 1, "ttl_ms": -1},
                                   {"key": "a", "value": 1, "ttl_ms": "soon"}, {"key": "a", "value": 1, "colour": 2},
                                   {"key": "a", "value": 1, "context": 7},
                                   {"key": "a", "value": 1, "content_type": "a\r\nb"}]).lines
        self.assertEqual([line["status"] for line in lines], [400] * 12)
        for line in lines:
            self.assertEqual(line["error"]["code"], "bad_request")

    # --- the HTTP port ---

    def test_garbage_on_the_http_port(self):
        draw = random.Random(3)
        for data in (b"\0" * 100, b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                     b"GET /v1/kv/default/k1\r\n\r\n", b"SSH-2.0-x\r\n", b"*1\r\n$4\r\nPING\r\n",
                     b"PUT /v1/kv/default/k1 HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
                     b"PUT /v1/kv/default/k1 HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                     b"PUT /v1/kv/default/k1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                     b"PUT /v1/kv/default/k1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                     b"GET /v1/kv/default/k1 HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n", draw.randbytes(5000)):
            answer = raw(self.node.http_port, data + b"\r\n\r\n", wait_s=1)
            if answer:
                self.assertRegex(head_of(answer), rb"^HTTP/1\.1 (400|404|405|413|501|505) ", repr(data[:60]))
                self.assertIn(b'{"error":', answer)

    def test_http_1_1_without_a_host(self):
        answer = raw(self.node.http_port, b"GET /v1/kv/default/k1 HTTP/1.1\r\n\r\n")
        self.assertRegex(head_of(answer), rb"^HTTP/1\.1 400 ")
        self.assertIn(b"Host", answer)
        self.assertRegex(head_of(raw(self.node.http_port, b"GET /v1/health/live HTTP/1.0\r\n\r\n")), rb" 200 ")

    def test_oversized_headers(self):
        huge = b"GET /v1/kv/default/k1 HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 200_000 + b"\r\n\r\n"
        self.assertRegex(head_of(raw(self.node.http_port, huge)), rb" (413|431) ")
        many = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: 1\r\n" % i for i in range(20_000)) + b"\r\n"
        self.assertRegex(head_of(raw(self.node.http_port, many)), rb" (413|431) ")
        path = b"GET /v1/kv/default/" + b"%41" * 30_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        self.assertRegex(head_of(raw(self.node.http_port, path)), rb" (413|414) ")

    def test_slow_and_vanishing_clients(self):
        """A header that trickles, a body that never ends, an answer that nobody takes: others are served meanwhile."""
        slow = [socket.create_connection(("127.0.0.1", self.node.http_port)) for _ in range(50)]
        for i, connection in enumerate(slow):
            connection.sendall(b"PUT /v1/kv/default/k1 HTTP/1.1\r\nHost: x\r\n" if i % 2 else
                               b"PUT /v1/kv/default/k1 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        greedy = socket.create_connection(("127.0.0.1", self.node.http_port))
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.settimeout(2)
        try:
            greedy.sendall(b"GET /v1/cluster HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000)
        except (TimeoutError, OSError):
            pass
        start = time.monotonic()
        for _ in range(20):
            self.assertEqual(self.client.get("k1").values, ["value 1"])
        self.assertLess(time.monotonic() - start, 10 * harness.SLOWNESS)
        # The trickling headers are given up after their time, with an answer.
        slow[1].settimeout(20 * harness.SLOWNESS)
        self.assertIn(b" 408 ", head_of(slow[1].recv(4096)))
        for connection in slow + [greedy]:
            connection.close()

    def test_requests_cut_short(self):
        whole = b"PUT /v1/kv/default/k1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789"
        for length in range(1, len(whole)):
            with socket.create_connection(("127.0.0.1", self.node.http_port)) as connection:
                connection.sendall(whole[:length])

    # --- the peer port ---

    def test_garbage_on_the_peer_port(self):
        draw = random.Random(5)
        frames = [b"\0" * 64, b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", draw.randbytes(100_000),
                  struct.pack("<IQ", 4, 0) + b"{}{}", struct.pack("<IQ", 0xFFFFFFFF, 0),
                  struct.pack("<IQ", 16 * MIB, 1) + b"x" * 1000, struct.pack("<IQ", 0, 0)]
        for data in frames:
            raw(self.node.peer_port, data, wait_s=0.5)
        for _ in range(200):
            raw(self.node.peer_port, draw.randbytes(draw.randrange(1, 400)), wait_s=0.01)
        self.assertEqual(self.cluster.states(self.node), {"n1": "alive", "n2": "alive", "n3": "alive"})

    def stranger(self, **changes):
        """A node that dials this cluster with another idea of it."""
        config = json.loads(json.dumps(self.cluster["n3"].config))
        config["listen"] = {"http": f"127.0.0.1:{harness.free_port()}", "peer": f"127.0.0.1:{harness.free_port()}"}
        config["node"] = "stranger"
        config["data_dir"] = str(self.cluster.folder / f"stranger-{len(os.listdir(self.cluster.folder))}")
        for key, value in changes.items():
            config[key] = {**config[key], **value} if isinstance(value, dict) else value
        stranger = harness.Node(self.cluster.folder, "stranger", config)
        self.addCleanup(stranger.stop)
        return stranger

    def test_a_peer_of_another_cluster(self):
        for change in ({"name": "elsewhere"}, {"partitions": 32}, {"replicas": 2}, {"secret": "not ours"}):
            refused = self.node.client.metrics()["covey_peer_refused_handshakes_total"]
            stranger = self.stranger(cluster=change)
            stranger.start(wait=False)
            harness.wait_until(
                lambda: self.node.client.metrics()["covey_peer_refused_handshakes_total"] > refused, 10,
                f"{change} to be refused")
            self.assertNotIn("stranger", self.cluster.states(self.node))
            stranger.stop()
        self.assertIn("elsewhere", self.node.log.read_text(), "the log says who was refused and why")

    def test_bad_configurations(self):
        """The node does not start; it names the file, the place, what is wrong and what is allowed."""
        good = self.cluster["n1"].config

        def changed(change):
            config = json.loads(json.dumps(good))
            change(config)
            return json.dumps(config)
        cases = [("{", "line"), ('{"node": ' + "[" * 100000, "32 levels"), ("[]", ""), ('{"node": "n1",}', "line"),
                 (changed(lambda c: c.update(nodee="x")), "nodee"),
                 (changed(lambda c: c.pop("node")), "node"),
                 (changed(lambda c: c.update(node=7)), "node"),
                 (changed(lambda c: c["cluster"].update(partitions=63)), "partitions"),
                 (changed(lambda c: c["cluster"].update(replicas=0)), "replicas"),
                 (changed(lambda c: c["cluster"].update(seeds=["nowhere"])), "seeds"),
                 (changed(lambda c: c["consistency"].update(read="most")), "read"),
                 (changed(lambda c: c["consistency"].update(write=4)), "write"),
                 (changed(lambda c: c.update(durability={"mode": "maybe"})), "mode"),
                 (changed(lambda c: c["listen"].update(http="127.0.0.1:99999")), "http"),
                 (changed(lambda c: c.update(tables=[{"name": "a", "conflicts": "x"}])), "tables")]
        for number, (text, named) in enumerate(cases):
            file = self.cluster.folder / f"bad{number}.json"
            file.write_text(text)
            for options in (["--check"], []):
                ended = subprocess.run([harness.COVEYD, *options, "--config", str(file)], capture_output=True,
                                       text=True, timeout=20)
                self.assertNotEqual(ended.returncode, 0, text)
                self.assertIn(str(file), ended.stderr)
                self.assertIn(named, ended.stderr)
        fine = self.cluster.folder / "fine.json"
        fine.write_text("// a comment\n" + json.dumps(good))
        self.assertEqual(subprocess.run([harness.COVEYD, "--check", "--config", str(fine)],
                                        capture_output=True).returncode, 0)

    def test_many_connections_at_once(self):
        def hammer():
            client = Http("127.0.0.1", self.node.http_port)
            for _ in range(20):
                client.call("GET", "/v1/kv/default/k1?r=nonsense")
                raw(self.node.http_port, b"\0\r\n\r\n", wait_s=0.2)
            client.close()
        threads = [threading.Thread(target=hammer) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)


if __name__ == "__main__":
    harness.main()
