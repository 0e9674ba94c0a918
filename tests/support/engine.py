"""A real engine under its own short roots, and the ways to talk to it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from bayplan.core.options import Options
from bayplan.host.process import is_alive, start_time

from . import leaks
from .http import Answer, request
from .terminal import Terminal
from .waiting import wait_until

BAY = Path(sys.executable).with_name("bay")
SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"


def need_root() -> None:
    """Fail, never skip: a run without root would otherwise look like a run that passed."""
    if os.geteuid() != 0:
        raise RuntimeError("this test starts a real engine and needs root: use `sudo make test`")


class EngineProcess:
    """One engine of the tests.

    `root` and `run_root` lie in a folder of their own below /tmp, short since a unix socket's path
    has 108 bytes. `host` is what `-H` wants. Commands get the roots by environment, so a client
    that finds no engine starts this one and no other; they see no configuration of the user's.
    """

    def __init__(self, arguments: Sequence[str] = (), prefix: Sequence[str] = ()) -> None:
        need_root()
        self.folder = Path(tempfile.mkdtemp(prefix="bt-", dir="/tmp"))
        self.root = self.folder / "root"
        self.run_root = self.folder / "run"
        self.options = Options(self.root, self.run_root)
        self.socket = self.options.socket
        self.host = f"unix://{self.socket}"
        self.arguments = list(arguments)
        self.prefix = list(prefix)
        self.log = self.folder / "engine.log"
        self.home = self.folder / "home"
        self.home.mkdir()
        self._child: subprocess.Popen[bytes] | None = None
        self._was_up = False

    @property
    def environment(self) -> dict[str, str]:
        """What commands run with."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("BAY_", "DOCKER_"))}
        return {
            **kept,
            "PATH": kept.get("PATH", "") + SBIN,
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "DOCKER_CONFIG": str(self.home / "docker"),
            "BAY_ROOT": str(self.root),
            "BAY_RUN_ROOT": str(self.run_root),
            "TERM": "xterm-256color",
        }

    # --- the process

    def start(self) -> None:
        """Start `bay engine` and wait until its socket answers."""
        argv = [
            *self.prefix,
            BAY,
            "engine",
            "--root",
            self.root,
            "--run-root",
            self.run_root,
            *self.arguments,
        ]
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        wait_until(self._is_up, f"engine at {self.socket}", timeout=240)
        self._was_up = True

    def _is_up(self) -> bool:
        if self._child is not None and self._child.poll() is not None:
            raise AssertionError(f"the engine ended with {self._child.returncode}:\n{self.tail()}")
        return self._answers()

    def _answers(self) -> bool:
        """Whether an engine serves the socket, whoever started it."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
            return self.api("GET", "/_ping").status == 200
        except (OSError, HTTPException):  # none yet, or it has just ended
            return False

    def tail(self, lines: int = 60) -> str:
        """The last lines of the engine's log, whoever started it."""
        logs = [p for p in (self.log, self.run_root / "engine.log") if p.exists()]
        return "\n".join(
            line for p in logs for line in p.read_text(errors="replace").splitlines()[-lines:]
        )

    @property
    def pid(self) -> int:
        """The process that serves the socket now: ours, or one that a client started."""
        return int(self.api("GET", "/bay/engine").json()["pid"])

    def kill9(self, pid: int | None = None) -> None:
        """SIGKILL the engine, and only the engine; returns when it is gone.

        With its `pid`, which is asked for otherwise, it has no time to do anything more.
        """
        self._end(signal.SIGKILL, pid)

    def reap(self) -> None:
        """Wait for the end of an engine that somebody else killed."""
        assert self._child is not None
        self._child.wait(timeout=240)
        self._child = None

    def stop(self) -> None:
        """SIGTERM the engine and wait for its end; containers run on."""
        self._end(signal.SIGTERM)

    def _end(self, number: int, pid: int | None = None) -> None:
        pid = pid or self.pid
        started = start_time(pid)
        os.kill(pid, number)
        if self._child is not None and self._child.pid == pid:
            self._child.wait(timeout=240)
            self._child = None
        wait_until(lambda: not is_alive(pid, started), f"end of engine {pid}")

    def restart(self) -> None:
        """Stop the engine and start it again on the same roots."""
        self.stop()
        self.start()

    # --- talking to it

    def bay(
        self, *args: str | Path, input: str | None = None, timeout: float = 240, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run `bay` with `args`; with `check` a failure raises, showing what it wrote."""
        return self._command([BAY, *args], input, timeout, check)

    def docker(
        self, *args: str | Path, input: str | None = None, timeout: float = 240, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run the real docker command line against this engine."""
        return self._command(["docker", "-H", self.host, *args], input, timeout, check)

    def _command(
        self, argv: Sequence[str | Path], input: str | None, timeout: float, check: bool
    ) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in argv]
        done = subprocess.run(
            words,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=self.environment,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{' '.join(words)} ended with {done.returncode}\n{done.stdout}{done.stderr}\n"
                f"engine's log:\n{self.tail(20)}"
            )
        return done

    def terminal(self, *args: str | Path, rows: int = 24, columns: int = 80) -> Terminal:
        """`bay` with `args` on a terminal."""
        return Terminal([BAY, *args], self.environment, rows, columns)

    def docker_terminal(self, *args: str | Path, rows: int = 24, columns: int = 80) -> Terminal:
        """The real docker command line on a terminal."""
        return Terminal(["docker", "-H", self.host, *args], self.environment, rows, columns)

    def api(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        headers: dict[str, str] | None = None,
        timeout: float = 240,
    ) -> Answer:
        """One request to the engine; `json` of bytes is sent as it is."""
        return request(self.socket, method, path, json, headers, timeout)

    def pull(self, reference: str) -> str:
        """Have the image, from its registry if need be; returns its id."""
        if self.api("GET", f"/images/{reference}/json").status != 200:
            answer = self.api("POST", f"/images/create?fromImage={reference}", timeout=240)
            wrong = [line["error"] for line in answer.lines() if "error" in line]
            assert answer.status == 200 and not wrong, wrong or answer.body
        return str(self.api("GET", f"/images/{reference}/json").json()["Id"])

    def inspect(self, container: str) -> dict[str, Any]:
        """`GET /containers/ID/json`."""
        answer = self.api("GET", f"/containers/{container}/json")
        assert answer.status == 200, answer.body
        return dict(answer.json())

    def remove_containers(self) -> None:
        """Remove every container, running or not, with its anonymous volumes."""
        for row in self.api("GET", "/containers/json?all=1").json():
            answer = self.api("DELETE", f"/containers/{row['Id']}?force=1&v=1")
            assert answer.status in (204, 404, 409), answer.body

    # --- the end

    def purge(self) -> None:
        """Take everything away and say what could not be.

        Raises AssertionError with what is left in the kernel, after cleaning what a broken engine
        would otherwise leave to the next run.
        """
        if not self._was_up:  # start() has said why
            force_clean(self.options)
            shutil.rmtree(self.folder)
            return
        try:
            # An engine that a client started may serve here: a second one of ours would wait for
            # its end, and then outlive the purge.
            if not self._answers():
                self.start()
            self.remove_containers()
            self.bay("engine", "purge", "--force", check=True)
            left = wait_until_clean(self.options)
        finally:
            forced = force_clean(self.options)
            shutil.rmtree(self.folder, ignore_errors=True)
        assert not left, "left behind by the engine:\n" + "\n".join(left)
        assert not forced, "had to be cleaned by force:\n" + "\n".join(forced)
        assert not self.folder.exists(), f"{self.folder} could not be removed"


