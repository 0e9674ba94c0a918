"""Waiting for a container to end: Docker's three conditions."""

from __future__ import annotations

import asyncio

from ..host.errors import InvalidError
from .live import Live
from .types import Container

CONDITIONS = ("not-running", "next-exit", "removed")


def subscribe(container: Container, live: Live, condition: str) -> asyncio.Future[tuple[int, str]]:
    """A future of (exit code, error) for Docker's wait `condition`; never cancelled by the engine.

    Raises InvalidError for a condition there is not.
    """
    if condition not in CONDITIONS:
        raise InvalidError(
            f'invalid condition: "{condition}": must be one of {", ".join(CONDITIONS)}'
        )
    future: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
    if condition == "removed":
        live.removal.append(future)
    elif condition == "next-exit" or container.state.running or container.phase:
        live.next_exit.append(future)
    else:
        future.set_result((container.state.exit_code, container.state.error))
    return future
