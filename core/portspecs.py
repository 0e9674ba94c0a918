"""What a container's configuration says about ports; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from ..host.errors import InvalidError
from .types import Json

_PROTOCOLS = ("tcp", "udp", "sctp")
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?$")


@dataclass(frozen=True)
class PortSpec:
    """A port to publish: of the container, on `host` ("" is every address of this host).

    The host's port is one of `low` to `high`; both 0 lets the engine choose.
    """

    protocol: str
    port: int
    host: str
    low: int
    high: int


def exposed(config: Json) -> list[tuple[int, str]]:
    """The (port, protocol) pairs that image and user declare. Raises InvalidError."""
    pairs = []
    for key in config.get("ExposedPorts") or {}:
        number, _, protocol = key.partition("/")
        low, high = _range(number, key)
        pairs += [(port, _protocol(protocol, key)) for port in range(low, high + 1)]
    return sorted(set(pairs))


def wanted(config: Json, host_config: Json) -> list[PortSpec]:
    """Every port to publish, by `-p` and `-P`, in the order they are to be tried.

    Fixed ports come first, so that one the engine chooses never takes one that is asked for.
    Raises InvalidError in Docker's words.
    """
    specs = []
    bound = set()
    for key, bindings in (host_config.get("PortBindings") or {}).items():
        number, _, protocol = key.partition("/")
        low, high = _range(number, key)
        if low != high or not low:
            raise InvalidError(f"invalid port specification: {key!r}: one port, as in 80/tcp")
        pair = (low, _protocol(protocol, key))
        bound.add(pair)
        # An empty list publishes on a port of the engine's choice, as `-p 80` does.
        for binding in bindings or [{}]:
            specs.append(_spec(pair, binding))
    if host_config.get("PublishAllPorts"):
        for port, protocol in exposed(config):
            if (port, protocol) not in bound:
                specs.append(PortSpec(protocol, port, "", 0, 0))
    return sorted(specs, key=lambda spec: (spec.low == 0, spec.high - spec.low))


def keys(config: Json, host_config: Json) -> list[str]:
    """The keys of Docker's `NetworkSettings.Ports`: all that is exposed or published."""
    pairs = set(exposed(config))
    pairs |= {(spec.port, spec.protocol) for spec in wanted(config, host_config)}
    return [f"{port}/{protocol}" for port, protocol in sorted(pairs)]


def _spec(pair: tuple[int, str], binding: Json) -> PortSpec:
    host = str(binding.get("HostIp") or "").strip("[]")
    if host:
        try:
            host = str(ip_address(host))
        except ValueError:
            raise InvalidError(f"invalid IP address: {host}") from None
    text = str(binding.get("HostPort") or "0")
    low, high = _range(text, text)
    return PortSpec(pair[1], pair[0], host, low, high)


def _range(text: str, shown: str) -> tuple[int, int]:
    match = _PORT.match(text)
    if match is None:
        raise InvalidError(f"invalid port specification: {shown!r}")
    low, high = int(match.group(1)), int(match.group(2) or match.group(1))
    if high > 65535 or low > high:
        raise InvalidError(f"invalid port range: {shown!r}: ports go up to 65535")
    return low, high


def _protocol(text: str, shown: str) -> str:
    protocol = text.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise InvalidError(f"invalid protocol: {shown!r}: one of {', '.join(_PROTOCOLS)}")
    return protocol
