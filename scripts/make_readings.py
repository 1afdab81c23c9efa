#!/usr/bin/env python3
"""Makes the readings of a made-up network of sensors, and what their aggregates must be.

  scripts/make_readings.py DIRECTORY [--rows 1000000] [--seed 1]

writes into the directory, the same bytes for the same rows and seed:

  readings.csv       one reading a line: key, site, sensor, time, temp, humidity, packets, status
                     (`covey import --key key`)
  corrections.jsonl  one reading of 500 once more, with another temperature, by a writer that has not seen the first: both
                     are kept as siblings, and the later one counts (`covey import --blind`)
  deletions.txt      one reading of 1,000, as commands for `covey shell`
  expected.json      exact answers over what is left then, by rational arithmetic

Sensors miss things: 1 temperature of 40 and 1 humidity of 15 is absent. Some lie: 1 temperature of 10,000 is far out. Sites
differ: each has a climate of its own, and a few have most of the sensors.
"""
import argparse
import csv
import json
import os
from fractions import Fraction

SITES = 40
SENSORS = 1_000
STATUSES = ["ok"] * 96 + ["low_battery"] * 3 + ["fault"]
START = 1_790_000_000  # seconds since 1970 of the first reading; a sensor reads once a minute


class Random:
    """xorshift64*: the same numbers everywhere (Vigna, 2016)."""

    def __init__(self, seed):
        self.state = (seed * 0x9E3779B97F4A7C15 + 1) & (2**64 - 1)

    def below(self, bound):
        self.state ^= self.state >> 12
        self.state ^= (self.state << 25) & (2**64 - 1)
        self.state ^= self.state >> 27
        return ((self.state * 0x2545F4914F6CDD1D) & (2**64 - 1)) % bound

    def one_in(self, times):
        return self.below(times) == 0


def site_of(sensor):
    # The square makes the first sites large.
    return f"site-{SITES * sensor * sensor // (SENSORS * SENSORS):02}"


def reading(number, random):
    sensor = number % SENSORS
    minute = number // SENSORS
    site = site_of(sensor)
    climate = int(site[-2:]) * 50  # hundredths of a degree
    temp = climate + random.below(2_000) - 500
    if random.one_in(10_000):
        temp = 99_999
    return {
        "key": f"{site}/{sensor:04}/{minute:06}",
        "site": site,
        "sensor": sensor,
        "time": START + 60 * minute,
        "temp": None if random.one_in(40) else temp / 100,
        "humidity": None if random.one_in(15) else random.below(10_001) / 100,
        "packets": random.below(1_000_000),
        "status": STATUSES[random.below(len(STATUSES))],
    }


SCALE = 1 << 60  # every value here is a whole number of 1/SCALE


class Column:
    """Exact sums of what was added; rounded once, at the end."""

    def __init__(self):
        self.count = 0
        self.nulls = 0
        self.scaled = 0
        self.squares = 0
        self.min = self.max = None

    def add(self, value):
        if value is None:
            self.nulls += 1
            return
        numerator, denominator = value.as_integer_ratio()
        exact = numerator * (SCALE // denominator)
        self.count += 1
        self.scaled += exact
        self.squares += exact * exact
        self.min = value if self.min is None else min(self.min, value)
        self.max = value if self.max is None else max(self.max, value)

    def result(self):
        total = Fraction(self.scaled, SCALE)
        out = {"count": self.count, "nulls": self.nulls, "sum": float(total), "min": self.min, "max": self.max}
        if self.count > 0:
            out["avg"] = float(total / self.count)
        if self.count > 1:
            squares = Fraction(self.squares, SCALE * SCALE)
            out["var"] = float((squares - total * total / self.count) / (self.count - 1))
        return out


def expectation(rows):
    temps = Column()
    packets = Column()
    sites = {}
    warm = 0
    for row in rows:
        temps.add(row["temp"])
        packets.add(row["packets"])
        site = sites.setdefault(row["site"], (Column(), Column()))
        site[0].add(row["temp"])
        site[1].add(row["humidity"])
        if row["temp"] is not None and row["temp"] >= 20:
            warm += 1
    return {
        "rows": len(rows),
        "temp": temps.result(),
        "packets": {"sum": packets.scaled // SCALE},
        "temp >= 20": warm,
        "sites": {
            name: {"temp": temp.result(), "humidity": humidity.result()} for name, (temp, humidity) in sorted(sites.items())
        },
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.rows < 1:
        parser.error("--rows: 1 or more")
    os.makedirs(options.directory, exist_ok=True)
    path = lambda name: os.path.join(options.directory, name)
    random = Random(options.seed)
    left = []
    with open(path("readings.csv"), "w", newline="") as readings, open(path("corrections.jsonl"), "w") as corrections, open(
        path("deletions.txt"), "w"
    ) as deletions:
        lines = csv.writer(readings, lineterminator="\n")
        for number in range(options.rows):
            row = reading(number, random)
            if number == 0:
                lines.writerow(row)
            lines.writerow("" if value is None else value for value in row.values())
            if random.one_in(1_000):
                deletions.write(f"del {row['key']}\n")
                continue
            if random.one_in(500):
                row["temp"] = random.below(3_000) / 100
                value = {name: part for name, part in row.items() if part is not None and name != "key"}
                corrections.write(json.dumps({"key": row["key"], "value": value}) + "\n")
            left.append(row)
    with open(path("expected.json"), "w") as out:
        json.dump(expectation(left), out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
