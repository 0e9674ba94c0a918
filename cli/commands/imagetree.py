"""`bay images --tree`: each image with its names, its platform, and whether it is in use."""

from __future__ import annotations

from ...host.light import Any
from ..app import App
from ..flags import Parsed, UsageError
from ..table import BOLD, CYAN, DIM, align, is_styled
from ..units import human_size

Json = dict[str, Any]

_HEADER = ("IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA")
_STYLES = (CYAN, DIM, "", "", BOLD)


def show_tree(app: App, parsed: Parsed, found: list[Json]) -> None:
    """Print the images. Raises UsageError for the flags that have no meaning with a tree."""
    for flag in ("no-trunc", "quiet", "digests", "format"):
        if parsed[flag]:
            raise UsageError(f"--{flag} is not yet supported with --tree")
    used = {one["ImageID"] for one in app.client.get("/containers/json", all=True)}
    # The compressed content is kept for what was pulled or is to be pushed; the API has its size.
    rows = [_HEADER]
    for one in found:
        names = [name for name in one.get("RepoTags") or [] if not name.startswith("<none>")]
        size, content = human_size(one.get("Size") or 0), human_size(_content(one))
        extra = "U" if one["Id"] in used else ""
        short = one["Id"].removeprefix("sha256:")[:12]
        for number, name in enumerate(names or ["<untagged>"]):
            rows.append(
                (name, short, size, content, extra) if not number else (name, "", "", "", "")
            )
        about = app.client.get(f"/images/{one['Id']}/json")
        platform = "/".join(
            filter(None, (about["Os"], about["Architecture"], about.get("Variant")))
        )
        rows.append((f"└─ {platform}", short, size, content, extra))
    app.out("U: in use by a container")
    for line in align(rows, _STYLES if is_styled() else None):
        app.out(line.rstrip())


def _content(one: Json) -> int:
    """The size of the compressed content that is kept, where the engine tells it."""
    kept: list[Json] = one.get("Manifests") or []
    return sum((manifest.get("Size") or {}).get("Content") or 0 for manifest in kept)
