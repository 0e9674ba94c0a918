"""The engines that are measured beside ours, each under its own folders and in a network namespace
of its own, so that no rule or link of theirs touches the host."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from bayplan.host import kernel
from support.images import busybox
from support.waiting import wait_until

IMAGE = "bench/busybox:latest"
ENVIRONMENT = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin"}
_stopping = threading.Event()


def _stop(number: int, _frame: object) -> None:
    """End by the way of every `finally`; once, since a second signal would cut that short."""
    _stopping.set()
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    print("stopping: what was set up is being taken away", file=sys.stderr)
    raise SystemExit(128 + number)


# A shell starts what it puts in the background with SIGINT ignored, and SIGTERM would leave daemons
# and mounts behind.
for _signal in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(_signal, _stop)


def command(argv: Sequence[str | Path], what: str = "") -> str:
    """Run to the end; raises RuntimeError with what it wrote, or in a thread that is to stop."""
    if _stopping.is_set() and threading.current_thread() is not threading.main_thread():
        raise RuntimeError("stopped")
    words = [str(word) for word in argv]
    done = subprocess.run(words, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{what or words}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Peer:
    """An engine with its own folder; `run(network)` is the command line of one short container."""

    name = ""
    image = IMAGE

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bb-", dir="/tmp"))

    def run(self, network: str) -> list[str]:
        raise NotImplementedError

    def cli(self) -> list[str]:
        """The words before a verb."""
        raise NotImplementedError

    def run_flags(self) -> list[str]:
        """What every `run` and `create` needs on this host."""
        return []

    def network(self, kind: str) -> str:
        """Its word for the network `none` or `bridge`."""
        return kind

    def remove_containers(self) -> None:
        """Remove all it has: running ones would hold its folders."""
        listed = [*self.cli(), "ps", "-aq"]
        found = subprocess.run(
            listed, capture_output=True, text=True, check=False, env=ENVIRONMENT
        ).stdout.split()
        for first in range(0, len(found), 100):
            words = [*self.cli(), "rm", "-f", *found[first : first + 100]]
            subprocess.run(words, capture_output=True, check=False, env=ENVIRONMENT)

    @property
    def state(self) -> Path:
        """The folder that the command line of each of its processes names."""
        return self.folder

    def close(self) -> None:
        """Take everything away, once what cleans up in the background has ended."""
        try:
            wait_until(lambda: not users_of(self.folder), f"end of all that uses {self.folder}")
        except AssertionError as error:
            print(f"{self.name}: {error}: killed", file=sys.stderr)
            for pid in users_of(self.folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for point in reversed(mounts_below(self.folder)):
            subprocess.run(["umount", "-l", point], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def mounts_below(folder: Path) -> list[str]:
    """Mount points below `folder`, in the order of their making."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [p for p in (line.split()[4] for line in lines) if p.startswith(f"{folder}/")]


def users_of(folder: Path) -> list[int]:
    """Processes whose command line names `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command_line = (entry / "cmdline").read_bytes()
            except OSError:  # it has just ended
                continue
            if os.fsencode(folder) in command_line:
                found.append(int(entry.name))
    return found


def cgroup_folders(name: str) -> list[Path]:
    """The folders `name` at the top of each cgroup hierarchy."""
    lines = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    points = [Path(words[1]) for words in lines if words[2] in ("cgroup", "cgroup2")]
    return [point / name for point in points if (point / name).is_dir()]


class Docker(Peer):
    """dockerd with its own data and state folders and its own containerd."""

    name = "docker"

    def __init__(self) -> None:
        super().__init__()
        self.socket = self.folder / "docker.sock"
        self._cgroups_before = cgroup_folders("docker")
        self._log = open(self.folder / "log", "wb")  # noqa: SIM115 - closed in close()
        daemon = [
            *("dockerd", "--host", f"unix://{self.socket}"),
            *("--data-root", self.folder / "data", "--exec-root", self.folder / "run"),
            *("--pidfile", self.folder / "pid", "--storage-driver", "overlay2"),
        ]
        # unshare(1): links, routes and iptables of dockerd live and die with this namespace.
        script = 'ip link set lo up; exec "$@"'
        self._child = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", script, "sh", *[str(word) for word in daemon]],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        try:
            wait_until(self._is_up, "dockerd", timeout=60, every=0.1)
            tar = self.folder / "busybox.tar.gz"
            shutil.copy(busybox().layers[0], tar)
            command([*self.cli(), "import", "--change", 'CMD ["sh"]', tar, IMAGE])
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The daemon's process, which is in its network namespace."""
        return self._child.pid

    def cli(self) -> list[str]:
        return ["docker", "-H", f"unix://{self.socket}"]

    def _is_up(self) -> bool:
        if self._child.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text()[-3000:])
        argv = [*self.cli(), "version"]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def run(self, network: str) -> list[str]:
        return [*self.cli(), "run", "--rm", "--network", network, IMAGE, "true"]

    def close(self) -> None:
        self.remove_containers()
        self._child.terminate()
        self._child.wait(timeout=60)
        self._log.close()
        for folder in cgroup_folders("docker"):
            if folder not in self._cgroups_before:
                folder.rmdir()
        super().close()


