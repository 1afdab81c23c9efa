#!/usr/bin/env python3
"""covey-maelstrom in Maelstrom's workloads, over a network with partitions, loss and delays; and that a node which does
wrong would be found."""

import json
import random
import unittest

from drive import FAULTS, node_command, play
from network import Network
from workloads import WORKLOADS

SECONDS = 2.5


class Played(unittest.TestCase):
    def play(self, workload, nodes):
        seed = random.SystemRandom().getrandbits(32)
        print(f"seed {seed}", flush=True)
        problems, figures = play(workload, nodes, SECONDS, seed)
        print(json.dumps(figures))
        self.assertEqual(problems, [], f"seed {seed}")
        self.assertGreater(figures["ok"], 0)

    def test_echo(self):
        self.play("echo", 1)

    def test_broadcast(self):
        self.play("broadcast", 5)

    def test_g_set(self):
        self.play("g-set", 3)

    def test_g_counter(self):
        self.play("g-counter", 3)

    def test_pn_counter(self):
        self.play("pn-counter", 5)

    def test_lin_kv(self):
        self.play("lin-kv", 5)


class ByHand(unittest.TestCase):
    def start(self, workload, nodes=3, *options):
        network = Network([f"n{i + 1}" for i in range(nodes)], node_command(workload, 1, *options), 1, FAULTS["none"])
        self.addCleanup(network.close)
        network.start_all()
        return network, WORKLOADS[workload](network, random.Random(1))

    def begin_anew(self, network, name):
        network.kill(name)
        network.lose_what_is_under_way()
        network.heal()
        network.start(name)
        network.init([name])

    def write_apart_and_read(self, *options):
        network, played = self.start("lin-kv", 3, *options)
        played.until_done("n2", {"type": "write", "key": 0, "value": 1})
        network.isolate(["n1"])
        apart = played.once("n1", {"type": "write", "key": 0, "value": 2})
        read = played.until_done("n2", {"type": "read", "key": 0})
        return apart, read, played.wrong_at_all()

    def test_registers_at_level_one_are_found_not_to_be_linearizable(self):
        apart, read, problems = self.write_apart_and_read("--level", "one")
        self.assertEqual((apart.outcome, read.answer["value"]), ("ok", 1))
        self.assertIn("not linearizable", problems[0])

    def test_registers_at_a_majority_are_not_written_by_a_minority(self):
        apart, read, problems = self.write_apart_and_read()
        self.assertNotEqual(apart.outcome, "ok")
        self.assertEqual((read.answer["value"], problems), (1, []))

    def test_a_counter_that_forgets_is_found(self):
        """Nodes keep all in memory: one that ends while it is apart takes along what it alone has acknowledged."""
        network, played = self.start("pn-counter")
        self.assertEqual(played.once("n2", {"type": "add", "delta": 3}).outcome, "ok")
        network.isolate(["n1"])
        self.assertEqual(played.once("n1", {"type": "add", "delta": 4}).outcome, "ok")
        self.begin_anew(network, "n1")

        def all_read_three():
            return {network.ask(name, {"type": "read"})["value"] for name in network.names} == {3}
        self.assertTrue(network.run_until(all_read_three, 60))
        self.assertIn("possible sums are 1 values from 7 to 7", played.problems()[0])

    def test_an_element_that_is_lost_is_found(self):
        network, played = self.start("g-set", 2)
        played.once("n1", {"type": "add", "element": 1})
        self.assertTrue(network.run_until(lambda: network.ask("n2", {"type": "read"})["value"] == [1], 60))
        network.isolate(["n1"])
        played.once("n1", {"type": "add", "element": 2})
        played.once("n1", {"type": "read"})
        self.begin_anew(network, "n1")
        played.once("n1", {"type": "read"})
        problems = " ".join(played.problems())
        self.assertIn("n2 lacks ['2']", problems)
        self.assertIn("n1 has forgotten ['2']", problems)

    def test_errors_say_what_is_certain(self):
        network, played = self.start("lin-kv")
        self.assertEqual(network.ask("n1", {"type": "read", "key": "none"})["code"], 20)
        self.assertEqual(network.ask("n1", {"type": "cas", "key": 1, "from": 1, "to": 2})["code"], 10)
        self.assertEqual(network.ask("n1", {"type": "txn", "txn": []})["code"], 10)
        self.assertEqual(network.ask("n1", {"type": "write", "key": "k" * 3000, "value": 1})["code"], 12)
        self.assertEqual(network.ask("n1", {"type": "init", "node_id": "n1", "node_ids": ["n1"]})["code"], 12)
        network.isolate(["n1"])
        # Before its silence is noticed a write is tried, and may take effect; later it is refused before that.
        codes = set()

        def refused():
            codes.add(network.ask("n1", {"type": "write", "key": 1, "value": 1}).get("code"))
            return 11 in codes
        self.assertTrue(network.run_until(refused, 60))
        self.assertLessEqual(codes, {0, 11, 14})

    def test_lines_that_are_none_end_nothing(self):
        network, played = self.start("echo", 2)
        lines = [b"", b"x", b"{", b"[]", b"null", b'"a"', b"\xff\xfe", b"[" * 100_000, b"{}", b'{"src": 1, "dest": "n1"}',
                 b'{"src": "c0", "dest": "n1"}', b'{"src": "c0", "dest": "n1", "body": []}',
                 b'{"src": "c0", "dest": "n1", "body": {"msg_id": -1, "type": "echo"}}',
                 b'{"src": "n2", "dest": "n1", "body": {"type": "covey", "data": "*"}}',
                 b'{"src": "n2", "dest": "n1", "body": {"type": "covey", "data": "AAAA"}}',
                 b'{"src": "n2", "dest": "n1", "body": {"type": "covey", "data": 7}}', b"y" * 5_000_000]
        for line in lines:
            network.send_line("n1", line + b"\n")
        answers = [network.request("c0", "n1", body) for body in ({}, {"type": 7}, {"type": "echo"}, {"type": "covey"})]
        self.assertEqual(network.ask("n1", {"type": "echo", "echo": 1})["echo"], 1)
        self.assertEqual([answer[0]["code"] for answer in answers], [12, 12, 10, 10])
        self.assertIn("a line of more than 4194304 bytes was dropped", network.log_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
