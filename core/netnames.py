"""Who a name means to a container on user networks; reads the state, changes nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator

from ..host.errors import BayError
from . import netlinks
from .netmodel import Endpoint, Network
from .netstate import NetState, Roster
from .types import Container


class Names:
    """Names, aliases and short ids of the containers on each network, and back from addresses."""

    def __init__(self, state: NetState, roster: Roster) -> None:
        self._state = state
        self._roster = roster

    def addresses(self, asking: str, name: str, version: int) -> list[str] | None:
        """The addresses of that IP version `name` has for the container `asking`, shuffled.

        None when nobody is called so on its networks; an empty list when somebody is, without
        such an address.
        """
        asker = self._container(asking)
        name = self._linked(asker, name) if asker is not None else name
        found: list[str] | None = None
        for network, endpoint in self._around(asking):
            if self._is_called(endpoint, network, name):
                address = endpoint.ipv4 if version == 4 else endpoint.ipv6
                found = [*(found or []), *([address] if address else [])]
        if found:
            random.shuffle(found)
        return found

    def name_of(self, asking: str, address: str) -> str | None:
        """The name of whoever has that address on a network of `asking`: `name.network`."""
        for network, endpoint in self._around(asking):
            if address in (endpoint.ipv4, endpoint.ipv6):
                owner = self._container(endpoint.container)
                return f"{owner.name}.{network.name}" if owner is not None else None
        return None

    def has_way_out(self, container: str) -> bool:
        """Whether it is on a network that is not internal."""
        return any(
            not network.internal
            for endpoint in self._state.endpoints.get(container, [])
            if (network := self._state.networks.get(endpoint.network)) is not None
        )

    def _around(self, asking: str) -> Iterator[tuple[Network, Endpoint]]:
        """Every endpoint on the user networks that `asking` is on."""
        own = {endpoint.network for endpoint in self._state.endpoints.get(asking, [])}
        for key in own:
            network = self._state.networks.get(key)
            if network is not None and network.user_defined:
                for endpoint in self._state.on(key):
                    yield network, endpoint

    def _is_called(self, endpoint: Endpoint, network: Network, name: str) -> bool:
        owner = self._container(endpoint.container)
        if owner is None:
            return False
        if name.endswith("." + network.name.lower()):
            name = name[: -len(network.name) - 1]
        settings = owner.networks.get(network.name) or {}
        return (
            name == owner.name.lower()
            or name == owner.id[:12]
            or name == str(owner.config.get("Hostname") or "").lower()
            or any(name == str(each).lower() for each in settings.get("Aliases") or [])
        )

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
