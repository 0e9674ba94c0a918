"""The database's part of networking: what exists, who is on it, which ports are published.

A row is written before the thing it describes is made and deleted after the thing is gone, so
what a crash leaves is always named here. Everything is also held in memory: the engine is the
single writer.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any, Protocol

from .netmodel import Endpoint, Network, PortRow, network_from

_STEPS = [
    """
    CREATE TABLE networks (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
    CREATE TABLE endpoints (
      id TEXT PRIMARY KEY, container TEXT NOT NULL, network TEXT NOT NULL, body TEXT NOT NULL
    );
    CREATE INDEX endpoints_by_container ON endpoints (container);
    CREATE TABLE leases (
      network TEXT NOT NULL, ip TEXT NOT NULL, endpoint TEXT NOT NULL, PRIMARY KEY (network, ip)
    );
    CREATE INDEX leases_by_endpoint ON leases (endpoint);
    CREATE TABLE ports (
      protocol TEXT NOT NULL, host TEXT NOT NULL, host_port INTEGER NOT NULL,
      container TEXT NOT NULL, target TEXT NOT NULL, target_port INTEGER NOT NULL,
      PRIMARY KEY (protocol, host, host_port)
    );
    CREATE INDEX ports_by_container ON ports (container);
    """
]


class Journal:
    """Blocking; called through `offload`, or at open."""

    def __init__(self, db: _Database) -> None:
        self._db = db
        db.migrate("networks", _STEPS)

    def networks(self) -> list[Network]:
        """Every network."""
        rows = self._db.execute("SELECT body FROM networks")
        return [network_from(json.loads(body)) for (body,) in rows]

    def endpoints(self) -> list[Endpoint]:
        """Every endpoint."""
        rows = self._db.execute("SELECT body FROM endpoints")
        return [Endpoint(**json.loads(body)) for (body,) in rows]

    def ports(self) -> list[PortRow]:
        """Every published port."""
        columns = "protocol, host, host_port, container, target, target_port"
        return [PortRow(*row) for row in self._db.execute(f"SELECT {columns} FROM ports")]

    def save_network(self, network: Network) -> None:
        """Write a network, new or changed."""
        body = json.dumps(dataclasses.asdict(network), separators=(",", ":"))
        self._db.execute(
            "INSERT INTO networks (id, name, body) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body",
            network.id,
            network.name,
            body,
        )

    def drop_network(self, key: str) -> None:
        """Delete a network's row."""
        self._db.execute("DELETE FROM networks WHERE id = ?", key)

    def add(self, endpoints: Iterable[Endpoint], ports: Iterable[PortRow]) -> None:
        """Write a container's endpoints, their addresses and ports, all or none.

        The primary keys refuse an address or a port that somebody has.
        """
        with self._db.transaction():
            for endpoint in endpoints:
                body = json.dumps(dataclasses.asdict(endpoint), separators=(",", ":"))
                row = (endpoint.id, endpoint.container, endpoint.network, body)
                self._db.execute("INSERT INTO endpoints VALUES (?, ?, ?, ?)", *row)
                for ip in endpoint.addresses:
                    lease = (endpoint.network, ip, endpoint.id)
                    self._db.execute("INSERT INTO leases VALUES (?, ?, ?)", *lease)
            for port in ports:
                self._db.execute(
                    "INSERT INTO ports VALUES (?, ?, ?, ?, ?, ?)", *dataclasses.astuple(port)
                )

    def drop_endpoint(self, key: str) -> None:
        """Delete one endpoint and its leases."""
        with self._db.transaction():
            self._db.execute("DELETE FROM leases WHERE endpoint = ?", key)
            self._db.execute("DELETE FROM endpoints WHERE id = ?", key)

    def replace_ports(self, container: str, ports: Iterable[PortRow]) -> None:
        """Have these published ports of a container in place of those it had."""
        with self._db.transaction():
            self._db.execute("DELETE FROM ports WHERE container = ?", container)
            self.add([], ports)

    def drop_container(self, container: str) -> None:
        """Delete everything of a container: endpoints, leases, ports."""
        with self._db.transaction():
            self._db.execute(
                "DELETE FROM leases WHERE endpoint IN "
                "(SELECT id FROM endpoints WHERE container = ?)",
                container,
            )
            self._db.execute("DELETE FROM endpoints WHERE container = ?", container)
            self._db.execute("DELETE FROM ports WHERE container = ?", container)


class _Database(Protocol):
    """What is used of `storage.db.Database`."""

    def execute(self, sql: str, *args: Any) -> list[tuple[Any, ...]]: ...

    def transaction(self) -> Any: ...

    def migrate(self, owner: str, steps: list[str]) -> None: ...
