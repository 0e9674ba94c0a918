"""The runtime's program behind a read-only mount: what it spares, and what becomes of the mount."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bayplan.host.pinned import Pinned
from support.engine import EngineProcess, need_root


def _mounts(place: Path) -> int:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return sum(line.split()[4] == str(place) for line in lines)


@pytest.fixture
def program(tmp_path: Path) -> str:
    need_root()
    return shutil.copy("/bin/true", tmp_path / "program")


def test_nobody_can_write_through_it(tmp_path: Path, program: str) -> None:
    place = tmp_path / "place"
    pinned = Pinned(program, place)
    pinned.open()
    try:
        assert pinned.path == str(place)
        with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
            os.open(place, os.O_WRONLY)
    finally:
        pinned.close()
    assert not place.exists()
    assert pinned.path == program


def test_what_a_killed_engine_left_is_replaced(tmp_path: Path, program: str) -> None:
    place = tmp_path / "place"
    Pinned(program, place).open()
    second = Pinned(program, place)
    second.open()
    assert _mounts(place) == 1
    second.close()
    assert _mounts(place) == 0


def test_an_upgraded_program_is_run_itself(tmp_path: Path, program: str) -> None:
    """As dpkg does it: another file by a rename."""
    pinned = Pinned(program, tmp_path / "place")
    pinned.open()
    try:
        new = shutil.copy("/bin/true", tmp_path / "new")
        os.rename(new, program)
        assert pinned.path == program
    finally:
        pinned.close()


def test_one_that_cannot_be_mounted_is_run_itself(tmp_path: Path, program: str) -> None:
    pinned = Pinned(program, tmp_path / "nowhere" / "place")
    pinned.open()
    assert pinned.path == program


def test_a_mount_that_may_not_be_undone_stays(tmp_path: Path, program: str) -> None:
    """EPERM, of an engine that may mount nothing: the program is run itself, and it goes on."""
    place = tmp_path / "place"
    Pinned(program, place).open()
    code = (
        "import sys; from pathlib import Path; from bayplan.host.pinned import Pinned;"
        "one = Pinned(sys.argv[1], Path(sys.argv[2])); one.open(); print(one.path)"
    )
    argv = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    argv += [sys.executable, "-c", code, program, str(place)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    finally:
        Pinned(program, place).close()
    assert (done.stdout.strip(), done.returncode) == (str(program), 0), done.stderr
    assert "cannot be unmounted" in done.stderr


def test_an_engine_has_one_mount_while_it_runs(
    fresh_engine: Callable[[], EngineProcess],
) -> None:
    """After kill -9 and a new start, too; none when it has stopped, and containers run on."""
    it = fresh_engine()
    place = it.run_root / "crun"
    wanted = 1 if it.api("GET", "/info").json()["DefaultRuntime"] == "crun" else 0
    assert _mounts(place) == wanted
    it.bay("run", "-d", "--name", "one", "starter:latest", "sleep", "1000", check=True)
    it.kill9()
    it.start()
    assert _mounts(place) == wanted
    assert it.bay("exec", "one", "echo", "yes").stdout == "yes\n"
    it.stop()
    assert _mounts(place) == 0
    it.start()
    assert it.bay("exec", "one", "echo", "yes").stdout == "yes\n"
