"""macvlan and ipvlan networks: containers with addresses of their own on a link of the host."""

from __future__ import annotations

from ..host.errors import ForbiddenError, InvalidError, UnsupportedError
from ..netns import links
from ..netns.links import LinkFacts
from ..netns.netlink import Netlink
from .netmodel import MODES, PARENT
from .netstate import NetState


def check(
    state: NetState, driver: str, given: dict[str, str], found: LinkFacts | None, host: Netlink
) -> None:
    """Validate the options of a network on a parent link; `found` is that link.

    Raises InvalidError or ForbiddenError in Docker's words, UnsupportedError when the kernel lacks
    the driver.
    """
    parent = given.get(PARENT)
    if parent and found is None:
        raise InvalidError(
            f"-o parent interface was not found on the host: {parent}; for a VLAN make it first, "
            "as with `ip link add link eth0 name eth0.10 type vlan id 10`"
        )
    if parent == "lo":
        raise InvalidError(f"loopback interface is not a valid {driver} parent link")
    mode, modes = given.get(f"{driver}_mode"), MODES[driver]
    if mode and mode not in modes:
        raise InvalidError(
            f"requested {driver} mode {mode!r} is not valid, {modes[0]!r} mode is the {driver} "
            f"driver default; others are {', '.join(modes[1:])}"
        )
    for other in state.all():
        if parent and other.driver in MODES and other.link == parent:
            raise ForbiddenError(f"network {other.name} is already using parent interface {parent}")
    if not links.supports(host, driver):
        raise UnsupportedError(
            f"this kernel has no {driver} links: load its module with `modprobe {driver}`, "
            "or use another driver"
        )
