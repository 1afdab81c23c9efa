"""Rows of numbers by site, what an aggregate over them must give exactly, and what a node tells of its columns."""

import math

COLUMNS = [{"name": "x", "type": "float64"}, {"name": "n", "type": "int64"}, {"name": "site", "type": "string"}]
FIGURES = {"many": {"count": "*"}, "s": {"sum": "x"}, "i": {"sum": "n"}}


def draw_row(random):
    return {"x": random.gauss(0, 1e6), "n": random.randint(-2**50, 2**50), "site": random.choice(["eu", "us", "ap"])}


def assert_exact(case, answer, rows):
    """The answer to FIGURES by site, of these rows."""
    case.assertEqual(answer.status, 200, repr(answer))
    sites = {}
    for row in rows.values():
        sites.setdefault(row["site"], []).append(row)
    case.assertEqual({g["key"][0]: (g["many"], g["s"], g["i"]) for g in answer.json["results"][0]["groups"]},
                     {site: (len(of), math.fsum(r["x"] for r in of), sum(r["n"] for r in of)) for site, of in sites.items()})


def column_metric(node, name):
    lines = node.client.call("GET", "/metrics").body.decode().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"covey_column_{name} "))
