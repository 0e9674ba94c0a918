"""The HTTP side of the engine: sockets in, one dispatch, Docker's headers and errors out."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import logging
import os
import socket
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..host import migration
from ..host.acceptor import Acceptor
from ..host.errors import BayError, InvalidError, NoSpaceError, sentence
from . import connection, replies, versions
from .call import Call
from .hijack import Hijacked
from .router import Route, clean_path, router, split_version
from .shortage import told

if TYPE_CHECKING:
    from ..core.engine import Engine
    from .listeners import TlsDoor

log = logging.getLogger("bay.api")

GROUP = "bay"
BACKLOG = 512
# How long requests under way may take to end when the engine stops.
GRACE = 2.0
# A create request with files in its labels is some megabytes; streams have no limit.
LARGEST_BODY = 16 << 20


class Server:
    """Serves one engine on its sockets. `stopping` is set when a client asks it to end.

    `purging` says that nothing of the engine is to be left at its end.
    """

    def __init__(self, engine: Engine, version: str, stopping: asyncio.Event) -> None:
        from . import routes  # fills the table of routes

        routes.load()
        self.engine = engine
        self.version = version
        self.stopping = stopping
        self.purging = False
        self.headers = {
            "Api-Version": versions.CURRENT,
            "Docker-Experimental": "false",
            "Ostype": "linux",
            "Server": f"Bayplan/{version} (linux)",
        }
        self._streams: set[asyncio.Task[Any]] = set()
        self._changes: set[asyncio.Task[Any]] = set()
        # Cancelled on hang-up: a follower of logs must not outlive its reader.
        self._http = connection.Server(
            self._serve,
            request_factory=_request,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
        )
        self._listeners: list[tuple[Acceptor, socket.socket]] = []
        self._arriving: set[asyncio.Task[Any]] = set()
        self._doors: list[tuple[TlsDoor, asyncio.Task[None]]] = []
        # Where else than on its unix socket it is reached.
        self.addresses: list[str] = []

    async def listen(self, sockets: list[socket.socket], doors: Sequence[TlsDoor] = ()) -> None:
        """Accept on these listening sockets, and through these doors, from now on."""
        for one in sockets:
            one.listen(BACKLOG)
            self._listeners.append((Acceptor(one, self._arrived, "the API"), one))
        for door in doors:
            log.info("serves %s to clients with a certificate", door.address)
            self.addresses.append(door.address)
            self._doors.append((door, asyncio.create_task(door.serve(self._http))))

    async def close(self) -> None:
        """Accept nothing more, end every stream, give changes under way `GRACE` seconds."""
        for acceptor, one in self._listeners:
            acceptor.close()
            one.close()
        for door, accepting in self._doors:
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)
            door.close()
        for task in self._streams:
            task.cancel()
        if self._changes:
            await asyncio.wait(self._changes, timeout=GRACE)
        # A kept connection without a request would be waited for, too.
        self._http.pre_shutdown()
        await self._http.shutdown(GRACE)

    def _arrived(self, accepted: socket.socket) -> None:
        migration.expect()
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(self._http, accepted))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def decorate(self, response: web.StreamResponse) -> None:
        """Put Docker's headers on an answer."""
        for name, value in self.headers.items():
            response.headers.setdefault(name, value)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._answer(request)
        if isinstance(request.protocol, connection.Connection) and request.protocol.is_last():
            response.force_close()
        if not response.prepared:
            self.decorate(response)
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            clean = clean_path(request.path)
            if clean != request.path:
                return replies.moved(clean, request.rel_url.raw_query_string)
            version, path = split_version(request.path)
            negotiated = versions.negotiate(version)
            found = router.find(request.method, path)
            if found is None:
                return replies.failure("page not found", 404)
            route, places = found
            if "%00" in request.raw_path:
                # The kernel's strings end there: in a name or a path it can mean nothing.
                raise InvalidError("a NUL byte (%00) is in the request's path or parameters")
            if request.headers.get("Expect", "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.writer.output_size = 0
            call = Call(request, self.engine, self, places, negotiated)
            return await self._run(route, call)
        except BayError as error:
            if error.status == 500:
                log.warning("%s %s: %s", request.method, request.path, error)
            await _take_rest(request)
            return replies.failure(told(error, self.engine.options.root), error.status)
        except web.RequestPayloadError as error:
            return replies.failure(f"the request's body was cut short: {error}", 400)
        except web.HTTPException as error:  # aiohttp's own: a body over its limit
            return replies.failure(error.reason, error.status)
        except OSError as error:
            if isinstance(error, ConnectionError) and _is_gone(request):
                log.debug("%s %s: the client is gone", request.method, request.path)
                return Hijacked()
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                log.warning("%s %s: %s", request.method, request.path, error)
                full = NoSpaceError(sentence(error))
                return replies.failure(told(full, self.engine.options.root), full.status)
            log.exception("%s %s", request.method, request.path)
            return replies.failure(f"{request.method} {request.path}: {sentence(error)}", 500)
        except Exception as error:  # the border: only a sentence goes out
            log.exception("%s %s", request.method, request.path)
            kind = type(error).__name__
            return replies.failure(
                f"internal error ({kind}); the engine's log has the details", 500
            )

    async def _run(self, route: Route, call: Call) -> web.StreamResponse:
        if route.streaming:
            self._is_stream(call.request)
            task = asyncio.current_task()
            assert task is not None
            self._streams.add(task)
            try:
                return await route.handler(call)
            finally:
                self._streams.discard(task)
        coroutine: Coroutine[Any, Any, web.StreamResponse] = _as_coroutine(route, call)
        task = asyncio.create_task(coroutine)
        self._changes.add(task)
        task.add_done_callback(self._settled)
        return await asyncio.shield(task)

    def _is_stream(self, request: web.BaseRequest) -> None:
        protocol = request.protocol
        if isinstance(protocol, connection.Connection):
            protocol.is_stream = True
            if protocol.has_ended and request.transport is not None:
                request.transport.close()

    def _settled(self, task: asyncio.Task[Any]) -> None:
        self._changes.discard(task)
        # A change whose client is gone still went wrong: that is told in the log.
        if not task.cancelled() and task.exception() is not None:
            log.debug("a change failed: %s", task.exception())


async def _as_coroutine(route: Route, call: Call) -> web.StreamResponse:
    return await route.handler(call)


def unix_socket(path: Path) -> socket.socket:
    """A listening unix socket at `path`, mode 0660, of group `bay` where that group exists.

    A socket file left by an engine that died is replaced: the caller holds the engine's lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        one.bind(str(temporary))
        # Under its real name only when its mode is right and it is listening.
        temporary.chmod(0o660)
        with contextlib.suppress(KeyError):
            os.chown(temporary, 0, grp.getgrnam(GROUP).gr_gid)
        one.listen(BACKLOG)
        temporary.rename(path)
        one.setblocking(False)
        return one
    except BaseException:
        one.close()
        raise


def inherited_sockets() -> list[socket.socket]:
    """The sockets systemd passed (sd_listen_fds(3)); none when it did not start us."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    sockets = []
    for fd in range(3, 3 + count):
        os.set_inheritable(fd, False)
        one = socket.socket(fileno=fd)
        one.setblocking(False)
        sockets.append(one)
    return sockets


def _is_gone(request: web.BaseRequest) -> bool:
    """Whether nobody waits for the answer any more."""
    return request.transport is None or request.transport.is_closing()


async def _take_rest(request: web.BaseRequest) -> None:
    """Read on for a moment, as Go's server does before an early answer.

    Go's clients complain of a broken pipe when they are refused while they still send.
    """
    left = 256 << 10
    with contextlib.suppress(TimeoutError, ConnectionError, web.PayloadAccessError):
        async with asyncio.timeout(0.5):
            while left > 0 and not request.content.at_eof():
                left -= len(await request.content.readany())


def _request(
    message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]
) -> web.BaseRequest:
    """A request that may have a large body: aiohttp's own limit is a megabyte."""
    loop = asyncio.get_running_loop()
    protocol.payload, protocol.is_stream = payload, False
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=LARGEST_BODY
    )
