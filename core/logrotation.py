"""Keeping a log within `max-size` and `max-file`: Docker's options of its log drivers.

conmon's own limit throws the old file away, so the log is renamed here and conmon told to open it
anew; it goes on with the line it is in, and nothing is lost.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

from ..host.errors import InvalidError
from ..host.files import unlink
from ..host.threads import offload
from . import logconfig
from .types import Container, Json

INTERVAL = 2.0
_log = logging.getLogger(__name__)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.I)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_REOPEN = b"2 0 0\n"
# What Docker's driver `local` does unasked.
_LOCAL = {"max-size": "20m", "max-file": "5"}


def limits(log_config: Json) -> tuple[int, int]:
    """(size in bytes, number of files) of a HostConfig's LogConfig; size 0 for no limit.

    Raises InvalidError for what cannot be meant.
    """
    options: dict[str, str] = dict(_LOCAL) if log_config.get("Type") == "local" else {}
    options |= log_config.get("Config") or {}
    size_text, files_text = options.get("max-size") or "", options.get("max-file") or ""
    size = 0
    if size_text and size_text != "-1":
        match = _SIZE.fullmatch(size_text.strip())
        if match is None:
            raise InvalidError(f"invalid max-size: '{size_text}'")
        size = int(float(match[1]) * _UNITS[match[2].lower()])
    if files_text and (not files_text.isdecimal() or int(files_text) < 1):
        raise InvalidError("max-file cannot be less than 1")
    return size, int(files_text or 1)


def rotate(path: Path, files: int) -> bool:
    """Rename the log to `.1`, that to `.2` and so on up to `files` in all, and have it reopened.

    With one file alone the log is cut to nothing instead. Blocks. False when conmon is gone.
    """
    control = _control(path.parent)
    if control < 0:
        return False
    try:
        if files == 1:
            # conmon appends (O_APPEND), so it goes on at the new end.
            os.truncate(path, 0)
            return True
        unlink(_numbered(path, files - 1))
        for number in range(files - 2, 0, -1):
            if _numbered(path, number).exists():
                os.rename(_numbered(path, number), _numbered(path, number + 1))
        os.rename(path, _numbered(path, 1))
        os.write(control, _REOPEN)
        return True
    finally:
        os.close(control)


def reopen(path: Path) -> None:
    """Have conmon open its log anew: after a rotation whose word it did not get. Blocks."""
    control = _control(path.parent)
    if control >= 0:
        os.write(control, _REOPEN)
        os.close(control)


def _control(bundle: Path) -> int:
    """conmon's control FIFO; -1 when it is gone."""
    try:
        return os.open(bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ENOENT):
            raise
        return -1


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


class Rotation:
    """Looks at the logs of running containers that have a limit, every other second."""

    def __init__(self, containers: Callable[[], list[Container]]) -> None:
        self._containers = containers

    async def run(self) -> None:
        """Rotate what is due until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.check()

    async def check(self) -> None:
        """Rotate what is due now."""
        for container in self._containers():
            config = container.host_config["LogConfig"]
            if not container.state.running or not (config["Config"] or config["Type"] == "local"):
                continue  # nearly all of them: no limit was asked for
            path = logconfig.path(container)
            if path is None:
                continue
            try:
                size, files = limits(config)
                if size:
                    await offload(_rotate_if_due, path, size, files)
            except (OSError, InvalidError):
                # One container's odd folder must not keep the others' logs from their limits.
                _log.exception("log of %s not rotated", container.name)


def _rotate_if_due(path: Path, size: int, files: int) -> None:
    try:
        due = path.stat().st_size > size
    except FileNotFoundError:
        # conmon may miss a line of its FIFO that comes together with another one.
        reopen(path)
        return
    if due:
        rotate(path, files)
