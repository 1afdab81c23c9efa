#!/usr/bin/env python3
"""Writes golden.txt: aggregates of columns computed by methods that have nothing in common with the library: Python's
math.fsum for sums, and rational numbers (fractions) for everything else, rounded once by integer division.

    tests/golden.py > tests/golden.txt

A line is a keyword and its words. Doubles are the 16 hexadecimal digits of their bits, integers decimal.
"""

import fractions
import math
import random
import struct

Fraction = fractions.Fraction


def bits(value):
    return struct.pack(">d", value + 0.0).hex()


def from_bits(number):
    return struct.unpack(">d", number.to_bytes(8, "big"))[0]


def to_double(fraction):
    try:
        return float(fraction)  # integer division, rounded once
    except OverflowError:
        return math.inf if fraction > 0 else -math.inf


def root(fraction):
    """The square root of a rational number as the nearest double: 140 bits of it and whether something is left."""
    if fraction == 0:
        return 0.0
    shift = max(0, 300 - fraction.numerator.bit_length() + fraction.denominator.bit_length())
    shift += shift % 2
    scaled = (fraction.numerator << shift) // fraction.denominator
    exact = scaled * fraction.denominator == fraction.numerator << shift
    whole = math.isqrt(scaled)
    exact = exact and whole * whole == scaled
    # A bit behind the last tells what is left, and decides ties.
    return to_double(Fraction(2 * whole + (0 if exact else 1), 2 * (1 << (shift // 2))))


def write_case(name, kind, values):
    print("case", name, kind)
    text = bits if kind == "float64" else str
    for start in range(0, len(values), 8):
        print("values", *(text(value) for value in values[start:start + 8]))
    exact = [Fraction(value) for value in values]
    total, squares, count = sum(exact), sum(value * value for value in exact), len(values)
    if kind == "float64":
        try:
            rounded = math.fsum(values)
        except OverflowError:  # fsum refuses sums beyond the greatest double, also passing ones
            rounded = to_double(total)
        assert rounded == to_double(total), name
        print("sum", bits(rounded))
    else:
        print("sum", total)
    print("avg", bits(to_double(total / count)))
    for ddof in (0, 1):
        if count > ddof:
            variance = (count * squares - total * total) / (count * (count - ddof))
            print(f"var{ddof}", bits(to_double(variance)))
            print(f"stddev{ddof}", bits(root(variance)))
    print("min", text(min(values)))
    print("max", text(max(values)))
    ordered = sorted(values)
    for q in (0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1):
        rank = max(1, math.ceil(q * count))
        print("quantile", bits(q), text(ordered[rank - 1]))
    print("distinct", len(set(values)))
    print("end")


def any_double(generator, low, high):
    while True:
        value = math.ldexp(generator.random() * 2 - 1, generator.randint(low, high))
        if value != 0:
            return value + 0.0


def main():
    generator = random.Random(20261121)
    uniform = [generator.random() for _ in range(2000)]
    write_case("uniform", "float64", uniform)
    write_case("uniform_negative", "float64", [-value for value in uniform[:300]])
    write_case("normal", "float64", [generator.gauss(20, 5) for _ in range(1000)])
    write_case("prices", "float64", [round(generator.uniform(0, 1000), 2) for _ in range(700)])
    write_case("quarters", "float64", [generator.randint(-4000, 4000) / 4 for _ in range(700)])
    write_case("one", "float64", [1 / 3])
    write_case("two_equal", "float64", [0.1, 0.1])
    write_case("zeros", "float64", [0.0] * 70)
    write_case("cancelling", "float64", [1e16, 1.0, -1e16] * 40 + [2.0 ** -60])
    write_case("half_way", "float64", [1.0, 2.0 ** -53, 2.0 ** -54, -2.0 ** -54])
    write_case("half_way_up", "float64", [1.0, 2.0 ** -53, 2.0 ** -1074])
    write_case("wide", "float64", [any_double(generator, -60, 60) for _ in range(500)])
    write_case("very_wide", "float64", [any_double(generator, -300, 300) for _ in range(500)])
    write_case("widest", "float64", [any_double(generator, -1070, 1000) for _ in range(500)])
    write_case("huge", "float64", [any_double(generator, 900, 1010) for _ in range(200)])
    write_case("overflowing", "float64", [1.7e308, 1.7e308, -1.6e308, 5e307])
    write_case("cancelling_overflow", "float64", [1.7e308, 1.7e308, -1.7e308, -1.6e308, 3.0])
    write_case("tiny", "float64", [5e-324 * generator.randint(-1000, 1000) or 5e-324 for _ in range(200)])
    write_case("subnormal_mean", "float64", [5e-324, 5e-324, 1e-323])
    write_case("small", "float64", [any_double(generator, -1000, -990) for _ in range(200)])
    for folds in (1, 2, 3, 4, 7):
        write_case(f"folds_{folds}", "float64",
                   [math.ldexp(generator.getrandbits(53), generator.randint(0, max(0, folds * 40 - 54))) *
                    (1 if generator.random() < 0.5 else -1) for _ in range(300)])
    write_case("narrow_40_bits", "float64", [float(generator.getrandbits(40)) for _ in range(300)])
    write_case("powers", "float64", [math.ldexp(1.0, e) for e in range(-200, 200, 3)])

    write_case("ints_small", "int64", [generator.randint(-1000, 1000) for _ in range(700)])
    write_case("ints_medium", "int64", [generator.randint(-2 ** 40, 2 ** 40) for _ in range(700)])
    write_case("ints_plain_limit", "int64", [2 ** 25 - 1, 1 - 2 ** 25] * 40)
    write_case("ints_large", "int64", [generator.randint(-2 ** 63, 2 ** 63 - 1) for _ in range(700)])
    write_case("ints_beyond_64_bits", "int64", [2 ** 63 - 1] * 70 + [2 ** 63 - 2])
    write_case("ints_below_64_bits", "int64", [-2 ** 63] * 71)
    write_case("ints_least", "int64", [-2 ** 63])
    write_case("ints_equal", "int64", [12345678901234567] * 5)


if __name__ == "__main__":
    main()
