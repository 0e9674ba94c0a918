"""What older API versions had in their answers, and clients of their time read."""

from __future__ import annotations

from ..core.types import Json


def container(value: Json, version: tuple[int, ...]) -> Json:
    """An inspected container as API `version` shows it."""
    if version < (1, 45):
        # docker-compose 1 takes a network without this alias for one it must connect anew.
        networks = value["NetworkSettings"]["Networks"]
        value["NetworkSettings"]["Networks"] = {
            name: _with_short_id(settings, value["Id"][:12]) for name, settings in networks.items()
        }
    if version < (1, 42):
        value["HostConfig"] = {"KernelMemory": 0, "KernelMemoryTCP": 0, **value["HostConfig"]}
    return value


def _with_short_id(settings: Json, short: str) -> Json:
    # Only networks of the user's have names, and only what runs has this one.
    if not settings.get("DNSNames") or not settings.get("EndpointID"):
        return settings
    aliases = list(settings.get("Aliases") or [])
    return {**settings, "Aliases": aliases if short in aliases else [*aliases, short]}


# Of a container's settings, what an image never has.
_OF_CONTAINERS = {
    *("Hostname", "Domainname", "Image", "AttachStdin", "AttachStdout", "AttachStderr"),
    *("Tty", "OpenStdin", "StdinOnce"),
}


def image(value: Json, version: tuple[int, ...]) -> Json:
    """An inspected image as API `version` shows it."""
    if version >= (1, 50):
        config = {k: v for k, v in value["Config"].items() if k not in _OF_CONTAINERS}
        value = {**value, "Config": config}
    if version < (1, 45):
        value = {**value, "Container": ""}
    # Docker dropped this in 1.45; docker-compose 1, which asks for the newest version, reads it.
    value = {**value, "ContainerConfig": value["Config"]}
    return summary(value, version)


def summary(value: Json, version: tuple[int, ...]) -> Json:
    """A row of the list of images as API `version` shows it."""
    return {**value, "VirtualSize": value["Size"]} if version < (1, 44) else value


def info(value: Json, version: tuple[int, ...]) -> Json:
    """What the engine has and can do, as API `version` shows it."""
    gone: set[str] = set()
    if version < (1, 49):
        gone = {"FirewallBackend"}
    else:
        registries = value["RegistryConfig"].items()
        value = {**value, "RegistryConfig": {k: v for k, v in registries if "Nondist" not in k}}
        for name in ("ContainerdCommit", "RuncCommit", "InitCommit"):
            value[name] = {"ID": value[name]["ID"]}
    gone |= (
        {"DiscoveredDevices"} if version < (1, 50) else {"BridgeNfIptables", "BridgeNfIp6tables"}
    )
    return {key: one for key, one in value.items() if key not in gone}
