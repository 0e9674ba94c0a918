"""A whole engine on a host with a neighbour: who reaches whom, and beside which firewalls.

Everything is in namespaces of the test's own: nothing here touches the real host's firewall.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterator

import pytest
from bayplan.netns.namespace import Namespace
from support.engine import EngineProcess
from support.privatehost import (
    HOST,
    HOST6,
    NEIGHBOUR,
    NEIGHBOUR6,
    OUTSIDE,
    PrivateHost,
    ask,
    at,
    barred,
    inside,
    served,
)
from support.waiting import wait_until

IMAGE = "starter:latest"
SCTP = 132


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[PrivateHost, EngineProcess]]:
    host = PrivateHost()
    try:
        engine = host.engine()
        try:
            yield host, engine
        finally:
            engine.purge()
            # The kernel takes pairs away a while after their namespaces.
            wait_until(
                lambda: {n for n in host.links() if n[:3] != "ifb"} == {"lo", "lan0"},
                "the end of the engine's links",
            )
            assert f"table inet {engine.options.table}" not in host.sh("nft list tables")
    finally:
        host.close()


@pytest.fixture
def run(place: tuple[PrivateHost, EngineProcess]) -> Iterator[Callable[..., str]]:
    """Start a container that sleeps; it and the networks are gone afterwards."""
    engine = place[1]

    def start(name: str, *words: str) -> str:
        engine.bay("run", "-d", "--name", name, *words, IMAGE, "sleep", "1000", check=True)
        return name

    yield start
    engine.remove_containers()
    engine.bay("network", "prune", "-f", check=True)


def address(engine: EngineProcess, container: str, network: str = "bridge") -> str:
    return str(engine.inspect(container)["NetworkSettings"]["Networks"][network]["IPAddress"])


def test_a_neighbour_reaches_published_ports_and_nothing_else(
    place: tuple[PrivateHost, EngineProcess], run: Callable[..., str]
) -> None:
    """Its address is seen as it is; the container itself is out of reach, by a route too."""
    host, engine = place
    run("one", "-p", "8080:80", "-p", "127.0.0.1:8081:80")
    target = address(engine, "one")
    host.sh(f"ip route replace 172.16.0.0/12 via {HOST}", where=host.neighbour)
    with served(at(engine, "one")):
        assert ask(host.neighbour, HOST, 8080) == NEIGHBOUR
        assert barred(host.neighbour, HOST, 8081)
        assert barred(host.neighbour, target, 80)
        assert ask(host.host, "127.0.0.1", 8081) != ""
        assert ask(host.host, HOST, 8080) != ""
        assert ask(host.host, target, 80) != ""
        # Its own published port, by the host's address: a hairpin.
        assert ask((engine, "one"), HOST, 8080) != ""


def test_containers_reach_outside_as_the_host_and_internal_ones_do_not(
    place: tuple[PrivateHost, EngineProcess], run: Callable[..., str]
) -> None:
    host, engine = place
    engine.bay("network", "create", "--internal", "inner", check=True)
    run("one")
    run("shut", "--network", "inner")
    target = address(engine, "shut", "inner")
    gateway = target.rpartition(".")[0] + ".1"
    with served(host.neighbour.run):
        assert ask((engine, "one"), OUTSIDE) == HOST
        assert barred((engine, "shut"), OUTSIDE)
        # Even when somebody inside makes the route that is missing.
        path = engine.run_root / "netns" / engine.inspect("shut")["Id"]
        with Namespace.open(path) as entered:
            host.sh(f"ip route add default via {gateway}", where=entered)
            assert barred(entered, OUTSIDE)
            assert barred(entered, address(engine, "one"))
    host.sh(f"ip route replace 172.16.0.0/12 via {HOST}", where=host.neighbour)
    with served(at(engine, "shut")):
        assert barred(host.neighbour, target)
        assert barred((engine, "one"), target)
        assert ask(host.host, target) != ""


def test_without_masquerading_the_containers_own_address_is_seen(
    place: tuple[PrivateHost, EngineProcess], run: Callable[..., str]
) -> None:
    """Answers come in, and nothing that was not asked for."""
    host, engine = place
    option = "com.docker.network.bridge.enable_ip_masquerade=false"
    engine.bay("network", "create", "-o", option, "open", check=True)
    run("one", "--network", "open", "-p", "8080:80")
    own = address(engine, "one", "open")
    host.sh(f"ip route replace 172.16.0.0/12 via {HOST}", where=host.neighbour)
    with served(host.neighbour.run), served(at(engine, "one")):
        assert ask((engine, "one"), OUTSIDE) == own
        assert barred(host.neighbour, own)
        assert ask(host.neighbour, HOST, 8080) == NEIGHBOUR


def test_options_of_a_network_and_names_of_the_host(
    place: tuple[PrivateHost, EngineProcess], run: Callable[..., str]
) -> None:
    """Range, spare addresses, MTU, where ports are published, and `host-gateway`."""
    host, engine = place
    words = ["--subnet", "10.99.0.0/16", "--ip-range", "10.99.7.0/28", "--gateway", "10.99.0.1"]
    words += ["--aux-address", "printer=10.99.7.1", "-o", "com.docker.network.driver.mtu=1300"]
    words += ["-o", f"com.docker.network.bridge.host_binding_ipv4={HOST}", "ranged"]
    engine.bay("network", "create", *words, check=True)
    run(
        "one",
        "--network",
        "ranged",
        "-p",
        "8080:80",
        "--add-host",
        "host.docker.internal:host-gateway",
    )
    assert address(engine, "one", "ranged") in ("10.99.7.0", "10.99.7.2")
    link = engine.bay("exec", "one", "ip", "link", "show", "eth0", check=True).stdout
    assert "mtu 1300" in link
    bindings = engine.inspect("one")["NetworkSettings"]["Ports"]["80/tcp"]
    assert bindings == [{"HostIp": HOST, "HostPort": "8080"}]
    with served(at(engine, "one")):
        assert ask(host.neighbour, HOST, 8080) == NEIGHBOUR
        assert barred(host.host, "127.0.0.1", 8080)
    with served(host.host.run, 9091):
        fetched = engine.bay("exec", "one", "nc", "host.docker.internal", "9091", check=True)
        assert fetched.stdout == address(engine, "one", "ranged")


def test_networks_are_apart_and_meet_at_published_ports(
    place: tuple[PrivateHost, EngineProcess], run: Callable[..., str]
) -> None:
    engine = place[1]
    for name in ("red", "blue"):
        engine.bay("network", "create", name, check=True)
    run("one", "--network", "red", "-p", "8080:80")
    run("two", "--network", "blue")
    with served(at(engine, "one")):
        assert barred((engine, "two"), address(engine, "one", "red"))
        assert ask((engine, "two"), HOST, 8080) != ""
        engine.bay("network", "connect", "red", "two", check=True)
        assert ask((engine, "two"), address(engine, "one", "red")) != ""


def test_containers_never_reach_what_listens_on_the_hosts_loopback(
    place: tuple[PrivateHost, EngineProcess], run: Callable[..., str]
) -> None:
    """Nor do neighbours; what listens on all addresses is the host's own firewall's matter."""
    host, engine = place
    run("one")
    gateway = address(engine, "one").rpartition(".")[0] + ".1"
    path = engine.run_root / "netns" / engine.inspect("one")["Id"]
    routes = (
        "sysctl -qw net.ipv4.conf.eth0.route_localnet=1; ip addr flush dev lo;"
        "ip rule add pref 5 lookup 77; ip rule del pref 0; ip rule add pref 6 lookup 255;"
        f"ip route add 127.0.0.1 via {gateway} dev eth0 table 77"
    )
    with served(host.host.run, 9090, "127.0.0.1") as seen, Namespace.open(path) as entered:
        host.sh(routes, where=entered)
        assert barred(entered, "127.0.0.1", 9090)
        assert ask(host.host, "127.0.0.1", 9090) == "127.0.0.1"
        assert seen == ["127.0.0.1"]


def test_ipv6_is_published_to_containers_with_it_and_without(
    place: tuple[PrivateHost, EngineProcess], run: Callable[..., str]
) -> None:
    host, engine = place
    engine.bay("network", "create", "--ipv6", "six", check=True)
    run("four", "-p", "8084:80")
    run("six", "--network", "six", "-p", "8086:80")
    settings = engine.inspect("six")["NetworkSettings"]["Networks"]["six"]
    host.sh(f"ip -6 route replace fd00::/8 via {HOST6}", where=host.neighbour)
    with served(at(engine, "four")):
        assert ask(host.neighbour, HOST6, 8084) != ""
        assert ask(host.host, "::1", 8084) != ""
    with served(at(engine, "six")):
        assert ask(host.neighbour, HOST6, 8086) == NEIGHBOUR6
        assert ask(host.host, "::1", 8086) != ""
        assert ask((engine, "four"), HOST, 8086) != ""
        assert barred(host.neighbour, settings["GlobalIPv6Address"])
    with served(host.neighbour.run):
        assert ask((engine, "six"), NEIGHBOUR6) == HOST6
    # A container that has nothing else is reached by IPv4 through the engine.
    body = {"Name": "only", "EnableIPv4": False, "EnableIPv6": True}
    assert engine.api("POST", "/networks/create", body).status == 201
    run("only", "--network", "only", "-p", "127.0.0.1:8087:80", "-p", "8088:80")
    with served(at(engine, "only")):
        assert ask(host.host, "127.0.0.1", 8087) != ""
        assert ask(host.neighbour, HOST6, 8088) == NEIGHBOUR6


def test_udp_is_published_to_the_neighbour(
    place: tuple[PrivateHost, EngineProcess], run: Callable[..., str]
) -> None:
    host, engine = place
    run("one", "-p", "8053:53/udp")

    def bound() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("0.0.0.0", 53))
        made.settimeout(120)
        return made

    def asking() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.connect((HOST, 8053))
        made.settimeout(120)
        return made

    with inside(engine, "one", bound) as server, host.neighbour.run(asking) as client:
        client.send(b"ahoy")
        data, peer = server.recvfrom(16)
        assert (data, peer[0]) == (b"ahoy", NEIGHBOUR)
        server.sendto(b"aye", peer)
        assert client.recv(16) == b"aye"


def crc32c(data: bytes) -> int:
    """SCTP's checksum (RFC 9260, appendix A)."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def test_sctp_is_published_to_the_neighbour(
    place: tuple[PrivateHost, EngineProcess], run: Callable[..., str]
) -> None:
    """Many kernels have no SCTP sockets: an INIT is sent and read as what it is on the wire."""
    host, engine = place
    run("one", "-p", "8132:132/sctp")
    init = struct.pack("!BBHIIHHI", 1, 0, 20, 7, 65536, 1, 1, 1)
    header = struct.pack("!HHI", 4321, 8132, 0)
    packet = header + struct.pack("<I", crc32c(header + b"\0\0\0\0" + init)) + init
    raw = lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, SCTP)  # noqa: E731
    with inside(engine, "one", raw) as server, host.neighbour.run(raw) as client:
        server.settimeout(120)
        client.sendto(packet, (HOST, 0))
        got, peer = server.recvfrom(2048)
    body = got[(got[0] & 15) * 4 :]
    assert peer[0] == NEIGHBOUR
    assert struct.unpack_from("!HH", body) == (4321, 132)
    assert body[12:] == init


