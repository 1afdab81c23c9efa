#!/usr/bin/env python3
"""The Redis protocol: the same bytes as Debian's redis-server, command by command, and what covey adds to it."""

import random
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import harness
from resp_client import Resp, encode, parse

RESP = {"listen": {"resp": "127.0.0.1:0"}}
FAR = 4102444800  # seconds: the year 2100

# Each is asked of both servers, in order; the answers must be the same bytes.
SAME = """
PING | PING hello | PING a b | ECHO hi | ECHO | ECHO a b | SELECT 0 | SELECT 1000 | SELECT x | NOSUCH | NOSUCH a b c
GET | GET a b | SET k | GET absent | SET k v | GET k | set K V | get K | GeT k | STRLEN k | STRLEN absent | TYPE k | TYPE absent
SET k v2 GET | SET fresh v GET | GET fresh | SET k n NX | SET k n XX | GET k | SET new v XX | GET new | SET new v NX | GET new
SET k o NX GET | SET k o XX GET | SET other v NX GET | GET other | SET k v NX XX | SET k v EX | SET k v EX 0 | SET k v EX -1
SET k v EX x | SET k v PX 1.5 | SET k v EX 10 PX 10 | SET k v KEEPTTL EX 10 | SET k v EX 10 KEEPTTL | SET k v NOPE | SET k v EX 9223372036854775807
SET t v EX 100 | TTL t | SET t v2 KEEPTTL | TTL t | GET t | SET t v3 | TTL t | PTTL t | SET t v PX 100000 | TTL t | SET t v EXAT FAR
PERSIST t | PERSIST t | PERSIST absent | TTL t | TTL absent | PTTL absent | SET gone v PXAT 1 | GET gone | SET gone v EXAT 0 | SET gone v EXAT -1
SETEX s 100 v | TTL s | SETEX s 0 v | SETEX s x v | SETEX s 1 | PSETEX s 100000 w | TTL s | GET s | PSETEX s 0 v | SETNX s x | SETNX snew x | GET snew
GETSET s y | TTL s | GETSET gs z | GET gs | GETDEL gs | GETDEL gs | GET gs | GETEX s | GETEX s EX 100 | TTL s | GETEX s PERSIST | TTL s
GETEX absent EX 0 | GETEX s EX 0 | GETEX s EX 10 PERSIST | GETEX s PERSIST EX 10 | GETEX s NX | GETEX s PX 100000 | TTL s | GETEX s PXAT 1 | GET s
MSET a 1 b 2 c 3 a 4 | MGET a b absent c a | MSET a | MSET a 1 b | MGET | GET a | EXISTS a b absent a | EXISTS
DEL a a absent | DEL | UNLINK b | UNLINK absent | EXISTS a b c | APPEND app one | APPEND app two | GET app | STRLEN app | APPEND app
SET app x EX 100 | APPEND app y | TTL app | GET app | EXPIRE app 50 | TTL app | EXPIRE app x | EXPIRE app | EXPIRE absent 10
EXPIRE app 9223372036854775807 | EXPIRE app -9223372036854775808 | PEXPIRE app 9223372036854775807 | EXPIRE app 10 NX | EXPIRE app 200 GT | TTL app
EXPIRE app 100 GT | EXPIRE app 100 LT | TTL app | EXPIRE app 90 XX | TTL app | PERSIST app | EXPIRE app 10 XX | EXPIRE app 10 GT | EXPIRE app 10 LT
TTL app | EXPIRE app 10 NX XX | EXPIRE app 10 GT LT | EXPIRE app 10 LT GT | EXPIRE app 10 NOPE | PEXPIRE app 70000 | TTL app | EXPIREAT app FAR | EXISTS app
PEXPIREAT app 1 | EXISTS app | SET app v | EXPIRE app -1 | GET app | SET app v | EXPIRE app 0 | EXISTS app | GET c | TYPE c
CLIENT | CLIENT GETNAME | CLIENT SETNAME me | CLIENT GETNAME | CLIENT SETNAME | CLIENT GETNAME x | RESET | CLIENT GETNAME | CLIENT NOPE
AUTH secret | AUTH default secret | AUTH nobody secret | AUTH a b c | AUTH | HELLO 4 | HELLO x | HELLO 2 NOPE | HELLO 2 SETNAME | HELLO 2 AUTH a
HELLO 2 AUTH nobody x | SCAN x | SCAN 0 COUNT 0 | SCAN 0 COUNT x | SCAN 0 COUNT | SCAN 0 NOPE 1 | SCAN | KEYS | KEYS nothing* | DBSIZE x
CONFIG GET nothing | CONFIG NOPE | CONFIG GET | CONFIG GET databases-not | SELECT 4294967296 | SELECT 9223372036854775808
SET k v EX 10 EX 100 | TTL k | SET k v PX x PX 100000 | SET k v EX 10 KEEPTTL KEEPTTL | SET k v KEEPTTL KEEPTTL | GETEX k PXAT 1 PXAT x | GETEX k EX 10 PX 10
GETEX k PERSIST PERSIST | PEXPIRE absent -9223372036854775808 | EXPIRE absent -9223372036854775 | PEXPIRE k -9223372036854775808 LT | EXISTS k | QUIT
"""
# In version 3 only what it writes otherwise.
SAME_IN_3 = """
GET absent | SET k v | GET k | MGET k absent | SET k v NX | SET fresh v GET | CONFIG GET nothing | GETDEL absent | CLIENT GETNAME | GETEX absent
"""


