"""What the network benchmark runs in namespaces: an echo server, its client, a DNS client.

`python bench/wire.py echo PORT`, `… rtt HOST PORT`, `… dns NAME SECONDS`; results are JSON lines.
"""

from __future__ import annotations

import json
import socket
import statistics
import struct
import sys
import time

# Queries under way at once: as many as a busy service of one container has.
WINDOW = 16


def echo(port: int) -> None:
    """Answer each byte, one connection after the other, for ever."""
    with socket.create_server(("0.0.0.0", port)) as server:
        print("up", flush=True)
        while True:
            client, _ = server.accept()
            with client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while data := client.recv(64):
                    client.sendall(data)


def rtt(host: str, port: int) -> dict[str, float]:
    """Microseconds: one byte there and back, and a connection with its first byte (medians)."""
    turns, connects = [], []
    with socket.create_connection((host, port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2000):
            begun = time.perf_counter()
            client.sendall(b"a")
            client.recv(1)
            turns.append(time.perf_counter() - begun)
    for _ in range(200):
        begun = time.perf_counter()
        with socket.create_connection((host, port)) as client:
            client.sendall(b"a")
            client.recv(1)
        connects.append(time.perf_counter() - begun)
    return {"rtt": statistics.median(turns) * 1e6, "connect": statistics.median(connects) * 1e6}


def dns(name: str, seconds: float) -> dict[str, float]:
    """Queries a second for an A record of 127.0.0.11, and the median microseconds of a lone one."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    question = labels + b"\0" + struct.pack("!2H", 1, 1)

    def query(key: int) -> bytes:
        return struct.pack("!6H", key, 0x0100, 1, 0, 0, 0) + question

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.11", 53))
        client.settimeout(5)
        alone = []
        for key in range(500):
            begun = time.perf_counter()
            client.send(query(key))
            reply = client.recv(512)
            alone.append(time.perf_counter() - begun)
            assert struct.unpack_from("!H", reply, 6)[0] == 1, "no answer"
        for key in range(WINDOW):
            client.send(query(key))
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            client.recv(512)
            count += 1
            client.send(query(count & 0xFFFF))
    return {"qps": count / seconds, "alone": statistics.median(alone) * 1e6}


if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    if verb == "echo":
        echo(int(words[0]))
    elif verb == "rtt":
        print(json.dumps(rtt(words[0], int(words[1]))))
    else:
        print(json.dumps(dns(words[0], float(words[1]))))
