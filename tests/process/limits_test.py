#!/usr/bin/env python3
"""Limits of a node as those meet them who run it: connections, logs, links that swallow everything, damage, closing."""

import ctypes
import http.client
import json
import re
import socket
import struct
import subprocess
import threading
import time

import harness
from http_client import raw
from resp_client import encode, parse
from resp_test import resp_port

LEVELS = {"trace", "debug", "info", "warning", "error", "critical"}
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class Connections(harness.ClusterTest):
    def test_one_connection_too_many_is_told_so(self):
        cluster = self.start_cluster(1, replicas=1, limits={"connections": 8})
        node = cluster["n1"]
        node.client.close()
        harness.wait_until(lambda: self.take_places(node) == 8, what="all places to be taken by this test")
        refused = self.places[0].metrics()["covey_http_connections_refused_total"]
        large = b"PUT /v1/kv/default/k HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300000
        for request in (b"", b"GET /v1/health/live HTTP/1.1\r\nHost: x\r\n\r\n", large):
            answer = raw(node.http_port, request)
            head, _, body = answer.partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 429 "), answer[:200])
            self.assertIn(b"Retry-After: 1", head)
            self.assertIn(b"Connection: close", head)
            error = json.loads(body)["error"]
            self.assertEqual(error["code"], "overloaded")
            self.assertIn("connections", error["message"])
        metrics = self.places[7].metrics()
        self.assertEqual(metrics["covey_http_connections_refused_total"], refused + 3)
        for place in self.places[:4]:
            place.close()
        harness.wait_until(lambda: node.new_client().put("k", "v").status == 200, what="a place for one more")

    def take_places(self, node):
        """Opens connections until one is refused; how many are open then. None stays open unless all are this test's."""
        self.places = []
        while True:
            client = node.new_client()
            if client.call("GET", "/v1/health/live").status == 429:
                client.close()
                break
            self.places.append(client)
        if len(self.places) != 8:
            for client in self.places:
                client.close()
        return len(self.places)


