"""What goes in and out of a container: terminals, input to its end, sizes, slow clients."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator

import pytest
from bayplan.core import output as output_module
from bayplan.core.runtime import Runtime
from support.sandbox import Sandbox, make_rootfs, read_all


@pytest.fixture
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    folder = tmp_path_factory.mktemp("con")
    runtime = await Runtime.probe(None, folder / "run", f"bay-{folder.name}-{os.getpid()}")
    yield Sandbox(runtime, folder, make_rootfs(folder / "rootfs"))
    await runtime.close()


async def read_until(session: output_module.Session, words: bytes) -> bytes:
    output = b""
    while words not in output:
        packet = await asyncio.wait_for(session.read(), 120)
        assert packet is not None, output
        output += packet[1]
    return output


async def test_streams_are_told_apart(sandbox: Sandbox) -> None:
    async with sandbox.running(["sh", "-c", "echo a; echo b >&2"]) as (_, _, session):
        packets = [await session.read(), await session.read(), await session.read()]
        assert sorted(p for p in packets if p) == [(1, b"a\n"), (2, b"b\n")]
        assert packets[2] is None


async def test_a_megabyte_there_and_back(sandbox: Sandbox) -> None:
    data = os.urandom(1 << 20)
    settings = {"OpenStdin": True, "StdinOnce": True}
    async with sandbox.running(["cat"], **settings) as (container, _, session):

        async def feed() -> None:
            await session.write(data)
            await session.close_stdin()

        task = asyncio.create_task(feed())
        output = await read_all(session)
        await task
        assert hashlib.sha256(output).digest() == hashlib.sha256(data).digest()
        assert await sandbox.exit_code(container) == 0


async def test_input_to_one_that_reads_none_waits_and_ends_with_it(sandbox: Sandbox) -> None:
    settings = {"OpenStdin": True, "StdinOnce": True}
    async with sandbox.running(["sleep", "60"], **settings) as (container, _, session):
        task = asyncio.create_task(session.write(bytes(4 << 20)))
        await sandbox.runtime.delete(container.id, force=True)
        await asyncio.wait_for(task, 120)
        assert await session.read() is None


async def test_terminal_has_its_size_at_the_first_byte(sandbox: Sandbox) -> None:
    settings = {"Tty": True, "OpenStdin": True, "host_config": {"ConsoleSize": [33, 99]}}
    code, output = await sandbox.run(["stty", "size"], **settings)
    assert (code, output) == (0, b"33 99\r\n")


async def test_resize_and_input_on_a_terminal(sandbox: Sandbox) -> None:
    async with sandbox.running(["sh"], Tty=True, OpenStdin=True) as (container, _, session):
        for rows in range(20, 45):
            await session.resize(rows, 100)
        await session.write(
            b"while [ \"$(stty size)\" != '44 100' ]; do :; done; echo now$((1+1))\n"
        )
        await read_until(session, b"now2")
        await session.write(b"exit 5\n")
        assert await sandbox.exit_code(container) == 5


async def test_a_client_that_leaves_a_terminal_leaves_it_running(sandbox: Sandbox) -> None:
    async with sandbox.running(["cat"], Tty=True, OpenStdin=True) as (_, console, session):
        await session.write(b"hello\n")
        await read_until(session, b"hello\r\nhello\r\n")
        session.close()
        assert await session.read() is None
        other = console.session(stdin=True)
        await other.write(b"again\n")
        # The kernel hands a line and its end over in two pieces.
        assert await read_until(other, b"again\r\nagain\r\n") == b"again\r\nagain\r\n"


async def test_input_stays_open_without_stdin_once(sandbox: Sandbox) -> None:
    async with sandbox.running(["cat"], OpenStdin=True) as (_, console, first):
        await first.write(b"one\n")
        await read_until(first, b"one\n")
        await first.close_stdin()
        first.close()
        second = console.session(stdin=True)
        await second.write(b"two\n")
        assert await read_until(second, b"two\n") == b"two\n"


async def test_stalled_client_is_dropped_and_the_container_goes_on(sandbox: Sandbox) -> None:
    script = "head -c 20000000 /dev/zero; echo done >&2"
    async with sandbox.running(["sh", "-c", script]) as (container, _, stalled):
        assert await sandbox.exit_code(container) == 0
        assert stalled.dropped


async def test_patient_client_loses_nothing(sandbox: Sandbox) -> None:
    script = "head -c 20000000 /dev/zero; echo done"
    async with sandbox.running(["sh", "-c", script], patient=True) as (container, _, slow):
        await asyncio.wait_for(_stuck(slow), 120)
        assert not (sandbox.exits / container.id).exists()
        output = await read_all(slow)
        assert len(output) == 20000000 + 5
        assert await sandbox.exit_code(container) == 0


async def _stuck(session: output_module.Session) -> None:
    """Until the console holds the container up for this session."""
    while session.size <= output_module._BEHIND:  # noqa: ASYNC110 - the console has no event for it
        await asyncio.sleep(0)


async def test_killed_while_a_patient_client_holds_it_up(sandbox: Sandbox) -> None:
    """The exit is known although the client still does not read."""
    async with sandbox.running(["cat", "/dev/zero"], patient=True) as (container, _, slow):
        await asyncio.wait_for(_stuck(slow), 120)
        os.kill(int((container.bundle / "pidfile").read_text()), 9)
        assert await sandbox.exit_code(container) == 137


async def test_long_bundle_path(sandbox: Sandbox) -> None:
    """A socket's address has 108 bytes, a folder's name more."""
    sandbox.folder = sandbox.folder / ("x" * 120)
    async with sandbox.running(["echo", "far"]) as (_, _, session):
        assert await read_all(session) == b"far\n"
