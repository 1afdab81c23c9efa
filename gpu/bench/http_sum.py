#!/usr/bin/env python3
"""A sum over rows that are in memory, asked over HTTP: how much longer it takes than the scan itself.

    python3 gpu/bench/http_sum.py [--rows N] [--rounds N] [--coveyd PROGRAM] [--at-most TIMES]

Starts one node in a directory of its own, writes N rows (10 million by default: minutes), asks for exact sums,
prints medians and stops the node. --at-most: exit 1 if the ratio of the medians is higher."""

import argparse
import http.client
import json
import math
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINES = 2000  # of a batch
WRITERS = 4


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def value(i):
    return (i * 2654435761 % 2**32) / 2**20 - 1500.0


def start(options, folder):
    port, peer = free_port(), free_port()
    table = {"name": "r", "columns": [{"name": "x", "path": "/x", "type": "float64"}]}
    config = {"node": "n1", "data_dir": str(folder / "n1"), "listen": {"http": f"127.0.0.1:{port}", "peer": f"127.0.0.1:{peer}"},
              "cluster": {"name": "bench", "replicas": 1, "seeds": [f"127.0.0.1:{peer}"]},
              "durability": {"mode": "interval"}, "tables": [table]}
    (folder / "n1.json").write_text(json.dumps(config))
    node = subprocess.Popen([options.coveyd, "--config", str(folder / "n1.json")], stdout=subprocess.PIPE, text=True,
                            stderr=(folder / "log").open("w"))
    if not node.stdout.readline().startswith("ready"):
        sys.exit("the node did not start: " + (folder / "log").read_text())
    return node, port


def write(port, rows):
    def some(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for at in range(number * LINES, rows, WRITERS * LINES):
            body = "\n".join('{"key":"%d","value":{"x":%r}}' % (i, value(i)) for i in range(at, min(rows, at + LINES)))
            connection.request("POST", "/v1/kv/r", body)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200 or b'"error"' in text:
                sys.exit(f"a batch was refused: {answer.status} {text[:300]!r}")

    writers = [threading.Thread(target=some, args=(number,)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()


def ask(connection):
    body = json.dumps({"queries": [{"table": "r", "aggregates": {"n": {"count": "*"}, "s": {"sum": "x"}}}], "profile": True,
                       "timeout_ms": 120000})
    begun = time.perf_counter()
    connection.request("POST", "/v1/aggregate", body)
    answer = json.loads(connection.getresponse().read())
    took_ms = (time.perf_counter() - begun) * 1000
    if "error" in answer:
        sys.exit(f"refused: {answer}")
    return took_ms, answer


def measure(options, port):
    begun = time.perf_counter()
    write(port, options.rows)
    print(f"{options.rows} rows written in {time.perf_counter() - begun:.0f} s")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    exact = math.fsum(value(i) for i in range(options.rows))
    totals, scans, phases = [], [], []
    for _ in range(options.rounds + 3):
        took_ms, answer = ask(connection)
        group = answer["results"][0]["groups"][0]
        if (group["n"], group["s"]) != (options.rows, exact):
            sys.exit(f"wrong: {group}, not {options.rows} rows with the sum {exact!r}")
        totals.append(took_ms)
        phases.append(answer["profile"]["phases_us"])
        scans.append(phases[-1]["scan"] / 1000)
    totals, scans, phases = totals[3:], scans[3:], phases[3:]
    total, scan = statistics.median(totals), statistics.median(scans)
    print(f"end to end {total:.2f} ms ({min(totals):.2f} to {max(totals):.2f}), the scan {scan:.2f} ms ({min(scans):.2f} to "
          f"{max(scans):.2f}): {total / scan:.2f} times, lowest against lowest {min(totals) / min(scans):.2f}")
    print("medians of the phases, us:", {name: statistics.median(one[name] for one in phases) for name in phases[0]})
    return total / scan


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--coveyd", default=str(ROOT / "build/release/bin/coveyd"))
    parser.add_argument("--at-most", type=float, default=math.inf)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and the node with it
    with tempfile.TemporaryDirectory(prefix="covey-http-sum-") as folder:
        node, port = start(options, pathlib.Path(folder))
        try:
            ratio = measure(options, port)
        finally:
            node.send_signal(signal.SIGTERM)
            node.wait(60)
    sys.exit(1 if ratio > options.at_most else 0)


if __name__ == "__main__":
    main()
