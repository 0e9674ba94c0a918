"""A container's whole network side in the kernel: made at once, taken away at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from . import bridge, namespace
from .namespace import Namespace
from .netlink import Netlink
from .types import Attachment, Bridge


def make(host: Netlink, path: Path, ends: Sequence[tuple[Bridge, Attachment]]) -> None:
    """Make a namespace pinned at `path`, joined to each bridge; all of it or nothing.

    A bridge that somebody deleted is made again. Raises OSError.
    """
    made = Namespace.create(path)
    try:
        with made:
            bridge.loopback_up(made)
            for on, end in ends:
                plug(host, made, on, end)
    except BaseException:
        unmake(host, path, [end.host_link for _, end in ends])
        raise


def plug(host: Netlink, inside: Namespace, on: Bridge, end: Attachment) -> None:
    """Join an open namespace to one more bridge. Raises OSError."""
    if not host.has(on.name):
        bridge.ensure(host, on)
    bridge.attach(host, inside, end)


def unmake(host: Netlink, path: Path, host_links: Iterable[str]) -> None:
    """Silence the links and drop the pin; idempotent and fast, the kernel clears up behind."""
    for link in host_links:
        bridge.silence(host, link)
    namespace.unpin(path)
