"""Published ports beyond the plain case: IPv6, UDP flows that move, a flushed firewall."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bayplan.netns import forwarding, namespace
from bayplan.netns.namespace import Namespace
from support.leaks import links, mounts, tables
from support.network import Harbour, ports
from support.ports import free_port
from support.waiting import wait_until


@pytest.fixture
async def harbour(tmp_path: Path) -> AsyncIterator[Harbour]:
    made = Harbour(tmp_path)
    await made.open()
    try:
        yield made
    finally:
        await made.purge()
        assert [*mounts(made.options), *links(made.options), *tables(made.options)] == []


def udp(address: str = "0.0.0.0", port: int = 0) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.settimeout(120)
    made.bind((address, port))
    return made


async def talk(server: socket.socket, host: str, port: int) -> None:
    """Echo a message through a connection; the engine's loop may be in its way."""

    def work() -> None:
        server.settimeout(120)
        with socket.create_connection((host, port), 60) as client:
            accepted, _ = server.accept()
            with accepted:
                client.sendall(b"ahoy")
                assert accepted.recv(16) == b"ahoy"
                accepted.sendall(b"aye")
                accepted.shutdown(socket.SHUT_WR)
                assert client.makefile("rb").read() == b"aye"

    await asyncio.to_thread(work)


async def test_ipv6_clients_reach_a_container_that_has_ipv4_only(harbour: Harbour) -> None:
    port = free_port()
    one = await harbour.start("one", PortBindings=ports(tcp80=f":{port}", udp53=f":{port}"))
    assert harbour.networks.ports(one)["80/tcp"] == [
        {"HostIp": "0.0.0.0", "HostPort": str(port)},
        {"HostIp": "::", "HostPort": str(port)},
    ]
    with harbour.listen(one) as server:
        await talk(server, "::1", port)
        await talk(server, "127.0.0.1", port)
        await harbour.again()
        await talk(server, "::1", port)
    with harbour.inside(one, lambda: udp(port=53)) as server, udp("::1") as client:

        def exchange() -> None:
            for _ in range(2):
                client.sendto(b"ahoy", ("::1", port))
                data, peer = server.recvfrom(16)
                server.sendto(data, peer)
                assert client.recvfrom(16)[0] == b"ahoy"

        await asyncio.to_thread(exchange)
    with pytest.raises(ConnectionResetError):
        await asyncio.to_thread(refused, port)


def refused(port: int) -> None:
    """Nobody listens in the container: accepted by the engine, then reset."""
    with socket.create_connection(("::1", port), 60) as client:
        client.sendall(b"ahoy")
        if client.recv(1) == b"":
            raise ConnectionResetError


async def test_a_udp_client_that_never_pauses_finds_the_new_container(harbour: Harbour) -> None:
    port = free_port()
    with udp() as client:
        for name in ("one", "two"):
            it = await harbour.start(name, PortBindings=ports(udp53=f":{port}"))
            with harbour.inside(it, lambda: udp(port=53)) as server:
                client.sendto(name.encode(), ("127.0.0.1", port))
                assert server.recv(16) == name.encode()
            await harbour.networks.leave(it.id)
            # With nobody there the kernel would remember that this flow is not translated.
            client.sendto(b"lost", ("127.0.0.1", port))


async def test_a_deleted_firewall_is_put_back(harbour: Harbour) -> None:
    port = free_port()
    one = await harbour.start("one", PortBindings=ports(tcp80=f":{port}"))

    def flush() -> None:
        subprocess.run(["nft", "delete", "table", "inet", harbour.options.table], check=True)
        wait_until(lambda: bool(tables(harbour.options)), "the table")

    await asyncio.to_thread(flush)
    with harbour.listen(one) as server:
        await talk(server, "127.0.0.1", port)


def test_docker_user_lets_our_bridges_through_and_no_other_chain_is_touched(
    tmp_path: Path,
) -> None:
    """In a namespace of its own: the host's iptables are not ours to try things on."""

    def iptables(*words: str) -> str:
        done = subprocess.run(["iptables", *words], capture_output=True, text=True, check=True)
        return done.stdout

    def work() -> None:
        assert forwarding.allow(["bay0", "by-+"]) is None
        iptables("-P", "FORWARD", "DROP")
        warning = forwarding.allow(["bay0", "by-+"])
        assert warning is not None and "FORWARD policy is DROP" in warning
        assert iptables("-S") == "-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n"
        iptables("-N", "DOCKER-USER")
        before = iptables("-S")
        for _ in range(2):
            assert forwarding.allow(["bay0", "by-+"]) is None
        added = [line for line in iptables("-S").splitlines() if line not in before]
        assert sorted(added) == [
            "-A DOCKER-USER -i bay0 -j ACCEPT",
            "-A DOCKER-USER -i by-+ -j ACCEPT",
            "-A DOCKER-USER -o bay0 -j ACCEPT",
            "-A DOCKER-USER -o by-+ -j ACCEPT",
        ]
        forwarding.forget(["bay0", "by-+"])
        assert iptables("-S") == before

    path = tmp_path / "netns"
    made = Namespace.create(path)
    try:
        made.run(work)
    finally:
        made.close()
        namespace.unpin(path)
