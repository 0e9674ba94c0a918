"""`docker cp` against real mounts: links stay inside, volumes are seen, nothing is left mounted."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bayplan.core import pathcopy
from bayplan.core.cparchive import Into
from bayplan.core.rootview import Bind, RootView
from bayplan.host import syscalls
from bayplan.host.errors import BayError, InvalidError, NotFoundError
from bayplan.storage.applier import Applier
from bayplan.storage.inflate import Source, inflate

CONTAINER: Any = SimpleNamespace(name="web", host_config={})


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A mounted root folder with links that want out of it."""
    folder = tmp_path / "root"
    folder.mkdir()
    syscalls.mount("test", str(folder), "tmpfs")
    (folder / "etc/sub").mkdir(parents=True)
    (folder / "etc/passwd").write_text("the container's")
    (folder / "data").mkdir()
    (folder / "link").symlink_to("/etc")
    (folder / "escape").symlink_to("../../../../etc/passwd")
    (folder / "up").symlink_to("../../..")
    os.mkfifo(folder / "etc/fifo")
    yield folder
    syscalls.umount(str(folder))


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    folder.mkdir()
    (folder / "inside").write_text("of the volume")
    return folder


def archive(view: RootView, path: str) -> dict[str, tarfile.TarInfo]:
    data = b"".join(pathcopy._tar(view.fd, path))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: member for member in tar}


def put(view: RootView, path: str, tar: bytes, **options: Any) -> None:
    settings = {"no_overwrite": False, "owner": None, **options}
    into = pathcopy._destination(view, CONTAINER, path)
    stream = Into(inflate(Source([tar])), view.fd, into, **settings)
    with Applier(view.fd, whiteouts=False) as applier:
        applier.apply(stream)


def packed(mode: str = "w", **members: bytes | str | None) -> bytes:
    """A tar; bytes are files, text is a link's target, None a folder. `__` stands for `/`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]  # any mode
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("DOT", ".."))
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            info.uid = 12
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


@pytest.mark.parametrize(
    ("path", "name", "target", "members"),
    [
        ("/etc/passwd", "passwd", "", {"passwd"}),
        ("etc", "etc", "", {"etc", "etc/passwd", "etc/fifo", "etc/sub"}),
        ("/link", "link", "/etc", {"link"}),
        ("/link/", "link", "", {"link", "link/passwd", "link/fifo", "link/sub"}),
        ("/link/.", ".", "", {".", "./passwd", "./fifo", "./sub"}),
        ("/escape", "escape", "/etc/passwd", {"escape"}),
        ("/up/etc/passwd", "passwd", "", {"passwd"}),
        ("/etc/../../../link/passwd", "passwd", "", {"passwd"}),
    ],
)
def test_a_path_means_what_it_means_in_the_container(
    root: Path, path: str, name: str, target: str, members: set[str]
) -> None:
    with RootView(root) as view:
        stat = pathcopy._stat(view, CONTAINER, path)
        assert (stat["name"], stat["linkTarget"]) == (name, target)
        found = archive(view, path)
        assert set(found) == members
        if name == "passwd":
            assert found["passwd"].size == len("the container's")


def test_modes_are_gos(root: Path) -> None:
    (root / "etc/sub").chmod(0o3755)
    with RootView(root) as view:
        modes = {
            p: pathcopy._stat(view, CONTAINER, p)["mode"] for p in ("etc/sub", "link", "etc/fifo")
        }
    assert modes["etc/sub"] == 1 << 31 | 1 << 22 | 1 << 20 | 0o755
    assert modes["link"] == 1 << 27 | 0o777
    assert modes["etc/fifo"] >> 20 == 1 << 5


def test_what_is_not_there_is_said(root: Path) -> None:
    with RootView(root) as view:
        for path in ("/nope", "/etc/passwd/x"):
            with pytest.raises(NotFoundError, match=f"Could not find the file {path} in container"):
                pathcopy._stat(view, CONTAINER, path)
        with pytest.raises(InvalidError, match="extraction point is not a directory"):
            put(view, "/etc/passwd", packed(a=b""))


def test_volumes_are_seen_and_leave_no_mount(root: Path, volume: Path) -> None:
    binds = [Bind(str(volume), "/data", True), Bind(str(volume), "/new/ro", False)]
    with RootView(root, binds) as view:
        assert set(archive(view, "/data")) == {"data", "data/inside"}
        put(view, "/data", packed(made=b"x"))
        with pytest.raises(BayError, match="Read-only file system"):
            put(view, "/new/ro", packed(made=b"x"))
        # This namespace has the root's own tmpfs alone; of engines beside this test anything.
        mounts = Path("/proc/self/mounts").read_text()
        assert [line.split()[1] for line in mounts.splitlines() if str(root) in line] == [str(root)]
    assert (volume / "made").read_bytes() == b"x"
    assert list((root / "data").iterdir()) == []


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_an_archive_lands_in_its_folder_whatever_its_compression(root: Path, mode: str) -> None:
    with RootView(root) as view:
        put(view, "/link/sub", packed(mode, a__b=b"1", c=None, d="/etc"))
    assert (root / "etc/sub/a/b").read_bytes() == b"1"
    assert (root / "etc/sub/a/b").stat().st_uid == 12
    assert os.readlink(root / "etc/sub/d") == "/etc"


def test_names_that_lead_out_stay_out(root: Path, tmp_path: Path) -> None:
    with RootView(root) as view:
        with pytest.raises(InvalidError, match="outside"):
            put(view, "/data", packed(DOT__evil=b"1"))
        # By a link the archive brings itself: to the container's own folder, as a process in it.
        put(view, "/data", packed(way="/", way__evil=b"1"))
        put(view, "/data", packed(out="../../../..", out__worse=b"1"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["root"]
    assert (root / "evil").exists() and (root / "worse").exists()
    assert not Path("/evil").exists() and not Path("/worse").exists()


def test_folders_and_files_are_not_put_over_each_other_when_asked(root: Path) -> None:
    with RootView(root) as view:
        with pytest.raises(InvalidError, match="cannot overwrite directory"):
            put(view, "/etc", packed(sub=b"1"), no_overwrite=True)
        with pytest.raises(InvalidError, match="cannot overwrite non-directory"):
            put(view, "/etc", packed(passwd=None), no_overwrite=True)
        put(view, "/etc", packed(passwd=b"new"), no_overwrite=True, owner=(5, 6))
    found = (root / "etc/passwd").stat()
    assert (found.st_uid, found.st_gid) == (5, 6)


def test_a_damaged_archive_is_refused(root: Path) -> None:
    with RootView(root) as view, pytest.raises(InvalidError):
        put(view, "/data", b"this is no tar" * 100)
