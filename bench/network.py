"""Networking: endpoints made and taken away, throughput and latency of each path, names.

Beside docker (its userland proxy on 127.0.0.1) and the loopback, each in a network namespace of its
own. Every round runs every path once. Only ratios travel between machines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import peers
from bayplan.host import syscalls
from support.network import Harbour, Json, ports
from support.privatehost import PrivateHost

WIRE = Path(__file__).with_name("wire.py")
IPERF, ECHO, PUBLISHED = 5201, 5202, 15201


@dataclass
class Course:
    """Where a client stands (words before a command) and what it connects to."""

    prefix: list[str]
    host: str
    iperf: int
    echo: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument("--part", choices=("endpoints", "paths", "names"), action="append")
    options = parser.parse_args()
    parts = options.part or ["endpoints", "paths", "names"]
    load = os.getloadavg()[0]
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {load:.1f}, {os.cpu_count()} cores\n")
    if "endpoints" in parts:
        endpoints()
    if {"paths", "names"} & set(parts):
        with ExitStack() as stack:
            ours, theirs = stack.enter_context(bay()), stack.enter_context(docker())
            if "paths" in parts:
                paths(ours, theirs, options.rounds)
            if "names" in parts:
                names(ours, theirs, options.rounds)


# --- endpoints: in a process and a namespace of its own


def endpoints() -> None:
    """Run `measure_endpoints` in a child that has left the host's network."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True, env=peers.ENVIRONMENT)
            with tempfile.TemporaryDirectory(prefix="bn-", dir="/tmp") as folder:
                asyncio.run(measure_endpoints(Path(folder)))
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    if os.waitpid(child, 0)[1] != 0:
        raise RuntimeError("the endpoints could not be measured")


async def measure_endpoints(folder: Path) -> None:
    """One container after the other, alone and beside 200 with 1,000 published ports."""
    harbour = Harbour(folder)
    await harbour.open()
    number = 0

    def another(count: int) -> Callable[[], object]:
        nonlocal number
        number += 1
        bindings: Json = {}
        for port in range(count):
            bindings |= ports(**{f"tcp{80 + port}": f":{10000 + number * 5 + port}"})
        return harbour.container(f"c{number}", "red", PortBindings=bindings)  # type: ignore[return-value]

    try:
        subnet = {"Config": [{"Subnet": "10.77.0.0/16"}]}
        await harbour.networks.create({"Name": "red", "IPAM": subnet})
        lines = ["| endpoint with a published port, ms | setup | p90 | teardown | p90 |"]
        lines.append("|---|---|---|---|---|")
        await turns(harbour, another, 5)
        lines.append(row("alone on its network", await turns(harbour, another, 30)))
        for _ in range(200):
            await harbour.networks.join(another(5))  # type: ignore[arg-type]
        await asyncio.sleep(2)  # the kernel has 200 links to settle
        lines.append(row("beside 200, with 1,000 ports", await turns(harbour, another, 30)))
        print("\n".join(lines), end="\n\n")
    finally:
        await harbour.purge()


