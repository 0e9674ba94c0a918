"""Nothing is left of what was cancelled, refused or killed, and nobody shares an address."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bayplan.core import ipam
from bayplan.host.errors import BayError
from bayplan.netns import bridge
from bayplan.netns.namespace import Namespace
from bayplan.netns.netlink import Netlink
from support.leaks import links, mounts, tables
from support.network import Harbour, ports
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


def rows(harbour: Harbour) -> list[object]:
    return [
        row
        for table in ("endpoints", "leases", "ports")
        for row in harbour.db.execute(f"SELECT * FROM {table}")
    ]


async def test_containers_that_start_together_get_addresses_of_their_own(harbour: Harbour) -> None:
    made = [harbour.container(f"c{n}", PortBindings=ports(tcp80=":0")) for n in range(20)]
    await asyncio.gather(*(harbour.networks.join(it) for it in made))
    assert len({it.networks["bridge"]["IPAddress"] for it in made}) == 20
    chosen = {harbour.networks.ports(it)["80/tcp"][0]["HostPort"] for it in made}
    assert len(chosen) == 20
    await asyncio.gather(*(harbour.networks.leave(it.id) for it in made))
    assert rows(harbour) == []


async def test_engines_that_choose_at_the_same_moment_get_subnets_of_their_own(
    harbour: Harbour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though they begin to look at the same one: the second sees the route of the first."""
    choose = ipam.free_subnet
    monkeypatch.setattr(ipam, "free_subnet", lambda taken, seed: choose(taken, "the same"))
    other = Harbour(tmp_path / "other")
    await other.open()
    try:
        for number in range(4):
            body = {"Name": f"net{number}"}
            await asyncio.gather(*(it.networks.create(body) for it in (harbour, other)))
        subnets = [
            network["IPAM"]["Config"][0]["Subnet"]
            for it in (harbour, other)
            for network in await it.networks.list({"driver": ["bridge"]})
        ]
        assert len(subnets) == len(set(subnets)) == 10
    finally:
        await other.purge()


@pytest.mark.parametrize("yields", [1, 2, 4, 8, 16])
async def test_a_cancelled_join_leaves_nothing(harbour: Harbour, yields: int) -> None:
    """Cancelled after so many turns of the loop, wherever that is."""
    await harbour.networks.create({"Name": "red"})
    port = free_port()
    it = harbour.container("one", "red", PortBindings=ports(tcp80=f":{port}"))
    task = asyncio.ensure_future(harbour.networks.join(it))
    for _ in range(yields):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rows(harbour) == []
    assert not (harbour.options.run_root / "netns" / it.id).exists()
    await harbour.networks.join(it)
    assert it.networks["red"]["IPAddress"]


async def test_a_failed_connect_leaves_the_container_as_it_was(harbour: Harbour) -> None:
    """A link called eth1 is there already: the kernel refuses the second."""
    await harbour.networks.create({"Name": "red"})
    one = await harbour.start("one")
    before, held = dict(one.networks), rows(harbour)
    with Namespace.open(harbour.options.run_root / "netns" / one.id) as inside:
        inside.run(lambda: _dummy("eth1"))
    with pytest.raises(BayError, match="failed to connect container one to network red"):
        await harbour.networks.connect("red", one, {})
    assert one.networks == before
    assert rows(harbour) == held
    assert (await harbour.networks.inspect("red"))["Containers"] == {}


async def test_after_a_reboot_everything_is_made_again(harbour: Harbour) -> None:
    await harbour.networks.create({"Name": "red"})
    one = await harbour.start("one", "red", PortBindings=ports(tcp80=f":{free_port()}"))
    await harbour.networks.purge()
    # What a pin on a file system that survives looks like after a boot.
    (harbour.options.run_root / "netns" / one.id).touch()
    networks = await harbour.again()
    await networks.reconcile(set())
    assert rows(harbour) == []
    assert list((harbour.options.run_root / "netns").iterdir()) == []
    await networks.join(one)
    assert one.networks["red"]["IPAddress"]


async def test_restarts_and_reconnections_at_once_meet_nothing_of_the_last(
    harbour: Harbour,
) -> None:
    """The kernel takes the old pair away a while after its namespace: its name, MAC and address
    must not be in the way of the next."""
    subnet = free_subnet()
    ipam = {"Config": [{"Subnet": str(subnet)}]}
    await harbour.networks.create({"Name": "red", "IPAM": ipam})
    await harbour.networks.create({"Name": "blue"})
    wanted = {"IPAMConfig": {"IPv4Address": str(subnet[9])}, "MacAddress": "02:00:00:00:00:09"}
    two = await harbour.start("two", "red")
    one = await harbour.start("one", "red", networking={"red": wanted})
    for _ in range(10):
        await harbour.networks.leave(one.id)
        await harbour.networks.join(one)
        await harbour.networks.connect("blue", one, {})
        await harbour.networks.disconnect("blue", one)
        with harbour.listen(one) as server:
            connect = lambda: socket.create_connection((str(subnet[9]), 80), 60)  # noqa: E731
            with harbour.inside(two, connect) as client, server.accept()[0] as accepted:
                client.sendall(b"ahoy")
                assert accepted.recv(16) == b"ahoy"


async def test_strays_are_cleared(harbour: Harbour) -> None:
    """Links of a join that was killed before its rows were read again."""
    one = await harbour.start("one")
    for table in ("endpoints", "leases"):
        harbour.db.execute(f"DELETE FROM {table}")
    networks = await harbour.again()
    await networks.reconcile(set())
    assert [link for link in links(harbour.options) if "v" in link.removeprefix("link ")] == []
    assert not (harbour.options.run_root / "netns" / one.id).exists()


def _dummy(name: str) -> None:
    from bayplan.netns import messages as m

    inner = Netlink()
    kind = {"attrs": [("IFLA_INFO_KIND", "bridge")]}
    flags = m.NLM_F_CREATE | m.NLM_F_EXCL
    attrs = [("IFLA_IFNAME", name), ("IFLA_LINKINFO", kind)]
    inner.request(m.message(m.ifinfmsg, m.RTM_NEWLINK, flags, attrs))
    assert bridge.default_links(inner) != {name}
    inner.close()
