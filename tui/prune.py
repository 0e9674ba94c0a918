"""What a clean-up would remove: found out before, so that exactly this is removed and no more."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from ..host.errors import NotFoundError
from .model import Json, Model, container_name
from .source import Source
from .tabs import is_ours
from .text import short_id
from .text import size as text_size
from .verbs import Deed, Step

BUILT_IN = ("bridge", "host", "none", "podman")
CACHE = "/build/prune"
LEFTOVERS = "/bay/leftovers/prune"


@dataclass(frozen=True)
class Waste:
    """One kind of things nobody uses: items are (path to delete, name, bytes)."""

    key: str
    title: str
    items: list[tuple[str, str, int]]
    at_first: bool
    lost: str = ""

    @property
    def called(self) -> str:
        """The title, in the singular for one."""
        plural = r"(container|image|network|volume)s\b"
        return re.sub(plural, r"\1", self.title) if len(self.items) == 1 else self.title

    @property
    def size(self) -> int:
        """The bytes that come free."""
        return sum(size for _, _, size in self.items)


async def look(source: Source, model: Model) -> list[Waste]:
    """Ask the engine for what nobody uses; sizes where it measures them.

    Raises BayError when the engine refuses.
    """
    if is_ours(model.version):
        try:
            return sort_out(model, *await _ours(source))
        except NotFoundError:
            pass  # an older one of ours: it is asked as any other
    return sort_out(model, *await _any(source))


@dataclass(frozen=True)
class Found:
    """What an engine said: sizes in bytes by id or name, the volumes nobody uses, the cache.

    A volume is (name, whether it is anonymous). `left` are layers of no image and downloads that
    were cut short: how many, and bytes.
    """

    sizes: dict[str, int]
    volumes: list[tuple[str, bool]]
    cache: list[tuple[str, int]]
    left: tuple[int, int] = (0, 0)


async def _ours(source: Source) -> tuple[list[Json], list[Json], Found]:
    """By `/bay/prune`, which goes by the rules of the prunes themselves."""
    asked = (
        {"kinds": "containers"},
        {"kinds": "images", "all": True},
        {"kinds": "volumes"},
        {"kinds": "volumes", "filters": {"all": ["true"]}},
        {"kinds": "build-cache", "all": True},
    )
    containers, images, *replies = await asyncio.gather(
        source.get("/containers/json", all=True),
        source.get("/images/json"),
        *(source.get("/bay/prune", **one) for one in asked),
    )
    gone, pictures, loose, volumes, cache = (reply["Items"] for reply in replies)
    anonymous = {one["Id"] for one in loose}
    left = [one["Size"] for one in pictures if one["Kind"] in ("layer", "download")]
    found = Found(
        {one["Id"]: one["Size"] for one in (*gone, *pictures, *volumes)},
        [(one["Id"], one["Id"] in anonymous) for one in volumes if one["Kind"] == "volume"],
        [(one["Name"] or one["Id"], one["Size"]) for one in cache if one["Kind"] == "build-cache"],
        (len(left), sum(left)),
    )
    return containers, images, found


async def _any(source: Source) -> tuple[list[Json], list[Json], Found]:
    """By what every engine has; podman's `/system/df` has no names of images."""
    containers, images, usage = await asyncio.gather(
        source.get("/containers/json", all=True, size=True),
        source.get("/images/json"),
        source.get("/system/df"),
    )
    sizes = {one["Id"]: one.get("SizeRw") or 0 for one in containers}
    sizes |= {one["Id"]: one.get("Size") or 0 for one in images}
    volumes = []
    for one in usage.get("Volumes") or []:
        data, name = one.get("UsageData") or {}, one["Name"]
        if data.get("RefCount", -1) == 0:
            label = "com.docker.volume.anonymous" in (one.get("Labels") or {})
            volumes.append((name, label or len(name) == 64))
            sizes[name] = max(0, data.get("Size", 0))
    entries = [one for one in usage.get("BuildCache") or [] if not one.get("InUse")]
    cache = [(str(one.get("ID", "")), int(one.get("Size") or 0)) for one in entries]
    return containers, images, Found(sizes, volumes, cache)


