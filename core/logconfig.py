"""Where a container's log is, by its log driver."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote_plus

from ..host.errors import UnsupportedError
from . import regex
from .types import Container


def path(container: Container) -> Path | None:
    """The log file conmon writes; None for the driver `none`, which keeps nothing."""
    if container.host_config["LogConfig"]["Type"] == "none":
        return None
    return container.bundle / "ctr.log"


def details(container: Container) -> str:
    """What `docker logs --details` puts before each line: labels and variables chosen by log-opt.

    As json-file has it: `name=value` sorted and with commas between them, escaped as in a query.
    """
    options = container.host_config["LogConfig"]["Config"]
    labels: dict[str, str] = container.config.get("Labels") or {}
    pairs = (item.partition("=") for item in container.config.get("Env") or [])
    variables = {name: value for name, equals, value in pairs if equals}
    chosen = {**_chosen(options, "labels", labels), **_chosen(options, "env", variables)}
    escaped = (f"{quote_plus(name)}={quote_plus(chosen[name])}" for name in sorted(chosen))
    return ",".join(escaped)


def _chosen(options: dict[str, str], key: str, have: dict[str, str]) -> dict[str, str]:
    names = set((options.get(key) or "").split(","))
    pattern = options.get(f"{key}-regex")
    return {
        name: value
        for name, value in have.items()
        if name in names or (pattern and regex.compiled(pattern).found_in(name))
    }


def readable(container: Container) -> Path:
    """The log file to read. Raises UnsupportedError, in Docker's words, when none is kept."""
    log = path(container)
    if log is None:
        raise UnsupportedError("configured logging driver does not support reading")
    return log
