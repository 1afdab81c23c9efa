#!/usr/bin/env python3
"""Random commands with hostile arguments, and random bytes: the same answers as Debian's redis-server."""

import random
import re
import shutil
import socket
import unittest

import harness
from resp_client import Resp, encode, parse
from resp_test import BesideTest, resp_port

# Not here, as docs/redis.md tells: 0x10, inf, times beyond a hundred years, keys without a byte.
# Floats are such as add up exactly in whatever order.
NUMBERS = ["0", "1", "-1", "7", "-50", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "01", "+1", "-0", " 1", "1 ", "1.5",
           "-0.5", "1e3", "1e400", "1e5000", "x", "", "3.0", "123456789012345678", "1e17", ".5", "5.", "1_0", "1\n", "3\0"]
TIMES = ["0", "-1", "100000", "200000", "2000000000", "-9223372036854775808", "x", "", "1.5", "+5", " 5", "05"]
COUNTS = ["1000", "0", "-5", "x", "", "9223372036854775808"]
UNITS = ("EX", "PX", "EXAT", "PXAT")


class Words:
    """Makes commands up."""

    def __init__(self, rng):
        self.rng = rng

    def key(self):
        return self.rng.choice(("k1", "k2", "k3"))

    def field(self):
        return self.rng.choice(("a", "b", "c", ""))

    def number(self):
        return self.rng.choice(NUMBERS) if self.rng.random() < 0.6 else str(self.rng.randrange(-1000, 1000))

    def value(self):
        return self.number() if self.rng.random() < 0.6 else self.rng.choice(("", "x", "hello", "\r\n", "\xff" * 3))

    def time(self):
        return self.rng.choice(TIMES)

    def many(self, *makers, least=1):
        return [make() for _ in range(self.rng.randrange(least, 4)) for make in makers]

    def any_case(self, word):
        return "".join(self.rng.choice((c.upper(), c.lower())) for c in word)

    def options(self, *names):
        out = []
        for name in self.rng.choices(names, k=self.rng.choice((0, 1, 1, 2, 3))):
            out.append(self.any_case(name))
            if name in UNITS and self.rng.random() < 0.93:
                out.append(self.time())
            if name in ("MATCH", "COUNT", "TYPE") and self.rng.random() < 0.93:
                out.append({"MATCH": self.rng.choice(("*", "a*", "[^a]", "")), "TYPE": "set"}.get(name, self.rng.choice(COUNTS)))
        return out

    def cursor(self):
        return self.rng.choice(("0", "0", "0", "x", "", "00", " 0", "18446744073709551616"))  # a set is answered as a whole

    def command(self):
        key, field, value, number, time = self.key, self.field, self.value, self.number, self.time
        name, *words = self.rng.choice((
            lambda: ["SET", key(), value(), *self.options("NX", "XX", "GET", "KEEPTTL", "PERSIST", *UNITS)],
            lambda: ["SET", key(), number()],
            lambda: ["GETEX", key(), *self.options("PERSIST", "KEEPTTL", *UNITS)],
            lambda: [self.rng.choice(("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT")), key(), time(), *self.options("NX", "XX", "GT", "LT", "x\r\n")],
            lambda: [self.rng.choice(("SETEX", "PSETEX")), key(), time(), value()],
            lambda: [self.rng.choice(("GET", "STRLEN", "TYPE", "GETDEL", "PERSIST", "INCR", "DECR", "SCARD", "HLEN")), key()],
            lambda: [self.rng.choice(("SETNX", "GETSET", "APPEND", "INCRBY", "DECRBY", "INCRBYFLOAT", "SISMEMBER")), key(), value()],
            lambda: [self.rng.choice(("DEL", "UNLINK", "EXISTS", "MGET")), *self.many(key)],
            lambda: ["MSET", *self.many(key, value)],
            lambda: [self.rng.choice(("SADD", "SREM", "SMISMEMBER", "HDEL", "HMGET")), key(), *self.many(field)],
            lambda: [self.rng.choice(("HSET", "HMSET")), key(), *self.many(field, value)],
            lambda: [self.rng.choice(("HINCRBY", "HINCRBYFLOAT", "HSETNX")), key(), field(), number()],
            lambda: [self.rng.choice(("HGET", "HEXISTS", "HSTRLEN")), key(), field()],
            lambda: [self.rng.choice(("SSCAN", "HSCAN")), key(), self.cursor(), *self.options("MATCH", "COUNT", "TYPE", "NOPE")],
            lambda: [self.rng.choice(("SMEMBERS", "HGETALL", "HKEYS", "HVALS")), key()],
            lambda: [self.rng.choice(("CLIENT", "COMMAND", "CONFIG")), self.rng.choice(("GETNAME", "NOPE", "no\0pe", "SETNAME")), value()],
            lambda: [self.rng.choice(("PING", "ECHO")), *self.many(value, least=0)]))()
        kind = self.rng.random()
        if kind < 0.04:
            words = words[:-1]
        elif kind < 0.06:
            words.append(value() or "x")
        return [word.encode("latin-1") for word in (self.any_case(name), *words)]


