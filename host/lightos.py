"""What a short verb needs of `os`, without its start.

`import os` makes the classes of collections.abc and its own environ: a seventh of what the whole
of `bay exec` runs. Where something else has imported it, this is os itself; what only os has (and
os.path, but for a few functions) imports it. Type checkers are shown os:

    if TYPE_CHECKING:
        import os
    else:
        from ..host import lightos as os
"""

from __future__ import annotations

import posix
import sys

from .light import Any


class _Path:
    """The functions of os.path that every verb calls, with its rules."""

    def join(self, folder: str, *parts: str) -> str:
        for part in parts:
            if part.startswith("/") or not folder:
                folder = part
            else:
                folder += part if folder.endswith("/") else f"/{part}"
        return folder

    def expanduser(self, path: str) -> str:
        home = _environ().get("HOME")
        if path.startswith("~/") and home:
            return (home.rstrip("/") + path[1:]) or "/"
        return str(self.__getattr__("expanduser")(path))

    def exists(self, path: str) -> bool:
        try:
            posix.stat(path)
        except (OSError, ValueError):
            return False
        return True

    def __getattr__(self, name: str) -> Any:
        import posixpath

        return getattr(posixpath, name)


_path = _Path()
_copied: dict[str, str] = {}


def _environ() -> dict[str, str]:
    """A copy: who changes the environment has imported os."""
    if not _copied:
        form = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
        for name, value in posix.environ.items():
            _copied[name.decode(*form)] = value.decode(*form)
    return _copied


def __getattr__(name: str) -> Any:
    if (real := sys.modules.get("os")) is None:
        if name == "environ":
            return _environ()
        if name == "path":
            return _path
        if hasattr(posix, name):
            return getattr(posix, name)
        import os as real
    return getattr(real, name)
