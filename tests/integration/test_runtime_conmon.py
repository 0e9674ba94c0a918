"""Containers under conmon with both runtimes: create, run, fail, limits, and nothing left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from bayplan.core import conmon
from bayplan.core.console import Console
from bayplan.core.runtime import Runtime
from bayplan.host import cgroups, process
from bayplan.host.errors import RuntimeFailedError
from support.sandbox import Sandbox, make_rootfs
from support.waiting import wait_until


@pytest.fixture(params=["crun", "runc"])
async def sandbox(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sandbox]:
    folder = tmp_path_factory.mktemp("rt")
    parent = f"bay-{folder.name}-{os.getpid()}"
    runtime = await Runtime.probe(request.param, folder / "run", parent)
    made = Sandbox(runtime, folder, make_rootfs(folder / "rootfs"))
    before = set(os.listdir("/proc/self/fd"))
    yield made
    await runtime.close()
    assert not any(path.exists() for path in cgroups.folders(parent))
    assert not runtime.known()
    fds = lambda: len(os.listdir("/proc/self/fd"))  # noqa: E731
    # inotify and the loop's own; a thread may be about to close one.
    await asyncio.to_thread(wait_until, lambda: fds() <= len(before) + 3, "no descriptor is left")


async def test_output_and_exit_code(sandbox: Sandbox) -> None:
    code, output = await sandbox.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert code == 7
    assert sorted(output.split()) == [b"err", b"out"]


async def test_identity_and_confinement(sandbox: Sandbox) -> None:
    script = (
        "id -u; id -G; pwd; echo $HOME $HOSTNAME; grep -E 'CapBnd|Seccomp:|NoNew' /proc/self/status"
    )
    code, output = await sandbox.run(
        ["sh", "-c", script],
        User="alice",
        WorkingDir="/work/here",
        Hostname="ship",
        host_config={"SecurityOpt": ["no-new-privileges"], "CapDrop": ["ALL"], "CapAdd": ["CHOWN"]},
    )
    lines = output.decode().split("\n")
    assert code == 0
    assert lines[:4] == ["1000", "1000 29", "/work/here", "/home/alice ship"]
    assert lines[4].split() == ["CapBnd:", "0000000000000001"]
    assert [line.split()[1] for line in lines[5:7]] == ["1", "2"]


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("nosuch", 127, 'exec: "nosuch": executable file not found in $PATH'),
        ("/nosuch", 127, 'exec: "/nosuch": stat /nosuch: no such file or directory'),
        ("/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
        ("/etc", 126, 'exec: "/etc": permission denied'),
    ],
)
async def test_command_that_cannot_run(
    sandbox: Sandbox, command: str, code: int, words: str
) -> None:
    container = sandbox.container([command])
    with pytest.raises(RuntimeFailedError) as caught:
        await sandbox.create(container)
    assert caught.value.code == code
    assert caught.value.message.startswith("OCI runtime create failed: unable to start")
    assert words in caught.value.message
    assert not sandbox.runtime.known()
    # A conmon that is just ending has no command line any more, and its files for a moment.
    await asyncio.to_thread(
        wait_until, lambda: not conmon.is_held(container.bundle), "conmon's end"
    )


async def test_killed_for_memory(sandbox: Sandbox) -> None:
    """tail keeps all of a file without newlines in memory."""
    container = sandbox.container(
        ["tail", "/dev/zero"],
        host_config={"Memory": 16 << 20, "MemorySwap": 16 << 20},
    )
    try:
        await sandbox.create(container)
        await sandbox.runtime.start(container.id)
        assert await sandbox.exit_code(container) == 137
        assert (container.bundle / "oom").exists()
    finally:
        await sandbox.runtime.delete(container.id, force=True)


async def test_pids_limit_and_limits_in_the_cgroup(sandbox: Sandbox) -> None:
    script = "sleep 99 & " * 20 + "wait"
    host_config = {"PidsLimit": 15, "NanoCpus": 500_000_000, "CpuShares": 512}
    async with sandbox.running(["sh", "-c", script], host_config=host_config) as (
        container,
        _,
        session,
    ):
        output = b""
        while b"can't fork" not in output:
            packet = await session.read()
            assert packet is not None
            output += packet[1]
        folder = cgroups.layout().folder("cpu", sandbox.runtime.cgroup(container.id))
        assert folder is not None
        if cgroups.layout().version == 1:
            assert (folder / "cpu.cfs_quota_us").read_text().strip() == "50000"
            assert (folder / "cpu.shares").read_text().strip() == "512"


async def test_conmon_is_held_and_out_of_our_cgroups(sandbox: Sandbox) -> None:
    async with sandbox.running(["sleep", "60"]) as (container, _, _):
        assert conmon.is_held(container.bundle)
        pid = int((container.bundle / "conmon.pid").read_text())
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        assert {line.split(":", 2)[2] for line in lines} == {"/"}
        inner = int((container.bundle / "pidfile").read_text())
        comm = Path(f"/proc/{inner}/comm")
        await asyncio.to_thread(wait_until, lambda: comm.read_text() == "sleep\n", "it runs")
        targets = set()
        for entry in Path(f"/proc/{inner}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # one it has just closed
                targets.add(os.readlink(entry))
        assert not any("conmon.lock" in target for target in targets)


async def test_the_same_container_again(sandbox: Sandbox) -> None:
    """A restart reuses bundle and log."""
    container = sandbox.container(["echo", "once"])
    for _ in range(2):
        await sandbox.create(container)
        await sandbox.runtime.start(container.id)
        assert await sandbox.exit_code(container) == 0
        await sandbox.runtime.delete(container.id)
    assert (container.bundle / "ctr.log").read_text().count("stdout F once") == 2


async def test_cached_filter_still_filters(sandbox: Sandbox) -> None:
    """The second container gets the compiled filter of the first."""
    script = "grep Seccomp: /proc/self/status; unshare -U true"
    for _ in range(2):
        code, output = await sandbox.run(["sh", "-c", script])
        assert code != 0
        assert b"Seccomp:\t2" in output
        assert b"Operation not permitted" in output


async def test_cancelled_create_leaves_nothing(sandbox: Sandbox) -> None:
    """At every step of it; a create that came through is deleted as any other."""
    made = set()
    for turns in range(0, 80, 4):
        container = sandbox.container(["sleep", "60"])
        task = asyncio.create_task(sandbox.create(container))
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        made.add(task.cancelled())
        if not task.cancelled():
            await sandbox.runtime.delete(container.id, force=True)
            continue
        assert not sandbox.runtime.known()
        folders = cgroups.folders(sandbox.runtime.cgroup(container.id))
        assert not any(path.exists() for path in folders)
        assert not _processes_of(container.id)
        assert not conmon.is_held(container.bundle)
    assert True in made


def _is_free(bundle: Path) -> bool:
    return not conmon.is_held(bundle)


def _processes_of(needle: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((entry / "cmdline").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue
    return [line for line in found if needle in line]


async def test_supervisor_killed(sandbox: Sandbox) -> None:
    """The container lives on without it, and that shows."""
    async with sandbox.running(["sleep", "60"]) as (container, console, session):
        os.kill(int((container.bundle / "conmon.pid").read_text()), signal.SIGKILL)
        assert await session.read() is None
        free = partial(_is_free, container.bundle)
        await asyncio.to_thread(wait_until, free, "the lock is free")
        pid = int((container.bundle / "pidfile").read_text())
        assert process.start_time(pid)
        await console.resize(20, 80)
        await console.write(b"nobody")
        with pytest.raises(OSError, match="refused"):
            await Console.open(container.bundle, False)
