"""SIGKILL to the engine while it connects, disconnects or publishes: the next one tells no lies.

What its API says of addresses and ports is what the kernel has and what the database holds.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from http.client import HTTPException
from ipaddress import ip_address
from typing import Any

import pytest
from bayplan.netns import bridge
from bayplan.netns.netlink import Netlink
from support import leaks
from support.engine import EngineProcess
from support.ports import free_port, is_bindable
from support.privatehost import ask, at, inside, served
from support.waiting import wait_until

Json = dict[str, Any]


@pytest.fixture
def engine(fresh_engine: Callable[..., EngineProcess]) -> EngineProcess:
    return fresh_engine()


def host_links(engine: EngineProcess) -> set[str]:
    prefix = f"{engine.options.link_prefix}v"
    return {name for _, name in socket.if_nameindex() if name.startswith(prefix)}


def leases(engine: EngineProcess) -> set[str]:
    path = f"file:{engine.root / 'bay.db'}?mode=ro"
    with contextlib.closing(sqlite3.connect(path, uri=True)) as db:
        return {ip for (ip,) in db.execute("SELECT ip FROM leases")}


def elements(engine: EngineProcess) -> set[tuple[int, str]]:
    """Published IPv4 ports in the kernel: port of the host, address of the container."""
    argv = ["nft", "-j", "list", "map", "inet", engine.options.table, "pub4"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True, env=leaks.SBIN)
    found = set()
    for item in json.loads(listed.stdout)["nftables"]:
        for key, value in item.get("map", {}).get("elem", []):
            found.add((key["concat"][1], value["concat"][0]))
    return found


def own_addresses() -> set[str]:
    link = Netlink()
    found = {str(ip_address(packed)) for packed in bridge.local_addresses(link)}
    link.close()
    return {address for address in found if not ip_address(address).is_loopback}


def check(engine: EngineProcess) -> None:
    """API, kernel and database agree, about every container."""
    told: set[str] = set()
    endpoints = 0
    ports: set[tuple[int, str]] = set()
    for row in engine.api("GET", "/containers/json").json():
        settings = engine.inspect(row["Id"])["NetworkSettings"]
        addresses = {it["IPAddress"] for it in settings["Networks"].values()}
        assert inside(engine, row["Id"], own_addresses) == addresses
        told |= addresses
        endpoints += len(addresses)
        for bindings in settings["Ports"].values():
            for it in bindings or []:
                if it["HostIp"] == "0.0.0.0":
                    (target,) = {t for n, t in elements(engine) if n == int(it["HostPort"])}
                    assert target in addresses
                    ports.add((int(it["HostPort"]), target))
    assert leases(engine) == told
    assert elements(engine) == ports
    wait_until(lambda: len(host_links(engine)) == endpoints, "the links of endpoints alone")


def kill_when(engine: EngineProcess, fact: Callable[[], bool], path: str, body: Json) -> None:
    """Send a request; SIGKILL the engine as soon as `fact`, or when it has answered."""
    answered = threading.Event()

    def work() -> None:
        with contextlib.suppress(OSError, HTTPException):
            engine.api("POST", path, body)
        answered.set()

    pid = engine.pid
    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: answered.is_set() or fact(), path, timeout=240, every=0.0001)
    engine.kill9(pid)
    thread.join()


def test_killed_while_it_connects_and_disconnects(engine: EngineProcess) -> None:
    """Half a connection is taken back, half a disconnection finished; ports follow."""
    port = free_port()
    for name in ("red", "blue"):
        engine.bay("network", "create", name, check=True)
    run = ("run", "-d", "--name", "one", "--network", "red", "-p", f"{port}:80")
    engine.bay(*run, "starter:latest", "sleep", "1000", check=True)
    connect: Json = {"Container": "one", "EndpointConfig": {"GwPriority": 5}}

    def on_blue() -> bool:
        return "blue" in engine.inspect("one")["NetworkSettings"]["Networks"]

    stages: list[Callable[[EngineProcess], Any]] = [leases, elements]
    for look in stages:
        for verb, body in (("connect", connect), ("disconnect", {"Container": "one"})):
            if on_blue() == (verb == "connect"):
                opposite = "disconnect" if verb == "connect" else "connect"
                answer = engine.api("POST", f"/networks/blue/{opposite}", connect)
                assert answer.status == 200, answer.body
            before = look(engine)
            kill_when(engine, lambda: look(engine) != before, f"/networks/blue/{verb}", body)  # noqa: B023 - called in this turn
            engine.start()
            check(engine)
            with served(at(engine, "one")):
                assert ask(None, "127.0.0.1", port) != ""
    answers = engine.bay("exec", "one", "nslookup", "one", check=True).stdout
    address = engine.inspect("one")["NetworkSettings"]["Networks"]["red"]["IPAddress"]
    assert address in answers


def test_killed_while_it_publishes(engine: EngineProcess) -> None:
    """A container either runs with its ports or does not and holds nothing."""
    port = free_port()
    create = ("create", "--name", "one", "-p", f"{port}:80", "-p", f"{port}:80/udp")
    for look in (leases, elements):
        engine.bay(*create, "starter:latest", "sleep", "1000", check=True)
        before = look(engine)
        kill_when(engine, lambda: look(engine) != before, "/containers/one/start", {})  # noqa: B023 - called in this turn
        engine.start()
        check(engine)
        if not engine.inspect("one")["State"]["Running"]:
            assert engine.api("POST", "/containers/one/start").status == 204
        check(engine)
        with served(at(engine, "one")):
            assert ask(None, "127.0.0.1", port) != ""
        engine.bay("rm", "-f", "one", check=True)
        check(engine)
        wait_until(lambda: is_bindable(port), "the port to be free")
