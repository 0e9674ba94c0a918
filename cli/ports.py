"""Published and exposed ports: the forms of `-p` and `--expose`."""

from __future__ import annotations

from ..host.light import Any, Iterable
from .flags import UsageError

Json = dict[str, Any]

_PROTOCOLS = ("tcp", "udp", "sctp")


def parse_publish(specs: Iterable[str]) -> tuple[Json, Json]:
    """(ExposedPorts, PortBindings) of `-p` flags. Raises UsageError.

    The forms: port, host:port, address:host:port, address::port; ports may be ranges, and
    `/protocol` may follow; also `target=…,published=…,host_ip=…,protocol=…`.
    """
    exposed: Json = {}
    bindings: Json = {}
    for spec in specs:
        for inside, protocol, address, outside in _expand(spec):
            key = f"{inside}/{protocol}"
            exposed[key] = {}
            bindings.setdefault(key, []).append({"HostIp": address, "HostPort": outside})
    return exposed, bindings


def parse_expose(specs: Iterable[str]) -> Json:
    """ExposedPorts of `--expose` flags: port or range, with `/protocol`. Raises UsageError."""
    exposed: Json = {}
    for spec in specs:
        ports, protocol = _protocol(spec)
        first, last = _range(ports, spec)
        exposed.update({f"{port}/{protocol}": {} for port in range(first, last + 1)})
    return exposed


def _expand(spec: str) -> list[tuple[int, str, str, str]]:
    """The (port, protocol, host address, host port) of one `-p`, ranges taken apart."""
    if "target=" in spec:
        spec = _long_form(spec)
    body, protocol = _protocol(spec)
    address, host, inside = _take_apart(body, spec)
    first, last = _range(inside, spec)
    count = last - first + 1
    if not host:
        return [(port, protocol, address, "") for port in range(first, last + 1)]
    out_first, out_last = _range(host, spec)
    if out_last - out_first + 1 != count:
        if count == 1:
            # One port inside, a range outside: the engine takes a free one of the range.
            return [(first, protocol, address, f"{out_first}-{out_last}")]
        raise UsageError(
            f"invalid ranges specified for container and host Ports: {inside} and {host}"
        )
    return [(first + i, protocol, address, str(out_first + i)) for i in range(count)]


def _take_apart(body: str, spec: str) -> tuple[str, str, str]:
    """(address, host port, port) of `body`, which has no protocol any more."""
    if body.startswith("["):
        address, bracket, rest = body[1:].partition("]:")
        host, colon, inside = rest.rpartition(":")
        if not (bracket and colon and inside):
            raise UsageError(f"invalid port specification: {spec}")
        return _address(address), host, inside
    parts = body.rsplit(":", 2)
    if len(parts) == 1:
        return "", "", parts[0]
    if len(parts) == 2:
        # `address:port` isn't a form of Docker's: what stands before one colon is a port.
        return "", parts[0], parts[1]
    return _address(parts[0]) if parts[0] else "", parts[1], parts[2]


def _address(text: str) -> str:
    import ipaddress

    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        raise UsageError(f"invalid IP address: {text}") from None
    return text


def _protocol(spec: str) -> tuple[str, str]:
    body, slash, protocol = spec.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol not in _PROTOCOLS:
        raise UsageError(f"invalid proto: {protocol}")
    if not body:
        raise UsageError(f"no port specified: {spec}<empty>")
    return body, protocol


def _range(text: str, spec: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    try:
        low, high = int(first), int(last) if dash else int(first)
    except ValueError:
        raise UsageError(f"invalid containerPort: {text} in {spec}") from None
    if not 0 <= low <= high <= 65535:
        raise UsageError(f"invalid containerPort: {text} in {spec}")
    return low, high


def _long_form(spec: str) -> str:
    """`target=80,published=8080,protocol=udp` as the short form."""
    fields = {"target": "", "published": "", "protocol": "tcp", "host_ip": "", "mode": ""}
    for item in spec.split(","):
        name, _, value = item.partition("=")
        if name not in fields:
            raise UsageError(f"invalid field key {name} in port {spec}")
        fields[name] = value
    address = fields["host_ip"]
    if ":" in address:
        address = f"[{address}]"
    front = f"{address}:" if address else ""
    middle = f"{fields['published']}:" if fields["published"] or address else ""
    return f"{front}{middle}{fields['target']}/{fields['protocol']}"
