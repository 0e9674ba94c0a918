"""`bay network`: ls, create, rm, connect, disconnect."""

from __future__ import annotations

from ...host.errors import NotFoundError
from ...host.light import Any
from .. import refused
from ..app import App
from ..command import Command
from ..envfile import labels
from ..errors import engine_sentence
from ..flags import Parsed, UsageError, many, switch, text, whole
from ..listing import FORMAT, Listing, Row, filter_flag, join_labels, label_getter, parse_filters
from ..table import CYAN, DIM
from .lifecycle import each

Json = dict[str, Any]

LISTING = Listing(
    headers={
        "ID": "NETWORK ID",
        "Name": "NAME",
        "Driver": "DRIVER",
        "Scope": "SCOPE",
        "IPv4": "IPV4",
        "IPv6": "IPV6",
        "Internal": "INTERNAL",
        "Labels": "LABELS",
        "CreatedAt": "CREATED AT",
    },
    columns=("ID", "Name", "Driver", "Scope"),
    styles={"ID": DIM, "Name": CYAN},
    raw=(("network_id", "ID"), ("name", "Name"), ("driver", "Driver"), ("scope", "Scope")),
)


def run_ls(app: App, parsed: Parsed) -> None:
    """Print the list of networks."""
    found = app.client.get("/networks", filters=parse_filters(parsed["filter"]))
    networks = sorted(found, key=lambda one: str(one["Name"]))
    short = not parsed["no-trunc"]
    if parsed["quiet"] and not parsed["format"]:
        for one in networks:
            app.out(one["Id"][:12] if short else one["Id"])
        return
    form = parsed["format"] or app.config.form("networksFormat")
    LISTING.show([_row(one, short) for one in networks], form)


def _row(one: Json, short: bool) -> Row:
    return {
        "ID": one["Id"][:12] if short else one["Id"],
        "Name": one["Name"],
        "Driver": one["Driver"],
        "Scope": one.get("Scope", "local"),
        "IPv4": str(bool(one.get("EnableIPv4", True))).lower(),
        "IPv6": str(bool(one.get("EnableIPv6"))).lower(),
        "Internal": str(bool(one.get("Internal"))).lower(),
        "Labels": join_labels(one.get("Labels")),
        "Label": label_getter(one.get("Labels")),
        "CreatedAt": one.get("Created", "").replace("T", " ").replace("Z", " +0000 UTC"),
    }


def run_create(app: App, parsed: Parsed) -> None:
    """Make a network and print its id."""
    body: Json = {
        "Name": parsed.args[0],
        "Driver": parsed["driver"],
        "Scope": parsed["scope"],
        "Internal": parsed["internal"],
        "Attachable": parsed["attachable"],
        "ConfigOnly": parsed["config-only"],
        "ConfigFrom": {"Network": parsed["config-from"]} if parsed["config-from"] else None,
        "EnableIPv6": parsed["ipv6"],
        "IPAM": {
            "Driver": parsed["ipam-driver"],
            "Options": _pairs(parsed, "ipam-opt"),
            "Config": ipam_config(parsed),
        },
        "Options": _pairs(parsed, "opt"),
        "Labels": labels(parsed["label"]),
    }
    if "ipv4" in parsed:
        body["EnableIPv4"] = parsed["ipv4"]
    made = app.client.post("/networks/create", body)
    if made.get("Warning"):
        app.err(f"WARNING: {made['Warning']}")
    app.out(made["Id"])


def ipam_config(parsed: Parsed) -> list[Json]:
    """IPAM.Config: ranges and gateways belong to the subnet they lie in. Raises UsageError."""
    import ipaddress

    subnets = [_parse(ipaddress.ip_network, text) for text in _split(parsed["subnet"])]
    configs: list[Json] = [{"Subnet": str(text)} for text in _split(parsed["subnet"])]

    def place(value: str, address: Any, field: str) -> Json:
        for subnet, config in zip(subnets, configs, strict=True):
            if address.version == subnet.version and address in subnet:
                if field != "AuxiliaryAddresses" and field in config:
                    raise UsageError(f"cannot configure multiple {field}s on subnet {subnet}")
                return config
        raise UsageError(f"no matching subnet for {field.lower()} {value}")

    for value in _split(parsed["ip-range"]):
        network = _parse(ipaddress.ip_network, value)
        place(value, network.network_address, "IPRange")["IPRange"] = value
    for value in _split(parsed["gateway"]):
        place(value, _parse(ipaddress.ip_address, value), "Gateway")["Gateway"] = value
    for name, value in _pairs(parsed, "aux-address").items():
        config = place(value, _parse(ipaddress.ip_address, value), "AuxiliaryAddresses")
        config.setdefault("AuxiliaryAddresses", {})[name] = value
    return configs


