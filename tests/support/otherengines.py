"""dockerd and podman on folders of their own, to exchange images with."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import leaks
from .engine import SBIN
from .registry import Registry
from .waiting import wait_until

ENVIRONMENT = {**os.environ, "PATH": os.environ["PATH"] + SBIN}


def run(*words: str | Path) -> str:
    """A command's output; AssertionError with what it said when it fails."""
    argv = [str(word) for word in words]
    done = subprocess.run(
        argv, capture_output=True, text=True, errors="replace", env=ENVIRONMENT, check=False
    )
    assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@contextlib.contextmanager
def overlay(lowers: list[Path]) -> Iterator[Path]:
    """A stack of layers, the top one first, mounted read-only."""
    place = Path(tempfile.mkdtemp(prefix="bt-", dir="/tmp"))
    if len(lowers) == 1:
        yield lowers[0]
        place.rmdir()
        return
    run(
        "mount",
        "-t",
        "overlay",
        "overlay",
        "-o",
        "ro,lowerdir=" + ":".join(map(str, lowers)),
        place,
    )
    try:
        yield place
    finally:
        run("umount", place)
        place.rmdir()


class Docker:
    """dockerd in a network namespace of its own, with a registry there over the same storage as
    `registry`'s: what one gets, the other has."""

    def __init__(self, registry: Registry) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bt-docker-", dir="/tmp"))
        script = (
            'ip link set lo up; OTEL_TRACES_EXPORTER=none docker-registry serve "$1" & shift;'
            ' exec "$@"'
        )
        self._log = open(self.folder / "log", "wb")  # noqa: SIM115 - closed in close()
        daemon = [
            *("dockerd", "--host", f"unix://{self.folder}/sock", "--bridge", "none"),
            *("--iptables=false", "--data-root", self.folder / "data"),
            *("--exec-root", self.folder / "run", "--pidfile", self.folder / "pid"),
            *("--storage-driver", "overlay2", "--cgroup-parent", f"dk-{self.folder.name}"),
        ]
        words = ["sh", "-c", script, "sh", registry.folder / "config.yml", *daemon]
        self._child = subprocess.Popen(
            ["unshare", "--net", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        wait_until(self._is_up, "dockerd", timeout=240, every=0.1)

    def _is_up(self) -> bool:
        if self._child.poll() is not None:
            raise AssertionError((self.folder / "log").read_text(errors="replace")[-3000:])
        argv = ["docker", "-H", f"unix://{self.folder}/sock", "version"]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def __call__(self, *words: str | Path) -> str:
        return run("docker", "-H", f"unix://{self.folder}/sock", *words)

    def run(self, image: str, *words: str) -> str:
        return self("run", "--rm", "--network", "none", image, *words)

    def id(self, image: str) -> str:
        return self("image", "inspect", "-f", "{{.Id}}", image).strip()

    @contextlib.contextmanager
    def tree(self, image: str) -> Iterator[Path]:
        """The image's files."""
        data = json.loads(self("image", "inspect", image))[0]["GraphDriver"]["Data"]
        below = data.get("LowerDir", "").split(":")
        with overlay([Path(place) for place in [data["UpperDir"], *below] if place]) as place:
            yield place

    def close(self) -> None:
        self._child.terminate()
        self._child.wait(timeout=240)
        self._log.close()
        # The registry beside it, and containerd, which ends on its own.
        for pid in _users(self.folder) + _users(Path(_config_of(self._child.args))):
            if _netns(pid) != _netns(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 15)
        wait_until(lambda: not _users(self.folder), "end of dockerd's", timeout=240)
        for place in _cgroups(f"dk-{self.folder.name}"):
            leaks.remove_cgroup(place)
        _unmount(self.folder)
        shutil.rmtree(self.folder)


class Podman:
    """podman with its own storage."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bt-podman-", dir="/tmp"))

    def __call__(self, *words: str | Path) -> str:
        return run(
            *("podman", "--root", self.folder / "data", "--runroot", self.folder / "run"),
            *("--tmpdir", self.folder / "tmp", "--cgroup-manager", "cgroupfs"),
            *("--events-backend", "none", "--runtime", "runc"),
            *("--network-config-dir", self.folder / "net", *words),
        )

    def run(self, image: str, *words: str) -> str:
        limits = []
        for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
            hard = min(resource.getrlimit(number)[1], 16384)
            limits += ["--ulimit", f"{name}={hard}:{hard}"]
        return self("run", "--rm", "--network", "none", *limits, image, *words)

    def id(self, image: str) -> str:
        return "sha256:" + self("image", "inspect", "-f", "{{.Id}}", image).strip()

    @contextlib.contextmanager
    def tree(self, image: str) -> Iterator[Path]:
        """The image's files."""
        place = self("image", "mount", image).strip()
        try:
            yield Path(place)
        finally:
            self("image", "unmount", image)

    def close(self) -> None:
        _unmount(self.folder)
        shutil.rmtree(self.folder)


def _config_of(args: object) -> str:
    assert isinstance(args, list)
    return next(str(word) for word in args if str(word).endswith("config.yml"))


def _netns(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return os.readlink("/proc/self/ns/net")


def _users(folder: Path) -> list[int]:
    """Processes whose command line names `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.fsencode(folder) in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def _unmount(folder: Path) -> None:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    for point in reversed([line.split()[4] for line in lines]):
        if point.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", point], env=ENVIRONMENT, check=False)


def _cgroups(name: str) -> list[Path]:
    """The folders of that name at the top of each cgroup hierarchy."""
    lines = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    points = [Path(words[1]) for words in lines if words[2] in ("cgroup", "cgroup2")]
    return [point / name for point in points if (point / name).is_dir()]
