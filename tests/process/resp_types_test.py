#!/usr/bin/env python3
"""Counters, sets and hashes over the Redis protocol: the same answers as Debian's redis-server on one node, and what is
merged between nodes; and the clients that Debian has."""

import random
import shutil
import subprocess
import sys

import harness
from resp_test import RESP, BesideTest, RespTest, commands, resp_port

SAME = """
INCR c | INCR c | GET c | INCRBY c 40 | DECR c | DECRBY c 2 | TYPE c | STRLEN c | INCRBY c -100 | GET c | INCR | INCR c 1 | INCRBY c | INCRBY c x
INCRBY c 1.5 | INCRBY c 9223372036854775808 | DECRBY c -9223372036854775808 | INCRBY c 9223372036854775807 | INCRBY c 9223372036854775807 | GET c
DECRBY c 9223372036854775807 | SET n 5 | INCR n | GET n | SET n ten | INCR n | INCRBYFLOAT n 1 | SET n 9223372036854775807 | INCR n | DEL n
INCRBYFLOAT f 0.1 | INCRBYFLOAT f 0.2 | INCRBYFLOAT f -0.3 | INCRBYFLOAT f 1e3 | INCRBYFLOAT f x | INCR f | SET g 3.5 | INCR g | INCRBYFLOAT g 0.5
INCRBYFLOAT g 2 | INCR g | GET g | APPEND c x | GET c | INCR c | GETSET c 7 | INCR c | GETDEL c | GET c | SETNX c 1 | INCR c | GETEX c EX 100 | TTL c
INCR c | TTL c | PERSIST c | TTL c | EXPIRE c 100 | TTL c | INCR c | TTL c | SET c 5 KEEPTTL | TTL c | INCR c | SET c 1 XX GET | TTL c | DEL c | INCR c | DEL c
SET e 1 EX 100 | INCR e | TTL e | EXPIRE e 50 LT | TTL e | EXPIRE e 60 GT | TTL e | EXPIRE e 70 NX | PEXPIREAT e 1 | EXISTS e | INCR e | TTL e
SADD s a | SADD s a | SADD s a b a c | SCARD s | SISMEMBER s a | SISMEMBER s x | SMISMEMBER s a x b | SMISMEMBER none a b | TYPE s | SREM s a b x a | SMEMBERS s
SCARD s | SREM s c | EXISTS s | SMEMBERS s | TYPE s | SADD s | SADD | SREM s | SCARD | SISMEMBER s | SMISMEMBER s | SMEMBERS | SREM none a | SCARD none
SADD s one | EXPIRE s 100 | TTL s | SADD s one | TTL s | SREM s one | TTL s | SADD s one | TTL s | SSCAN s 0 | SSCAN s x | SSCAN s 0 MATCH o* | SSCAN s 0 MATCH x*
SSCAN s 0 COUNT 0 | SSCAN s 0 COUNT x | SSCAN s 0 NOPE 1 | SSCAN s 0 TYPE set | SSCAN s | SSCAN none 0 | SSCAN s 0 MATCH
HSET h a 1 | HSET h a 2 b 3 c 4 | HGET h a | HGET h x | HMGET h a x c | HMGET none a b | HGETALL h | HKEYS h | HVALS h | HLEN h | HEXISTS h a | HEXISTS h x | TYPE h
HSTRLEN h a | HSTRLEN h x | HDEL h a x a | HGETALL h | HINCRBY h b 4 | HINCRBY h new 1 | HINCRBY h b x | HINCRBY h b 1.5 | HSET h t text | HINCRBY h t 1
HINCRBYFLOAT h t 1 | HINCRBYFLOAT h b 0.5 | HINCRBY h b 1 | HINCRBYFLOAT h b x | HGET h b | HSET h b 9223372036854775807 | HINCRBY h b 1 | HGET h b | HSETNX h b 1
HSETNX h fresh 1 | HGET h fresh | HMSET h m 1 n 2 | HGET h n | HSET h a | HSET h a 1 b | HMSET h a | HMSET h a 1 b | HSET h | HDEL h | HGET h | HMGET h | HINCRBY h a
HLEN none | HGETALL none | HKEYS none | HVALS none | HEXISTS none a | HDEL none a | HGET none a | EXPIRE h 100 | HSET h z 1 | TTL h | PERSIST h | TTL h
DEL h | HSET h only 1 | HDEL h only | EXISTS h | HSET h a 1 b 2 | HSCAN h 0 | HSCAN h 0 MATCH b COUNT 5 | HSCAN h x | HSCAN none 0 | HSCAN h 0 COUNT 0
SET str v | SADD str a | SREM str a | SMEMBERS str | SCARD str | SISMEMBER str a | SMISMEMBER str a | SSCAN str 0 | HSET str a 1 | HGET str a | HGETALL str | HDEL str a
HLEN str | HINCRBY str a 1 | HKEYS str | HSCAN str 0 | INCR s | GET s | GET h | STRLEN s | APPEND h x | GETSET s x | GETDEL h | GETEX s | GETEX h EX 10 | SET s x GET
INCRBY h 1 | INCRBYFLOAT s 1 | SADD h a | HSET s a 1 | MGET str s h c | SETNX s 1 | SET s x NX | EXISTS s h str | SET s now-a-string | GET s | TYPE s | DEL h | SADD h x | TYPE h
INCRBYFLOAT s x | INCRBYFLOAT h 1e5000 | SSCAN none -1 MATCH | SSCAN none 00 NOPE | SSCAN str 0 COUNT x | HSCAN none 18446744073709551616 | HSCAN none 0 COUNT 9223372036854775808
SADD s2 a | SSCAN s2 +0 | SSCAN s2 - | SSCAN s2 0 MATCH | HSET h2 a 1 | HSCAN h2 -1 | HSCAN h2 007 | HSCAN h2 0 NOPE 1 | HSCAN h2 0x1 | HSCAN str -1 COUNT | DEL s2 h2
SET m 9223372036854775807 | INCRBYFLOAT m -1.0e2 | GET m | SET m -100 | INCRBYFLOAT m -1.0e2 | INCR m | DEL m
DEL s h str c e f g | SET z 01 | INCR z | INCRBYFLOAT z 1 | INCR z | SET z " 1" | INCR z | SET z -0 | INCR z | DEL z
"""
# In version 3 only what it writes otherwise.
SAME_IN_3 = """
SADD s a | SMEMBERS s | SMEMBERS none | HSET h a 1 | HGETALL h | HGETALL none | HGET h x | HMGET h a x | INCRBYFLOAT f 1.5 | HINCRBYFLOAT h f 1.5 | SSCAN s 0 | HSCAN h 0
"""


