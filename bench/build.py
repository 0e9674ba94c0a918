"""Builds: cold and from the cache, beside docker's classic builder and buildah.

Two contexts: a Dockerfile of ten steps, and a COPY of 20,000 small files. Each engine has a fresh
ext4 for its whole run (see ground.py); the rounds interleave them. Cold is `--no-cache`, with the
base image here already. BuildKit is in none of Debian's packages and is not measured.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import ground
import peers
from support.engine import BAY, EngineProcess
from support.images import busybox
from support.waiting import wait_until

STEPS = """FROM {base}
ENV A=1
WORKDIR /app
COPY a /app/a
RUN echo one > /one
RUN echo two > /two
RUN mkdir -p /data && echo three > /data/three
COPY dir /app/dir
RUN cat /app/a > /four
CMD ["sh"]
"""
MANY = "FROM {base}\nCOPY many /many\n"


class Builder:
    """An engine with the base image; `build` runs its command once."""

    name = ""

    def command(self, folder: Path, cold: bool) -> list[str]:
        raise NotImplementedError

    def build(self, folder: Path, cold: bool) -> float:
        """Seconds that one build takes."""
        start = time.perf_counter()
        peers.command(self.command(folder, cold))
        return time.perf_counter() - start

    def close(self) -> None:
        pass


class Bay(Builder):
    name = "bay"

    def __init__(self, place: Path) -> None:
        self.engine = EngineProcess()
        self.engine.root.symlink_to(place)
        self.engine.start()
        tar = place / "base.tar.gz"
        shutil.copy(busybox().layers[0], tar)
        self.engine.bay("import", str(tar), peers.IMAGE, check=True)

    def command(self, folder: Path, cold: bool) -> list[str]:
        flags = ["--no-cache"] if cold else []
        return [str(BAY), "-H", self.engine.host, "build", "-t", "b:1", *flags, str(folder)]

    def close(self) -> None:
        self.engine.purge()


class Docker(Builder):
    name = "docker"

    def __init__(self, place: Path) -> None:
        self.place = place
        self.socket = place / "docker.sock"
        script = 'ip link set lo up; exec "$@"'
        daemon = [
            *("dockerd", "--host", f"unix://{self.socket}", "--storage-driver", "overlay2"),
            *("--data-root", str(place / "data"), "--exec-root", str(place / "run")),
            *("--pidfile", str(place / "pid"), "--cgroup-parent", f"bb-{os.getpid()}"),
        ]
        self._log = open(place / "log", "wb")  # noqa: SIM115 - closed in close()
        self._child = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", script, "sh", *daemon],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=peers.ENVIRONMENT,
        )
        self._docker = ["docker", "-H", f"unix://{self.socket}"]
        argv = [*self._docker, "version"]
        up = lambda: subprocess.run(argv, capture_output=True, check=False).returncode == 0  # noqa: E731
        wait_until(up, "dockerd", timeout=60, every=0.1)
        tar = place / "base.tar.gz"
        shutil.copy(busybox().layers[0], tar)
        peers.command([*self._docker, "import", tar, peers.IMAGE])

    def command(self, folder: Path, cold: bool) -> list[str]:
        flags = ["--no-cache"] if cold else []
        return [*self._docker, "build", "-t", "b:1", *flags, str(folder)]

    def close(self) -> None:
        self._child.terminate()
        self._child.wait(timeout=60)
        self._log.close()
        wait_until(lambda: not peers.users_of(self.place), "end of docker's processes")
        for point in reversed(peers.mounts_below(self.place)):
            subprocess.run(["umount", "-l", point], check=False)
        for folder in peers.cgroup_folders(f"bb-{os.getpid()}"):
            folder.rmdir()


class Buildah(Builder):
    name = "buildah"

    def __init__(self, place: Path) -> None:
        folders = ["--root", place / "data", "--runroot", place / "run"]
        self._buildah = ["buildah", *map(str, folders), "--storage-driver", "overlay"]
        made = peers.command([*self._buildah, "from", "scratch"]).strip()
        tar = place / "base.tar.gz"
        shutil.copy(busybox().layers[0], tar)
        peers.command([*self._buildah, "add", made, tar, "/"])
        peers.command([*self._buildah, "commit", "--rm", made, peers.IMAGE])

    def command(self, folder: Path, cold: bool) -> list[str]:
        # chroot: without CAP_SYS_RESOURCE its runtime's own limits cannot be set.
        flags = ["--no-cache"] if cold else []
        limits = ["--ulimit", "nproc=8192:8192", "--ulimit", "nofile=8192:8192"]
        return [
            *(*self._buildah, "build", "--layers", "--isolation", "chroot", *limits),
            *("--pull-never", "-t", "b:1", *flags, str(folder)),
        ]


def contexts(folder: Path) -> dict[str, Path]:
    """The two contexts."""
    steps, many = folder / "steps", folder / "many"
    (steps / "dir/sub").mkdir(parents=True)
    for name in ("a", "dir/b", "dir/sub/c"):
        (steps / name).write_text(name)
    (steps / "Dockerfile").write_text(STEPS.format(base=peers.IMAGE))
    for number in range(200):
        place = many / f"many/{number}"
        place.mkdir(parents=True)
        for file in range(100):
            (place / f"f{file}").write_bytes(os.urandom(1024))
    (many / "Dockerfile").write_text(MANY.format(base=peers.IMAGE))
    return {"10 steps": steps, "COPY of 20,000 files": many}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=5)
    options = parser.parse_args()
    times: dict[tuple[str, bool], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    kinds: list[type[Builder]] = [Bay, Docker, Buildah]
    with ExitStack() as stack:
        folder = stack.enter_context(ground.Ground())
        made = contexts(folder)
        builders: list[Builder] = []
        for kind in kinds:
            if kind is Buildah and shutil.which("buildah") is None:
                print("left out: no buildah")
                continue
            builder = kind(stack.enter_context(ground.Ground()))
            stack.callback(builder.close)
            builders.append(builder)
        for number in range(options.rounds):
            turn = number % len(builders)
            for cold in (True, False):
                for what, context in made.items():
                    for builder in builders[turn:] + builders[:turn]:
                        taken = builder.build(context, cold)
                        times[what, cold][builder.name].append(taken)
                        print(f"{what} {cold=} {builder.name} {taken:.2f}", file=sys.stderr)
    load = os.getloadavg()[0]
    print(f"{datetime.now(UTC):%Y-%m-%d}, {options.rounds} rounds, load {load:.1f}\n")
    print("| | bay | docker | buildah | of the fastest other |\n|---|---|---|---|---|")
    for (what, cold), found in times.items():
        medians = {name: statistics.median(taken) for name, taken in found.items()}
        others = [value for name, value in medians.items() if name != "bay"]
        cells = " | ".join(
            f"{medians[name]:.2f} s" if name in medians else "–"
            for name in ("bay", "docker", "buildah")
        )
        print(
            f"| {what}, {'cold' if cold else 'cached'} | {cells} |"
            f" {medians['bay'] / min(others):.2f} |"
        )


if __name__ == "__main__":
    main()
