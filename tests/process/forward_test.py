#!/usr/bin/env python3
"""A write that was sent on to a node that then dies is answered when its connection ends, or when the node is declared
dead, long before its time limit; and the answer says what is known of it."""

import threading

import harness
from harness import wait_until

LIMIT_MS = 60_000  # no answer here is one that a time limit gave
# So that nobody but the end of a connection tells that a node is gone.
PATIENT = {"gossip": {"suspect_ms": 60_000}, "detector": {"suspicion": 100}}


class Forward(harness.ClusterTest):
    def begin(self, **settings):
        """A cluster, a key that n1 does not own, and the owner that n1 sends its writes to: the first of them."""
        cluster = self.start_cluster(4, **settings)
        settled = lambda: not any(p["filling"] for node in cluster for p in node.client.cluster()["ring"])
        wait_until(settled, what="no partition to move any more")
        key = cluster.key_with(lambda owners: "n1" not in owners)
        target = cluster.owners(key)[0]

        def sent_to_target():
            answer = cluster["n1"].client.put(key, "before", w="all")
            return answer.status == 200 and answer.json["dot"].startswith(target + ".")
        wait_until(sent_to_target, what="n1 to be connected to all owners")
        return cluster, key, cluster[target]

    def put(self, cluster, key, value="after"):
        """Asks n1; returns the thread and where its answer will be, once the write is on its way."""
        sent = cluster["n1"].client.metrics()["covey_forwarded_total"]
        answers = []

        def ask():
            client = cluster["n1"].new_client(2 * LIMIT_MS / 1000)
            answers.append(client.put(key, value, w="quorum", timeout_ms=LIMIT_MS))
            client.close()
        asker = threading.Thread(target=ask)
        asker.start()
        wait_until(lambda: cluster["n1"].client.metrics()["covey_forwarded_total"] > sent, what="the write to be sent on")
        return asker, answers

    def assert_unknown(self, answer, target, state):
        self.assert_answer(answer, 504, "timeout")
        self.assertEqual(answer.error["outcome"], "unknown")
        self.assertEqual(answer.error["owners"], {target.name: state})

    def test_the_target_is_killed(self):
        cluster, key, target = self.begin(**PATIENT)
        target.pause()
        asker, answers = self.put(cluster, key)
        target.kill9()
        asker.join()
        self.assert_unknown(answers[0], target, "connection lost")
        self.assertEqual(cluster["n1"].client.metrics()["covey_forwards_lost_total"], 1)
        # The next one goes to another owner.
        self.assert_answer(cluster["n1"].client.put(key, "w", w="quorum", timeout_ms=LIMIT_MS), 200)

    def test_an_owner_that_must_answer_is_killed(self):
        cluster, key, _ = self.begin(**PATIENT)
        owners = cluster.owners(key)
        asked, killed = cluster[owners[0]], cluster[owners[2]]
        killed.pause()
        answers = {}

        def ask(name, request):
            client = asked.new_client(2 * LIMIT_MS / 1000)
            answers[name] = request(client)
            client.close()
        requests = {"put": lambda client: client.put(key, "after", w="all", sloppy="false", timeout_ms=LIMIT_MS),
                    "get": lambda client: client.get(key, r="all", sloppy="false", timeout_ms=LIMIT_MS)}
        askers = [threading.Thread(target=ask, args=item) for item in requests.items()]
        for asker in askers:
            asker.start()
        both = lambda: "after" in asked.client.get(key, r="one").values and asked.client.metrics()[
            "covey_operations_in_flight"] == 2
        wait_until(both, what="both to wait for the node that stands still")
        killed.kill9()
        for asker in askers:
            asker.join()
        self.assert_answer(answers["put"], 504, "timeout")
        self.assert_answer(answers["get"], 503, "unavailable")
        for answer in answers.values():
            self.assertEqual(answer.error["owners"][killed.name], "connection refused")
        self.assertEqual(asked.client.metrics()["covey_replicas_given_up_total"], 2)

    def test_what_had_not_left_when_the_target_was_killed_goes_to_another_owner(self):
        cluster, key, target = self.begin(**PATIENT)
        partition = cluster["n1"].client.explain(key)["partition"]
        keys = [name for name in (f"large-{i}" for i in range(1000))
                if cluster["n1"].client.explain(name)["partition"] == partition][:14]
        target.pause()
        # More than sockets take from a node that does not read, and less than waits for it.
        asked = [self.put(cluster, name, "v" * 900_000) for name in keys]
        target.kill9()
        for asker, _ in asked:
            asker.join()
        answers = [answer for _, (answer,) in asked]
        done = [name for name, answer in zip(keys, answers) if answer.status == 200]
        for answer in answers:
            if answer.status != 200:
                self.assert_unknown(answer, target, "connection lost")
        self.assertEqual(cluster["n1"].client.metrics()["covey_forwards_moved_total"], len(done))
        self.assertGreater(len(done), 0)
        for name in done:
            self.assert_answer(cluster["n1"].client.get(name, r="quorum"), 200)

    def test_the_target_stands_still_until_it_is_declared_dead(self):
        cluster, key, target = self.begin()
        target.pause()
        asker, answers = self.put(cluster, key)
        asker.join()
        self.assert_unknown(answers[0], target, "dead")
        # What the answer said might be: the write was on its way, and takes effect when the node goes on.
        self.assertNotIn("after", cluster["n1"].client.get(key).values)
        target.resume()
        wait_until(lambda: "after" in cluster["n1"].client.get(key).values, what="the write to take effect after all")


if __name__ == "__main__":
    harness.main()
