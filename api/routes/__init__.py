"""The API's paths, a module per noun."""

from __future__ import annotations

from importlib import import_module

_MODULES = (
    "system",
    "bay",
    "looking",
    "snapshots",
    "containers",
    "streams",
    "archives",
    "execs",
    "images",
    "build",
    "buildkit",
    "networks",
    "volumes",
    "unsupported",
)


def load() -> None:
    """Register every route; again does nothing."""
    for name in _MODULES:
        import_module(f".{name}", __name__)
