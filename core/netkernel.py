"""The kernel's side of networking, off the event loop: one host socket, one firewall table."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from ..host.threads import offload
from ..netns import bridge, conntrack, forwarding, macvlan, namespace, sandbox
from ..netns.dnsserver import Sockets
from ..netns.firewall import Contents, Firewall
from ..netns.namespace import Namespace
from ..netns.netlink import Netlink, ignoring
from ..netns.sandbox import Segment
from ..netns.types import Attachment, Bridge, Parent, Publication
from .netmodel import Endpoint, PortRow
from .options import Options

T = TypeVar("T")


class NetKernel:
    """Bridges, namespaces, links and the firewall of one engine. Every method runs in a thread."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._folder = options.run_root / "netns"
        self.host = Netlink()
        try:
            self.firewall = Firewall(options.table)
        except BaseException:
            self.host.close()
            raise

    def path(self, container: str) -> Path:
        """Where a container's namespace is pinned."""
        return self._folder / container

    async def setup(self, bridges: list[Bridge], ports: list[PortRow]) -> None:
        """Make or adopt all bridges and put the firewall in place. Raises OSError or NftError."""

        def work() -> None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o711)
            self.firewall.load(Contents(bridges, publications(ports), forwarding.others()))
            for each in bridges:
                bridge.ensure(self.host, each)

        await whole(offload(work))

    async def allow(self, bridges: list[Bridge]) -> str | None:
        """Get past others' FORWARD rules: see `forwarding.allow`; a warning, if any."""

        def work() -> str | None:
            if self.firewall.beside_firewalld():
                forwarding.trust(it.name for it in bridges)
            return forwarding.allow(_patterns(self._options))

        return await whole(offload(work))

    async def keep_apart(self) -> None:
        """Keep containers from the bridges other engines have now. Raises NftError."""
        await whole(offload(lambda: self.firewall.keep_from(forwarding.others())))

    async def add(self, made: Segment) -> None:
        """Make a bridge and let the firewall know, or a parent. Raises OSError or NftError."""

        def work() -> None:
            if isinstance(made, Parent):
                macvlan.ensure(self.host, made)
                return
            self.firewall.add_bridge(made)
            bridge.ensure(self.host, made)
            if self.firewall.beside_firewalld():
                forwarding.trust([made.name])

        await whole(offload(work))

    async def remove(self, gone: Segment, *, keep_link: bool) -> None:
        """Undo of `add`; `keep_link` for a link that is not ours."""

        def work() -> None:
            if not keep_link:
                bridge.remove(self.host, gone.name)
            if isinstance(gone, Bridge):
                self.firewall.remove_bridge(gone)
                if self.firewall.beside_firewalld():
                    forwarding.distrust([gone.name])

        await whole(offload(work))

    async def make(
        self,
        container: str,
        ends: Sequence[tuple[Segment, Attachment]],
        ports: list[PortRow],
        *,
        before: Callable[[], None] = lambda: None,
        inside: Callable[[Namespace], Sockets | None] = lambda _: None,
    ) -> tuple[Path, Sockets | None]:
        """Make a container's namespace, links and publications. Raises OSError or NftError.

        `before` is called first, and `inside` once the links are there, with the open namespace.
        """
        path = self.path(container)

        def work() -> Sockets | None:
            before()
            namespace.unpin(path)
            with sandbox.make(self.host, path, ends) as made:
                sockets = inside(made)
            try:
                self.firewall.publish(publications(ports))
                self._forget_flows(ports)
            except BaseException:
                if sockets is not None:
                    sockets.close()
                raise
            return sockets

        return path, await whole(offload(work))

    async def unmake(
        self,
        container: str,
        host_links: list[str],
        ports: list[PortRow],
        *,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Take all of it away; idempotent. `after` is called last, when nothing of it is left."""

        def work() -> None:
            self.firewall.unpublish(publications(ports))
            sandbox.unmake(self.host, self.path(container), host_links)
            self._forget_flows(ports)
            after()

        await whole(offload(work))

    async def plug(self, container: str, on: Segment, end: Attachment) -> None:
        """Join a living container to one more segment. Raises OSError."""

        def work() -> None:
            with Namespace.open(self.path(container)) as inside:
                sandbox.plug(self.host, inside, on, end)

        await whole(offload(work))

    async def unplug(self, container: str, endpoint: Endpoint) -> None:
        """Take a living container off a network; idempotent."""

        def work() -> None:
            if endpoint.host_link:
                bridge.detach(self.host, endpoint.host_link)
                return
            with ignoring(errno.ENOENT), Namespace.open(self.path(container)) as inside:
                macvlan.detach(inside, endpoint.link)

        await whole(offload(work))

    async def cut(self, host_link: str) -> None:
        """Delete a link of the host, and with it the end in some namespace."""
        await whole(offload(bridge.detach, self.host, host_link))

    async def set_gateways(self, container: str, end: Attachment | None) -> None:
        """Make this end the container's way out; none is without one."""

        def work() -> None:
            with Namespace.open(self.path(container)) as inside:
                bridge.set_gateways(inside, end)

        await whole(offload(work))

    async def republish(self, old: list[PortRow], new: list[PortRow]) -> None:
        """Lead ports elsewhere, at once. Raises NftError."""

        def work() -> None:
            self.firewall.republish(publications(old), publications(new))
            self._forget_flows([*old, *new])

        await whole(offload(work))

    async def is_plugged(self, container: str, end: Attachment) -> bool:
        """Whether the end is there; one whose bridge was made anew is joined to it again."""

        def work() -> bool:
            if end.host_link:
                return bridge.rejoin(self.host, end)
            try:
                with Namespace.open(self.path(container)) as inside:
                    return inside.netlink.has(end.link)
            except OSError:
                return False

        return await whole(offload(work))

    async def restore(self, bridges: list[Bridge], ports: list[PortRow]) -> bool:
        """Put the firewall back if somebody deleted it: whether it was gone. Raises NftError."""

        def work() -> bool:
            if self.firewall.exists():
                return False
            self.firewall.load(Contents(bridges, publications(ports), forwarding.others()))
            return True

        return await whole(offload(work))

    def _forget_flows(self, ports: list[PortRow]) -> None:
        """Have UDP clients that never pause find the container a port leads to now."""
        numbers = {row.host_port for row in ports if row.protocol == "udp"}
        if numbers:
            # A kernel without ctnetlink cannot be told; flows end by themselves when they pause.
            with ignoring(errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
                conntrack.forget(numbers, bridge.local_addresses(self.host))

    async def pinned(self) -> set[str]:
        """The ids of all containers that have a namespace file."""
        return set(await offload(lambda: {item.name for item in self._folder.iterdir()}))

    async def clear(self, bridges: list[str]) -> None:
        """Take away everything this engine made; what is gone already is no error."""

        def work() -> None:
            for pin in self._folder.iterdir() if self._folder.exists() else ():
                namespace.unpin(pin)
            for name in [*bridges, *links(f"{self._options.link_prefix}v")]:
                bridge.remove(self.host, name)
            if self.firewall.beside_firewalld():
                forwarding.distrust(bridges)
            self.firewall.unload()
            forwarding.forget(_patterns(self._options))

        await whole(offload(work))

    def close(self) -> None:
        """Close both connections; what was made stays."""
        self.firewall.close()
        self.host.close()


def publications(rows: list[PortRow]) -> list[Publication]:
    """What the firewall does of these ports: it cannot turn IPv6 into IPv4, nor [::1] into any."""
    return [
        Publication(
            row.protocol,
            ip_address(row.host),
            row.host_port,
            ip_address(row.target),
            row.target_port,
        )
        for row in rows
        if (":" in row.host) == (":" in row.target)
    ]


async def whole(work: Awaitable[T]) -> T:
    """Await `work` to its end even when cancelled: a thread does not stop half-way.

    Without this the undo of a cancelled step would run beside the step.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait([task])
            task.exception()  # the cancellation is what the caller hears of
        raise


def links(prefix: str) -> list[str]:
    """The host's links whose names start so."""
    return [name for _, name in socket.if_nameindex() if name.startswith(prefix)]


def _patterns(options: Options) -> list[str]:
    return [options.bridge, f"{options.link_prefix}-+"]
