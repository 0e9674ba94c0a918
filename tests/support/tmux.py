"""A tmux of the tests' own: a real terminal to run things in, and to ask what it shows."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .waiting import wait_until

_NUMBER = itertools.count()


class Tmux:
    """One tmux server with one pane of `columns` x `rows` that runs `argv`; a context manager.

    The pane stays when its program has ended. No configuration of the user's is read.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        columns: int,
        rows: int,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._name = f"bt-{os.getpid()}-{next(_NUMBER)}"
        environment = dict(env if env is not None else os.environ)
        environment.pop("TMUX", None)
        self._environment = environment
        words = " ".join(shlex.quote(str(word)) for word in argv)
        self._run(
            *("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), words),
            *(";", "set", "-g", "status", "off", ";", "set", "-g", "remain-on-exit", "on"),
            *(";", "set", "-g", "escape-time", "0", ";", "set", "-g", "window-size", "manual"),
        )
        self.resize(columns, rows)

    def _run(self, *words: str) -> str:
        argv = ["tmux", "-u", "-L", self._name, *words]
        done = subprocess.run(
            argv, capture_output=True, text=True, env=self._environment, check=False
        )
        if done.returncode != 0:
            raise AssertionError(f"{argv}: {done.stderr}")
        return done.stdout

    def __enter__(self) -> Tmux:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def resize(self, columns: int, rows: int) -> None:
        """Give the pane another size."""
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def keys(self, *names: str) -> None:
        """Press keys, by tmux's names."""
        self._run("send-keys", *names)

    def type(self, text: str) -> None:
        """Type `text` as it is."""
        self._run("send-keys", "-l", "--", text)

    def lines(self) -> list[str]:
        """What the pane shows, without the blanks at the ends of lines."""
        return [line.rstrip() for line in self._run("capture-pane", "-p").split("\n")[:-1]]

    def screen(self) -> str:
        """Likewise as one text."""
        return "\n".join(self.lines())

    def wait_for(self, text: str, timeout: float = 240) -> str:
        """Wait until `text` is on the screen; the screen."""
        shown = ""

        def there() -> bool:
            nonlocal shown
            shown = self.screen()
            return text in shown

        try:
            wait_until(there, text, timeout, every=0.05)
        except AssertionError as error:
            size = self._run("display", "-p", "#{pane_width}x#{pane_height}").strip()
            raise AssertionError(f"{error}; the screen, {size}:\n{shown}") from None
        return shown

    def wait_while(self, text: str, timeout: float = 240) -> str:
        """Wait until `text` is no longer on the screen; the screen."""
        wait_until(lambda: text not in self.screen(), f"no {text}", timeout, every=0.05)
        return self.screen()

    def close(self) -> None:
        """End the server and what runs in it."""
        subprocess.run(
            ["tmux", "-L", self._name, "kill-server"],
            capture_output=True,
            env=self._environment,
            check=False,
        )
