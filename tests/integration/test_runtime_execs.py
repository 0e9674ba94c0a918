"""`docker exec` on the runtime layer: codes, streams, terminals, users, detached, killed."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bayplan.core.events import Events
from bayplan.core.execs import Execs
from bayplan.core.options import Options
from bayplan.core.runtime import Runtime
from bayplan.core.types import Container
from bayplan.host import cgroups
from bayplan.host.errors import ConflictError, InvalidError, NotFoundError, RuntimeFailedError
from support.sandbox import Sandbox, make_rootfs, read_all
from support.waiting import wait_until


@pytest.fixture(params=["crun", "runc"])
async def sandbox(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sandbox]:
    folder = tmp_path_factory.mktemp("exec")
    runtime = await Runtime.probe(request.param, folder / "run", f"bay-{folder.name}-{os.getpid()}")
    yield Sandbox(runtime, folder, make_rootfs(folder / "rootfs"))
    await runtime.close()


@asynccontextmanager
async def started(sandbox: Sandbox, **settings: Any) -> AsyncIterator[tuple[Execs, Container]]:
    """A container that sleeps, as the engine would note it, and the execs of an engine."""
    options = Options(sandbox.folder, sandbox.folder / "run")
    async with sandbox.running(["sleep", "600"], **settings) as (container, _, _):
        container.state.status = "running"
        container.state.pid = int((container.bundle / "pidfile").read_text())
        yield Execs(sandbox.runtime, options, Events()), container


async def run(
    execs: Execs, container: Container, *command: str, **config: Any
) -> tuple[int, bytes]:
    key = await execs.create(container, {"Cmd": list(command), **config})
    session = await execs.start(key, detach=False, tty=bool(config.get("Tty")), size=None)
    assert session is not None
    output = await read_all(session)
    return await asyncio.wait_for(execs.wait(key), 120), output


async def test_output_code_and_traces(sandbox: Sandbox) -> None:
    async with started(sandbox) as (execs, container):
        code, output = await run(execs, container, "sh", "-c", "echo out; echo err >&2; exit 9")
        assert code == 9
        assert sorted(output.split()) == [b"err", b"out"]
        assert execs.ids(container.id) == []


async def test_user_environment_and_folder(sandbox: Sandbox) -> None:
    async with started(sandbox, Env=["A=1", "B=2"], WorkingDir="/tmp") as (execs, container):
        script = "id -un; pwd; echo $A $B $HOME $TERM; grep CapEff /proc/self/status"
        config = {"User": "alice", "Env": ["B=3"], "WorkingDir": "/bin"}
        code, output = await run(execs, container, "sh", "-c", script, **config)
        lines = output.decode().split("\n")
        assert (code, lines[:3]) == (0, ["alice", "/bin", "1 3 /home/alice"])
        assert int(lines[3].split()[1], 16) == 0
        _, output = await run(execs, container, "pwd")
        assert output == b"/tmp\n"


async def test_the_runtime_gives_a_terminal_its_size(sandbox: Sandbox) -> None:
    """Set behind the start, most programs would see none at first.

    runc sets it in the process that becomes the program; crun beside it, which can come too late
    on a busy machine: then the program finds no size, and is told by a signal.
    """
    crun = sandbox.runtime.name == "crun"
    script = "until stty size | grep ' '; do :; done" if crun else "stty size"
    async with started(sandbox) as (execs, container):
        for number in range(12):
            config = {"Tty": True, "ConsoleSize": [30 + number, 99]}
            code, output = await run(execs, container, "sh", "-c", script, **config)
            # busybox has the last error's words behind it, whichever that was.
            complaint = rb"stty: standard input[^\r]*\r\n"
            shown = re.sub(complaint, b"", output) if crun else output
            assert (code, shown) == (0, b"%d 99\r\n" % (30 + number))


async def test_privileged_has_more_capabilities(sandbox: Sandbox) -> None:
    async with started(sandbox) as (execs, container):
        script = "grep CapEff /proc/self/status"
        plain = (await run(execs, container, "sh", "-c", script))[1]
        more = (await run(execs, container, "sh", "-c", script, Privileged=True))[1]
        assert int(more.split()[1], 16) > int(plain.split()[1], 16) == 0xA80425FB


@pytest.mark.parametrize(("command", "code"), [("nosuch", 127), ("/nosuch", 127), ("/etc", 126)])
async def test_command_that_cannot_run(sandbox: Sandbox, command: str, code: int) -> None:
    async with started(sandbox) as (execs, container):
        key = await execs.create(container, {"Cmd": [command]})
        with pytest.raises(RuntimeFailedError) as caught:
            await execs.start(key, detach=False, tty=False, size=None)
        assert caught.value.code == code
        assert f'exec: "{command}": ' in caught.value.message
        assert execs.inspect(key)["ExitCode"] == code
        folder = cgroups.layout().folder("pids", sandbox.runtime.cgroup(container.id))
        assert folder is not None
        pids = folder / "pids.current"
        await asyncio.to_thread(wait_until, lambda: pids.read_text() == "1\n", "no zombie is left")
        assert not list(container.bundle.glob("execs/*"))


async def test_input_to_its_end(sandbox: Sandbox) -> None:
    async with started(sandbox) as (execs, container):
        key = await execs.create(container, {"Cmd": ["wc", "-c"], "AttachStdin": True})
        session = await execs.start(key, detach=False, tty=False, size=None)
        assert session is not None
        await session.write(bytes(300_000))
        await session.close_stdin()
        assert await read_all(session) == b"300000\n"


async def test_all_output_and_no_wait_for_who_stays_behind(sandbox: Sandbox) -> None:
    """The end is the process's own: a child that keeps its output open is not waited for."""
    async with started(sandbox) as (execs, container):
        code, output = await run(execs, container, "head", "-c", "3000000", "/dev/zero")
        assert (code, len(output)) == (0, 3_000_000)
        code, output = await run(execs, container, "sh", "-c", "sleep 600 & echo x; exit 4")
        assert (code, output) == (4, b"x\n")


