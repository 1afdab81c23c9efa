#!/usr/bin/env python3
"""What clients of Redis ask when they connect: about commands, settings and connections; beside Debian's redis-server."""

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time
import unittest

import harness
from resp_client import Resp, encode
from resp_test import BesideTest, RespTest, commands, resp_port

SAME = """
COMMAND NOPE | COMMAND COUNT x | COMMAND HELP x | COMMAND DOCS nosuch get|x client| | COMMAND INFO nosuch CLIENT|nope get|x | COMMAND LIST x
COMMAND LIST FILTERBY | COMMAND LIST FILTERBY NOPE x | COMMAND LIST FILTERBY PATTERN a b | COMMAND LIST FILTERBY PATTERN client|in*
COMMAND LIST FILTERBY PATTERN PSET* | COMMAND LIST FILTERBY MODULE x | COMMAND LIST FILTERBY ACLCAT nosuch | COMMAND LIST FILTERBY ACLCAT @hash
COMMAND GETKEYS | COMMAND GETKEYS get | COMMAND GETKEYS get a | COMMAND GETKEYS get a b | COMMAND GETKEYS set a | COMMAND GETKEYS nosuch a
COMMAND GETKEYS ping a b c | COMMAND GETKEYS mset a 1 b 2 | COMMAND GETKEYS mset a 1 b | COMMAND GETKEYS del a b c | COMMAND GETKEYS config get x
COMMAND GETKEYS memory usage k | COMMAND GETKEYS client nope | COMMAND GETKEYS SET k v EX 1 | COMMAND GETKEYS hset k f v | COMMAND GETKEYS dbsize x | COMMAND GETKEYS client|id x
CLIENT | CLIENT NOPE x | client|id | CONFIG | CLIENT NO-EVICT | CLIENT NO-EVICT on | CLIENT NO-EVICT OFF | CLIENT NO-EVICT x | CLIENT REPLY | CLIENT REPLY x
CLIENT REPLY on | CLIENT LIST x | CLIENT LIST TYPE x | CLIENT LIST TYPE pubsub | CLIENT LIST TYPE | CLIENT LIST ID | CLIENT LIST ID x | CLIENT LIST ID 999999 0
CLIENT INFO x | CLIENT ID x | CLIENT SETNAME a b | CONFIG GET TimeOut timeou? timeout | CONFIG GET timeou? TimeOut | CONFIG GET notify-* nothing
"""
# Commands whose arguments Redis describes in the same way, names included.
SAME_ARGUMENTS = """get set setex psetex getex mget mset append strlen del exists type ttl incr incrby incrbyfloat decrby sadd srem scard
sismember hset hget hmget hdel hincrbyfloat hstrlen expire pexpireat keys ping echo""".split()


def arguments_of(docs):
    """Without what says since when, and the order of members."""
    return [{name: arguments_of(value) if name == b"arguments" else value
             for name, value in one.items() if name in (b"name", b"type", b"token", b"flags", b"arguments", b"key_spec_index")}
            for one in docs]