def random_command(rng):
    key, name, other = rng.choice("pqr"), rng.choice("abcd"), rng.choice("abcd")
    number = rng.randrange(-50, 50)
    kind = rng.choice(("counter", "set", "hash", "any"))
    if kind == "counter":
        return rng.choice([["INCR", "c" + key], ["DECRBY", "c" + key, number], ["INCRBY", "c" + key, number], ["GET", "c" + key],
                           ["SET", "c" + key, number], ["DEL", "c" + key], ["EXPIRE", "c" + key, 1000], ["APPEND", "c" + key, 1]])
    if kind == "set":
        return rng.choice([["SADD", "s" + key, name, other], ["SREM", "s" + key, name, other], ["SCARD", "s" + key],
                           ["SISMEMBER", "s" + key, name], ["SMISMEMBER", "s" + key, name, other], ["DEL", "s" + key]])
    if kind == "hash":
        return rng.choice([["HSET", "h" + key, name, number, other, number], ["HDEL", "h" + key, name, other], ["HLEN", "h" + key],
                           ["HINCRBY", "h" + key, name, number], ["HGET", "h" + key, name], ["HSETNX", "h" + key, name, number],
                           ["HMGET", "h" + key, name, other], ["DEL", "h" + key]])
    return rng.choice([[command, *words] for command, *words in (
        ("TYPE", key), ("INCR", key), ("SADD", key, name), ("HSET", key, name, 1), ("DEL", key), ("SET", key, number), ("GET", key),
        ("SCARD", key), ("HLEN", key), ("EXISTS", key), ("MGET", key, "c" + key))])


class BesideRedis(BesideTest):
    def test_answers_are_the_same_bytes(self):
        ours, theirs = self.both()
        for words in commands(SAME):
            self.compare(ours, theirs, words)
        for client in (ours, theirs):
            client("HELLO", 3)
        for words in commands(SAME_IN_3):
            self.compare(ours, theirs, words)

    def test_random_pipelines_are_answered_the_same(self):
        self.compare_pipelines(random_command)

    def test_sets_and_hashes_of_any_bytes_are_the_same(self):
        ours, theirs = self.both()
        rng = random.Random(5)
        names = [bytes(rng.randrange(256) for _ in range(rng.randrange(1, 20))) for _ in range(300)]
        for client in (ours, theirs):
            client("SADD", "s", *names)
            client("HSET", "h", *[word for name in names for word in (name, name[::-1])])
            client("SREM", "s", *names[:100])
            client("HDEL", "h", *names[50:100])
        self.assertEqual(sorted(ours("SMEMBERS", "s")), sorted(theirs("SMEMBERS", "s")))
        pairs = [client("HGETALL", "h") for client in (ours, theirs)]
        self.assertEqual(*[dict(zip(all_[::2], all_[1::2])) for all_ in pairs])
        for kind in ("set", "hash", "string", "list"):
            self.assertEqual(ours("SCAN", 0, "TYPE", kind, "COUNT", 1000)[1], theirs("SCAN", 0, "TYPE", kind, "COUNT", 1000)[1])


