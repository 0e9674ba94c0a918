"""Registry credentials of this user, as `bay login` left them in `config.json`."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping

from . import settings


def header(reference: str, environment: Mapping[str, str] = os.environ) -> str:
    """The value of X-Registry-Auth for an image reference; that of nobody when none is kept.

    Docker wants the header of a push even when there is nothing to say in it.
    """
    nobody = base64.urlsafe_b64encode(b"{}").decode()
    file = settings.path(environment).with_name("config.json")
    try:
        kept = json.loads(file.read_text(encoding="utf-8")).get("auths") or {}
        registry = registry_of(reference)
        entry = kept.get(registry) or {}
        user, _, password = base64.b64decode(entry.get("auth") or "").decode().partition(":")
        token = entry.get("identitytoken")
    except (OSError, ValueError, AttributeError):
        return nobody
    if not user and not token:
        return nobody
    said = {"username": user, "password": password, "serveraddress": registry}
    if token:
        said["identitytoken"] = token
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode()


def registry_of(reference: str) -> str:
    """The key of `auths` for the registry that a reference names, as Docker writes it."""
    first, slash, _ = reference.partition("/")
    own = "." in first or ":" in first or first == "localhost"
    if slash and own and first not in ("docker.io", "index.docker.io"):
        return first
    return "https://index.docker.io/v1/"
