"""Where a container's log is, by its log driver."""

from __future__ import annotations

from pathlib import Path

from ..host.errors import UnsupportedError
from .types import Container


def path(container: Container) -> Path | None:
    """The log file conmon writes; None for the driver `none`, which keeps nothing."""
    if container.host_config["LogConfig"]["Type"] == "none":
        return None
    return container.bundle / "ctr.log"


def readable(container: Container) -> Path:
    """The log file to read. Raises UnsupportedError, in Docker's words, when none is kept."""
    log = path(container)
    if log is None:
        raise UnsupportedError("configured logging driver does not support reading")
    return log
