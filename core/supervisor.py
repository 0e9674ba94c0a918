"""One conmon process, from its start until it has told the pid of what it holds."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from ..host import cgroups, process
from ..host.errors import BayError
from ..host.files import read_text
from ..host.threads import complete
from .types import Json

# How long an abandoned create or exec may take before its runtime is killed.
_SETTLE_SECONDS = 10.0


class Supervisor:
    """A conmon on its way: `start`, `go` and `answer` by turns, then `release` or `kill`.

    It is started waiting for the launcher's word, is moved out of the launcher's cgroups while it
    waits, and answers with JSON lines on the sync pipe (conmon 2.1).
    """

    def __init__(
        self,
        argv: Sequence[str],
        folder: Path,
        pid_file: Path,
        env: dict[str, str] | None = None,
    ) -> None:
        self._argv = list(argv)
        self._folder = folder
        self._pid_file = pid_file
        self._env = env or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._told = self._answered = False
        self._sync = self._word = self._attach = -1

    def spawn(self, inherit: Sequence[int] = (), *, attach: bool = False) -> None:
        """Start it; blocks. It waits for `begin`, and keeps the file descriptors `inherit`.

        With `attach` it has an attach pipe too, see `attached`. Call `kill` or `release` also
        after an error here.
        """
        theirs: list[int] = []
        env: dict[str, str] = {}
        try:
            self._sync, end = os.pipe()
            theirs.append(end)
            env["_OCI_SYNCPIPE"] = str(end)
            end, self._word = os.pipe()
            theirs.append(end)
            env["_OCI_STARTPIPE"] = str(end)
            if attach:
                self._attach, end = os.pipe()
                theirs.append(end)
                env["_OCI_ATTACHPIPE"] = str(end)
            self._popen(env, [*theirs, *inherit])
        finally:
            for fd in theirs:
                os.close(fd)

    def begin(self) -> None:
        """Give the first word: from here on the runtime is at work."""
        self.go()
        self._told = True

    def _popen(self, env: dict[str, str], passed: list[int]) -> None:
        self._process = subprocess.Popen(
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            env={"PATH": process.PATH, **self._env, **env},
            pass_fds=passed,
            start_new_session=True,
        )
        cgroups.move_to_root(self._process.pid)

    def go(self) -> None:
        """Give the word: conmon waits for it before the runtime, and an attached exec twice."""
        try:
            os.write(self._word, b"\0")
        except BrokenPipeError as error:
            raise BayError(f"{self._argv[0]} ended before it was told to begin") from error

    async def answer(self) -> Json:
        """The next line of the sync pipe; empty at its end."""
        line = await read_line(self._sync)
        self._answered = True
        # conmon's first process has forked the one that stays, and ended.
        if self._process is not None and self._process.poll() is None:
            await complete(self._process.wait)
        return _parsed(line)

    async def attached(self) -> Json:
        """The line of the attach pipe: the attach socket is there."""
        return _parsed(await read_line(self._attach))

    async def settle(self) -> None:
        """Wait until the runtime is through, unless it hangs, when its answer is of no use.

        A runtime that is killed half-way leaves processes that are in no cgroup yet.
        """
        if not self._told or self._answered or self._sync < 0:
            return
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                await self.answer()
        except TimeoutError:
            pass

    def release(self) -> None:
        """Let go of the pipes: conmon goes on by itself."""
        for fd in (self._sync, self._word, self._attach):
            if fd >= 0:
                os.close(fd)
        self._sync = self._word = self._attach = -1

    def kill(self) -> None:
        """End conmon and the runtime at work for it, wait for that, and release; blocks."""
        try:
            if self._process is None:
                return
            if not self._told:
                # It waits for the word and has not forked. The end of the pipe would be a word.
                self._process.kill()
            self._process.wait()
            if self._told:
                self._kill_forked()
        finally:
            self.release()

    def _kill_forked(self) -> None:
        pid = int(read_text(self._pid_file, "0").strip() or 0)
        if not pid:
            return
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if is_command(pid, self._argv):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                while process.start_time(pid):
                    time.sleep(0.002)
        except ProcessLookupError:
            pass
        finally:
            os.close(fd)


def is_command(pid: int, argv: Sequence[str]) -> bool:
    """Whether `pid` runs this very command: a pid file may be older than the process."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().split(b"\0")[:-1] == [os.fsencode(word) for word in argv]
    except (FileNotFoundError, ProcessLookupError):
        return False


def _parsed(line: bytes) -> Json:
    result = json.loads(line) if line else {}
    return result if isinstance(result, dict) else {}


async def readable(fd: int) -> None:
    """Wait until `fd` has something to read, or its end."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(fd, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def read_line(fd: int) -> bytes:
    """A line from a pipe, or what came before its end, without blocking the event loop.

    Byte by byte: what is behind the line is for the next call.
    """
    os.set_blocking(fd, False)
    data = b""
    while not data.endswith(b"\n"):
        await readable(fd)
        while not data.endswith(b"\n"):
            try:
                byte = os.read(fd, 1)
            except BlockingIOError:
                break
            if not byte:
                return data
            data += byte
    return data
