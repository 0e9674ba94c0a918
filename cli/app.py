"""What every verb works with: the engine's client, the user's settings, the output."""

from __future__ import annotations

import sys

from ..client.client import Client
from ..client.hosts import Host, Tls, default_host, parse_host
from ..host.errors import BayError, InvalidError
from ..host.light import TYPE_CHECKING, Any, cached_property, suppress

if TYPE_CHECKING:
    import os

    from .config import Config
    from .contexts import Contexts
    from .flags import Parsed
else:
    from ..host import lightos as os


class App:
    """One run of the command line. `options` are the flags before the verb."""

    def __init__(self, options: Parsed) -> None:
        self.options = options

    @cached_property
    def host(self) -> Host:
        """The engine to talk to, as Docker finds it.

        `-H`, else `--context`, else `BAY_HOST`, else `BAY_CONTEXT`, else the context chosen with
        `bay context use`, else the engine of this machine. Raises InvalidError, NotFoundError.
        """
        given = self._one("host")
        if given and self._one("context"):
            raise InvalidError("conflicting options: cannot specify both --host and --context")
        if not (given or self._one("context")):
            given = os.environ.get("BAY_HOST", "")
        if given:
            return self.parsed(given)
        name = self.context_name
        return default_host() if name == "default" else self.contexts.get(name).parsed()

    def parsed(self, address: str) -> Host:
        """The host at an address, with the options' TLS. Raises InvalidError."""
        return parse_host(address, self._tls())

    def _one(self, flag: str) -> str:
        """The value of a flag that only the screen takes more than once."""
        given = self.options[flag]
        if len(given) > 1:
            raise InvalidError(f"specify only one --{flag}: only the screen takes more")
        return str(given[0]) if given else ""

    @cached_property
    def contexts(self) -> Contexts:
        """The named engines."""
        from .contexts import Contexts

        return Contexts(self.config)

    @property
    def context_name(self) -> str:
        """The context in use; `default` when an address is given instead."""
        if given := self._one("context"):
            return given
        if self.options["host"] or os.environ.get("BAY_HOST"):
            return "default"
        return os.environ.get("BAY_CONTEXT") or self.chosen_context or "default"

    @property
    def chosen_context(self) -> str:
        """The context chosen with `bay context use`, "" for none."""
        return str(self.config.form("currentContext") or "")

    @cached_property
    def client(self) -> Client:
        """The client of that engine; it connects at the first request."""
        return Client(self.host)

    def connect_early(self) -> None:
        """Have the client connect before it is asked anything, see `Client.ahead`."""
        with suppress(BayError):  # whoever asks for something is told
            self.client.ahead()

    @cached_property
    def config(self) -> Config:
        """The user's settings."""
        from .config import Config, config_folder

        given = self.options["config"]
        return Config(given or config_folder())

    def _tls(self) -> Tls | None:
        """TLS as `--tls*`, `BAY_TLS_VERIFY` and `BAY_CERT_PATH` say; None for plain tcp."""
        options = self.options
        verify = options["tlsverify"] or bool(os.environ.get("BAY_TLS_VERIFY"))
        if not (verify or options["tls"]):
            return None
        folder = os.environ.get("BAY_CERT_PATH") or os.path.expanduser("~/.config/bay")

        def file(flag: str, name: str) -> str | None:
            path = options[flag] or os.path.join(folder, name)
            return path if flag in options or os.path.exists(path) else None

        return Tls(
            file("tlscacert", "ca.pem"),
            file("tlscert", "cert.pem"),
            file("tlskey", "key.pem"),
            verify,
        )

    # -- output --------------------------------------------------------------------------------

    def out(self, text: Any = "") -> None:
        """Print a line on stdout."""
        sys.stdout.write(f"{text}\n")

    def err(self, text: Any = "") -> None:
        """Print a line on stderr."""
        sys.stdout.flush()
        sys.stderr.write(f"{text}\n")
