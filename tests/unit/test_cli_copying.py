"""`bay cp` packs and unpacks trees, and lets no archive out of its place."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from bayplan.cli.commands.cp import split_place
from bayplan.cli.copying import Place, pack, unpack
from bayplan.host.errors import InvalidError


def archive(*entries: tuple[str, str, str]) -> list[bytes]:
    """A tar of (name, kind, content or link target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type = {"dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE,
                          "file": tarfile.REGTYPE}[kind]  # fmt: skip
            entry.mode = 0o755
            if kind in ("link", "hard"):
                entry.linkname = content
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content.encode()))
    return [out.getvalue()]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "sub").mkdir(parents=True)
    (top / "sub" / "file").write_bytes(b"x" * 1000)
    (top / "sub" / "file").chmod(0o640)
    os.utime(top / "sub" / "file", (100, 100))
    (top / "empty").touch()
    (top / "link").symlink_to("/etc/passwd")
    os.link(top / "sub" / "file", top / "twin")
    (top / "sub").chmod(0o500)
    return top


def test_a_tree_survives_the_journey(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    unpack(pack(str(tree), "tree"), Place.at(str(target), keep_name=False), owner=False)
    assert (target / "sub" / "file").read_bytes() == b"x" * 1000
    info = (target / "sub" / "file").stat()
    assert (stat.S_IMODE(info.st_mode), info.st_mtime, info.st_nlink) == (0o640, 100, 2)
    assert stat.S_IMODE((target / "sub").stat().st_mode) == 0o500
    assert os.readlink(target / "link") == "/etc/passwd"
    assert (target / "empty").stat().st_size == 0


def test_into_a_folder_by_name_or_by_content(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "there"
    target.mkdir()
    unpack(pack(str(tree), "tree"), Place.at(str(target), keep_name=True), owner=False)
    assert (target / "tree" / "empty").exists()
    unpack(pack(str(tree), "tree"), Place.at(str(target), keep_name=False), owner=False)
    assert (target / "empty").exists()


def test_a_file_under_a_new_name(tmp_path: Path) -> None:
    pieces = archive(("passwd", "file", "root"))
    unpack(pieces, Place.at(str(tmp_path / "new"), keep_name=False), owner=False)
    assert (tmp_path / "new").read_text() == "root"


@pytest.mark.parametrize(
    "entries",
    [
        [("x/../../evil", "file", "")],
        [("../evil", "file", "")],
        [("x", "link", "/tmp"), ("x/evil", "file", "")],
        [("x", "link", ".."), ("x/y/evil", "file", "")],
        [("x", "dir", ""), ("x/l", "hard", "../../etc/passwd")],
    ],
)
def test_no_name_leads_out(tmp_path: Path, entries: list[tuple[str, str, str]]) -> None:
    target = tmp_path / "a" / "target"
    target.mkdir(parents=True)
    with pytest.raises(InvalidError, match="leads out of it"):
        unpack(archive(*entries), Place.at(str(target), keep_name=True), owner=False)
    assert not list(tmp_path.rglob("evil"))


def test_a_link_that_is_there_is_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("safe")
    target = tmp_path / "target"
    target.mkdir()
    (target / "f").symlink_to(victim)
    unpack(archive(("f", "file", "new")), Place.at(str(target), keep_name=True), owner=False)
    assert (victim.read_text(), (target / "f").read_text()) == ("safe", "new")


def test_folders_and_files_do_not_replace_each_other(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").touch()
    place = Place.at(str(tmp_path), keep_name=True)
    with pytest.raises(InvalidError, match="cannot overwrite directory"):
        unpack(archive(("d", "file", "")), place, owner=False)
    with pytest.raises(InvalidError, match="cannot overwrite non-directory"):
        unpack(archive(("f", "dir", "")), place, owner=False)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("web:/etc", ("web", "/etc")),
        ("web:etc", ("web", "etc")),
        ("/a:b", ("", "/a:b")),
        ("./a:b", ("", "./a:b")),
        ("file", ("", "file")),
        ("-", ("", "-")),
        ("web:/a:b", ("web", "/a:b")),
    ],
)
def test_which_side_a_path_is_on(text: str, place: tuple[str, str]) -> None:
    assert split_place(text) == place
