"""Contexts: named engines, so that `bay --context build ps` needs no address.

Each is a JSON file in the settings' folder `contexts`; `default` is the engine of this machine.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from ..client.hosts import Host, Tls, parse_host
from ..host.errors import ConflictError, InvalidError, NotFoundError
from ..host.files import remove_tree, write_atomic
from ..host.light import Any, NamedTuple
from .config import Config

Json = dict[str, Any]

DEFAULT = "default"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+-]+$")


class Context(NamedTuple):
    """A named engine: its address as `-H` takes it, and certificates for tcp."""

    name: str
    host: str
    description: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    skip_verify: bool = False

    def parsed(self) -> Host:
        """Its address. Raises InvalidError."""
        tls = None
        if self.ca or self.cert or self.skip_verify:
            tls = Tls(self.ca or None, self.cert or None, self.key or None, not self.skip_verify)
        return parse_host(self.host, tls)


class Contexts:
    """The contexts among a user's settings."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder = Path(config.folder) / "contexts"

    @property
    def current(self) -> str:
        """The context chosen with `bay context use`."""
        return str(self._config.values.get("currentContext") or DEFAULT)

    def all(self) -> list[Context]:
        """Every context but the default one, by name."""
        if not self._folder.is_dir():
            return []
        return [self.get(path.stem) for path in sorted(self._folder.glob("*.json"))]

    def get(self, name: str) -> Context:
        """The context of that name. Raises NotFoundError."""
        try:
            text = (self._folder / f"{_checked(name)}.json").read_text(encoding="utf-8")
            return Context(name=name, **json.loads(text))
        except FileNotFoundError:
            raise NotFoundError(f'context "{name}" does not exist') from None
        except (TypeError, ValueError) as error:
            raise InvalidError(f'context "{name}" cannot be read: {error}') from error

    def exists(self, name: str) -> bool:
        """Whether there is a context of that name."""
        return name == DEFAULT or (self._folder / f"{_checked(name)}.json").exists()

    def put(self, context: Context) -> None:
        """Make or change a context. Raises InvalidError when its address is no good."""
        context.parsed()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        values = {k: v for k, v in context._asdict().items() if v and k != "name"}
        path = self._folder / f"{_checked(context.name)}.json"
        write_atomic(path, (json.dumps(values, indent="\t") + "\n").encode(), mode=0o600)

    def put_with(self, context: Context, certificates: dict[str, bytes]) -> None:
        """Make a context, its certificates (by field) kept beside it. Raises InvalidError."""
        folder = self._folder / f"{_checked(context.name)}.tls"
        paths: Json = {field: str(folder / f"{field}.pem") for field in certificates}
        context = context._replace(**paths)
        context.parsed()
        if certificates:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for field, data in certificates.items():
            write_atomic(folder / f"{field}.pem", data, mode=0o600)
        self.put(context)

    def use(self, name: str) -> None:
        """Choose a context for every verb from now on. Raises NotFoundError."""
        if name != DEFAULT:
            self.get(name)
        self._config.values["currentContext"] = name
        if name == DEFAULT:
            del self._config.values["currentContext"]
        self._config.save()

    def remove(self, name: str, force: bool) -> None:
        """Remove a context; the one in use only by force. Raises NotFoundError, ConflictError."""
        if name == DEFAULT:
            raise InvalidError('context "default" cannot be removed')
        self.get(name)
        if name == self.current:
            if not force:
                raise ConflictError(f'context "{name}" is in use, set -f flag to force remove')
            self.use(DEFAULT)
        (self._folder / f"{name}.json").unlink()
        remove_tree(self._folder / f"{name}.tls")


def _checked(name: str) -> str:
    """The name, if it can be a file's. Raises InvalidError."""
    if not _NAME.match(name):
        raise InvalidError(
            f'context name "{name}" is invalid: use letters, digits, and . _ + - (two at least)'
        )
    return name
