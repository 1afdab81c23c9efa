#!/usr/bin/env python3
"""Counters and sets while nodes are killed: what was acknowledged counts, and nothing counts twice."""

import random
import threading
import time

import harness
from resp_client import Resp
from resp_test import RESP, resp_port

KILLS = 8


class Adder(threading.Thread):
    """Adds 1 to the counter and an element to the set, in turn, at whichever node answers."""

    def __init__(self, nodes, number, seed):
        super().__init__(daemon=True)
        self.nodes, self.number = nodes, number
        self.random = random.Random(f"{seed} {number}")
        self.connections = {}
        self.counted = self.perhaps = 0
        self.added, self.tried = set(), set()
        self.stop_asked = False

    def run(self):
        element = 0
        while not self.stop_asked:
            node = self.random.choice(self.nodes)
            answer = self.ask(node, "INCR", "counter")
            self.counted += isinstance(answer, int)
            self.perhaps += answer is None
            element += 1
            name = f"{self.number}-{element}".encode()
            answer = self.ask(node, "SADD", "set", name)
            if isinstance(answer, int):
                self.added.add(name)
            elif answer is None:
                self.tried.add(name)
        for connection in self.connections.values():
            connection.close()

    def ask(self, node, *words):
        """A number: done. A text: refused, and nothing was done. None: nobody knows."""
        try:
            if node.name not in self.connections:
                self.connections[node.name] = Resp(resp_port(node))
        except (OSError, AttributeError):  # it is down, or has not told its ports yet
            time.sleep(0.01)
            return "down"
        try:
            answer = self.connections[node.name](*words)
        except (OSError, EOFError, ValueError):
            self.connections.pop(node.name).close()
            return None
        return None if isinstance(answer, str) and answer.startswith("-TIMEOUT") else answer


class TypesCrash(harness.ClusterTest):
    def test_kill_9_of_any_node(self):
        seed = random.SystemRandom().getrandbits(32)
        print(f"seed {seed}", flush=True)
        order = random.Random(seed)
        cluster = self.start_cluster(3, consistency={"sloppy": False, "timeout_ms": 1000}, **RESP)
        adders = [Adder(list(cluster), number, seed) for number in range(3)]
        for adder in adders:
            adder.start()
        for _ in range(KILLS):
            time.sleep(order.uniform(0.1, 0.5))
            node = cluster[order.choice(["n1", "n2", "n3"])]
            node.kill9()
            time.sleep(order.uniform(0.0, 0.5))
            node.start()
        for adder in adders:
            adder.stop_asked = True
        for adder in adders:
            adder.join(30)
        cluster.wait_met()
        cluster.wait_converged(60)
        counted, perhaps = (sum(getattr(adder, name) for adder in adders) for name in ("counted", "perhaps"))
        added, tried = (set().union(*(getattr(adder, name) for adder in adders)) for name in ("added", "tried"))
        print(f"    {counted} increments acknowledged, {perhaps} of unknown outcome; elements: {len(added)}, {len(tried)}")
        self.assertGreater(min(counted, len(added)), 0)
        for node in cluster:
            client = Resp(resp_port(node))
            self.addCleanup(client.close)
            client("COVEY.LEVEL", "READ", "one")
            value = int(client("GET", "counter"))
            self.assertGreaterEqual(value, counted, f"acknowledged increments count at {node.name}")
            self.assertLessEqual(value, counted + perhaps, f"nothing counts twice at {node.name}")
            elements = set(client("SMEMBERS", "set"))
            self.assertEqual((added - elements, elements - added - tried), (set(), set()), node.name)
            self.assertEqual(node.client.metrics()["covey_state_hash_alarms_total"], 0)


if __name__ == "__main__":
    harness.main()