class Merged(RespTest):
    def test_what_two_sides_of_a_partition_do_comes_together(self):
        cluster = self.start_cluster(3, proxied=True, **RESP)
        near, far = self.connect(cluster["n1"]), self.connect(cluster["n2"])
        near("INCRBY", "c", 100)
        near("SADD", "s", "old", "kept")
        near("HSET", "h", "name", "first", "old", 1)
        cluster.wait_converged()
        cluster.part(["n1"], ["n2", "n3"])
        for client in (near, far):
            client("COVEY.LEVEL", "READ", "one")
            client("COVEY.LEVEL", "WRITE", "one")
        self.assertEqual([near("INCR", "c") for _ in range(5)][-1], 105)
        self.assertEqual(far("DECRBY", "c", 20), 80)
        self.assertEqual(near("SADD", "s", "near", "old"), 1)
        self.assertEqual(far("SREM", "s", "old"), 1)
        self.assertEqual(far("SADD", "s", "far"), 1)
        self.assertEqual((near("HINCRBY", "h", "n", 3), far("HINCRBY", "h", "n", 4)), (3, 4))
        self.assertEqual((near("HSET", "h", "near", 1), far("HSET", "h", "far", 1), far("HDEL", "h", "old")), (1, 1, 1))
        cluster.heal()
        cluster.wait_converged()
        for node in cluster:
            client = self.connect(node)
            self.assertEqual(client("GET", "c"), b"85")
            self.assertEqual(client("SMEMBERS", "s"), [b"far", b"kept", b"near", b"old"], "an addition wins")
            fields = client("HGETALL", "h")
            self.assertEqual(dict(zip(fields[::2], fields[1::2])), {b"far": b"1", b"n": b"7", b"name": b"first", b"near": b"1"})
        self.assertEqual(near("DEL", "c", "s", "h"), 3)
        cluster.wait_converged()
        for node in cluster:
            self.assertEqual(self.connect(node)("DBSIZE"), 0)

    def test_a_token_counts_once_on_whichever_node(self):
        cluster = self.start_cluster(3, **RESP)
        for node in cluster:
            self.assertEqual(self.connect(node)("COVEY.INCR", "c", 5, "TOKEN", "order-17"), 5)
        client = self.connect(cluster["n2"])
        self.assertEqual(client("COVEY.INCR", "c", 5, "token", "order-18"), 10)
        self.assertEqual(client("COVEY.INCR", "c", -1), 9)
        self.assertEqual(self.connect(cluster["n3"])("GET", "c"), b"9")
        for words in (["COVEY.INCR", "c", 5, "TOKEN"], ["COVEY.INCR", "c", 5, "NOPE", "x"]):
            self.assertEqual(client(*words), "-ERR syntax error")
        self.assertEqual(client("COVEY.INCR", "c", "x"), "-ERR value is not an integer or out of range")
        self.assertEqual(client("COVEY.INCR", "c", 1, "TOKEN", "t" * 129), "-ERR a token has 1 to 128 bytes")

    def test_all_of_a_key_is_shown(self):
        client = self.start_one()
        client("HELLO", 3)
        client("SADD", "k", "b", "a")
        self.assertEqual([(one[b"type"], one[b"value"]) for one in client("COVEY.GET", "k")[b"siblings"]], [(b"set", [b"a", b"b"])])
        client("COVEY.SET", "k", "beside it")
        read = client("COVEY.GET", "k")
        self.assertEqual([one[b"value"] for one in read[b"siblings"]], [b"beside it", [b"a", b"b"]])
        self.assertEqual(client("TYPE", "k"), b"string", "the latest of the two")
        self.assertEqual(client("COVEY.SET", "k", "settled", "CONTEXT", read[b"context"])[b"siblings"], 1)
        client("HSET", "h", "n", 1)
        client("HINCRBY", "h", "n", 4)
        client("EXPIRE", "h", 100)
        one, = client("COVEY.GET", "h")[b"siblings"]
        self.assertEqual((one[b"type"], one[b"value"], one[b"expires_ms"] > 0), (b"hash", {b"n": b"5"}, True))
        client("INCRBYFLOAT", "c", 1.5)
        self.assertEqual(client("COVEY.GET", "c")[b"siblings"][0][b"value"], b"1.5")

    def test_limits_are_told(self):
        client = self.start_one(limits={"elements": 100, "value_bytes": 20000})
        self.assertEqual(client("SADD", "s", *range(100)), 100)
        self.assertRegex(client("SADD", "s", "more"), "^-ERR .*limits.elements")
        self.assertEqual((client("SADD", "s", 1), client("SREM", "s", 1), client("SADD", "s", "more")), (0, 1, 1))
        self.assertRegex(client("HSET", "h", "f", "v" * 19000, "g", "v" * 2000), "^-ERR .*limits.value_bytes")
        self.assertEqual(client("EXISTS", "h"), 0)


