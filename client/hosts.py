"""Where an engine is: the forms of `-H` and `BAY_HOST`, and what each means."""

from __future__ import annotations

from ..host.errors import InvalidError
from ..host.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import os
else:
    from ..host import lightos as os

DEFAULT_RUN_ROOT = "/run/bay"
DEFAULT_PORT = 2375
DEFAULT_TLS_PORT = 2376


class Tls(NamedTuple):
    """Certificates for tcp: PEM files, and whether the server's is checked against `ca`."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    verify: bool = True


class Host(NamedTuple):
    """One engine's address. `kind` is unix, tcp or ssh; the fields of the others are empty."""

    kind: str
    path: str = ""
    name: str = ""
    port: int = 0
    user: str = ""
    tls: Tls | None = None
    # The engine's own default socket: the only one a client may start an engine for.
    local: bool = False

    @property
    def shown(self) -> str:
        """As the screen's header has it: the socket's path, or where it is."""
        return self.path if self.kind == "unix" else str(self)

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix://{self.path}"
        user = f"{self.user}@" if self.user else ""
        name = f"[{self.name}]" if ":" in self.name else self.name
        port = f":{self.port}" if self.port else ""
        return f"{self.kind}://{user}{name}{port}{self.path}"


def run_root() -> str:
    """The folder of the local engine's socket: `BAY_RUN_ROOT`, else /run/bay."""
    return os.environ.get("BAY_RUN_ROOT") or DEFAULT_RUN_ROOT


def default_host() -> Host:
    """The engine of this machine, which a client starts when it isn't running."""
    return Host("unix", path=os.path.join(run_root(), "bay.sock"), local=True)


def parse_host(text: str, tls: Tls | None = None) -> Host:
    """The host that `text` names: `unix:///path`, `tcp://host:port` or `ssh://user@host[:port]`.

    A text without a scheme is tcp, as Docker has it. Raises InvalidError when it is none of these.
    """
    text = text.strip()
    if "://" not in text:
        text = f"tcp://{text}"
    kind, _, rest = text.partition("://")
    if kind == "unix":
        if not rest.startswith("/"):
            raise InvalidError(f"unable to parse docker host `{text}`: the path must start with /")
        return Host("unix", path=rest)
    if kind not in ("tcp", "ssh", "http", "https"):
        raise InvalidError(
            f"unable to parse docker host `{text}`: use unix:///path, tcp://host:port or"
            " ssh://user@host"
        )
    # Slow to import, and not needed for the hosts above.
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise InvalidError(f"unable to parse docker host `{text}`: {error}") from None
    if kind == "ssh":
        return _ssh_host(text, parts.hostname, port, parts.username, parts.password, parts.path)
    if kind == "https" and tls is None:
        tls = Tls()
    return Host(
        "tcp",
        path=parts.path.rstrip("/"),
        name=parts.hostname or "127.0.0.1",
        port=port or (DEFAULT_TLS_PORT if tls else DEFAULT_PORT),
        tls=tls,
    )


def _ssh_host(
    text: str,
    name: str | None,
    port: int | None,
    user: str | None,
    password: str | None,
    path: str,
) -> Host:
    """An ssh host; a leading dash is refused, since ssh would read it as an option."""
    if not name:
        raise InvalidError(f"unable to parse docker host `{text}`: no host name")
    if password:
        raise InvalidError(f"no password in `{text}`, please: ssh asks for it or uses a key")
    from urllib.parse import unquote

    user = unquote(user or "")
    if name.startswith("-") or user.startswith("-"):
        raise InvalidError(f"unable to parse docker host `{text}`: it may not start with a dash")
    return Host("ssh", path="" if path == "/" else path, name=name, port=port or 0, user=user)
