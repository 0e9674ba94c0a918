"""The tabs of the detail pane: which there are for what, their names, and how they fit a border."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .model import Json, Model, container_name
from .text import image_name, short_id


class Tab(NamedTuple):
    """One tab: its names, long and short; `ours` says what of it only Bayplan's engine can do.

    With an `ours` the tab is shown grey on other engines, and says why when it is turned to.
    """

    name: str
    title: str
    short: str
    ours: str = ""


ALL = {
    one.name: one
    for one in (
        Tab("logs", "Logs", "Log"),
        Tab("shell", "Shell", "Sh"),
        Tab("stats", "Stats", "Stat"),
        Tab("inspect", "Inspect", "Insp"),
        Tab("files", "Files", "File", "read files without running anything inside"),
        Tab("changes", "Changes", "Chg"),
        Tab("layers", "Layers", "Lay"),
        Tab("processes", "Top", "Top"),
        Tab("env", "Env", "Env"),
        Tab("ports", "Ports", "Port"),
        Tab("health", "Health", "Hlth"),
        Tab("happened", "Events", "Evt"),
    )
}
TABS = {
    "containers": (
        *("logs", "shell", "stats", "inspect", "files", "changes", "layers"),
        *("processes", "env", "ports", "health", "happened"),
    ),
    "images": ("layers", "files", "inspect"),
    "networks": ("inspect",),
    "volumes": ("inspect",),
    "projects": ("logs",),
}


def engine_name(version: Json) -> str:
    """What an engine calls itself, with its version: `Bayplan 0.1.0`, `Docker Engine 20.10`."""
    name = str((version.get("Platform") or {}).get("Name") or "")
    if is_podman(version):  # its platform is that of its build
        name = "Podman"
    name = name or "Docker"
    return f"{name} {version.get('Version', '')}".strip()


def is_podman(version: Json) -> bool:
    """Whether the engine is podman, by the parts that it names."""
    parts = [str(one.get("Name", "")) for one in version.get("Components") or []]
    return any("podman" in part.lower() for part in parts)


def is_ours(version: Json) -> bool:
    """Whether the engine is Bayplan's; before it has answered, it is taken to be."""
    return not version or (version.get("Platform") or {}).get("Name") == "Bayplan"


def refusal(tab: str, version: Json) -> str:
    """Why `tab` can't be had from this engine, "" when it can."""
    lack = ALL[tab].ours
    if not lack or is_ours(version):
        return ""
    return f"{engine_name(version)} cannot {lack}; Bayplan's own engine can."


def title(kind: str, tab: str, width: int, version: Json) -> str:
    """The tabs of `kind` in a border of `width` columns, in markup; `tab` is the one shown."""
    words = []
    for name, word in fit(TABS[kind], tab, max(10, width)):
        if name == tab:
            words.append(f"[b $accent]{word}[/]")
            continue
        tone = "$line" if refusal(name, version) else "$dim"
        words.append(f"[@click=screen.tab('{name}')][{tone}]{word}[/][/]")
    return " ".join(words)


def called(kind: str, target: str, model: Model) -> str:
    """What the border calls the row `target` of the list `kind`, in markup."""
    if kind == "containers":
        summary = model.container(target)
        if summary is None:
            return ""
        image = image_name(str(summary.get("Image", "")))
        return f"[$bright]{container_name(summary)}[/] · {image}"
    identifier, _, name = target.partition(" ")
    return name or short_id(identifier)


def fit(names: Sequence[str], current: str, width: int) -> list[tuple[str, str]]:
    """The tabs that stand in `width` columns, one blank between, as (name, words).

    Long names where all fit, else short ones for those that are not current, else as many as fit
    around the current one; `‹` and `›`, whose names are those of the tabs they go to, say that
    there are more.
    """
    long = [(name, ALL[name].title) for name in names]
    if _wide(long) <= width:
        return long
    short = [(n, ALL[n].title if n == current else ALL[n].short) for n in names]
    if _wide(short) <= width:
        return short
    at = names.index(current)
    first = last = at
    while True:
        grown = False
        for one, two in ((first, last + 1), (first - 1, last)):
            if one >= 0 and two < len(short) and _wide(_window(short, one, two)) <= width:
                first, last, grown = one, two, True
        if not grown:
            return _window(short, first, last)


def _window(tabs: list[tuple[str, str]], first: int, last: int) -> list[tuple[str, str]]:
    shown = tabs[first : last + 1]
    if first > 0:
        shown = [(tabs[first - 1][0], "‹"), *shown]
    if last + 1 < len(tabs):
        shown = [*shown, (tabs[last + 1][0], "›")]
    return shown


def _wide(tabs: list[tuple[str, str]]) -> int:
    return sum(len(words) for _, words in tabs) + len(tabs) - 1
