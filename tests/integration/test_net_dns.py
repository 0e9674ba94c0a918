"""The name server at 127.0.0.11, asked from inside containers' namespaces."""

from __future__ import annotations

import asyncio
import os
import resource
import secrets
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from bayplan.core import etcfiles, resolvers
from bayplan.core.types import Container
from bayplan.netns import dnswire
from support.leaks import links, mounts, tables
from support.network import Harbour, ports
from support.ports import free_port

A, PTR, AAAA, MX = 1, 12, 28, 15


@pytest.fixture
async def harbour(tmp_path: Path) -> AsyncIterator[Harbour]:
    made = Harbour(tmp_path)
    networks = await made.open()
    await networks.create({"Name": "red", "EnableIPv6": True, "Internal": True})
    await networks.create({"Name": "blue"})
    try:
        yield made
    finally:
        await made.purge()
        assert [*mounts(made.options), *links(made.options), *tables(made.options)] == []


def encode(name: str, kind: int, key: int = 7) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return (
        struct.pack("!6H", key, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)
    )


def decode(data: bytes, asked: bytes) -> tuple[int, list[str]]:
    """Response code and records; every record's name is a pointer to the question."""
    count = struct.unpack_from("!H", data, 6)[0]
    offset, records = len(asked), []
    for _ in range(count):
        kind, size = struct.unpack_from("!2xH6xH", data, offset)
        body = data[offset + 12 : offset + 12 + size]
        offset += 12 + size
        if kind == PTR:
            records.append(dnswire._labels(body, 0)[0])
        else:
            records.append(socket.inet_ntop(2 if kind == A else 10, body))
    shown = [r if isinstance(r, str) else b".".join(r).decode() for r in records]
    return data[3] & 15, sorted(shown)


async def ask(harbour: Harbour, who: Container, name: str, kind: int = A) -> tuple[int, list[str]]:
    message = encode(name, kind)

    def work() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(120)
            client.sendto(message, ("127.0.0.11", 53))
            data, peer = client.recvfrom(65535)
            assert peer == ("127.0.0.11", 53)
            return data

    return decode(await asyncio.to_thread(harbour.inside, who, work), message)


async def test_names_aliases_and_short_ids_are_found(harbour: Harbour) -> None:
    one = await harbour.start("one", "red", networking={"red": {"Aliases": ["db"]}})
    two = await harbour.start("two", "red")
    found = (0, [one.networks["red"]["IPAddress"]])
    for name in ("one", "ONE", "db", one.id[:12], "one.red"):
        assert await ask(harbour, two, name) == found, name
    assert await ask(harbour, two, "one", AAAA) == (0, [one.networks["red"]["GlobalIPv6Address"]])
    assert await ask(harbour, two, "one", MX) == (0, [])
    one.name = "renamed"
    harbour.networks.renamed(one)
    assert await ask(harbour, two, "renamed") == found


async def test_an_alias_of_two_has_both_addresses(harbour: Harbour) -> None:
    alias = {"blue": {"Aliases": ["web"]}}
    members = [await harbour.start(f"c{n}", "blue", networking=alias) for n in range(3)]
    expected = sorted(it.networks["blue"]["IPAddress"] for it in members)
    assert await ask(harbour, members[0], "web") == (0, expected)
    assert await ask(harbour, members[0], "c1", AAAA) == (0, [])
    await harbour.networks.leave(members[2].id)
    expected.remove(max(expected, key=lambda text: int(text.rpartition(".")[2])))
    assert await ask(harbour, members[0], "web") == (0, expected)


async def test_no_query_is_lost_while_members_come_and_go(harbour: Harbour) -> None:
    """Each is sent once, and waited for: a lost one would fail the client's five seconds."""
    one = await harbour.start("one", "red")
    others = [harbour.container(f"c{n}", "red") for n in range(5)]
    message, answers, done = encode("one", A), [0], threading.Event()

    def work() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(120)
            client.connect(("127.0.0.11", 53))
            while not done.is_set():
                client.send(message)
                assert decode(client.recv(512), message)[0] == dnswire.NOERROR
                answers[0] += 1

    asking = asyncio.create_task(asyncio.to_thread(harbour.inside, one, work))
    for _ in range(3):
        await asyncio.gather(*(harbour.networks.join(it) for it in others))
        await harbour.networks.connect("blue", one, {})
        await harbour.networks.disconnect("blue", one)
        await asyncio.gather(*(harbour.networks.leave(it.id) for it in others))
    done.set()
    await asking
    assert answers[0] > 10


async def test_addresses_lead_back_to_names(harbour: Harbour) -> None:
    one, two = await harbour.start("one", "red"), await harbour.start("two", "red")
    reverse = ".".join(reversed(one.networks["red"]["IPAddress"].split("."))) + ".in-addr.arpa"
    assert await ask(harbour, two, reverse, PTR) == (0, ["one.red"])


async def test_other_networks_stay_unknown(harbour: Harbour) -> None:
    await harbour.start("one", "red")
    two = await harbour.start("two", "red")
    three = await harbour.start("three", "blue", DnsOptions=["ndots:1"])
    assert (await ask(harbour, three, "two"))[0] == dnswire.NXDOMAIN
    await harbour.networks.connect("blue", two, {})
    assert (await ask(harbour, three, "two"))[1] == [two.networks["blue"]["IPAddress"]]


