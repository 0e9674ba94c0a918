"""What a user sees when the screen itself fails: one sentence, and where the details lie."""

from __future__ import annotations

import os
import platform
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

from ..host import files
from ..host.version import VERSION


def path(environment: Mapping[str, str]) -> Path:
    """Where the last failure is written down: `bay/screen-crash.log` below XDG's state folder."""
    base = environment.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(base) / "bay" / "screen-crash.log"


def sentence(error: BaseException, file: Path | None) -> str:
    """What is told of `error`, whose traceback is in `file` (None where it could not be kept)."""
    cause = cause_of(error)
    words = " ".join(str(cause).split()) or "no reason given"
    where = f"the details are in {file}" if file else "and the details could not be written down"
    return (
        f"bay: the screen failed ({type(cause).__name__}: {words[:200]}); containers run on,"
        f" {where}. Please report it with that file, and start `bay` again."
    )


def cause_of(error: BaseException) -> BaseException:
    """What really failed: Textual wraps what a worker raises, asyncio what a group's tasks do."""
    while True:
        inner = getattr(error, "error", None)
        if isinstance(inner, BaseException):
            error = inner
        elif isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            return error


def keep(error: BaseException, environment: Mapping[str, str]) -> Path | None:
    """Write the traceback of `error` and what it ran on; the file, None when it can't be."""
    file = path(environment)
    about = (
        f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} Bayplan {VERSION}, Python"
        f" {platform.python_version()}, {platform.platform()}\n"
        f"terminal {environment.get('TERM', '')} {environment.get('COLORTERM', '')}\n\n"
    )
    inner = getattr(error, "error", None)
    shown = inner if isinstance(inner, BaseException) else error
    text = about + "".join(traceback.format_exception(shown))
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write_atomic(file, text.encode(errors="replace"), mode=0o600)
    except OSError:
        return None
    return file
