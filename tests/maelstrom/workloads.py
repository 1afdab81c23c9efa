"""Maelstrom's workloads as our own driver plays them: what clients ask, and whether the answers are right.

A client asks one thing after the other of its node. What it is not answered in time, or with an indefinite error, may
have taken place or not.
"""

import collections
import dataclasses
import json

import linearizable
from linearizable import NEVER

DEFINITE = {1, 10, 11, 12, 14, 20, 21, 22, 30}  # numbers of errors after which nothing was done
CLIENT_TIMEOUT_S = 1.5  # a node gives up after 0.9 s
PAUSE_S = 0.02
CONVERGED_LIMIT_S = 60


@dataclasses.dataclass
class Done:
    """A request and what came of it."""
    node: str
    body: dict
    call: int
    end: float = NEVER
    answer: dict = None
    outcome: str = "unknown"  # ok, refused (definite), unknown

    @property
    def kind(self):
        return self.body["type"]


class Workload:
    """What all have in common. `history` has every request in the order of calls; `events` counts calls and ends."""
    name = ""
    final = {"type": "read"}

    def __init__(self, network, rng):
        self.network, self.rng = network, rng
        self.history = []
        self.events = 0
        self.next_value = 0
        self.errors = collections.Counter()

    def next_body(self):
        raise NotImplementedError

    def wrong_at_last(self, finals):
        """Texts of what is not right, or not yet. `finals`: {node: the answer to its last read}"""
        return []

    def wrong_at_all(self):
        """The same of the history."""
        return []

    def start(self):
        pass

    def moment(self):
        self.events += 1
        return self.events

    def fresh(self):
        self.next_value += 1
        return self.next_value

    def play(self, seconds, clients_per_node=2):
        self.playing = True
        self.busy = 0
        for node in self.network.names:
            for i in range(clients_per_node):
                self._next(f"c-{node}-{i}", node)
        self.network.run(seconds)
        self.playing = False
        assert self.network.run_until(lambda: self.busy == 0, 60)

    def _next(self, client, node):
        if not self.playing or node not in self.network.processes:
            return
        done = Done(node, self.next_body(), self.moment())
        self.history.append(done)
        answer = self.network.request(client, node, done.body)
        self.busy += 1
        self._await(client, done, answer, self._deadline())

    def _deadline(self):
        state = {"over": False}
        self.network.at(CLIENT_TIMEOUT_S, lambda: state.update(over=True))
        return state

    def _await(self, client, done, answer, deadline):
        if not answer and not deadline["over"]:
            self.network.at(0.001, lambda: self._await(client, done, answer, deadline))
            return
        self.busy -= 1
        if answer:
            self.ended(done, answer[0])
        else:
            self.errors["no answer"] += 1
        self.network.at(self.rng.uniform(0, 2 * PAUSE_S), lambda: self._next(client, done.node))

    def ended(self, done, answer):
        done.answer = answer
        if answer["type"] != "error":
            assert answer["type"] == done.kind + "_ok", (done, answer)
            done.outcome, done.end = "ok", self.moment()
            return
        self.errors[answer["code"]] += 1
        if answer["code"] in DEFINITE:
            done.outcome, done.end = "refused", self.moment()

    def of(self, kind, *outcomes):
        return [done for done in self.history if done.kind == kind and done.outcome in outcomes]

    def finish(self, limit_s=CONVERGED_LIMIT_S):
        """Reads from all nodes until nothing is wrong or the time is over; what is wrong then."""
        found = None

        def right():
            nonlocal found
            found = self.wrong_now()
            if found:
                self.network.run(0.1)
            return not found
        self.network.run_until(right, limit_s)
        return found + self.wrong_at_all()

    def wrong_now(self):
        reads = [self.once(node, self.final) for node in self.network.names]
        refused = [f"{done.node} answers {done.answer}" for done in reads if done.outcome != "ok"]
        return refused or self.wrong_at_last({done.node: done.answer for done in reads})

    def problems(self):
        return self.wrong_now() + self.wrong_at_all()

    def once(self, node, body):
        """Asks, waits, and keeps it in the history."""
        done = Done(node, body, self.moment())
        self.history.append(done)
        self.ended(done, self.network.ask(node, body))
        return done

    def until_done(self, node, body, limit_s=60):
        """Again and again, until it is answered."""
        done = []
        assert self.network.run_until(lambda: done.append(self.once(node, body)) or done[-1].outcome == "ok", limit_s), done[-1]
        return done[-1]

    def figures(self):
        outcomes = collections.Counter(done.outcome for done in self.history)
        return {"requests": len(self.history), **outcomes, "errors": dict(self.errors)}


class Echo(Workload):
    name = "echo"
    final = {"type": "echo", "echo": "last"}

    def next_body(self):
        payload = self.rng.choice([None, True, -7, 0.25, "é\n\"x\"", [], [1, [2, {"a": None}]], {"k": "v"}])
        return {"type": "echo", "echo": [payload, self.fresh()]}

    def wrong_at_all(self):
        return [f"{done.body} was answered {done.answer}" for done in self.history
                if done.answer and done.answer.get("echo") != done.body["echo"]]