def sort_out(model: Model, containers: list[Json], images: list[Json], found: Found) -> list[Waste]:
    """The waste, by kind."""
    stopped = [one for one in containers if one["State"] in ("created", "exited", "dead")]
    # What a stopped container still holds is in use until that container is gone too.
    used = {one.get("ImageID") for one in containers}
    nameless, unused = [], []
    for one in images:
        names = [name for name in one.get("RepoTags") or [] if name != "<none>:<none>"]
        if one["Id"] in used:
            continue
        size = found.sizes.get(one["Id"], 0)
        for index, name in enumerate(names):
            unused.append((f"/images/{name}", name, 0 if index else size))
        if not names:
            nameless.append((f"/images/{one['Id']}", short_id(one["Id"]), size))
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
    anonymous, named = _volumes(found)
    total = sum(size for _, size in found.cache)
    cache = [(CACHE, f"{len(found.cache)} steps of builds", total)] if found.cache else []
    count, bytes_left = found.left
    left = [(LEFTOVERS, f"{count} of pulls that were cut short", bytes_left)] if count else []
    return [
        Waste(
            "containers",
            "stopped containers",
            [
                (f"/containers/{one['Id']}", container_name(one), found.sizes.get(one["Id"], 0))
                for one in stopped
            ],
            True,
            "what was written into them",
        ),
        Waste("nameless", "images without a name", nameless, True),
        Waste(
            "leftovers", "layers of no image, downloads", left, False, "pulls that go on from them"
        ),
        Waste("networks", "networks nobody is in", networks, True),
        Waste("anonymous", "anonymous volumes nobody uses", anonymous, False, "their data"),
        Waste("unused", "images nobody uses", unused, False, "they must be pulled again"),
        Waste("cache", "build cache", cache, False, "the next builds take longer"),
        Waste("named", "named volumes nobody uses", named, False, "their data"),
    ]


def _volumes(found: Found) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]:
    anonymous: list[tuple[str, str, int]] = []
    named: list[tuple[str, str, int]] = []
    for name, loose in found.volumes:
        shown = f"{name[:12]}…" if loose and len(name) == 64 else name
        item = (f"/volumes/{name}", shown, found.sizes.get(name, 0))
        (anonymous if loose else named).append(item)
    return anonymous, named


def deed(wastes: list[Waste]) -> Deed:
    """Removing exactly these; without force, so that what came into use meanwhile stays."""
    steps = [
        Step(path, name, "DELETE", path, "removing")
        for one in wastes
        for path, name, _ in one.items
        if path not in (CACHE, LEFTOVERS)
    ]
    for path, name in [(path, name) for one in wastes for path, name, _ in one.items]:
        # After the images, whose layers they share.
        if path == CACHE:
            steps.append(Step(CACHE, name, "POST", CACHE, "removing", {"all": True}, stage=1))
        elif path == LEFTOVERS:
            steps.append(Step(path, name, "POST", path, "removing", stage=1))
    words = {"containers": "rm", "nameless": "rmi", "unused": "rmi"}
    parts = []
    for one in wastes:
        if one.items and one.key == "cache":
            parts.append("bay builder prune -f -a")
        elif one.items and one.key == "leftovers":
            parts.append("bay image prune --leftovers -f")
        elif one.items:
            verb = words.get(one.key, "network rm" if one.key == "networks" else "volume rm")
            parts.append(f"bay {verb} {' '.join(name for _, name, _ in one.items)}")
    return Deed("Clean up", steps, "; ".join(parts))


def result(wastes: list[Waste], failed: list[str]) -> str:
    """What a clean-up came to, in a sentence; `failed` are the sentences of what stays."""
    items = [(name, size) for one in wastes for _, name, size in one.items]
    stay = [name for name, _ in items if any(f"{name}: " in text for text in failed)]
    gone = [size for name, size in items if name not in stay]
    words = f"Removed {len(gone)}, freed {text_size(sum(gone), 1000)}."
    return f"{words} {len(stay)} stayed: {', '.join(stay[:3])}" if stay else words
