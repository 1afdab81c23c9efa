#!/usr/bin/env python3
"""/metrics is text that Prometheus reads, and its numbers move when what they count happens."""

import math
import re
import threading

import harness

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"^({NAME})(?:\{{(.*)\}})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
KINDS = {"counter", "gauge", "histogram"}


def parse(text):
    """{family: (kind, {(name, labels): value})}; AssertionError where Prometheus would object."""
    assert text.endswith("\n"), "the last line ends"
    families, helped, current = {}, set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert len(line.split(" ", 3)) == 4 and name not in helped, line
            helped.add(name)
            continue
        if line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            assert kind in KINDS and current not in families and current in helped, line
            families[current] = (kind, {})
            continue
        match = SAMPLE.match(line)
        assert match, f"no sample: {line!r}"
        name, labels, value = match.group(1), match.group(2) or "", float(match.group(3))
        pairs = LABEL.findall(labels)
        assert "".join(f'{k}="{v}",' for k, v in pairs).rstrip(",") == labels, f"labels: {line!r}"
        kind, samples = families[current]
        endings = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        assert name in {current + ending for ending in endings}, f"{line!r} stands among {current}"
        assert kind != "counter" or current.endswith("_total"), f"a counter's name: {current}"
        key = (name, tuple(sorted(pairs)))
        assert key not in samples, f"twice: {line!r}"
        samples[key] = value
    return families


def check_histogram(name, samples):
    series = {}
    for (sample, labels), value in samples.items():
        rest = tuple(pair for pair in labels if pair[0] != "le")
        series.setdefault(rest, {})[(sample, dict(labels).get("le"))] = value
    for labels, values in series.items():
        buckets = sorted((float(le), value) for (sample, le), value in values.items() if sample.endswith("_bucket"))
        counts = [value for _, value in buckets]
        assert buckets[-1][0] == math.inf and counts == sorted(counts), (name, labels)
        assert counts[-1] == values[(name + "_count", None)], (name, labels)
        assert (values[(name + "_sum", None)] > 0) == (counts[-1] > 0), (name, labels)


