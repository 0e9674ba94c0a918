"""What a clean-up would remove: found out before, so that exactly this is removed and no more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from .model import Json, Model, container_name
from .source import Source
from .text import short_id
from .verbs import Deed, Step

BUILT_IN = ("bridge", "host", "none")


@dataclass(frozen=True)
class Waste:
    """One kind of things nobody uses: items are (path to delete, name, bytes)."""

    key: str
    title: str
    items: list[tuple[str, str, int]]
    at_first: bool
    lost: str = ""

    @property
    def size(self) -> int:
        """The bytes that come free."""
        return sum(size for _, _, size in self.items)


async def look(source: Source, model: Model) -> list[Waste]:
    """Ask the engine for what nobody uses; sizes where it measures them.

    Raises BayError when the engine refuses.
    """
    containers, usage = await asyncio.gather(
        source.get("/containers/json", all=True, size=True), source.get("/system/df")
    )
    return sort_out(model, containers, usage)


def sort_out(model: Model, containers: list[Json], usage: Json) -> list[Waste]:
    """The waste, by kind, from the lists and `/system/df`."""
    stopped = [one for one in containers if one["State"] in ("created", "exited", "dead")]
    # What a stopped container still holds is in use until that container is gone too.
    used = {one.get("ImageID") for one in containers}
    nameless, unused = [], []
    for one in usage.get("Images") or []:
        names = [name for name in one.get("RepoTags") or [] if name != "<none>:<none>"]
        if one["Id"] in used:
            continue
        item = (f"/images/{one['Id']}", short_id(one["Id"]), one.get("Size", 0))
        if names:
            size = one.get("Size", 0)
            for index, name in enumerate(names):
                unused.append((f"/images/{name}", name, 0 if index else size))
        else:
            nameless.append(item)
    joined = {
        name
        for one in containers
        for name in ((one.get("NetworkSettings") or {}).get("Networks") or {})
    }
    networks = [
        (f"/networks/{one['Id']}", str(one["Name"]), 0)
        for one in model.networks
        if one["Name"] not in BUILT_IN and one["Name"] not in joined
    ]
    anonymous, named = _volumes(usage.get("Volumes") or [])
    return [
        Waste(
            "containers",
            "stopped containers",
            [
                (f"/containers/{one['Id']}", container_name(one), one.get("SizeRw") or 0)
                for one in stopped
            ],
            True,
            "what was written into them",
        ),
        Waste("nameless", "images without a name", nameless, True),
        Waste("networks", "networks nobody is in", networks, True),
        Waste("anonymous", "anonymous volumes nobody uses", anonymous, False, "their data"),
        Waste("unused", "images nobody uses", unused, False, "they must be pulled again"),
        Waste("named", "named volumes nobody uses", named, False, "their data"),
    ]


def _volumes(
    entries: list[Json],
) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]:
    anonymous: list[tuple[str, str, int]] = []
    named: list[tuple[str, str, int]] = []
    for one in entries:
        data = one.get("UsageData") or {}
        if data.get("RefCount", -1) != 0:
            continue
        name = one["Name"]
        plain = len(name) == 64 and "com.docker.volume.anonymous" not in (one.get("Labels") or {})
        nobody = plain or "com.docker.volume.anonymous" in (one.get("Labels") or {})
        shown = f"{name[:12]}…" if nobody and len(name) == 64 else name
        item = (f"/volumes/{name}", shown, max(0, data.get("Size", 0)))
        (anonymous if nobody else named).append(item)
    return anonymous, named


def deed(wastes: list[Waste]) -> Deed:
    """Removing exactly these; without force, so that what came into use meanwhile stays."""
    steps = [
        Step(path, name, "DELETE", path, "removing")
        for one in wastes
        for path, name, _ in one.items
    ]
    words = {"containers": "rm", "nameless": "rmi", "unused": "rmi"}
    parts = []
    for one in wastes:
        if one.items:
            verb = words.get(one.key, "network rm" if one.key == "networks" else "volume rm")
            parts.append(f"bay {verb} {' '.join(name for _, name, _ in one.items)}")
    return Deed("Clean up", steps, "; ".join(parts))
