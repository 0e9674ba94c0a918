"""All networks, endpoints and published ports: in memory, written through to the journal.

Decisions are made here, in the event loop's thread and without waiting, so that no two callers
can be given the same address; only the rows are written in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Protocol

from ..host.errors import InvalidError, NotFoundError
from .ipam import Addresses, AnyNetwork, mac_for
from .netjournal import Journal
from .netmodel import IFNAME, SYSCTLS, Endpoint, Network, PortRow, endpoint_sysctls, new_id
from .types import Container, Json


class Roster(Protocol):
    """What is used of `core.roster.Roster`."""

    def find(self, ref: str) -> Container:
        """The container of that name, id or prefix; raises NotFoundError."""

    def all(self) -> list[Container]:
        """Every container."""

    async def save(self, container: Container) -> None:
        """Write what has changed of it."""


class NetState:
    """What there is, and who has what of it."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.networks: dict[str, Network] = {}
        self.endpoints: dict[str, list[Endpoint]] = {}
        self.ports: dict[str, list[PortRow]] = {}
        # The first digits of their ids, which name links of the host.
        self._digits: set[str] = set()
        self._addresses: dict[tuple[str, int], Addresses] = {}
        self._versions: dict[str, int] = {}

    def load(self) -> None:
        """Read the journal; blocks."""
        for network in self.journal.networks():
            self.add_network(network)
        for endpoint in self.journal.endpoints():
            self.endpoints.setdefault(endpoint.container, []).append(endpoint)
            self._digits.add(endpoint.id[:7])
            for address in endpoint.addresses:
                pool = self._addresses.get((endpoint.network, 6 if ":" in address else 4))
                if pool is not None:
                    pool.mark(address)
        for port in self.journal.ports():
            self.ports.setdefault(port.container, []).append(port)

    def add_network(self, network: Network) -> None:
        """Have this network in memory; its row is the caller's."""
        self.networks[network.id] = network
        for version in (4, 6):
            pool = network.pool(version)
            if pool is not None:
                self._addresses[network.id, version] = Addresses(pool)

    def drop_network(self, network: Network) -> None:
        """Have it in memory no longer."""
        self.networks.pop(network.id, None)
        self._versions.pop(network.id, None)
        for version in (4, 6):
            self._addresses.pop((network.id, version), None)

    def all(self) -> list[Network]:
        """Every network; a copy, as requests are validated in threads."""
        return list(self.networks.values())

    def find(self, ref: str) -> Network:
        """The network of that name, id, or prefix of an id. Raises NotFoundError."""
        for network in self.all():
            if ref == network.name:
                return network
        hits = [key for key in self.networks if ref and key.startswith(ref)]
        if len(hits) == 1:
            return self.networks[hits[0]]
        if hits:
            raise InvalidError(
                f"network {ref} is ambiguous ({len(hits)} matches found on ID prefix)"
            )
        raise NotFoundError(f"network {ref} not found")

    def has(self, name: str) -> bool:
        """Whether a network is called so."""
        return any(network.name == name for network in self.all())

    def on(self, network: str) -> list[Endpoint]:
        """The endpoints on the network with that id."""
        return [
            endpoint
            for endpoints in self.endpoints.values()
            for endpoint in endpoints
            if endpoint.network == network
        ]

    def version(self, network: str) -> int:
        """A number that is another one whenever who is on the network, or called what, changed."""
        return self._versions.get(network, 0)

    def touch(self, network: str) -> None:
        """Something about a network's members is new."""
        self._versions[network] = self._versions.get(network, 0) + 1

    def subnets(self) -> list[AnyNetwork]:
        """The subnets of every network."""
        return [ip_network(pool.subnet) for network in self.all() for pool in network.pools]

    def take(self, network: Network, container: str, settings: Json, prefix: str) -> Endpoint:
        """A new endpoint of the container, with free addresses or those `settings` ask for.

        Raises ForbiddenError when they are taken.
        """
        key = self._new_key()
        own = self.endpoints.setdefault(container, [])
        wanted = settings.get("IPAMConfig") or {}
        taken: list[tuple[int, str]] = []
        try:
            for version, field in ((4, "IPv4Address"), (6, "IPv6Address")):
                pool = self._addresses.get((network.id, version))
                if pool is not None:
                    taken.append((version, pool.take(str(wanted.get(field) or ""))))
        except BaseException:
            for version, address in taken:
                self._addresses[network.id, version].free(address)
            if not own:
                del self.endpoints[container]
            raise
        addresses = dict(taken)
        used = {endpoint.link for endpoint in own}
        options = settings.get("DriverOpts") or {}
        link = str(options.get(IFNAME) or "")
        if link in used:
            link = ""
        link = link or next(n for number in range(1000) if (n := f"eth{number}") not in used)
        endpoint = Endpoint(
            id=key,
            network=network.id,
            container=container,
            link=link,
            # A macvlan link has no end on the host.
            host_link=f"{prefix}v{key[:7]}" if network.driver == "bridge" else "",
            mac=str(settings.get("MacAddress") or "") or mac_for(next(iter(addresses.values()))),
            ipv4=addresses.get(4, ""),
            ipv6=addresses.get(6, ""),
            link_local=[str(it) for it in wanted.get("LinkLocalIPs") or []],
            sysctls=endpoint_sysctls(str(options.get(SYSCTLS) or "")),
        )
        own.append(endpoint)
        self._digits.add(key[:7])
        self.touch(network.id)
        return endpoint

    def _new_key(self) -> str:
        """An id whose first digits, which name a link of the host, no other endpoint has."""
        while (key := new_id())[:7] in self._digits:
            pass
        return key

    def free(self, endpoints: Iterable[Endpoint]) -> None:
        """These endpoints are gone: their addresses may be given to others."""
        for endpoint in list(endpoints):
            self.touch(endpoint.network)
            for address in endpoint.addresses:
                pool = self._addresses.get((endpoint.network, 6 if ":" in address else 4))
                if pool is not None:
                    pool.free(address)
            own = self.endpoints.get(endpoint.container, [])
            if endpoint in own:
                own.remove(endpoint)
                self._digits.discard(endpoint.id[:7])
            if not own:
                self.endpoints.pop(endpoint.container, None)

    def known(self) -> set[str]:
        """The ids of all containers that have an endpoint or a port."""
        return set(self.endpoints) | set(self.ports)