class BesideRedis(BesideTest):
    def test_answers_are_the_same_bytes(self):
        ours, theirs = self.both()
        for version in (2, 3):
            for words in commands(SAME):
                self.compare(ours, theirs, words)
            for client in (ours, theirs):
                client("HELLO", 3)

    def test_commands_are_described_in_the_same_way(self):
        ours, theirs = self.both()
        for client in (ours, theirs):
            client("HELLO", 3)
        for name in SAME_ARGUMENTS:
            with self.subTest(name):
                docs = [client("COMMAND", "DOCS", name)[name.encode()] for client in (ours, theirs)]
                self.assertEqual(docs[0][b"group"], docs[1][b"group"])
                self.assertEqual(*[arguments_of(one[b"arguments"]) for one in docs])
        for name in [name for name in ours("COMMAND", "LIST") if not name.startswith(b"covey.")]:
            with self.subTest(name):
                self.compare_info(name, *[client("COMMAND", "INFO", name)[0] for client in (ours, theirs)])
        for version in (2, 3):
            for client in (ours, theirs):
                client("HELLO", version)
            mine, other = [client("COMMAND", "DOCS", "client", "ping") for client in (ours, theirs)]
            self.assertEqual(list(mine)[::2 if version == 2 else 1], list(other)[::2 if version == 2 else 1])

    def compare_info(self, name, ours, theirs):
        if theirs is None:
            return self.assertEqual(name, b"client|setinfo", "Redis has it since 7.2")
        self.assertEqual(len(ours), len(theirs))
        self.assertEqual(ours[:2] + ours[3:6], theirs[:2] + theirs[3:6], "name, arity, keys")
        self.assertLessEqual(set(ours[2]), set(theirs[2]), "flags")
        self.assertLessEqual(set(ours[6]), set(theirs[6]), "categories")
        places = [[(spec[b"begin_search"], spec[b"find_keys"]) for spec in one[8]] for one in (ours, theirs)]
        self.assertEqual(*places)
        self.assertLessEqual({one[0] for one in ours[9]} - {b"client|setinfo"}, {one[0] for one in theirs[9]})

    def test_who_wants_no_answers_gets_none(self):
        self.both()[0].close()
        off, skip = encode("CLIENT", "REPLY", "OFF"), encode("CLIENT", "REPLY", "SKIP")
        on, a, b = encode("CLIENT", "REPLY", "ON"), encode("ECHO", "a"), encode("GET", "b")
        for data in (skip + a + b, skip + skip + a + b, off + a + skip + b + on + a, off + b"*x\r\n", skip + on + a, off + encode("RESET") + a,
                     skip + encode("RESET") + a, skip + encode("HELLO", 3) + b, off + encode("QUIT"), skip + encode("NOSUCH") + a):
            answers = []
            for port in (resp_port(self.node), self.redis.port):
                client = Resp(port)
                client.send(data)
                client.socket.shutdown(1)
                answers.append(client.file.read())
                client.close()
            with self.subTest(data):
                self.assertEqual(answers[0], answers[1])


    def test_info_has_the_lines_of_redis(self):
        ours, theirs = self.both()
        for words in ((), ("default",), ("ALL",), ("everything",), ("cpu", "server", "CPU"), ("memory",), ("nosuch",), ("nosuch", "clients")):
            with self.subTest(words):
                mine, other = [sections_of(client("INFO", *words)) for client in (ours, theirs)]
                self.assertEqual([name for name in other if name in mine], list(mine), "heads, in Redis' order")
                missing = {"Modules", "Errorstats", "Commandstats", "Latencystats", "Keyspace"}
                self.assertEqual(set(other) - set(mine), set(other) & missing)
                for name, lines in mine.items():
                    known = [line for line in lines if not line.startswith("covey_")]
                    self.assertEqual([line for line in other[name] if line in lines], known, "names, in Redis' order")
                    for line in known:
                        self.assert_same_form(line, lines[line], other[name][line])
        for client in (ours, theirs):
            self.assertEqual(client("INFO", "nosuch"), b"")

    def assert_same_form(self, name, mine, other):
        """Numbers are as Redis writes them, digits behind the point included."""
        form = lambda text: re.sub(r"\d+(?=[.BKMGT]|$)", "9", text) if re.fullmatch(r"[\d.]+[BKMGTP]?", text) else "text"
        if name.endswith("_human"):
            return self.assertRegex(mine, r"^(\d+B|\d+\.\d\d[KMGT])$")
        self.assertEqual(form(mine), form(other), name)

    def test_info_counts_what_clients_do(self):
        ours, theirs = self.both()
        counts = []
        for client in (ours, theirs):
            before = stats_of(client)
            for words in commands("""SET a 1 | GET a | GET nosuch | MGET a nosuch a | EXISTS a nosuch | TTL a | TYPE nosuch | HGET h f | HSET h f v | HGET h f
                                     HGET h g | STRLEN a | INCR a | DEL h nosuch | NOSUCH | LPUSH | SCAN 0 | DBSIZE | PING"""):
                client(*words)
            after = stats_of(client)
            counts.append({name: after[name] - before[name] for name in ("keyspace_hits", "keyspace_misses", "total_error_replies", "evicted_keys")})
            self.assertGreater(after["total_net_input_bytes"], before["total_net_input_bytes"] + 200)
            self.assertGreater(after["total_net_output_bytes"], before["total_net_output_bytes"] + 200)
            self.assertGreaterEqual(after["total_commands_processed"], before["total_commands_processed"] + 17)
        self.assertEqual(*counts)
        connections = stats_of(ours)["total_connections_received"]
        Resp(resp_port(self.node)).close()
        harness.wait_until(lambda: stats_of(ours)["total_connections_received"] == connections + 1, what="the connection to be counted")
        end = time.monotonic() + 1
        while time.monotonic() < end:
            ours("PING")
        self.assertGreater(stats_of(ours)["instantaneous_ops_per_sec"], 10)

    def test_memory_usage_is_told(self):
        ours, theirs = self.both()
        for words in commands("MEMORY | MEMORY USAGE | MEMORY USAGE nosuch | MEMORY USAGE nosuch SAMPLES 0 | MEMORY USAGE k SAMPLES x | "
                              "MEMORY USAGE k SAMPLES -1 | MEMORY USAGE k SAMPLES | MEMORY USAGE k SAMPLES 1 2 | MEMORY USAGE k NOPE 1 | MEMORY NOPE"):
            self.compare(ours, theirs, words)
        for client in (ours, theirs):
            client("SET", "key", "x" * 1000)
            client("HSET", "hash", "field", "x" * 2000)
            self.assertIn(client("MEMORY", "USAGE", "key"), range(1003, 1200))
            self.assertIn(client("MEMORY", "USAGE", "hash", "SAMPLES", 5), range(2009, 2300))


