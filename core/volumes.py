"""Named and anonymous volumes, in Docker's JSON."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from ..host import clock
from ..host.errors import ConflictError, NotFoundError
from ..host.threads import offload, offload_long
from ..storage.store import Store
from ..storage.volumes import Volume
from . import filters as filtering
from .events import Events
from .filters import Filters
from .types import Container, Json


class Volumes:
    """The engine's volumes: what API and containers ask of `storage.volumes`."""

    def __init__(
        self, store: Store, events: Events, containers: Callable[[], list[Container]]
    ) -> None:
        self._store = store
        self._events = events
        self._containers = containers
