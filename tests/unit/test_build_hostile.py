"""What a hostile Dockerfile, context or build step can not do to the engine's host."""

from __future__ import annotations

from pathlib import Path

import pytest
from bayplan.core.build.below import Below
from bayplan.core.build.fetching import download
from bayplan.core.build.parser import parse
from bayplan.core.build.running import _clear_targets
from bayplan.core.build.tree import Tree
from bayplan.host.errors import BayError
from support.wayward import Reply, Wayward


def test_a_link_in_the_way_of_a_mount_leads_to_nothing_of_the_host(tmp_path: Path) -> None:
    """`mv /a /b; ln -s /etc /a` under a mount at /a/lock does not delete the host's /etc/lock."""
    upper, host = tmp_path / "upper", tmp_path / "host"
    (host / "folder").mkdir(parents=True)
    (host / "lock").touch()
    upper.mkdir()
    (upper / "a").symlink_to(host)
    mounts = [{"Target": "/a/lock"}, {"Target": "/a/folder"}]
    _clear_targets(upper, Below([]), mounts)
    assert (host / "lock").exists() and (host / "folder").is_dir()


def test_the_places_of_mounts_are_no_part_of_a_layer(tmp_path: Path) -> None:
    """What the runtime made to mount on goes; what the command put there stays."""
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/b/file").touch()
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "d/own").write_text("own")
    _clear_targets(
        tmp_path, Below([]), [{"Target": "/a/b/c"}, {"Target": "/a/b/file"}, {"Target": "/d/e"}]
    )
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["d", "d/own"]


def test_any_folders_of_a_pattern_are_not_those_behind_links(tmp_path: Path) -> None:
    """Links that lead back would be as many ways to a file as there are paths through them."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file").touch()
    for name in "abcdefgh":
        (tmp_path / name).symlink_to(".")
    assert [one.place for one in Tree(tmp_path, "context").find("**/file")] == ["sub/file"]


def test_brackets_without_end_are_a_command_in_shell_form() -> None:
    assert parse("FROM x\nRUN " + "[" * 100_000).instructions[1].words is None


async def test_a_download_that_breaks_off_is_no_file(tmp_path: Path) -> None:
    server = Wayward()
    try:
        server.on("/file", Reply(200, b"x" * 1000, cut=500))
        with pytest.raises(BayError, match="ended too early"):
            await download(f"{server.url}/file", tmp_path / "file")
    finally:
        server.stop()
