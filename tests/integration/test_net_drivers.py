"""Networks on a link of the host (macvlan), endpoint options, and subnets that are somebody's."""

from __future__ import annotations

import secrets
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from ipaddress import IPv4Interface, ip_interface
from pathlib import Path

import pytest
from bayplan.core.options import Options
from bayplan.host.errors import ForbiddenError, InvalidError, UnsupportedError
from bayplan.netns import bridge, links
from bayplan.netns.netlink import Netlink
from bayplan.netns.types import Bridge
from support import leaks
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
        assert left(made.options) == []


def left(options: Options) -> list[str]:
    return [*leaks.mounts(options), *leaks.links(options), *leaks.tables(options)]


@pytest.fixture
def lan() -> Iterator[tuple[str, IPv4Interface]]:
    """A link of the host's own and its address: a network that something else made."""
    subnet = free_subnet()
    name = f"lan{secrets.token_hex(3)}"
    address = ip_interface(f"{subnet[1]}/24")
    host = Netlink()
    bridge.ensure(host, Bridge(name, "02:42:aa:bb:dd:01", (address,)))
    # A bridge without ports has no carrier.
    cable = ["ip", "link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b"]
    subprocess.run(cable, check=True)
    subprocess.run(["ip", "link", "set", f"{name}a", "master", name, "up"], check=True)
    subprocess.run(["ip", "link", "set", f"{name}b", "up"], check=True)
    try:
        yield name, IPv4Interface(address)
    finally:
        bridge.remove(host, f"{name}a")
        bridge.remove(host, name)
        host.close()


def ipam(subnet: object, **more: str) -> Json:
    return {"Config": [{"Subnet": str(subnet), **more}]}


def connect(address: str, port: int = 80) -> socket.socket:
    return socket.create_connection((address, port), 60)


def talk(server: socket.socket, client: socket.socket) -> None:
    server.settimeout(120)
    with client, server.accept()[0] as accepted:
        client.sendall(b"ahoy")
        assert accepted.recv(16) == b"ahoy"


def names(harbour: Harbour, container: object) -> list[str]:
    return [name for _, name in harbour.inside(container, socket.if_nameindex)]  # type: ignore[arg-type]


async def test_macvlan_without_a_parent_is_a_network_of_containers_alone(harbour: Harbour) -> None:
    await harbour.networks.create({"Name": "mac", "Driver": "macvlan"})
    seen = await harbour.networks.inspect("mac")
    assert (seen["Driver"], seen["Internal"]) == ("macvlan", True)
    one, two = await harbour.start("one", "mac"), await harbour.start("two", "mac")
    target = one.networks["mac"]["IPAddress"]
    with harbour.listen(one) as server:
        talk(server, harbour.inside(two, lambda: connect(target)))
    with pytest.raises(OSError, match="unreachable"):
        harbour.inside(two, lambda: connect("192.0.2.1"))
    await harbour.networks.leave(one.id)
    await harbour.networks.leave(two.id)
    await harbour.networks.remove("mac")


async def test_macvlan_on_a_link_of_the_host(
    harbour: Harbour, lan: tuple[str, IPv4Interface]
) -> None:
    """Containers have addresses of that network; they come and go while running; the link stays."""
    link, address = lan
    options = {"parent": link, "macvlan_mode": "bridge"}
    subnet = address.network
    body = {"Name": "mac", "Driver": "macvlan", "Options": options}
    await harbour.networks.create({**body, "IPAM": ipam(subnet, Gateway=str(address.ip))})
    fixed = {"mac": {"IPAMConfig": {"IPv4Address": str(subnet[77])}}}
    one = await harbour.start(
        "one", "mac", networking=fixed, PortBindings=ports(tcp80=f":{free_port()}")
    )
    assert one.networks["mac"]["IPAddress"] == str(subnet[77])
    assert harbour.networks.ports(one) == {"80/tcp": None}
    routes = harbour.inside(one, lambda: Path("/proc/thread-self/net/route").read_text())
    assert "eth0\t00000000\t" in routes
    two = await harbour.start("two")
    await harbour.networks.connect("mac", two, {})
    assert names(harbour, two) == ["lo", "eth0", "eth1"]
    with harbour.listen(one) as server:
        talk(server, harbour.inside(two, lambda: connect(str(subnet[77]))))
    await harbour.networks.disconnect("mac", two)
    assert names(harbour, two) == ["lo", "eth0"]
    networks = await harbour.again()
    await networks.reconcile({one.id, two.id})
    assert names(harbour, one) == ["lo", "eth0"]
    await networks.leave(one.id)
    await networks.remove("mac")
    assert link in [name for _, name in socket.if_nameindex()]


async def test_what_a_parent_must_be_is_said(
    harbour: Harbour, lan: tuple[str, IPv4Interface]
) -> None:
    create = harbour.networks.create
    with pytest.raises(InvalidError, match="-o parent interface was not found on the host: eth99"):
        await create({"Name": "a", "Driver": "macvlan", "Options": {"parent": "eth99"}})
    with pytest.raises(InvalidError, match="loopback interface is not a valid macvlan parent"):
        await create({"Name": "a", "Driver": "macvlan", "Options": {"parent": "lo"}})
    with pytest.raises(InvalidError, match="requested macvlan mode 'l2' is not valid, 'bridge'"):
        await create({"Name": "a", "Driver": "macvlan", "Options": {"macvlan_mode": "l2"}})
    with pytest.raises(UnsupportedError, match="network driver overlay is not supported"):
        await create({"Name": "a", "Driver": "overlay"})
    await create({"Name": "a", "Driver": "macvlan", "Options": {"parent": lan[0]}})
    with pytest.raises(
        ForbiddenError, match=f"network a is already using parent interface {lan[0]}"
    ):
        await create({"Name": "b", "Driver": "macvlan", "Options": {"parent": lan[0]}})