def _parse(kind: Any, text: str) -> Any:
    try:
        return kind(text) if "/" not in text else kind(text, strict=False)
    except ValueError as error:
        raise UsageError(f"invalid address: {error}") from None


def _split(values: list[str]) -> list[str]:
    """Values of a flag that takes commas, too."""
    return [one for value in values for one in value.split(",") if one]


def _pairs(parsed: Parsed, name: str) -> dict[str, str]:
    found = {}
    for one in parsed[name]:
        key, equals, value = one.partition("=")
        if not equals:
            raise UsageError(f'invalid argument "{one}" for "--{name}" flag: write NAME=VALUE')
        found[key] = value
    return found


def run_rm(app: App, parsed: Parsed) -> int:
    """Remove networks."""

    def act(name: str) -> None:
        try:
            app.client.delete(f"/networks/{name}")
        except NotFoundError as error:
            if not parsed["force"]:
                raise
            app.err(engine_sentence(error))

    return each(app, parsed.args, act)


def run_connect(app: App, parsed: Parsed) -> None:
    """Connect a container to a network."""
    network, container = parsed.args
    addresses = {
        "IPv4Address": parsed["ip"],
        "IPv6Address": parsed["ip6"],
        "LinkLocalIPs": parsed["link-local-ip"],
    }
    endpoint: Json = {
        "IPAMConfig": {name: value for name, value in addresses.items() if value},
        "Aliases": parsed["alias"] or None,
        "Links": parsed["link"] or None,
        "DriverOpts": _pairs(parsed, "driver-opt"),
    }
    if "gw-priority" in parsed:
        endpoint["GwPriority"] = parsed["gw-priority"]
    body = {"Container": container, "EndpointConfig": endpoint}
    app.client.post(f"/networks/{network}/connect", body)


def run_disconnect(app: App, parsed: Parsed) -> None:
    """Disconnect a container from a network."""
    network, container = parsed.args
    body = {"Container": container, "Force": parsed["force"]}
    app.client.post(f"/networks/{network}/disconnect", body)


LS = Command(
    "network ls [OPTIONS]",
    "List networks",
    run_ls,
    flags=(
        filter_flag("Only what matches, for example driver=bridge"),
        FORMAT,
        switch("no-trunc", "Don't shorten ids"),
        switch("quiet", "Only ids", "q"),
    ),
)
CREATE = Command(
    "network create [OPTIONS] NETWORK",
    "Create a network",
    run_create,
    flags=(
        switch("attachable", "Containers may be connected by hand"),
        many("aux-address", "Address that is taken: NAME=ADDRESS", kind="map"),
        text("config-from", "Configuration-only network to take the settings of"),
        switch("config-only", "Only keep the settings, for networks to be made from"),
        text("driver", "Network driver", "d", default="bridge"),
        many("gateway", "Gateway of a subnet", kind="strings"),
        refused.switch("ingress", refused.SWARM),
        switch("internal", "No way out of the network"),
        many("ip-range", "Part of a subnet that containers get addresses of", kind="strings"),
        text("ipam-driver", "Driver of the addresses", default="default"),
        many("ipam-opt", "Option of the addresses' driver: NAME=VALUE", kind="map"),
        switch("ipv4", "Give IPv4 addresses", default=True),
        switch("ipv6", "Give IPv6 addresses"),
        many("label", "Label the network: NAME=VALUE"),
        many("opt", "Option of the driver: NAME=VALUE", "o", kind="map"),
        text("scope", "Scope of the network"),
        many("subnet", "Subnet in CIDR form: 10.1.0.0/24", kind="strings"),
    ),
    least=1,
    most=1,
)
RM = Command(
    "network rm NETWORK [NETWORK...]",
    "Remove one or more networks",
    run_rm,
    flags=(switch("force", "No failure if it doesn't exist", "f"),),
    least=1,
    most=None,
)
CONNECT = Command(
    "network connect [OPTIONS] NETWORK CONTAINER",
    "Connect a container to a network",
    run_connect,
    flags=(
        many("alias", "Further name on the network", kind="strings"),
        many("driver-opt", "Option of the driver: NAME=VALUE", kind="strings"),
        whole("gw-priority", "The network with the highest gives the default route"),
        text("ip", 'IPv4 address (e.g., "172.30.100.104")'),
        text("ip6", 'IPv6 address (e.g., "2001:db8::33")'),
        many("link", "Make another container known: container[:alias]"),
        many("link-local-ip", "Link-local address", kind="strings"),
    ),
    least=2,
    most=2,
)
DISCONNECT = Command(
    "network disconnect [OPTIONS] NETWORK CONTAINER",
    "Disconnect a container from a network",
    run_disconnect,
    flags=(switch("force", "Even if the container is gone", "f"),),
    least=2,
    most=2,
)
