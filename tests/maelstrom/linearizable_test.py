#!/usr/bin/env python3
"""The checker of linearizability: against examples, and against all orders of small random histories."""

import itertools
import random
import unittest

from linearizable import NEVER, Op, explain, is_linearizable


def by_all_orders(ops):
    """The definition, word by word."""
    sure = [op for op in ops if op.end != NEVER]
    unsure = [op for op in ops if op.end == NEVER and op.kind == "write"]
    for count in range(len(unsure) + 1):
        for chosen in itertools.combinations(unsure, count):
            for order in itertools.permutations(sure + list(chosen)):
                if any(b.end < a.call for a, b in itertools.combinations(order, 2)):
                    continue
                state, sound = None, True
                for op in order:
                    sound &= op.kind == "write" or op.value == state
                    state = op.value if op.kind == "write" else state
                if sound:
                    return True
    return False


def random_history(rng, count):
    moments = rng.sample(range(100), count * 2)
    ops, values = [], list(range(count))
    for i in range(count):
        call, end = sorted(moments[2 * i:2 * i + 2])
        if rng.random() < 0.2:
            end = NEVER
        if rng.random() < 0.5:
            ops.append(Op("write", values[i], call, end))
        else:
            ops.append(Op("read", rng.choice([None, *values]), call, end))
    return ops


class LinearizableTest(unittest.TestCase):
    def test_examples(self):
        write = Op("write", 1, 0, 1)
        self.assertTrue(is_linearizable([]))
        self.assertTrue(is_linearizable([write, Op("read", 1, 2, 3)]))
        self.assertFalse(is_linearizable([write, Op("read", None, 2, 3)]), "an acknowledged write is not seen")
        self.assertTrue(is_linearizable([Op("write", 1, 0, 9), Op("read", 1, 1, 2), Op("read", 1, 3, 4)]))
        self.assertFalse(is_linearizable([Op("write", 1, 0, 9), Op("read", 1, 1, 2), Op("read", None, 3, 4)]),
                         "new, then old")
        lost = Op("write", 2, 2, NEVER)
        self.assertTrue(is_linearizable([write, lost, Op("read", 1, 3, 4), Op("read", 2, 50, 51)]), "it may come late")
        self.assertFalse(is_linearizable([write, lost, Op("read", 2, 3, 4), Op("read", 1, 5, 6)]), "but not go again")
        self.assertFalse(is_linearizable([write, Op("read", 7, 2, 3)]), "nobody wrote it")

    def test_the_definition_says_the_same(self):
        seed = random.randrange(1 << 32)
        rng = random.Random(seed)
        verdicts = {True: 0, False: 0}
        for turn in range(1500):
            ops = random_history(rng, rng.randrange(1, 6))
            expected = by_all_orders(ops)
            verdicts[expected] += 1
            self.assertEqual(is_linearizable(ops), expected, f"seed {seed}, turn {turn}: {[str(op) for op in ops]}")
        self.assertGreater(min(verdicts.values()), 100)

    def test_what_is_shown_is_the_beginning_that_fails(self):
        ops = [Op("write", 1, 0, 1), Op("read", None, 2, 3), Op("write", 2, 4, 5), Op("read", 2, 6, 7)]
        text = explain(ops)
        self.assertIn("read None", text)
        self.assertNotIn("write 2", text)
        self.assertIsNone(explain(ops[:1]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
