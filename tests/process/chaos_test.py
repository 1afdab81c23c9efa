#!/usr/bin/env python3
"""Five nodes under load while everything happens to them at random: kills, pauses, restarts, partitions of every shape,
a slow disk, clocks that jump. Afterwards: nothing acknowledged is lost, nothing overwritten or deleted returns, no dot
was given twice, all replicas are equal.

COVEY_CHAOS_SECONDS (25 by default) is how long; COVEY_CHAOS_SEED repeats the order of events.
"""

import itertools
import os
import random
import threading
import time

import harness
import preloaded
from load import Load, verdict

SECONDS = float(os.environ.get("COVEY_CHAOS_SECONDS", "25"))
SEED = int(os.environ.get("COVEY_CHAOS_SEED", random.SystemRandom().randrange(1 << 32)))


class Faults:
    """One of them at a time, each for a while; together with those that still last."""

    def __init__(self, cluster, random_):
        self.cluster, self.random = cluster, random_
        self.counts = {}
        self.kinds = [self.kill, self.restart, self.pause, self.part, self.one_way, self.ring, self.flap]
        if preloaded.LIBRARY:
            self.kinds += [self.clock, self.slow_disk]

    def one(self):
        fault = self.random.choice(self.kinds)
        name = fault.__name__
        self.counts[name] = self.counts.get(name, 0) + 1
        fault()

    def node(self):
        return self.random.choice(list(self.cluster))

    def last(self, least=0.2, most=2.5):
        time.sleep(self.random.uniform(least, most))

    def kill(self):
        nodes = self.random.sample(list(self.cluster), self.random.choice([1, 1, 1, 2, 5]))
        for node in nodes:
            node.kill9()
        self.last(0.0, 1.5)
        for node in nodes:
            node.start(wait=False)
        for node in nodes:
            node.wait_ready(60)

    def restart(self):
        node = self.node()
        node.terminate()
        node.start()

    def pause(self):
        node = self.node()
        node.pause()
        self.last(0.5, 5.0)
        node.resume()

    def names(self):
        names = [node.name for node in self.cluster]
        self.random.shuffle(names)
        return names

    def heal(self):
        self.cluster.heal(lost=self.random.random() < 0.5)

    def part(self):
        names, at = self.names(), self.random.randint(1, 4)
        self.cluster.proxy.part(names[:at], names[at:])
        self.last()
        self.heal()

    def one_way(self):
        for a, b in self.random.sample(list(itertools.permutations(self.names(), 2)), 4):
            self.cluster.proxy.cut(a, b)
        self.last()
        self.heal()

    def ring(self):
        """Each sees only its two neighbours."""
        names = self.names()
        for i, a in enumerate(names):
            for b in (names[(i + 2) % 5], names[(i + 3) % 5]):
                self.cluster.proxy.cut(a, b)
        self.last()
        self.heal()

    def flap(self):
        name, *others = self.names()
        for _ in range(5):
            self.cluster.proxy.part([name], others)
            self.last(0.05, 0.4)
            self.heal()
            self.last(0.05, 0.4)

    def clock(self):
        preloaded.set_clock(self.node(), self.random.choice([-86400, -3600, -30, -2, 2, 30, 3600, 86400]))

    def slow_disk(self):
        node = self.node()
        preloaded.slow_syncs(node, self.random.choice([20, 100, 400]))
        self.last(1.0, 3.0)
        preloaded.slow_syncs(node, 0)


class Chaos(harness.ClusterTest):
    def start_with_faults(self):
        cluster = self.make_cluster(5, proxied=True)
        preloaded.prepare(cluster)
        return cluster.start()

    def test_everything_at_random(self):
        print(f"    COVEY_CHAOS_SEED={SEED}")
        cluster = self.start_with_faults()
        faults = Faults(cluster, random.Random(SEED))
        end = time.monotonic() + SECONDS
        with Load(cluster, writers=6, deletes=5) as load:
            while time.monotonic() < end:
                faults.one()
                faults.last(0.1, 1.0)
        cluster.heal()
        seconds = verdict(self, cluster, load)
        told = ", ".join(f"{name} {count}" for name, count in sorted(faults.counts.items()))
        print(f"    {told}\n    {load.acknowledged()} writes acknowledged, {load.failures()} refused or cut; "
              f"lost 0, returned 0, dots given twice 0; equal {seconds:.1f} s after the nodes had met")

    def test_a_node_dies_and_clients_of_the_others_hardly_notice(self):
        """Only what was on its way to it when it died may fail, and is answered when its connections end."""
        cluster = self.make_cluster(5)
        cluster.start()
        failed, slowest, done, lock = [], [0.0], [0], threading.Lock()
        stop = threading.Event()

        def ask(number, node):
            client = node.new_client()
            count = 0
            while not stop.is_set():
                count += 1
                begin = time.monotonic()
                key = f"k{number}-{count % 200}"
                answer = client.put(key, "v", w="quorum") if count % 2 else client.get(key, r="quorum")
                end = time.monotonic()
                with lock:
                    done[0] += 1
                    slowest[0] = max(slowest[0], end - begin)
                    if answer.status >= 500:
                        failed.append((begin, answer))
            client.close()
        askers = [threading.Thread(target=ask, args=(i, cluster[f"n{1 + i % 4}"])) for i in range(8)]
        for asker in askers:
            asker.start()
        time.sleep(1.5)
        before, slowest[0] = done[0], 0.0
        killed = time.monotonic()
        cluster["n5"].kill9()
        ended = time.monotonic()  # the process is gone, and its connections with it
        time.sleep(4)
        stop.set()
        for asker in askers:
            asker.join()
        window_ms = (max(begin for begin, _ in failed) - killed) * 1000 if failed else 0.0
        print(f"    {done[0] - before} requests after the kill, {len(failed)} failed, the last begun {window_ms:.0f} ms after it; "
              f"the process was gone {(ended - killed) * 1000:.0f} ms after it; slowest {slowest[0] * 1000:.0f} ms")
        for begin, answer in failed:
            self.assertLess(begin, ended, f"quorum goes on through the loss of one node: {answer!r}")
            self.assert_answer(answer, 504, "timeout")
            self.assertEqual(answer.error["owners"], {"n5": "connection lost"}, "it did not wait for its time limit")
            self.assertEqual(answer.error["outcome"], "unknown")


if __name__ == "__main__":
    harness.main()