class Answers(harness.ClusterTest):
    def test_many_large_answers_behind_a_slow_one_take_little_memory(self):
        """What has no room behind the slow one is read again: all come, in order, and the node does not hold them all."""
        cluster = self.start_cluster(3)
        node = cluster["n1"]
        value = bytes(range(256)) * 4000
        self.assertEqual(node.client.put("large", value, w="all").status, 200)
        self.assertEqual(node.client.put("small", b"v", w="all").status, 200)
        count = 150
        cluster["n3"].pause()
        before = self.peak_bytes(node)
        with socket.create_connection(("127.0.0.1", node.http_port)) as connection:
            connection.settimeout(30)
            request = b"GET /v1/kv/default/%s HTTP/1.1\r\nHost: x\r\n\r\n"
            connection.sendall(request % b"small?r=all&sloppy=false&timeout_ms=700" + request % b"large?r=one" * count)
            answers = connection.makefile("rb")
            self.assertIn(self.one_answer(answers)[0], (503, 504))
            for _ in range(count):
                status, body = self.one_answer(answers)
                self.assertEqual(status, 200)
                self.assertEqual(body, value)
        self.assertLess(self.peak_bytes(node) - before, 64 << 20)

    def check_untaken(self, node, port, request, take):
        """The client sends the request and takes nothing until the node has had the time to pile up what it would."""
        before = self.peak_bytes(node)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.settimeout(30)
            connection.sendall(request)
            time.sleep(2)
            untaken = self.peak_bytes(node) - before
            take(connection.makefile("rb"))
        self.assertLess(untaken, 48 << 20)
        self.assertLess(self.peak_bytes(node) - before, 64 << 20)

    def large_values(self, node):
        """Of several keys, so that they are in all shards."""
        values = {f"large{i}": bytes([i]) * (1 << 20) for i in range(8)}
        for key, value in values.items():
            self.assertEqual(node.client.put(key, value, w="all").status, 200)
        return values

    def test_large_answers_that_are_not_taken_take_little_memory(self):
        """What has no room is read again, once the client has taken what is before it."""
        cluster = self.start_cluster(3, listen={"resp": "127.0.0.1:0"}, consistency={"timeout_ms": 10_000 * harness.SLOWNESS})
        node = cluster["n1"]
        values = self.large_values(node)
        keys = [f"large{i % 8}" for i in range(80)]

        def take_http(answers):
            for key in keys:
                self.assertEqual(self.one_answer(answers), (200, values[key]))

        def take_batch(answers):
            status = int(answers.readline().split()[1])
            self.assertEqual((status, http.client.parse_headers(answers)["Transfer-Encoding"]), (200, "chunked"))
            body = b"".join(iter(lambda: answers.read(int(answers.readline(), 16) + 2)[:-2], b""))
            lines = [json.loads(line) for line in body.splitlines()]
            self.assertEqual([line["key"] for line in lines], keys)
            for line in lines:
                self.assertEqual(line["value"].encode(), values[line["key"]])

        def take_resp(answers):
            self.assertEqual(answers.readline(), b"+OK\r\n")
            for key in keys:
                self.assertEqual(parse(answers.readline() + answers.read((1 << 20) + 2))[0], values[key])

        request = "GET /v1/kv/default/%s?r=one HTTP/1.1\r\nHost: x\r\n\r\n"
        self.check_untaken(node, node.http_port, "".join(request % key for key in keys).encode(), take_http)
        lines = "".join(json.dumps({"op": "get", "key": key}) + "\n" for key in keys)
        batch = f"POST /v1/kv/default?r=one HTTP/1.1\r\nHost: x\r\nContent-Length: {len(lines)}\r\n\r\n{lines}"
        self.check_untaken(node, node.http_port, batch.encode(), take_batch)
        for command in ("GET", "GETEX"):
            request = encode("COVEY.LEVEL", "READ", "one") + b"".join(encode(command, key) for key in keys)
            self.check_untaken(node, resp_port(node), request, take_resp)

    @staticmethod
    def one_answer(stream):
        status = int(stream.readline().split()[1])
        headers = http.client.parse_headers(stream)
        return status, stream.read(int(headers["Content-Length"]))

    @staticmethod
    def peak_bytes(node):
        with open(f"/proc/{node.process.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) << 10


class Logs(harness.ClusterTest):
    """A line for each event, whatever strangers send."""

    STRANGE = 'a\n2026-01-01T00:00:00.000Z info [n1] forged "\\ \x01\x7f é'

    def provoke(self, node):
        """A stranger introduces itself as what can't be a name."""
        payload = json.dumps({"protocol": 1, "cluster": self.STRANGE, "secret_check": "", "node": self.STRANGE, "peer": "",
                              "http": "", "zone": "", "weight": 1, "instance": "", "partitions": 16, "replicas": 1,
                              "shard": 0, "shards": 1}).encode()
        library = ctypes.CDLL("libxxhash.so.0")
        library.XXH3_64bits_withSeed.restype = ctypes.c_uint64
        sealed = library.XXH3_64bits_withSeed(payload, ctypes.c_size_t(len(payload)), ctypes.c_uint64(0x6672616D65))
        answer = raw(node.peer_port, struct.pack("<IQ", len(payload), sealed) + payload)
        self.assertIn(b"refused", answer)
        self.assertIn(b"cluster differs", answer)

    def lines_after_trouble(self, log_format):
        cluster = self.start_cluster(2, replicas=2, log={"level": "trace", "format": log_format})
        node = cluster["n1"]
        self.provoke(node)
        raw(node.peer_port, b"\xff\n" * 100)
        cluster["n2"].kill9()
        harness.wait_until(lambda: not cluster.reaches(node)["n2"], what="n2 to be missed")
        second = subprocess.run([harness.COVEYD, "--config", str(node.file)], capture_output=True, text=True,
                                timeout=20 * harness.SLOWNESS)
        self.assertEqual(second.returncode, 1, "its directory is in use")
        self.assertEqual(node.terminate(), 0)
        return node.log.read_text().splitlines() + second.stderr.splitlines()

    def test_logs_as_json(self):
        lines = [json.loads(line) for line in self.lines_after_trouble("json")]
        self.assertGreater(len(lines), 5)
        for line in lines:
            self.assertEqual(list(line), ["time", "level", "node", "message"])
            self.assertRegex(line["time"], f"^{TIME}$")
            self.assertIn(line["level"], LEVELS)
            self.assertEqual(line["node"], "n1")
        messages = "\n".join(line["message"] for line in lines)
        self.assertIn(self.STRANGE, messages, "it is told as it was sent")
        self.assertIn("closed", messages)
        self.assertEqual(lines[-1]["level"], "critical")

    def test_logs_as_text(self):
        lines = self.lines_after_trouble("text")
        for line in lines:
            self.assertRegex(line, rf"^{TIME} ({'|'.join(LEVELS)}) \[n1\] ")
        self.assertFalse([line for line in lines if "info [n1] forged" in line and "refused" not in line])
        self.assertTrue([line for line in lines if r"a\x0a2026" in line], "it is told, spelled out")


class SwallowedLinks(harness.ClusterTest):
    """Links on which everything sent vanishes while TCP goes on: nobody is told, no connection ends."""

    def wait_state(self, cluster, at, of, alive):
        harness.wait_until(lambda: cluster.reaches(cluster[at])[of] == alive, 30,
                           f"{at} to see {of} {'alive' if alive else 'lost'}")

    def test_a_link_that_swallows_is_noticed_and_recovers(self):
        for lost in (False, True):  # whether TCP loses patience before the link is back
            cluster = self.start_cluster(3, proxied=True)
            n1 = cluster["n1"]
            self.assert_answer(n1.client.put("k", "before", w=3), 200)
            cluster.proxy.part(["n1"], ["n2"])
            # Nobody knows yet. Two of three is enough all the same; three is not, and that is told as it is.
            self.assert_answer(n1.client.put("k2", "two", w=2, sloppy=False), 200)
            answer = n1.client.put("k3", "three", w=3, sloppy=False, timeout_ms=400)
            if answer.status == 504:  # else it was noticed within this moment
                self.assert_answer(answer, 504, "timeout")
                self.assertEqual((answer.error["needed"], answer.error["received"], answer.error["outcome"]),
                                 (3, 2, "unknown"))
                self.assertIn("n2", answer.error["owners"])
            self.wait_state(cluster, "n1", "n2", False)
            self.wait_state(cluster, "n2", "n1", False)
            answer = self.assert_answer(n1.client.put("k4", "refused", w=3, sloppy=False), 503, "unavailable")
            self.assertEqual((answer.error["needed"], answer.error["reachable"]), (3, 2))
            for name in ("n1", "n2", "n3"):
                self.assert_answer(cluster[name].client.put(f"by-{name}", name, w=2, sloppy=False), 200)
            cluster.heal(lost)
            cluster.wait_met()
            cluster.wait_converged()
            self.assert_answer(n1.client.put("k5", "all again", w=3, sloppy=False), 200)
            for node in cluster:
                for key, value in (("k2", "two"), ("by-n1", "n1"), ("by-n2", "n2"), ("by-n3", "n3"), ("k5", "all again")):
                    self.assertEqual(node.client.get(key, r=1).values, [value], f"{key} at {node.name}")
                self.assertEqual(node.client.get("k4", r=1).values, [], "refused is refused")

    def test_requests_are_forwarded_around_a_link_that_swallows(self):
        cluster = self.start_cluster(4, proxied=True)
        key = cluster.key_with(lambda owners: "n1" not in owners)
        n1 = cluster["n1"]
        self.assert_answer(n1.client.put(key, "0", w=2, sloppy=False), 200)
        first = cluster.owners(key)[0]
        cluster.proxy.part(["n1"], [first])
        answered = n1.client.put(key, "1", w=2, sloppy=False, timeout_ms=400)
        self.assertIn(answered.status, (200, 504), "perhaps it went into the link: then its outcome is not known")
        self.wait_state(cluster, "n1", first, False)
        context = n1.client.get(key, r=2, sloppy=False).context
        self.assert_answer(n1.client.put(key, "2", context=context, w=2, sloppy=False), 200)
        cluster.heal(True)
        cluster.wait_met()
        cluster.wait_converged()
        values = set(n1.client.get(key, r=3).values)
        self.assertIn("2", values)
        self.assertLessEqual(values, {"1", "2"}, "the first try may have arrived late")


class Damage(harness.ClusterTest):
    def damage(self, node):
        """Flips bytes in the middle of the newest log file's part that was synced."""
        log = max(node.data_dir.rglob("*.log"), key=lambda path: path.stat().st_size)
        with open(log, "r+b") as file:
            file.seek(len(file.read().rstrip(b"\0")) // 2)
            byte = file.read(64)
            file.seek(-len(byte), 1)
            file.write(bytes(b ^ 0xFF for b in byte))
        return log

    def test_a_damaged_node_sets_its_data_aside_and_is_filled_again(self):
        cluster = self.start_cluster(3)
        for i in range(200):
            self.assert_answer(cluster["n1"].client.put(f"k{i}", f"value {i}", w=3), 200)
        cluster.wait_converged()
        node = cluster["n3"]
        node.kill9()
        damaged = self.damage(node)
        self.assert_answer(cluster["n1"].client.put("meanwhile", "there", w=2), 200)
        node.start()
        cluster.wait_met()
        cluster.wait_filled()
        cluster.wait_converged()
        aside = list(node.data_dir.glob("db-damaged-*"))
        self.assertEqual(len(aside), 1, "the damaged files are kept")
        self.assertTrue((aside[0] / damaged.name).exists())
        self.assertIn(str(aside[0]), node.log.read_text(), "the log says where")
        for i in range(200):
            self.assertEqual(node.client.get(f"k{i}", r=1).values, [f"value {i}"])
        self.assertEqual(node.client.get("meanwhile", r=1).values, ["there"])
        self.assert_answer(node.client.put("after", "x", w=3), 200)
        self.assertEqual(node.terminate(), 0)
        node.start()
        self.assertEqual(len(list(node.data_dir.glob("db-damaged-*"))), 1, "nothing more is set aside")

    def test_the_only_copy_is_never_set_aside(self):
        cluster = self.start_cluster(1, replicas=1)
        node = cluster["n1"]
        for i in range(100):
            self.assert_answer(node.client.put(f"k{i}", "x"), 200)
        node.kill9()
        damaged = self.damage(node)
        bytes_before = damaged.read_bytes()
        ended = subprocess.run([harness.COVEYD, "--config", str(node.file)], capture_output=True, text=True,
                               timeout=20 * harness.SLOWNESS)
        self.assertEqual(ended.returncode, 1)
        self.assertIn(damaged.name, ended.stderr, "the damaged file is named")
        self.assertEqual(damaged.read_bytes(), bytes_before, "and left as it is")


class Client(threading.Thread):
    """Writes keys of its own, one request after another over a connection that is kept, until its node is gone."""

    PAUSE_S = 0.3  # a client that rested for longer may find its connection closed

    def __init__(self, node, number):
        super().__init__(daemon=True)
        self.node, self.number = node, number
        self.acknowledged, self.statuses, self.cut = [], set(), []

    def run(self):
        connection, count, answered_s = None, 0, None
        while True:
            try:
                if connection is None:
                    connection, answered_s = http.client.HTTPConnection("127.0.0.1", self.node.http_port, timeout=30), None
                    connection.connect()
                key = f"c{self.number}-{count}"
                rested = answered_s is None or time.monotonic() - answered_s > self.PAUSE_S
                connection.request("PUT", f"/v1/kv/default/{key}?w=2", b"value")
                answer = connection.getresponse()
                answer.read()
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException) as problem:
                if not rested:
                    self.cut.append(f"{key}: {problem!r}")
                connection = None
                continue
            answered_s = time.monotonic()
            self.statuses.add(answer.status)
            if answer.status == 200:
                self.acknowledged.append(key)
            if answer.will_close:
                connection = None
            count += 1


class Closing(harness.ClusterTest):
    def test_sigterm_under_load_cuts_nobody_off(self):
        cluster = self.start_cluster(3)
        for name in ("n2", "n3"):
            node = cluster[name]
            clients = [Client(node, f"{name}-{i}") for i in range(8)]
            for client in clients:
                client.start()
            harness.wait_until(lambda: all(len(client.acknowledged) > 5 for client in clients), what="the load to run")
            self.assertEqual(node.terminate(), 0)
            for client in clients:
                client.join(30 * harness.SLOWNESS)
                self.assertFalse(client.is_alive())
            self.assertEqual([cut for client in clients for cut in client.cut], [], "every request was answered")
            self.assertLessEqual(set().union(*(client.statuses for client in clients)), {200, 503, 504})
            left = [one for one in cluster if one is not node]
            for client in clients:
                for key in client.acknowledged:
                    self.assertEqual(left[0].client.get(key, r=2).values, ["value"], f"{key} was acknowledged")
            node.start()
            cluster.wait_met()
            cluster.wait_filled()
            cluster.wait_converged()


if __name__ == "__main__":
    harness.main()
