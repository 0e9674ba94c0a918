"""The two examples the project began with, on a Debian image from a registry, start to end."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator

import pytest
from support.engine import EngineProcess
from support.trees import tree_digest
from support.waiting import wait_until

PROMPT = r"root@[0-9a-f]{12}:/# "


@pytest.fixture
def debian(engine: EngineProcess, debian_image: str) -> Iterator[str]:
    """The image, pulled by the command a user types; no container is left after the test."""
    engine.bay("pull", debian_image, check=True, timeout=240)
    yield debian_image
    engine.remove_containers()


def test_an_interactive_shell(engine: EngineProcess, debian: str) -> None:
    """`bay run -i -t IMAGE /bin/bash` is a shell on a terminal; its changes are the container's."""
    layers = engine.root / "layers"
    before = tree_digest(layers)
    with engine.terminal("run", "-i", "-t", "--name", "story", debian, "/bin/bash") as terminal:
        terminal.wait_for(PROMPT)
        terminal.line("tty; cat /etc/motd; ls /etc/removed; echo sum $((6 * 7))")
        terminal.wait_for(r"/dev/pts/0\r\nupper\r\nls: cannot access '/etc/removed'")
        terminal.wait_for(r"sum 42\r\n")
        terminal.line("stty size")
        terminal.wait_for(r"24 80\r\n")
        terminal.resize(40, 132)
        terminal.line("until [ \"$(stty size)\" = '40 132' ]; do :; done; echo now $(stty size)")
        terminal.wait_for(r"now 40 132\r\n")
        terminal.line("rm /usr/bin/ping; echo mine > /etc/motd; mkdir /srv/new; exit 3")
        assert terminal.wait() == 3

    container = engine.inspect("story")
    assert container["State"]["Status"] == "exited" and container["State"]["ExitCode"] == 3
    snapshot = engine.root / "snapshots" / container["Id"]
    bundle = engine.root / "containers" / container["Id"]
    assert (snapshot / "diff/etc/motd").read_text() == "mine\n"
    changes = {
        (c["Kind"], c["Path"]) for c in engine.api("GET", "/containers/story/changes").json()
    }
    assert {(0, "/etc/motd"), (1, "/srv/new"), (2, "/usr/bin/ping")} <= changes

    engine.bay("start", "story", check=True)  # a stopped container is still a container
    wait_until(lambda: engine.inspect("story")["State"]["Running"], "story runs again")
    again = engine.bay("exec", "story", "cat", "/etc/motd", check=True)
    assert again.stdout == "mine\n"

    engine.bay("rm", "-f", "story", check=True)
    assert not snapshot.exists() and not bundle.exists()
    assert tree_digest(layers) == before, "THE IMAGE WAS CHANGED by a container"


def test_a_detached_ping(engine: EngineProcess, debian: str) -> None:
    """`bay run -d IMAGE ping` answers with an id, has its own address, is logged and removed."""
    bridge = json.loads(engine.bay("network", "inspect", "bridge", check=True).stdout)[0]
    gateway = bridge["IPAM"]["Config"][0]["Gateway"]
    started = engine.bay("run", "-d", debian, "ping", "-i", "0.2", gateway, check=True)
    identifier = started.stdout.strip()
    assert len(identifier) == 64

    settings = engine.inspect(identifier)["NetworkSettings"]
    address = settings["Networks"]["bridge"]["IPAddress"]
    subnet = ipaddress.ip_network(bridge["IPAM"]["Config"][0]["Subnet"])
    assert ipaddress.ip_address(address) in subnet and address != gateway
    inside = engine.bay("exec", identifier, "cat", "/proc/net/fib_trie", check=True)
    assert address in inside.stdout

    with engine.terminal("logs", "-f", identifier) as terminal:
        terminal.wait_for(rf"PING {gateway}.*64 bytes from {gateway}: icmp_seq=3 ")
    listed = engine.bay("ps", check=True).stdout
    assert identifier[:12] in listed and "Up " in listed

    engine.bay("stop", "-t", "1", identifier, check=True)
    state = engine.inspect(identifier)["State"]
    assert state["Status"] == "exited" and state["ExitCode"] in (0, 137)
    assert "64 bytes from" in engine.bay("logs", identifier, check=True).stdout
    engine.bay("rm", identifier, check=True)
    assert not (engine.root / "snapshots" / identifier).exists()
    assert not (engine.root / "containers" / identifier).exists()
    assert engine.bay("ps", "-aq", check=True).stdout == ""


def test_two_containers_of_one_image_do_not_meet(engine: EngineProcess, debian: str) -> None:
    """Each has its own files, host name, address, and processes."""
    for name in ("one", "two"):
        engine.bay("run", "-d", "--name", name, debian, "sleep", "1000", check=True)
    engine.bay("exec", "one", "sh", "-c", "echo one > /etc/motd", check=True)
    assert engine.bay("exec", "two", "cat", "/etc/motd", check=True).stdout == "upper\n"
    names = {engine.bay("exec", n, "hostname", check=True).stdout.strip() for n in ("one", "two")}
    assert len(names) == 2
    addresses = {
        engine.inspect(name)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        for name in ("one", "two")
    }
    assert len(addresses) == 2
    (other,) = addresses - {
        engine.inspect("one")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    }
    engine.bay("exec", "one", "ping", "-c", "1", "-W", "5", other, check=True)
    seen = engine.bay("exec", "one", "sh", "-c", "ls -d /proc/[0-9]*", check=True).stdout
    assert len(seen.split()) <= 4
