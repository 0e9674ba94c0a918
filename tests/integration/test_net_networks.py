"""Containers joining and leaving networks: addresses, published ports, restarts of the engine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bayplan.core import netjoin
from bayplan.core.options import Options
from bayplan.core.portclaims import process_on
from bayplan.core.types import Container
from bayplan.host.errors import BayError, ConflictError, InvalidError, NotFoundError
from support.leaks import links, mounts, tables
from support.network import Harbour, ports
from support.ports import free_port, is_bindable
from support.waiting import wait_until


@pytest.fixture
async def harbour(tmp_path: Path) -> AsyncIterator[Harbour]:
    made = Harbour(tmp_path)
    await made.open()
    try:
        yield made
    finally:
        await made.purge()
        assert left(made.options) == []


def left(options: Options) -> list[str]:
    return [*mounts(options), *links(options), *tables(options)]


def talk(server: socket.socket, client: socket.socket) -> None:
    server.settimeout(120)
    with client, server.accept()[0] as accepted:
        client.sendall(b"ahoy")
        assert accepted.recv(16) == b"ahoy"


def connect(host: str, port: int, timeout: float = 60) -> socket.socket:
    return socket.create_connection((host, port), timeout)


def address(container: Container, network: str = "bridge") -> str:
    return str(container.networks[network]["IPAddress"])


async def test_two_containers_talk_on_the_default_bridge(harbour: Harbour) -> None:
    one, two = await harbour.start("one"), await harbour.start("two")
    assert address(one) != address(two)
    with harbour.listen(one) as server:
        talk(server, harbour.inside(two, lambda: connect(address(one), 80)))
        talk(server, connect(address(one), 80))


async def test_settings_are_dockers(harbour: Harbour) -> None:
    one = await harbour.start("one")
    settings = one.networks["bridge"]
    assert settings["IPPrefixLen"] == 24
    assert settings["Gateway"].endswith(".1")
    assert settings["MacAddress"].startswith("02:42:")
    assert len(settings["EndpointID"]) == len(settings["NetworkID"]) == 64
    await harbour.networks.leave(one.id)
    settings = one.networks["bridge"]
    assert (settings["IPAddress"], settings["EndpointID"], settings["MacAddress"]) == ("", "", "")
    assert [told[1] for told in harbour.events.told] == ["connect", "disconnect"]


async def test_a_published_port_reaches_the_container(harbour: Harbour) -> None:
    port = free_port()
    one = await harbour.start("one", PortBindings=ports(tcp80=f":{port}"))
    with harbour.listen(one) as server:
        talk(server, connect("127.0.0.1", port))
    assert {"HostIp": "0.0.0.0", "HostPort": str(port)} in harbour.networks.ports(one)["80/tcp"]
    await harbour.networks.leave(one.id)
    with pytest.raises(ConnectionRefusedError):
        connect("127.0.0.1", port)
    wait_until(lambda: is_bindable(port), "the port to be free")


async def test_a_port_on_which_nobody_listens_any_more_is_waited_for(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program between fork and exec holds what was let go; that is no port in use."""
    port = free_port()
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", port))
        asked = []

        def nobody(protocol: str, number: int) -> str:
            asked.append((protocol, number))
            if len(asked) == 2:
                holder.close()
            return process_on(protocol, number)

        monkeypatch.setattr(netjoin, "process_on", nobody)
        one = await harbour.start("one", PortBindings=ports(tcp80=f":{port}"))
    assert asked == [("tcp", port)] * 2
    assert harbour.networks.ports(one)["80/tcp"][0]["HostPort"] == str(port)


