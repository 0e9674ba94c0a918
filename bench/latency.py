"""From a command to the end of its container: `run --rm IMAGE true`, ours and others, interleaved.

One round runs every subject once, so that a busy moment of the machine hits all of them. What is
printed are medians and their ratio to docker's: only ratios travel between machines.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import peers
from support.engine import BAY, EngineProcess
from support.http import UnixConnection
from support.images import busybox
from support.registry import Registry

NETWORKS = ("none", "bridge")
Subject = Callable[[], None]


class Ours(peers.Peer):
    """Our engine on roots of its own, with the image pulled from a local registry."""

    name = "bay"

    def __init__(self) -> None:
        super().__init__()
        self.engine = EngineProcess()
        self.engine.start()
        registry = Registry()
        try:
            self.image = registry.push(busybox(), "bench/busybox")
            self.engine.pull(self.image)
        finally:
            registry.stop()

    def cli(self) -> list[str]:
        return [str(BAY), "-H", self.engine.host]

    @property
    def state(self) -> Path:
        return self.engine.folder

    def run(self, network: str) -> list[str]:
        return [*self.cli(), "run", "--rm", "--network", network, self.image, "true"]

    def close(self) -> None:
        self.engine.purge()
        super().close()


def by_command(argv: list[str]) -> Subject:
    """The whole command, as a user has it."""

    def once() -> None:
        done = subprocess.run(argv, capture_output=True, env=peers.ENVIRONMENT, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{argv}: {done.returncode} {done.stderr.decode()}")

    return once


def by_api(socket: Path, image: str, network: str) -> Subject:
    """The engine's part: create, start and wait over one kept connection; removal not counted."""
    connection = UnixConnection(socket)

    def ask(method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        data = json.dumps(body) if body is not None else None
        connection.request(method, path, data, headers)
        answer: http.client.HTTPResponse = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text) if text.strip() else None

    wanted = {"Image": image, "Cmd": ["true"], "HostConfig": {"NetworkMode": network}}
    made: list[str] = []

    def once() -> None:
        identifier = ask("POST", "/containers/create", wanted)["Id"]
        made.append(identifier)
        ask("POST", f"/containers/{identifier}/start")
        ask("POST", f"/containers/{identifier}/wait")

    def clean() -> None:
        while made:
            ask("DELETE", f"/containers/{made.pop()}?force=1")

    once.clean = clean  # type: ignore[attr-defined] # measure() calls it outside the clock
    return once


def measure(subjects: dict[str, Subject], rounds: int) -> dict[str, list[float]]:
    """Seconds per subject and round; one round before them warms caches and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name, subject in subjects.items():
            start = time.perf_counter()
            subject()
            taken = time.perf_counter() - start
            if number:
                times[name].append(taken)
            getattr(subject, "clean", lambda: None)()
    return times


def table(times: dict[str, list[float]], reference: dict[str, str]) -> str:
    """A Markdown table of medians, tenth percentiles and ratios to the subject named for each."""
    lines = ["| | median ms | p10 ms | of docker |", "|---|---|---|---|"]
    for name, taken in times.items():
        ordered = sorted(taken)
        median, low = statistics.median(ordered), ordered[len(ordered) // 10]
        against = times.get(reference.get(name, ""))
        ratio = f"{median / statistics.median(against):.2f}" if against else "–"
        lines.append(f"| {name} | {median * 1000:.0f} | {low * 1000:.0f} | {ratio} |")
    return "\n".join(lines)


def main() -> None:
    """Set up what works here, measure, print, and take everything away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, help="also write every time, in seconds, to this file")
    options = parser.parse_args()
    subjects: dict[str, Subject] = {}
    reference: dict[str, str] = {}
    with ExitStack() as stack:
        engines: list[peers.Peer] = []
        wanted = [Ours, peers.Docker, peers.Podman]
        for make in [*wanted, lambda: peers.Bare("crun"), lambda: peers.Bare("runc")]:
            try:
                engine = make()
            except (RuntimeError, AssertionError, FileNotFoundError) as error:
                if make is Ours:
                    raise
                print(f"left out: {error}", file=sys.stderr)
                continue
            stack.callback(engine.close)
            engines.append(engine)
        for network in NETWORKS:
            for engine in engines:
                if isinstance(engine, peers.Bare) and network != "none":
                    continue
                bare = isinstance(engine, peers.Bare)
                name = f"{engine.name} alone" if bare else f"{engine.name} run --network {network}"
                subjects[name] = by_command(engine.run(network))
                reference[name] = f"docker run --network {network}"
            for engine in engines:
                socket, image = None, peers.IMAGE
                if isinstance(engine, Ours):
                    socket, image = engine.engine.socket, engine.image
                elif isinstance(engine, peers.Docker):
                    socket = engine.socket
                if socket is not None:
                    name = f"{engine.name} API, {network}"
                    subjects[name] = by_api(socket, image, network)
                    reference[name] = f"docker API, {network}"
        times = measure(subjects, options.rounds)
    print(table(times, reference))
    if options.json:
        options.json.write_text(json.dumps(times))


if __name__ == "__main__":
    main()