async def test_input_that_nobody_reads(sandbox: Sandbox) -> None:
    """A writer that waits for room is let go when the process has ended."""
    async with started(sandbox) as (execs, container):
        script = {"Cmd": ["sh", "-c", "read x; exit 6"], "AttachStdin": True}
        key = await execs.create(container, script)
        session = await execs.start(key, detach=False, tty=False, size=None)
        assert session is not None
        await asyncio.wait_for(session.write(b"line\n" + bytes(8 << 20)), 120)
        assert await asyncio.wait_for(execs.wait(key), 120) == 6


async def test_terminal_and_its_size(sandbox: Sandbox) -> None:
    async with started(sandbox) as (execs, container):
        script = (
            "while [ \"$(stty size)\" != '30 90' ]; do :; done; tty; echo $TERM; read x; exit $x"
        )
        config = {"Cmd": ["sh", "-c", script], "Tty": True, "AttachStdin": True}
        key = await execs.create(container, config)
        session = await execs.start(key, detach=False, tty=True, size=(30, 90))
        assert session is not None
        await session.write(b"4\n")
        output = await read_all(session)
        assert b"/dev/pts/" in output and b"xterm" in output
        assert await execs.wait(key) == 4


async def test_detached(sandbox: Sandbox) -> None:
    async with started(sandbox) as (execs, container):
        key = await execs.create(container, {"Cmd": ["sh", "-c", "echo x > /tmp/made; exit 3"]})
        assert await execs.start(key, detach=True, tty=False, size=None) is None
        assert await asyncio.wait_for(execs.wait(key), 120) == 3
        assert (sandbox.rootfs / "tmp/made").read_text() == "x\n"
        with pytest.raises(ConflictError):
            await execs.start(key, detach=True, tty=False, size=None)


async def test_killed_and_killed_with_the_container(sandbox: Sandbox) -> None:
    async with started(sandbox) as (execs, container):
        keys = []
        for _ in range(2):
            keys.append(await execs.create(container, {"Cmd": ["sleep", "600"]}))
            await execs.start(keys[-1], detach=False, tty=False, size=None)
        assert sorted(execs.ids(container.id)) == sorted(keys)
        assert execs.inspect(keys[0])["Running"] is True
        await execs.kill(keys[0])
        assert await asyncio.wait_for(execs.wait(keys[0]), 120) == 137
        await sandbox.runtime.delete(container.id, force=True)
        execs.forget(container.id)
        assert await asyncio.wait_for(execs.wait(keys[1]), 120) == 137


async def test_refusals(sandbox: Sandbox) -> None:
    async with started(sandbox) as (execs, container):
        with pytest.raises(InvalidError, match="No exec command specified"):
            await execs.create(container, {"Cmd": []})
        with pytest.raises(NotFoundError, match="No such exec instance: nope"):
            execs.inspect("nope")
        key = await execs.create(container, {"Cmd": ["true"], "User": "nobody-here"})
        with pytest.raises(InvalidError, match="unable to find user nobody-here"):
            await execs.start(key, detach=False, tty=False, size=None)
        container.state.status = "paused"
        with pytest.raises(ConflictError, match="is paused"):
            await execs.create(container, {"Cmd": ["true"]})
        container.state.status = "exited"
        with pytest.raises(ConflictError, match="is not running"):
            await execs.create(container, {"Cmd": ["true"]})


async def test_cancelled_start_leaves_nothing(sandbox: Sandbox) -> None:
    """At every step: the n-th turn of the event loop."""
    async with started(sandbox) as (execs, container):
        for turns in range(0, 60, 3):
            key = await execs.create(container, {"Cmd": ["sleep", "601"]})
            task = asyncio.create_task(execs.start(key, detach=False, tty=False, size=None))
            for _ in range(turns):
                await asyncio.sleep(0.0005)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled():
                await execs.kill(key)
                await execs.wait(key)
        pids = Path(f"/proc/{container.state.pid}/task/{container.state.pid}/children")
        await asyncio.to_thread(wait_until, lambda: pids.read_text() == "", "no child is left")
        _, output = await run(execs, container, "ps", "-o", "args")
        assert b"601" not in output


async def test_execs_that_nobody_starts_are_bounded(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest of too many goes once it has waited for long; what runs or is young stays."""
    monkeypatch.setattr("bayplan.core.execs._WAITING", 3)
    async with started(sandbox) as (execs, container):

        async def create(command: str = "true") -> str:
            return await execs.create(container, {"Cmd": [command]})

        first = await create()
        running = await execs.create(container, {"Cmd": ["sleep", "600"]})
        await execs.start(running, detach=True, tty=False, size=None)
        others = [await create() for _ in range(4)]
        assert execs.ids(container.id) == [first, running, *others]
        monkeypatch.setattr("bayplan.core.execs._KEPT_SECONDS", 0)
        last = await create()
        assert execs.ids(container.id) == [running, *others[1:], last]
        await execs.kill(running)
        await execs.wait(running)