async def test_ipvlan_is_made_or_the_kernel_is_said_to_lack_it(harbour: Harbour) -> None:
    body = {"Name": "ipv", "Driver": "ipvlan", "Options": {"ipvlan_mode": "l3"}}
    host = Netlink()
    supported = links.supports(host, "ipvlan")
    host.close()
    if not supported:
        with pytest.raises(UnsupportedError, match="this kernel has no ipvlan links"):
            await harbour.networks.create(body)
        return
    await harbour.networks.create(body)
    one, two = await harbour.start("one", "ipv"), await harbour.start("two", "ipv")
    with harbour.listen(one) as server:
        target = one.networks["ipv"]["IPAddress"]
        talk(server, harbour.inside(two, lambda: connect(target)))


async def test_a_subnet_the_host_has_a_route_to_is_refused_and_the_route_named(
    harbour: Harbour, lan: tuple[str, IPv4Interface]
) -> None:
    link, address = lan
    text = f"overlaps the route to {address.network} by {link} of this host"
    for subnet in (address.network, address.network.supernet(2), f"{address.ip + 127}/26"):
        with pytest.raises(ForbiddenError, match=text):
            await harbour.networks.create({"Name": "red", "IPAM": ipam(subnet)})
    assert [it["Name"] for it in await harbour.networks.list({"type": ["custom"]})] == []
    anyway = {"bay.network.overlap": "true"}
    subnet = f"{address.ip + 127}/26"
    await harbour.networks.create({"Name": "red", "Options": anyway, "IPAM": ipam(subnet)})


async def test_a_bridge_of_the_hosts_own_is_adopted_and_outlives_the_network(
    harbour: Harbour, lan: tuple[str, IPv4Interface]
) -> None:
    link, address = lan
    body = {"Name": "red", "Options": {"com.docker.network.bridge.name": link}}
    await harbour.networks.create({**body, "IPAM": ipam(address.network)})
    one = await harbour.start("one", "red")
    with harbour.listen(one) as server:
        talk(server, connect(one.networks["red"]["IPAddress"]))
    await harbour.networks.leave(one.id)
    await harbour.networks.remove("red")
    assert link in [name for _, name in socket.if_nameindex()]


async def test_options_of_an_endpoint(harbour: Harbour) -> None:
    """The link's name, its settings, and addresses of the link only."""
    await harbour.networks.create({"Name": "red"})
    options = {
        "com.docker.network.endpoint.ifname": "lan7",
        "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1",
    }
    local = {"LinkLocalIPs": ["169.254.34.68"]}
    wanted = {"red": {"DriverOpts": options, "IPAMConfig": local}}
    one = await harbour.start("one", "red", networking=wanted)
    assert names(harbour, one) == ["lo", "lan7"]
    setting = Path("/proc/sys/net/ipv4/conf/lan7/log_martians")
    assert harbour.inside(one, setting.read_text) == "1\n"
    two = await harbour.start("two", "red", networking={"red": {"IPAMConfig": {
        "LinkLocalIPs": ["169.254.34.69"]}}})  # fmt: skip
    with harbour.listen(one) as server:
        talk(server, harbour.inside(two, lambda: connect("169.254.34.68")))
    bad = {"red": {"DriverOpts": {"com.docker.network.endpoint.sysctls": "kernel.core_pattern=x"}}}
    with pytest.raises(InvalidError, match="invalid value 'kernel"):
        harbour.container("bad", "red", networking=bad)
    with pytest.raises(InvalidError, match="invalid link-local IP address 10"):
        harbour.container(
            "worse", "red", networking={"red": {"IPAMConfig": {"LinkLocalIPs": ["10.0.0.1"]}}}
        )


async def test_ports_without_an_address_are_published_where_the_engine_is_told(
    tmp_path: Path,
) -> None:
    """`bay engine --ip 127.0.0.1`: what nobody meant to show stays behind the host's firewall."""
    made = Harbour(tmp_path / "h", publish_on="127.0.0.1")
    await made.open()
    try:
        port, other = free_port(), free_port()
        bindings = {**ports(tcp80=f":{port}"), **ports(tcp81=f"0.0.0.0:{other}")}
        one = await made.start("one", PortBindings=bindings)
        assert made.networks.ports(one)["80/tcp"] == [
            {"HostIp": "127.0.0.1", "HostPort": str(port)}
        ]
        gateway = one.networks["bridge"]["Gateway"]
        with made.listen(one) as server:
            talk(server, connect("127.0.0.1", port))
            with pytest.raises(ConnectionRefusedError):
                connect(gateway, port)
        with made.listen(one, 81) as server:
            talk(server, connect(gateway, other))
    finally:
        await made.purge()
        assert left(made.options) == []