class MetricsTest(harness.ClusterTest):
    def read(self, node):
        answer = node.client.call("GET", "/metrics")
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        families = parse(answer.body.decode())
        for name, (kind, samples) in families.items():
            if kind == "histogram":
                check_histogram(name, samples)
        return families

    def value(self, node, name, **labels):
        family = re.sub(r"_(count|sum|bucket)$", "", name) if name not in self.read(node) else name
        samples = self.read(node)[family][1]
        return samples.get((name, tuple(sorted(labels.items()))), 0)

    def total(self, cluster, name):
        return sum(self.value(node, name) for node in cluster)

    def test_what_clients_do_is_counted_and_timed_by_operation_and_level(self):
        cluster = self.start_cluster(3)
        node, client = cluster["n1"], cluster["n1"].client

        def count(operation, level):
            return self.value(node, "covey_request_seconds_count", operation=operation, level=level)
        for i in range(5):
            client.put(f"k{i}", "v", w=2)
            client.get(f"k{i}", r="one")
        client.get("k0", r="all")
        client.get("k0")
        client.delete("k4", context=client.get("k4", r="one").context, w="quorum")
        client.batch([{"key": "b", "value": 1}], w="all")
        client.scan(limit=2, r=3)
        for operation, level, expected in (("put", "2", 5), ("get", "one", 6), ("get", "all", 1), ("get", "quorum", 1),
                                           ("delete", "quorum", 1), ("batch", "all", 1), ("scan", "3", 1)):
            self.assertEqual(count(operation, level), expected, (operation, level))
        self.assertGreater(count("other", "none"), 0)
        self.assertEqual(self.value(node, "covey_http_responses_total", status="404"), 0)
        client.get("absent")
        self.assertEqual(self.value(node, "covey_http_responses_total", status="404"), 1)

        self.assertEqual(self.value(node, "covey_siblings_made_total"), 0)
        client.put("twice", "1")
        client.put("twice", "2", w="all")
        self.assertEqual(self.total(cluster, "covey_siblings_made_total"), 1)
        self.assertEqual(client.get("twice").status, 300)
        self.assertEqual(self.value(node, "covey_reads_with_siblings_total"), 1)

        cluster.wait_converged()
        self.assertEqual(self.value(node, "covey_objects"), 6)  # k0 to k3, b, twice
        for moved in ("covey_writes_coordinated_total", "covey_reads_coordinated_total", "covey_scans_coordinated_total",
                      "covey_store_syncs_total", "covey_durable_wait_seconds_count", "covey_http_received_bytes_total",
                      "covey_http_sent_bytes_total", "covey_peer_sent_bytes_total", "covey_peer_received_bytes_total",
                      "covey_peer_links", "covey_http_connections", "covey_disk_free_bytes", "covey_partitions_held"):
            self.assertGreater(self.value(node, moved), 0, moved)
        self.assertEqual(self.value(node, "covey_members_alive"), 3)

        before = self.value(node, "covey_gossip_sent_bytes_total")
        harness.wait_until(lambda: self.value(node, "covey_gossip_sent_bytes_total") > before, 20, "gossip to be counted")

    def test_what_a_peer_does_not_take_is_seen_waiting(self):
        cluster = self.start_cluster(2, replicas=2)
        node = cluster["n1"]
        cluster["n2"].pause()
        value = bytes(1_000_000)
        for i in range(60):  # at some time it is beyond what the system holds for a connection
            self.assert_answer(node.client.put(f"k{i}", value, w="one"), 200)
            if self.value(node, "covey_peer_send_buffer_bytes") > 0:
                break
        else:
            self.fail("nothing was seen waiting")
        cluster["n2"].resume()
        harness.wait_until(lambda: self.value(node, "covey_peer_send_buffer_bytes") == 0, 20, "the buffer to be empty")

    def test_a_replica_that_is_away_is_seen_and_for_how_long(self):
        cluster = self.start_cluster(3, proxied=True)
        cluster.wait_converged()
        node = cluster["n1"]
        self.assertEqual((self.value(node, "covey_partitions_diverged"), self.value(node, "covey_divergence_age_seconds")),
                         (0, 0))
        cluster.part(["n1", "n2"], ["n3"])
        for i in range(20):
            self.assert_answer(node.client.put(f"k{i}", "v", w="quorum", sloppy=False), 200)
        self.assert_answer(node.client.put("k", "v", w="all", sloppy=False), 503, "unavailable")
        self.assertEqual(self.value(node, "covey_requests_unavailable_total"), 1)
        self.assertEqual(self.value(node, "covey_members_alive"), 2)
        harness.wait_until(lambda: self.value(node, "covey_partitions_diverged") > 0, 20, "the difference to be seen")
        age = harness.wait_until(lambda: self.value(node, "covey_divergence_age_seconds"), 20, "the difference to age")
        harness.wait_until(lambda: self.value(node, "covey_divergence_age_seconds") > age + 0.5, 20, "it to grow older")
        self.assertGreaterEqual(self.value(node, "covey_dot_log_entries"), 20)
        cluster.heal(lost=True)
        cluster.wait_converged()
        for gone in ("covey_partitions_diverged", "covey_divergence_age_seconds", "covey_dot_log_entries",
                     "covey_residual_objects"):
            harness.wait_until(lambda: self.value(node, gone) == 0, 20, f"{gone} to be 0 again")
        self.assertGreaterEqual(self.total(cluster, "covey_gossip_objects_sent_total"), 20)
        self.assertGreaterEqual(self.value(cluster["n3"], "covey_gossip_objects_received_total"), 20)
        self.assertGreater(self.value(node, "covey_peer_losses_total"), 0)
        self.assertEqual(self.total(cluster, "covey_state_hash_alarms_total"), 0)

    def test_reads_that_find_a_replica_behind_are_counted(self):
        cluster = self.start_cluster(3, proxied=True, gossip={"interval_ms": 3000, "suspect_ms": 60_000},
                                     detector={"probe_ms": 600_000})
        node = cluster["n1"]
        for attempt in range(10):  # gossip may be faster
            cluster.proxy.part(["n1", "n2"], ["n3"])
            for i in range(10):
                self.assert_answer(node.client.put(f"k{attempt}-{i}", "v", w=2), 200)
            cluster.heal(lost=True)
            for i in range(10):
                harness.wait_until(lambda: node.client.get(f"k{attempt}-{i}", r="all").status == 200, 20, "all to answer")
            if self.value(node, "covey_read_repairs_total") > 0:
                return
        self.fail("no read repair was counted")

    def test_what_waits_is_seen(self):
        cluster = self.start_cluster(3, gossip={"interval_ms": 100, "suspect_ms": 60_000}, detector={"probe_ms": 600_000})
        node = cluster["n1"]
        self.assertEqual(self.value(node, "covey_operations_in_flight"), 0)
        cluster["n2"].pause()
        cluster["n3"].pause()
        try:
            other = node.new_client()
            waiting = threading.Thread(target=lambda: other.put("k", "v", w="all", timeout_ms=5000))
            waiting.start()
            harness.wait_until(lambda: self.value(node, "covey_operations_in_flight") == 1, 20, "the write to be seen waiting")
            waiting.join()
            self.assertEqual(self.value(node, "covey_requests_timed_out_total"), 1)
        finally:
            cluster["n2"].resume()
            cluster["n3"].resume()
        harness.wait_until(lambda: self.value(node, "covey_operations_in_flight") == 0, 20, "nothing to wait")


if __name__ == "__main__":
    harness.main()
