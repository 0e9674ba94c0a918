"""Layers come out of a tar exactly as GNU tar would unpack it, and their marks are overlayfs'."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.storage import treetar
from bayplan.storage.journal import replay
from bayplan.storage.store import Store
from bayplan.storage.unpacking import unpack
from support.trees import tree_digest

MIB = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "root")
    yield store
    for snapshot in store.snapshots.all():
        store.snapshots.remove(snapshot)
    store.close()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of everything an image can hold."""
    top = tmp_path_factory.mktemp("tree") / "t"
    top.mkdir()
    (top / "plain").write_bytes(b"plain")
    (top / "empty").touch()
    (top / "big").write_bytes(os.urandom(3 * MIB + 17))
    (top / "zeros").write_bytes(b"\1" + bytes(2 * MIB) + b"\1")
    with open(top / "sparse", "wb") as file:
        for at in range(40):
            file.seek(at * MIB)
            file.write(b"piece %d" % at)
        file.truncate(50 * MIB)
    for name in (b"caf\xe9", "ünï".encode(), b"n" * 255, b"a\nb"):
        Path(os.fsdecode(os.fsencode(top) + b"/" + name)).write_bytes(name)
    deep = top / "/".join(["d" * 60] * 6)
    deep.mkdir(parents=True)
    (deep / "file").write_text("deep")
    os.symlink("x" * 300, top / "longlink")
    os.symlink("plain", top / "link")
    os.symlink("/nowhere", top / "dangling")
    os.link(top / "plain", top / "hard")
    os.link(top / "plain", deep / "hard")
    os.mkfifo(top / "fifo")
    os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(top / "disk", stat.S_IFBLK | 0o660, os.makedev(259, 70_000))
    (top / "suid").write_bytes(b"suid")
    os.chown(top / "suid", 3_000_000, 12)
    (top / "suid").chmod(0o6755)
    (top / "sgid").mkdir()
    os.chown(top / "sgid", 0, 77)
    (top / "sgid").chmod(0o3777)
    (top / "sgid/child").write_text("not of group 77")
    os.chown(top / "sgid/child", 0, 0)
    (top / "locked").mkdir(mode=0)
    (top / "locked/in").write_text("in")
    (top / "locked").chmod(0)
    # cap_net_raw+ep, revision 2: see linux/capability.h.
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(top / "plain", "security.capability", capability)
    os.setxattr(top / "plain", "user.note", b"bin\0ary=\n")
    os.setxattr(top / "sgid", "trusted.note", b"folder")
    os.setxattr(top / "link", "trusted.note", b"link", follow_symlinks=False)
    os.utime(top / "plain", ns=(1, 1_234_567_890_123_456_789))
    os.utime(top / "empty", ns=(1, -86_400 * 10**9))
    os.utime(top / "link", ns=(1, 10**18 + 1), follow_symlinks=False)
    os.utime(deep, ns=(1, 999_999_999))
    os.utime(top / "sgid", ns=(1, 5 * 10**17))
    return top


def look(top: Path, blocks: bool = False) -> dict[str, object]:
    """Everything about a tree but its inode numbers."""
    groups: dict[tuple[int, int], list[str]] = {}
    found: dict[str, object] = {}
    # Not rglob: before Python 3.11.4 it follows links, and one here is longer than any name.
    below = [Path(at, name) for at, folders, rest in os.walk(top) for name in (*folders, *rest)]
    for place in (top, *sorted(below)):
        name = str(place.relative_to(top))
        entry = os.lstat(place)
        kind = entry.st_mode
        shown: list[object] = [oct(kind), entry.st_uid, entry.st_gid, entry.st_mtime_ns]
        if not stat.S_ISDIR(kind):
            shown.append(entry.st_size)
            groups.setdefault((entry.st_dev, entry.st_ino), []).append(name)
        if stat.S_ISREG(kind):
            shown.append(place.read_bytes())
            shown.append(entry.st_blocks if blocks else None)
        elif stat.S_ISLNK(kind):
            shown.append(os.readlink(place))
        elif stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            shown.append(entry.st_rdev)
        shown += [
            (key, os.getxattr(place, key, follow_symlinks=False))
            for key in sorted(os.listxattr(place, follow_symlinks=False))
        ]
        found[name] = shown
    found["hard links"] = sorted(sorted(names) for names in groups.values() if len(names) > 1)
    return found


