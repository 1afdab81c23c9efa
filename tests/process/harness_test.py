#!/usr/bin/env python3
"""The harness itself: two runs of tests on one machine do not get in each other's way."""

import pathlib
import subprocess
import sys
import unittest

import harness

PORTS = range(31000, 31020)  # none that a node is given


class Ports(unittest.TestCase):
    def taken_by_another(self):
        """How many of PORTS another process gets while this one runs."""
        script = ("import harness\ncount = 0\n"
                  f"while True:\n    try: harness.free_port({PORTS!r})\n    except AssertionError: break\n    count += 1\n"
                  "print(count)")
        ended = subprocess.run([sys.executable, "-B", "-c", script], capture_output=True, text=True, check=True,
                               cwd=pathlib.Path(__file__).parent)
        return int(ended.stdout)

    def test_a_port_is_given_to_one_process_alone(self):
        before = self.taken_by_another()
        self.assertGreater(before, 0)
        mine = {harness.free_port(PORTS) for _ in range(5)}
        self.assertEqual(len(mine), 5)
        self.assertEqual(self.taken_by_another(), before - 5)


if __name__ == "__main__":
    harness.main()
