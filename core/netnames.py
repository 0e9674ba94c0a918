"""Who a name means to a container on user networks; reads the state, changes nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..host.errors import BayError
from . import netlinks, netviews
from .netmodel import Endpoint, Network
from .netstate import NetState, Roster
from .types import Container


@dataclass
class _Index:
    """Who is called what on one network, as of a `version` of it: a query costs one look-up."""

    version: int
    suffix: str
    names: dict[str, list[Endpoint]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)


class Names:
    """Names, aliases and short ids of the containers on each network, and back from addresses."""

    def __init__(self, state: NetState, roster: Roster) -> None:
        self._state = state
        self._roster = roster
        self._indexes: dict[str, _Index] = {}

    def addresses(self, asking: str, name: str, version: int) -> list[str] | None:
        """The addresses of that IP version `name` has for the container `asking`, shuffled.

        None when nobody is called so on its networks; an empty list when somebody is, without
        such an address.
        """
        asker = self._container(asking)
        name = self._linked(asker, name) if asker is not None else name
        called: list[Endpoint] = []
        for index in self._around(asking):
            called += index.names.get(name, ())
            if name.endswith(index.suffix):
                called += index.names.get(name[: -len(index.suffix)], ())
        if not called:
            return None
        found = [it.ipv4 if version == 4 else it.ipv6 for it in called]
        found = [address for address in found if address]
        if len(found) > 1:
            random.shuffle(found)
        return found

    def state_of(self, asking: str) -> object:
        """Something that is equal for as long as the answers to `asking` are the same."""
        return [
            (endpoint.network, self._state.version(endpoint.network))
            for endpoint in self._state.endpoints.get(asking, ())
        ]

    def name_of(self, asking: str, address: str) -> str | None:
        """The name of whoever has that address on a network of `asking`: `name.network`."""
        for index in self._around(asking):
            if address in index.owners:
                return index.owners[address]
        return None

    def has_way_out(self, container: str) -> bool:
        """Whether it is on a network that is not internal."""
        return any(
            not network.internal
            for endpoint in self._state.endpoints.get(container, [])
            if (network := self._state.networks.get(endpoint.network)) is not None
        )

    def _around(self, asking: str) -> Iterator[_Index]:
        """The indexes of the user networks that `asking` is on, made anew where out of date."""
        for endpoint in self._state.endpoints.get(asking, ()):
            network = self._state.networks.get(endpoint.network)
            if network is None or not network.user_defined:
                continue
            index = self._indexes.get(network.id)
            version = self._state.version(network.id)
            if index is None or index.version != version:
                index = self._index(network, version)
                kept = {k: v for k, v in self._indexes.items() if k in self._state.networks}
                self._indexes = {**kept, network.id: index}
            yield index

    def _index(self, network: Network, version: int) -> _Index:
        index = _Index(version, "." + network.name.lower())
        for endpoint in self._state.on(network.id):
            owner = self._container(endpoint.container)
            if owner is None:
                continue
            settings = owner.networks.get(network.name) or {}
            for name in netviews.dns_names(owner, settings):
                index.names.setdefault(name.lower(), []).append(endpoint)
            for address in endpoint.addresses:
                index.owners[address] = f"{owner.name}.{network.name}"
        return index

    def _linked(self, asker: Container, name: str) -> str:
        """The container behind a name that `--link` gave it, for this asker only."""
        links = list(asker.host_config.get("Links") or [])
        for settings in asker.networks.values():
            links += settings.get("Links") or []
        for link in links:
            target, alias = netlinks.split(link)
            if name == alias.lower():
                return target.lower()
        return name

    def _container(self, key: str) -> Container | None:
        try:
            return self._roster.find(key)
        except BayError:
            return None
