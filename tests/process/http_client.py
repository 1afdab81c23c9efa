"""HTTP as a client of covey speaks it, and the raw sockets of clients that do not."""

import base64
import http.client
import json
import socket
import urllib.parse


class Answer:
    """status, headers (case-insensitive) and body of one answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The error's code; None when this is no error."""
        try:
            return self.json["error"]["code"]
        except (ValueError, KeyError, TypeError):
            return None

    @property
    def error(self):
        return self.json["error"]

    @property
    def context(self):
        return self.headers.get("Covey-Context")

    @property
    def lines(self):
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def values(self):
        """The values of a read, sorted, as text: [] for none, several for siblings."""
        if self.status == 404:
            return []
        if self.status == 200:
            return [self.body.decode("utf-8", "replace")]
        if self.status != 300:
            raise AssertionError(f"no values in {self!r}")
        return sorted(v["value"] if isinstance(v["value"], str) else json.dumps(v["value"])
                      for v in self.json["siblings"])

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Http:
    """One connection to one node, kept alive and made again when it was lost. One thread."""

    def __init__(self, host, port, timeout=15):
        self.host, self.port, self.timeout = host, port, timeout
        self.connection = None

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def call(self, method, path, body=None, headers=None):
        """Raises OSError or http.client.HTTPException when there is no whole answer."""
        fresh = self.connection is None
        try:
            return self._once(method, path, body, headers)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            if fresh or method not in ("GET", "HEAD"):
                raise
            return self._once(method, path, body, headers)
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def _once(self, method, path, body, headers):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.request(method, path, body=body, headers=headers or {})
        answer = self.connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())

    # --- keys ---

    def get(self, key, table="default", headers=None, **options):
        return self.call("GET", kv(table, key, options), headers=headers)

    def put(self, key, value, table="default", context=None, headers=None, **options):
        if isinstance(value, str):
            value = value.encode()
        return self.call("PUT", kv(table, key, options), value, with_context(headers, context))

    def delete(self, key, table="default", context=None, headers=None, **options):
        return self.call("DELETE", kv(table, key, options), None, with_context(headers, context))

    def batch(self, lines, table="default", **options):
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        return self.call("POST", with_query(f"/v1/kv/{table}", options), body,
                         {"Content-Type": "application/x-ndjson"})

    def scan(self, table="default", **options):
        return self.call("GET", with_query(f"/v1/kv/{table}", options))

    # --- the node ---

    def cluster(self):
        return self.call("GET", "/v1/cluster").json

    def explain(self, key, table="default", **options):
        return self.call("GET", with_query(f"/v1/explain/{table}/{quote(key)}", options)).json

    def metrics(self):
        """{'name' or 'name{labels}': value}"""
        out = {}
        for line in self.call("GET", "/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                out[name] = float(value)
        return out


def quote(key):
    return urllib.parse.quote(key if isinstance(key, bytes) else key.encode(), safe="")


def with_query(path, options):
    return path + ("?" + urllib.parse.urlencode(options) if options else "")


def kv(table, key, options):
    for name, value in options.items():
        if isinstance(value, bool):
            options[name] = "true" if value else "false"
    return with_query(f"/v1/kv/{table}/{quote(key)}", options)


def with_context(headers, context):
    headers = dict(headers or {})
    headers.setdefault("Content-Type", "text/plain")
    if context is not None:
        headers["Covey-Context"] = context
    return headers


def unbase64(text):
    return base64.b64decode(text)


def raw(port, data, wait_s=5.0, host="127.0.0.1"):
    """Sends bytes and returns all that comes back until the other end closes or says nothing for wait_s."""
    with socket.create_connection((host, port), timeout=wait_s) as connection:
        connection.settimeout(wait_s)
        out = bytearray()
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it answered and closed before it had read everything
        try:
            while chunk := connection.recv(65536):
                out += chunk
        except (TimeoutError, ConnectionResetError):
            pass
        return bytes(out)
