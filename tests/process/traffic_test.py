#!/usr/bin/env python3
"""What replicas send each other to become and to stay equal."""

import time

import harness

KEYS = 20_000
CHANGED = KEYS // 100
VALUE = "v" * 500
RATIO_MAX = 1.5
DIGEST_BYTES_MAX = 200  # a second for each partition that two nodes share, at the default interval


def totals(cluster, name):
    return sum(node.client.metrics()[name] for node in cluster)


class Traffic(harness.ClusterTest):
    def load(self, client, keys, value):
        for start in range(0, len(keys), 1000):
            answer = client.batch([{"key": key, "value": value} for key in keys[start:start + 1000]], w="all",
                                  timeout_ms=20000)
            self.assertEqual({line["status"] for line in answer.lines}, {200})

    def overwrite(self, client, keys, value):
        read = client.batch([{"key": key, "op": "get"} for key in keys], r="one").lines
        lines = [{"key": row["key"], "value": value, "context": row["context"]} for row in read]
        self.assertEqual({line["status"] for line in client.batch(lines, w="one").lines}, {200})

    def test_convergence_sends_little_more_than_what_differs(self):
        cluster = self.start_cluster(3, proxied=True, gossip={"interval_ms": 200})
        keys = [f"key-{i:06}" for i in range(KEYS)]
        self.load(cluster["n1"].client, keys, VALUE)
        cluster.wait_converged(60)
        cluster.part(["n1"], ["n2", "n3"])
        self.overwrite(cluster["n2"].client, keys[:: KEYS // CHANGED], "w" * len(VALUE))
        time.sleep(2)
        bytes_before = totals(cluster, "covey_gossip_sent_bytes_total") + totals(cluster, "covey_repair_sent_bytes_total")
        sent_before = totals(cluster, "covey_gossip_objects_sent_total")
        repairs_before = totals(cluster, "covey_repairs_started_total")
        cluster.heal(lost=True)
        cluster.wait_met()
        seconds = cluster.wait_converged(60)
        objects = totals(cluster, "covey_gossip_objects_sent_total") - sent_before
        spent = (totals(cluster, "covey_gossip_sent_bytes_total") + totals(cluster, "covey_repair_sent_bytes_total")
                 - bytes_before)
        differing = CHANGED * (len(VALUE) + 2 + len(keys[0]))  # JSON strings carry their quotes
        print(f"    {CHANGED} of {KEYS} keys differed ({differing} bytes of keys and values): {int(spent)} bytes, "
              f"{int(objects)} objects sent, ratio {spent / differing:.2f}, equal after {seconds:.1f} s")
        self.assertEqual(totals(cluster, "covey_repairs_started_total"), repairs_before, "no partition was sent whole")
        self.assertLessEqual(spent / differing, RATIO_MAX)

    def test_equal_replicas_exchange_digests_alone(self):
        cluster = self.start_cluster(3, cluster={"partitions": 64}, gossip={"interval_ms": 200})
        self.load(cluster["n1"].client, [f"key-{i}" for i in range(1000)], VALUE)
        cluster.wait_converged()
        time.sleep(2)
        start, before = time.monotonic(), totals(cluster, "covey_gossip_sent_bytes_total")
        objects = totals(cluster, "covey_gossip_objects_sent_total")
        peers = totals(cluster, "covey_peer_sent_bytes_total")
        time.sleep(5)
        seconds = time.monotonic() - start
        shared = 64 * 3  # partitions, each shared by three pairs of nodes
        gossip = (totals(cluster, "covey_gossip_sent_bytes_total") - before) / shared / seconds
        wire = (totals(cluster, "covey_peer_sent_bytes_total") - peers) / shared / seconds
        print(f"    idle: {gossip:.1f} bytes of gossip a second for each partition that two nodes share, "
              f"{wire:.1f} in all on the wire")
        self.assertEqual(totals(cluster, "covey_gossip_objects_sent_total"), objects, "nothing but digests")
        self.assertLessEqual(gossip, DIGEST_BYTES_MAX)
        self.assertLessEqual(wire, DIGEST_BYTES_MAX)


if __name__ == "__main__":
    harness.main()
