"""Registry credentials of this user: what `bay login`, `docker login` and their helpers keep."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..client.credentials import docker_folder, encode, find, registry_of
from . import settings


def header(reference: str, environment: Mapping[str, str] = os.environ) -> str:
    """The value of X-Registry-Auth for an image reference; that of nobody when none is kept.

    Docker wants the header of a push even when there is nothing to say in it. Blocks while a
    credential helper is asked; raises BayError when it fails.
    """
    ours = Path(settings.path(environment)).with_name("config.json")
    known = [_read(ours), _read(Path(docker_folder(environment), "config.json"))]
    return encode(find(known, registry_of(reference)))


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
