#!/usr/bin/env python3
"""Damage sets a node's database aside and the process goes on with a new one: what the connections of that time are told."""

import http.client
import socket
import threading
import time

import harness


class Aside(harness.ClusterTest):
    def damage(self, node):
        tables = sorted(node.data_dir.rglob("*.sst"), key=lambda path: path.stat().st_size)
        with open(tables[-1], "r+b") as file:
            file.seek(tables[-1].stat().st_size // 2)
            file.write(b"\xff" * 4096)

    def connect(self, node, port=None):
        client = socket.create_connection(("127.0.0.1", port or node.http_port), timeout=30 * harness.SLOWNESS)
        self.addCleanup(client.close)
        return client

    def test_every_connection_is_answered_or_closed(self):
        cluster = self.make_cluster(3, proxied=True, storage={"cache_mb": 8, "object_cache_mb": 0, "write_buffer_mb": 4})
        for node in cluster:
            node.config["listen"]["resp"] = f"127.0.0.1:{harness.free_port()}"
        cluster.start()
        value = "x" * 1000
        for start in range(0, 8000, 1000):
            lines = [{"key": f"k{i}", "value": value} for i in range(start, start + 1000)]
            self.assertEqual({line["status"] for line in cluster["n1"].client.batch(lines, w=3).lines}, {200})
        cluster.wait_converged()
        node = cluster["n3"]
        resp_port = int(node.config["listen"]["resp"].rsplit(":", 1)[1])
        big = "y" * 900_000
        self.assert_answer(cluster["n1"].client.put("big", big, w=3), 200)

        # Each has something open when the damage is met.
        idle, half, waits, body, deaf = (self.connect(node) for _ in range(5))
        idle.sendall(b"GET /v1/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(b"200 OK", idle.recv(4096))
        half.sendall(b"GET /v1/kv/default/k1 HTTP/1.1\r\nHo")
        body.sendall(b"PUT /v1/kv/default/body HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n12345")
        deaf.sendall(b"GET /v1/kv/default/big?r=1 HTTP/1.1\r\nHost: x\r\n\r\n" * 50)  # and reads none of it
        silent = self.connect(node)
        redis_idle, redis_half = self.connect(node, resp_port), self.connect(node, resp_port)
        redis_idle.sendall(b"PING\r\n")
        self.assertEqual(redis_idle.recv(100), b"+PONG\r\n")
        redis_half.sendall(b"*2\r\n$3\r\nGET\r\n$2\r\nk")
        self.damage(node)
        for i in range(0, 8000, 10):
            try:
                node.client.get(f"k{i}", r=1)
            except OSError:
                node.client.close()
                break
        harness.wait_until(lambda: "storage is damaged" in node.log.read_text(), 20, "the damage to be met")
        # One that waits for an owner that does not answer for as long as a request may take.
        cluster.proxy.part(["n1"], ["n2", "n3"])
        begun = time.monotonic()
        stop, silent_ones = threading.Event(), []

        def knock():
            while not stop.is_set():
                client = node.new_client(10 * harness.SLOWNESS)
                try:
                    client.get("k1", r=1)
                except TimeoutError:
                    silent_ones.append(time.monotonic() - begun)
                except (OSError, http.client.HTTPException):
                    pass
                client.close()
        knocker = threading.Thread(target=knock)
        knocker.start()
        waits.sendall(b"PUT /v1/kv/default/waits?w=3&sloppy=false&timeout_ms=60000 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1")
        harness.wait_until(lambda: (node.data_dir / "db-damaged-1").exists(), 60, "the database to be set aside")
        print(f"    set aside {time.monotonic() - begun:.1f} s after the last request had come")
        cluster.heal()
        node.wait_ready()
        stop.set()
        knocker.join()
        self.assertEqual(silent_ones, [], "a new connection was neither answered nor closed")
        open_ones = {}
        for name, client in (("idle", idle), ("half", half), ("waits", waits), ("body", body), ("deaf", deaf), ("silent", silent),
                             ("redis idle", redis_idle), ("redis half", redis_half)):
            got, client_end = b"", time.monotonic() + 10
            client.settimeout(3)
            try:
                while time.monotonic() < client_end:
                    piece = client.recv(1 << 20)
                    if not piece:
                        break
                    got += piece
                else:
                    open_ones[name] = "goes on"
            except ConnectionResetError:
                pass
            except socket.timeout:
                open_ones[name] = "is open and silent"
            print(f"    {name}: {got[:60]!r} ({len(got)} bytes)")
        self.assertEqual(open_ones, {})
        cluster.wait_met()
        cluster.wait_filled(60)
        cluster.wait_converged(60)


if __name__ == "__main__":
    harness.main()
