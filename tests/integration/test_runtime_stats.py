"""Figures of real containers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from bayplan.core import samples
from bayplan.core.options import Options
from bayplan.core.runtime import Runtime
from bayplan.core.stats import Stats
from support.sandbox import Sandbox, make_rootfs


@pytest.fixture
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    folder = tmp_path_factory.mktemp("stats")
    options = Options(folder, folder / "run")
    runtime = await Runtime.probe(None, folder / "run", options.cgroup_parent)
    yield Sandbox(runtime, folder, make_rootfs(folder / "rootfs"))
    await runtime.close()


async def test_a_busy_container(sandbox: Sandbox) -> None:
    options = Options(sandbox.folder, sandbox.folder / "run")
    script = "head -c 3000000 /dev/zero > /dev/shm/x; echo filled; while :; do :; done"
    host_config = {"Memory": 64 << 20, "PidsLimit": 50}
    running = sandbox.running(["sh", "-c", script], host_config=host_config)
    async with running as (container, _, session):
        container.state.status = "running"
        container.state.pid = int((container.bundle / "pidfile").read_text())
        assert await session.read() == (1, b"filled\n")
        stats = Stats(options, lambda: [container])
        await stats.sample()
        first = stats.latest(container.id)
        assert first is not None
        ticks = stats.stream()
        waiting = asyncio.ensure_future(anext(ticks))
        while (second := stats.latest(container.id)) and second.cpu == first.cpu:
            await stats.sample()
        tick = await asyncio.wait_for(waiting, 120)
        assert tick["containers"][container.id]["memory_limit"] == 64 << 20
        assert second is not None
        assert second.memory >= 3_000_000
        assert second.pids == 1

        value = await stats.docker_json(container)
        usage = value["cpu_stats"]["cpu_usage"]["total_usage"]
        assert usage > value["precpu_stats"]["cpu_usage"]["total_usage"] > 0
        assert value["cpu_stats"]["system_cpu_usage"] > 0
        assert value["memory_stats"]["limit"] == 64 << 20
        assert value["memory_stats"]["usage"] >= 3_000_000
        assert value["pids_stats"] == {"current": 1, "limit": 50}

        curves = (await stats.history(600))["containers"][container.id]
        assert len(curves["time"]) == len(curves["cpu"]) >= 1  # one for each second
        assert len(curves["throttled"]) == len(curves["pressure_cpu"]) == len(curves["time"])
        container.state.status = "exited"
        stats.close()
        assert (await stats.docker_json(container))["memory_stats"] == {}
    assert samples.read(sandbox.runtime.cgroup(container.id), 0) is None
    gone = Stats(options, list)
    await gone.sample()
    assert await gone.history(60) == {"interval": 1.0, "containers": {}}


async def test_reading_while_containers_vanish(sandbox: Sandbox) -> None:
    """A container that ends between the list and the reading is left out, not an error."""
    options = Options(sandbox.folder, sandbox.folder / "run")
    async with sandbox.running(["sleep", "60"]) as (container, _, _):
        container.state.status = "running"
        container.state.pid = int((container.bundle / "pidfile").read_text())
        stats = Stats(options, lambda: [container])
        await stats.sample()
        assert stats.latest(container.id) is not None
    await stats.sample()


async def test_a_container_restarted_between_two_samples_is_read_on(sandbox: Sandbox) -> None:
    """Its cgroup is another one of the same name; the files of the first can't be read any more."""
    options = Options(sandbox.folder, sandbox.folder / "run")
    container = sandbox.container(["sleep", "60"])
    stats = Stats(options, lambda: [container])
    cpu = []
    try:
        for _ in range(2):
            container.state.pid = await sandbox.create(container)
            await sandbox.runtime.start(container.id)
            container.state.status = "running"
            await stats.sample()
            last = stats.latest(container.id)
            assert last is not None
            cpu.append((last.time, last.memory > 0))
            await sandbox.runtime.delete(container.id, force=True)
        assert cpu[1][0] > cpu[0][0] and cpu[1][1]
    finally:
        stats.close()
        await sandbox.runtime.delete(container.id, force=True)


def test_system_cpu_counts_all_cpus() -> None:
    assert samples.system_cpu() > 0
    assert samples.host_memory() > os.sysconf("SC_PAGE_SIZE")
