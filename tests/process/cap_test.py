#!/usr/bin/env python3
"""Which reads and writes succeed on both sides of a partition, which are refused, which are stale, and what remains.

    cap_test.py            runs the experiments and holds docs/consistency.md against what they saw
    cap_test.py --write    runs them and writes what they saw into docs/consistency.md

Links are cut for real, by proxies between the nodes. Strict quorums with R + W > N must never read stale; with
R + W <= N a stale read must be seen, otherwise the experiment itself is blind.
"""

import sys
import threading

import cap_table
import harness

N = 3
LEVELS = [(1, 1), (2, 2), (1, 3), (3, 1)]
sections = {}  # number -> markdown


class Side:
    def __init__(self, title, names):
        self.title, self.names = title, names
        self.asked = names[0]  # the node whom the client of this side asks


class Experiment:
    """One cluster parted in two, one key for each (R, W) and kind of quorum."""

    def __init__(self, case, cluster, sides, wanted_owners):
        self.case, self.cluster, self.sides = case, cluster, sides
        self.tries = []
        for sloppy in (False, True):
            for r, w in LEVELS:
                key = cluster.key_with(lambda owners: sorted(owners) == sorted(wanted_owners),
                                       f"r{r}-w{w}-{'sloppy' if sloppy else 'strict'}")
                self.tries.append({"r": r, "w": w, "sloppy": sloppy, "key": key})

    def client(self, side):
        return self.cluster[side.asked].client

    def read(self, side, trial, **changes):
        options = {"r": trial["r"], "sloppy": trial["sloppy"], **changes}
        return self.client(side).get(trial["key"], **options)

    def run(self):
        for trial in self.tries:
            written = self.client(self.sides[0]).put(trial["key"], "base", w=N)
            self.case.assert_answer(written, 200)
            trial["context"] = written.context
        self.cluster.wait_converged()
        self.cluster.part(*[side.names for side in self.sides])
        for trial in self.tries:
            self.try_parted(trial)
        self.cluster.heal()
        self.read_healing()
        self.cluster.wait_met()
        seconds = self.cluster.wait_converged()
        print(f"    equal again {seconds:.1f} s after the nodes had met again")
        for trial in self.tries:
            self.look_afterwards(trial)
        self.case.assert_nothing_left(self.cluster)

    def try_parted(self, trial):
        current = {"base"}
        trial["cells"], trial["written"] = [], []
        for side, value in zip(self.sides, "AB"):
            answer = self.client(side).put(trial["key"], value, context=trial["context"], w=trial["w"],
                                           sloppy=trial["sloppy"])
            trial["cells"].append(cap_table.write_cell(answer))
            if answer.status == 200:
                current.discard("base")
                current.add(value)
                trial["written"].append(value)
            else:
                self.case.assert_answer(answer, 503, "unavailable")
        trial["current"] = current
        trial["stale"] = 0
        for number, side in enumerate(self.sides):
            answer = self.read(side, trial)
            trial["cells"].insert(2 * number + 1, cap_table.read_cell(answer, current))
            if answer.status in (200, 300, 404):
                trial["stale"] += bool(current - set(answer.values))
            else:
                self.case.assert_answer(answer, 503, "unavailable")

    def read_healing(self):
        """While replicas still differ, a strict R + W > N sees every acknowledged write, or says that it can't."""
        pending = {t["key"]: t for t in self.tries if not t["sloppy"] and t["r"] + t["w"] > N}

        def watch(side, trials):
            client = self.cluster[side.asked].new_client()
            while trials:
                for key in list(trials):
                    trial = trials[key]
                    answer = client.get(key, r=trial["r"], sloppy=False)
                    if answer.status in (503, 504):
                        continue
                    if trial["current"] - set(answer.values):
                        faults.append(f"{key} at {side.asked}: {answer!r} lacks some of {trial['current']}")
                    del trials[key]
        faults = []
        watchers = [threading.Thread(target=watch, args=(side, dict(pending)), daemon=True) for side in self.sides]
        for watcher in watchers:
            watcher.start()
        for watcher in watchers:
            watcher.join(60)
            self.case.assertFalse(watcher.is_alive(), "reads succeed again after healing")
        self.case.assertEqual(faults, [])

    def look_afterwards(self, trial):
        """All nodes answer the same: the acknowledged values and nothing that was refused."""
        for node in self.cluster:
            answer = node.client.get(trial["key"], r=1)
            self.case.assertEqual(set(answer.values), trial["current"], f"{trial['key']} at {node.name}, asked {[s.asked for s in self.sides]}, "
                                  f"owners {self.cluster.owners(trial['key'])}")
        siblings = len(trial["current"])
        trial["cells"].append(", ".join(sorted(trial["current"])) + (f" ({siblings} siblings)" if siblings > 1 else ""))

    def markdown(self):
        left, right = self.sides
        header = ["R, W", "quorum", f"{left.title}: write A", f"{left.title}: read", f"{right.title}: write B",
                  f"{right.title}: read", "healed: all replicas hold"]
        rows = [[f"{t['r']}, {t['w']}", "sloppy" if t["sloppy"] else "strict", *t["cells"]] for t in self.tries]
        return cap_table.table(header, rows)


