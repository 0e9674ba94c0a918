"""An engine that is not there: answers the screen for N containers, from a process of its own.

    python bench/fleet.py SOCKET COUNT MODE

MODE is `busy` (every container's figures change once a second), `still` (ticks, but nothing
changes) or `silent` (no ticks). The log of the last container pours out 10 MB a second. What it
says has the shape of our engine's answers; only the numbers are made up.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import sys
import time
from typing import Any

RATE = 10_000_000
TICKS = 120


def summary(number: int, now: float) -> dict[str, Any]:
    """One entry of `/containers/json`."""
    return {
        "Id": f"{number:064x}",
        "Names": [f"/fleet-{number:04}"],
        "Image": f"shop/part{number % 7}:1.{number % 3}",
        "ImageID": f"sha256:{number % 7:064x}",
        "Command": "serve",
        "Created": int(now) - 60 * number - 3 * 86400 - 3600,
        "State": "running",
        "Status": "Up 2 hours",
        "Ports": [{"PrivatePort": 80, "Type": "tcp"}],
        "Labels": {},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "10.0.0.2"}}},
        "Mounts": [],
    }


def sample(number: int, tick: int) -> dict[str, Any]:
    """One container's figures at a tick; none is constant for long."""
    wave = math.sin(number * 1.7 + tick / (3 + number % 5))
    cpu = round(20 + 18 * wave + (tick * 7 + number * 13) % 10, 2)
    return {
        "cpu": cpu,
        "memory": int((40 + number % 50 + 9 * wave) * 1_000_000) + tick * 4096,
        "memory_limit": 512_000_000,
        "rx": tick * 3000 * (number % 9),
        "tx": tick * 2000 * (number % 7),
        "read": 0,
        "write": tick * 100,
        "pids": 3 + number % 4,
    }


class Fleet:
    """Serves it."""

    def __init__(self, count: int, mode: str) -> None:
        self.count, self.mode = count, mode
        self.began = time.time()
        self.forever = asyncio.Event()

    def tick(self) -> int:
        return int(time.time() - self.began) + TICKS if self.mode == "busy" else TICKS

    def answer(self, path: str) -> Any:
        now = time.time()
        if path == "/version":
            return {"Platform": {"Name": "Bayplan"}, "Version": "0.1.0", "Components": []}
        if path == "/info":
            return {"NCPU": 2, "Name": "fleet", "MemTotal": 8 << 30}
        if path == "/containers/json":
            return [summary(number, self.began) for number in range(self.count)]
        if path.startswith("/containers/") and path.endswith("/json"):
            return {"Id": path.split("/")[2], "Config": {"Tty": False}, "State": {"Running": True}}
        if path == "/bay/samples":
            return {"containers": dict(map(self._series, range(self.count)))}
        if path == "/volumes":
            return {"Volumes": []}
        return [] if path.startswith(("/images", "/networks")) else {"time": now}

    def _series(self, number: int) -> tuple[str, dict[str, list[Any]]]:
        samples = [sample(number, tick) for tick in range(TICKS)]
        series: dict[str, Any] = {name: [one[name] for one in samples] for name in samples[0]}
        series["memory_limit"] = samples[0]["memory_limit"]
        series["time"] = [int((self.began - TICKS + n) * 1e9) for n in range(TICKS)]
        return f"{number:064x}", series

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = re.sub(r"^/v1\.\d+", "", head.split(b" ")[1].decode().partition("?")[0])
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            if path == "/events":
                await reader.read()
            elif path == "/bay/samples/stream":
                await self._ticks(writer)
            elif path.endswith("/logs"):
                await self._flood(writer, int(path.split("/")[2], 16))
            else:
                writer.write(json.dumps(self.answer(path)).encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the screen hung up
        finally:
            writer.close()

    async def _ticks(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(1 - time.time() % 1)
            if self.mode == "silent":
                continue
            tick = self.tick()
            figures = {f"{number:064x}": sample(number, tick) for number in range(self.count)}
            line = {"time": int(time.time() * 1e9), "containers": figures}
            writer.write(json.dumps(line).encode() + b"\n")
            await writer.drain()

    async def _flood(self, writer: asyncio.StreamWriter, number: int) -> None:
        """Only the last container pours; the others have said a line."""
        stamp = "2026-01-01T00:00:00.000000000Z "
        text = (
            f"{stamp}GET /a/path/that/is/long 200 13ms and more words to fill the line\n".encode()
        )
        frame = b"\x01\0\0\0" + len(text).to_bytes(4, "big") + text
        if number != self.count - 1:
            writer.write(frame)
            await self.forever.wait()
        block = frame * (RATE // 50 // len(frame))
        began, sent = time.monotonic(), 0
        while True:
            writer.write(block)
            await writer.drain()
            sent += len(block)
            await asyncio.sleep(max(0.0, sent / RATE - (time.monotonic() - began)))


async def main(path: str, count: int, mode: str) -> None:
    """Serve until killed."""
    fleet = Fleet(count, mode)
    server = await asyncio.start_unix_server(fleet.serve, path, limit=1 << 20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
