"""Directed links between nodes that a test can cut, delay and heal.

Each node is told to others by the address of a port here. The first frame on a connection names the node that dialed,
so every connection belongs to one directed link (dialer, acceptor); messages flow from the dialer to the acceptor.
A cut link is a black hole: its bytes stop in both directions, nobody is told, and new connections are answered by
silence. Once healed, what was under way arrives, as it would after TCP's retransmissions. A delayed link holds every
piece back for a while.

    link_proxy.py NODE=PORT:PEERPORT...    serves until standard input ends; lines there: "cut NODE", "heal"
"""

import collections
import json
import selectors
import socket
import sys
import threading
import time

FRAME_HEADER_BYTES = 12
PIECE_BYTES = 256 * 1024
HELD_BYTES_MAX = 4 * 1024 * 1024  # then the reading side is left to wait, as by a full window


class Pipe:
    """Bytes on their way through one direction of a connection."""

    def __init__(self):
        self.pieces = collections.deque()  # (time from which it may go on, bytes)
        self.size = 0
        self.ended = False  # the source has closed

    def add(self, data, due):
        self.pieces.append((due, data))
        self.size += len(data)


class Connection:
    def __init__(self, accepted, dialed, target):
        self.sides = {"dialer": accepted, "acceptor": dialed}
        self.pipes = {"dialer": Pipe(), "acceptor": Pipe()}  # by the side whose bytes they carry
        self.target = target
        self.source = None
        self.first = b""  # bytes of the dialer until its name is known

    def learn_source(self, data):
        """Collects the first frame; True once the dialer's name is known (or never will be)."""
        self.first += data
        if len(self.first) < FRAME_HEADER_BYTES:
            return False
        length = int.from_bytes(self.first[:4], "little")
        if length < 16 * 1024 and len(self.first) < FRAME_HEADER_BYTES + length:
            return False
        try:
            self.source = json.loads(self.first[FRAME_HEADER_BYTES:FRAME_HEADER_BYTES + length])["node"]
        except (ValueError, KeyError, TypeError):
            self.source = "?"
        return True