def test_a_flushed_ruleset_is_restored_at_once(
    place: tuple[PrivateHost, EngineProcess], run: Callable[..., str]
) -> None:
    """`nft flush ruleset`, as other programs do when they start, opens every container."""
    host, engine = place
    run("one", "-p", "8080:80")
    host.sh(f"ip route replace 172.16.0.0/12 via {HOST}", where=host.neighbour)
    table = f"table inet {engine.options.table}"
    with served(at(engine, "one")):
        for _ in range(3):
            host.sh("nft flush ruleset")
            wait_until(lambda: table in host.sh("nft list tables"), "the table")
        assert ask(host.neighbour, HOST, 8080) == NEIGHBOUR
        assert ask(host.host, "127.0.0.1", 8080) != ""
        assert barred(host.neighbour, address(engine, "one"))


def test_published_ports_work_while_the_engine_is_down(
    place: tuple[PrivateHost, EngineProcess], run: Callable[..., str]
) -> None:
    """They live in the kernel; names are answered again with the next engine."""
    host, engine = place
    engine.bay("network", "create", "red", check=True)
    run("one", "--network", "red", "-p", "8080:80")
    run("two", "--network", "red")
    with served(at(engine, "one")):
        path = engine.run_root / "netns" / engine.inspect("two")["Id"]
        target = address(engine, "one", "red")
        engine.kill9()
        assert ask(host.neighbour, HOST, 8080) == NEIGHBOUR
        assert ask(host.host, "127.0.0.1", 8080) != ""
        with Namespace.open(path) as entered:
            assert ask(entered, target) != ""
        engine.start()
        assert ask(host.neighbour, HOST, 8080) == NEIGHBOUR
    assert "Address" in engine.bay("exec", "two", "nslookup", "one", check=True).stdout


