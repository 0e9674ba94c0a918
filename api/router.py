"""Which handler serves a request: `METHOD /noun/{id}/verb`, in Docker's spelling."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp.web import StreamResponse

    from .call import Call

Handler = Callable[["Call"], Awaitable["StreamResponse"]]

_PLACE = re.compile(r"\{(\w+)(:path)?\}")
_VERSION = re.compile(r"/v([0-9.]+)(/.*)$")


@dataclass(frozen=True)
class Route:
    """One entry. `streaming` handlers end with their client; the others run to their end, so that
    a client that hangs up never leaves half of a change behind.
    """

    pattern: re.Pattern[str]
    handler: Handler
    streaming: bool


class Router:
    """The table of routes, filled by decorators when the modules of `routes/` are imported."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str], list[Route]] = {}

    def add(
        self, method: str, path: str, *, streaming: bool = False
    ) -> Callable[[Handler], Handler]:
        """Decorate a handler for `path`: `{x}` is one segment, `{x:path}` any number of them."""
        expression = _PLACE.sub(lambda found: f"(?P<{found[1]}>{_place(found[2])})", path)
        key = (method, path.split("/")[1])

        def register(handler: Handler) -> Handler:
            route = Route(re.compile(expression), handler, streaming)
            self._routes.setdefault(key, []).append(route)
            return handler

        return register

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of a request without its version, and the values in its path."""
        noun = path[1:].partition("/")[0]
        for route in self._routes.get((method, noun), ()):
            found = route.pattern.fullmatch(path)
            if found:
                return route, found.groupdict()
        return None


def _place(several: str | None) -> str:
    return ".+" if several else "[^/]+"


def split_version(path: str) -> tuple[str | None, str]:
    """`/v1.41/info` -> ("1.41", "/info"); a path without a version has None."""
    found = _VERSION.match(path)
    return (found[1], found[2]) if found else (None, path)


def clean_path(path: str) -> str:
    """The path without empty parts, `.` and `..`, as Go's router wants it: moby sends one there."""
    if "//" not in path and "/." not in path:
        return path
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return f"{clean}/" if path.endswith("/") and clean != "/" else clean


router = Router()


def route(method: str, path: str, *, streaming: bool = False) -> Callable[[Handler], Handler]:
    """Register a handler in the API's one table (see `Router.add`)."""
    return router.add(method, path, streaming=streaming)
