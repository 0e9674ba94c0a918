"""Looking into layers without mounting them anywhere, on new kernels and as on old ones."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest
from bayplan.core import rootfiles
from bayplan.storage import layertree, overlay
from bayplan.storage.store import Store


@pytest.fixture
def lowers(tmp_path: Path) -> list[Path]:
    """The bottom layer, and one that hides two of its files and a folder's content; top first."""
    bottom, top = tmp_path / "bottom", tmp_path / "top"
    for name, size in (("a", 10), ("gone/x", 20), ("gone/sub/y", 30), ("opaque/old", 40)):
        (bottom / name).parent.mkdir(parents=True, exist_ok=True)
        (bottom / name).write_bytes(bytes(size))
    (top / "opaque").mkdir(parents=True)
    (top / "opaque/new").write_bytes(bytes(5))
    os.setxattr(top / "opaque", "trusted.overlay.opaque", b"y")
    os.mknod(top / "gone", 0o020000, os.makedev(0, 0))
    os.mknod(top / "nothing", 0o020000, os.makedev(0, 0))
    os.link(bottom / "a", bottom / "again")
    return [top, bottom]


@pytest.mark.parametrize("old", [False, True])
def test_a_view_shows_the_merged_layers_and_is_mounted_nowhere(
    lowers: list[Path], tmp_path: Path, old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if old:

        def refuse(options: object) -> int:
            raise overlay._TooOldError

        monkeypatch.setattr(overlay, "_create", refuse)
    fd = overlay.view(lowers, tmp_path)
    try:
        found = rootfiles.folder(fd, "/", "the test")
        assert [row["Name"] for row in found["Entries"]] == ["opaque", "a", "again"]
        assert rootfiles.content(fd, "/opaque/new", "the test", 0, 10) == (bytes(5), 5)
        assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    finally:
        os.close(fd)


def test_a_view_of_one_layer_and_of_none(lowers: list[Path], tmp_path: Path) -> None:
    for layers, names in ((lowers[1:], ["gone", "opaque", "a", "again"]), ([], [])):
        fd = overlay.view(layers, tmp_path)
        assert [row["Name"] for row in rootfiles.folder(fd, "", "x")["Entries"]] == names
        os.close(fd)


def test_layers_laid_upon_each_other_count_every_entry_once(lowers: list[Path]) -> None:
    stack = layertree.compare([lowers[1], lowers[0]])
    below, above = (root.sums for root in stack.roots)
    assert (below.added, below.size) == (8, 100)
    # gone, gone/x, gone/sub, gone/sub/y, opaque/old; a whiteout of nothing is nothing.
    assert (above.added, above.changed, above.removed, above.size) == (1, 0, 5, 5)
    assert below.wasted == 90
    assert [(one.path, one.size) for one in stack.worst] == [
        (b"/opaque/old", 40),
        (b"/gone/sub/y", 30),
        (b"/gone/x", 20),
    ]


def test_an_image_removed_while_it_is_read_goes_when_the_reader_is_done(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "layer.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    store = Store.open(tmp_path / "root")
    diff_id = store.layers.apply(None, [(tmp_path / "layer.tar").read_bytes()]).diff_id
    config = {"rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    image = store.images.put(json.dumps(config).encode())
    with store.reading(diff_id):
        assert store.images.remove(image.id).layers == ()
        assert store.layers.has(diff_id)
    assert not store.layers.has(diff_id)
    store.close()
