"""A program on a pseudo-terminal, driven the way a person does: type, look, type."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


class Terminal:
    """`argv` on a new terminal of `rows` x `columns`; use as a context manager.

    Output is kept from the start in `output`; `wait_for` looks only at what came after its last
    match, so the echo of an earlier command can't satisfy a later wait.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        env: Mapping[str, str] | None = None,
        rows: int = 24,
        columns: int = 80,
        cwd: Path | None = None,
    ) -> None:
        self.argv = [str(word) for word in argv]
        self.output = b""
        self._seen = 0
        self._code: int | None = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:  # the child: nothing but exec may happen here
            try:
                if cwd is not None:
                    os.chdir(cwd)
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                os.execvpe(self.argv[0], self.argv, dict(env if env is not None else os.environ))
            finally:
                os._exit(127)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, text: str | bytes) -> None:
        """Type `text`."""
        data = text.encode() if isinstance(text, str) else text
        while data:
            data = data[os.write(self.fd, data) :]

    def line(self, text: str) -> None:
        """Type `text` and Enter."""
        self.send(text + "\r")

    def resize(self, rows: int, columns: int) -> None:
        """Change the terminal's size; the kernel sends SIGWINCH."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def more(self, seconds: float) -> bool:
        """Take what comes within `seconds` into `output`; False at the end of it."""
        return self._read(seconds)

    def _read(self, seconds: float) -> bool:
        """Take what is there, waiting up to `seconds`; False at the end of the output."""
        ready, _, _ = select.select([self.fd], [], [], max(0.0, seconds))
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: the last process has closed the terminal
            return False
        self.output += data
        return bool(data)

    def wait_for(self, pattern: str, timeout: float = 240) -> re.Match[bytes]:
        """Read until the regular expression matches what came after the last match.

        Raises AssertionError with everything that was seen instead.
        """
        deadline = time.monotonic() + timeout
        wanted = re.compile(pattern.encode(), re.DOTALL)
        alive = True
        while True:
            match = wanted.search(self.output, self._seen)
            if match is not None:
                self._seen = match.end()
                return match
            if not alive or time.monotonic() > deadline:
                why = "after the end of" if not alive else f"after {timeout:.0f} s of"
                shown = self.output[-3000:].decode(errors="replace")
                raise AssertionError(f"no {pattern!r} {why} {self.argv}; it wrote:\n{shown}")
            alive = self._read(deadline - time.monotonic())

    def wait(self, timeout: float = 240) -> int:
        """Read to the end and return the exit code, 128 + signal when it was killed by one."""
        deadline = time.monotonic() + timeout
        while self._code is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                self._code = code if code >= 0 else 128 - code
                break
            if time.monotonic() > deadline:
                shown = self.output[-3000:].decode(errors="replace")
                raise AssertionError(f"{self.argv} still runs after {timeout:.0f} s:\n{shown}")
            if not self._read(0.05):
                time.sleep(0.01)
        # What it wrote last comes a moment later: the kernel hands it over by a work queue. The end
        # is told once nobody has the terminal any more; who was left behind may have it for ever.
        quiet = time.monotonic() + 5
        while time.monotonic() < quiet and self._read(0.1):
            pass
        return self._code

    def close(self) -> None:
        """Kill the program if it still runs and give the terminal back."""
        if self._code is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
            self._code = 137
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
