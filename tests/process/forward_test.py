#!/usr/bin/env python3
"""A write that was sent on to a node that then dies is answered when its connection ends, or when the node is declared
dead, long before its time limit; and the answer says what is known of it."""

import threading

import harness
from harness import wait_until

LIMIT_MS = 60_000  # no answer here is one that a time limit gave


class Forward(harness.ClusterTest):
    def begin(self):
        """A cluster, a key that n1 does not own, and the owner that n1 sends its writes to: the first of them."""
        cluster = self.start_cluster(4)
        key = cluster.key_with(lambda owners: "n1" not in owners)
        target = cluster.owners(key)[0]

        def sent_to_target():
            answer = cluster["n1"].client.put(key, "before", w="all")
            return answer.status == 200 and answer.json["dot"].startswith(target + ".")
        wait_until(sent_to_target, what="n1 to be connected to all owners")
        return cluster, key, cluster[target]

    def put_at_a_node_that_stands_still(self, cluster, key, target):
        """Asks n1; returns the thread and where its answer will be, once the write is on its way."""
        sent = cluster["n1"].client.metrics()["covey_forwarded_total"]
        target.pause()
        answers = []

        def put():
            client = cluster["n1"].new_client(2 * LIMIT_MS / 1000)
            answers.append(client.put(key, "after", w="quorum", timeout_ms=LIMIT_MS))
            client.close()
        asker = threading.Thread(target=put)
        asker.start()
        wait_until(lambda: cluster["n1"].client.metrics()["covey_forwarded_total"] > sent, what="the write to be sent on")
        return asker, answers

    def assert_unknown(self, answer, target, *states):
        self.assert_answer(answer, 504, "timeout")
        self.assertEqual(answer.error["outcome"], "unknown")
        self.assertEqual(list(answer.error["owners"]), [target.name], repr(answer))
        self.assertIn(answer.error["owners"][target.name], states)

    def test_the_target_is_killed(self):
        cluster, key, target = self.begin()
        asker, answers = self.put_at_a_node_that_stands_still(cluster, key, target)
        target.kill9()
        asker.join()
        self.assert_unknown(answers[0], target, "connection lost", "dead")
        self.assertEqual(cluster["n1"].client.metrics()["covey_forwards_lost_total"], 1)
        # The next one goes to another owner.
        self.assert_answer(cluster["n1"].client.put(key, "w", w="quorum", timeout_ms=LIMIT_MS), 200)

    def test_the_target_stands_still_until_it_is_declared_dead(self):
        cluster, key, target = self.begin()
        asker, answers = self.put_at_a_node_that_stands_still(cluster, key, target)
        asker.join()
        self.assert_unknown(answers[0], target, "dead")
        # What the answer said might be: the write was on its way, and takes effect when the node goes on.
        self.assertNotIn("after", cluster["n1"].client.get(key).values)
        target.resume()
        wait_until(lambda: "after" in cluster["n1"].client.get(key).values, what="the write to take effect after all")


if __name__ == "__main__":
    harness.main()