async def turns(
    harbour: Harbour, another: Callable[[int], object], count: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of `count` joins and leaves."""
    joined, left = [], []
    for _ in range(count):
        it = another(1)
        begun = time.perf_counter()
        await harbour.networks.join(it)  # type: ignore[arg-type]
        between = time.perf_counter()
        await harbour.networks.leave(it.id)  # type: ignore[attr-defined]
        left.append((time.perf_counter() - between) * 1000)
        joined.append((between - begun) * 1000)
        # Behind a leave the kernel is busy for some 20 ms; the next start is rarely so near.
        await asyncio.sleep(0.05)
    return joined, left


def row(name: str, times: tuple[list[float], list[float]]) -> str:
    shown = [f"{value:.1f}" for taken in times for value in (statistics.median(taken), p90(taken))]
    return f"| {name} | {' | '.join(shown)} |"


def p90(values: list[float]) -> float:
    return sorted(values)[len(values) * 9 // 10]


# --- paths


@contextmanager
def bay() -> Iterator[dict[str, Course | list[str]]]:
    """An engine on a host of its own: where to go for each path."""
    host = PrivateHost()
    with ExitStack() as stack:
        stack.callback(host.close)
        engine = host.engine()
        stack.callback(engine.purge)
        engine.bay("network", "create", "red", check=True)
        published = ["-p", f"{PUBLISHED}:{IPERF}", "-p", f"{PUBLISHED + 1}:{ECHO}"]
        for name, words in (("one", published), ("two", [])):
            run = ["run", "-d", "--name", name, "--network", "red", *words]
            engine.bay(*run, "starter:latest", "sleep", "10000", check=True)
        inner = {
            name: ["nsenter", f"--net={engine.run_root}/netns/{engine.inspect(name)['Id']}"]
            for name in ("one", "two")
        }
        address = engine.inspect("one")["NetworkSettings"]["Networks"]["red"]["IPAddress"]
        serve(stack, host.prefix)
        serve(stack, inner["one"])
        far = PUBLISHED, PUBLISHED + 1
        yield {
            "loopback": Course(host.prefix, "127.0.0.1", IPERF, ECHO),
            "bay, bridge": Course(inner["two"], address, IPERF, ECHO),
            "bay, host to container": Course(host.prefix, address, IPERF, ECHO),
            "bay, published, from a neighbour": Course(
                ["nsenter", f"--net={host.neighbour.path}"], "192.0.2.1", *far
            ),
            "bay, published, 127.0.0.1": Course(host.prefix, "127.0.0.1", *far),
            "names": inner["two"],
        }


@contextmanager
def docker() -> Iterator[dict[str, Course | list[str]]]:
    """dockerd in a namespace of its own, with the same two containers; empty without it."""
    with ExitStack() as stack:
        try:
            peer = peers.Docker()
        except (RuntimeError, FileNotFoundError) as error:
            print(f"left out: {error}", file=sys.stderr)
            yield {}
            return
        stack.callback(peer.close)
        words = ["docker", "-H", f"unix://{peer.socket}"]
        peers.command([*words, "network", "create", "red"])
        published = ["-p", f"{PUBLISHED}:{IPERF}", "-p", f"{PUBLISHED + 1}:{ECHO}"]
        inner, address = {}, ""
        for name, more in (("one", published), ("two", [])):
            run = [*words, "run", "-d", "--rm", "--name", name, "--network", "red", *more]
            peers.command([*run, peers.IMAGE, "sleep", "10000"])
            stack.callback(peers.command, [*words, "rm", "-f", name])
            form = "{{.State.Pid}} {{.NetworkSettings.Networks.red.IPAddress}}"
            pid, seen = peers.command([*words, "inspect", "-f", form, name]).split()
            inner[name], address = ["nsenter", f"--net=/proc/{pid}/ns/net"], address or seen
        serve(stack, inner["one"])
        at = ["nsenter", f"--net=/proc/{peer.pid}/ns/net"]
        yield {
            "docker, bridge": Course(inner["two"], address, IPERF, ECHO),
            "docker, published, 127.0.0.1": Course(at, "127.0.0.1", PUBLISHED, PUBLISHED + 1),
            "names": inner["two"],
        }


def serve(stack: ExitStack, prefix: list[str]) -> None:
    """An iperf3 server and an echo server behind `prefix`, until the stack is closed."""
    iperf, echo = ["iperf3", "-s", "-p", str(IPERF)], [sys.executable, str(WIRE), "echo", str(ECHO)]
    for words in (iperf, echo):
        child = subprocess.Popen([*prefix, *words], stdout=subprocess.PIPE, text=True)
        stack.callback(child.wait)
        stack.callback(child.kill)
        if "echo" in words:
            assert child.stdout is not None
            child.stdout.readline()


def paths(
    ours: dict[str, Course | list[str]], theirs: dict[str, Course | list[str]], rounds: int
) -> None:
    """Gigabits a second, and microseconds, of every path."""
    subjects = {k: v for k, v in {**ours, **theirs}.items() if isinstance(v, Course)}
    speed: dict[str, list[float]] = {name: [] for name in subjects}
    turn: dict[str, list[float]] = {name: [] for name in subjects}
    connect: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, it in subjects.items():
            argv = [*it.prefix, "iperf3", "-c", it.host, "-p", str(it.iperf), "-t", "1", "-J"]
            done = json.loads(peers.command(argv))
            speed[name].append(done["end"]["sum_received"]["bits_per_second"] / 1e9)
            argv = [*it.prefix, sys.executable, str(WIRE), "rtt", it.host, str(it.echo)]
            answer = json.loads(peers.command(argv))
            turn[name].append(answer["rtt"])
            connect[name].append(answer["connect"])
    against = statistics.median(speed["bay, bridge"])
    print("| path | Gb/s | of the bridge | round trip µs | connection and a byte µs |")
    print("|---|---|---|---|---|")
    for name in subjects:
        gigabits = statistics.median(speed[name])
        print(
            f"| {name} | {gigabits:.1f} | {gigabits / against:.2f} | "
            f"{statistics.median(turn[name]):.0f} | {statistics.median(connect[name]):.0f} |"
        )
    print()


# --- names


def names(
    ours: dict[str, Course | list[str]], theirs: dict[str, Course | list[str]], rounds: int
) -> None:
    """Queries a second for a neighbour's name, and the time of a lone one."""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name, subjects in (("bay", ours), ("docker", theirs)):
            prefix = subjects.get("names")
            if isinstance(prefix, list):
                argv = [*prefix, sys.executable, str(WIRE), "dns", "one", "1"]
                found.setdefault(name, []).append(json.loads(peers.command(argv)))
    print("| names at 127.0.0.11 | queries a second | one alone µs |")
    print("|---|---|---|")
    for name, answers in found.items():
        rate = statistics.median(answer["qps"] for answer in answers)
        alone = statistics.median(answer["alone"] for answer in answers)
        print(f"| {name} | {rate:.0f} | {alone:.0f} |")


if __name__ == "__main__":
    main()
