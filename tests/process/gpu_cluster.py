#!/usr/bin/env python3
"""Three real nodes that answer aggregates by their GPU: each node is asked for the same by its GPU and by its CPU, the
answers have to be equal and those of rational arithmetic, and the times are printed as a table in Markdown.

  gpu_cluster.py [--rows 200000] [--memory-mb 2048]

Exit 3 and a line that begins with "no GPU:" where a node says that it has none. No test of ctest: scripts/gpu_check.sh
runs it.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import harness

COLUMNS = ["temp:float64", "humidity:float64", "packets:int64", "site:string", "status:string"]
TEMP = {"n": {"count": "temp"}, "s": {"sum": "temp"}, "lo": {"min": "temp"}, "hi": {"max": "temp"}, "a": {"avg": "temp"},
        "v": {"var": "temp", "ddof": 1}}
QUESTIONS = {
    "sum, min, max, avg, var of all": {"aggregates": TEMP},
    "the same by site": {"group_by": ["site"], "aggregates": TEMP},
    "the same where temp >= 20": {"where": [{"column": "temp", "op": ">=", "value": 20}], "aggregates": TEMP},
    "exact quantiles, distinct, first, last": {"aggregates": {
        "q": {"quantile": "temp", "q": [0.01, 0.5, 0.99], "mode": "exact"}, "d": {"distinct": "site"},
        "f": {"first": "temp"}, "l": {"last": "temp"}}},
    "histogram by status": {"group_by": ["status"], "aggregates": {
        "h": {"histogram": "temp", "edges": [-50, -10, 0, 10, 20, 30, 50]}}},
}
ROUNDS = 15


class NoGpu(Exception):
    pass


def ask(node, query, device):
    body = {"queries": [{"table": "readings", **query}], "device": device, "profile": True, "timeout_ms": 60000}
    answer = node.client.call("POST", "/v1/aggregate", body=json.dumps(body))
    if answer.status == 503 and answer.code == "no_gpu":
        raise NoGpu(answer.error["message"])
    if answer.status != 200:
        raise AssertionError(f"{node.name}, {device}: {answer!r}")
    return answer.json


def load(cluster, folder, rows):
    script = os.path.join(os.path.dirname(__file__), "../../scripts/make_readings.py")
    subprocess.run([sys.executable, "-B", script, folder, "--rows", str(rows), "--seed", "7"], check=True)
    address = [cluster["n1"].address]

    def run(*arguments, **options):
        ended = harness.covey(*arguments, nodes=address, timeout=900, **options)
        if ended.returncode != 0:
            raise AssertionError(f"covey {' '.join(arguments)}: {ended.stdout}{ended.stderr}")
    run("table", "create", "readings", "--conflicts", "siblings", *(w for c in COLUMNS for w in ("--column", c)))
    # Before rows are loaded: where there is no GPU this says so at once.
    for node in cluster:
        ask(node, {"aggregates": {"n": {"count": "*"}}}, "gpu")
    run("--table", "readings", "import", os.path.join(folder, "readings.csv"), "--key", "key")
    run("--table", "readings", "import", os.path.join(folder, "corrections.jsonl"), "--blind")
    with open(os.path.join(folder, "deletions.txt")) as file:
        run("--table", "readings", "shell", input=file.read())
    cluster.wait_converged(300)
    with open(os.path.join(folder, "expected.json")) as file:
        return json.load(file)


def check_exact(answer, expected):
    group = answer["results"][0]["groups"][0]
    found = [group[name] for name in ("n", "s", "lo", "hi", "a", "v")]
    wanted = [expected["temp"][name] for name in ("count", "sum", "min", "max", "avg", "var")]
    if found != wanted:
        raise AssertionError(f"{found} is not {wanted}")


def compare(cluster, expected):
    print("| | GPU ms | CPU ms | kernels us | answered by |\n|---|--:|--:|--:|---|")
    for name, query in QUESTIONS.items():
        times = {"gpu": [], "cpu": []}
        kernels, devices = [], set()
        for node in cluster:
            answers = {}
            for device in times:
                ask(node, query, device)
                for _ in range(ROUNDS):
                    answers[device] = ask(node, query, device)
                    times[device].append(answers[device]["profile"]["total_us"] / 1000)
                    if device == "gpu":
                        kernels.append(answers[device]["profile"]["phases_us"]["scan"])
                        devices.add(answers[device]["profile"]["device"])
            if answers["gpu"]["results"] != answers["cpu"]["results"]:
                raise AssertionError(f"{node.name}, {name}: the GPU's answer is not the CPU's")
            if name.startswith("sum"):
                check_exact(answers["gpu"], expected)
        if devices != {"gpu"}:
            raise AssertionError(f"{name}: answered by {devices}: {answers['gpu']['profile'].get('reason')}")
        print(f"| {name} | {statistics.median(times['gpu']):.2f} | {statistics.median(times['cpu']):.2f} | "
              f"{statistics.median(kernels):.0f} | {', '.join(sorted(devices))} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--memory-mb", type=int, default=2048)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="covey-gpu.")
    cluster = harness.Cluster(3, gpu={"memory_mb": options.memory_mb})
    try:
        cluster.start()
        expected = load(cluster, folder, options.rows)
        print(f"Three nodes on this machine, {expected['rows']} rows, medians of {3 * ROUNDS} requests over HTTP; every answer "
              "of the GPU is the CPU's, and the exact one.\n")
        compare(cluster, expected)
        return 0
    except NoGpu as reason:
        print(f"no GPU: {reason}")
        return 3
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
