#!/usr/bin/env python3
"""Members come and go while clients write: no write is lost, no configuration edited, nothing started anew."""

import time

import harness
from harness import covey, wait_until
from load import ENOUGH, Load


class Members(harness.ClusterTest):
    def assert_nothing_lost(self, load, running):
        self.assertGreater(load.acknowledged(), ENOUGH, "the load wrote something")
        self.assertEqual(load.faults(), [], "a read during the run lacked an acknowledged write")
        for node in running:
            self.assertEqual(load.lost(node.client, 2), [], f"acknowledged writes are seen from {node.name}")

    def test_a_cluster_is_replaced_node_by_node_under_load(self):
        cluster, running = self.start_some(6, 3)
        # Clients know all nodes and use those that answer.
        with Load(cluster) as load:
            for joins, leaves in (("n4", "n1"), ("n5", "n2"), ("n6", "n3")):
                cluster[joins].start()
                running.append(cluster[joins])
                cluster.wait_moved(running)
                told = covey("cluster", "leave", leaves, "--dry-run", nodes=[cluster[joins].address])
                self.assertEqual(told.returncode, 0, told.stderr)
                self.assertIn("would move", told.stdout)
                told = covey("cluster", "leave", leaves, nodes=[cluster[joins].address])
                self.assertEqual(told.returncode, 0, told.stderr)
                running.remove(cluster[leaves])
                self.assertEqual(cluster[leaves].process.wait(60 * harness.SLOWNESS), 0, cluster[leaves].log_end())
                cluster.wait_moved(running)
        print(f"    {load.acknowledged()} writes acknowledged, {load.failures()} refused or cut")
        self.assert_nothing_lost(load, running)
        page = running[0].client.cluster()
        self.assertEqual(page["removed"], ["n1", "n2", "n3"])

    def test_a_dead_node_is_replaced_and_nothing_else_moves(self):
        cluster, running = self.start_some(5, 4)
        before = {p["partition"]: p["owners"] for p in running[0].client.cluster()["ring"]}
        with Load(running[:3]) as load:
            time.sleep(1)
            cluster["n4"].kill9()
            cluster["n5"].start()
            running.remove(cluster["n4"])
            wait_until(lambda: cluster.states(cluster["n1"]).get("n5") == "alive", 20, "n5 to be met")
            refused = covey("cluster", "remove", "n5", nodes=[cluster["n1"].address])
            self.assertEqual(refused.returncode, 1)
            self.assertIn("n5 answers", refused.stderr)
            wait_until(lambda: cluster.states(cluster["n1"])["n4"] == "dead", 20, "n4 to be dead")
            told = covey("cluster", "replace", "n4", "n5", "--wait", nodes=[cluster["n1"].address])
            self.assertEqual(told.returncode, 0, told.stderr)
            self.assertIn("n5: member, in the place of n4", told.stdout)
            running.append(cluster["n5"])
            cluster.wait_moved(running)
        self.assert_nothing_lost(load, running)
        after = {p["partition"]: p["owners"] for p in running[0].client.cluster()["ring"]}
        renamed = {p: ["n5" if n == "n4" else n for n in owners] for p, owners in before.items()}
        self.assertEqual({p: sorted(o) for p, o in after.items()}, {p: sorted(o) for p, o in renamed.items()})

    def test_a_node_that_was_removed_hands_over_what_it_has_and_ends(self):
        cluster, running = self.start_some(4, 4)
        key = cluster.key_with(lambda owners: "n4" in owners)
        cluster["n4"].client.put(key, "before", w="all")
        for node in running[:3]:
            node.kill9()
        # Acknowledged by n4 alone, or by nobody else that lives.
        answer = wait_until(lambda: (a := cluster["n4"].client.put(key, "alone", w=1)).status == 200 and a, 20, "a write")
        self.assertEqual(answer.status, 200)
        cluster["n4"].kill9()
        for node in running[:3]:
            node.start()
        rest = running[:3]
        cluster.wait_met(rest)
        wait_until(lambda: cluster.states(cluster["n1"])["n4"] == "dead", 20, "n4 to be dead")
        told = covey("cluster", "remove", "n4", "--wait", nodes=[cluster["n1"].address])
        self.assertEqual(told.returncode, 0, told.stderr)
        cluster["n4"].start(wait=False)
        self.assertEqual(cluster["n4"].process.wait(60 * harness.SLOWNESS), 0, cluster["n4"].log_end())
        values = cluster["n1"].client.get(key, r="all").values
        self.assertIn("alone", values)

    def test_a_node_that_was_removed_long_ago_ends_when_it_returns(self):
        """Others have joined and been started anew since; nobody has its address among the seeds."""
        cluster, running = self.start_some(5, 4, threads=2)
        gone = cluster["n4"]
        for node in cluster:
            node.config["cluster"]["seeds"] = [cluster["n1"].config["listen"]["peer"]]
        lines = [{"key": f"k{i}", "value": i} for i in range(200)]
        self.assertEqual({line["status"] for line in gone.client.batch(lines, w=3).lines}, {200})
        gone.kill9()
        running.remove(gone)
        wait_until(lambda: cluster.states(cluster["n1"])["n4"] == "dead", 20, "n4 to be dead")
        told = covey("cluster", "remove", "n4", "--wait", nodes=[cluster["n1"].address])
        self.assertEqual(told.returncode, 0, told.stderr)
        running.append(cluster["n5"].start())
        cluster.wait_moved(running)
        for node in running:
            self.assertEqual(node.terminate(), 0)
            node.start()
            cluster.wait_met(running)
        cluster.wait_moved(running)
        gone.start(wait=False)
        self.assertEqual(gone.process.wait(30 * harness.SLOWNESS), 0, gone.log_end())

    def test_who_is_taken_back_without_running_is_waited_for(self):
        cluster, running = self.start_some(4, 4)
        one, gone = cluster["n1"], cluster["n4"]
        self.assertEqual({line["status"] for line in one.client.batch([{"key": f"k{i}", "value": i} for i in range(50)], w=3).lines}, {200})
        self.assertNotIn("waited for", covey("cluster", "join", "n4", nodes=[one.address]).stderr, "it runs")
        gone.kill9()
        running.remove(gone)
        wait_until(lambda: cluster.states(one)["n4"] == "dead", 20, "n4 to be dead")
        self.assertEqual(covey("cluster", "remove", "n4", "--wait", nodes=[one.address]).returncode, 0)
        tried = covey("cluster", "join", "n4", "--dry-run", nodes=[one.address])
        self.assertEqual(tried.returncode, 0, tried.stderr)
        self.assertIn("n4 can't be reached: start it", tried.stderr)
        self.assertEqual(one.client.cluster()["removed"], ["n4"])
        joined = covey("cluster", "join", "n4", nodes=[one.address])
        self.assertEqual(joined.returncode, 0, joined.stderr)
        self.assertIn("n4 can't be reached, and is waited for: start it with its directory", joined.stderr)
        self.assertEqual({line["value"] for line in one.client.batch([{"key": f"k{i}", "op": "get"} for i in range(50)], r=3).lines},
                         set(range(50)), "the others keep its copies")
        running.append(gone.start())
        cluster.wait_moved(running)

    def test_a_node_that_returns_is_dialed_at_once(self):
        """Not when the pause after attempts that failed is over, of up to two seconds."""
        cluster, (first, second, _) = self.start_some(3, 3)

        def reached():
            return cluster.reaches(first)[second.name]

        for _ in range(5):
            second.kill9()
            wait_until(lambda: not reached(), 10, "the node to be missed")
            time.sleep(3)  # until the pause is a long one
            second.start()
            wait_until(reached, 10, "the node to be met again", 0.01)
        # Once or twice it may have been dialing at that moment.
        lines = first.client.call("GET", "/metrics").body.decode().splitlines()
        cut = next(int(line.split()[1]) for line in lines if line.startswith("covey_peer_pauses_cut_total "))
        self.assertGreater(cut, 0)

    def test_zones_have_a_copy_each_and_weights_decide_shares(self):
        cluster = self.make_cluster(4, replicas=2, cluster={"partitions": 64})
        for node, zone in zip(cluster, "aabb"):
            node.config["zone"] = zone
        cluster.start()
        running = list(cluster)
        cluster.wait_moved(running)
        zones = {node.name: node.config["zone"] for node in cluster}

        def owners():
            return [p["owners"] for p in cluster["n1"].client.cluster()["ring"]]
        before = owners()
        for names in before:
            self.assertEqual(sorted(zones[name] for name in names), ["a", "b"], "each zone has a copy")
        self.assertEqual({m["node"]: m["zone"] for m in cluster["n1"].client.cluster()["members"]}, zones)
        with Load(running) as load:
            time.sleep(0.5)
            cluster["n4"].terminate()
            cluster["n4"].config["weight"] = 3.0
            cluster["n4"].start()
            share = lambda all_owners, name: sum(name in names for names in all_owners)
            wait_until(lambda: share(owners(), "n4") > share(before, "n4"), 60, "n4 to own more", 0.1)
            cluster.wait_moved(running)
        after = owners()
        self.assert_nothing_lost(load, running)
        # 3 of 4 of zone b's copies; half before. What does not go to n4 stays where it is.
        self.assertGreater(share(after, "n4"), 64 * 0.6)
        for was, is_ in zip(before, after):
            self.assertTrue(set(is_) == set(was) or set(is_) - set(was) == {"n4"}, (was, is_))
            self.assertEqual(sorted(zones[name] for name in is_), ["a", "b"])
        print(f"    n4 owned {share(before, 'n4')} of 64 partitions, with three times the weight {share(after, 'n4')}")

    def test_two_who_leave_on_both_sides_of_a_cut_are_too_many_and_that_is_told(self):
        """Neither side knew of the other's decision. Nothing is dropped, and one of the two can stay."""
        cluster = self.start_cluster(4, proxied=True)
        one, two = cluster["n1"], cluster["n2"]
        lines = [{"key": f"k{i}", "value": i} for i in range(200)]
        self.assertEqual({line["status"] for line in one.client.batch(lines, w=3).lines}, {200})
        cluster.part(["n1", "n4"], ["n2", "n3"])
        for asked, leaves in ((one, "n4"), (two, "n3")):
            done = harness.covey("cluster", "leave", leaves, nodes=[asked.address])
            self.assertEqual(done.returncode, 0, done.stderr)
        cluster.heal()
        cluster.wait_met()
        few = "too few members stay, 2 for 3 replicas"
        for node in cluster:
            harness.wait_until(lambda: few in harness.covey("cluster", "status", nodes=[node.address]).stdout, 20, "both decisions to be known")
        waited = harness.covey("cluster", "leave", "n4", "--wait", "--timeout", "1s", nodes=[one.address])
        self.assertEqual(waited.returncode, 4)
        self.assertIn(f"still leaving: n3, n4; {few}: let another node join, or one that leaves stay", waited.stderr)
        self.assertTrue(all(node.alive() for node in cluster), "who leaves waits until there are enough owners")
        self.assertEqual(harness.covey("cluster", "join", "n3", nodes=[two.address]).returncode, 0)
        harness.wait_until(lambda: not cluster["n4"].alive(), 30, "n4 to end")
        staying = [cluster[name] for name in ("n1", "n2", "n3")]
        cluster.wait_moved(staying)
        self.assertNotIn("too few", harness.covey("cluster", "status", nodes=[one.address]).stdout)
        for node in staying:
            for i in range(200):
                self.assertEqual(node.client.get(f"k{i}", r=1).values, [str(i)])

    def test_what_would_break_the_cluster_is_refused(self):
        cluster = self.start_cluster(3)
        client = cluster["n1"].client
        few = client.call("POST", "/v1/cluster/leave", b'{"node": "n2"}')
        self.assert_answer(few, 409, "too_few_members")
        self.assert_answer(client.call("POST", "/v1/cluster/leave", b'{"node": "n9"}'), 404, "no_such_node")
        self.assert_answer(client.call("POST", "/v1/cluster/leave", b'{"nod": "n2"}'), 400, "bad_request")
        self.assert_answer(client.call("POST", "/v1/cluster/remove", b'{"node": "n2"}'), 409, "still_alive")
        self.assert_answer(client.call("POST", "/v1/cluster/replace", b'{"node": "n2"}'), 400, "bad_request")
        self.assert_answer(client.call("POST", "/v1/cluster/dance", b'{}'), 404, "not_found")
        self.assert_answer(client.call("GET", "/v1/cluster/leave"), 405, "method_not_allowed")


if __name__ == "__main__":
    harness.main()