def commands(text):
    text = text.replace("FAR", str(FAR))
    return [line.split() for row in text.strip().splitlines() for line in row.split(" | ")]


def random_command(rng):
    key, value = rng.choice("abcdef"), str(rng.randrange(100))
    keys = [rng.choice("abcdef") for _ in range(rng.randrange(1, 5))]
    return rng.choice([
        ["GET", key], ["SET", key, value], ["SET", key, value, "NX"], ["SET", key, value, "XX", "GET"], ["APPEND", key, value],
        ["GETSET", key, value], ["GETDEL", key], ["DEL", *keys], ["EXISTS", *keys], ["MGET", *keys], ["STRLEN", key],
        ["MSET", *[word for one in keys for word in (one, value)]], ["EXPIRE", key, 1000], ["PERSIST", key], ["DBSIZE"],
        ["SET", key, value, "EX", 1000], ["GETEX", key, "PERSIST"], ["SETNX", key, value], ["TYPE", key], ["NOSUCH", key], ["PING"],
    ])


class Redis:
    def __init__(self, *options):
        self.folder = tempfile.mkdtemp(prefix="covey-test.redis.")
        self.port = harness.free_port()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder, *options],
            stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, preexec_fn=harness.die_with_parent)
        harness.wait_until(lambda: Resp(self.port).close() is None, what="redis-server to listen")

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def resp_port(node):
    return int(re.search(r" resp 127\.0\.0\.1:(\d+) ", node.out.read_text()).group(1))


class RespTest(harness.ClusterTest):
    def start_one(self, **settings):
        self.cluster = self.start_cluster(1, replicas=1, **{**RESP, **settings})
        self.node = self.cluster["n1"]
        return self.connect()

    def connect(self, node=None):
        client = Resp(resp_port(node or self.node))
        self.addCleanup(client.close)
        return client


