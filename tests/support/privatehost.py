"""A host in a network namespace of its own, and its neighbour: firewalls to try things on.

What runs in it sees no link and no rule of the real host, and what it does to the firewall ends
with the namespace.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from bayplan.netns import namespace
from bayplan.netns.namespace import Namespace

from . import leaks
from .engine import EngineProcess

T = TypeVar("T")

HOST, NEIGHBOUR = "192.0.2.1", "192.0.2.2"
HOST6, NEIGHBOUR6 = "2001:db8::1", "2001:db8::2"
# The neighbour is the way out too; this is an address behind it.
OUTSIDE = "198.51.100.7"


class PrivateHost:
    """Two namespaces joined by a cable, `host` and `neighbour`; `close` takes all away."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bp-", dir="/tmp"))
        self.host = Namespace.create(self.folder / "host")
        self.neighbour = Namespace.create(self.folder / "neighbour")
        self.sh(
            f"""
            sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
            sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0
            ip link set lo up
            ip link add lan0 type veth peer name lan0 netns {self.neighbour.path}
            ip addr add {HOST}/24 dev lan0; ip addr add {HOST6}/64 dev lan0 nodad
            ip link set lan0 up
            ip route add default via {NEIGHBOUR}
            """
        )
        self.sh(
            f"""
            sysctl -qw net.ipv6.conf.all.disable_ipv6=0
            ip link set lo up; ip addr add {OUTSIDE}/32 dev lo
            ip addr add {NEIGHBOUR}/24 dev lan0; ip addr add {NEIGHBOUR6}/64 dev lan0 nodad
            ip link set lan0 up
            """,
            where=self.neighbour,
        )

    @property
    def prefix(self) -> list[str]:
        """Words before a command that is to run on this host."""
        return ["nsenter", f"--net={self.host.path}"]

    def engine(self, *arguments: str) -> EngineProcess:
        """An engine on this host, started; to be purged before `close`."""
        process = EngineProcess(arguments, prefix=self.prefix)
        process.start()
        return process

    def sh(self, script: str, where: Namespace | None = None) -> str:
        """Run shell commands on the host, or in another namespace; what they print."""
        at = (where or self.host).path
        done = subprocess.run(
            ["nsenter", f"--net={at}", "sh", "-ec", script],
            capture_output=True,
            text=True,
            env=leaks.SBIN,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def links(self) -> set[str]:
        """The names of the host's links."""
        return {name for _, name in self.host.run(socket.if_nameindex)}

    def close(self) -> None:
        for each in (self.host, self.neighbour):
            each.close()
            namespace.unpin(each.path)
        shutil.rmtree(self.folder)


def inside(engine: EngineProcess, container: str, function: Callable[[], T]) -> T:
    """Run `function` in the network namespace of an engine's container."""
    path = engine.run_root / "netns" / engine.inspect(container)["Id"]
    with Namespace.open(path) as entered:
        return entered.run(function)


@contextlib.contextmanager
def served(
    listen: Callable[[Callable[[], socket.socket]], socket.socket], port: int = 80, host: str = "::"
) -> Iterator[list[str]]:
    """A server that says the client's address; `listen` says in which namespace. Yields clients."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    dual = host == "::"

    server = listen(lambda: socket.create_server((host, port), family=family, dualstack_ipv6=dual))
    seen: list[str] = []

    def work() -> None:
        while True:
            try:
                accepted, peer = server.accept()
            except OSError:
                return
            with accepted, contextlib.suppress(OSError):  # who has given up meanwhile
                name = str(peer[0]).removeprefix("::ffff:")
                seen.append(name)
                accepted.sendall(name.encode())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def at(engine: EngineProcess, container: str) -> Callable[..., socket.socket]:
    """Where `served` is to listen: in the namespace of an engine's container."""
    return lambda made: inside(engine, container, made)


# A namespace, a container of an engine, or where the test runs.
Place = Namespace | tuple[EngineProcess, str] | None


def barred(where: Place, address: str, port: int = 80) -> bool:
    """Whether nothing comes of a connection within half a second."""
    return ask(where, address, port, 0.5) == ""


def ask(where: Place, address: str, port: int = 80, patience: float = 60) -> str:
    """Who the server at that address says we are; "" when nothing comes of it."""

    def work() -> str:
        try:
            with socket.create_connection((address, port), patience) as client:
                client.settimeout(120)
                return client.makefile("rb").read().decode()
        except OSError as error:
            print(f"{address}:{port}: {error!r}")  # shown of a test that fails
            return ""

    if where is None:
        return work()
    if isinstance(where, Namespace):
        return where.run(work)
    return inside(*where, work)
