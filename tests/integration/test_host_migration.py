"""Where children of the engine are born, and that being in a hurry leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.host import cgroups, migration
from support.waiting import wait_until


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A v1 or v2 cgroup of this test's, with this thread's process in it; back after."""
    layout = cgroups.layout()
    base = layout.unified if layout.version == 2 else layout.v1["freezer"]
    assert base is not None
    name = f"bay-test-{os.getpid()}-{threading.get_native_id()}"
    before = next(path for at, path in migration._own() if at == base)
    (base / name).mkdir()
    (base / name / "cgroup.procs").write_text(str(os.getpid()))
    yield f"/{name}"
    (base / before.lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))
    wait_until(lambda: not (base / name / "cgroup.procs").read_text(), "an empty cgroup")
    (base / name).rmdir()


def _paths(pid: int | str) -> set[str]:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    unified = cgroups.layout().unified
    found = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in lines}
    return {path for names, path in found.items() if cgroups.mount_point(names) != unified}


async def test_what_is_started_outside_is_at_the_root_of_every_v1_hierarchy(elsewhere: str) -> None:
    """Its caller is not, and stays where it is."""

    def born() -> set[str]:
        with subprocess.Popen(["sleep", "60"]) as child:
            try:
                return _paths(child.pid)
            finally:
                child.kill()

    migration._outside.shutdown()
    migration._outside = type(migration._outside)(4, initializer=migration._leave)
    for found in await asyncio.gather(*(migration.outside(born) for _ in range(6))):
        assert found <= {"/"}
    if cgroups.layout().version == 1:
        assert elsewhere in _paths("self")


async def test_a_hurry_moves_nobody_elsewhere(elsewhere: str) -> None:
    before = Path("/proc/self/cgroup").read_text()
    for _ in range(3):
        migration.expect()
        with migration.hurried(), migration.hurried():
            await asyncio.sleep(0.02)
            assert Path("/proc/self/cgroup").read_text() == before
    assert Path("/proc/self/cgroup").read_text() == before
    assert elsewhere in before
    await asyncio.to_thread(wait_until, lambda: migration._hurry.idle, "an end of the hurry")


def test_who_was_moved_meanwhile_is_not_moved_back(elsewhere: str) -> None:
    """As systemd may do with an engine: where it is, is looked up before each move to nowhere."""
    base, path = migration._own()[0]
    other = base / path.lstrip("/") / elsewhere[1:]
    other.mkdir(exist_ok=True)
    hurry = migration._Hurry()
    for place in (base / path.lstrip("/"), other, base / path.lstrip("/")):
        (place / "cgroup.procs").write_text(str(os.getpid()))
        before = Path("/proc/thread-self/cgroup").read_text()
        for _ in range(2):
            assert os.write(hurry._place(), hurry._me)
            assert Path("/proc/thread-self/cgroup").read_text() == before
    wait_until(lambda: not (other / "cgroup.procs").read_text(), "an empty cgroup")
    other.rmdir()
