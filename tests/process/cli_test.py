#!/usr/bin/env python3
"""The command line as it is documented: commands, output, exit codes, against three real nodes."""

import json
import os
import shutil
import tempfile

import harness
from harness import covey


class CommandLine(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster(3, proxied=True)
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()
        cls.addresses = [node.address for node in cls.cluster]

    def run_ok(self, *arguments, code=0, node=0, **options):
        ended = covey(*arguments, nodes=[self.addresses[node]], **options)
        self.assertEqual(ended.returncode, code, f"covey {' '.join(arguments)}: {ended.stdout}{ended.stderr}")
        self.assertNotIn("\033", ended.stdout + ended.stderr, "colour is for terminals only")
        return ended.stdout

    def json_of(self, *arguments, **options):
        return json.loads(self.run_ok("--output", "json", *arguments, **options))

    def test_put_get_del(self):
        self.run_ok("put", "a", "hello", "-w", "all")
        self.assertEqual(self.run_ok("get", "a", "-r", "quorum", node=1), "hello\n")
        self.run_ok("put", "a", "again")
        self.assertEqual(self.run_ok("get", "a", node=2), "again\n", "put overwrites what it sees")
        self.run_ok("del", "a", "-w", "all")
        self.run_ok("get", "a", code=3)
        self.run_ok("put", "piped", "-", input="from\nstdin")
        self.assertEqual(self.run_ok("get", "piped"), "from\nstdin\n")

    def test_siblings_and_resolve(self):
        self.run_ok("put", "s", "one", "--blind")
        self.run_ok("put", "s", "two", "--blind", node=1)
        out = self.run_ok("get", "s", code=5)
        self.assertIn("one", out)
        self.assertIn("two", out)
        siblings = self.json_of("siblings", "s", code=5)["siblings"]
        self.assertEqual(sorted(s["value"] for s in siblings), ["one", "two"])
        pick = next(s["dot"] for s in siblings if s["value"] == "two")
        self.run_ok("resolve", "s", "--pick", "n1.1:999999", code=1)
        self.run_ok("resolve", "s", "--pick", pick)
        self.assertEqual(self.run_ok("get", "s", node=2), "two\n")
        self.run_ok("put", "s", "three", "--blind")
        self.run_ok("resolve", "s", "--value", "all of them")
        self.assertEqual(self.run_ok("get", "s"), "all of them\n")

    def test_context_option(self):
        context = self.json_of("put", "c", "1")["context"]
        self.run_ok("put", "c", "2", "--context", context)
        self.run_ok("put", "c", "3", "--context", context)
        self.run_ok("get", "c", code=5)
        self.run_ok("put", "c", "4", "--context", "forged", code=1)

    def test_ttl(self):
        self.run_ok("put", "t", "short", "--ttl", "1s")
        harness.wait_until(lambda: covey("get", "t", nodes=self.addresses).returncode == 3, 20, "the value to expire")

    def test_scan_export_import(self):
        for i in range(30):
            self.cluster["n1"].client.put(f"scan/{i:02}", f"value {i}")
        self.assertEqual(self.run_ok("scan", "scan/", "--limit", "3").splitlines(),
                         ["scan/00\tvalue 0", "scan/01\tvalue 1", "scan/02\tvalue 2"])
        self.assertEqual(len(self.run_ok("scan", "scan/").splitlines()), 30)
        exported = self.run_ok("export", "scan/")
        self.assertEqual(len(exported.splitlines()), 30)
        self.run_ok("table", "create", "copy")
        harness.wait_until(lambda: covey("--table", "copy", "scan", nodes=[self.addresses[1]]).returncode == 0, 20,
                           "the table at n2")
        self.run_ok("--table", "copy", "import", "-", "--format", "jsonl", input=exported)
        self.assertEqual(self.run_ok("--table", "copy", "export", "scan/", node=1), exported)
        csv = "id,temp,site\na,1.5,north\nb,2,south\n"
        self.run_ok("--table", "copy", "import", "-", "--format", "csv", "--key", "id", input=csv)
        self.assertEqual(json.loads(self.run_ok("--table", "copy", "get", "a")), {"id": "a", "temp": 1.5, "site": "north"})

    def test_tables(self):
        self.run_ok("table", "create", "measured", "--conflicts", "lww", "--column", "temp:float64")
        self.assertIn("measured", self.run_ok("tables"))
        shown = self.json_of("table", "show", "measured")
        self.assertEqual((shown["conflicts"], shown["columns"][0]["name"]), ("lww", "temp"))
        self.run_ok("--table", "measured", "put", "k", "{\"temp\": \"warm\"}", code=1)
        self.run_ok("table", "drop", "measured")
        self.run_ok("table", "show", "measured", code=3)
        self.run_ok("--table", "nowhere", "get", "k", code=3)

    def test_cluster_commands(self):
        status = self.run_ok("cluster", "status")
        for name in ("n1", "n2", "n3", "alive"):
            self.assertIn(name, status)
        self.assertEqual(len(self.json_of("cluster", "ring")), 16)
        self.assertIn("converged", self.run_ok("cluster", "await-converged"))
        self.assertIn("would succeed", self.run_ok("explain", "some key", "-w", "all"))

    def test_unavailable(self):
        self.run_ok("put", "u", "before", "-w", "all")
        self.cluster.part(["n1"], ["n2", "n3"])
        try:
            ended = covey("--no-sloppy", "put", "u", "x", "-w", "quorum", "--blind", nodes=[self.addresses[0]])
            self.assertEqual(ended.returncode, 4)
            self.assertIn("unavailable", ended.stderr)
            self.assertIn("reachable 1", ended.stderr)
            self.assertIn("would be refused", self.run_ok("--no-sloppy", "explain", "u", "-w", "quorum"))
            self.run_ok("--no-sloppy", "get", "u", "-r", "quorum", code=4)
            self.assertEqual(self.run_ok("get", "u", "-r", "one"), "before\n")
            self.run_ok("cluster", "await-converged", "--timeout", "500ms", code=4)
        finally:
            self.cluster.heal()
            self.cluster.wait_met()

    def test_next_node_is_tried(self):
        dead = f"127.0.0.1:{harness.free_port()}"
        self.run_ok("put", "n", "1")
        ended = covey("get", "n", nodes=[dead, self.addresses[1]])
        self.assertEqual((ended.returncode, ended.stdout), (0, "1\n"))
        ended = covey("get", "n", env={"COVEY_NODES": f"{dead},{self.addresses[2]}"})
        self.assertEqual((ended.returncode, ended.stdout), (0, "1\n"))
        self.assertEqual(covey("get", "n", nodes=[dead]).returncode, 4)

    def test_usage(self):
        for arguments in ((), ("nonsense",), ("get",), ("put", "k"), ("get", "k", "-r", "most"), ("get", ""),
                          ("put", "k", "v", "--ttl", "soon"), ("resolve", "k"), ("--output", "xml", "get", "k"),
                          ("--node", "nowhere", "get", "k"), ("scan", "--limit", "0"), ("get", "k" * 2049)):
            self.assertEqual(covey(*arguments, nodes=self.addresses[:1]).returncode, 2, arguments)
        for command in ("get", "put", "del", "scan", "siblings", "resolve", "import", "export", "explain", "tables",
                        "bench", "shell", "cluster start", "cluster stop", "cluster status", "cluster ring",
                        "cluster await-converged", "table create", "table show", "table drop"):
            ended = covey(*command.split(), "--help")
            self.assertEqual(ended.returncode, 0)
            self.assertIn("Example", ended.stdout, command)

    def test_errors_as_json(self):
        ended = covey("--output", "json", "get", "never written", nodes=self.addresses[:1])
        self.assertEqual(ended.returncode, 3)
        ended = covey("--output", "json", "put", "k", "v", "-w", "7", nodes=self.addresses[:1])
        self.assertEqual(ended.returncode, 1)
        self.assertEqual(json.loads(ended.stderr)["error"]["code"], "bad_request")

    def test_bench_and_shell(self):
        self.run_ok("bench", "--ops", "500", "--clients", "4", "--keys", "50")
        out = self.run_ok("shell", input="nonsense\nput sh 1\nget sh\n")
        self.assertIn("1\n", out)
        self.run_ok("shell", input="get never\n", code=3)  # that of the last command


class StartAndStop(harness.ClusterTest):
    def test_cluster_start_and_stop(self):
        """A folder of configurations becomes a cluster, and is left alone when it runs already."""
        folder = tempfile.mkdtemp(prefix="covey-cli.")
        self.addCleanup(shutil.rmtree, folder, True)
        cluster = harness.Cluster(3, folder=folder)
        configs = os.path.join(folder, "configs")
        os.mkdir(configs)
        for node in cluster:
            with open(os.path.join(configs, f"{node.name}.json"), "w") as file:
                json.dump(node.config, file)
        self.addCleanup(covey, "cluster", "stop", configs)
        started = covey("--output", "json", "cluster", "start", configs, "--coveyd", harness.COVEYD)
        self.assertEqual(started.returncode, 0, started.stderr)
        nodes = json.loads(started.stdout)["nodes"]
        self.assertEqual([node["state"] for node in nodes], ["ready"] * 3)
        pids = [node["pid"] for node in nodes]
        again = covey("--output", "json", "cluster", "start", configs, "--coveyd", harness.COVEYD)
        self.assertEqual([node["pid"] for node in json.loads(again.stdout)["nodes"]], pids)
        address = cluster["n2"].address
        self.assertEqual(covey("put", "a", "1", "-w", "all", nodes=[address]).returncode, 0)
        self.assertEqual(covey("cluster", "stop", configs).returncode, 0)
        for pid in pids:
            self.assertFalse(harness.runs(pid))
        self.assertEqual(covey("get", "a", nodes=[address]).returncode, 4)

    def test_a_node_that_cannot_start_is_told(self):
        folder = tempfile.mkdtemp(prefix="covey-cli.")
        self.addCleanup(shutil.rmtree, folder, True)
        with open(os.path.join(folder, "n1.json"), "w") as file:
            json.dump({"node": "n1", "data_dir": os.path.join(folder, "data"), "unknown": 1,
                       "listen": {"http": f"127.0.0.1:{harness.free_port()}", "peer": "127.0.0.1:0"},
                       "cluster": {"name": "x"}}, file)
        ended = covey("cluster", "start", folder, "--coveyd", harness.COVEYD)
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("unknown", ended.stdout + ended.stderr)


if __name__ == "__main__":
    harness.main()