def ordered(words, frame):
    """Without the order of what has none."""
    if frame[:1] not in b"*~%" or words[0].upper() not in (b"SMEMBERS", b"HGETALL", b"HKEYS", b"HVALS", b"SSCAN", b"HSCAN"):
        return frame
    value, name = parse(frame)[0], words[0].upper()
    if isinstance(value, dict):
        return frame[:1], value
    cursor, items = value if name in (b"SSCAN", b"HSCAN") else (None, value)
    pairs = name in (b"HGETALL", b"HSCAN")
    return frame[:1], cursor, sorted(zip(items[::2], items[1::2]) if pairs else items)


def is_known(words, ours, theirs):
    """Integers beyond 64 bits, and the last digits of floats."""
    if words[0].upper().endswith(b"INCRBYFLOAT") and ours == b"-ERR increment would produce NaN or Infinity\r\n":
        return True
    numbers = [re.fullmatch(rb"\$\d+\r\n(-?\d{15,}(?:\.\d+)?)\r\n", frame) for frame in (ours, theirs)]
    return all(numbers) and float(numbers[0][1]) == float(numbers[1][1])


WORDS = [b"PING", b"ECHO", b"hi", b"GET", b"k", b"SET", b"a b", b"'a'", b'"a\\x41\\n"', b"'it\\'s'", b'"q\\"x"', b'a"b"', b'"a"b', b"'a", b'"a', b"\\x41",
         b"\t", b" ", b"\x0b", b"\x0c", b"*1", b"$3", b"QUIT", b"AUTH", b"pw", b"HELLO", b"3", b"2", b"RESET", b"CLIENT", b"GETNAME", b"REPLY", b"SKIP"]
LENGTHS = [b"-1", b"-2", b"01", b"+1", b" 1", b"1 ", b"", b"x", b"99999999999999999999", b"16385", b"11", b"10", b"-9223372036854775808", b"1\n"]


def random_bytes(rng):
    """What a broken or hostile client may send."""
    kind = rng.random()
    line_end = b"\r\n" if rng.random() < 0.9 else rng.choice((b"\n", b"\r", b"\n\r", b"\r\r\n", b""))
    if kind < 0.4:
        return b" ".join(rng.choices(WORDS, k=rng.randrange(5))) + line_end
    if kind < 0.55:
        return encode(rng.choice(WORDS), *rng.choices(WORDS, k=rng.randrange(3)))
    if kind < 0.85:
        count = rng.randrange(1, 4)
        out = b"*" + (b"%d" % count if rng.random() < 0.8 else rng.choice(LENGTHS)) + line_end
        for word in rng.choices(WORDS, k=count):
            length = b"%d" % len(word) if rng.random() < 0.85 else rng.choice(LENGTHS)
            out += (b"$" if rng.random() < 0.95 else rng.choice((b":", b"+", b"*", b"", b"\r\n"))) + length + b"\r\n" + word + line_end
        return out
    if kind < 0.92:
        return rng.choice((b"\r\n", b"\n", b"*0\r\n", b"*-1\r\n", b"  \r\n", b"*\r\n"))
    return bytes(rng.randrange(1, 256) for _ in range(rng.randrange(1, 8))) + b"\r\n"


def all_answers(port, pieces):
    """Until the server ends the connection, which it does once all is answered or refused."""
    out = b""
    with socket.create_connection(("127.0.0.1", port), 15) as client:
        try:
            for piece in pieces:
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was refused meanwhile
        try:
            while data := client.recv(65536):
                out += data
        except ConnectionError:
            pass
    return re.sub(rb"\$7\r\nversion.*?\$4\r\nmode", b"", out, flags=re.S)  # of HELLO


@unittest.skipUnless(shutil.which("redis-server"), "redis-server is not installed")
class Random(BesideTest):
    def seeded(self):
        seed = random.randrange(1 << 32)
        print(f"    seed {seed}")
        return random.Random(seed)

    def test_random_commands_are_answered_the_same(self):
        self.both()[0].close()
        rng = self.seeded()
        words = Words(rng)
        for _ in range(250):
            clients = [Resp(port) for port in (resp_port(self.node), self.redis.port)]
            batch = [words.command() for _ in range(rng.choice((5, 30, 60)))]
            for client in clients:
                client("DEL", "k1", "k2", "k3")
                client("HELLO", 3 if len(batch) == 30 else 2)
                client.send(b"".join(encode(*one) for one in batch))
            same = True  # what they hold
            for i, one in enumerate(batch):
                frames = [client.frame() for client in clients]  # all of them: what is not answered yet may run after the next DEL
                ours, theirs = [ordered(one, frame) for frame in frames]
                same = same and (ours == theirs or not is_known(one, *frames))
                if not same:
                    continue
                self.assertEqual(ours, theirs, f"{one} behind {[other for other in batch[:i] if other[1:2] == one[1:2]][-4:]}")
            for client in clients:
                client.close()

    def test_random_bytes_are_answered_the_same(self):
        for password in ((), ("--requirepass", "pw")):
            self.both(*password, **({"resp": {"password": "pw"}} if password else {}))[0].close()
            rng = self.seeded()
            for _ in range(1000):
                pieces = [random_bytes(rng) for _ in range(rng.randrange(1, 7))]
                ours, theirs = [all_answers(port, pieces) for port in (resp_port(self.node), self.redis.port)]
                self.assertEqual(ours, theirs, b"".join(pieces))
            self.cluster.stop()


if __name__ == "__main__":
    harness.main()