class Cap(harness.ClusterTest):
    def assert_nothing_left(self, cluster):
        """Stand-ins hand over what they took and drop it."""
        def handed_over():
            return not [(node.name, p["partition"]) for node in cluster for p in node.client.cluster()["ring"]
                        if p["held"] and node.name not in p["owners"]]
        harness.wait_until(handed_over, 30, "stand-ins to drop what they handed over")

    def run_experiment(self, number, title, text, cluster, sides, owners):
        experiment = Experiment(self, cluster, sides, owners)
        experiment.run()
        stale = {(t["r"], t["w"], t["sloppy"]): t["stale"] for t in experiment.tries}
        for (r, w, sloppy), count in stale.items():
            if not sloppy and r + w > N:
                self.assertEqual(count, 0, f"strict R={r} W={w} read stale")
        self.assertGreater(stale[(1, 1, False)] + stale[(1, 1, True)], 0, "R + W <= N was not seen to read stale")
        sections[number] = f"### {title}\n\n{text}\n\n{experiment.markdown()}"

    def test_1_three_nodes_one_cut_off(self):
        cluster = self.start_cluster(3, proxied=True)
        self.run_experiment(
            1, "Three nodes, one of them cut off: {n1} | {n2, n3}",
            "Every node owns every key, so no stand-in exists and `sloppy` changes nothing.",
            cluster, [Side("n1", ["n1"]), Side("n2, n3", ["n2", "n3"])], ["n1", "n2", "n3"])

    def test_2_five_nodes_both_sides_with_stand_ins(self):
        cluster = self.start_cluster(5, proxied=True)
        owners, others = self.pick_owners(cluster)
        left, right = [owners[0], others[0]], [owners[1], owners[2], others[1]]
        self.run_experiment(
            2, "Five nodes, an owner and a stand-in against two owners and a stand-in: {a, x} | {b, c, y}",
            "The key is owned by a, b and c; x and y are the other nodes. Clients ask a and b.",
            cluster, [Side("a, x", left), Side("b, c, y", right)], owners)

    def test_3_five_nodes_a_side_without_owners(self):
        cluster = self.start_cluster(5, proxied=True)
        owners, others = self.pick_owners(cluster)
        self.run_experiment(
            3, "Five nodes, a side that owns nothing of the key: {a, b, c} | {x, y}",
            "Clients ask a and x. With `sloppy`, x and y stand in for owners that they cannot reach.",
            cluster, [Side("a, b, c", owners), Side("x, y", others)], owners)

    def pick_owners(self, cluster):
        owners = cluster.owners("any key")
        self.assertEqual(len(owners), N)
        return owners, [node.name for node in cluster if node.name not in owners]

    def test_4_before_the_cut_is_noticed(self):
        """A write that was tried and not enough acknowledged is no success and no failure: it may take effect."""
        cluster = self.start_cluster(3, proxied=True, gossip={"suspect_ms": 600_000}, detector={"probe_ms": 600_000},
                                     consistency={"timeout_ms": 1500})
        one, two = cluster["n1"].client, cluster["n2"].client
        contexts = {}
        for level in (1, 2, 3):
            contexts[level] = self.assert_answer(one.put(f"level-{level}", "base", w=3), 200).context
        cluster.wait_converged()
        cluster.proxy.part(["n1"], ["n2", "n3"])
        rows = []
        for level, context in contexts.items():
            key, cells = f"level-{level}", []
            for client, value in ((one, "A"), (two, "B")):
                written = client.put(key, value, context=context, w=level, sloppy=False)
                cells += [cap_table.write_cell(written), cap_table.read_cell(client.get(key, r=level, sloppy=False), [])]
            rows.append([str(level), *cells])
        cluster.heal()
        cluster.wait_met()
        cluster.wait_converged()
        for level, row in zip(contexts, rows):
            held = [tuple(node.client.get(f"level-{level}", r=1).values) for node in cluster]
            self.assertEqual(len(set(held)), 1, held)
            row.append(", ".join(held[0]))
        header = ["R = W", "n1: write A", "n1: read", "n2, n3: write B", "n2, n3: read", "healed: all replicas hold"]
        sections[4] = ("### Three nodes, before anyone has noticed the cut: {n1} | {n2, n3}\n\n"
                       "Owners that were asked and stayed silent make a 504, not a 503: such a write may take effect, "
                       "and here it does.\n\n" + cap_table.table(header, rows))

    def test_5_table_in_the_documentation(self):
        self.assertEqual(sorted(sections), [1, 2, 3, 4], "an experiment failed, so there is no table")
        seen = "\n".join(sections[number] for number in sorted(sections)).strip("\n")
        if writing:
            cap_table.write_section(seen)
        self.maxDiff = None
        written = cap_table.section_in_file()
        self.assertIsNotNone(written, f"{cap_table.FILE} has no such section: run cap_test.py --write")
        self.assertEqual(written.splitlines(), seen.splitlines(), "run cap_test.py --write if this is what should be")


writing = "--write" in sys.argv
if __name__ == "__main__":
    if writing:
        sys.argv.remove("--write")
    harness.main()