FORMATS = {
    "pax": ["--format=pax", "--xattrs", "--xattrs-include=*"],
    "gnu": ["--format=gnu"],
    "oldgnu": ["--format=oldgnu"],
    "pax sparse 0.0": ["--format=pax", "--sparse", "--sparse-version=0.0"],
    "pax sparse 0.1": ["--format=pax", "--sparse", "--sparse-version=0.1"],
    "pax sparse 1.0": ["--format=pax", "--sparse", "--sparse-version=1.0"],
    "gnu sparse": ["--format=gnu", "--sparse"],
    "odd blocking": ["--format=gnu", "-b", "1"],
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_tree_is_what_gnu_tar_makes_of_it(
    name: str, tree: Path, store: Store, tmp_path: Path
) -> None:
    archive = tmp_path / "a.tar"
    subprocess.run(["tar", *FORMATS[name], "-cf", archive, "-C", tree, "."], check=True)
    other = tmp_path / "gnu"
    other.mkdir()
    options = ["--same-owner", "-p", "--xattrs", "--xattrs-include=*", "--numeric-owner"]
    subprocess.run(["tar", *options, "-xf", archive, "-C", other], check=True)
    with open(archive, "rb") as file:
        layer = store.layers.apply(None, file)
    assert look(store.layers.path(layer.diff_id)) == look(other)
    assert b"".join(store.layers.tar(layer.diff_id)) == archive.read_bytes()
    assert os.stat(store.layers.path(layer.diff_id) / "sparse").st_blocks * 512 < 4 * MIB
    assert os.stat(store.layers.path(layer.diff_id) / "zeros").st_blocks * 512 < MIB


def test_a_tree_written_by_us_is_what_gnu_tar_reads(tree: Path, tmp_path: Path) -> None:
    archive = tmp_path / "ours.tar"
    archive.write_bytes(b"".join(treetar.tree(tree)))
    other = tmp_path / "gnu"
    other.mkdir()
    options = ["--same-owner", "-p", "--xattrs", "--xattrs-include=*", "--numeric-owner"]
    subprocess.run(["tar", *options, "-xf", archive, "-C", other], check=True)
    assert look(other) == look(tree)


def layer(store: Store, *members: tuple[str, bytes, str]) -> str:
    """A layer of (name, kind, content or link)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o755
            if kind == tarfile.REGTYPE:
                info.size = len(text)
            else:
                info.linkname = text
            archive.addfile(info, io.BytesIO(text.encode()))
    return store.layers.apply(None, [buffer.getvalue()]).diff_id


FILE, FOLDER, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def merged(store: Store, *diff_ids: str) -> dict[str, str]:
    """What a container would see: names, and the content of files."""
    name = os.urandom(8).hex()
    store.snapshots.create(name, diff_ids)
    top = store.snapshots.mount(name)
    skip = {"dev", "proc", "sys", ".dockerenv", "etc"}
    return {
        str(place.relative_to(top)): place.read_text() if place.is_file() else "/"
        for place in sorted(top.rglob("*"))
        if place.relative_to(top).parts[0] not in skip
    }


def test_whiteouts_hide_what_is_below(store: Store) -> None:
    low = layer(store, ("a", FILE, "1"), ("d/x", FILE, "1"), ("d/y", FILE, "1"), ("e/z", FILE, "1"))
    top = layer(store, (".wh.a", FILE, ""), ("d/.wh.x", FILE, ""), (".wh.e", FILE, ""))
    assert merged(store, low, top) == {"d": "/", "d/y": "1"}


def test_an_opaque_folder_hides_what_is_below_it_only(store: Store) -> None:
    low = layer(store, ("d/x", FILE, "1"), ("e", FILE, "1"))
    first = layer(store, ("d/new", FILE, "2"), ("d/.wh..wh..opq", FILE, ""))
    last = layer(store, ("d/.wh..wh..opq", FILE, ""), ("d/new", FILE, "2"))
    expected = {"d": "/", "d/new": "2", "e": "1"}
    assert merged(store, low, first) == merged(store, low, last) == expected


def test_an_opaque_root_hides_all_layers_below(store: Store) -> None:
    low = layer(store, ("a", FILE, "1"))
    top = layer(store, (".wh..wh..opq", FILE, ""), ("b", FILE, "2"))
    over = layer(store, ("c", FILE, "3"))
    assert merged(store, low, top, over) == {"b": "2", "c": "3"}


def test_a_file_wins_over_its_own_whiteout(store: Store) -> None:
    low = layer(store, ("f", FILE, "1"), ("d/x", FILE, "1"), ("e/x", FILE, "1"))
    top = layer(
        store, ("f", FILE, "2"), (".wh.f", FILE, ""), ("d/y", FILE, "2"), (".wh.d", FILE, ""),
        (".wh.e", FILE, ""), ("e/y", FILE, "2"), (".wh.g", FILE, ""), ("g", FOLDER, ""),
    )  # fmt: skip
    expected = {"d": "/", "d/y": "2", "e": "/", "e/y": "2", "f": "2", "g": "/"}
    assert merged(store, low, top) == expected


def test_later_entries_replace_earlier_ones(store: Store) -> None:
    made = layer(
        store, ("a", FILE, "1"), ("a", FILE, "2"), ("b/c/d", FILE, "1"), ("b", FILE, "2"),
        ("c", FILE, "1"), ("c", FOLDER, ""), ("c/x", FILE, "2"), ("h", HARD, "c/x"),
        ("c/x", FILE, "3"), ("s", LINK, "a"), ("s", FILE, "4"),
    )  # fmt: skip
    expected = {"a": "2", "b": "2", "c": "/", "c/x": "3", "h": "2", "s": "4"}
    assert merged(store, made) == expected


def test_the_tar_of_a_layer_with_replaced_entries_is_still_exact(store: Store) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for round_ in range(3):
            for name in ("f", "d/f", "d/e/g", "l/via"):
                info = tarfile.TarInfo(name)
                data = f"{name} {round_}".encode() * 1000
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            for name, kind in (("d/e", FILE), ("d", FILE), ("d", FOLDER), ("l", LINK)):
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, "d"
                archive.addfile(info)
    made = store.layers.apply(None, [buffer.getvalue()])
    assert b"".join(store.layers.tar(made.diff_id)) == buffer.getvalue()


def test_a_changed_layer_is_told_from_a_good_one(store: Store) -> None:
    made = layer(store, ("f", FILE, "12"))
    (store.layers.path(made) / "f").write_text("34")
    with pytest.raises(Exception, match="was changed on disk"):
        list(store.layers.tar(made))
    (store.layers.path(made) / "f").unlink()
    with pytest.raises(Exception, match="is damaged on disk"):
        list(store.layers.tar(made))


@pytest.mark.parametrize("kind", ["link", "socket", "folder", "nothing"])
def test_what_is_replaced_while_a_tar_is_made_is_left_out(tmp_path: Path, kind: str) -> None:
    """A container may write while it is exported: the archive goes on."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    (tmp_path / "c").symlink_to("b")
    pieces = treetar.tree(tmp_path)

    def replace(place: Path, *, link: bool) -> None:
        place.unlink()
        if kind == "folder":
            place.mkdir()
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(place))
        elif kind == "link" and link:
            place.symlink_to("b")
        elif kind == "link":
            place.write_text("no link")

    walk = treetar._Walk(b"", layer=False)
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        for name, link in (("a", True), ("c", False)):
            found = os.lstat(tmp_path / name)
            replace(tmp_path / name, link=link)
            with contextlib.suppress(FileNotFoundError):
                assert list(walk.member(fd, name.encode(), name.encode(), found)) == []
    finally:
        os.close(fd)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        assert "./b" in archive.getnames() or "b" in archive.getnames()


