"""Bridges, namespaces and the firewall, with real packets between real namespaces."""

from __future__ import annotations

import secrets
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv4Network, ip_address, ip_interface
from pathlib import Path

import pytest
from bayplan.netns import bridge, namespace
from bayplan.netns.firewall import Contents, Firewall
from bayplan.netns.namespace import Namespace
from bayplan.netns.netlink import Netlink
from bayplan.netns.types import Attachment, Bridge, Publication
from support.ports import free_subnet
from support.waiting import wait_until


class Lab:
    """Two bridges, their firewall, and namespaces on demand; `close` leaves nothing.

    Every name and number is of this one: other runs are busy on the same host, and the kernel
    takes a pair of veths away a while after its namespace has gone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tag = f"bt{secrets.token_hex(3)}"
        first = free_subnet()
        second = free_subnet(first)
        self.one = Bridge(f"{self.tag}-1", "02:42:aa:bb:cc:01", (gateway(first),))
        self.two = Bridge(f"{self.tag}-2", "02:42:aa:bb:cc:02", (gateway(second),), internal=True)
        self.host = Netlink()
        self.firewall = Firewall(f"bay_{self.tag}")
        self.made: list[Namespace] = []
        self.held: list[socket.socket] = []
        self.firewall.load(Contents([self.one, self.two]))
        for it in (self.one, self.two):
            bridge.ensure(self.host, it)

    def port(self, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
        """A port of the host, held by a socket that does not listen, as the engine does it."""
        made = socket.socket(socket.AF_INET, kind)
        self.held.append(made)
        made.bind(("0.0.0.0", 0))
        return int(made.getsockname()[1])

    def join(self, on: Bridge, last: int) -> Namespace:
        made = Namespace.create(self.folder / f"ns{len(self.made)}")
        self.made.append(made)
        gateway = on.addresses[0]
        address = ip_interface(f"{gateway.network[last]}/24")
        end = Attachment(
            f"{self.tag}v{len(self.made)}",
            on.name,
            "eth0",
            f"02:42:0a:00:00:{last:02x}",
            (address,),
            (gateway.ip,),
        )
        bridge.attach(self.host, made, end)
        return made

    def close(self) -> None:
        for number, it in enumerate(self.made, 1):
            bridge.silence(self.host, f"{self.tag}v{number}")
            it.close()
            namespace.unpin(it.path)
        for each in (self.one, self.two):
            bridge.remove(self.host, each.name)
        self.firewall.unload()
        self.firewall.close()
        self.host.close()
        for held in self.held:
            held.close()
        wait_until(lambda: not self.links(), f"end of all links of {self.tag}")

    def links(self) -> list[str]:
        return [name for _, name in socket.if_nameindex() if name.startswith(self.tag)]


def gateway(subnet: IPv4Network) -> IPv4Interface:
    return IPv4Interface(f"{subnet[1]}/{subnet.prefixlen}")


def at(on: Bridge, last: int) -> str:
    """The address of that number on a bridge's network; 1 is the bridge itself."""
    return str(on.addresses[0].network[last])


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "netns")
    try:
        yield lab
    finally:
        lab.close()


def listen(where: Namespace, port: int = 80) -> socket.socket:
    return where.run(lambda: socket.create_server(("0.0.0.0", port)))


def talk(server: socket.socket, client: socket.socket) -> str:
    """Accept `client` on `server`, echo one message, and return the address the server saw."""
    with client, server.accept()[0] as accepted:
        client.sendall(b"ahoy")
        assert accepted.recv(16) == b"ahoy"
        return str(accepted.getpeername()[0])


def connect(address: str, port: int, timeout: float = 60) -> socket.socket:
    return socket.create_connection((address, port), timeout)


def blocked(where: Namespace, address: str, port: int) -> bool:
    try:
        where.run(lambda: connect(address, port, 0.3)).close()
    except TimeoutError:
        return True
    return False


def test_containers_of_one_bridge_and_the_host_reach_each_other(lab: Lab) -> None:
    first, second = lab.join(lab.one, 10), lab.join(lab.one, 11)
    with listen(first) as server:
        peer = talk(server, second.run(lambda: connect(at(lab.one, 10), 80)))
        assert peer == at(lab.one, 11)
        assert talk(server, connect(at(lab.one, 10), 80)) == at(lab.one, 1)


def test_bridges_are_isolated_from_each_other(lab: Lab) -> None:
    first, second = lab.join(lab.one, 10), lab.join(lab.two, 10)
    with listen(first), listen(second):
        assert blocked(first, at(lab.two, 10), 80)
        assert blocked(second, at(lab.one, 10), 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "gateway"])
def test_a_published_port_is_reached_from_the_host(lab: Lab, host: str) -> None:
    first = lab.join(lab.one, 10)
    number = lab.port()
    host = at(lab.one, 1) if host == "gateway" else host
    port = Publication("tcp", ip_address("0.0.0.0"), number, ip_address(at(lab.one, 10)), 80)
    lab.firewall.publish([port])
    with listen(first) as server:
        talk(server, connect(host, number))
        lab.firewall.unpublish([port])
        lab.firewall.unpublish([port])
        with pytest.raises(ConnectionRefusedError):
            connect(host, number)


