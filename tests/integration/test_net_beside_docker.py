"""Docker's daemon comes to a host where this engine runs: both serve their containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.netns.namespace import Namespace
from support.dockerd import Dockerd, dockerd
from support.engine import EngineProcess
from support.privatehost import HOST, NEIGHBOUR, OUTSIDE, PrivateHost, ask, barred, served
from support.waiting import wait_until

IMAGE = "test/busybox"


@pytest.fixture
def host() -> Iterator[PrivateHost]:
    made = PrivateHost()
    try:
        yield made
    finally:
        made.close()


def test_dockers_daemon_and_this_engine_side_by_side(host: PrivateHost) -> None:
    """Docker sets FORWARD to DROP: ours are reached and reach out all the same, as Docker's do;
    what is not published stays apart."""
    with dockerd(host.prefix, IMAGE) as other:
        assert "-P FORWARD DROP" in host.sh("iptables -S FORWARD")
        engine = host.engine()
        try:
            side_by_side(host, engine, other)
        finally:
            engine.purge()
        assert "by" not in host.sh("iptables -S DOCKER-USER")


def side_by_side(host: PrivateHost, engine: EngineProcess, other: Dockerd) -> None:
    run = ("run", "-d", "--name")
    engine.bay(*run, "ours", "-p", "8080:80", "starter:latest", "sleep", "1000", check=True)
    own = engine.inspect("ours")["NetworkSettings"]["IPAddress"]
    other.docker(*run, "theirs", "-p", "8090:80", IMAGE, "sleep", "1000")
    form = "{{.State.Pid}} {{.NetworkSettings.IPAddress}}"
    pid, theirs_at = other.docker("inspect", "-f", form, "theirs").split()
    theirs = Namespace.open(Path(f"/proc/{pid}/ns/net"))
    inner = Namespace.open(engine.run_root / "netns" / engine.inspect("ours")["Id"])
    with inner, theirs, served(inner.run), served(theirs.run):
        wait_until(lambda: not barred(host.neighbour, HOST, 8080), "ours let through")
        assert ask(host.neighbour, HOST, 8080) == NEIGHBOUR
        assert ask(host.neighbour, HOST, 8090) == NEIGHBOUR
        # Each by the other's published port, and by nothing else.
        assert ask(inner, HOST, 8090) != "" and ask(theirs, HOST, 8080) != ""
        assert barred(inner, theirs_at)
        assert barred(theirs, own)
        # A network that Docker makes later is no exception.
        late = "br-" + other.docker("network", "create", "late")[:12]
        listed = f"nft list set inet {engine.options.table} others"
        wait_until(lambda: late in host.sh(listed), "the late bridge is kept apart")
        with served(host.neighbour.run):
            assert ask(inner, OUTSIDE) == ask(theirs, OUTSIDE) == HOST
    other.docker("rm", "-f", "theirs")