@unittest.skipUnless(shutil.which("redis-server"), "redis-server is not installed")
class BesideTest(RespTest):
    """What a node and a redis-server answer to the same."""

    def both(self, *redis_options, **settings):
        redis = Redis(*redis_options)
        self.addCleanup(redis.stop)
        ours = self.start_one(**settings)
        theirs = Resp(redis.port)
        self.addCleanup(theirs.close)
        self.redis = redis
        return ours, theirs

    def compare(self, ours, theirs, words):
        with self.subTest(" ".join(map(str, words))):
            self.assertEqual(ours.raw(*words), theirs.raw(*words))

    def compare_pipelines(self, random_command):
        ours, theirs = self.both()
        seed = random.randrange(1 << 32)
        rng = random.Random(seed)
        for turn in range(40):
            batch = [random_command(rng) for _ in range(rng.choice((1, 10, 200)))]
            for client in (ours, theirs):
                client.send(b"".join(encode(*words) for words in batch))
            for words in batch:
                answers = [client.frame() for client in (ours, theirs)]
                self.assertEqual(answers[0], answers[1], f"seed {seed}, turn {turn}, {words}")


class BesideRedis(BesideTest):
    def test_answers_are_the_same_bytes(self):
        ours, theirs = self.both()
        for words in commands(SAME):
            self.compare(ours, theirs, words)
        self.assertTrue(ours.ended() and theirs.ended())

    def test_answers_are_the_same_bytes_in_version_3(self):
        ours, theirs = self.both()
        hello = [parse(client.raw("HELLO", 3, "SETNAME", "me"))[0] for client in (ours, theirs)]
        self.assertEqual(hello[0].keys(), hello[1].keys())
        for name in (b"server", b"proto", b"mode", b"role", b"modules"):
            self.assertEqual(hello[0][name], hello[1][name])
        for words in commands(SAME_IN_3):
            self.compare(ours, theirs, words)
        self.assertTrue(ours.raw("INFO").startswith(b"="))

    def test_bytes_are_kept(self):
        ours, theirs = self.both()
        every = bytes(range(256))
        for words in (["SET", every, every * 40], ["GET", every], ["ECHO", every], ["SET", "empty", b""], ["GET", "empty"],
                      [b"\r\nno\r\nsuch\r\n"], [b"no\0such", b"a\0b", "c"], ["CLIENT", b"no\0such"], ["EXPIRE", "k", "1", b"a\r\n"], ["EXPIRE", "k", "1", b"a\0b"],
                      [b"no\r\nsuch", b"a\r\nb"], ["x" * 300, "y" * 300], ["n", "a" * 50, "b" * 50, "c" * 50, "d" * 50]):
            self.compare(ours, theirs, words)

    def test_keys_and_scans_find_the_same(self):
        ours, theirs = self.both()
        keys = [f"user:{i}" for i in range(500)] + ["a*b", "a[b", "A", "h\\llo", "hello", "hallo"]
        for client in (ours, theirs):
            for at in range(0, len(keys), 100):
                client("MSET", *[word for key in keys[at:at + 100] for word in (key, "v")])
        self.compare(ours, theirs, ["DBSIZE"])
        for pattern in ("*", "user:1?", "user:*", "h[ae]llo", "h[^e]llo", "a\\*b", "a\\[b", "h\\\\*", "[A-Z]", "no*", "user:[0-4]", "*9"):
            with self.subTest(pattern):
                self.assertEqual(sorted(ours("KEYS", pattern)), sorted(theirs("KEYS", pattern)))
                found = [self.scan(client, "MATCH", pattern, "COUNT", 7) for client in (ours, theirs)]
                self.assertEqual(found[0], found[1])
        self.assertEqual(self.scan(ours, "TYPE", "hash"), set())
        self.assertEqual(len(self.scan(ours, "TYPE", "string", "COUNT", 1000)), len(keys))

    def scan(self, client, *options):
        found, cursor = set(), b"0"
        while True:
            cursor, keys = client("SCAN", cursor, *options)
            found.update(keys)
            if cursor == b"0":
                return found

    def test_protocol_errors_end_the_connection_in_redis_words(self):
        self.both()[0].close()
        for data in (b"*x\r\n", b"*1\r\nPING\r\n", b"*1\r\n$-5\r\n", b"*1\r\n$x\r\n", b"*99999999999\r\n", b'get "a\r\n',
                     b"e\x0bcho 'hi'\x0c\r\n*x\r\n", b"a" * 70000, b"*1\r\n$99999999999\r\n", b"*" + b"1" * 70000, b"PING\r\n*1\r\n:1\r\n"):
            answers = []
            for port in (resp_port(self.node), self.redis.port):
                client = Resp(port)
                client.send(data)
                answers.append(client.file.read())
                client.close()
            with self.subTest(data[:40]):
                self.assertEqual(answers[0], answers[1])

    def test_inline_and_pipelines(self):
        ours, theirs = self.both()
        data = (b"PING\r\n\r\nset k 'a b'\nGET k\r\n*0\r\n" + encode("APPEND", "k", "c") + b'APPEND k "\\x41\\n"\r\n' +
                encode("GET", "k") + encode("NOPE") + encode("DEL", "k", "k2") + encode("EXISTS", "k")) * 50
        answers = []
        for client in (ours, theirs):
            client.send(data)
            answers.append([client.frame() for _ in range(8 * 50)])
        self.assertEqual(answers[0], answers[1])

    def test_random_pipelines_are_answered_the_same(self):
        self.compare_pipelines(random_command)

    def test_a_password(self):
        ours, theirs = self.both("--requirepass", "open sesame", resp={"password": "open sesame"})
        for words in (["PING"], ["GET", "k"], ["HELLO"], ["HELLO", "3"], ["HELLO", "3", "AUTH", "default", "x"], ["AUTH", "x"],
                      ["AUTH", "nobody", "open sesame"], ["NOSUCH"], ["GET"], ["CLIENT", "NOSUCH"], ["CLIENT", "ID"], ["AUTH", "open sesame"], ["PING"], ["RESET"],
                      ["PING"], ["AUTH", "default", "open sesame"], ["GET", "k"], ["RESET"], ["QUIT"]):
            self.compare(ours, theirs, words)
        for data in (b"*11\r\n", b"*2\r\n$4\r\nAUTH\r\n$16385\r\n"):
            answers = []
            for port in (resp_port(self.node), self.redis.port):
                client = Resp(port)
                client.send(data)
                answers.append(client.file.read())
                client.close()
            self.assertEqual(answers[0], answers[1])
            self.assertIn(b"Protocol error: unauthenticated", answers[0])