def test_a_published_port_is_reached_by_its_own_container_and_a_neighbour(lab: Lab) -> None:
    first, second = lab.join(lab.one, 10), lab.join(lab.one, 11)
    port = lab.port()
    lab.firewall.publish(
        [Publication("tcp", ip_address("0.0.0.0"), port, ip_address(at(lab.one, 10)), 80)]
    )
    with listen(first) as server:
        for client in (first, second):
            talk(server, client.run(lambda: connect(at(lab.one, 1), port)))


def test_a_port_published_on_one_address_answers_only_there(lab: Lab) -> None:
    first = lab.join(lab.one, 10)
    port = lab.port()
    lab.firewall.publish(
        [Publication("tcp", ip_address("127.0.0.1"), port, ip_address(at(lab.one, 10)), 80)]
    )
    with listen(first) as server:
        talk(server, connect("127.0.0.1", port))
        with pytest.raises(ConnectionRefusedError):
            connect(at(lab.one, 1), port)


def test_udp_is_published(lab: Lab) -> None:
    first = lab.join(lab.one, 10)
    port = lab.port(socket.SOCK_DGRAM)
    lab.firewall.publish(
        [Publication("udp", ip_address("0.0.0.0"), port, ip_address(at(lab.one, 10)), 53)]
    )
    server = first.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        first.run(lambda: server.bind(("0.0.0.0", 53)))
        client.settimeout(120)
        server.settimeout(120)
        client.sendto(b"ahoy", ("127.0.0.1", port))
        data, peer = server.recvfrom(16)
        server.sendto(data, peer)
        assert client.recvfrom(16) == (b"ahoy", ("127.0.0.1", port))


def test_a_container_never_reaches_what_listens_on_the_hosts_loopback(lab: Lab) -> None:
    """route_localnet would let it, were it not for the raw chain."""
    first = lab.join(lab.one, 10)
    with socket.create_server(("127.0.0.1", 0)) as server:
        subprocess.run(
            ["nsenter", f"--net={first.path}", "ip", "route", "add", "127.5.0.0/16", "dev", "eth0"],
            check=False,
        )
        first.run(lambda: Path("/proc/sys/net/ipv4/conf/eth0/route_localnet").write_text("1"))
        subprocess.run(
            ["nsenter", f"--net={first.path}", "ip", "addr", "flush", "dev", "lo"], check=True
        )
        command = "ip rule add pref 5 lookup 77; ip rule del pref 0; ip rule add pref 6 lookup 255;"
        command += f"ip route add 127.0.0.1 via {at(lab.one, 1)} dev eth0 table 77"
        subprocess.run(["nsenter", f"--net={first.path}", "sh", "-c", command], check=True)
        assert blocked(first, "127.0.0.1", server.getsockname()[1])


def test_a_chain_of_the_users_own_can_close_a_published_port(lab: Lab) -> None:
    """The example of docs/networking.md: our table's accept does not overrule it."""
    first, second = lab.join(lab.one, 10), lab.join(lab.one, 11)
    port = lab.port()
    lab.firewall.publish(
        [Publication("tcp", ip_address("0.0.0.0"), port, ip_address(at(lab.one, 10)), 80)]
    )
    rules = f"""table inet {lab.tag}_user {{ chain forward {{
      type filter hook forward priority -10; policy accept;
      meta l4proto tcp ct original proto-dst {port} ip saddr != 192.0.2.0/24 drop
    }}
    }}"""
    with listen(first) as server:
        talk(server, second.run(lambda: connect(at(lab.one, 1), port)))
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        try:
            assert blocked(second, at(lab.one, 1), port)
            talk(server, second.run(lambda: connect(at(lab.one, 10), 80)))
        finally:
            subprocess.run(["nft", f"delete table inet {lab.tag}_user"], check=True)


def test_the_table_is_whole_after_a_second_load(lab: Lab) -> None:
    assert lab.firewall.exists()
    lab.firewall.load(Contents([lab.one, lab.two]))
    assert lab.firewall.exists()
    lab.firewall.unload()
    assert not lab.firewall.exists()
    lab.firewall.unload()


def test_teardown_is_idempotent_and_takes_the_pair_with_it(lab: Lab) -> None:
    first = lab.join(lab.one, 10)
    assert namespace.is_pinned(first.path)
    namespace.unpin(first.path)
    namespace.unpin(first.path)
    assert not first.path.exists()
    bridge.detach(lab.host, f"{lab.tag}v1")
    bridge.detach(lab.host, f"{lab.tag}v1")
    assert not lab.host.has(f"{lab.tag}v1")


def test_a_failed_attach_leaves_no_link(lab: Lab) -> None:
    """The address is refused by the kernel after the pair has been made."""
    made = Namespace.create(lab.folder / "bad")
    try:
        end = Attachment(
            f"{lab.tag}vbad",
            lab.one.name,
            "eth0",
            "02:42:0a:00:00:09",
            (ip_interface(f"{at(lab.one, 9)}/24"), ip_interface(f"{at(lab.one, 9)}/24")),
        )
        with pytest.raises(FileExistsError):
            bridge.attach(lab.host, made, end)
        assert not lab.host.has(f"{lab.tag}vbad")
    finally:
        made.close()
        namespace.unpin(made.path)
