"""Users by the rootfs's own files, which anyone may have written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bayplan.core.users import Identity, resolve
from bayplan.host.errors import InvalidError
from bayplan.host.inroot import make_folders_inside, read_inside

PASSWD = """root:x:0:0:root:/root:/bin/sh
# comment:x:5:5::/:
broken
alice:x:1000:1001:Alice:/home/alice:/bin/sh
4242:x:7:8::/odd:
nohome:x:1002:1002:::
"""
GROUP = "root:x:0:\nstaff:x:50:alice,bob\naudio:x:29:alice\nempty:x:60:\nbad:x:q:alice\n"


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/passwd").write_text(PASSWD)
    (tmp_path / "root/etc/group").write_text(GROUP)
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Identity(0, 0, (), "/root")),
        ("root", Identity(0, 0, (), "/root")),
        ("alice", Identity(1000, 1001, (50, 29), "/home/alice")),
        ("1000", Identity(1000, 1001, (50, 29), "/home/alice")),
        ("alice:staff", Identity(1000, 50, (), "/home/alice")),
        ("alice:77", Identity(1000, 77, (), "/home/alice")),
        ("555", Identity(555, 0, (), "/")),
        ("555:audio", Identity(555, 29, (), "/")),
        ("4242", Identity(7, 8, (), "/odd")),
        ("nohome", Identity(1002, 1002, (), "/")),
    ],
)
def test_resolution(rootfs: Path, user: str, expected: Identity) -> None:
    assert resolve(rootfs, user) == expected


def test_added_groups_and_oci(rootfs: Path) -> None:
    identity = resolve(rootfs, "alice", ["empty", "99", "staff"])
    assert identity.groups == (50, 29, 60, 99)
    assert identity.oci() == {"uid": 1000, "gid": 1001, "additionalGids": [1001, 50, 29, 60, 99]}


@pytest.mark.parametrize(
    ("user", "groups", "message"),
    [
        ("bob", [], "unable to find user bob: no matching entries in passwd file"),
        ("alice:sea", [], "unable to find group sea: no matching entries in group file"),
        ("0", ["sea"], "Unable to find group sea"),
        ("99999999999", [], "uids and gids must be in range"),
        ("-1", [], "unable to find user -1"),
        pytest.param("9" * 5000, [], "uids and gids must be in range", id="thousands of digits"),
    ],
)
def test_unknown_names(rootfs: Path, user: str, groups: list[str], message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        resolve(rootfs, user, groups)


def test_links_stay_inside(rootfs: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("evil:x:1:1::/:\n")
    (rootfs / "etc/passwd").unlink()
    (rootfs / "etc/passwd").symlink_to("../../secret")
    with pytest.raises(InvalidError):
        resolve(rootfs, "evil")
    (rootfs / "real").write_text("inside:x:3:3::/:\n")
    (rootfs / "etc/passwd").unlink()
    (rootfs / "etc/passwd").symlink_to("/real")
    assert resolve(rootfs, "inside").uid == 3


def test_odd_files_are_no_users(rootfs: Path) -> None:
    (rootfs / "etc/passwd").unlink()
    os.mkfifo(rootfs / "etc/passwd")
    assert resolve(rootfs, "") == Identity(0, 0, (), "/")
    (rootfs / "etc/passwd").unlink()
    (rootfs / "etc/passwd").mkdir()
    assert resolve(rootfs, "12").uid == 12
    (rootfs / "etc/passwd").rmdir()
    (rootfs / "etc/passwd").write_bytes(b"\xff\xfe:x:1:1::/:\nok:x:2:2::/h:\n")
    assert resolve(rootfs, "ok").home == "/h"
    (rootfs / "etc/passwd").write_text(f"big:x:{'9' * 5000}:1::/:\nok:x:2:2::/h:\n")
    assert resolve(rootfs, "ok").uid == 2


def test_reading_has_a_limit(rootfs: Path) -> None:
    assert read_inside(rootfs, "/etc/group", len(GROUP)) == GROUP.encode()
    with pytest.raises(OSError, match="over 5 bytes"):
        read_inside(rootfs, "/etc/group", 5)
    assert read_inside(rootfs, "/etc/none", 5) is None


def test_folders_are_made_inside(rootfs: Path, tmp_path: Path) -> None:
    (rootfs / "link").symlink_to(tmp_path)
    (rootfs / "up").symlink_to("../../../..")
    make_folders_inside(rootfs, "/link/a/b", 0o700)
    make_folders_inside(rootfs, "up/c")
    make_folders_inside(rootfs, "/")
    assert not (tmp_path / "a").exists()
    assert (rootfs / "c").is_dir()
    assert (rootfs / str(tmp_path).lstrip("/") / "a/b").is_dir()
    (rootfs / "round").symlink_to("/round")
    with pytest.raises(OSError, match="symbolic links"):
        make_folders_inside(rootfs, "/round/x")
