"""Networks that users make: create, inspect, isolation, connect and disconnect, removal."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from bayplan.host.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NoSpaceError,
    NotFoundError,
)
from support.leaks import links, mounts, tables
from support.network import Harbour, Json, ports
from support.ports import free_port, free_subnet


@pytest.fixture
async def harbour(tmp_path: Path) -> AsyncIterator[Harbour]:
    made = Harbour(tmp_path)
    await made.open()
    try:
        yield made
    finally:
        await made.purge()
        assert [*mounts(made.options), *links(made.options), *tables(made.options)] == []


def ipam(subnet: str, **more: str) -> Json:
    return {"Driver": "default", "Config": [{"Subnet": subnet, **more}]}


def talk(server: socket.socket, client: socket.socket) -> None:
    server.settimeout(120)
    with client, server.accept()[0] as accepted:
        client.sendall(b"ahoy")
        assert accepted.recv(16) == b"ahoy"


def connect(host: str, port: int, timeout: float = 60) -> socket.socket:
    return socket.create_connection((host, port), timeout)


async def test_create_and_inspect_are_dockers(harbour: Harbour) -> None:
    networks = harbour.networks
    subnet = free_subnet()
    body = {"Name": "red", "Labels": {"a": "b"}, "IPAM": ipam(str(subnet)), "Internal": True}
    made = await networks.create(body)
    assert made["Warning"] == ""
    seen = await networks.inspect(made["Id"][:12])
    assert (seen["Name"], seen["Driver"], seen["Scope"]) == ("red", "bridge", "local")
    assert seen["IPAM"]["Config"] == [{"Subnet": str(subnet), "Gateway": str(subnet[1])}]
    assert (seen["Internal"], seen["Labels"], seen["Containers"]) == (True, {"a": "b"}, {})
    one = await harbour.start("one", "red")
    member = (await networks.inspect("red"))["Containers"][one.id]
    assert (member["Name"], member["IPv4Address"]) == ("one", f"{subnet[2]}/24")
    listed = await networks.list({"type": ["custom"]})
    assert [network["Name"] for network in listed] == ["red"]
    builtin = await networks.list({"type": ["builtin"]})
    assert [network["Name"] for network in builtin] == ["bridge", "host", "none"]


async def test_errors_are_dockers(harbour: Harbour) -> None:
    networks = harbour.networks
    subnet = free_subnet()
    await networks.create({"Name": "red", "IPAM": ipam(str(subnet))})
    with pytest.raises(ConflictError, match="network with name red already exists"):
        await networks.create({"Name": "red"})
    with pytest.raises(ForbiddenError, match="Pool overlaps with other one on this address space"):
        await networks.create({"Name": "blue", "IPAM": ipam(str(subnet.supernet(4)))})
    with pytest.raises(ForbiddenError, match="operation is not permitted on predefined host netw"):
        await networks.create({"Name": "host"})
    for name in ("a/b", "line\nline", "\x1b[2J", " "):
        with pytest.raises(InvalidError, match="invalid network name"):
            await networks.create({"Name": name})
    with pytest.raises(InvalidError, match=r"invalid subnet 10\.1\.2\.3"):
        await networks.create({"Name": "blue", "IPAM": ipam("10.1.2.3")})
    maybe = {"com.docker.network.bridge.enable_icc": "maybe"}
    with pytest.raises(InvalidError, match="enable_icc: 'maybe' is neither true nor false"):
        await networks.create({"Name": "blue", "Options": maybe})
    with pytest.raises(ForbiddenError, match="bridge is a pre-defined network and cannot be rem"):
        await networks.remove("bridge")
    with pytest.raises(NotFoundError, match="network blue not found"):
        await networks.remove("blue")
    one = await harbour.start("one", "red")
    with pytest.raises(ForbiddenError, match=r"red has active endpoints \(name:.one. id:"):
        await networks.remove("red")
    with pytest.raises(ForbiddenError, match="endpoint with name one already exists in network"):
        await networks.connect("red", one, {})
    with pytest.raises(ForbiddenError, match="is not connected to network bridge"):
        await networks.disconnect("bridge", one)


async def test_fixed_addresses(harbour: Harbour) -> None:
    subnet = free_subnet()
    own = str(subnet[77])
    await harbour.networks.create({"Name": "red", "IPAM": ipam(str(subnet))})
    wanted: Json = {"IPAMConfig": {"IPv4Address": own}, "MacAddress": "02:00:00:00:00:7"}
    fixed = {"red": wanted}
    with pytest.raises(InvalidError, match="invalid MAC address"):
        harbour.container("bad", "red", networking=fixed)
    wanted["MacAddress"] = "02:00:00:00:00:77"
    one = await harbour.start("one", "red", networking=fixed)
    assert one.networks["red"]["IPAddress"] == own
    assert one.networks["red"]["MacAddress"] == "02:00:00:00:00:77"
    two = harbour.container("two", "red", networking=fixed)
    with pytest.raises(ForbiddenError, match="Address already in use"):
        await harbour.networks.join(two)
    await harbour.networks.leave(one.id)
    assert one.networks["red"]["MacAddress"] == "02:00:00:00:00:77"
    await harbour.networks.join(two)
    assert two.networks["red"]["IPAddress"] == own


async def test_networks_are_isolated_and_a_connected_container_is_in_both(harbour: Harbour) -> None:
    networks = harbour.networks
    await networks.create({"Name": "red"})
    await networks.create({"Name": "blue"})
    one, two = await harbour.start("one", "red"), await harbour.start("two", "blue")
    target = one.networks["red"]["IPAddress"]
    with harbour.listen(one) as server:
        with pytest.raises(TimeoutError):
            harbour.inside(two, lambda: connect(target, 80, 0.3))
        await networks.connect("red", two, {"Aliases": ["second"]})
        assert [name for _, name in harbour.inside(two, socket.if_nameindex)] == [
            "lo",
            "eth0",
            "eth1",
        ]
        talk(server, harbour.inside(two, lambda: connect(target, 80)))
        assert "second" in two.networks["red"]["DNSNames"]
        await networks.disconnect("red", two)
        with pytest.raises(TimeoutError):
            harbour.inside(two, lambda: connect(target, 80, 0.3))
    assert list(two.networks) == ["blue"]


async def test_several_networks_at_the_start(harbour: Harbour) -> None:
    for name in ("red", "blue"):
        await harbour.networks.create({"Name": name})
    both = {"red": {}, "blue": {"GwPriority": 5}}
    one = await harbour.start("one", "red", networking=both)
    assert list(one.networks) == ["red", "blue"]
    routes = harbour.inside(one, lambda: Path("/proc/thread-self/net/route").read_text())
    default = [line.split()[0] for line in routes.splitlines() if line.split()[1] == "00000000"]
    assert default == ["eth1"]


async def test_a_published_port_follows_its_container(harbour: Harbour) -> None:
    port = free_port()
    for name in ("red", "blue"):
        await harbour.networks.create({"Name": name})
    one = await harbour.start("one", "red", PortBindings=ports(tcp80=f":{port}"))
    with harbour.listen(one) as server:
        for change in (
            harbour.networks.connect("blue", one, {"GwPriority": 1}),
            harbour.networks.disconnect("red", one),
        ):
            await change
            talk(server, connect("127.0.0.1", port))
        await harbour.networks.disconnect("blue", one)
        with pytest.raises(ConnectionRefusedError):
            connect("127.0.0.1", port)


async def test_internal_networks_have_no_way_out_and_no_published_ports(harbour: Harbour) -> None:
    port = free_port()
    await harbour.networks.create({"Name": "red", "Internal": True})
    one = await harbour.start("one", "red", PortBindings=ports(tcp80=f":{port}"))
    assert harbour.networks.ports(one) == {"80/tcp": None}
    with pytest.raises(OSError, match="unreachable"):
        harbour.inside(one, lambda: connect("192.0.2.1", 53, 0.3))


async def test_without_icc_neighbours_are_apart(harbour: Harbour) -> None:
    option = {"com.docker.network.bridge.enable_icc": "false"}
    await harbour.networks.create({"Name": "red", "Options": option})
    one, two = await harbour.start("one", "red"), await harbour.start("two", "red")
    target = one.networks["red"]["IPAddress"]
    with harbour.listen(one) as server:
        with pytest.raises(OSError):
            harbour.inside(two, lambda: connect(target, 80, 0.3))
        talk(server, connect(target, 80))


@pytest.fixture
def ipv6_settings() -> Iterator[None]:
    """Puts back what the first IPv6 network changes on the host."""
    root = Path("/proc/sys/net/ipv6/conf")
    before = {}
    # Links of other tests come and go at any moment.
    for file in [root / "all/forwarding", *root.glob("*/accept_ra")]:
        with contextlib.suppress(OSError):
            before[file] = file.read_text()
    yield
    for file, text in before.items():
        with contextlib.suppress(OSError):
            if file.read_text() != text:
                file.write_text(text)


async def test_ipv6(ipv6_settings: None, harbour: Harbour) -> None:
    port = free_port()
    await harbour.networks.create({"Name": "red", "EnableIPv6": True})
    one = await harbour.start("one", "red", PortBindings=ports(tcp80=f":{port}"))
    two = await harbour.start("two", "red")
    target = one.networks["red"]["GlobalIPv6Address"]
    assert target.startswith("fd")
    make = lambda: socket.create_server(("::", 80), family=socket.AF_INET6)  # noqa: E731
    with harbour.inside(one, make) as server:
        talk(server, harbour.inside(two, lambda: connect(target, 80)))
        talk(server, connect(one.networks["red"]["IPv6Gateway"], port))


async def test_networks_survive_a_restart_and_a_lost_bridge(harbour: Harbour) -> None:
    await harbour.networks.create({"Name": "red"})
    before = await harbour.networks.inspect("red")
    link = next(name for name in links(harbour.options) if "-" in name).split()[1]
    networks = await harbour.again()
    assert await networks.inspect("red") == before
    await networks.close()
    from bayplan.netns import bridge
    from bayplan.netns.netlink import Netlink

    host = Netlink()
    bridge.remove(host, link)
    host.close()
    harbour.db.close()
    await harbour.open()
    one, two = await harbour.start("one", "red"), await harbour.start("two", "red")
    with harbour.listen(one) as server:
        target = one.networks["red"]["IPAddress"]
        talk(server, harbour.inside(two, lambda: connect(target, 80)))


async def test_prune_takes_what_nothing_runs_on(harbour: Harbour) -> None:
    networks = harbour.networks
    for name in ("red", "blue", "green"):
        await networks.create({"Name": name, "Labels": {"keep": "1"} if name == "green" else {}})
    await harbour.start("one", "red")
    assert await networks.prune({"label!": ["keep"]}) == {"NetworksDeleted": ["blue"]}
    assert [it["Name"] for it in await networks.list({"dangling": ["true"]})] == ["green"]
    actions = [(told[1], told[3]["name"]) for told in harbour.events.told]
    assert ("destroy", "blue") in actions


async def test_a_network_that_cannot_be_removed_is_still_there(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in the middle, here of the disk: it is listed as before, and goes at the next try."""
    networks = harbour.networks
    await networks.create({"Name": "mine"})

    def fail(key: str) -> None:
        raise NoSpaceError("no space left on the disk")

    with monkeypatch.context() as patch:
        patch.setattr(networks._state.journal, "drop_network", fail)
        with pytest.raises(NoSpaceError):
            await networks.remove("mine")
    assert "mine" in [item["Name"] for item in await networks.list()]
    await networks.remove("mine")
    assert "mine" not in [item["Name"] for item in await networks.list()]


async def test_a_network_removed_during_a_connect_is_not_found(harbour: Harbour) -> None:
    """The container is told so, and does not keep the name of a network that is gone."""
    networks = harbour.networks
    running, resting = await harbour.start("one"), harbour.container("two")
    for container in (running, resting):
        await networks.create({"Name": "mine"})
        async with networks._joining.lock(container.id):
            connecting = asyncio.ensure_future(networks.connect("mine", container, {}))
            await asyncio.sleep(0)
            await networks.remove("mine")
        with pytest.raises(NotFoundError, match="network mine not found"):
            await connecting
        assert "mine" not in container.networks