class LinkProxy:
    """All links of a cluster, served by one thread. Its methods may be called from any thread."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.lock = threading.Lock()
        self.cut_links = set()
        self.delays_s = {}
        self.bytes = collections.Counter()  # by (source, target), of the dialer's messages
        self.connections = set()
        self.lost = set()
        self.listeners = []
        self.stopping = False
        self.wake_in, self.wake_out = socket.socketpair()
        self.selector.register(self.wake_in, selectors.EVENT_READ, ("wake", None))
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def add_node(self, name, target_port, port=0):
        """A port (chosen by the system if 0) that leads to the node's real peer port."""
        listener = socket.create_server(("127.0.0.1", port), backlog=64)
        listener.setblocking(False)
        with self.lock:
            self.listeners.append(listener)
            self.selector.register(listener, selectors.EVENT_READ, ("accept", (name, target_port)))
        self._wake()
        return listener.getsockname()[1]

    # --- what a test does ---

    def cut(self, source, target):
        with self.lock:
            self.cut_links.add((source, target))

    def heal(self, source, target):
        with self.lock:
            self.cut_links.discard((source, target))
        self._wake()

    def part(self, *sides):
        """Cuts every link between nodes of different sides (lists of names), both ways."""
        for one in sides:
            for other in sides:
                if one is not other:
                    for a in one:
                        for b in other:
                            self.cut(a, b)

    def heal_all(self, lost=False):
        """lost: the cut lasted longer than TCP's patience, so the connections that it held are gone."""
        with self.lock:
            if lost:
                for connection in [c for c in self.connections if self._is_cut(c)]:
                    self.lost.add(connection)
            self.cut_links.clear()
            self.delays_s.clear()
        self._wake()

    def delay(self, source, target, seconds):
        with self.lock:
            self.delays_s[(source, target)] = seconds

    def stop(self):
        self.stopping = True
        self._wake()
        self.thread.join(5)

    # --- its thread ---

    def _wake(self):
        try:
            self.wake_out.send(b".")
        except OSError:
            pass

    def _run(self):
        while not self.stopping:
            for key, _ in self.selector.select(0.02):
                kind, what = key.data
                if kind == "wake":
                    self.wake_in.recv(4096)
                elif kind == "accept":
                    self._accept(key.fileobj, *what)
                else:
                    self._read(*what)
            with self.lock:
                for connection in list(self.connections):
                    self._move(connection)
        for connection in list(self.connections):
            self._close(connection)
        for listener in self.listeners:
            listener.close()

    def _accept(self, listener, name, target_port):
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        dialed = socket.socket()
        try:
            dialed.connect(("127.0.0.1", target_port))
        except OSError:
            dialed.close()
            accepted.close()
            return
        connection = Connection(accepted, dialed, name)
        for side, one in connection.sides.items():
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.setblocking(False)
            self.selector.register(one, selectors.EVENT_READ, ("read", (connection, side)))
        self.connections.add(connection)

    def _is_cut(self, connection):
        return connection.source is None or (connection.source, connection.target) in self.cut_links

    def _read(self, connection, side):
        pipe = connection.pipes[side]
        if connection not in self.connections or pipe.ended:
            return
        try:
            data = connection.sides[side].recv(PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            pipe.ended = True
            self._watch(connection, side, False)
            return
        if side == "dialer" and connection.source is None:
            if not connection.learn_source(data):
                return
            data = connection.first
        due = time.monotonic() + self.delays_s.get((connection.source, connection.target), 0)
        pipe.add(data, due)
        if side == "dialer":
            self.bytes[(connection.source, connection.target)] += len(data)
        if pipe.size >= HELD_BYTES_MAX:
            self._watch(connection, side, False)

    def _watch(self, connection, side, wanted):
        one = connection.sides[side]
        known = one.fileno() >= 0 and one.fileno() in self.selector.get_map()
        if wanted and not known:
            self.selector.register(one, selectors.EVENT_READ, ("read", (connection, side)))
        elif not wanted and known:
            self.selector.unregister(one)

    def _move(self, connection):
        """Sends on what is due. Ends are passed on only over links that are not cut."""
        if connection in self.lost:
            return self._close(connection)
        if self._is_cut(connection) and not (connection.source is None and connection.pipes["dialer"].ended):
            return
        now = time.monotonic()
        for side, other in (("dialer", "acceptor"), ("acceptor", "dialer")):
            pipe = connection.pipes[side]
            while pipe.pieces and pipe.pieces[0][0] <= now:
                due, data = pipe.pieces.popleft()
                try:
                    sent = connection.sides[other].send(data)
                except BlockingIOError:
                    sent = 0
                except OSError:
                    return self._close(connection)
                pipe.size -= sent
                if sent < len(data):
                    pipe.pieces.appendleft((due, data[sent:]))
                    break
            if not pipe.ended and pipe.size < HELD_BYTES_MAX:
                self._watch(connection, side, True)
            if pipe.ended and not pipe.pieces:
                return self._close(connection)

    def _close(self, connection):
        self.connections.discard(connection)
        self.lost.discard(connection)
        for side, one in connection.sides.items():
            if one.fileno() >= 0:
                self._watch(connection, side, False)
            one.close()


def main():
    proxy = LinkProxy()
    names = []
    for word in sys.argv[1:]:
        name, ports = word.split("=")
        port, target = ports.split(":")
        proxy.add_node(name, int(target), int(port))
        names.append(name)
    print("ready", flush=True)
    for line in sys.stdin:
        words = line.split()
        if words == ["heal"]:
            proxy.heal_all()
        elif len(words) == 2 and words[0] == "cut" and words[1] in names:
            proxy.part([words[1]], [name for name in names if name != words[1]])
        else:
            sys.exit(f"link_proxy: {line.strip()!r} is not understood")
        print("done", flush=True)
    proxy.stop()


if __name__ == "__main__":
    main()