class Podman(Peer):
    """podman with its own storage, in a network namespace held by a sleeping process."""

    name = "podman"

    def __init__(self) -> None:
        super().__init__()
        holder = "ip link set lo up; echo up; exec sleep infinity"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", holder],
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
            start_new_session=True,  # a ^C is ours to hear
        )
        assert self._holder.stdout is not None
        self._holder.stdout.readline()
        try:
            command([*self.cli(), "import", busybox().layers[0], IMAGE])
            command(self.run("none"))
        except BaseException:
            self.close()
            raise

    def cli(self) -> list[str]:
        folders = ["--root", self.folder / "data", "--runroot", self.folder / "run"]
        return [
            *("nsenter", "--target", str(self._holder.pid), "--net", "podman"),
            *map(str, folders),
            *("--tmpdir", str(self.folder / "tmp"), "--cgroup-manager", "cgroupfs"),
            *("--runtime", "runc", "--network-config-dir", str(self.folder / "net")),
        ]

    def network(self, kind: str) -> str:
        return "podman" if kind == "bridge" else kind

    def run_flags(self) -> list[str]:
        # Its defaults are above what a host without CAP_SYS_RESOURCE can set.
        limits = []
        for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
            hard = min(resource.getrlimit(number)[1], 16384)
            limits += ["--ulimit", f"{name}={hard}:{hard}"]
        return limits

    def run(self, network: str) -> list[str]:
        flags = [*self.run_flags(), "--network", self.network(network)]
        return [*self.cli(), "run", "--rm", *flags, IMAGE, "true"]

    def close(self) -> None:
        self.remove_containers()
        self._holder.kill()
        self._holder.wait()
        super().close()


class Bare(Peer):
    """An OCI runtime with nothing around it: the floor under every engine on this host."""

    def __init__(self, runtime: str) -> None:
        super().__init__()
        self.name = runtime
        rootfs = self.folder / "bundle/rootfs"
        rootfs.mkdir(parents=True)
        command(["tar", "-xzf", busybox().layers[0], "-C", rootfs])
        command([runtime, "spec", "--bundle", self.folder / "bundle"])
        path = self.folder / "bundle/config.json"
        spec = json.loads(path.read_text())
        spec["process"] |= {"args": ["true"], "terminal": False, "rlimits": []}
        path.write_text(json.dumps(spec))
        try:
            command(self.run("none"))
        except BaseException:
            self.close()
            raise

    def run(self, network: str) -> list[str]:
        state, bundle = str(self.folder / "state"), str(self.folder / "bundle")
        argv = [self.name, "--root", state, "run", "--bundle", bundle, f"bb-{os.getpid()}"]
        layout = kernel.cgroup_layout()
        if self.name == "crun" and layout.kind == "hybrid" and layout.unified:
            # docs/decisions/0002: this crun refuses a hybrid layout that it can see.
            hidden = 'umount -l /sys/fs/cgroup/unified; exec "$@"'
            argv = ["unshare", "-m", "--propagation", "slave", "sh", "-c", hidden, "sh", *argv]
        return argv