async def test_a_port_of_another_container_is_refused_in_dockers_words(harbour: Harbour) -> None:
    port = free_port()
    await harbour.start("one", PortBindings=ports(tcp80=f":{port}"))
    two = harbour.container("two", PortBindings=ports(tcp81=f":{port}"))
    with pytest.raises(BayError) as caught:
        await harbour.networks.join(two)
    text = str(caught.value)
    assert text.startswith("driver failed programming external connectivity on endpoint two (")
    assert f"Bind for 0.0.0.0:{port} failed: port is already allocated" in text
    assert "container one has it" in text
    assert not (harbour.options.run_root / "netns" / two.id).exists()
    assert two.networks["bridge"]["IPAddress"] == ""


async def test_a_port_of_a_process_is_refused_and_the_process_named(harbour: Harbour) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        two = harbour.container("two", PortBindings=ports(tcp81=f":{port}"))
        with pytest.raises(BayError, match=r"port is already allocated \(.*pid \d+, has it\)"):
            await harbour.networks.join(two)


async def test_a_process_cannot_take_a_published_port(harbour: Harbour) -> None:
    port = free_port()
    await harbour.start("one", PortBindings=ports(tcp80=f":{port}", udp80=f":{port}"))
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as late, pytest.raises(OSError, match="in use"):
            if kind == socket.SOCK_STREAM:
                late.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            late.bind(("0.0.0.0", port))
            late.listen()


async def test_the_engine_chooses_a_port_when_none_is_given(harbour: Harbour) -> None:
    one = await harbour.start("one", config={"ExposedPorts": {"80/tcp": {}}}, PublishAllPorts=True)
    port = int(harbour.networks.ports(one)["80/tcp"][0]["HostPort"])
    assert 32768 <= port <= 60999
    with harbour.listen(one) as server:
        talk(server, connect("127.0.0.1", port))


async def test_host_none_and_container_modes(harbour: Harbour) -> None:
    host = harbour.container("host", "host")
    assert await harbour.networks.join(host) is None
    assert list(host.networks) == ["host"]
    none = await harbour.start("none", "none")
    assert [name for _, name in harbour.inside(none, socket.if_nameindex)] == ["lo"]
    one = await harbour.start("one")
    guest = harbour.container("guest", "container:one")
    assert await harbour.networks.join(guest) == str(harbour.options.run_root / "netns" / one.id)
    one.state.status = "exited"
    with pytest.raises(ConflictError, match="cannot join network of a non running container"):
        await harbour.networks.join(guest)


async def test_a_restarted_engine_adopts_what_runs(harbour: Harbour) -> None:
    port = free_port()
    one = await harbour.start("one", PortBindings=ports(tcp80=f":{port}"))
    with harbour.listen(one) as server:
        networks = await harbour.again()
        await networks.reconcile({one.id})
        talk(server, connect("127.0.0.1", port))
        two = await harbour.start("two")
        assert address(two) != address(one)
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("0.0.0.0", port)).close()


async def test_what_belongs_to_the_dead_is_released(harbour: Harbour) -> None:
    port = free_port()
    one = await harbour.start("one", PortBindings=ports(tcp80=f":{port}"))
    networks = await harbour.again()
    await networks.reconcile(set())
    assert not (harbour.options.run_root / "netns" / one.id).exists()
    assert harbour.db.execute("SELECT * FROM leases") == []
    await asyncio.to_thread(wait_until, lambda: is_bindable(port), "the port to be free")


async def test_bad_requests_are_refused_before_anything_is_made(harbour: Harbour) -> None:
    with pytest.raises(NotFoundError, match="network nowhere not found"):
        harbour.container("a", "nowhere")
    with pytest.raises(InvalidError, match="invalid port"):
        harbour.container("b", PortBindings={"80/tcp": [{"HostPort": "99999"}]})
    with pytest.raises(InvalidError, match="user specified IP address is supported on user def"):
        fixed = {"bridge": {"IPAMConfig": {"IPv4Address": "172.20.0.9"}}}
        harbour.container("c", networking=fixed)
    with pytest.raises(InvalidError, match="this host has no such address"):
        await harbour.start("d", PortBindings=ports(tcp80="203.0.113.7:8080"))
