"""Where a registry is reached: its own host, its mirrors, and by which protocol."""

from __future__ import annotations

import ipaddress
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ...host.errors import InvalidError

CONFIG = Path("/etc/bay/registries.toml")
HUB = "docker.io"
# Docker Hub's name is not its host, and its key in a credential file is a third spelling.
HUB_HOST = "registry-1.docker.io"
_HUB_NAMES = (HUB, "index.docker.io", HUB_HOST)


@dataclass(frozen=True)
class Endpoint:
    """One place that serves a registry's repositories.

    `prefix` goes in front of every repository path (a mirror may keep several registries apart by
    it). `verify` is whether its TLS certificate must be valid.
    """

    scheme: str
    host: str
    verify: bool = True
    prefix: str = ""
    mirror: bool = False

    @property
    def base(self) -> str:
        """The URL of the API's root, with the trailing slash: its answer tells the protocol."""
        return f"{self.scheme}://{self.host}/v2/"

    def url(self, repository: str, rest: str) -> str:
        """The URL of `rest` ("manifests/latest") in `repository` ("library/debian")."""
        return f"{self.base}{self.repository(repository)}/{rest}"

    def repository(self, repository: str) -> str:
        """The path of `repository` at this endpoint."""
        return f"{self.prefix}/{repository}" if self.prefix else repository


@dataclass(frozen=True)
class Registries:
    """What the administrator says about registries: `/etc/bay/registries.toml`.

    `mirrors` maps a registry ("docker.io") to places tried before it; `insecure` are hosts, with
    or without port, or networks in CIDR form, that may have no valid certificate or no TLS.
    """

    mirrors: dict[str, tuple[str, ...]] = field(default_factory=dict)
    insecure: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path = CONFIG) -> Registries:
        """Read the file; all defaults when there is none. InvalidError when it can't be read."""
        try:
            with path.open("rb") as file:
                data = tomllib.load(file)
        except FileNotFoundError:
            return cls()
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise InvalidError(f"cannot read {path}: {error}") from error
        mirrors, insecure = data.get("mirrors", {}), data.get("insecure", [])
        unknown = sorted(set(data) - {"mirrors", "insecure"})
        if unknown:
            raise InvalidError(f"{path}: unknown key {unknown[0]} (known: mirrors, insecure)")
        if not _is_texts(insecure):
            raise InvalidError(f"{path}: insecure must be a list of hosts or networks")
        if not isinstance(mirrors, dict) or not all(map(_is_texts, mirrors.values())):
            raise InvalidError(f"{path}: mirrors must map a registry to a list of addresses")
        return cls({name: tuple(found) for name, found in mirrors.items()}, tuple(insecure))

    def endpoints(self, domain: str) -> list[Endpoint]:
        """Every place to try for `domain`, in order: its mirrors, then the registry itself."""
        found = [
            endpoint
            for mirror in self.mirrors.get(domain, ())
            for endpoint in self._protocols(mirror, mirror=True)
        ]
        return found + self.own(domain)

    def own(self, domain: str) -> list[Endpoint]:
        """The registry itself, without mirrors: what a push and a login talk to."""
        return self._protocols(HUB_HOST if domain in _HUB_NAMES else domain, mirror=False)

    def is_insecure(self, host: str) -> bool:
        """Whether `host` ("name", "name:port") may go without a valid certificate."""
        name = _name(host)
        if is_loopback(host) or host in self.insecure or name in self.insecure:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return any(address in network for network in map(_network, self.insecure) if network)

    def _protocols(self, place: str, *, mirror: bool) -> list[Endpoint]:
        parts = urlsplit(place if "://" in place else f"//{place}")
        host, prefix = parts.netloc, parts.path.strip("/")
        if parts.scheme not in ("", "http", "https") or not host:
            raise InvalidError(f"invalid registry address {place}: use host[:port] or a URL")
        insecure = self.is_insecure(host)
        plain = Endpoint("http", host, False, prefix, mirror)
        secure = Endpoint("https", host, not insecure, prefix, mirror)
        if parts.scheme:
            return [plain if parts.scheme == "http" else secure]
        if not insecure:
            return [secure]
        # A registry on this very machine is nearly always the plain kind.
        return [plain, secure] if is_loopback(host) else [secure, plain]


def is_loopback(host: str) -> bool:
    """Whether `host`, with or without port, is this machine by its loopback name or address."""
    name = _name(host)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def credential_keys(domain: str, path: str = "") -> list[str]:
    """The keys under which credential files know a registry, the most specific first.

    containers/image writes keys of repositories too ("quay.io/team/app"); Docker only hosts, and
    for its Hub the address of the long-gone index.
    """
    if domain in _HUB_NAMES:
        hosts = ["https://index.docker.io/v1/", HUB, "index.docker.io", HUB_HOST]
        domain = HUB
    else:
        hosts = [domain, f"https://{domain}", f"https://{domain}/v1/", f"https://{domain}/v2/"]
    parts = path.split("/") if path else []
    narrow = ["/".join([domain, *parts[:count]]) for count in range(len(parts), 0, -1)]
    return narrow + hosts


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
