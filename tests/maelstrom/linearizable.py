"""Whether a history of reads and writes of one register is linearizable.

The search is Wing and Gong's ("Testing and verifying concurrent objects", JPDC 1993) with Lowe's memory of configurations
that were seen ("Testing for linearizability", 2017). No code of others is in it.
"""

import dataclasses

NEVER = float("inf")


@dataclasses.dataclass
class Op:
    """Of a register. `call` and `end` are places in the order of all events; `end` is NEVER if it is not known whether
    it took place. Values of writes are unique; what was there first is None."""
    kind: str  # read or write
    value: object
    call: int
    end: float
    who: str = ""

    def __str__(self):
        end = "?" if self.end == NEVER else self.end
        return f"[{self.call}, {end}] {self.who} {self.kind} {self.value}"


def relevant(ops):
    """Without those that cannot matter: reads without an answer, and writes without one that nobody has read."""
    seen = {op.value for op in ops if op.kind == "read" and op.end != NEVER}
    return [op for op in ops if op.end != NEVER or (op.kind == "write" and op.value in seen)]


class _Event:
    __slots__ = ("op", "bit", "is_call", "match", "prev", "next")

    def __init__(self, op, bit, is_call):
        self.op, self.bit, self.is_call = op, bit, is_call
        self.match = self.prev = self.next = None


def _linked(ops):
    """The list of all calls and ends in order, behind a head. Ends that are not known come last."""
    events = []
    for i, op in enumerate(ops):
        call, end = _Event(op, 1 << i, True), _Event(op, 1 << i, False)
        call.match = end
        events += [(op.call, call), (op.end, end)]
    events.sort(key=lambda event: event[0])
    head = last = _Event(None, 0, False)
    for _, event in events:
        last.next, event.prev = event, last
        last = event
    return head


def _lift(call):
    for event in (call, call.match):
        event.prev.next = event.next
        if event.next is not None:
            event.next.prev = event.prev


def _unlift(call):
    for event in (call.match, call):
        event.prev.next = event
        if event.next is not None:
            event.next.prev = event


def is_linearizable(ops):
    head = _linked(relevant(ops))
    state, done = None, 0
    seen = {(done, state)}
    stack = []  # (event, the state before it, whether it was the only choice)
    event = head.next
    while event is not None and (event.is_call or event.op.end != NEVER):
        if event.is_call:
            reads = event.op.kind == "read"
            possible = not reads or event.op.value == state
            after = (done | event.bit, state if reads else event.op.value)
            if possible and after not in seen:
                seen.add(after)
                # A read of what is there can as well come now.
                stack.append((event, state, reads))
                done, state = after
                _lift(event)
                event = head.next
            else:
                event = event.next
            continue
        # This one has ended and could not be placed before its end: back to where there was a choice.
        while True:
            if not stack:
                return False
            event, state, only = stack.pop()
            done ^= event.bit
            _unlift(event)
            if not only:
                break
        event = event.next
    return True


def cut_at(ops, moment):
    """The history as it was known at that moment."""
    known = [op for op in ops if op.call <= moment]
    return [op if op.end <= moment else dataclasses.replace(op, end=NEVER) for op in known]


def explain(ops):
    """None, or the shortest beginning of the history that is not linearizable, as text."""
    if is_linearizable(ops):
        return None
    moments = sorted(op.end for op in ops if op.end != NEVER)
    low, high = 0, len(moments) - 1
    while low < high:
        middle = (low + high) // 2
        if is_linearizable(cut_at(ops, moments[middle])):
            low = middle + 1
        else:
            high = middle
    shortest = relevant(cut_at(ops, moments[low]))
    lines = [str(op) for op in sorted(shortest, key=lambda op: op.call)]
    return "not linearizable:\n  " + "\n  ".join(lines[-20:])
