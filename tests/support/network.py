"""Networks of an engine's own tag, containers that are only configuration, and sockets inside."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from bayplan.core.networks import Networks
from bayplan.core.options import Options
from bayplan.core.types import Container
from bayplan.host.errors import NotFoundError
from bayplan.netns.namespace import Namespace
from bayplan.storage.db import Database

T = TypeVar("T")
Json = dict[str, Any]


class Recorded:
    """Takes the place of the event stream: remembers what was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str, dict[str, str]]] = []

    def emit(self, kind: str, action: str, key: str, attributes: dict[str, str]) -> None:
        self.told.append((kind, action, key, attributes))


class People:
    """The containers of a test, found as the engine's roster finds them."""

    def __init__(self) -> None:
        self.known: list[Container] = []

    def find(self, ref: str) -> Container:
        # The engine's takes a whole id as quickly, whatever the number of containers.
        if len(ref) == 64 and self.known and self.known[-1].id == ref:
            return self.known[-1]
        for it in self.known:
            if ref in (it.id, it.name) or it.id.startswith(ref):
                return it
        raise NotFoundError(f"No such container: {ref}")

    def all(self) -> list[Container]:
        return self.known

    async def save(self, container: Container) -> None:
        assert any(it is container for it in reversed(self.known))


class Harbour:
    """One engine's networking over a folder; `again` restarts it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.options = Options(root=folder / "root", run_root=folder / "run", **options)
        self.options.root.mkdir(parents=True)
        self.people = People()
        self.events = Recorded()

    async def open(self) -> Networks:
        self.db = Database(self.options.root / "bay.db")
        self.networks = Networks(self.db, self.options, self.events, self.people)
        await self.networks.open()
        return self.networks

    async def close(self) -> None:
        await self.networks.close()
        self.db.close()

    async def again(self) -> Networks:
        """What a restart of the engine does."""
        await self.close()
        return await self.open()

    async def purge(self) -> None:
        for it in self.people.known:
            await self.networks.leave(it.id)
        await self.networks.purge()
        await self.close()

    def container(self, name: str, mode: str = "default", **host_config: Any) -> Container:
        """A container that was created and checked; `networking` is Docker's EndpointsConfig."""
        networking = host_config.pop("networking", {})
        config = host_config.pop("config", {})
        made = Container(
            id=secrets.token_hex(32),
            name=name,
            created=time.time_ns(),
            image="sha256:0",
            image_ref="none",
            config={"Hostname": name, **config},
            host_config={"NetworkMode": mode, **host_config},
            bundle=self.options.root / "containers" / name,
        )
        made.bundle.mkdir(parents=True)
        self.networks.check(made, networking)
        self.people.known.append(made)
        return made

    async def start(self, name: str, mode: str = "default", **host_config: Any) -> Container:
        """`container`, joined to its networks."""
        made = self.container(name, mode, **host_config)
        await self.networks.join(made)
        made.state.status = "running"
        return made

    def inside(self, container: Container, function: Callable[[], T]) -> T:
        """Run `function` in the container's network namespace."""
        with Namespace.open(self.options.run_root / "netns" / container.id) as namespace:
            return namespace.run(function)

    def listen(self, container: Container, port: int = 80) -> socket.socket:
        return self.inside(container, lambda: socket.create_server(("0.0.0.0", port)))


def ports(**bindings: str) -> Json:
    """Docker's PortBindings: `ports(tcp80="127.0.0.1:8080")`."""
    result: Json = {}
    for key, value in bindings.items():
        host, _, port = value.rpartition(":")
        result[f"{key[3:]}/{key[:3]}"] = [{"HostIp": host, "HostPort": port}]
    return result
