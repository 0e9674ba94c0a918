"""Networks: what containers join when they start and leave when they stop.

Rows are written before what they describe is made, and deleted after it is gone; `reconcile` clears
whatever a crash left between. The kernel's state outlives the engine, which adopts it at `open`.
"""

from __future__ import annotations

import asyncio
import builtins
import logging
from contextlib import AsyncExitStack
from typing import Any

from ..host.errors import BayError, ForbiddenError, NotFoundError
from ..host.threads import offload
from ..netns import bridge, forwarding
from ..netns.types import Bridge
from . import (
    netcheck,
    netconfig,
    netconnect,
    netcreate,
    netdefaults,
    netquery,
    netrepair,
    netviews,
)
from .netdns import Dns
from .netjoin import Joining
from .netjournal import Journal
from .netkeeper import NetKeeper
from .netkernel import NetKernel, links
from .netlive import NetLive
from .netmodel import Network, PortRow
from .netnames import Names
from .netstate import NetState, Roster
from .netturn import choosing
from .options import Options
from .types import Container, Json

_log = logging.getLogger(__name__)


class Networks:
    """All networks of this engine. `open` before anything else, `close` leaves all running."""

    def __init__(self, db: Any, options: Options, events: Any, roster: Roster) -> None:
        self._db = db
        self._options = options
        self._events = events
        self._roster = roster
        self._creating = asyncio.Lock()
        self._stack = AsyncExitStack()
        self.warnings: builtins.list[str] = []

    async def open(self) -> None:
        """Read the journal, make or adopt bridges, put the firewall in place, hold the ports.

        Raises BayError or OSError when this host cannot do it.
        """
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise

    async def _open(self) -> None:
        self._state = NetState(await offload(Journal, self._db))
        await offload(self._state.load)
        self._kernel = await offload(NetKernel, self._options)
        self._stack.callback(self._kernel.close)
        dns = Dns(self._kernel, Names(self._state, self._roster))
        self._stack.callback(dns.close)
        self._joining = Joining(
            self._state, self._kernel, self._options, self._events, self._roster, dns
        )
        self._stack.callback(self._joining.claims.close)
        self.live = NetLive(self._state, self._kernel, self._roster)
        self._stack.callback(self.live.close)
        async with choosing():
            for network in await offload(
                netdefaults.missing, self._state, self._options, self._kernel.host
            ):
                await self._save(network)
            await self._kernel.setup(self._bridges(), self._rows())
        # Two programs of some 10 ms each, in nobody's way.
        self._allowing = asyncio.ensure_future(self._allow())
        self._stack.push_async_callback(asyncio.wait, [self._allowing])
        self._keeper = NetKeeper(
            self._options.table,
            lambda: self._kernel.restore(self._bridges(), self._rows()),
            self._allow,
            self._kernel.keep_apart,
        )
        for row in self._rows():
            held = self._joining.claims.adopt(
                row.container, row.protocol, row.host, row.host_port, row.target_port
            )
            if not held:
                _log.warning("port %s of this host is in use by others too", row.host_port)
        self._stack.callback(self._joining.proxies.close)
        for container, rows in self._state.ports.items():
            self._joining.proxies.start(self._joining.claims.of(container), rows)
        self._stack.push_async_callback(self._keeper.close)

    async def _allow(self) -> None:
        warning = await self._kernel.allow(self._bridges())
        if warning is not None and warning not in self.warnings:
            _log.warning("%s", warning)
        self.warnings = [warning] if warning is not None else []

    async def look_again(self) -> None:
        """Bring `warnings` up to date where no event tells of a change: rules, iptables-legacy."""
        legacy: bool = await offload(forwarding.has_legacy)
        if self.warnings or legacy:
            await self._allow()

    def _bridges(self) -> builtins.list[Bridge]:
        networks = self._state.networks.values()
        return [network.bridge() for network in networks if network.driver == "bridge"]

    def _rows(self) -> builtins.list[PortRow]:
        return [row for rows in self._state.ports.values() for row in rows]

    async def close(self) -> None:
        """Let go of sockets; containers keep their networks and published ports. Idempotent."""
        await self._stack.aclose()

    async def purge(self) -> None:
        """Take every bridge, pin and rule of this engine away; for `bay engine purge`."""
        await asyncio.wait([self._allowing])
        await self._keeper.close()
        bridges = [item for item in self._state.networks.values() if item.link]
        await self._kernel.clear([item.link for item in bridges if not item.adopted])

    def check(self, container: Container, endpoints: Json) -> list[str]:
        """Validate what a new container asks for, note it in `container.networks`: warnings.

        `endpoints` is Docker's `EndpointsConfig`. Raises InvalidError or NotFoundError.
        """
        chosen = netcheck.mode(container)
        if chosen.startswith("container:"):
            # The id, since the other container may be given another name.
            other = self._roster.find(chosen.partition(":")[2])
            container.host_config["NetworkMode"] = f"container:{other.id}"
        return netcheck.check(self._state, container, endpoints)

    async def join(self, container: Container) -> str | None:
        """Give a starting container its network: see `Joining.join`."""
        return await self._joining.join(container)

    async def leave(self, container: str) -> None:
        """Take a container off everything: see `Joining.leave`."""
        await self._joining.leave(container)

    def ports(self, container: Container) -> Json:
        """Docker's `NetworkSettings.Ports` of a container."""
        return self._joining.ports(container)

    def renamed(self, container: Container) -> None:
        """Note a container's new name in `container.networks`; it is found by it at once."""
        for name, settings in container.networks.items():
            if settings.get("DNSNames"):
                settings["DNSNames"] = netviews.dns_names(container, container.networks[name])
        for endpoint in self._state.endpoints.get(container.id, []):
            self._state.touch(endpoint.network)

    async def reconcile(self, alive: set[str]) -> None:
        """Release everything that belongs to a container that is not `alive` (full ids)."""
        for container in (self._state.known() | await self._kernel.pinned()) - alive:
            try:
                await self.leave(container)
            except (BayError, OSError) as error:
                _log.warning("networks of container %s are left over: %s", container[:12], error)
        for container in alive:
            try:
                found = self._roster.find(container)
                await netrepair.repair(self._joining, found)
                await self._joining.dns.ensure(found)
            except (BayError, OSError) as error:
                _log.warning("networks of container %s: %s", container[:12], error)
        ours = {item.host_link for items in self._state.endpoints.values() for item in items}
        for link in links(f"{self._options.link_prefix}v"):
            if link not in ours:
                await self._kernel.cut(link)
        bridges = {item.link for item in self._state.networks.values()}
        for link in links(f"{self._options.link_prefix}-"):
            if link not in bridges:
                await offload(bridge.remove, self._kernel.host, link)

    async def create(self, body: Json) -> Json:
        """Docker's `NetworkCreate`: {"Id", "Warning"}. See `netcreate.build` for the errors."""
        async with self._creating, choosing():
            network = await offload(
                netcreate.build,
                self._state,
                self._options,
                body,
                self._kernel.host,
            )
            network.path_mtu = await offload(netdefaults.path_mtu, self._kernel.host)
            await self._save(network)
            try:
                if not network.config_only:
                    await self._kernel.add(network.segment())
            except BaseException as error:
                await self._forget(network)
                if isinstance(error, OSError):
                    raise BayError(f"failed to create network {network.name}: {error}") from error
                raise
        self._emit("create", network)
        return {"Id": network.id, "Warning": ""}

    async def list(self, filters: netquery.Filters | None = None) -> builtins.list[Json]:
        """Docker's networks that pass the filters."""
        return [netviews.network(it) for it in netquery.select(self._state, filters or {})]

    async def inspect(self, ref: str, scope: str = "") -> Json:
        """Docker's `NetworkInspect`. Raises NotFoundError, so for every scope but `local`."""
        if scope not in ("", "local"):
            raise NotFoundError(f"network {ref} not found")
        network = self._state.find(ref)
        members = {
            endpoint.container: netviews.member(endpoint, network, self._name(endpoint.container))
            for endpoint in self._state.on(network.id)
        }
        if network.driver in ("host", "null"):
            members = {
                it.id: netviews.guest(it, it.networks[network.name])
                for it in self._roster.all()
                if it.state.running and network.name in it.networks
            }
        return netviews.network(network, members)

    async def remove(self, ref: str) -> None:
        """Remove a network. Raises NotFoundError, or ForbiddenError for one in use or built in."""
        network = self._state.find(ref)
        if not network.user_defined:
            raise ForbiddenError(f"{network.name} is a pre-defined network and cannot be removed")
        users = self._state.on(network.id)
        if users:
            names = ", ".join(
                f'name:"{self._name(it.container)}" id:"{it.id[:12]}"' for it in users
            )
            raise ForbiddenError(
                f"error while removing network: network {network.name} has active endpoints "
                f"({names})"
            )
        if netconfig.users(self._state, network):
            raise ForbiddenError(
                f'error while removing network: configuration network "{network.name}" is in use'
            )
        await self._forget(network)
        self._emit("destroy", network)

    def prunable(self, filters: netquery.Filters) -> builtins.list[Network]:
        """The user's networks that nothing runs on. Raises InvalidError for a bad filter."""
        return netquery.prunable(self._state, filters)

    async def prune(self, filters: netquery.Filters | None = None) -> Json:
        """Remove the user's networks nothing runs on: {"NetworksDeleted": [name]}."""
        gone: builtins.list[Network] = []
        for network in self.prunable(filters or {}):
            # Meanwhile somebody may have joined it, or removed it.
            if network.id not in self._state.networks or self._state.on(network.id):
                continue
            await self._forget(network)
            self._emit("destroy", network)
            gone.append(network)
        return {"NetworksDeleted": [network.name for network in gone] or None}

    async def connect(self, ref: str, container: Container, settings: Json) -> None:
        """Put a container on one more network: see `netconnect.connect`."""
        await netconnect.connect(self._joining, self._state.find(ref), container, settings)

    async def disconnect(self, ref: str, container: Container, force: bool = False) -> None:
        """Take a container off a network: see `netconnect.disconnect`; `force` changes nothing."""
        await netconnect.disconnect(self._joining, self._state.find(ref), container)

    async def _forget(self, network: Network) -> None:
        """Remove a network: from memory at once, so that nobody joins it, its row last."""
        self._state.drop_network(network)
        try:
            if not network.config_only:
                await self._kernel.remove(network.segment(), keep_link=network.adopted)
            await offload(self._state.journal.drop_network, network.id)
        except BaseException:
            # Its row is there: as long as that is so it can be seen, and removed once more.
            self._state.add_network(network)
            raise

    def _name(self, container: str) -> str:
        """A container's name, its id where nobody knows it."""
        try:
            return self._roster.find(container).name
        except NotFoundError:
            return container

    def _emit(self, action: str, network: Network) -> None:
        self._joining.emit(action, network)

    async def _save(self, network: Network) -> None:
        await offload(self._state.journal.save_network, network)
        self._state.add_network(network)
