"""Hard links into the layers below, as old images have them."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.host.errors import InvalidError
from bayplan.storage.images import Image
from bayplan.storage.store import Store
from storage_hostile import END, folder, hardlink, member, symlink

CAPABILITY = b"\x01\0\0\x02\x00\x20\0\0" + bytes(12)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "root")
    yield store
    store.close()


def layer(store: Store, *members: bytes) -> str:
    return store.layers.apply(None, [b"".join(members) + END]).diff_id


def put(store: Store, *diff_ids: str) -> Image:
    return store.images.put(json.dumps({"rootfs": {"diff_ids": diff_ids}}).encode())


def test_a_link_to_a_file_below_is_made_from_a_copy(store: Store) -> None:
    """As link(2) does on an overlay: the target is copied up with all that describes it."""
    described = {"SCHILY.xattr.security.capability": CAPABILITY.decode("latin-1"),
                 "SCHILY.xattr.user.note": "kept", "mtime": "1234567890.123456789"}  # fmt: skip
    low = layer(
        store,
        folder("d", mode=0o2751, uid=7, gid=8, mtime=1_000_000_000),
        member("d/tool", data=b"content", mode=0o755, uid=3_000_000, pax=described),
    )
    top = layer(store, folder("e", mtime=99), hardlink("e/one", "d/tool"), hardlink("two", "e/one"))
    put(store, low, top)
    place = store.layers.path(top)
    one, two, target = (os.stat(place / name) for name in ("e/one", "two", "d/tool"))
    assert one.st_ino == two.st_ino == target.st_ino != os.stat(store.layers.path(low) / "d/tool")
    assert (one.st_mode & 0o7777, one.st_uid, one.st_mtime_ns) == (
        0o755,
        3_000_000,
        1234567890_123456789,
    )
    assert os.getxattr(place / "two", "user.note") == b"kept"
    assert (place / "two").read_bytes() == b"content"
    above = os.stat(place / "d")
    assert (above.st_mode & 0o7777, above.st_uid, above.st_gid) == (0o2751, 7, 8)
    assert (above.st_mtime_ns, os.stat(place / "e").st_mtime_ns) == (10**18, 99 * 10**9)
    # The archive is still made again, bit by bit.
    for _ in store.layers.tar(top):
        pass
    assert not (store.layers.folder(top) / "links").exists()


def test_a_link_to_a_symbolic_link_below_is_one(store: Store) -> None:
    low = layer(store, symlink("s", "/etc/passwd"))
    top = layer(store, hardlink("t", "s"))
    put(store, low, top)
    assert os.readlink(store.layers.path(top) / "t") == "/etc/passwd"


def test_what_a_later_entry_replaced_is_not_linked(store: Store) -> None:
    low = layer(store, member("a", data=b"low"))
    top = layer(store, hardlink("b", "a"), member("b", data=b"later"))
    put(store, low, top)
    assert (store.layers.path(top) / "b").read_bytes() == b"later"


@pytest.mark.parametrize(
    ("below", "link"),
    [
        ((member("x"),), (hardlink("h", "missing"),)),
        ((folder("d"),), (hardlink("h", "d"),)),
        ((symlink("d", "/etc"),), (hardlink("h", "d/passwd"),)),
        ((member("f"),), (hardlink("h", "f/passwd"),)),
        ((member("d/f"),), (folder("d"), member("d/.wh..wh..opq"), hardlink("h", "d/f"))),
        ((member("f", tarfile.CHRTYPE, devmajor=8),), (hardlink("h", "f"),)),
    ],
    ids=["nothing", "folder", "through a link", "through a file", "behind an opaque", "device"],
)
def test_a_link_to_no_file_below_makes_no_image(
    below: tuple[bytes, ...], link: tuple[bytes, ...], store: Store
) -> None:
    low, top = layer(store, *below), layer(store, *link)
    with pytest.raises(InvalidError, match=r"hard link to .* neither in this layer nor"):
        put(store, low, top)
    assert store.images.all() == []


def test_a_whiteout_in_the_layer_hides_the_target(store: Store) -> None:
    with pytest.raises(InvalidError, match="not in this layer"):
        layer(store, member(".wh.f"), hardlink("h", "f"))
