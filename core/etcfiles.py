"""/etc/hosts, /etc/hostname and /etc/resolv.conf of a container, by Docker's rules.

They are files of its bundle, mounted into it, so they are written in place: a rename would leave
the running container with the old one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from ..host import files
from . import resolvers
from .netmodel import PREDEFINED
from .options import Options
from .resolvers import ResolvConf
from .types import Container, Json

EMBEDDED = "127.0.0.11"
# Lines for /etc/hosts that `core.netlinks` leaves in the bundle.
LINKS = "links"
_LOCAL = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
_NAMES = ("hostname", "hosts", "resolv.conf")
# More than any of them has that the engine wrote.
_LONGEST = 4 << 20


def write(container: Container, options: Options) -> None:
    """Write the three files from the container's configuration and its networks; blocks.

    Called after `Networks.join`, which fills in the addresses, and whenever they change. A
    resolv.conf that was edited inside the container is left alone.
    """
    mode: str = container.host_config.get("NetworkMode") or "default"
    if mode.startswith("container:"):
        _share(container, options.root / "containers" / mode.partition(":")[2])
        return
    _in_place(container.bundle / "hostname", _hostname(container) + "\n")
    _in_place(container.bundle / "hosts", hosts(container))
    _write_resolv_conf(container.bundle, resolv_conf(container, resolvers.of_host()).render())


def hosts(container: Container) -> str:
    """The text of /etc/hosts: the host's own in host mode, else local names and the container's."""
    lines = [_LOCAL]
    if container.host_config.get("NetworkMode") == "host":
        lines = [files.read_text("/etc/hosts", _LOCAL)]
    for extra in container.host_config.get("ExtraHosts") or []:
        name, address = split_extra_host(extra)
        if address == "host-gateway":
            address = _host_gateway(container)
        if address:
            lines.append(f"{address}\t{name}\n")
    hostname = container.config.get("Hostname") or container.id[:12]
    domain = container.config.get("Domainname")
    names = f"{hostname}.{domain} {hostname}" if domain else hostname
    for settings in container.networks.values():
        for key in ("IPAddress", "GlobalIPv6Address"):
            if settings.get(key):
                lines.append(f"{settings[key]}\t{names}\n")
    lines.append(files.read_text(container.bundle / LINKS, ""))
    return "".join(lines)


def resolv_conf(container: Container, host: ResolvConf) -> ResolvConf:
    """What /etc/resolv.conf says, given the host's configuration."""
    config = container.host_config
    result = ResolvConf(
        servers=list(config.get("Dns") or []),
        search=list(config.get("DnsSearch") or host.search),
        options=list(config.get("DnsOptions") or host.options),
    )
    if result.search == ["."]:
        result.search = []
    if uses_embedded(container, host):
        result.servers = [EMBEDDED]
        if not any(option.startswith("ndots:") for option in result.options):
            # Single names are answered here; asking for each under every search domain first
            # would send the containers' names to the outside.
            result.options.append("ndots:0")
    elif not result.servers:
        own = config.get("NetworkMode") == "host"
        result.servers = host.servers if own else host.reachable(ipv6=_has_ipv6(container))
    return result


def uses_embedded(container: Container, host: ResolvConf) -> bool:
    """Whether 127.0.0.11 answers in this container.

    On user networks, as with Docker. Also on the default bridge when the host's resolver listens
    on its loopback only: Docker falls back to a public one there, the engine forwards instead.
    """
    if any(name not in PREDEFINED for name in container.networks):
        return True
    return (
        "bridge" in container.networks
        and not container.host_config.get("Dns")
        and bool(host.servers)
        and not host.reachable(ipv6=_has_ipv6(container))
    )


def split_extra_host(text: str) -> tuple[str, str]:
    """Name and address of an `--add-host`: `name:address`, an IPv6 one with or without brackets."""
    name, _, address = text.partition(":")
    return name, address.strip("[]")


def _hostname(container: Container) -> str:
    if container.host_config.get("UTSMode") == "host":
        return os.uname().nodename
    return str(container.config.get("Hostname") or container.id[:12])


def _host_gateway(container: Container) -> str:
    found = _first(container.networks.values(), "Gateway") or _first(
        container.networks.values(), "IPv6Gateway"
    )
    return found or "127.0.0.1"


def _first(settings: Iterable[Json], key: str) -> str:
    return next((str(item[key]) for item in settings if item.get(key)), "")


def _has_ipv6(container: Container) -> bool:
    return any(settings.get("GlobalIPv6Address") for settings in container.networks.values())


def _in_place(path: Path, text: str) -> None:
    if _content(path) != text.encode():
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)


def _content(path: Path) -> bytes | None:
    """What the file has, None without one. Cut: a container can make it terabytes of zeros."""
    try:
        with open(path, "rb") as file:
            return file.read(_LONGEST)
    except FileNotFoundError:
        return None


def _write_resolv_conf(bundle: Path, text: str) -> None:
    path, mark = bundle / "resolv.conf", bundle / "resolv.conf.hash"
    present = _content(path)
    if present and hashlib.sha256(present).hexdigest() != files.read_text(mark, ""):
        return
    _in_place(path, text)
    mark.write_text(hashlib.sha256(text.encode()).hexdigest(), encoding="ascii")


def _share(container: Container, other: Path) -> None:
    """Have the files of the container whose network this one shares: the same files."""
    for name in _NAMES:
        own = container.bundle / name
        with contextlib.suppress(FileNotFoundError):
            if own.exists() and own.samefile(other / name):
                continue
            files.unlink(own)
            os.link(other / name, own)
