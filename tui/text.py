"""How figures and times are written on the screen: short, of known width, never surprising."""

from __future__ import annotations

from typing import Any

_STEPS = ((60, "s"), (60, "m"), (24, "h"), (7, "d"), (52, "w"))


def size(count: float, base: int = 1024) -> str:
    """`count` bytes in at most five characters: `962B`, `4.5M`, `128M`, `23G`."""
    value = float(count)
    for unit in "BKMGTP":
        if value < 999.5 or unit == "P":
            whole = unit == "B" or value >= 99.95 or value == 0
            return f"{value:.0f}{unit}" if whole else f"{value:.1f}{unit}"
        value /= base
    raise AssertionError("unreachable")


def span(seconds: float) -> str:
    """A length of time in at most three characters: `9s`, `59m`, `23h`, `6d`, `51w`, `3y`."""
    value = max(0, int(seconds))
    for step, unit in _STEPS:
        if value < step:
            return f"{value}{unit}"
        value //= step
    return f"{value}y"


def percent(value: float) -> str:
    """A CPU share (100 is one whole CPU) in at most five characters."""
    return f"{value:.1f}%" if value < 99.95 else f"{value:.0f}%"


def short_id(identifier: str) -> str:
    """The twelve digits by which Docker shows an identifier."""
    return identifier.removeprefix("sha256:")[:12]


def image_name(reference: str) -> str:
    """An image as the containers list shows it: a digest shortened, a name as it is."""
    return short_id(reference) if reference.startswith("sha256:") else reference


def ports(entries: list[dict[str, Any]]) -> str:
    """Published ports first as `8080→80`, then exposed ones as `80`; `/udp` is said, tcp is not.

    Takes the `Ports` of a container summary, in which IPv4 and IPv6 repeat each other.
    """
    published: dict[str, None] = {}
    exposed: dict[str, None] = {}
    for entry in sorted(entries, key=lambda one: (one.get("PublicPort") or 0, one["PrivatePort"])):
        kind = "" if entry.get("Type", "tcp") == "tcp" else f"/{entry['Type']}"
        inside = f"{entry['PrivatePort']}{kind}"
        if not entry.get("PublicPort"):
            exposed[inside] = None
        elif entry["PublicPort"] == entry["PrivatePort"]:
            published[f"↦{inside}"] = None
        else:
            published[f"{entry['PublicPort']}→{inside}"] = None
    return " ".join([*published, *exposed])


def elide(text: str, width: int) -> str:
    """`text` cut to `width` columns (narrow characters), its loss shown by `…`."""
    if len(text) <= width:
        return text
    return text[: max(0, width - 1)] + "…" if width > 0 else ""
