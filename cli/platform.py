"""`--platform` of verbs on images that are here: each image has one platform."""

from __future__ import annotations

from ..host.errors import InvalidError, NotFoundError
from ..host.light import TYPE_CHECKING, Any
from .flags import text

if TYPE_CHECKING:
    from .app import App

PLATFORM = text("platform", "Only when the image is of this platform: os/arch[/variant]")
LOADED = text("platform", "Only when it is this machine's: os/arch[/variant]")


def check(app: App, reference: str, wanted: str) -> None:
    """Raise NotFoundError when the image is not of the platform `wanted`; "" is any."""
    if not wanted:
        return
    found: dict[str, Any] = app.client.get(f"/images/{reference}/json")
    if not matches(wanted, found["Os"], found["Architecture"], found.get("Variant") or ""):
        raise NotFoundError(
            f"image with reference {reference} was found but does not provide the specified "
            f"platform ({wanted}): it is of {found['Os']}/{found['Architecture']}"
        )


def check_machine(app: App, wanted: str) -> None:
    """Raise InvalidError when `wanted` is not the engine's platform; "" is."""
    if not wanted:
        return
    found: dict[str, Any] = app.client.get("/version")
    if not matches(wanted, found["Os"], found["Arch"], ""):
        raise InvalidError(
            f"cannot load images of {wanted}: this engine runs {found['Os']}/{found['Arch']}"
        )


def matches(wanted: str, system: str, architecture: str, variant: str) -> bool:
    """Whether `os/arch[/variant]` is that platform. Raises InvalidError for another form."""
    parts = wanted.lower().split("/")
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise InvalidError(f"invalid platform {wanted!r}: write os/arch or os/arch/variant")
    return parts[:2] == [system, architecture] and (len(parts) == 2 or parts[2] == variant)
