"""A fresh ext4 for each run, and the engines on it.

An ext4 that has just deleted trees steps over their inodes one by one, and slows everyone's next
unpacking several times: numbers from a used file system compare nothing.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import peers
from bayplan.core.options import Options
from content import Content
from support.engine import BAY, EngineProcess
from support.waiting import wait_until

SIZE = 6 << 30


class Ground:
    """A new ext4 in a file on the disk, mounted; a context manager that takes it away."""

    def __enter__(self) -> Path:
        self.folder = Path(tempfile.mkdtemp(prefix="bb-", dir="/var/tmp"))
        image, place = self.folder / "ext4", self.folder / "mnt"
        place.mkdir()
        with open(image, "wb") as file:
            file.truncate(SIZE)
        peers.command(["mkfs.ext4", "-q", "-F", image])
        peers.command(["mount", "-o", "loop,noinit_itable", image, place])
        return place

    def __exit__(self, *_: object) -> None:
        peers.command(["umount", self.folder / "mnt"])
        (self.folder / "ext4").unlink()
        (self.folder / "mnt").rmdir()
        self.folder.rmdir()


def sync(place: Path) -> float:
    """Seconds until all of the file system is on the disk."""
    start = time.perf_counter()
    peers.command(["sync", "-f", place])
    return time.perf_counter() - start


def proportional(pids: set[int]) -> int:
    """Memory of these processes in bytes, what they share counted once (Pss of proc(5))."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total << 10


def with_children(pids: list[int]) -> set[int]:
    """These processes, and all that they started."""
    below: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_bytes().rpartition(b")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            below.setdefault(int(fields[1]), []).append(int(entry))
    found = list(pids)
    for pid in found:
        found += below.get(pid, [])
    return set(found)


class Memory:
    """Looks five times a second at what an engine's processes take; `peak` in bytes."""

    def __init__(self, engine: Engine) -> None:
        self.peak = 0
        self._engine = engine
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.2):
            now = proportional(with_children(self._engine.processes()))
            self.peak = max(self.peak, now)

    def close(self) -> None:
        self._over.set()
        self._thread.join()


class Engine:
    """An engine on a fresh file system; `call` runs its command with the arguments."""

    name = ""
    zstd = True

    def __init__(self, place: Path) -> None:
        self.place = place

    def call(self, *arguments: str | Path) -> str:
        raise NotImplementedError

    def pull(self, content: Content) -> None:
        self.call("pull", content.reference)

    def processes(self) -> list[int]:
        """Those that do its work; their children count too."""
        return []

    def close(self) -> None:
        pass


class Bay(Engine):
    name = "bay"

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._process = EngineProcess()
        self._process.root = place / "root"
        self._process.options = Options(self._process.root, self._process.run_root)
        self._process.start()
        self._pid = self._process.pid

    def call(self, *arguments: str | Path) -> str:
        return peers.command([BAY, "-H", self._process.host, *arguments])

    def processes(self) -> list[int]:
        return [self._pid]

    def close(self) -> None:
        self._process.purge()


class Docker(Engine):
    name = "docker"
    zstd = False

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._folder = Path(tempfile.mkdtemp(prefix="bb-", dir="/tmp"))
        self._socket = self._folder / "docker.sock"
        self._cgroups = peers.cgroup_folders("docker")
        self._log = open(self._folder / "log", "wb")  # noqa: SIM115 - closed in close()
        argv = [
            *("dockerd", "--host", f"unix://{self._socket}", "--bridge", "none"),
            *("--iptables=false", "--data-root", place / "data"),
            *("--exec-root", self._folder / "run", "--pidfile", self._folder / "pid"),
            *("--storage-driver", "overlay2"),
        ]
        self._child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=peers.ENVIRONMENT,
            start_new_session=True,
        )
        wait_until(self._is_up, "dockerd", timeout=60, every=0.1)

    def _is_up(self) -> bool:
        if self._child.poll() is not None:
            raise RuntimeError((self._folder / "log").read_text()[-3000:])
        argv = ["docker", "-H", f"unix://{self._socket}", "version"]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def call(self, *arguments: str | Path) -> str:
        return peers.command(["docker", "-H", f"unix://{self._socket}", *arguments])

    def processes(self) -> list[int]:
        return [pid for pid in peers.users_of(self._folder) if pid not in self._clients()]

    def _clients(self) -> set[int]:
        """Its command line, which names the same folder."""
        return with_children([os.getpid()]) - with_children([self._child.pid])

    def close(self) -> None:
        self._child.terminate()
        self._child.wait(timeout=60)
        self._log.close()
        for folder in peers.cgroup_folders("docker"):
            if folder not in self._cgroups:
                folder.rmdir()
        wait_until(lambda: not peers.users_of(self._folder), "end of containerd")
        for point in reversed(peers.mounts_below(self.place) + peers.mounts_below(self._folder)):
            subprocess.run(["umount", "-l", point], check=False)
        peers.command(["rm", "-rf", self._folder])


class Podman(Engine):
    name = "podman"

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._folder = Path(tempfile.mkdtemp(prefix="bb-", dir="/tmp"))
        self._running: list[int] = []

    def call(self, *arguments: str | Path) -> str:
        argv = [
            *("podman", "--root", self.place / "data", "--runroot", self._folder / "run"),
            *("--tmpdir", self._folder / "tmp", "--cgroup-manager", "cgroupfs"),
            *("--runtime", "runc", "--network-config-dir", self._folder / "net"),
            *arguments,
        ]
        if arguments[0] == "pull":
            argv.insert(-1, "--tls-verify=false")
        words = [str(word) for word in argv]
        with open(self._folder / "out", "w+b") as out:
            child = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=peers.ENVIRONMENT
            )
            self._running = [child.pid]
            child.wait()
            self._running = []
            out.seek(0)
            text = out.read().decode(errors="replace")
        if child.returncode:
            raise RuntimeError(f"{words}: {child.returncode}\n{text}")
        return text

    def processes(self) -> list[int]:
        return self._running

    def close(self) -> None:
        for point in reversed(peers.mounts_below(self.place) + peers.mounts_below(self._folder)):
            subprocess.run(["umount", "-l", point], check=False)
        peers.command(["rm", "-rf", self._folder])


class Floor(Engine):
    """Not an engine: each layer fetched, decompressed and handed to tar, one after another."""

    name = "floor"

    def pull(self, content: Content) -> None:
        unpack = "zstd -dcq" if content.kind == "zstd" else "igzip -dc"
        for number, url in enumerate(content.blobs):
            folder = self.place / f"{content.reference.replace('/', '_')}-{number}"
            folder.mkdir()
            pipe = f"set -o pipefail; curl -sSf {url} | {unpack} | tar -x -C {folder}"
            peers.command(["bash", "-c", pipe])
