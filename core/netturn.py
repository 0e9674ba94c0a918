"""Engines of one host choose subnets one after another."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator

# Only root can open it: nobody else holds engines up.
_PATH = "/run/bay-subnets.lock"
_PATIENCE = 5.0  # seconds; of an engine that hangs nobody takes notice after that
_STEP = 0.005


@contextlib.asynccontextmanager
async def choosing() -> AsyncIterator[None]:
    """Hold the turn: from the look at the host's routes to the route of the bridge that is made.

    An engine that looked in between would be given the same subnet, and of two bridges with one
    subnet only the first is reached. The turn ends with the process at the latest. Where the file
    cannot be had there is no turn, as without other engines.
    """
    try:
        fd = os.open(_PATH, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        yield
        return
    try:
        limit = asyncio.get_running_loop().time() + _PATIENCE
        while asyncio.get_running_loop().time() < limit:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                await asyncio.sleep(_STEP)
        try:
            yield
        finally:
            # Said, since a program between fork and exec has the descriptor, too.
            fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)