def wait_until_clean(options: Options, timeout: float = 60) -> list[str]:
    """What is still there once the kernel had time for what it does later (veths, cgroups)."""
    try:
        wait_until(lambda: not leaks.find(options), "clean", timeout)
    except AssertionError:
        return leaks.find(options)
    return []


def force_clean(options: Options) -> list[str]:
    """Remove what carries this engine's names, so that a red run does not spoil the next one."""
    found = leaks.find(options)
    for entry in leaks.processes(options):
        try:
            os.kill(int(entry.split()[1].rstrip(":")), signal.SIGKILL)
        except ProcessLookupError:
            pass
    for folder in [Path(e.split(" ", 1)[1]) for e in leaks.cgroups(options)]:
        leaks.kill_cgroup(folder)
    for entry in reversed(leaks.mounts(options)):
        subprocess.run(["umount", "-l", entry.split(" ", 1)[1]], check=False, capture_output=True)
    for entry in leaks.links(options):
        name = entry.split()[1]
        subprocess.run(
            ["ip", "link", "del", name], check=False, capture_output=True, env=leaks.SBIN
        )
    for entry in leaks.tables(options):
        _, _, family, name = entry.split()
        argv = ["nft", "delete", "table", family, name]
        subprocess.run(argv, check=False, capture_output=True, env=leaks.SBIN)
    for folder in [Path(e.split(" ", 1)[1]) for e in leaks.cgroups(options)]:
        leaks.remove_cgroup(folder)
    return found
