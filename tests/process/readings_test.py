#!/usr/bin/env python3
"""The example of docs/readings.md, smaller: readings with gaps, corrections that stay siblings, and deletions go into three
real nodes through the command line, and every node answers what rational arithmetic says."""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

import harness
from harness import covey

ROWS = 20_000
COLUMNS = ["temp:float64", "humidity:float64", "packets:int64", "site:string", "status:string"]


class Readings(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        script = os.path.join(os.path.dirname(__file__), "../../scripts/make_readings.py")
        subprocess.run([sys.executable, "-B", script, cls.folder, "--rows", str(ROWS), "--seed", "7"], check=True)
        with open(cls.path("expected.json")) as file:
            cls.expected = json.load(file)
        cls.cluster = harness.Cluster(3)
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()
        columns = [word for column in COLUMNS for word in ("--column", column)]
        cls.run_ok("table", "create", "readings", "--conflicts", "siblings", *columns)
        cls.run_ok("--table", "readings", "import", cls.path("readings.csv"), "--key", "key")
        cls.run_ok("--table", "readings", "import", cls.path("corrections.jsonl"), "--blind")
        with open(cls.path("deletions.txt")) as file:
            cls.run_ok("--table", "readings", "shell", input=file.read())
        cls.cluster.wait_converged(60)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    @classmethod
    def run_ok(cls, *arguments, **options):
        ended = covey(*arguments, nodes=[cls.cluster["n1"].address], timeout=120, **options)
        if ended.returncode != 0:
            raise AssertionError(f"covey {' '.join(arguments)}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def ask(self, node, *queries, **options):
        body = {"queries": [{"id": str(i), "table": "readings", **query} for i, query in enumerate(queries)], **options}
        answer = node.client.call("POST", "/v1/aggregate", body=json.dumps(body))
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def test_every_node_gives_the_exact_answers(self):
        of_temp = {"n": {"count": "temp"}, "s": {"sum": "temp"}, "lo": {"min": "temp"}, "hi": {"max": "temp"},
                   "a": {"avg": "temp"}, "v": {"var": "temp", "ddof": 1}}
        queries = [{"aggregates": {"all": {"count": "*"}, "packets": {"sum": "packets"}, **of_temp}},
                   {"group_by": ["site"], "aggregates": {**of_temp, "h": {"sum": "humidity"}}},
                   {"where": [{"column": "temp", "op": ">=", "value": 20}], "aggregates": {"n": {"count": "*"}}}]
        for node in self.cluster:
            with self.subTest(node=node.name):
                answer = self.ask(node, *queries)
                whole, by_site, warm = (result["groups"] for result in answer["results"])
                self.assertEqual(whole[0]["rows"], self.expected["rows"])
                self.assertEqual(whole[0]["all"], self.expected["rows"])
                self.assertEqual(whole[0]["packets"], self.expected["packets"]["sum"])
                self.check(whole[0], self.expected["temp"])
                self.assertEqual({group["key"][0] for group in by_site}, set(self.expected["sites"]))
                for group in by_site:
                    site = self.expected["sites"][group["key"][0]]
                    self.check(group, site["temp"])
                    self.assertEqual(group["h"], site["humidity"]["sum"])
                self.assertEqual(warm[0]["n"], self.expected["temp >= 20"])
                with open(self.path("corrections.jsonl")) as file:
                    self.assertEqual(answer["as_of"]["conflicted_keys"], len(file.readlines()))
                self.assertEqual(answer["coverage"]["missing"], [])

    def check(self, group, expected):
        found = {name: group[short] for name, short in
                 {"count": "n", "sum": "s", "min": "lo", "max": "hi", "avg": "a", "var": "v"}.items()}
        self.assertEqual(found, {name: expected[name] for name in found})
        self.assertEqual(group["nulls"]["temp"], expected["nulls"])
        self.assertEqual(bits(group["exact"]["s"]), expected["sum"])


def bits(text):
    """The double whose bits the text gives."""
    return struct.unpack(">d", int(text, 16).to_bytes(8, "big"))[0]


if __name__ == "__main__":
    harness.main()
