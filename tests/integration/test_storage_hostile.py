"""No archive, whatever is in it, touches anything outside of its layer."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.host.errors import InvalidError
from bayplan.storage.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_hostile import CASES, KEPT, REFUSED, WAITS, Case, member

State = dict[str, object]


def state(*roots: Path) -> State:
    """All that can be seen of the trees: any change at all moves a ctime."""
    found: State = {}
    for root in roots:
        for place in (root, *root.rglob("*")):
            entry = os.lstat(place)
            key = (entry.st_mode, entry.st_uid, entry.st_gid, entry.st_nlink, entry.st_ctime_ns)
            found[str(place)] = (key, sorted(os.listxattr(place, follow_symlinks=False)))
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("hostile")
    (base / "out").mkdir()
    (base / "out/secret").write_text("secret")
    return base


@pytest.fixture(scope="module")
def store(base: Path) -> Iterator[Store]:
    store = Store.open(base / "root")
    # A neighbour, whose files a redirected path would reach.
    store.layers.apply(None, [member("neighbour"), bytes(1024)])
    yield store
    store.close()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_outside_is_touched(case: Case, base: Path, store: Store) -> None:
    (neighbour,) = store.layers.all()
    watched = (base / "out", store.layers.folder(neighbour), store.root / "volumes")
    before = state(*watched)
    beside = (set(os.listdir(base)), set(os.listdir(store.root)))
    data = case.build(str(base / "out"))
    diff_id = None
    try:
        diff_id = store.layers.apply(
            None, [data[at : at + 65_536] for at in range(0, len(data), 65_536)]
        ).diff_id
    except InvalidError:
        assert case.outcome not in (KEPT, WAITS), "a harmless archive was refused"
    else:
        assert case.outcome != REFUSED, "the archive was taken"
    assert state(*watched) == before, "AN ARCHIVE CHANGED SOMETHING OUTSIDE OF ITS LAYER"
    after = (set(os.listdir(base)), set(os.listdir(store.root)))
    assert after == beside, "AN ARCHIVE MADE SOMETHING OUTSIDE OF ITS LAYER"
    assert not any(os.path.lexists(place) for place in ("/evil", "/tmp/evil", "/etc/evil"))
    if diff_id is not None:
        assert_harmless(store.layers.path(diff_id))
        assert b"".join(store.layers.tar(diff_id)) == data
        assert_image(store, diff_id, case.outcome)
        assert state(*watched) == before, "AN IMAGE CHANGED SOMETHING OUTSIDE OF ITS LAYER"
        assert_harmless(store.layers.path(diff_id))
        store.layers.remove(diff_id)
    assert store.layers.all() == [neighbour]
    names = {entry.name for entry in (store.root / "layers").iterdir()}
    assert names == {neighbour.removeprefix("sha256:")}


def assert_image(store: Store, diff_id: str, outcome: str) -> None:
    """An image is made of it alone, unless it links to what only a layer below could have."""
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode()
    if outcome == WAITS:
        with pytest.raises(InvalidError, match="neither in this layer nor in one below"):
            store.images.put(config)
        return
    image = store.images.put(config).id
    with store.layers.lease(diff_id):
        store.images.remove(image)


def assert_harmless(layer: Path) -> None:
    """No overlayfs mark but those that whiteouts make, and no file shared with the outside."""
    for place in (layer, *layer.rglob("*")):
        marks = {x for x in os.listxattr(place, follow_symlinks=False) if "overlay" in x}
        assert marks <= {"trusted.overlay.opaque"}
        entry = os.lstat(place)
        if stat.S_ISREG(entry.st_mode):
            assert b"secret" not in place.read_bytes()


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_damaged_archive_is_refused_or_harmless(
    data: st.DataObject, base: Path, store: Store
) -> None:
    """Whatever is flipped, cut or put in, the answer is a layer or one clear refusal."""
    good = data.draw(st.sampled_from(CASES), "case").build(str(base / "out"))[:20_000]
    archive = bytearray(good)
    for _ in range(data.draw(st.integers(1, 6), "damages")):
        at = data.draw(st.integers(0, max(0, len(archive) - 1)), "at")
        archive[at : at + data.draw(st.integers(0, 4), "lost")] = data.draw(st.binary(max_size=4))
    if data.draw(st.booleans(), "checksums"):
        mend(archive)
    watched = (base / "out", store.root / "volumes")
    before = state(*watched)
    try:
        made = store.layers.apply(None, [bytes(archive)]).diff_id
    except InvalidError:
        made = None
    assert state(*watched) == before, "AN ARCHIVE CHANGED SOMETHING OUTSIDE OF ITS LAYER"
    if made is not None:
        assert b"".join(store.layers.tar(made)) == bytes(archive)
        store.layers.remove(made)


def mend(archive: bytearray) -> None:
    """Give every block that looks like a header a right checksum, so that more is looked at."""
    for at in range(0, len(archive) - 511, 512):
        if archive[at + 257 : at + 262] == b"ustar":
            archive[at + 148 : at + 156] = b" " * 8
            archive[at + 148 : at + 156] = b"%06o\0 " % sum(archive[at : at + 512])
