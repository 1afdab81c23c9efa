#!/usr/bin/env python3
"""Aggregates over real nodes: exact against Python's own exact arithmetic, the same from whichever node is asked, and
honest about what they cover when nodes are away."""

import json
import math
import random
import struct
import threading
import time
from fractions import Fraction

import harness

COLUMNS = [{"name": "temp", "path": "/temp", "type": "float64"}, {"name": "count", "path": "/count", "type": "int64"},
           {"name": "site", "path": "/at/site", "type": "string"}]
TABLES = [{"name": "readings", "conflicts": "siblings", "columns": COLUMNS}]


def bits(number):
    return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016x}"


def rounded(fraction):
    """The double nearest to an exact value: Fraction's own division rounds once, to nearest even."""
    return fraction.numerator / fraction.denominator


def make_rows(count, seed):
    """{key: value}: sensor readings with missing fields, and numbers that naive sums get wrong."""
    draw = random.Random(seed)
    rows = {}
    for i in range(count):
        value = {"at": {"site": draw.choice(["eu", "us", "ap", "h\u00e9"])}, "count": draw.randint(-2**40, 2**40)}
        if draw.random() < 0.9:
            value["temp"] = draw.choice([draw.gauss(20, 5), draw.random() * 10 ** draw.randint(-12, 12), -1e15, 1e15, 0.1])
        if draw.random() < 0.1:
            del value["at"]
        if draw.random() < 0.05:
            del value["count"]
        rows[f"{draw.choice(['a', 'b'])}/{i}"] = value
    return rows


def temps(rows):
    return [row["temp"] for row in rows if "temp" in row]


def call(node, *queries, **more):
    body = {"queries": list(queries), "timeout_ms": 10000, **more}
    return node.client.call("POST", "/v1/aggregate", body=json.dumps(body))


def put_all(node, rows, table="readings"):
    lines = "\n".join(json.dumps({"key": key, "value": value}) for key, value in rows.items())
    answer = node.client.call("POST", f"/v1/kv/{table}?w=all", body=lines)
    assert answer.status == 200 and all(line["status"] == 200 for line in answer.lines), repr(answer)


SUMMARY = {"id": "all", "table": "readings",
           "aggregates": {"n": {"count": "*"}, "have": {"count": "temp"}, "s": {"sum": "temp"}, "a": {"avg": "temp"},
                          "v": {"var": "temp", "ddof": 1}, "lo": {"min": "temp"}, "hi": {"max": "temp"},
                          "c": {"sum": "count"}, "sites": {"distinct": "site"},
                          "p": {"quantile": "temp", "q": [0, 0.5, 1], "mode": "exact"},
                          "h": {"histogram": "temp", "edges": [0, 10, 20, 30]}}}


