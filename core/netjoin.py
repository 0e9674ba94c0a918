"""A container's way onto its networks and off them again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from ..host.errors import BayError, ConflictError, NotFoundError
from ..host.threads import offload
from ..netns import namespace
from . import netcheck, netconfig, netlinks, netviews, portspecs
from .netdns import Dns
from .netkernel import NetKernel
from .netmodel import HOST_BINDING, Endpoint, Network, PortRow, new_id
from .netstate import NetState, Roster
from .options import Options
from .portclaims import PortClaims, PortTakenError, process_on
from .portproxies import PortProxies
from .types import Container, Json

# A port that was let go is still held by a program that was being started just then, until its
# exec(2): such a holder listens on nothing and is gone in a moment.
_RETRIES = 5
_PAUSE = 0.05  # seconds


class Joining:
    """Joins and leaves, over the engine's one state, kernel side and claims."""

    def __init__(
        self,
        state: NetState,
        kernel: NetKernel,
        options: Options,
        events: Any,
        roster: Roster,
        dns: Dns,
    ) -> None:
        self.state = state
        self.kernel = kernel
        self.options = options
        self.events = events
        self.roster = roster
        self.dns = dns
        self.claims = PortClaims()
        self.proxies = PortProxies()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def lock(self, container: str) -> asyncio.Lock:
        """Held over every change of this container's networks."""
        return self._locks.setdefault(container, asyncio.Lock())

    async def join(self, container: Container) -> str | None:
        """Give a starting container its network: the path of its namespace, None for the host's.

        `container.networks` has addresses and ids afterwards. Everything is undone on an error:
        NotFoundError, ForbiddenError or PortTakenError in Docker's words, or the kernel's.
        """
        chosen = netcheck.mode(container)
        if chosen == "host":
            container.networks = {"host": self._plain("host", container)}
            return None
        if chosen.startswith("container:"):
            return await self._shared(container, chosen.partition(":")[2])
        async with self.lock(container.id):
            if container.id in self.state.endpoints or container.id in self.state.ports:
                await self._leave(container.id)
            try:
                return str(await self._join(container, chosen))
            except OSError as error:
                await self._leave(container.id)
                raise BayError(
                    f"failed to set up the network of container {container.name}: {error}"
                ) from error
            except BaseException:
                await self._leave(container.id)
                raise

    async def leave(self, container: str) -> None:
        """Take a container off everything; idempotent, and fast: the kernel clears up behind."""
        async with self.lock(container):
            await self._leave(container)

    async def _leave(self, container: str) -> None:
        endpoints = list(self.state.endpoints.get(container, []))
        # First of all: a firewall put back meanwhile must not have them again.
        rows = self.state.ports.pop(container, [])
        self.dns.drop(container)
        self.proxies.stop(container)

        def journal() -> None:
            if endpoints or rows:
                self.state.journal.drop_container(container)

        links = [item.host_link for item in endpoints]
        await self.kernel.unmake(container, links, rows, after=journal)
        self.claims.release(container)
        self.state.free(endpoints)
        for endpoint in endpoints:
            network = self.state.networks.get(endpoint.network)
            if network is not None:
                self.emit("disconnect", network, container)
        await self._rest(container)

    def ports(self, container: Container) -> Json:
        """Docker's `NetworkSettings.Ports` of a container."""
        rows = self.state.ports.get(container.id, [])
        if netcheck.mode(container) in ("host", "none"):
            return {}
        return netviews.ports(portspecs.keys(container.config, container.host_config), rows)

    def _plain(self, name: str, container: Container) -> Json:
        """The settings of a container in mode host or none: an id and nothing else."""
        filled = netviews.settings(container.networks.get(name), self.state.find(name), None)
        filled["EndpointID"] = new_id()
        return filled

    async def _shared(self, container: Container, ref: str) -> str | None:
        """The namespace of the container whose network this one shares."""
        other = self.roster.find(ref)
        if not other.state.running:
            raise ConflictError(f"cannot join network of a non running container: {other.id}")
        container.networks = {}
        if netcheck.mode(other) == "host":
            return None
        if netcheck.mode(other).startswith("container:"):
            return await self._shared(container, netcheck.mode(other).partition(":")[2])
        path = self.kernel.path(other.id)
        if not await offload(namespace.is_pinned, path):
            raise ConflictError(f"cannot join network of a non running container: {other.id}")
        return str(path)

    async def _join(self, container: Container, chosen: str) -> Path:
        if chosen == "none":
            container.networks = {"none": self._plain("none", container)}
            return (await self.kernel.make(container.id, [], []))[0]
        wanted = container.networks or {chosen: {}}
        plan = [(self._find_for(container, name), settings) for name, settings in wanted.items()]
        for network, _ in plan:
            netconfig.refuse(network)
        prefix = self.options.link_prefix
        members = [
            (network, self.state.take(network, container.id, settings or {}, prefix))
            for network, settings in plan
        ]
        way_out = gateway_of(members, wanted)
        rows = await self.claim(container, way_out)
        self.state.ports[container.id] = rows
        container.networks = {
            network.name: self.filled(container, network, endpoint, wanted.get(network.name))
            for network, endpoint in members
        }
        ends = [
            (network.segment(), endpoint.attachment(network, gateway=network is way_out[0]))
            for network, endpoint in members
        ]

        def journal() -> None:
            self.state.journal.add([endpoint for _, endpoint in members], rows)

        path, sockets = await self.kernel.make(
            container.id, ends, rows, before=journal, inside=self.dns.opener(container)
        )
        if sockets is not None:
            self.dns.serve(container, sockets)
        self.proxies.start(self.claims.of(container.id), rows)
        await netlinks.update(self.roster, container, self.options)
        for network, _ in members:
            self.emit("connect", network, container.id)
        return path

    def _find_for(self, container: Container, name: str) -> Network:
        """The network by name; by id when it was made anew since, which Docker refuses too."""
        settings = container.networks.get(name) or {}
        key = settings.get("NetworkID")
        if key and key in self.state.networks:
            return self.state.networks[key]
        try:
            return self.state.find("bridge" if name == "default" else name)
        except NotFoundError:
            raise NotFoundError(
                f"network {name} not found: create it, or remove container {container.name}"
            ) from None

    async def claim(self, container: Container, way_out: tuple[Network, Endpoint]) -> list[PortRow]:
        """Hold the ports to publish. Raises PortTakenError with Docker's sentence."""
        network, endpoint = way_out
        specs = portspecs.wanted(container.config, container.host_config)
        if network.internal or network.driver != "bridge" or not specs:
            return []  # what is on the user's own link is reached there, by its address
        hosts = self._default_hosts(network, endpoint)
        for left in reversed(range(_RETRIES)):
            try:
                claims = self.claims.claim(container.id, specs, hosts)
                break
            except BayError as error:
                other = ""
                if isinstance(error, PortTakenError) and not error.owner:
                    other = await offload(process_on, error.protocol, error.port)
                    if left and not other:
                        await asyncio.sleep(_PAUSE)
                        continue
                sentence = "driver failed programming external connectivity on endpoint"
                text = f"{sentence} {container.name} ({endpoint.id}): {self._named(str(error))}"
                error.args = (f"{text} ({other})" if other else text,)
                raise
        return [
            self.aimed(
                PortRow(
                    claim.protocol, claim.host, claim.port, container.id, "", claim.target_port
                ),
                endpoint,
            )
            for claim in claims
        ]

    def _default_hosts(self, network: Network, endpoint: Endpoint) -> list[str]:
        """The addresses a port is published on that names none: the network's or the engine's."""
        chosen = network.options.get(HOST_BINDING) if network.user_defined else ""
        chosen = chosen or self.options.publish_on
        if chosen != "0.0.0.0":
            return [chosen]
        return [chosen, "::"] if endpoint.ipv4 else ["::"]

    def aimed(self, row: PortRow, endpoint: Endpoint) -> PortRow:
        """The port, leading to this endpoint."""
        target = endpoint.ipv6 if ":" in row.host and endpoint.ipv6 else endpoint.ipv4
        return dataclasses.replace(row, target=target or endpoint.ipv6)

    def _named(self, text: str) -> str:
        """`text` with containers called by their names, where it has their short ids."""
        for container in self.roster.all():
            text = text.replace(f"container {container.id[:12]} ", f"container {container.name} ")
        return text

    def filled(
        self, container: Container, network: Network, endpoint: Endpoint, given: Json | None
    ) -> Json:
        """Docker's settings of an endpoint, names included."""
        filled = netviews.settings(given, network, endpoint)
        self.state.touch(network.id)
        if network.user_defined:
            filled["DNSNames"] = netviews.dns_names(container, given or {})
        return filled

    async def _rest(self, key: str) -> None:
        """Take the addresses out of a stopped container's settings."""
        with contextlib.suppress(NotFoundError):
            container = self.roster.find(key)
            if any(item.get("EndpointID") for item in container.networks.values()):
                container.networks = {
                    name: netviews.rest(item) for name, item in container.networks.items()
                }
                await self.roster.save(container)

    def emit(self, action: str, network: Network, container: str = "") -> None:
        """Publish a network event."""
        self.events.emit("network", action, network.id, netviews.event(network, container))


def gateway_of(members: list[tuple[Network, Endpoint]], settings: Json) -> tuple[Network, Endpoint]:
    """The endpoint that is the container's way out: by priority, not internal, then by name."""

    def order(member: tuple[Network, Endpoint]) -> tuple[int, bool, str]:
        network = member[0]
        priority = int((settings.get(network.name) or {}).get("GwPriority") or 0)
        return (-priority, network.internal, network.name)

    return min(members, key=order)
