"""Trees are removed whole, by one hand or many, and nothing else is."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from bayplan.host import removing


@pytest.fixture(params=["alone", "many hands"])
def hands(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the kernel's work alone, and as on a disk that makes each removal wait."""
    monkeypatch.setattr(removing, "_WAITS_A_FILE", 1e9 if request.param == "alone" else -1)
    return str(request.param)


def plant(top: Path, folders: int = 20, files: int = 70) -> Path:
    outside = top.with_name("outside")
    outside.mkdir()
    (outside / "kept").touch()
    for number in range(folders):
        inner = top / f"{number}" / "inner"
        inner.mkdir(parents=True)
        (inner / "link").symlink_to(outside)
        for name in range(files):
            (inner.parent / f"{name}").touch()
    return outside


def test_a_tree_goes_whole_and_alone(hands: str, tmp_path: Path) -> None:
    top = tmp_path / "top"
    outside = plant(top)
    started = {thread.name for thread in threading.enumerate()}
    assert removing.remove(top, tmp_path) == []
    assert os.listdir(tmp_path) == ["outside"] and (outside / "kept").exists()
    assert {thread.name for thread in threading.enumerate()} <= started


def test_what_is_too_deep_is_put_aside(hands: str, tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(350):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    pending = [top]
    while pending:
        pending += removing.remove(pending.pop(), tmp_path)
    assert os.listdir(tmp_path) == []


def test_one_that_is_told_to_stop_leaves_the_rest(hands: str, tmp_path: Path) -> None:
    """An engine that stops does not wait for gigabytes to go: the next one goes on."""
    top = tmp_path / "top"
    plant(top)
    stopping = threading.Event()
    stopping.set()
    opened = len(os.listdir("/proc/self/fd"))
    removing.remove(top, tmp_path, stopping)
    assert len(list(top.iterdir())) == 20
    assert len(os.listdir("/proc/self/fd")) == opened
    removing.remove(top, tmp_path)
    assert not top.exists()


def test_what_cannot_go_is_told_after_the_rest(hands: str, tmp_path: Path) -> None:
    """The caller tries again, when somebody still writes to the tree."""
    top = tmp_path / "top"
    plant(top)
    real = os.rmdir

    def busy(path: str, *, dir_fd: int | None = None) -> None:
        if path == "7":
            os.close(os.open("late", os.O_CREAT, dir_fd=os.open(path, os.O_RDONLY, dir_fd=dir_fd)))
        real(path, dir_fd=dir_fd)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(removing.os, "rmdir", busy)
        with pytest.raises(OSError, match="not empty"):
            removing.remove(top, tmp_path)
    assert [str(one.relative_to(top)) for one in top.rglob("*")] == ["7", "7/late"]
    removing.remove(top, tmp_path)
    assert not top.exists()