async def test_a_restarted_engine_answers_again(harbour: Harbour) -> None:
    one = await harbour.start("one", "red")
    networks = await harbour.again()
    await networks.reconcile({one.id})
    assert (await ask(harbour, one, "one"))[0] == dnswire.NOERROR


async def test_queries_by_tcp(harbour: Harbour) -> None:
    one = await harbour.start("one", "red")
    message = encode("one", A)

    def work() -> list[bytes]:
        replies = []
        with socket.create_connection(("127.0.0.11", 53), 60) as client:
            stream = client.makefile("rb")
            for _ in range(2):
                client.sendall(struct.pack("!H", len(message)) + message)
                size = struct.unpack("!H", stream.read(2))[0]
                replies.append(stream.read(size))
        return replies

    replies = await asyncio.to_thread(harbour.inside, one, work)
    expected = (0, [one.networks["red"]["IPAddress"]])
    assert [decode(reply, message) for reply in replies] == [expected] * 2


class Upstream:
    """A name server that answers every A query with one address."""

    def __init__(self, bound: socket.socket, address: str) -> None:
        self.bound, self.address = bound, address
        self.asked: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, peer = self.bound.recvfrom(4096)
            if data == b"end":
                return
            query = dnswire.parse(data)
            self.asked.append(query.name)
            self.bound.sendto(dnswire.answer(query, [self.address], 5), peer)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"end", self.bound.getsockname())
        self._thread.join()
        self.bound.close()


def bound(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, 53))
    return made


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """The host's name servers: one that never answers and one that does."""
    conf = tmp_path / "resolv.conf"
    # By chance, as other runs need port 53 of an address too.
    net = f"127.{64 + secrets.randbelow(128)}.{secrets.randbelow(256)}"
    conf.write_text(f"nameserver {net}.1\nnameserver {net}.2\nsearch harbour.example\n")
    monkeypatch.setattr(resolvers, "_FILE", conf)
    running = Upstream(bound(f"{net}.2"), "198.51.100.9")
    with bound(f"{net}.1"):
        yield running
        running.close()


async def test_other_names_are_asked_of_the_host(harbour: Harbour, upstream: Upstream) -> None:
    one = await harbour.start("one", "blue")
    assert await ask(harbour, one, "ship.example") == (0, ["198.51.100.9"])
    # One that answers late, of a busy machine, is asked again.
    assert set(upstream.asked) == {"ship.example"}


async def test_internal_networks_ask_nobody_outside(harbour: Harbour, upstream: Upstream) -> None:
    one = await harbour.start("one", "red")
    assert await ask(harbour, one, "ship.example") == (dnswire.SERVFAIL, [])
    assert upstream.asked == []


async def test_own_servers_are_asked_from_the_containers_side(harbour: Harbour) -> None:
    one = await harbour.start("one", "red", Dns=["127.0.0.1"])
    made = harbour.inside(one, lambda: bound("127.0.0.1"))
    # Its end message must come from inside too.
    running = Upstream(made, "198.51.100.10")
    assert await ask(harbour, one, "ship.example") == (0, ["198.51.100.10"])
    harbour.inside(one, running.close)


async def test_the_default_bridge_forwards_when_the_hosts_server_is_on_loopback(
    harbour: Harbour, upstream: Upstream
) -> None:
    one = await harbour.start("one")
    assert await ask(harbour, one, "ship.example") == (0, ["198.51.100.9"])
    etcfiles.write(one, harbour.options)
    text = (one.bundle / "resolv.conf").read_text()
    assert text == "nameserver 127.0.0.11\nsearch harbour.example\noptions ndots:0\n"


async def test_port_53_is_free_for_the_container(harbour: Harbour) -> None:
    one = await harbour.start("one", "red")
    with harbour.inside(one, lambda: bound("0.0.0.0")):
        assert (await ask(harbour, one, "one"))[0] == dnswire.NOERROR


async def test_an_engine_with_thousands_of_open_files_serves_names(harbour: Harbour) -> None:
    """libnftables uses select(2), which would end the process at descriptor 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    held = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while held[-1] < 1100:
            held.append(os.dup(held[0]))
        port = free_port()
        one = await harbour.start("one", "blue", PortBindings=ports(tcp80=f":{port}"))
        assert (await ask(harbour, one, "one"))[0] == dnswire.NOERROR
        await harbour.networks.leave(one.id)
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_links_on_the_default_bridge_are_in_hosts(harbour: Harbour) -> None:
    one = await harbour.start("one")
    two = await harbour.start("two", Links=["/one:/two/db"])
    etcfiles.write(two, harbour.options)
    expected = f"{one.networks['bridge']['IPAddress']}\tdb one\n"
    assert expected in (two.bundle / "hosts").read_text()
    await harbour.networks.leave(one.id)
    await harbour.networks.join(one)
    expected = f"{one.networks['bridge']['IPAddress']}\tdb one\n"
    assert expected in (two.bundle / "hosts").read_text()
