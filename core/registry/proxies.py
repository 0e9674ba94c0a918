"""The proxies between us and a registry, as HTTP_PROXY, HTTPS_PROXY and NO_PROXY name them."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment


class Proxies:
    """Which proxy a request goes through; `found` maps http, https, all and no to their values."""

    def __init__(self, found: Mapping[str, str] | None = None) -> None:
        self._found = getproxies_environment() if found is None else dict(found)

    def pick(self, scheme: str, host: str) -> str | None:
        """The proxy's URL for a request to `host` ("name:port"), None for a direct way."""
        proxy = self._found.get(scheme) or self._found.get("all")
        if not proxy or _bypassed(host, self._found.get("no") or ""):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"

    def target(self, url: str) -> str:
        """What stands in the request line for `url`.

        A proxy gets the whole address of a plain request; of a tunnelled one it sees nothing.
        """
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.scheme == "http" and self.pick("http", parts.netloc):
            return f"http://{parts.netloc}{path}"
        return path

    def headers(self, url: str) -> dict[str, str]:
        """The headers that a plain request to `url` carries for the proxy."""
        parts = urlsplit(url)
        proxy = self.pick("http", parts.netloc) if parts.scheme == "http" else None
        return authorization(proxy) if proxy else {}


def authorization(proxy: str) -> dict[str, str]:
    """The header with the name and password that stand in the proxy's URL."""
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair).decode()}


def _bypassed(host: str, exceptions: str) -> bool:
    """Whether `host` ("name:port") is reached directly: this machine, and what NO_PROXY names.

    As Docker reads it (Go's httpproxy): names with all below them, `.name` for those below alone,
    addresses, networks (`10.0.0.0/8`), each with a port or without; `*` is all.
    """
    parts = urlsplit(f"//{host}")
    name, port = (parts.hostname or "").rstrip("."), parts.port
    address = _address(name)
    if name == "localhost" or (address is not None and address.is_loopback):
        return True
    for entry in exceptions.lower().replace(",", " ").split():
        if entry == "*":
            return True
        if address is not None and "/" in entry:
            try:
                if address in ipaddress.ip_network(entry, strict=False):
                    return True
            except ValueError:
                pass
            continue
        plain, _, its_port = entry.rpartition(":") if _address(entry) is None else (entry, "", "")
        if not its_port.isdecimal():
            plain, its_port = entry, ""
        if its_port and port != int(its_port):
            continue
        plain = plain.strip("[]").removeprefix("*")
        below = plain if plain.startswith(".") else f".{plain}"
        if name == plain or (address is None and name.endswith(below)):
            return True
    return False


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