def test_sockets_are_left_out_of_a_tar(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with tarfile.open(fileobj=io.BytesIO(b"".join(treetar.tree(tmp_path)))) as archive:
            assert archive.getnames() == ["."]


def test_runs_of_plain_files_are_as_files_one_by_one(tmp_path: Path) -> None:
    """In large pieces most members take another way than in small ones: the same comes out."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:

        def add(name: str, size: int = 10, **fields: object) -> None:
            info = tarfile.TarInfo(name)
            info.size = size if fields.get("type", tarfile.REGTYPE) == tarfile.REGTYPE else 0
            for key, value in {"mtime": 10**9, **fields}.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(name.encode()[:1] * info.size))

        folder = {"type": tarfile.DIRTYPE, "mode": 0o755}
        link = {"type": tarfile.SYMTYPE}
        add("d", **folder)
        for number in range(20):
            add(f"d/{number}", number * 300, mode=0o644 - number, uid=number % 3, gid=number % 2)
        add("d/suid", mode=0o6755, uid=7)
        add("undescribed/folder/file")
        add("d/3", 77, mtime=5)
        add("d/.wh.gone")
        add("to", linkname="d", **link)
        add("to/through", 5)
        add("to/3", 6)
        add("abs", linkname="/", **link)
        add("abs/at-the-root", 0)
        add("e", **folder)
        add("e/inner", 9)
        add("e", 3)
        add("f", linkname="d", **link)
        add("f/x", 4)
        add("f", **folder)
        add("f/x", 5)
        add("d/../d/./dots", 8)
        add("/absolute", 8)
        add("p" * 90 + "/" + "q" * 90, 11)
        add("p" * 90 + "/" + "r" * 90, 12)
        add("p" * 90 + "/" + "s" * 190, 12)
        add("big", 300_000)
        add("after", 1)
        add("future", 1, mtime=2**34)
        add("sgid", gid=9, mode=0o2775, type=tarfile.DIRTYPE)
        add("sgid/member", 6)
        add("sgid/below", **folder)
        add("sgid/below/member", 6)
        add("d", mode=0o700, mtime=42, type=tarfile.DIRTYPE)
    archive = buffer.getvalue()
    kept = []
    for step in (len(archive), 500):
        chunks = (archive[at : at + step] for at in range(0, len(archive), step))
        place = tmp_path / str(step)
        place.mkdir()
        found = unpack(place, chunks, None, ahead=False)
        assert b"".join(replay(place, found.diff_id)) == archive
        # What the archive gives no time.
        for made in ("undescribed/folder", "undescribed", "p" * 90, "d/gone"):
            os.utime(place / "fs" / made, ns=(0, 0))
        kept.append((found, tree_digest(place / "fs")))
    assert kept[0] == kept[1]
    assert (tmp_path / "500/fs/d/through").read_bytes() == b"ttttt"
    assert (tmp_path / "500/fs/d").stat().st_mtime == 42
