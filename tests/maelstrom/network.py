"""Nodes as processes that speak JSON lines, and the network between them, as Maelstrom has it: messages between nodes
can be late, lost or repeated, and partitions drop them; those of clients arrive at once.

Everything happens in one thread: step() waits for the next thing that is due, or that a node says.
"""

import ctypes
import dataclasses
import heapq
import itertools
import json
import os
import random
import selectors
import signal
import subprocess
import sys
import tempfile
import time


OWN_CLIENT = "c0"  # for what has to be answered; all that others are answered may be lost


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@dataclasses.dataclass
class Faults:
    """Of messages between nodes, in seconds and parts of one; and of answers to clients."""
    delay_min_s: float = 0.0
    delay_max_s: float = 0.003
    loss: float = 0.0
    repeat: float = 0.0
    answer_loss: float = 0.0


class Process:
    def __init__(self, name, command, log):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                        preexec_fn=die_with_parent)
        os.set_blocking(self.process.stdin.fileno(), False)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.unsent = bytearray()
        self.unread = bytearray()

    def flush(self):
        while self.unsent:
            try:
                written = os.write(self.process.stdin.fileno(), self.unsent)
            except BlockingIOError:
                return
            except BrokenPipeError:
                self.unsent.clear()
                return
            del self.unsent[:written]

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Network:
    """REQUIRES: close() at the end. `command(name)` is what runs a node."""

    def __init__(self, names, command, seed, faults=None):
        self.names, self.command = list(names), command
        self.faults = faults or Faults()
        self.random = random.Random(f"network {seed}")
        self.cut = set()  # (from, to)
        self.clients = {}  # name -> called with the body of each message to it
        self.processes = {}
        self.under_way = 0  # messages between nodes
        self.counts = {"between nodes": 0, "lost": 0, "cut": 0, "repeated": 0, "answers lost": 0}
        self._selector = selectors.DefaultSelector()
        self._due = []
        self._order = itertools.count()
        self._msg_ids = itertools.count(1)
        self.log = tempfile.TemporaryFile()

    # Time

    def at(self, delay_s, action):
        heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._order), action))

    def step(self, limit_s=0.05):
        wait = min(limit_s, max(0.0, self._due[0][0] - time.monotonic())) if self._due else limit_s
        for key, _ in self._selector.select(wait):
            self._read(key.data)
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()
        for process in self.processes.values():
            process.flush()

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step(end - time.monotonic())

    def lose_what_is_under_way(self):
        """REQUIRES: what is to be lost is cut."""
        assert self.run_until(lambda: self.under_way == 0, 60), "there is always something under way"

    def run_until(self, condition, limit_s):
        """Whether the condition came true."""
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() >= end:
                return False
            self.step()
        return True

    # Nodes

    def start(self, name):
        process = Process(name, self.command(name), self.log)
        self.processes[name] = process
        self._selector.register(process.process.stdout, selectors.EVENT_READ, process)

    def kill(self, name):
        process = self.processes.pop(name)
        self._selector.unregister(process.process.stdout)
        process.end()

    def start_all(self, limit_s=60):
        for name in self.names:
            self.start(name)
        self.init(self.names, limit_s)

    def init(self, names, limit_s=60):
        answers = [self.request(OWN_CLIENT, name, {"type": "init", "node_id": name, "node_ids": self.names}) for name in names]
        assert self.run_until(lambda: all(answers), limit_s), "not all nodes have answered 'init'"
        for answer in answers:
            assert answer[0]["type"] == "init_ok", answer[0]

    def close(self):
        for name in list(self.processes):
            self.kill(name)
        self._selector.close()
        self.log.close()

    def log_text(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def print_log(self):
        print(self.log_text()[-4000:], file=sys.stderr)

    # Messages

    def request(self, client, node, body):
        """Sends it with a new msg_id. The list that is returned gets the answer's body, once it is there."""
        msg_id = next(self._msg_ids)
        answer = []
        waiting = self.clients.setdefault(client, {})
        waiting[msg_id] = answer
        self._deliver(client, node, {**body, "msg_id": msg_id})
        return answer

    def ask(self, node, body, limit_s=30, client=OWN_CLIENT):
        """Sends it and waits for the answer."""
        answer = self.request(client, node, body)
        assert self.run_until(lambda: answer, limit_s), f"{node} does not answer {body}"
        return answer[0]

    def send_line(self, node, line):
        self.processes[node].unsent += line

    def isolate(self, group):
        """No message passes between the nodes of the group and the others."""
        others = set(self.names) - set(group)
        self.cut |= {pair for a in group for b in others for pair in ((a, b), (b, a))}

    def heal(self):
        self.cut.clear()

    def _read(self, process):
        try:
            data = os.read(process.process.stdout.fileno(), 1 << 20)
        except BlockingIOError:
            return
        if not data:
            raise AssertionError(f"{process.name} has ended: {process.process.wait()}: {self.log_text()[-2000:]}")
        process.unread += data
        *lines, process.unread = process.unread.split(b"\n")
        for line in lines:
            self._route(process.name, line)

    def _route(self, name, line):
        message = json.loads(line)
        assert message["src"] == name, message
        to, body = message["dest"], message["body"]
        if to in self.names:
            self._between_nodes(name, to, body)
            return
        answer = self.clients[to].pop(body["in_reply_to"])  # each request is answered once
        if to != OWN_CLIENT and self.random.random() < self.faults.answer_loss:
            self.counts["answers lost"] += 1
        else:
            answer.append(body)

    def _between_nodes(self, src, to, body):
        self.counts["between nodes"] += 1
        if self.random.random() < self.faults.loss:
            self.counts["lost"] += 1
            return
        copies = 1
        if self.random.random() < self.faults.repeat:
            self.counts["repeated"] += 1
            copies = 2
        for _ in range(copies):
            self.under_way += 1
            delay = self.random.uniform(self.faults.delay_min_s, self.faults.delay_max_s)
            self.at(delay, lambda: self._arrive(src, to, body))

    def _arrive(self, src, to, body):
        self.under_way -= 1
        if (src, to) in self.cut:
            self.counts["cut"] += 1
        else:
            self._deliver(src, to, body)

    def _deliver(self, src, to, body):
        if to not in self.processes:
            return
        self.processes[to].unsent += json.dumps({"src": src, "dest": to, "body": body}).encode() + b"\n"
        self.processes[to].flush()