class Set(Workload):
    """Broadcast and g-set: what was acknowledged is in the end at every node, and no node forgets."""

    def __init__(self, network, rng, add, element, elements):
        super().__init__(network, rng)
        self.add, self.element, self.elements = add, element, elements

    def next_body(self):
        if self.rng.random() < 0.3:
            return {"type": "read"}
        value = self.fresh()
        return {"type": self.add, self.element: value if value % 5 else [str(value), {"n": value}]}

    def key(self, value):
        return json.dumps(value, sort_keys=True)

    def read(self, answer):
        keys = [self.key(value) for value in answer[self.elements]]
        assert len(keys) == len(set(keys)), f"an element twice: {answer}"
        return set(keys)

    def tried(self):
        return {self.key(done.body[self.element]) for done in self.history if done.kind == self.add}

    def wrong_at_last(self, finals):
        acknowledged = {self.key(done.body[self.element]) for done in self.of(self.add, "ok")}
        found = []
        for node, answer in finals.items():
            lacking = acknowledged - self.read(answer)
            if lacking:
                found.append(f"{node} lacks {sorted(lacking)[:5]} ({len(lacking)} in all)")
        return found

    def wrong_at_all(self):
        found, tried = [], self.tried()
        for node in self.network.names:
            before, before_end = set(), 0
            for done in sorted((done for done in self.of("read", "ok") if done.node == node), key=lambda done: done.end):
                elements = self.read(done.answer)
                gone = before - elements
                if gone and before_end < done.call:
                    found.append(f"{node} has forgotten {sorted(gone)[:5]}")
                strange = elements - tried
                if strange:
                    found.append(f"{node} has {sorted(strange)[:5]}, and nobody has sent them")
                before, before_end = elements, done.end
        return found


class Broadcast(Set):
    name = "broadcast"

    def __init__(self, network, rng):
        super().__init__(network, rng, "broadcast", "message", "messages")

    def start(self):
        names = self.network.names
        for node in names:
            answer = self.network.ask(node, {"type": "topology", "topology": {name: names for name in names}})
            assert answer["type"] == "topology_ok", answer


class GSet(Set):
    name = "g-set"

    def __init__(self, network, rng):
        super().__init__(network, rng, "add", "element", "value")


class Counter(Workload):
    """All nodes read the same in the end: all that was acknowledged, and of what is unknown any part."""
    name = "pn-counter"
    deltas = (-5, 5)

    def next_body(self):
        if self.rng.random() < 0.3:
            return {"type": "read"}
        return {"type": "add", "delta": self.rng.randint(*self.deltas)}

    def acceptable(self):
        sums = {sum(done.body["delta"] for done in self.of("add", "ok"))}
        for done in self.of("add", "unknown"):
            sums |= {value + done.body["delta"] for value in sums}
        return sums

    def wrong_at_last(self, finals):
        values = {node: answer["value"] for node, answer in finals.items()}
        acceptable = self.acceptable()
        found = [] if len(set(values.values())) == 1 else [f"nodes differ: {values}"]
        if not set(values.values()) <= acceptable:
            bounds = f"{min(acceptable)} to {max(acceptable)}"
            found.append(f"read {values}; acknowledged and possible sums are {len(acceptable)} values from {bounds}")
        return found

    def wrong_at_all(self):
        deltas = [done.body["delta"] for done in self.history if done.kind == "add" and done.outcome != "refused"]
        low, high = (sum(d for d in deltas if d * sign > 0) for sign in (-1, 1))
        return [f"{done.node} has read {done.answer['value']}, beyond {low} to {high}"
                for done in self.of("read", "ok") if not low <= done.answer["value"] <= high]


class GCounter(Counter):
    name = "g-counter"
    deltas = (0, 9)


class LinKv(Workload):
    """Registers: every key's reads and writes are linearizable."""
    name = "lin-kv"
    keys = 4

    def next_body(self):
        key = self.rng.randrange(self.keys)
        dice = self.rng.random()
        if dice < 0.05:
            return {"type": "cas", "key": key, "from": 1, "to": 2}
        if dice < 0.5:
            return {"type": "write", "key": key, "value": self.fresh()}
        return {"type": "read", "key": key}

    def ended(self, done, answer):
        super().ended(done, answer)
        if done.kind == "cas":
            assert answer["type"] == "error" and answer["code"] == 10, answer
        if done.kind == "read" and answer.get("code") == 20:
            done.outcome, done.answer = "ok", {"value": None}

    def ops(self, key):
        return [linearizable.Op(done.kind, done.answer["value"] if done.outcome == "ok" and done.kind == "read"
                                else done.body.get("value"), done.call, done.end, done.node)
                for done in self.history
                if done.kind in ("read", "write") and done.body["key"] == key and done.outcome != "refused"]

    def wrong_at_all(self):
        found = []
        for key in sorted({done.body["key"] for done in self.history}):
            problem = linearizable.explain(self.ops(key))
            if problem:
                found.append(f"key {key}: {problem}")
        return found

    def finish(self, limit_s=CONVERGED_LIMIT_S):
        """Also a read of every key at every node, which has to be answered by then."""
        for node in self.network.names:
            for key in range(self.keys):
                self.until_done(node, {"type": "read", "key": key}, limit_s)
        return self.wrong_at_all()


WORKLOADS = {kind.name: kind for kind in (Echo, Broadcast, GSet, GCounter, Counter, LinKv)}
