"""Docker's own daemon in a given network namespace, with folders of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import leaks
from .images import busybox
from .waiting import wait_until


class Dockerd:
    """`dockerd` behind `prefix`, the words that enter its namespace."""

    def __init__(self, folder: Path, prefix: Sequence[str]) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self._log = open(folder / "log", "wb")  # noqa: SIM115 - closed in close()
        argv = [
            *(*prefix, "dockerd", "--host", f"unix://{self.socket}"),
            *("--data-root", str(folder / "data"), "--exec-root", str(folder / "run")),
            *("--pidfile", str(folder / "pid"), "--cgroup-parent", f"dk-{folder.name}"),
        ]
        self._child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=leaks.SBIN
        )

    def docker(self, *words: str) -> str:
        """Run `docker` against it; what it prints."""
        argv = ["docker", "-H", f"unix://{self.socket}", *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}\n{self.tail()}"
        return done.stdout.strip()

    def is_up(self) -> bool:
        """Whether it answers. Raises AssertionError when it has ended."""
        assert self._child.poll() is None, self.tail()
        argv = ["docker", "-H", f"unix://{self.socket}", "version"]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def tail(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def close(self) -> None:
        """End it and take away what it leaves."""
        self._child.terminate()
        self._child.wait(timeout=240)
        self._log.close()
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if line.split()[4].startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", line.split()[4]], check=False)
        for mounts in Path("/proc/self/mounts").read_text().splitlines():
            _, point, kind, *_ = mounts.split()
            parent = Path(point) / f"dk-{self.folder.name}"
            if kind in ("cgroup", "cgroup2") and parent.is_dir():
                leaks.remove_cgroup(parent)


@contextmanager
def dockerd(prefix: Sequence[str], image: str) -> Iterator[Dockerd]:
    """A daemon that is up and has busybox as `image`; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bk-", dir="/tmp"))
    made = Dockerd(folder, prefix)
    try:
        wait_until(made.is_up, "dockerd", timeout=240, every=0.1)
        # `docker import` reads by the client: the image's one layer is a whole root.
        made.docker("import", str(_layer(folder)), image)
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def _layer(folder: Path) -> Path:
    tar = folder / "busybox.tar.gz"
    shutil.copy(busybox().layers[0], tar)
    return tar
