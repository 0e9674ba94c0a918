"""Credentials for registries on the command line: our settings first, then Docker's."""

from __future__ import annotations

from ..client.credentials import HUB, docker_folder, encode, find, registries, registry_of
from ..host.light import Any
from .config import Config

__all__ = ["HUB", "auth_header", "build_header", "credentials", "encode", "settings"]

Json = dict[str, Any]


def settings(config: Config) -> list[Json]:
    """The settings to look in: ours, and those of `docker login`."""
    return [config.values, Config(docker_folder()).values]


def credentials(config: Config, registry: str) -> Json:
    """What is known of `registry`, as the API's AuthConfig; empty when nothing is."""
    return find(settings(config), registry)


def auth_header(config: Config, reference: str) -> dict[str, str]:
    """The header that carries the credentials for an image's registry; empty without any."""
    found = credentials(config, registry_of(reference))
    return {"X-Registry-Auth": encode(found)} if found else {}


def build_header(config: Config) -> dict[str, str]:
    """The header with all credentials: a build does not tell before which registry it asks."""
    known = settings(config)
    found = {host: find(known, host) for host in registries(known)}
    found = {host: auth for host, auth in found.items() if auth}
    return {"X-Registry-Config": encode(found)} if found else {}
