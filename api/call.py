"""One request, read the way Docker reads it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ..core import filters
from ..core.types import Json
from ..host import jsontext
from ..host.errors import InvalidError
from .shapes import Shape, check

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest

    from ..core.engine import Engine
    from .server import Server

# Go's httputils.BoolValue: everything but these is true.
_FALSE = frozenset({"", "0", "no", "false", "none"})
_TRUE_WORDS = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE_WORDS = frozenset({"", "0", "f", "F", "FALSE", "false", "False"})


@dataclass(frozen=True)
class Call:
    """A request with what serves it. `path` has the values of the route's `{places}`; `version`
    is the API version it is to be answered in, as (1, 47).
    """

    request: BaseRequest
    engine: Engine
    server: Server
    path: Mapping[str, str]
    version: tuple[int, ...]

    def text(self, name: str, default: str = "") -> str:
        """A query parameter; the first one when it is repeated."""
        return self.request.query.get(name, default)

    def texts(self, name: str) -> list[str]:
        """A repeated query parameter, in the order written."""
        return self.request.query.getall(name, [])

    def flag(self, name: str, default: bool = False) -> bool:
        """A query parameter as a boolean; `default` only when it is absent."""
        value = self.request.query.get(name)
        return default if value is None else value.strip().lower() not in _FALSE

    def boolean(self, name: str) -> bool:
        """A query parameter by Go's strconv.ParseBool; False when absent. Raises InvalidError."""
        value = self.text(name)
        if value not in _TRUE_WORDS | _FALSE_WORDS:
            raise InvalidError(
                f"invalid value for {name}: {value}: strconv.ParseBool: "
                f'parsing "{value}": invalid syntax'
            )
        return value in _TRUE_WORDS

    def integer(self, name: str) -> int | None:
        """A query parameter as a number; None when absent or empty. Raises InvalidError."""
        value = self.text(name)
        if not value:
            return None
        try:
            return int(value)
        except ValueError:
            raise InvalidError(f"invalid value '{value}' for {name}: not a number") from None

    def moment(self, name: str) -> int | None:
        """A query parameter as a time, in ns since 1970; None when absent, empty or 0.

        Docker's clients send seconds with up to nine decimals; see `filters.until_ns`.
        """
        value = self.text(name)
        return None if value in ("", "0") else filters.until_ns(value)

    def platforms(self, name: str) -> list[str]:
        """A repeated query parameter of platforms as `os/arch[/variant]`.

        Docker's clients send JSON of OCI's platform object. Raises InvalidError.
        """
        return [_platform(value) for value in self.texts(name) if value]

    def filters(self) -> filters.Filters:
        """The `filters` parameter. Raises InvalidError."""
        return filters.parse(self.text("filters"))

    async def body(self, shape: Shape) -> Json:
        """The JSON object in the request's body; `{}` when there is none.

        Raises InvalidError when it is none, or a field has not the type `shape` gives it.
        """
        raw = await self.request.read()
        if not raw.strip():
            return {}
        try:
            value = jsontext.loads(raw)
        except ValueError as error:
            raise InvalidError(f"invalid JSON: {error}") from None
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise InvalidError("invalid JSON: the body must be an object")
        check(value, shape)
        return cast(Json, value)

    def auth(self) -> Json | None:
        """The credentials in `X-Registry-Auth`, None when there are none.

        Base64 of JSON, in either alphabet, with or without padding. Raises InvalidError.
        """
        return decode_auth(self.request.headers.get("X-Registry-Auth", ""))


def _platform(text: str) -> str:
    if not text.startswith("{"):
        return text
    try:
        found = jsontext.loads(text.encode())
    except ValueError as error:
        raise InvalidError(f"failed to parse platform: {error}") from None
    parts = [found.get(key) for key in ("os", "architecture", "variant")]
    if not all(parts[:2]) or not all(isinstance(part, str | None) for part in parts):
        raise InvalidError("both OS and Architecture must be provided")
    return "/".join(filter(None, parts))


def decode_auth(header: str) -> Json | None:
    """See `Call.auth`."""
    if not header:
        return None
    try:
        padded = header.rstrip("=").replace("+", "-").replace("/", "_")
        padded += "=" * (-len(padded) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        value = jsontext.loads(raw) if raw.strip() else {}
    except ValueError:
        raise InvalidError("invalid X-Registry-Auth header: not base64 of JSON") from None
    if not isinstance(value, dict):
        raise InvalidError("invalid X-Registry-Auth header: not an object")
    # docker-py and the CLI send `{}` when they have nothing to say.
    return value if any(value.values()) else None
