"""Credentials for registries: kept in the user's settings, sent in the X-Registry-Auth header."""

from __future__ import annotations

from ..host import quickjson
from ..host.light import Any
from .config import Config

Json = dict[str, Any]

HUB = "https://index.docker.io/v1/"


def registry_of(reference: str) -> str:
    """The key of `auths` for the registry that an image reference names."""
    first, slash, _ = reference.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        return HUB
    return HUB if first in ("docker.io", "index.docker.io") else first


def credentials(config: Config, registry: str) -> Json:
    """What is stored for `registry`, as the API's AuthConfig; empty when nothing is."""
    entry = config.values.get("auths", {}).get(registry)
    if not entry:
        return {}
    found: Json = {"serveraddress": registry}
    import base64

    if entry.get("auth"):
        plain = base64.b64decode(entry["auth"]).decode()
        found["username"], _, found["password"] = plain.partition(":")
    if entry.get("identitytoken"):
        found["identitytoken"] = entry["identitytoken"]
    return found


def auth_header(config: Config, reference: str) -> dict[str, str]:
    """The header that carries the credentials for an image's registry; empty without any."""
    found = credentials(config, registry_of(reference))
    return {"X-Registry-Auth": encode(found)} if found else {}


def encode(value: Json) -> str:
    """JSON in URL-safe base64, as the API's auth headers want it."""
    import base64

    return base64.urlsafe_b64encode(quickjson.dumps(value).encode()).decode()