def test_forward_drop_of_another_firewall(
    place: tuple[PrivateHost, EngineProcess], run: Callable[..., str]
) -> None:
    """ufw and Docker set it: the engine says so, and the rules of docs/networking.md cure it.

    A chain DOCKER-USER is seen and used as soon as it is there.
    """
    host, engine = place
    run("one", "-p", "8080:80")
    bridge = engine.options.bridge
    with served(at(engine, "one")), served(host.neighbour.run):
        host.sh("iptables -P FORWARD DROP")
        assert barred(host.neighbour, HOST, 8080)
        assert barred((engine, "one"), OUTSIDE)
        wait_until(
            lambda: (
                "FORWARD policy is DROP" in " ".join(engine.api("GET", "/info").json()["Warnings"])
            ),
            "a warning",
        )
        for way in "-i", "-o":
            host.sh(f"iptables -I FORWARD {way} {bridge} -j ACCEPT")
        assert ask(host.neighbour, HOST, 8080) == NEIGHBOUR
        assert ask((engine, "one"), OUTSIDE) == HOST
        (warning,) = [
            one for one in engine.api("GET", "/info").json()["Warnings"] if "FORWARD" in one
        ]
        rest = re.findall("`(iptables -I FORWARD [^`]+)`", warning)
        assert rest and not any(f" {bridge} " in rule for rule in rest), "the bridges of others"
        host.sh("; ".join(rest))
        assert "FORWARD" not in str(engine.api("GET", "/info").json()["Warnings"])
        for way in "-i", "-o":
            host.sh(f"iptables -D FORWARD {way} {bridge} -j ACCEPT")
        assert barred(host.neighbour, HOST, 8080)
        host.sh("iptables -N DOCKER-USER; iptables -I FORWARD -j DOCKER-USER")
        wait_until(
            lambda: ask(host.neighbour, HOST, 8080) == NEIGHBOUR, "DOCKER-USER let us through"
        )
        assert ask((engine, "one"), OUTSIDE) == HOST
        # Until the chain is gone the engine puts its rules back, at the worst between the two.
        host.sh("until iptables -F && iptables -X; do :; done; iptables -P FORWARD ACCEPT")


def test_forward_drop_of_iptables_legacy_is_told_by_doctor(
    place: tuple[PrivateHost, EngineProcess],
) -> None:
    """No event tells of the older tables: they are looked at when somebody asks."""
    host, engine = place
    host.sh("iptables-legacy -w -P FORWARD DROP")
    said = engine.bay("doctor").stdout
    assert "iptables' FORWARD policy is DROP" in said
    assert f"iptables-legacy -I FORWARD -i {engine.options.bridge} -j ACCEPT" in said
    host.sh("iptables-legacy -w -P FORWARD ACCEPT")
    assert "FORWARD" not in engine.bay("doctor").stdout