PYTHON_CLIENT = """
import sys, redis
r = redis.Redis(port=int(sys.argv[1]))
assert r.ping() and r.set('k', 'v') and r.get('k') == b'v'
assert r.incr('c', 5) == 5 and r.decr('c') == 4 and r.incrbyfloat('f', 1.5) == 1.5
assert r.sadd('s', 'a', 'b') == 2 and r.smembers('s') == {b'a', b'b'} and r.sismember('s', 'a') and list(r.sscan_iter('s'))
assert r.hset('h', mapping={'x': 1, 'y': 2}) == 2 and r.hgetall('h') == {b'x': b'1', b'y': b'2'} and r.hincrby('h', 'x', 9) == 10
assert dict(r.hscan_iter('h')) == {b'x': b'10', b'y': b'2'}
with r.pipeline(transaction=False) as pipe:
    pipe.set('p', 1).incr('p').get('p')
    assert pipe.execute() == [True, 2, b'2']
assert sorted(r.scan_iter()) == [b'c', b'f', b'h', b'k', b'p', b's'] and r.type('h') == b'hash'
assert r.expire('k', 100) and 98 <= r.ttl('k') <= 100 and r.delete('k', 'nothing') == 1
try:
    r.incr('h'); raise SystemExit('no error')
except redis.ResponseError as e:
    assert 'WRONGTYPE' in str(e) or 'wrong kind' in str(e), e
r.delete(*r.scan_iter())
print('done')
"""
RUBY_CLIENT = """
require 'redis'
r = Redis.new(port: ARGV[0].to_i)
check = ->(a, b) { raise "#{a.inspect} is not #{b.inspect}" unless a == b }
check.(r.ping, 'PONG'); check.(r.set('k', 'v'), 'OK'); check.(r.get('k'), 'v')
check.(r.incrby('c', 5), 5); check.(r.decr('c'), 4)
r.sadd('s', ['a', 'b']); check.(r.smembers('s').sort, ['a', 'b']); check.(r.sismember('s', 'a'), true)
r.hset('h', 'x', 1, 'y', 2); check.(r.hgetall('h'), {'x' => '1', 'y' => '2'}); check.(r.hincrby('h', 'x', 9), 10)
check.(r.pipelined { |p| p.set('p', 1); p.incr('p'); p.get('p') }, ['OK', 2, '2'])
check.(r.scan_each.to_a.sort, ['c', 'h', 'k', 'p', 's']); check.(r.type('h'), 'hash')
begin
  r.incr('h'); raise 'no error'
rescue Redis::CommandError => e
  raise unless e.message.start_with?('WRONGTYPE')
end
r.del('k', 'c', 's', 'h', 'p')
puts 'done'
"""


class Clients(RespTest):
    def run_client(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout.split()[-1:]), (0, ["done"]), done.stdout + done.stderr)

    def test_clients_of_debian(self):
        self.start_one()
        port = str(resp_port(self.node))
        ran = []
        # Debian's package is seen by Debian's Python, which need not be the one that runs this.
        for python in dict.fromkeys((sys.executable, "/usr/bin/python3")):
            if shutil.which(python) and subprocess.run([python, "-c", "import redis"], capture_output=True).returncode == 0:
                self.run_client(python, "-c", PYTHON_CLIENT, port)
                ran.append("python")
                break
        if shutil.which("ruby") and subprocess.run(["ruby", "-e", "require 'redis'"], capture_output=True).returncode == 0:
            self.run_client("ruby", "-e", RUBY_CLIENT, port)
            ran.append("ruby")
        if shutil.which("redis-cli"):
            told = subprocess.run(["redis-cli", "-p", port], input="INCRBY c 3\nHSET h f v\nHGETALL h\nSMEMBERS none\nGET c\nDEL c h\n",
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(told.stdout.split(), ["3", "1", "f", "v", "3", "2"], told.stderr)
            ran.append("redis-cli")
        if shutil.which("redis-benchmark"):
            told = subprocess.run(["redis-benchmark", "-p", port, "-n", "2000", "-c", "10", "-P", "4", "-t", "set,get,incr,sadd,hset,mset", "--csv"],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(told.returncode, 0, told.stderr)
            self.assertEqual(len(told.stdout.strip().splitlines()), 7, told.stdout + told.stderr)
            self.assertNotIn("WARNING", told.stderr)
            ran.append("redis-benchmark")
        print(f"    ran: {', '.join(ran)}")
        self.assertTrue(ran, "no client of Redis is installed")


if __name__ == "__main__":
    harness.main()