class Alone(RespTest):
    def test_what_was_sent_first_is_seen_by_what_was_sent_next(self):
        client = self.start_one()
        client.send(b"".join(encode("APPEND", "k", chr(ord("a") + i % 26)) for i in range(400)) + encode("STRLEN", "k") +
                    encode("MSET", "k", "x", "l", "y") + encode("MGET", "k", "l") + encode("SET", "k", "z") + encode("GET", "k") +
                    encode("DEL", "k") + encode("KEYS", "*"))
        self.assertEqual([client.value() for _ in range(400)], list(range(1, 401)))
        self.assertEqual([client.value() for _ in range(7)], [400, b"OK", [b"x", b"y"], b"OK", b"z", 1, [b"l"]])

    def test_nothing_is_lost_of_what_many_clients_append(self):
        """The coordinating replica checks that nothing came between a read and its write."""
        self.start_one()
        first = [0]

        def run(name):
            client = Resp(resp_port(self.node))
            for i in range(40):
                self.assertIsInstance(client("APPEND", "shared", name), int)
            if client("SET", "lock", name, "NX") == b"OK":
                first[0] += 1
            client.close()
        threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(first[0], 1, "one of them has the lock")
        versions = dict(zip(*[iter(self.connect()("COVEY.GET", "shared"))] * 2))[b"siblings"]
        joined = b"".join(dict(zip(*[iter(version)] * 2))[b"value"] for version in versions)
        self.assertGreaterEqual(joined.count(b"a"), 40)
        self.assertGreaterEqual(joined.count(b"b"), 40)

    def test_what_is_written_is_there_over_http(self):
        client = self.start_one()
        client("SET", "k", "from redis")
        self.assertEqual(self.node.client.get("k").body, b"from redis")
        self.node.client.put("h", "from http")
        self.assertEqual(client("GET", "h"), b"from http")
        self.node.client.put("h", "beside it")
        self.assertIn(client("GET", "h"), (b"beside it",), "the latest of the siblings")
        self.assertEqual(self.node.client.get("h").status, 300)
        client("SET", "h", "settled")
        self.assertEqual(self.node.client.get("h").body, b"settled")

    def test_siblings_and_contexts(self):
        client = self.start_one()
        client("HELLO", 3)
        first = client("COVEY.SET", "k", "a")
        self.assertEqual(first[b"siblings"], 1)
        self.assertEqual(client("COVEY.SET", "k", "b", "W", "one")[b"siblings"], 2)
        read = client("COVEY.GET", "k", "R", "all")
        self.assertEqual(sorted(one[b"value"] for one in read[b"siblings"]), [b"a", b"b"])
        self.assertEqual(client("COVEY.SET", "k", "ab", "CONTEXT", read[b"context"])[b"siblings"], 1)
        self.assertEqual(client("COVEY.SET", "k", "c", "context", first[b"context"], "w", "1")[b"siblings"], 2)
        self.assertEqual(client("DEL", "k"), 1)
        self.assertEqual(client("COVEY.GET", "k")[b"siblings"], [])
        self.assertIn("-ERR the context is not one", client("COVEY.SET", "other", "v", "CONTEXT", read[b"context"]))
        for words in (["COVEY.GET", "k", "R"], ["COVEY.GET", "k", "X", "one"], ["COVEY.SET", "k", "v", "W"],
                      ["COVEY.SET", "k", "v", "X", "1"], ["COVEY.LEVEL", "BOTH", "one"]):
            self.assertEqual(client(*words), "-ERR syntax error")
        for words in (["COVEY.LEVEL", "READ", "2"], ["COVEY.GET", "k", "R", "two"], ["COVEY.SET", "k", "v", "W", "0"]):
            self.assertEqual(client(*words), "-ERR a level is one, quorum, all or a number from 1 to 1")

    def test_tables(self):
        client = self.start_one(tables=[{"name": "readings", "conflicts": "lww",
                                         "columns": [{"name": "temp", "path": "/temp", "type": "float64"}]}])
        client("SET", "k", "in default")
        self.assertTrue(client("COVEY.TABLE", "nowhere").startswith("-ERR There is no table of this name"))
        self.assertEqual(client("COVEY.TABLE", "readings"), b"OK")
        self.assertIsNone(client("GET", "k"))
        self.assertTrue(client("SET", "k", "text").startswith("-ERR bad column: "))
        self.assertTrue(client("SET", "k", '{"temp": "warm"}').startswith("-ERR bad column: "))
        self.assertEqual(client("SET", "k", '{"temp": 21.5}'), b"OK")
        self.assertEqual(client("EXPIRE", "k", 100), 1)
        self.assertTrue(client("APPEND", "k", "x").startswith("-ERR bad column: "))
        self.assertEqual(client("KEYS", "*"), [b"k"])
        self.assertEqual(self.node.client.get("k", table="readings").json, {"temp": 21.5})
        cursor, keys = client("SCAN", 0)
        self.assertEqual((cursor, keys), (b"0", [b"k"]))
        self.assertEqual(client("RESET"), b"RESET")
        self.assertEqual(client("GET", "k"), b"in default")

    def test_limits_are_told(self):
        client = self.start_one(limits={"value_bytes": 20000, "batch_bytes": 50000, "connections": 4})
        self.assertEqual(client("SET", "k" * 2048, "v"), b"OK")
        self.assertEqual(client("GET", "k" * 2048), b"v")
        for words in (["SET", "k" * 2049, "v"], ["GET", "k" * 2049], ["SET", "", "v"], ["MGET", "a", ""]):
            self.assertRegex(client(*words), "^-ERR The key is .*2048")
        self.assertEqual(client("SET", "large", "v" * 20000), b"OK")
        self.assertEqual(client("APPEND", "large", "v"), "-ERR string exceeds maximum allowed size (proto-max-bulk-len)")
        self.assertRegex(client("MGET", *["large"] * 3), "^-ERR the answer is over the limit")
        self.assertEqual(client("CONFIG", "GET", "proto-max-*"), [b"proto-max-bulk-len", b"20000"])
        other = self.connect()
        other.send(encode("SET", "large", "v" * 20001))
        self.assertEqual(other.value(), "-ERR Protocol error: invalid bulk length")
        self.assertTrue(other.ended())
        self.node.client.close()
        harness.wait_until(self.is_full, what="one connection too many to be refused")
        self.assertRegex(client("SCAN", "4711"), "^-ERR this cursor is not known")

    def is_full(self):
        places = [Resp(resp_port(self.node)) for _ in range(6)]
        try:
            for place in places:
                try:
                    if place("PING") == "-ERR max number of clients reached":
                        return True
                except (EOFError, ConnectionError):
                    return False
            return False
        finally:
            for place in places:
                place.close()

    def test_scans_go_on_over_another_connection(self):
        client = self.start_one()
        client("MSET", *[word for i in range(300) for word in (f"k{i}", "v")])
        found, cursor, times = [], b"0", 0
        while times == 0 or cursor != b"0":
            cursor, keys = self.connect()("SCAN", cursor, "COUNT", 20)
            self.assertLessEqual(len(keys), 20)
            found += keys
            times += 1
        self.assertEqual(sorted(found), sorted(f"k{i}".encode() for i in range(300)), "each once")
        self.assertGreaterEqual(times, 15)
        self.assertEqual(client("DBSIZE"), 300)

    def test_values_expire(self):
        client = self.start_one()
        client("SET", "k", "v", "PX", 150)
        client("SET", "kept", "v", "PX", 60000)
        harness.wait_until(lambda: client("GET", "k") is None, what="the value to expire")
        self.assertEqual((client("TTL", "k"), client("EXISTS", "k", "kept"), client("KEYS", "*")), (-2, 1, [b"kept"]))
        self.assertEqual(client("SET", "k", "again", "NX"), b"OK")

    def test_what_clients_ask_when_they_connect(self):
        client = self.start_one()
        listed = client("COMMAND", "LIST")
        self.assertNotIn(b"lpush", listed)
        self.assertEqual(client("LPUSH", "k"), "-ERR unknown command 'LPUSH', with args beginning with: 'k' ")
        info = client("INFO").decode()
        self.assertIn("redis_version:", info)
        self.assertIn("role:master", info)
        self.assertNotIn("role:", client("INFO", "server").decode())
        ids = {client("CLIENT", "ID"), self.connect()("CLIENT", "ID")}
        self.assertEqual(len(ids), 2)
        self.assertEqual(client("CLIENT", "SETINFO", "LIB-NAME", "mine"), b"OK")
        self.assertRegex(client("CLIENT", "INFO").decode(), r"^id=\d+ addr=127\.0\.0\.1:\d+ .* lib-name=mine .*\n$")
        before = self.node.client.metrics()["covey_resp_commands_total"]
        client("PING")
        self.assertGreater(self.node.client.metrics()["covey_resp_commands_total"], before)

    def test_a_closing_node_answers_what_was_asked(self):
        client = self.start_one()
        client.send(encode("SET", "k", "v"))
        self.assertEqual(client.value(), b"OK")
        self.assertEqual(self.node.terminate(), 0)
        self.assertTrue(client.ended())

    def test_a_client_that_ends_its_side_gets_its_answers(self):
        client = self.start_one()
        client.send(b"".join(encode("APPEND", "k", "x") for _ in range(300)))
        client.socket.shutdown(socket.SHUT_WR)
        self.assertEqual([client.value() for _ in range(300)], list(range(1, 301)))
        self.assertTrue(client.ended())

    def test_answers_that_nobody_takes_hold_no_memory(self):
        client = self.start_one()
        client("SET", "k", "v" * 500_000)
        client.send(encode("GET", "k") * 500)  # 250 MB
        time.sleep(0.5)
        status = open(f"/proc/{self.node.process.pid}/status").read()
        resident_kb = int(re.search(r"VmRSS:\s+(\d+)", status).group(1))
        self.assertLess(resident_kb, 400_000)
        for _ in range(500):
            self.assertEqual(len(client.frame()), 500_000 + 11)