class Aggregates(harness.ClusterTest):
    def assert_summary(self, answer, rows):
        self.assertEqual(answer.status, 200, repr(answer))
        group, = answer.json["results"][0]["groups"]
        values = temps(rows.values())
        exact = [Fraction(x) for x in values]
        mean = sum(exact) / len(exact)
        expected = {"s": math.fsum(values), "a": rounded(mean), "lo": min(values), "hi": max(values),
                    "v": rounded(sum((x - mean) ** 2 for x in exact) / (len(exact) - 1))}
        self.assertEqual(group["rows"], len(rows))
        self.assertEqual((group["n"], group["have"]), (len(rows), len(values)))
        for name, number in expected.items():
            self.assertEqual(group["exact"][name], bits(number), name)
            self.assertEqual(group[name], number, name)
        self.assertEqual(group["c"], sum(row.get("count", 0) for row in rows.values()))
        self.assertEqual(group["sites"], len({row["at"]["site"] for row in rows.values() if "at" in row}))
        ordered = sorted(values)
        self.assertEqual(group["p"], [ordered[0], ordered[math.ceil(0.5 * len(ordered)) - 1], ordered[-1]])
        self.assertEqual(group["h"], {"counts": [sum(0 <= x < 10 for x in values), sum(10 <= x < 20 for x in values),
                                                 sum(20 <= x <= 30 for x in values)],
                                      "below": sum(x < 0 for x in values), "above": sum(x > 30 for x in values)})
        self.assertEqual(group["nulls"]["temp"], len(rows) - len(values))
        self.assertEqual(group["special"], {"temp": {"nan": 0, "inf": 0}})
        coverage = answer.json["coverage"]
        self.assertEqual((coverage["partitions"], coverage["answered"], coverage["missing"]), (16, 16, []))

    def test_exact_on_every_node(self):
        cluster = self.start_cluster(3, tables=TABLES)
        rows = make_rows(3000, 1)
        put_all(cluster["n1"], rows)
        for node in cluster:
            self.assert_summary(call(node, SUMMARY), rows)
        # Overwritten, deleted, and written anew.
        client = cluster["n2"].client
        for key in sorted(rows)[:50]:
            self.assertEqual(client.call("DELETE", f"/v1/kv/readings/{key}?w=all", headers={
                "Covey-Context": client.call("GET", f"/v1/kv/readings/{key}").context}).status, 200)
            del rows[key]
        for key in sorted(rows)[:50]:
            rows[key] = {"temp": 1e-3, "count": 5}
            self.assertEqual(client.call("PUT", f"/v1/kv/readings/{key}?w=all", body=json.dumps(rows[key]), headers={
                "Covey-Context": client.call("GET", f"/v1/kv/readings/{key}").context}).status, 200)
        bodies = {json.dumps(call(node, SUMMARY).json["results"]) for node in cluster}
        self.assertEqual(len(bodies), 1, "the same bits from whichever node is asked")
        self.assert_summary(call(cluster["n3"], SUMMARY), rows)
        self.filters_and_groups(cluster["n1"], rows)
        self.command_line(cluster["n2"], rows)
        metrics = lambda: dict(line.rsplit(" ", 1) for line in cluster["n1"].client.call("GET", "/metrics").body.decode()
                               .splitlines() if not line.startswith("#"))
        harness.wait_until(lambda: metrics()["covey_column_rows"] == str(len(rows)), what="metrics of columns")
        self.assertGreater(int(metrics()['covey_aggregate_scans_total{device="cpu"}']), 0)
        # All columns are in memory: they are there again after a restart, from the stored objects.
        self.assertEqual(cluster["n1"].terminate(), 0)
        cluster["n1"].start()
        self.assert_summary(call(cluster["n1"], SUMMARY), rows)

    def test_requests_that_wait_share_a_pass(self):
        cluster = self.start_cluster(3, tables=TABLES)
        rows = make_rows(2000, 3)
        put_all(cluster["n1"], rows)
        expected = call(cluster["n1"], SUMMARY).json["results"]
        shared, wrong = [], []

        def ask(node, number):
            client = node.new_client()
            for _ in range(10):
                small = {"id": "x", "table": "readings", "aggregates": {"n": {"count": "*"}}, "where": [{"prefix": "a/"}]}
                body = {"queries": [SUMMARY] if number % 2 else [SUMMARY, small], "timeout_ms": 10000, "profile": True}
                answer = client.call("POST", "/v1/aggregate", body=json.dumps(body))
                if answer.status != 200 or answer.json["results"][:1] != expected:
                    wrong.append(answer)
                    return
                shared.append(answer.json["profile"]["shared_with"] >= len(body["queries"]))

        # Alternately at one node: the others ask it for nothing, as each owns all.
        harness.wait_until(lambda: self.at_once(8, lambda number: ask(cluster["n2"], number)) or any(shared) or wrong,
                           what="two requests in one pass")
        self.assertEqual(wrong, [])

    @staticmethod
    def at_once(count, work):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def filters_and_groups(self, node, rows):
        answer = call(node,
                      {"id": "w", "table": "readings", "aggregates": {"n": {"count": "*"}, "s": {"sum": "temp"}},
                       "where": [{"column": "temp", "op": ">=", "value": 20}, {"column": "site", "op": "=", "value": "eu"}]},
                      {"id": "p", "table": "readings", "aggregates": {"s": {"sum": "temp"}}, "where": [{"prefix": "a/"}]},
                      {"id": "k", "table": "readings", "aggregates": {"n": {"count": "*"}},
                       "where": [{"keys": ["no such", *sorted(rows)[:3]]}]},
                      {"id": "g", "table": "readings", "aggregates": {"s": {"sum": "temp"}, "n": {"count": "*"}},
                       "group_by": ["site"]}, profile=True)
        self.assertEqual(answer.status, 200, repr(answer))
        where, prefix, keys, groups = (result["groups"] for result in answer.json["results"])
        site = lambda row: row.get("at", {}).get("site")
        warm = [row for row in rows.values() if row.get("temp", -1) >= 20 and site(row) == "eu"]
        self.assertEqual((where[0]["n"], where[0]["exact"]["s"]), (len(warm), bits(math.fsum(temps(warm)))))
        self.assertEqual(prefix[0]["exact"]["s"], bits(math.fsum(temps(v for k, v in rows.items() if k.startswith("a/")))))
        self.assertEqual(keys[0]["n"], 3)
        expected = {}
        for row in rows.values():
            expected.setdefault(site(row), []).append(row)
        self.assertEqual({g["key"][0]: (g["n"], g["exact"]["s"]) for g in groups},
                         {k: (len(v), bits(math.fsum(temps(v)))) for k, v in expected.items()})
        self.assertIsNone(groups[0]["key"][0], "null is the first group")
        profile = answer.json["profile"]
        self.assertEqual(sum(profile["phases_us"].values()), profile["total_us"])
        self.assertEqual(profile["shared_with"], 3)
        self.assertEqual(profile["device"], "cpu")

    def command_line(self, node, rows):
        ran = harness.covey("--table", "readings", "agg", "count, sum(temp)", "--by", "site", "--where", "temp >= 20",
                            nodes=[node.address])
        expected = {}
        for row in rows.values():
            if row.get("temp", -1) >= 20:
                expected.setdefault(row.get("at", {}).get("site"), []).append(row)
        table = [line.split() for line in ran.stdout.splitlines()]
        self.assertEqual((ran.returncode, table[0]), (0, ["site", "count", "sum(temp)"]), ran.stderr)
        self.assertEqual({site: (int(n), float(s)) for site, n, s in table[1:]},
                         {k or "-": (len(v), math.fsum(temps(v))) for k, v in expected.items()})
        plot = harness.covey("--table", "readings", "agg", "histogram(temp, 0, 10, 20)", "--plot", nodes=[node.address])
        self.assertIn("[0, 10)", plot.stdout)
        wrong = harness.covey("--table", "readings", "agg", "sum(site)", nodes=[node.address])
        self.assertEqual((wrong.returncode, wrong.stdout), (1, ""))
        self.assertIn("site", wrong.stderr)

    def test_siblings_and_expiry(self):
        cluster = self.start_cluster(3, tables=TABLES)
        for number, node in enumerate(cluster, 1):
            put_all(node, {"same": {"temp": float(number)}, f"own {number}": {"temp": 10.0}})
        cluster.wait_converged()
        results = {}
        for policy in ("latest", "min", "max", "skip"):
            answer = call(cluster["n2"], {"table": "readings", "aggregates": {"s": {"sum": "temp"}, "n": {"count": "*"}}},
                          siblings=policy)
            self.assertEqual(answer.json["as_of"]["conflicted_keys"], 1, repr(answer))
            group, = answer.json["results"][0]["groups"]
            results[policy] = (group["n"], group["s"])
        self.assertEqual(results, {"latest": (4, 33.0), "min": (4, 31.0), "max": (4, 33.0), "skip": (3, 30.0)})
        put = cluster["n1"].client.call("PUT", "/v1/kv/readings/short?ttl_ms=1500&w=all", body='{"temp": 1000}')
        self.assertEqual(put.status, 200)
        query = {"table": "readings", "aggregates": {"hi": {"max": "temp"}}}
        hi = lambda node: call(node, query).json["results"][0]["groups"][0]["hi"]
        self.assertEqual(hi(cluster["n1"]), 1000.0)
        time.sleep(1.6)
        for node in cluster:
            self.assertEqual(hi(node), 10.0, "what has expired does not count")

    def test_spread_over_five_nodes_some_of_them_away(self):
        cluster = self.start_cluster(5, tables=TABLES)
        rows = make_rows(2000, 2)
        put_all(cluster["n4"], rows)
        for node in cluster:
            answer = call(node, SUMMARY, profile=True)
            self.assert_summary(answer, rows)
            self.assertEqual(sum(answer.json["profile"]["phases_us"].values()), answer.json["profile"]["total_us"])
        # Asked at once after a node hangs: its share is asked of another owner as soon as it is suspected.
        cluster["n2"].pause()
        self.assert_summary(call(cluster["n1"], SUMMARY), rows)
        self.assert_summary(call(cluster["n3"], SUMMARY), rows)
        # Two more: some partitions have no owner left.
        ring = cluster["n1"].client.cluster()["ring"]
        for name in ("n3", "n5"):
            cluster[name].pause()
        harness.wait_until(lambda: all(not cluster.reaches(cluster["n1"])[n] for n in ("n2", "n3", "n5")),
                           what="n1 to suspect the others")
        away = {"n2", "n3", "n5"}
        owners = {p["partition"]: set(p["owners"]) for p in ring}
        missing = sorted(number for number, names in owners.items() if names <= away)
        self.assertTrue(missing, "with these names some partition has all its owners among them")
        refused = call(cluster["n1"], SUMMARY)
        self.assert_answer(refused, 503, "unavailable")
        self.assertEqual(refused.error["missing"], missing)
        partial = call(cluster["n1"], SUMMARY, coverage="available")
        self.assertEqual(partial.status, 200, repr(partial))
        coverage = partial.json["coverage"]
        self.assertEqual((coverage["answered"], coverage["missing"]), (16 - len(missing), missing))
        self.assertEqual(sum(coverage["reasons"].values()), len(missing))
        self.assertLess(partial.json["results"][0]["groups"][0]["n"], len(rows))
        for name in away:
            cluster[name].resume()
        cluster.wait_met()
        self.assert_summary(call(cluster["n1"], SUMMARY), rows)

    def test_rows_of_stand_ins_are_told_for_the_asked_table(self):
        cluster = self.start_cluster(2, replicas=1, tables=TABLES)
        cluster["n2"].pause()
        harness.wait_until(lambda: not cluster.reaches(cluster["n1"])["n2"], what="n1 to suspect n2")
        for table, count in (("readings", 40), ("default", 25)):
            for i in range(count):
                put = cluster["n1"].client.call("PUT", f"/v1/kv/{table}/{i}?w=1", body=json.dumps({"temp": i}))
                self.assertEqual(put.status, 200, repr(put))
        query = {"table": "readings", "aggregates": {"n": {"count": "*"}}}
        answer = call(cluster["n1"], query, coverage="available")
        self.assertEqual(answer.status, 200, repr(answer))
        owned = answer.json["results"][0]["groups"][0]["n"]
        self.assertGreater(40, owned)
        self.assertEqual(answer.json["as_of"]["stand_in_rows"], 40 - owned)
        cluster["n2"].resume()
        cluster.wait_met()
        harness.wait_until(lambda: call(cluster["n1"], query).json["as_of"]["stand_in_rows"] == 0, what="the hand-over")
        self.assertEqual(call(cluster["n2"], query).json["results"][0]["groups"][0]["n"], 40)

    def test_owners_are_compared(self):
        cluster = self.start_cluster(3, tables=TABLES)
        rows = make_rows(2000, 4)
        put_all(cluster["n1"], rows)
        expected = {"owners": 2, "equal": 16, "diverging": [], "unverified": []}
        for node in cluster:
            answer = call(node, SUMMARY, verify="quorum")
            self.assert_summary(answer, rows)
            self.assertEqual(answer.json["verified"], expected)
        self.assertNotIn("verified", call(cluster["n1"], SUMMARY).json)
        # One of three away: two are left to be compared.
        cluster["n3"].pause()
        answer = call(cluster["n1"], SUMMARY, verify="quorum")
        self.assert_summary(answer, rows)
        self.assertEqual(answer.json["verified"], expected)
        # What only this node has got so far is divergence, told and not an error.
        cluster["n2"].pause()
        put = cluster["n1"].client.call("PUT", "/v1/kv/readings/only-here?w=one", body='{"temp": 1}')
        self.assertEqual(put.status, 200, repr(put))
        refused = call(cluster["n1"], SUMMARY, verify="quorum", timeout_ms=4000)
        self.assert_answer(refused, 503, "unavailable")
        self.assertEqual(refused.error["missing"], list(range(16)))
        alone = call(cluster["n1"], SUMMARY, verify="quorum", coverage="available")
        self.assertEqual(alone.status, 200, repr(alone))
        self.assertEqual((alone.json["verified"]["equal"], alone.json["verified"]["unverified"]), (0, list(range(16))))
        self.assertEqual(alone.json["results"][0]["groups"][0]["n"], len(rows) + 1)
        cluster["n2"].resume()
        cluster["n3"].resume()
        cluster.wait_met()
        rows["only-here"] = {"temp": 1}
        cluster.wait_converged()
        answer = call(cluster["n2"], SUMMARY, verify="quorum")
        self.assert_summary(answer, rows)
        self.assertEqual(answer.json["verified"], expected)

    def test_shares_of_many_bytes(self):
        # Each of two nodes has half of the rows: what one tells the other takes many pieces.
        cluster = self.start_cluster(2, replicas=1, tables=TABLES)
        rows = {f"k{i}": {"count": i * 7, "temp": i / 8, "at": {"site": f"{i:05d}" * 180}} for i in range(24000)}
        keys = list(rows)
        for at in range(0, len(keys), 2000):
            put_all(cluster["n1"], {key: rows[key] for key in keys[at:at + 2000]})
        answer = call(cluster["n2"], {"table": "readings", "group_by": ["site"], "limit_groups": 100000,
                                      "aggregates": {"s": {"sum": "temp"}, "c": {"max": "count"}}},
                      timeout_ms=60000, profile=True)
        self.assertEqual(answer.status, 200, repr(answer))
        groups = answer.json["results"][0]["groups"]
        self.assertEqual({g["c"]: g["s"] for g in groups}, {row["count"]: row["temp"] for row in rows.values()})
        self.assertEqual(answer.json["profile"]["nodes"], 2)

    def test_nodes_are_lost_between_rounds(self):
        cluster = self.start_cluster(5, tables=TABLES)
        rows = make_rows(1500, 5)
        put_all(cluster["n4"], rows)
        exact = {"table": "readings", "aggregates": {"p": {"quantile": "temp", "q": [0.1, 0.5, 0.9], "mode": "exact"}}}
        expected = call(cluster["n1"], exact).json["results"]
        answers, stop = [], threading.Event()

        def ask(number):
            client = cluster[f"n{1 + number % 2}"].new_client(30)
            while not stop.is_set():
                answers.append(client.call("POST", "/v1/aggregate",
                                           body=json.dumps({"queries": [exact], "timeout_ms": 20000})))

        def pause():
            for name in ("n4", "n5", "n3"):
                cluster[name].pause()
                at = len(answers)
                harness.wait_until(lambda: len(answers) >= at + 20, what="answers while a node is away")
                cluster[name].resume()
            stop.set()

        self.at_once(4, lambda number: pause() if number == 3 else ask(number))
        self.assertEqual([a for a in answers if a.status != 200 or a.json["results"] != expected], [])

    def test_column_that_is_added_is_filled_and_the_others_answer_on(self):
        cluster = self.start_cluster(3, tables=TABLES)
        rows = {str(i): {"temp": i / 8, "count": i, "wind": i * 3, "at": {"site": "eu"}} for i in range(3000)}
        put_all(cluster["n1"], rows)
        self.assert_summary(call(cluster["n1"], SUMMARY), rows)
        added = {"conflicts": "siblings", "columns": [*COLUMNS, {"name": "wind", "type": "int64"}]}
        self.assertEqual(cluster["n2"].client.call("PUT", "/v1/tables/readings", body=json.dumps(added)).status, 200)
        self.assert_summary(call(cluster["n2"], SUMMARY), rows)
        wind = {"table": "readings", "aggregates": {"s": {"sum": "wind"}}}
        for node in cluster:
            harness.wait_until(lambda: call(node, wind).status != 404, what="the definition to be known")
            self.assertEqual(call(node, wind).json["results"][0]["groups"][0]["s"], sum(r["wind"] for r in rows.values()))
            self.assert_summary(call(node, SUMMARY), rows)

    def test_errors_say_what_is_wrong(self):
        cluster = self.start_cluster(1, replicas=1, tables=TABLES)
        node = cluster["n1"]
        one = lambda **members: {"table": "readings", "aggregates": {"n": {"count": "*"}}, **members}
        put_all(node, {str(i): {"count": i, "at": {"site": str(i)}} for i in range(100)})
        cases = [
            (node.client.call("POST", "/v1/aggregate", body="{"), 400, "bad_request"),
            (node.client.call("GET", "/v1/aggregate"), 405, "method_not_allowed"),
            (call(node), 400, "bad_request"),
            (call(node, one(aggregates={})), 400, "bad_request"),
            (call(node, one(aggregates={"n": {"sum": "temp", "ddof": 1}})), 400, "bad_request"),
            (call(node, one(aggregates={"key": {"sum": "temp"}})), 400, "bad_request"),
            (call(node, one(), device="fast"), 400, "bad_request"),
            (call(node, one(), verify="all"), 400, "bad_request"),
            (call(node, one(where=[{"column": "temp", "op": "~", "value": 1}])), 400, "bad_request"),
            (call(node, one(where=[{"column": "temp", "op": "=", "value": "warm"}])), 400, "bad_request"),
            (call(node, one(aggregates={"h": {"histogram": "temp", "edges": [2, 1]}})), 400, "bad_request"),
            (call(node, one(table="nowhere")), 404, "no_such_table"),
            (call(node, one(table="default")), 404, "no_such_column"),
            (call(node, one(aggregates={"n": {"sum": "wind"}})), 404, "no_such_column"),
            (call(node, one(aggregates={"n": {"sum": "site"}})), 422, "not_numeric"),
            (call(node, one(group_by=["count"], limit_groups=10)), 413, "too_many_groups"),
        ]
        for answer, status, code in cases:
            self.assert_answer(answer, status, code)
        gpu = call(node, one(), device="gpu", profile=True)
        self.assertIn((gpu.status, gpu.code), [(503, "no_gpu"), (200, None)], repr(gpu))
        if gpu.status == 200:  # this machine has one
            self.assertEqual(gpu.json["profile"]["device"], "gpu")
        bad = call(node, one(id="fine"), one(id="faulty", aggregates={"n": {"sum": "site"}}))
        self.assertEqual((bad.error["query"], bad.error["column"]), ("faulty", "site"))
        put = node.client.call("PUT", "/v1/kv/readings/x", body=json.dumps({"at": {"site": "x" * 1025}}))
        self.assert_answer(put, 422, "bad_column")

    def test_columns_declared_later_and_dropped(self):
        cluster = self.start_cluster(3)
        client = cluster["n1"].client
        definition = json.dumps({"columns": COLUMNS[:1]})
        self.assertEqual(client.call("PUT", "/v1/tables/late", body="{}").status, 200)
        harness.wait_until(lambda: all(n.client.call("GET", "/v1/tables/late").status == 200 for n in cluster))
        put_all(cluster["n1"], {str(i): {"temp": i, "count": 2 * i} for i in range(500)}, "late")
        sum_of = lambda node, column: call(node, {"table": "late", "aggregates": {"s": {"sum": column}}})
        self.assert_answer(sum_of(cluster["n1"], "temp"), 404, "no_such_column")
        self.assertEqual(client.call("PUT", "/v1/tables/late", body=definition).status, 200)
        value = lambda answer: answer.json["results"][0]["groups"][0]["s"]
        self.assertEqual(value(sum_of(cluster["n1"], "temp")), 124750.0)
        self.assertEqual(client.call("PUT", "/v1/tables/late", body=json.dumps({"columns": COLUMNS[:2]})).status, 200)
        self.assertEqual(value(sum_of(cluster["n1"], "count")), 249500)
        for node in cluster:
            harness.wait_until(lambda: sum_of(node, "count").status == 200 and value(sum_of(node, "count")) == 249500)
        self.assertEqual(client.call("DELETE", "/v1/tables/late").status, 200)
        self.assert_answer(sum_of(cluster["n1"], "count"), 404, "no_such_table")


if __name__ == "__main__":
    harness.main()
