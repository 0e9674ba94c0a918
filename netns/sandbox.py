"""A container's whole network side in the kernel: made at once, taken away at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from . import bridge, macvlan, namespace
from .namespace import Namespace
from .netlink import Netlink
from .types import Attachment, Bridge, Parent

# What a network is on the host.
Segment = Bridge | Parent


def make(host: Netlink, path: Path, ends: Sequence[tuple[Segment, Attachment]]) -> Namespace:
    """Make a namespace pinned at `path`, joined to each segment; all of it or nothing.

    It is still open, and the caller's to close. A bridge that somebody deleted is made again.
    Raises OSError.
    """
    made = Namespace.create(path)
    try:
        if not ends:  # an end brings lo up with itself
            bridge.loopback_up(made)
        for on, end in ends:
            plug(host, made, on, end)
        return made
    except BaseException:
        made.close()
        unmake(host, path, [end.host_link for _, end in ends])
        raise


def plug(host: Netlink, inside: Namespace, on: Segment, end: Attachment) -> None:
    """Join an open namespace to one more bridge or parent. Raises OSError."""
    if isinstance(on, Parent):
        macvlan.ensure(host, on)
        macvlan.attach(host, inside, on, end)
        return
    if not host.has(on.name):
        bridge.ensure(host, on)
    bridge.attach(host, inside, end)


def unmake(host: Netlink, path: Path, host_links: Iterable[str]) -> None:
    """Silence the links and drop the pin; idempotent and fast, the kernel clears up behind."""
    for link in host_links:
        bridge.silence(host, link)
    namespace.unpin(path)
