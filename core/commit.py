"""An image from a container: its image's layers, what it wrote, and its settings."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..host import clock
from ..host.errors import NotFoundError
from ..storage.store import Store
from . import configchanges
from .registry.manifests import Platform
from .types import Container, Json

# Of a container's settings, those an image has (OCI image specification, config.md, and Docker's
# own). A host name, or which streams were attached, is the one container's alone.
_KEPT = (
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "StopTimeout",
    "Healthcheck",
    "OnBuild",
    "Shell",
)


def commit(
    store: Store,
    container: Container,
    *,
    author: str = "",
    message: str = "",
    changes: Sequence[str] = (),
    config: Json | None = None,
) -> str:
    """Make the image and return its id; blocks for as long as the copying takes.

    `config` overrides the container's settings, as the API's body does; `changes` are Dockerfile
    instructions upon that. Raises InvalidError for a bad one, before anything is copied.
    """
    settings = configchanges.apply(_settings(container, config), changes)
    _fill_health(settings, container)
    below = store.snapshots.diff_ids(container.id)
    base = _base(store, container)
    history = list(base.get("history") or [])
    created = clock.now()
    step: Json = {
        "created": created,
        "created_by": " ".join(container.config.get("Cmd") or []),
        "comment": message,
        "author": author,
    }
    with store.layers.lease(*below):
        diff_ids = list(below)
        if store.snapshots.is_changed(container.id):
            layer = store.layers.apply(None, store.snapshots.diff_tar(container.id))
            diff_ids.append(layer.diff_id)
        else:
            step["empty_layer"] = True
        made = {
            "architecture": base["architecture"],
            "os": base["os"],
            "variant": base.get("variant"),
            "created": created,
            "author": author or base.get("author"),
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [*history, {key: value for key, value in step.items() if value}],
        }
        image = store.images.put(dump(made)).id
        store.images.set_parent(image, container.image)
        return image


def dump(config: Json) -> bytes:
    """The bytes of an image's configuration, without what is empty in it."""
    kept = {key: value for key, value in config.items() if value not in (None, "", {})}
    return json.dumps(kept, separators=(",", ":")).encode()


def _settings(container: Container, override: Json | None) -> Json:
    own = {key: container.config[key] for key in _KEPT if container.config.get(key)}
    if not override:
        return own
    given = {key: override[key] for key in _KEPT if override.get(key)}
    merged = {**own, **given}
    # Of these, an override adds to what is there (moby, daemon/commit.go, merge).
    for key in ("ExposedPorts", "Volumes", "Labels"):
        if own.get(key) and given.get(key):
            merged[key] = {**own[key], **given[key]}
    if own.get("Env") and given.get("Env"):
        merged["Env"] = own["Env"]
        for name, value in configchanges.environment(given).items():
            configchanges.set_variable(merged, name, value)
    return merged


def _fill_health(settings: Json, container: Container) -> None:
    """What a health check leaves open is the container's (moby, daemon/commit.go, merge)."""
    made, own = settings.get("Healthcheck"), container.config.get("Healthcheck")
    if made and own:
        settings["Healthcheck"] = {**made, **{k: v for k, v in own.items() if not made.get(k)}}


def _base(store: Store, container: Container) -> Json:
    """The configuration of the container's image; a bare one if that was removed by force."""
    try:
        return {"os": "linux", "architecture": "", **store.images.get(container.image).config}
    except NotFoundError:
        host = Platform.host()
        return {"os": host.os, "architecture": host.architecture}