def sections_of(info):
    sections = {}
    for line in info.decode().split("\r\n"):
        if line.startswith("# "):
            sections[line[2:]] = {}
        elif line:
            name, value = line.split(":", 1)
            sections[list(sections)[-1]][name] = value
    return sections


def stats_of(client):
    return {name: float(value) for name, value in sections_of(client("INFO", "stats"))["Stats"].items()}


class Alone(RespTest):
    def test_info_is_true(self):
        client = self.start_one()
        for i in range(20):
            client("SET", f"k{i}", "x" * 1000)
        told = {name: value for lines in sections_of(client("INFO")).values() for name, value in lines.items()}
        resident = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{self.node.process.pid}/status").read())[1]) << 10
        self.assertLess(abs(int(told["used_memory_rss"]) - resident), resident / 4)
        self.assertLess(int(told["used_memory"]), int(told["used_memory_peak"]) + 1)
        if not os.environ.get("COVEY_SANITIZE"):
            self.assertRegex(told["mem_allocator"], r"^jemalloc-\d")
        self.assertEqual(int(told["process_id"]), self.node.process.pid)
        self.assertEqual(told["covey_objects"], "20")
        self.assertGreater(int(told["covey_object_bytes"]), 20_000)
        self.assertLess(abs(int(told["server_time_usec"]) / 1e6 - time.time()), 60)
        self.assertEqual((told["aof_enabled"], told["loading"], told["cluster_enabled"], told["role"]), ("1", "0", "0", "master"))
        self.assertEqual(told["maxclients"], client("CONFIG", "GET", "maxclients")[1].decode())

    @unittest.skipUnless(shutil.which("redis-cli"), "redis-cli is not installed")
    def test_the_modes_of_redis_cli_work(self):
        client = self.start_one()
        client("SET", "large", "x" * 5000)
        client("SET", "small", "x")
        client("INCR", "counter")
        client("SADD", "set", *range(50))
        client("HSET", "hash", "f", "v", "g", "w")
        port = str(resp_port(self.node))
        run = lambda *words: subprocess.run(["redis-cli", "-p", port, *words], capture_output=True, text=True, timeout=20 * harness.SLOWNESS)
        big = run("--bigkeys").stdout
        self.assertIn('Biggest string found \'"large"\' has 5000 bytes', big)
        self.assertIn('Biggest    set found \'"set"\' has 50 members', big)
        self.assertIn('Biggest   hash found \'"hash"\' has 2 fields', big)
        self.assertIn('Biggest string found \'"large"\' has 5005 bytes', run("--memkeys").stdout)
        self.assertIn("unknown command", "".join(run("--hotkeys").stderr + run("--hotkeys").stdout))
        stat = subprocess.Popen(["redis-cli", "-p", port, "--stat", "-i", "0.1"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(stat.stdout.close)
        self.addCleanup(stat.wait)
        self.addCleanup(stat.kill)
        lines = [stat.stdout.readline() for _ in range(6)]
        self.assertRegex(lines[-1], r"^0 +\d+\.\d\d[KMG] +\d+ +0 +\d+ \(\+1\) +\d+ *$")

    def test_all_commands_are_told(self):
        client = self.start_one()
        listed = client("COMMAND", "LIST")
        whole = [name for name in listed if b"|" not in name]
        self.assertEqual(client("COMMAND", "COUNT"), len(whole))
        self.assertEqual(len(client("COMMAND")), len(whole))
        client("HELLO", 3)
        docs = client("COMMAND", "DOCS")
        self.assertEqual(sorted(docs), sorted(whole))
        self.assertEqual(sorted(docs[b"client"][b"subcommands"]), [name for name in listed if name.startswith(b"client|")])
        self.assertEqual(docs[b"covey.set"][b"group"], b"covey")
        for container in ("CLIENT", "COMMAND", "CONFIG"):
            told = client(container, "HELP")
            self.assertEqual(len(told), 1 + 2 * len(docs[container.lower().encode()][b"subcommands"]))
            self.assertTrue(told[0].startswith(container.encode() + b" <subcommand>"))

    def test_connections_are_listed(self):
        self.cluster = self.start_cluster(1, replicas=1, threads=2, listen={"resp": "127.0.0.1:0"})
        self.node = self.cluster["n1"]
        clients = [self.connect() for _ in range(5)]
        for i, client in enumerate(clients):
            client("CLIENT", "SETNAME", f"name{i}")
        ids = [client("CLIENT", "ID") for client in clients]
        lines = clients[0]("CLIENT", "LIST").decode().splitlines()
        self.assertEqual([line.split(" name=")[1].split()[0] for line in lines], [f"name{i}" for i in range(5)])
        told = clients[1]("CLIENT", "LIST", "ID", ids[4], ids[2], -1).decode().splitlines()
        self.assertEqual([line.split()[0] for line in told], [f"id={ids[i]}" for i in (2, 4)])
        self.assertEqual(len(clients[0]("CLIENT", "LIST", "TYPE", "normal").splitlines()), 5)
        clients[3].close()
        harness.wait_until(lambda: len(clients[0]("CLIENT", "LIST").splitlines()) == 4, what="a closed one to be gone")

    def test_settings_are_what_they_say(self):
        client = self.start_one(durability={"mode": "interval"}, limits={"connections": 77}, resp={"password": "open sesame"})
        client("AUTH", "open sesame")
        client("HELLO", 3)
        told = client("CONFIG", "GET", "*")
        self.assertEqual((told[b"appendfsync"], told[b"appendonly"], told[b"maxclients"]), (b"everysec", b"yes", b"77"))
        self.assertEqual(told[b"port"], str(resp_port(self.node)).encode())
        self.assertTrue(os.path.isdir(told[b"dir"]))
        self.assertNotIn(b"requirepass", told, "nobody is told the password")
        self.assertEqual(client("CONFIG", "GET", "app*", "SAVE", "save"),
                         {b"appendfsync": b"everysec", b"appendonly": b"yes", b"SAVE": b""})
        self.assertEqual(client("CONFIG", "SET", "save", "60 1"), "-ERR unknown subcommand 'SET'. Try CONFIG HELP.")

    def test_the_durability_is_told_as_redis_calls_it(self):
        for mode, told in (("sync", b"always"), ("interval", b"everysec"), ("none", b"no")):
            client = self.start_one(durability={"mode": mode})
            self.assertEqual(client("CONFIG", "GET", "appendfsync"), [b"appendfsync", told])
            self.cluster.stop()

    @unittest.skipUnless(shutil.which("redis-cli"), "redis-cli is not installed")
    def test_redis_cli_shows_hints_for_commands_that_only_covey_has(self):
        self.start_one()
        port = str(resp_port(self.node))
        near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        shell = subprocess.Popen(["redis-cli", "-p", port], stdin=far, stdout=far, stderr=far, env={**os.environ, "TERM": "xterm"})
        os.close(far)
        self.addCleanup(os.close, near)
        self.addCleanup(shell.kill)
        self.read_until(near, b"> ")
        os.write(near, b"help covey.set\r")
        seen = self.read_until(near, b"group: covey")
        self.assertIn(b"COVEY.SET key value [CONTEXT context] [W level]", seen)
        if not seen.endswith(b"> "):
            self.read_until(near, b"> ")  # what is typed before the prompt is not hinted at
        os.write(near, b"covey.level ")
        self.read_until(near, b"READ|WRITE level")
        os.write(near, b"\x15quit\r")
        self.assertEqual(shell.wait(timeout=20), 0)

    def read_until(self, terminal, text):
        seen, end = b"", time.monotonic() + 20
        def shown():
            return re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", seen)
        while text not in shown() and time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                seen += os.read(terminal, 65536)
        self.assertIn(text, shown())
        return shown()


if __name__ == "__main__":
    harness.main()
