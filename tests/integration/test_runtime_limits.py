"""Limits changed while it runs, logs within their size."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bayplan.core import logrotation, logs, resources
from bayplan.core.runtime import Runtime
from bayplan.host import cgroups
from support.sandbox import Sandbox, make_rootfs
from support.waiting import wait_until


@pytest.fixture(params=["crun", "runc"])
async def sandbox(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sandbox]:
    folder = tmp_path_factory.mktemp("lim")
    runtime = await Runtime.probe(request.param, folder / "run", f"bay-{folder.name}-{os.getpid()}")
    yield Sandbox(runtime, folder, make_rootfs(folder / "rootfs"))
    await runtime.close()


async def test_update_and_pause(sandbox: Sandbox) -> None:
    host_config = {"Memory": 64 << 20, "MemorySwap": 128 << 20, "PidsLimit": 30}
    async with sandbox.running(["sleep", "60"], host_config=host_config) as (container, _, _):
        cgroup = sandbox.runtime.cgroup(container.id)

        def value(controller: str, v1: str, v2: str) -> str:
            folder = cgroups.layout().folder(controller, cgroup)
            assert folder is not None
            return (folder / (v1 if cgroups.layout().version == 1 else v2)).read_text().strip()

        for memory in (32 << 20, 256 << 20):
            new = {"Memory": memory, "MemorySwap": memory * 2, "CpuShares": 100}
            await sandbox.runtime.update(container.id, resources.oci(new))
            assert value("memory", "memory.limit_in_bytes", "memory.max") == str(memory)
        assert value("pids", "pids.max", "pids.max") == "30"
        await sandbox.runtime.update(container.id, {"pids": {"limit": -1}})
        assert value("pids", "pids.max", "pids.max") == "max"

        await sandbox.runtime.pause(container.id)
        await sandbox.runtime.resume(container.id)
        await sandbox.runtime.pause(container.id)
        # Deleted while paused: the thaw is part of it.


async def test_rotation_loses_nothing(sandbox: Sandbox) -> None:
    script = "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); done; read x; echo last"
    running = sandbox.running(["sh", "-c", script], OpenStdin=True)
    async with running as (container, _, session):
        output = b""
        while b"line 399\n" not in output:
            packet = await session.read()
            assert packet is not None
            output += packet[1]
        log = container.bundle / "ctr.log"
        for _ in range(3):
            assert await asyncio.to_thread(logrotation.rotate, log, 3)
            await asyncio.to_thread(wait_until, log.exists, "the log is there again")
        assert sorted(path.name for path in container.bundle.glob("ctr.log*")) == [
            "ctr.log",
            "ctr.log.1",
            "ctr.log.2",
        ]
        await session.write(b"\n")
        assert await sandbox.exit_code(container) == 0
        assert [entry.data async for entry in logs.read(log)] == [b"last\n"]


async def test_follower_sees_all_across_a_rotation(sandbox: Sandbox) -> None:
    script = "for i in 1 2 3 4; do read x; echo $x; done"
    running = sandbox.running(["sh", "-c", script], OpenStdin=True)
    async with running as (container, _, session):
        log = container.bundle / "ctr.log"
        followed = logs.read(
            log, follow=True, running=lambda: True, exit_file=sandbox.exits / container.id
        )
        seen = []
        for number in range(4):
            await session.write(f"{number}\n".encode())
            entry = await asyncio.wait_for(anext(followed), 120)
            seen.append(entry.data)
            if number == 1:
                await asyncio.to_thread(logrotation.rotate, log, 5)
        assert seen == [b"0\n", b"1\n", b"2\n", b"3\n"]
        assert await anext(followed, None) is None


async def test_one_file_alone_is_cut(sandbox: Sandbox) -> None:
    script = "echo first; read x; echo second"
    async with sandbox.running(["sh", "-c", script], OpenStdin=True) as (container, _, session):
        assert await session.read() == (1, b"first\n")
        log = container.bundle / "ctr.log"
        await asyncio.to_thread(wait_until, lambda: log.stat().st_size, "the log has a line")
        assert await asyncio.to_thread(logrotation.rotate, log, 1)
        await session.write(b"\n")
        assert await sandbox.exit_code(container) == 0
        assert b"\0" not in log.read_bytes()
        assert [entry.data async for entry in logs.read(log)] == [b"second\n"]


async def test_a_log_that_is_gone_is_made_again(sandbox: Sandbox) -> None:
    async with sandbox.running(["cat"], OpenStdin=True) as (container, _, session):
        log = container.bundle / "ctr.log"
        os.rename(log, log.with_name("ctr.log.1"))
        container.state.status = "running"
        container.host_config["LogConfig"] = {"Type": "json-file", "Config": {"max-size": "1k"}}
        await logrotation.Rotation(lambda: [container]).check()
        await asyncio.to_thread(wait_until, log.exists, "the log is there again")
        await session.write(b"on\n")
        assert await session.read() == (1, b"on\n")


def test_rotation_without_conmon(tmp_path: Path) -> None:
    assert logrotation.rotate(tmp_path / "ctr.log", 3) is False
