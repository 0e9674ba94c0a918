"""podman's API on a socket of its own, in a network namespace of its own."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .engine import SBIN
from .images import busybox
from .otherengines import _unmount, _users
from .waiting import wait_until


class PodmanApi:
    """`podman system service`; calling it runs a podman command on the same storage."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bt-podapi-", dir="/tmp"))
        self.socket = self.folder / "podman.sock"
        # Its defaults are above what a host without CAP_SYS_RESOURCE can set.
        limits = [
            f'"{name}={hard}:{hard}"'
            for name, number in (
                ("nofile", resource.RLIMIT_NOFILE),
                ("nproc", resource.RLIMIT_NPROC),
            )
            if (hard := min(resource.getrlimit(number)[1], 16384))
        ]
        config = self.folder / "containers.conf"
        config.write_text(
            f"[containers]\ndefault_ulimits = [{', '.join(limits)}]\n"
            # conmon waits so long (300) with the cleanup after an exec, and we with the end.
            "[engine]\nexit_command_delay = 1\n"
        )
        path = os.environ["PATH"] + SBIN
        self._environment = {**os.environ, "PATH": path, "CONTAINERS_CONF": str(config)}
        self._log = open(self.folder / "log", "wb")  # noqa: SIM115 - closed in close()
        argv = [*self._cli(), "system", "service", "--time", "0", f"unix://{self.socket}"]
        self._child = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *argv],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=self._environment,
        )  # fmt: skip
        wait_until(self._is_up, "podman's service", timeout=240, every=0.05)

    def _cli(self) -> list[str]:
        return [
            *("podman", "--root", str(self.folder / "data"), "--runroot", str(self.folder / "run")),
            *("--tmpdir", str(self.folder / "tmp"), "--cgroup-manager", "cgroupfs"),
            *("--runtime", "runc", "--network-config-dir", str(self.folder / "net")),
        ]

    def __call__(self, *words: str) -> str:
        argv = ["nsenter", "--target", str(self._child.pid), "--net", *self._cli(), *words]
        done = subprocess.run(
            argv, capture_output=True, text=True, env=self._environment, check=False
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}\n{self.tail()}"
        return done.stdout.strip()

    def _is_up(self) -> bool:
        assert self._child.poll() is None, self.tail()
        argv = ["docker", "-H", f"unix://{self.socket}", "version"]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def tail(self) -> str:
        """What it said last."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def close(self) -> None:
        """End it and what it runs, and take away what it leaves."""
        try:
            self("rm", "--force", "--all", "--time", "0")
        finally:
            self._child.terminate()
            self._child.wait(timeout=240)
            self._log.close()
            # What conmon starts to clean up after a container writes into the folder too.
            wait_until(lambda: not _users(self.folder), "the end of podman's", timeout=240)
            _unmount(self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def podman_api(image: str) -> Iterator[PodmanApi]:
    """A service that is up and has busybox as `image`; gone afterwards."""
    made = PodmanApi()
    try:
        made("import", str(busybox().layers[0]), image)
        yield made
    finally:
        made.close()
