"""A Redis client that shows the bytes of its answers."""

import socket


def encode(*words):
    parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


class Resp:
    def __init__(self, port, timeout=15):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def frame(self):
        """The bytes of one answer; EOFError when the other side has ended."""
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(line)
        kind, rest = line[:1], line[1:-2]
        if kind in b"$=" and int(rest) >= 0:
            return line + self.file.read(int(rest) + 2)
        count = int(rest) * (2 if kind == b"%" else 1) if kind in b"*%~>" else 0
        return line + b"".join(self.frame() for _ in range(count))

    def raw(self, *words):
        self.send(encode(*words))
        return self.frame()

    def __call__(self, *words):
        """The answer's value: bytes, int, None, list, dict; an error is a str, which begins with '-'."""
        self.send(encode(*words))
        return self.value()

    def value(self):
        return parse(self.frame())[0]

    def ended(self):
        """Whether nothing more comes and the other side has ended."""
        return self.file.read(1) == b""

    def close(self):
        self.file.close()
        self.socket.close()


def parse(data):
    """(value, rest)"""
    line, rest = data.split(b"\r\n", 1)
    kind, text = line[:1], line[1:]
    if kind == b"+":
        return text, rest
    if kind == b"-":
        return "-" + text.decode(), rest
    if kind == b":":
        return int(text), rest
    if kind == b"_" or int(text) < 0:
        return None, rest
    if kind in b"$=":
        size = int(text)
        return rest[4 if kind == b"=" else 0:size], rest[size + 2:]
    items = []
    for _ in range(int(text) * (2 if kind == b"%" else 1)):
        item, rest = parse(rest)
        items.append(item)
    return (dict(zip(items[::2], items[1::2])) if kind == b"%" else items), rest
