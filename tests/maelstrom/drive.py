#!/usr/bin/env python3
"""Plays a workload of Maelstrom with covey-maelstrom, under faults of the network, and checks what was answered.

    drive.py WORKLOAD [--nodes 3] [--time 5] [--seed N] [--faults none|delay|partition|all]

Prints the seed and figures. Exit 1: something is wrong, and what.
"""

import argparse
import json
import os
import pathlib
import random
import sys
import time

from network import Faults, Network
from workloads import WORKLOADS

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("COVEY_MAELSTROM", str(ROOT / "build/release/bin/covey-maelstrom"))
FAULTS = {
    "none": Faults(),
    "delay": Faults(delay_max_s=0.05),
    "partition": Faults(),
    "all": Faults(delay_max_s=0.03, loss=0.05, repeat=0.05, answer_loss=0.005),
}


def node_command(workload, seed, *options):
    """What Network runs a node with: its choices are drawn from the seed and its name."""
    return lambda name: [PROGRAM, workload, "--seed", str(random.Random(f"{seed} {name}").getrandbits(63)), *options]


class Partitions:
    """Cuts the network in some way and heals it again, in turn."""

    def __init__(self, network, rng, every_s):
        self.network, self.rng, self.every_s = network, rng, every_s
        self.count = 0
        self.on = True
        network.at(every_s, self.turn)

    def turn(self):
        if not self.on:
            return
        if self.network.cut:
            self.network.heal()
        else:
            self.count += 1
            self.break_it()
        self.network.at(self.rng.uniform(0.5, 1.5) * self.every_s, self.turn)

    def break_it(self):
        names = self.rng.sample(self.network.names, len(self.network.names))
        kind = self.rng.choice(["half", "one", "one way", "bridge"])
        if kind == "half":
            self.network.isolate(names[:len(names) // 2])
        elif kind == "one":
            self.network.isolate(names[:1])
        elif kind == "one way":
            self.network.cut |= {(names[0], name) for name in names[1:]}
        else:
            # Two sides that do not see each other, and one node between that both see.
            middle = len(names) // 2
            pairs = [(a, b) for a in names[:middle] for b in names[middle + 1:]]
            self.network.cut |= set(pairs) | {(b, a) for a, b in pairs}

    def end(self):
        self.on = False
        self.network.heal()


def play(workload, nodes=3, seconds=5.0, seed=1, faults="all", options=()):
    """(what is wrong, figures)"""
    rng = random.Random(f"workload {seed}")
    network = Network([f"n{i + 1}" for i in range(nodes)], node_command(workload, seed, *options), seed, FAULTS[faults])
    try:
        begin = time.monotonic()
        network.start_all()
        started_s = time.monotonic() - begin
        played = WORKLOADS[workload](network, rng)
        played.start()
        partitions = None
        if faults in ("partition", "all") and nodes > 1:
            partitions = Partitions(network, random.Random(f"partitions {seed}"), max(seconds / 8, 0.3))
        played.play(seconds)
        if partitions:
            partitions.end()
        network.faults = Faults()
        begin = time.monotonic()
        problems = played.finish()
        figures = {"workload": workload, "nodes": nodes, "seed": seed, "faults": faults, "started_s": round(started_s, 2),
                   "finished_s": round(time.monotonic() - begin, 2), **played.figures(), "messages": network.counts,
                   "partitions": partitions.count if partitions else 0}
        if problems:
            network.print_log()
        return problems, figures
    finally:
        network.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", choices=sorted(WORKLOADS))
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--time", type=float, default=5.0, help="seconds of load")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--faults", choices=sorted(FAULTS), default="all")
    parser.add_argument("--level", help="of lin-kv; below a majority it is not linearizable")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().getrandbits(32)
    options = ["--level", given.level] if given.level else []
    problems, figures = play(given.workload, given.nodes, given.time, seed, given.faults, options)
    print(json.dumps(figures))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