class Three(RespTest):
    def test_levels_decide_what_is_refused(self):
        cluster = self.start_cluster(3, proxied=True, **RESP)
        client = self.connect(cluster["n1"])
        self.assertEqual(client("SET", "k", "v"), b"OK")
        self.assertEqual(self.connect(cluster["n3"])("GET", "k"), b"v")
        cluster.part(["n1"], ["n2", "n3"])
        refused = "-UNAVAILABLE needed 3 reachable 1"
        client("COVEY.LEVEL", "READ", "all")
        client("COVEY.LEVEL", "WRITE", "all")
        self.assertEqual(client("GET", "k"), refused)
        self.assertEqual(client("SET", "k", "v"), refused)
        self.assertEqual(client("DEL", "k", "l"), refused)
        self.assertEqual(client("KEYS", "*"), refused)
        self.assertEqual(client("COVEY.GET", "k", "R", "quorum"), "-UNAVAILABLE needed 2 reachable 1")
        client("COVEY.LEVEL", "READ", "one")
        client("COVEY.LEVEL", "WRITE", "one")
        self.assertEqual(client("SET", "k", "here"), b"OK")
        other = self.connect(cluster["n2"])
        self.assertEqual(other("SET", "k", "there"), b"OK")
        cluster.heal()
        cluster.wait_converged()
        self.assertEqual(client("GET", "k"), b"there", "the one with the latest time")
        self.assertEqual(len(client("COVEY.GET", "k")[1]), 2)
        self.assertEqual(client("SET", "k", "both"), b"OK")
        cluster.wait_converged()
        self.assertEqual(len(other("COVEY.GET", "k")[1]), 1)

    def test_what_was_tried_in_vain_is_told_apart_from_what_was_refused(self):
        cluster = self.start_cluster(3, consistency={"sloppy": False, "timeout_ms": 400}, **RESP)
        client = self.connect(cluster["n1"])
        self.assertEqual(client("SET", "k", "before"), b"OK")
        client("COVEY.LEVEL", "READ", "all")
        client("COVEY.LEVEL", "WRITE", "all")
        # GETDEL has written nothing while it reads.
        tried = (["SET", "k", "tried"], ["SETEX", "l", "100", "tried"], ["GET", "m"], ["GETDEL", "n"])
        timeouts = [r"^-TIMEOUT needed 3 received [12]" + end for end in (" outcome unknown$",) * 2 + ("$",) * 2]

        def answers_while_one_is_silent():
            """Until its silence is noticed: from then on requests are refused."""
            harness.wait_until(lambda: client("GET", "o") is None, what="all to be reachable")
            cluster["n3"].pause()
            try:
                client.send(b"".join(encode(*words) for words in tried))
                answers = [client.value() for _ in tried]
            finally:
                cluster["n3"].resume()
            if any(answer.startswith("-UNAVAILABLE") for answer in answers):
                return None
            return answers
        answers = harness.wait_until(answers_while_one_is_silent, what="requests that are tried")
        for words, answer, expected in zip(tried, answers, timeouts):
            self.assertRegex(answer, expected, words)
        cluster.wait_converged()
        self.assertEqual([client("GET", key) for key in "kl"], [b"tried"] * 2, "a write may still take effect; these do")


if __name__ == "__main__":
    harness.main()
