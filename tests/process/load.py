"""Writers that keep book: what was acknowledged, and what a read must therefore show."""

import http.client
import itertools
import random
import threading
import time

LOADS = itertools.count()   # of this process
NUMBERS_OF_A_LOAD = 10 ** 9
ENOUGH = 100  # acknowledged writes of a load that something is concluded from


class Writer(threading.Thread):
    """Overwrites keys of its own, one after another, on whichever node answers.

    Each value is a number that grows, also from one load of the same keys to the next. `acknowledged[key]` is the
    number of the last write that was answered with 200, `attempted[key]` that of the last one tried (which may or may
    not have taken effect).
    With `deletes`, one write in so many is a delete.
    """

    def __init__(self, nodes, number, keys=20, level=2, seed=1, deletes=0, count=0):
        super().__init__(daemon=True)
        self.nodes, self.number, self.level = nodes, number, level
        self.keys = [f"w{number}-{i}" for i in range(keys)]
        self.random = random.Random(seed * 1000 + number)
        self.clients = {node.name: node.new_client(5) for node in nodes}
        self.deletes = deletes
        self.acknowledged = {}
        self.attempted = {}
        self.deletes_tried = {}  # key -> numbers of the deletes that were tried
        self.overwritten = {}    # key -> what acknowledged writes have overwritten, and must never be seen again
        self.dots = []       # (dot, key, number) of every acknowledged write
        self.failures = 0
        self.count = count   # number of the last value
        self.stop_asked = False
        self.faults = []

    def run(self):
        while not self.stop_asked:
            self.write_one(self.random.choice(self.nodes), self.random.choice(self.keys))
        for client in self.clients.values():
            client.close()

    def write_one(self, node, key):
        client = self.clients[node.name]
        try:
            read = client.get(key, r=self.level, sloppy=False)
            if read.status not in (200, 300, 404):
                self.failures += 1
                time.sleep(0.01)
                return
            self.check(key, read)
            self.count += 1
            self.attempted[key] = self.count
            options = {"context": read.context, "w": self.level, "sloppy": False}
            if self.deletes and self.random.randrange(self.deletes) == 0:
                self.deletes_tried.setdefault(key, set()).add(self.count)
                answer = client.delete(key, **options)
            else:
                answer = client.put(key, f"{self.count}", **options)
        except (OSError, http.client.HTTPException):
            self.failures += 1
            time.sleep(0.02)
            return
        if answer.status == 200:
            self.acknowledged[key] = self.count
            self.overwritten.setdefault(key, set()).update(int(value) for value in read.values)
            self.dots.append((answer.json["dot"], key, self.count))
        else:
            self.failures += 1

    def check(self, key, read):
        """The last acknowledged write, or a later attempt that overwrote it, must be among what is there.

        An attempt that failed was made with the context of a read, so it may stand beside or instead of it.
        """
        last = self.acknowledged.get(key)
        if last is None:
            return
        returned = self.overwritten[key] & {int(value) for value in read.values}
        if returned:
            self.faults.append(f"{key}: {sorted(returned)} were overwritten, acknowledged by {last}, and {read!r} shows them")
        deleted = any(number >= last for number in self.deletes_tried.get(key, ()))
        if not deleted and not any(int(value) >= last for value in read.values):
            self.faults.append(f"{key}: write {last} was acknowledged and {read!r} does not show it")


class Load:
    """Several writers at once."""

    def __init__(self, nodes, writers=4, level=2, keys=20, deletes=0):
        count = next(LOADS) * NUMBERS_OF_A_LOAD
        self.writers = [Writer(list(nodes), number, keys, level, deletes=deletes, count=count) for number in range(writers)]

    def __enter__(self):
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, problem, *_):
        if not problem:
            self.wait_written()
        self.stop()

    def wait_written(self):
        """Until there is something to be lost: a slow machine takes longer. Not for ever: the verdict tells."""
        end = time.monotonic() + 20
        while self.acknowledged() <= ENOUGH and time.monotonic() < end and any(writer.is_alive() for writer in self.writers):
            time.sleep(0.05)

    def stop(self):
        for writer in self.writers:
            writer.stop_asked = True
        for writer in self.writers:
            writer.join(30)

    def acknowledged(self):
        return sum(len(writer.dots) for writer in self.writers)

    def failures(self):
        return sum(writer.failures for writer in self.writers)

    def faults(self):
        return [fault for writer in self.writers for fault in writer.faults]

    def reused_dots(self, key_partition):
        """Dots are unique within a partition: those that two acknowledged writes were given."""
        seen, reused = {}, []
        for writer in self.writers:
            for dot, key, number in writer.dots:
                name = (key_partition(key), dot)
                if name in seen:
                    reused.append((dot, seen[name], (key, number)))
                seen[name] = (key, number)
        return reused

    def lost(self, client, level):
        """Acknowledged writes that a read does not show."""
        for writer in self.writers:
            for key in writer.keys:
                if key in writer.acknowledged:
                    writer.check(key, client.get(key, r=level))
        return self.faults()


def verdict(case, cluster, load, nodes=None):
    """What must hold when all is over and everybody is back (of the nodes: all). Returns the seconds until they were equal."""
    nodes = list(nodes or cluster)
    cluster.wait_met(nodes)
    seconds = cluster.wait_converged(90, nodes)
    case.assertGreater(load.acknowledged(), ENOUGH, "the load wrote something")
    case.assertEqual(load.faults(), [], "a read during the run was wrong")
    for node in nodes:
        case.assertEqual(load.lost(node.client, 2), [], f"lost or returned, seen from {node.name}")
    partitions = {}

    def partition(key):
        if key not in partitions:
            partitions[key] = nodes[0].client.explain(key)["partition"]
        return partitions[key]
    case.assertEqual(load.reused_dots(partition), [], "a dot was given twice")
    case.assertEqual(cluster.differences(nodes), [])
    for node in nodes:
        case.assertEqual(node.client.metrics()["covey_state_hash_alarms_total"], 0)
    return seconds
