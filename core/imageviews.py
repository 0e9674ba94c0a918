"""Images as the Docker Engine API shows them: in lists, one by one, and by their history."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ..host import clock
from ..storage.images import Image
from ..storage.store import Store
from .types import Container, Json

# Docker answers every field of a container's Config for an image too (before API 1.50).
_CONFIG_DEFAULTS: Mapping[str, object] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}


def summary(
    store: Store,
    image: Image,
    *,
    tags: Sequence[str],
    digests: Sequence[str],
    shared: int = -1,
    containers: int = -1,
) -> Json:
    """Docker's ImageSummary with the names given.

    `shared` are bytes other images have too, `containers` how many are made of it; -1: not asked.
    """
    return {
        "Containers": containers,
        "Created": unix(image.created),
        "Id": image.id,
        "Labels": labels(image) or None,
        "ParentId": store.images.parent(image.id),
        "RepoDigests": list(digests),
        "RepoTags": list(tags),
        "SharedSize": shared,
        "Size": image.size,
    }


def shared_sizes(store: Store, images: Iterable[Image]) -> dict[str, int]:
    """For each image's id, the bytes of its layers that another of `images` has as well."""
    known = list(images)
    users = Counter(diff_id for image in known for diff_id in set(image.diff_ids))
    sizes = {one: store.layers.info(one).size for one, count in users.items() if count > 1}
    return {
        image.id: sum(sizes.get(diff_id, 0) for diff_id in set(image.diff_ids)) for image in known
    }


def users(image: Image, containers: Iterable[Container]) -> list[Container]:
    """The containers made from the image."""
    return [one for one in containers if one.image == image.id]


def inspect(store: Store, image: Image) -> Json:
    """Docker's ImageInspect."""
    config = image.config
    found: Json = {
        "Id": image.id,
        "RepoTags": store.images.names(image.id),
        "RepoDigests": store.images.digests(image.id),
        "Parent": store.images.parent(image.id),
        "Comment": config.get("comment") or _last_comment(image),
        "Created": image.created,
        "DockerVersion": config.get("docker_version") or "",
        "Author": config.get("author") or "",
        "Config": docker_config(image),
        "Architecture": config.get("architecture") or "",
        "Os": config.get("os") or "",
        "Size": image.size,
        "GraphDriver": _driver(store, image),
        "RootFS": {"Type": "layers", "Layers": list(image.diff_ids)},
        "Metadata": {"LastTagTime": clock.from_ns(store.images.tagged(image.id))},
    }
    if config.get("variant"):
        found["Variant"] = config["variant"]
    return found


def docker_config(image: Image) -> Json:
    """The image's container settings with every field that Docker shows."""
    given = image.config.get("config") or {}
    return {**_CONFIG_DEFAULTS, **{key: value for key, value in given.items() if key}}


def labels(image: Image) -> dict[str, str]:
    """The image's labels."""
    return dict((image.config.get("config") or {}).get("Labels") or {})


def history(store: Store, image: Image) -> list[Json]:
    """Docker's HistoryResponseItems, the newest first.

    Steps that were made elsewhere have no id: Docker's word for it is `<missing>`.
    """
    rows: list[Json] = []
    for step, diff_id in layered_steps(image):
        rows.append(
            {
                "Comment": step.get("comment") or "",
                "Created": unix(step.get("created") or ""),
                "CreatedBy": step.get("created_by") or "",
                "Id": "<missing>",
                "Size": store.layers.info(diff_id).size if diff_id else 0,
                "Tags": None,
            }
        )
    rows.reverse()
    # A step that was made here has its image's id, as far as these are still here.
    known: str = image.id
    for row in rows:
        row.update(Id=known, Tags=store.images.names(known) or None)
        known = store.images.parent(known)
        if not known or not store.images.has(known):
            break
    return rows


def layered_steps(image: Image) -> list[tuple[Json, str | None]]:
    """Each step of the image's history, the oldest first, and the DiffID of the layer it made."""
    steps = list(image.config.get("history") or [])
    unexplained = len(image.diff_ids) - sum(1 for step in steps if not step.get("empty_layer"))
    steps += [{"created": image.created}] * max(0, unexplained)
    layers = iter(image.diff_ids)
    return [(step, None if step.get("empty_layer") else next(layers, None)) for step in steps]


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """The ids of a stack of layers at each height (OCI image specification, "Layer ChainID")."""
    chains: list[str] = []
    for diff_id in diff_ids:
        text = f"{chains[-1]} {diff_id}".encode() if chains else b""
        chains.append("sha256:" + hashlib.sha256(text).hexdigest() if text else diff_id)
    return chains


def unix(created: str) -> int:
    """Seconds since 1970 of a configuration's time; 0 for none and for what is no time."""
    try:
        return clock.to_ns(created) // 1_000_000_000
    except ValueError:
        return 0


def _last_comment(image: Image) -> str:
    steps = image.config.get("history") or []
    return str(steps[-1].get("comment") or "") if steps else ""


def _driver(store: Store, image: Image) -> Json:
    folders = [str(store.layers.path(diff_id)) for diff_id in reversed(image.diff_ids)]
    data: Json = {}
    if folders:
        data["UpperDir"] = folders[0]
    if len(folders) > 1:
        data["LowerDir"] = ":".join(folders[1:])
    return {"Name": "overlay2", "Data": data or None}
