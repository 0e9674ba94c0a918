"""The engine process: `bay engine`, in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.options import DEFAULT_ROOT, DEFAULT_RUN_ROOT, Options
from ..host.errors import BayError, ConflictError, InvalidError, sentence
from ..host.files import unlink
from ..host.logfile import Bounded
from . import listeners
from .listeners import Listening, TlsDoor

if TYPE_CHECKING:
    from .server import Server

log = logging.getLogger("bay")

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def parse(argv: Sequence[str]) -> tuple[Options, Listening]:
    """The engine's options of a command line, with `BAY_ROOT` and `BAY_RUN_ROOT` as defaults.

    Raises InvalidError for an address it may not listen on.
    """
    environment = os.environ
    parser = argparse.ArgumentParser(
        prog="bay engine", description="Run the engine in the foreground, until SIGTERM."
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=environment.get("BAY_ROOT") or DEFAULT_ROOT,
        metavar="DIR",
        help=f"where images and containers are kept ({DEFAULT_ROOT})",
    )
    parser.add_argument(
        "--run-root",
        type=Path,
        default=environment.get("BAY_RUN_ROOT") or DEFAULT_RUN_ROOT,
        metavar="DIR",
        help=f"where the socket and other things of this boot are ({DEFAULT_RUN_ROOT})",
    )
    parser.add_argument("--runtime", metavar="NAME", help="crun, runc, or the path of one")
    parser.add_argument(
        "--ip",
        type=ip_address,
        default=environment.get("BAY_IP") or "0.0.0.0",
        metavar="ADDRESS",
        help="where ports are published that name no address (every address)",
    )
    parser.add_argument("--debug", action="store_true", help="log more")
    _add_listening(parser)
    chosen = parser.parse_args(list(argv))

    def file(name: str) -> Path | None:
        given: Path | None = getattr(chosen, "tlscacert" if name == "ca" else f"tls{name}")
        return given or listeners.default_file(name)

    options = Options(
        root=Path(chosen.root).absolute(),
        run_root=Path(chosen.run_root).absolute(),
        runtime=chosen.runtime,
        debug=chosen.debug,
        publish_on=str(chosen.ip),
    )
    return options, listeners.listening(chosen.host, chosen.tlsverify, file)


def _add_listening(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-H",
        "--host",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="listen here too: unix:///path, or tcp://address:port with --tlsverify",
    )
    parser.add_argument(
        "--tlsverify",
        action="store_true",
        help="on tcp, serve clients with a certificate of the CA",
    )
    for name, what in (("cacert", "the CA of clients"), ("cert", "ours"), ("key", "its key")):
        parser.add_argument(f"--tls{name}", type=Path, metavar="FILE", help=f"{what} (PEM)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run an engine until it is told to stop; returns the exit code.

    0 after SIGTERM, SIGINT or `POST /bay/engine/stop`; 1 with a sentence on stderr when it can't
    start.
    """
    try:
        options, listening = parse(sys.argv[1:] if argv is None else argv)
        if listening.tls is not None:
            listening.tls.context()  # said before anything is touched
    except BayError as error:
        print(f"bay engine: {error}", file=sys.stderr)
        return 1
    logging.basicConfig(
        handlers=[Bounded(str(options.run_root / "engine.log"))],
        level=logging.DEBUG if options.debug else logging.INFO,
        format=LOG_FORMAT,
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    try:
        if os.geteuid() != 0:
            raise BayError("the engine needs root: it mounts, and makes networks; use sudo")
        _allow_descriptors()
        with only_engine(options):
            asyncio.run(run(options, listening))
    except BayError as error:
        log.error("%s", error)
        return 1
    except OSError as error:
        log.error("the engine cannot run here: %s", sentence(error))
        return 1
    return 0


def _allow_descriptors() -> None:
    """Have room for open files: a shell's 1024 are a few ranges of published ports."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextlib.contextmanager
def only_engine(options: Options) -> Iterator[None]:
    """Hold the root's lock; raises ConflictError when another engine has it.

    The kernel drops the lock with the process, however that ends.
    """
    options.root.mkdir(mode=0o711, parents=True, exist_ok=True)
    path = options.root / "engine.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
            raise ConflictError(
                f"another engine (process {other}) already runs on {options.root}; "
                "stop it with `bay engine stop`, or choose another --root"
            ) from None
        os.truncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


async def run(options: Options, listening: Listening) -> None:
    """Open the engine, serve it until a signal or a client says stop, and close it.

    Raises InvalidError before anything is touched when it can't listen as it was told.
    """
    from ..core.engine import Engine, purge_files
    from . import server

    sockets = server.inherited_sockets()
    doors = _doors(listening, [one for one in sockets if listeners.is_tcp(one)])
    sockets = [one for one in sockets if not listeners.is_tcp(one)]
    paths = [*listening.paths, *([] if sockets else [options.socket])]
    for path in paths:
        listeners.check_free(path)
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with contextlib.AsyncExitStack() as stack:
        engine = await Engine.open(options)
        stack.push_async_callback(engine.close)
        http = server.Server(engine, metadata.version("bayplan"), stopping)
        stack.push_async_callback(_purge_again, http)
        stack.push_async_callback(http.close)
        for path in paths:
            sockets.append(server.unix_socket(path))
            stack.callback(unlink, path)
        await http.listen(sockets, doors)
        notify("READY=1")
        log.info("engine %d serves %s over %s", os.getpid(), options.root, options.socket)
        await stopping.wait()
        notify("STOPPING=1")
        what = "and takes all it had away" if http.purging else "; its containers run on"
        log.info("engine %d stops %s", os.getpid(), what)
    if http.purging:
        purge_files(options)


def _doors(listening: Listening, inherited: list[socket.socket]) -> list[TlsDoor]:
    """The TCP sockets with TLS before them, systemd's and our own.

    Raises InvalidError when systemd gives one and there are no certificates, BayError for an
    address that can't be had.
    """
    if listening.tls is None:
        if inherited:
            name, port = inherited[0].getsockname()[:2]
            raise InvalidError(
                f"systemd passed a socket on tcp://{name}:{port}, and whoever reaches it without"
                " mutual TLS would be root on this host: add --tlsverify with certificates to"
                " ExecStart, or remove it from the .socket unit"
            )
        return []
    context = listening.tls.context()
    own = [listeners.tcp_socket(*address) for address in listening.tcp]
    return [TlsDoor(one, context) for one in (*inherited, *own)]


async def _purge_again(http: Server) -> None:
    """What a request made between the purge and the closing of the door."""
    if http.purging:
        await http.engine.purge()


def notify(state: str) -> None:
    """Tell systemd, if it started us (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address[0] == "@":
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as one:
        try:
            one.sendto(state.encode(), address)
        except OSError as error:
            log.warning("systemd could not be told %s: %s", state, error)


if __name__ == "__main__":
    sys.exit(main())
