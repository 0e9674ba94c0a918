"""What every network is doing now, for front-ends: members, addresses, ports, bytes per second."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import socket
import time
from collections.abc import AsyncIterator

from ..host.threads import offload
from ..netns.counters import Counters, CounterSocket
from ..netns.namespace import Namespace
from ..netns.netlink import ignoring
from .netjoin import gateway_of
from .netkernel import NetKernel
from .netmodel import Endpoint, Network
from .netstate import NetState, Roster
from .types import Container, Json

# Seconds: rates over less would jump, over more would be history.
_SHORTEST, _LONGEST = 0.5, 15.0
_INTERVAL = 1.0


@dataclasses.dataclass
class _Reading:
    """An endpoint's counters at a time (seconds, monotonic), and the rates up to then."""

    at: float
    counters: Counters
    rates: Json | None = None


@dataclasses.dataclass(frozen=True)
class Cable:
    """A container's interface and the link on the host that is its other end."""

    container: str
    interface: str
    host_link: str


class NetLive:
    """Reads on demand and keeps the last reading, from which rates are made; costs nothing idle."""

    def __init__(self, state: NetState, kernel: NetKernel, roster: Roster) -> None:
        self._state = state
        self._kernel = kernel
        self._roster = roster
        self._counters = CounterSocket()
        self._last: dict[str, _Reading] = {}
        # Of the links on the host: their index by name, their last numbers by index.
        self._indexes: dict[str, int] = {}
        self._known: dict[int, tuple[bytes, dict[str, int]]] = {}

    def close(self) -> None:
        """Close the socket."""
        self._counters.close()

    def cables(self) -> list[Cable]:
        """Every cable there is now, for `counters`."""
        return [
            Cable(it.container, it.link, it.host_link)
            for items in self._state.endpoints.values()
            for it in items
            if it.host_link
        ]

    def counters(self, cables: list[Cable]) -> dict[str, dict[str, dict[str, int]]]:
        """Docker's counters by container and interface, of one query for all; blocks.

        A container has none here when one of its links is not on the host.
        """
        every = self._counters.raw()
        if len(self._known) > 2 * len(every):
            self._known.clear()
        if len(self._indexes) > 2 * len(every):
            self._indexes.clear()
        found: dict[str, dict[str, dict[str, int]]] = {}
        for cable in cables:
            index = self._index(cable.host_link, every)
            if index:
                found.setdefault(cable.container, {})[cable.interface] = self._docker(
                    index, every[index]
                )
        return found

    def _index(self, link: str, every: dict[int, bytes]) -> int:
        """The index of a link of this host that has counters in `every`; 0 for none.

        Asked of the kernel once: the list of all links takes it longer than all their counters.
        """
        index = self._indexes.get(link, 0)
        if index not in every:
            self._indexes.pop(link, None)
            try:
                index = socket.if_nametoindex(link)
            except OSError:
                return 0
            if index not in every:
                return 0
            self._indexes[link] = index
        return index

    def _docker(self, index: int, numbers: bytes) -> dict[str, int]:
        """Docker's counters of what is at the other end; the same object while none has changed."""
        known = self._known.get(index)
        if known is None or known[0] != numbers:
            it = Counters.of(numbers)
            # What the host's end sends, the container's receives.
            counters = {
                "rx_bytes": it.tx_bytes,
                "rx_packets": it.tx_packets,
                "rx_errors": it.tx_errors,
                "rx_dropped": it.tx_dropped,
                "tx_bytes": it.rx_bytes,
                "tx_packets": it.rx_packets,
                "tx_errors": it.rx_errors,
                "tx_dropped": it.rx_dropped,
            }
            known = self._known[index] = numbers, counters
        return known[1]

    async def read(self) -> list[Json]:
        """Every network as docs/api-bay.md has it. Rates are null until there are two readings."""
        endpoints = [it for items in self._state.endpoints.values() for it in items]
        found = await offload(self._read, endpoints)
        now = time.monotonic()
        self._last = {
            key: _advanced(self._last.get(key), counters, now) for key, counters in found.items()
        }
        people = {it.id: it for it in self._roster.all()}
        networks = sorted(self._state.all(), key=lambda it: it.name)
        return [self._network(it, people) for it in networks]

    async def stream(self) -> AsyncIterator[list[Json]]:
        """`read` once a second, for ever."""
        while True:
            yield await self.read()
            await asyncio.sleep(_INTERVAL)

    def _read(self, endpoints: list[Endpoint]) -> dict[str, Counters]:
        """The counters of endpoints by id, as their containers see them; blocks."""
        every = self._counters.all()
        indexes = {name: index for index, name in socket.if_nameindex()}
        found: dict[str, Counters] = {}
        for endpoint in endpoints:
            index = indexes.get(endpoint.host_link, 0)
            if index in every:
                found[endpoint.id] = every[index].turned()
            elif not endpoint.host_link:
                # All of a macvlan link is inside.
                with ignoring(errno.ENOENT, errno.EINVAL, errno.ENODEV):
                    found[endpoint.id] = self._inside(endpoint)
        return found

    def _inside(self, endpoint: Endpoint) -> Counters:
        with Namespace.open(self._kernel.path(endpoint.container)) as inside:
            reader = inside.run(CounterSocket)
            try:
                return reader.one(inside.netlink.index(endpoint.link))
            finally:
                reader.close()

    def _network(self, network: Network, people: dict[str, Container]) -> Json:
        members = [self._member(it, people.get(it.container)) for it in self._state.on(network.id)]
        return {
            "Id": network.id,
            "Name": network.name,
            "Driver": network.driver,
            "Link": network.link,
            "Mtu": network.mtu,
            "Internal": network.internal,
            "Subnets": [{"Subnet": it.subnet, "Gateway": it.gateway} for it in network.pools],
            "Members": sorted(members, key=lambda it: str(it["Name"])),
        }

    def _member(self, endpoint: Endpoint, owner: Container | None) -> Json:
        others = [
            (self._state.networks[it.network], it)
            for it in self._state.endpoints.get(endpoint.container, [])
        ]
        way_out = gateway_of(others, owner.networks if owner else {})[1] if others else None
        last = self._last.get(endpoint.id)
        addresses = {endpoint.ipv4, endpoint.ipv6}
        return {
            "Container": endpoint.container,
            "Name": owner.name if owner else "",
            "Endpoint": endpoint.id,
            "Interface": endpoint.link,
            "HostInterface": endpoint.host_link,
            "MacAddress": endpoint.mac,
            "IPv4Address": endpoint.ipv4,
            "IPv6Address": endpoint.ipv6,
            "IsGateway": way_out is endpoint,
            "Ports": [
                {
                    "Protocol": row.protocol,
                    "HostIp": row.host,
                    "HostPort": row.host_port,
                    "Port": row.target_port,
                }
                for row in self._state.ports.get(endpoint.container, [])
                if row.target in addresses
            ],
            "Counters": dataclasses.asdict(last.counters) if last else None,
            "Rates": last.rates if last else None,
        }


def _advanced(last: _Reading | None, counters: Counters, now: float) -> _Reading:
    """The next reading: with rates since the last one, or the last one while it is too young."""
    if last is None or now - last.at > _LONGEST:
        return _Reading(now, counters)
    seconds = now - last.at
    if seconds < _SHORTEST:
        return last
    names = ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets")
    rates = {
        name: round(max(0, getattr(counters, name) - getattr(last.counters, name)) / seconds, 1)
        for name in names
    }
    return _Reading(now, counters, rates)
