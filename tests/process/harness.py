"""Real nodes as processes on free ports in a directory of their own, with everything stopped at the end.

COVEYD and COVEY name the programs (build/release/bin otherwise). COVEY_KEEP=1 keeps the directories.
"""

import ctypes
import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from http_client import Http
from link_proxy import LinkProxy

ROOT = pathlib.Path(__file__).resolve().parents[2]
COVEYD = os.environ.get("COVEYD", str(ROOT / "build/release/bin/coveyd"))
COVEY = os.environ.get("COVEY", str(ROOT / "build/release/bin/covey"))
SLOWNESS = 5 if os.environ.get("COVEY_SANITIZE") else 1  # sanitizers slow programs down: time limits grow by this

# Settings of clusters in which nobody may be held for suspect while nothing is wrong: a machine that others share stands
# still for a second now and then.
PATIENT = {"gossip": {"suspect_ms": 10_000}, "detector": {"probe_ms": 2000, "timeout_ms": 1900}}

_ports_given = set()
_ports_file = None


def reserve_port(port, wait=False):
    """Until this process ends no other one that asks here gets the port; False: another one has it."""
    global _ports_file
    if _ports_file is None:
        # A byte of this file for each port. Such locks end with the process, and are no business of its children.
        _ports_file = os.open(os.path.join(tempfile.gettempdir(), f"covey-test-ports.{os.getuid()}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.lockf(_ports_file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, port)
    except (BlockingIOError, PermissionError):
        return False
    _ports_given.add(port)
    return True


def free_port(ports=range(12000, 31000)):
    """Below the range that the system gives to outgoing connections, so that a restarted node finds it free. Given once."""
    for port in random.SystemRandom().sample(ports, len(ports)):
        if port in _ports_given or not reserve_port(port):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"no port of {ports} is free")


def wait_until(condition, limit_s=20.0, what="it", every_s=0.02):
    """Waits until condition() is true and returns what it gave; fails with `what` and its last exception or value."""
    end = time.monotonic() + limit_s * SLOWNESS
    while True:
        try:
            last = condition()
            if last:
                return last
        except Exception as problem:  # not there yet
            last = problem
        if time.monotonic() >= end:
            raise AssertionError(f"waited {limit_s * SLOWNESS:.0f} s in vain for {what}: {last!r}")
        time.sleep(every_s)


def runs(pid):
    """Whether the process is there and more than an entry that nobody has collected yet."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Node:
    def __init__(self, folder, name, config):
        self.name, self.config = name, config
        self.folder = pathlib.Path(folder)
        self.file = self.folder / f"{name}.json"
        self.out = self.folder / f"{name}.out"
        self.log = self.folder / f"{name}.log"
        self.http_port = int(config["listen"]["http"].rsplit(":", 1)[1])
        self.peer_port = int(config["listen"]["peer"].rsplit(":", 1)[1])
        self.process = None
        self.environment = {}  # beside this process' own
        self.client = Http("127.0.0.1", self.http_port)

    def new_client(self, timeout=15):
        return Http("127.0.0.1", self.http_port, timeout)

    @property
    def address(self):
        return f"127.0.0.1:{self.http_port}"

    @property
    def data_dir(self):
        return pathlib.Path(self.config["data_dir"])

    def start(self, wait=True):
        self.file.write_text(json.dumps(self.config, indent=1))
        with open(self.out, "w") as out, open(self.log, "a") as log:
            self.process = subprocess.Popen([COVEYD, "--config", str(self.file)], stdout=out, stderr=log,
                                            stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
                                            env={**os.environ, **self.environment})
        if wait:
            self.wait_ready()
        return self

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}: {self.log_end()}")
        if "ready: " not in self.out.read_text():
            return False
        return self.client.call("GET", "/v1/health/ready").status == 200

    def wait_ready(self, limit_s=20.0):
        end = time.monotonic() + limit_s * SLOWNESS
        while True:
            try:
                if self.ready():
                    return self
            except OSError:
                self.client.close()
            if time.monotonic() >= end:
                raise AssertionError(f"{self.name} is not ready: {self.log_end()}")
            time.sleep(0.02)

    def log_end(self):
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def kill9(self):
        self.client.close()
        if self.alive():
            self.process.kill()
        self.process.wait()

    def terminate(self, limit_s=20.0):
        """SIGTERM; returns the exit code."""
        self.client.close()
        self.process.terminate()
        return self.process.wait(limit_s * SLOWNESS)

    def pause(self):
        self.signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        stopped = lambda: all((task / "stat").read_text().rsplit(")", 1)[1].split()[0] == "T" for task in tasks.iterdir())
        wait_until(stopped, what=f"{self.name} to stand still")

    def resume(self):
        self.signal(signal.SIGCONT)

    def stop(self):
        self.client.close()
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()


class Cluster:
    """size nodes n1, n2, ... Proxied: they reach each other only through self.proxy."""

    def __init__(self, size=3, proxied=False, replicas=3, name="test", folder=None, **settings):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="covey-test."))
        self.own_folder = folder is None
        self.name = name
        self.proxy = LinkProxy() if proxied else None
        names = [f"n{i + 1}" for i in range(size)]
        ports = {n: (free_port(), free_port()) for n in names}
        told = {n: self.proxy.add_node(n, ports[n][1]) if proxied else ports[n][1] for n in names}
        seeds = [f"127.0.0.1:{told[n]}" for n in names]
        self.nodes = {}
        for i, n in enumerate(names):
            # Nodes need not have the same number of shards.
            config = {
                "node": n, "data_dir": str(self.folder / n), "zone": "", "threads": 1 + (i + 1) % 3,
                "listen": {"http": f"127.0.0.1:{ports[n][0]}", "peer": f"127.0.0.1:{ports[n][1]}"},
                "advertise": {"peer": f"127.0.0.1:{told[n]}"},
                "cluster": {"name": name, "partitions": 16, "replicas": replicas, "seeds": seeds},
                "consistency": {"timeout_ms": 10_000},
                "storage": {"cache_mb": 8, "write_buffer_mb": 8, "free_space_mb": 16},
                "gossip": {"interval_ms": 100, "suspect_ms": 1000},
            }
            if not proxied:
                del config["advertise"]
            for key, value in settings.items():
                config[key] = {**config[key], **value} if isinstance(config.get(key), dict) else value
            self.nodes[n] = Node(self.folder, n, config)

    def __getitem__(self, name):
        return self.nodes[name]

    def __iter__(self):
        return iter(self.nodes.values())

    def start(self):
        for node in self:
            node.start(wait=False)
        for node in self:
            node.wait_ready()
        self.wait_met()
        self.wait_filled()
        return self

    def wait_filled(self, limit_s=30.0):
        """Until every owner has what it needs to answer strict reads."""
        for node in self:
            wait_until(lambda: all(p["ready"] for p in node.client.cluster()["ring"] if node.name in p["owners"]), limit_s,
                       f"{node.name} to be filled")

    def wait_moved(self, running, limit_s=60.0):
        """Until all see the same owners, every owner is ready, and nobody else holds a copy."""
        names = {node.name for node in running}

        def moved():
            owners = {}
            for node in running:
                page = node.client.cluster()
                if {m["node"] for m in page["members"]} != names or any(p["filling"] for p in page["ring"]):
                    return False
                for p in page["ring"]:
                    owners.setdefault(p["partition"], set()).add(tuple(p["owners"]))
                    mine = node.name in p["owners"]
                    if p["held"] != mine or (mine and not p["ready"]):
                        return False
            return all(len(seen) == 1 for seen in owners.values())
        wait_until(moved, limit_s, "all partitions to be at their new owners", 0.1)

    def stop(self):
        for node in self:
            node.stop()
        if self.proxy:
            self.proxy.stop()
        reports = [node.log.read_text(errors="replace") for node in self if node.log.exists()]
        if self.own_folder and not os.environ.get("COVEY_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)
        for report in reports:  # also of nodes whose exit code nobody saw
            begin = min((at for at in (report.find("Sanitizer:"), report.find("runtime error:")) if at >= 0), default=-1)
            if begin >= 0:
                raise AssertionError("a sanitizer found something: " + report[max(0, begin - 200):begin + 6000])

    # --- what the nodes say ---

    def states(self, node):
        return {m["node"]: m["state"] for m in node.client.cluster()["members"]}

    def reaches(self, node):
        return {m["node"]: m["reachable"] for m in node.client.cluster()["members"]}

    def wait_met(self, nodes=None, limit_s=20.0):
        """Until each of the nodes sees all of them alive."""
        nodes = [n for n in nodes or self if n.alive()]
        for node in nodes:
            wait_until(lambda: all(self.states(node).get(other.name) == "alive" for other in nodes), limit_s,
                       f"{node.name} to see {[n.name for n in nodes]} alive")

    def wait_parted(self, *sides, limit_s=30.0):
        """Until every node sees those of other sides not alive, and those of its own side alive."""
        for side in sides:
            others = [n for one in sides if one is not side for n in one]
            for name in side:
                def seen():
                    reaches = self.reaches(self[name])
                    return not any(reaches[o] for o in others) and all(reaches[o] for o in side)
                wait_until(seen, limit_s, f"{name} to lose {others} and keep {side}")

    def part(self, *sides):
        self.proxy.part(*sides)
        self.wait_parted(*sides)

    def heal(self, lost=False):
        self.proxy.heal_all(lost)

    def differences(self, nodes=None):
        """Why the replicas of the nodes (all) are not all equal; empty when they are and nothing is left to do."""
        seen, found = {}, []
        for node in nodes or self:
            cluster = node.client.cluster()
            if cluster["divergence"]["partitions"]:
                found.append(f"{node.name} sees {cluster['divergence']['partitions']} partitions differ")
            for partition in cluster["ring"]:
                if partition["held"] and node.name not in partition["owners"]:
                    found.append(f"{node.name} still stands in for owners of {partition['partition']}")
                if node.name in partition["owners"]:
                    state = (partition["state_hash"], json.dumps(partition["clock"], sort_keys=True))
                    seen.setdefault(partition["partition"], {})[node.name] = state
                    if partition.get("residual"):
                        found.append(f"{node.name} has residual contexts in {partition['partition']}")
        for number, states in seen.items():
            if len(set(states.values())) > 1:
                found.append(f"partition {number} differs: {states}")
        return found

    def wait_converged(self, limit_s=30.0, nodes=None):
        """Returns the seconds it took."""
        start = time.monotonic()
        last = []

        def equal():
            last[:] = self.differences(nodes)
            return not last
        try:
            wait_until(equal, limit_s, "equal replicas", 0.05)
        except AssertionError as problem:
            raise AssertionError(f"{problem}: {last[:5]}") from None
        return time.monotonic() - start

    def state_hashes(self):
        """{(node, partition): (hash, clock)}: equal before and after means that nothing has changed."""
        return {(node.name, p["partition"]): (p.get("state_hash"), json.dumps(p.get("clock"), sort_keys=True))
                for node in self for p in node.client.cluster()["ring"]}

    def owners(self, key, table="default"):
        return [o["node"] for o in next(iter(self)).client.explain(key, table)["owners"]]

    def key_with(self, wanted, prefix="key"):
        """A key for whose owners wanted(list of names) is true."""
        for i in range(10000):
            key = f"{prefix}-{i}"
            if wanted(self.owners(key)):
                return key
        raise AssertionError("no such key")


class ClusterTest(unittest.TestCase):
    """A test case whose clusters are stopped whatever happens; logs are printed when it fails."""

    def make_cluster(self, *arguments, **settings):
        """Not started yet."""
        cluster = Cluster(*arguments, **settings)
        self.addCleanup(cluster.stop)
        self.addCleanup(self.print_logs, cluster)
        return cluster

    def start_cluster(self, *arguments, **settings):
        return self.make_cluster(*arguments, **settings).start()

    def start_some(self, size, first, **settings):
        """A cluster of `size` nodes, and the list of those that run: the first few, with their copies where they belong."""
        cluster = self.make_cluster(size, **settings)
        running = list(cluster)[:first]
        for node in running:
            node.start(wait=False)
        for node in running:
            node.wait_ready()
        cluster.wait_met(running)
        cluster.wait_moved(running)
        return cluster, running

    def print_logs(self, cluster):
        outcome = getattr(self, "_outcome", None)
        result = getattr(outcome, "result", None)
        failed = result and any(test is self for test, _ in result.failures + result.errors)
        if failed:
            for node in cluster:
                print(f"--- log of {node.name}\n{node.log_end()}", file=sys.stderr)

    def assert_answer(self, answer, status, code=None):
        self.assertEqual((answer.status, answer.code), (status, code), repr(answer))
        if code is not None:
            self.assertTrue(answer.error["message"].strip(), "an error tells what to do")
        return answer


def covey(*arguments, nodes=(), input=None, timeout=60, env=None):
    """Runs the command line; returns the CompletedProcess with text output."""
    command = [COVEY]
    for node in nodes:
        command += ["--node", node]
    environment = {k: v for k, v in os.environ.items() if k != "COVEY_NODES"}
    environment.update(env or {})
    return subprocess.run(command + list(arguments), input=input, capture_output=True, text=True,
                          timeout=timeout * SLOWNESS, env=environment)


def main():
    if not os.access(COVEYD, os.X_OK):
        sys.exit(f"{COVEYD} is not there: build it, or set COVEYD")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that clean-ups run
    unittest.main(verbosity=2, warnings="ignore")
