"""Connections for the screen: what `client` knows of hosts, on asyncio streams."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from ..client.errors import UnreachableError
from ..client.transport import tls_context

if TYPE_CHECKING:
    from ..client.hosts import Host
    from ..client.transport import Link
    from .sshlink import Dialled

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CONNECT = 10.0  # seconds


class Dialer:
    """Opens connections to the engine at `host`, and starts the local one when asked to."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._closing: set[asyncio.Task[None]] = set()
        self._ssh_links: Dialled | None = None

    @property
    def name(self) -> str:
        """How the header calls the engine: the socket's path, or where it is."""
        return self.host.shown

    @property
    def can_start(self) -> bool:
        """Whether this is the engine of this machine, which a client may start."""
        return self.host.local

    def reason(self) -> str:
        """Why the last connection ended, where ssh said so; else ""."""
        return self._ssh_links.reason() if self._ssh_links is not None else ""

    async def start(self) -> None:
        """Start the engine and wait for its socket. Raises UnreachableError when it can't be."""
        from ..client.autostart import answers, start_engine

        # Who may use a running engine need not be root, as starting one needs.
        if not await asyncio.to_thread(answers, self.host.path):
            await asyncio.to_thread(start_engine, self.host)

    async def dial(self) -> Streams:
        """A new connection. Raises UnreachableError with the sentence for the user."""
        host = self.host
        if host.kind == "ssh":
            return await self._ssh()
        try:
            if host.kind == "unix":
                return await asyncio.open_unix_connection(host.path)
            context = tls_context(host.tls) if host.tls else None
            opened = asyncio.open_connection(host.name, host.port, ssl=context)
            streams = await asyncio.wait_for(opened, CONNECT)
            _watch(streams[1].get_extra_info("socket"))
            return streams
        except TimeoutError as error:
            raise UnreachableError(
                f"Cannot connect to the engine at {host}: no answer for {CONNECT:.0f} s"
            ) from error
        except OSError as error:
            reason = error.strerror or str(error)
            if isinstance(error, PermissionError):
                reason = "permission denied: use sudo, or join the group that owns the socket"
            raise UnreachableError(f"Cannot connect to the engine at {host}: {reason}") from error

    async def _ssh(self) -> Streams:
        if self._ssh_links is None:
            from .sshlink import Dialled

            self._ssh_links = Dialled(self.host)
        links = self._ssh_links
        link = await asyncio.to_thread(links.open)
        sock = socket.socket(fileno=link.socket.detach())
        reader, writer = await asyncio.open_connection(sock=sock)
        task = asyncio.create_task(_collect(writer, link, links))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return reader, writer


def _watch(sock: socket.socket) -> None:
    """Have the kernel notice within half a minute that a network is gone (tcp(7))."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 25_000)


async def _collect(writer: asyncio.StreamWriter, link: Link, links: Dialled) -> None:
    """End the ssh process when its connection is closed."""
    try:
        await writer.wait_closed()
    except OSError:
        pass  # it was cut rather than closed: the process goes all the same
    await asyncio.to_thread(links.close, link)
