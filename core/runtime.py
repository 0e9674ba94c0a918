"""The OCI runtime: crun or runc, whichever works on this host, and its verbs.

Creating and executing go through conmon (see conmon.py), which keeps the process; the other verbs
are here. The runtime's own state is below `run_root/runtime`, so engines do not meet.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..host import cgroups, process
from ..host.errors import BayError, NotFoundError
from ..host.pinned import Pinned
from ..host.threads import complete, offload
from .types import Json

_log = logging.getLogger(__name__)

_NAMES = ("crun", "runc")
# crun before 1.9 refuses a hybrid host whose v2 hierarchy has a controller. Its create then runs
# in a mount namespace of its own without that hierarchy; the namespace ends with the create. A
# slave, so that nothing of it reaches the host. Its other verbs need none of this.
_HIDE_UNIFIED = 'umount -l "$1"; shift; exec "$@"'
_FILTER = "run.oci.seccomp_bpf_data"
_MOST_FILTERS = 64


@dataclass(frozen=True)
class Runtime:
    """One OCI runtime that works here. `wrapper`: its create is wrapped for a hybrid host."""

    name: str
    path: str
    version: str
    conmon: str
    state_root: Path
    wrapper: bool = False
    cgroup_parent: str = "bay"
    wrapper_args: tuple[str, ...] = ()
    # Compiled seccomp filters by their profile. Only in memory: a new crun or libseccomp may
    # compile another one.
    filters: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    pinned: Pinned | None = None

    @property
    def program(self) -> str:
        """What to run: `path`, or a mount of it, see `pin`."""
        return self.pinned.path if self.pinned is not None else self.path

    def pin(self, run_root: Path) -> Runtime:
        """This runtime, called by a read-only mount of it below `run_root` until `close`; blocks.

        Only crun: runc wants a mark in its environment, too, which conmon would have to pass on.
        """
        if self.name != "crun":
            return self
        pinned = Pinned(self.path, run_root / "crun")
        pinned.open()
        return dataclasses.replace(self, pinned=pinned)

    @classmethod
    async def probe(cls, prefer: str | None, run_root: Path, cgroup_parent: str = "bay") -> Runtime:
        """The runtime to use: `prefer` (a name or a path) if given, else crun, else runc.

        Nothing is run but `--version`. Raises BayError when none works, or not the preferred one.
        """
        conmon = find("conmon")
        if conmon is None:
            raise BayError("conmon is not installed, and containers need it: install conmon")
        reasons = []
        for wanted in [prefer] if prefer else _NAMES:
            path = find(wanted)
            if path is None:
                reasons.append(f"{wanted} is not installed")
                continue
            done = await process.run_async([path, "--version"])
            first = done.stdout.partition("\n")[0]
            if done.code or " version " not in first:
                reasons.append(f"{path} does not run: {done.stderr.strip() or done.code}")
                continue
            name = first.split()[0]
            wrapper = _wrapper(name)
            if wrapper is None:
                reasons.append("crun cannot run with hybrid cgroups here: no unshare and umount")
                continue
            return cls(
                name=name,
                path=path,
                version=first.partition(" version ")[2],
                conmon=conmon,
                state_root=run_root / "runtime",
                wrapper=bool(wrapper),
                cgroup_parent=cgroup_parent,
                wrapper_args=wrapper,
            )
        raise BayError(f"no OCI runtime works on this host: {'; '.join(reasons)}")

    def conmon_args(self, log: Path, *, create: bool) -> list[str]:
        """conmon's arguments that name this runtime and where it logs to."""
        command = [*(self.wrapper_args if create else ()), self.program]
        own = [f"--root={self.state_root}", "--log-format=json", f"--log={log}"]
        result = ["-r", command[0]]
        for arg in [*command[1:], *own]:
            result += ["--runtime-arg", arg]
        return result

    def exec_argv(self, container_id: str, spec: str, pid_file: str, log: str) -> list[str]:
        """The command that runs another process in a container and waits for its end.

        `spec` is the path of its OCI `process`; to `pid_file` its pid is written.
        """
        own = [f"--root={self.state_root}", "--log-format=json", f"--log={log}"]
        return [self.program, *own, "exec", "--pid-file", pid_file, "--process", spec, container_id]

    async def start(self, container_id: str, first: Callable[[], None] | None = None) -> None:
        """Let the created process of a container go. Raises BayError with the runtime's words.

        `first` is called before, in the thread that does it, and what it raises is raised.
        """
        await self._verb("start", container_id, first=first)

    async def pause(self, container_id: str) -> None:
        """Freeze all processes of a container."""
        await self._verb("pause", container_id)

    async def resume(self, container_id: str) -> None:
        """Thaw them."""
        await self._verb("resume", container_id)

    async def status(self, container_id: str) -> str | None:
        """created, running, paused or stopped as the runtime sees it; None when it knows none.

        Of the OCI runtime specification's `state`. Costs a process: not for `ps`.
        """
        if not (self.state_root / container_id).exists():
            return None
        argv = [self.program, f"--root={self.state_root}", "state", container_id]
        done = await process.run_async(argv)
        if done.code != 0:
            return None
        return str(json.loads(done.stdout)["status"])

    async def update(self, container_id: str, resources: Json) -> None:
        """Set the OCI `resources` (see resources.py) of a container that has a process.

        A pids limit of -1 lifts it.
        """
        if resources.get("pids", {}).get("limit") == -1:
            # crun 1.8.1 writes the -1, which the kernel refuses.
            await offload(cgroups.write, self.cgroup(container_id), "pids", "pids.max", "max")
            resources = {key: value for key, value in resources.items() if key != "pids"}
        text = json.dumps(resources).encode()
        await self._verb("update", "--resources", "/proc/self/fd/0", container_id, stdin=text)

    async def delete(
        self, container_id: str, force: bool = False, cgroup: str | None = None
    ) -> None:
        """Take away what the runtime keeps of a container, and its cgroups; fine if it is gone.

        `force` kills what is left of its processes in `cgroup`, by default the container's own.
        Raises BayError otherwise while it runs.
        """
        await complete(self._delete, container_id, force, cgroup or self.cgroup(container_id))

    def _delete(self, container_id: str, force: bool, cgroup: str) -> None:
        if force:
            cgroups.kill(cgroup)
        if (self.state_root / container_id).exists():
            flags = ["--force"] if force else []
            argv = [self.program, f"--root={self.state_root}", "delete", *flags, container_id]
            self._check(process.run(argv), "delete", container_id)
        # crun 1.8.1 leaves cgroups behind when a create failed half-way.
        cgroups.remove(cgroup)

    def cgroup(self, container_id: str) -> str:
        """A container's cgroup below every hierarchy."""
        return f"{self.cgroup_parent}/{container_id}"

    def known(self) -> list[str]:
        """The ids the runtime has state of."""
        try:
            return sorted(os.listdir(self.state_root))
        except FileNotFoundError:
            return []

    async def close(self) -> None:
        """Remove the parent cgroup where it is empty, and the mount of `pin`."""
        if self.pinned is not None:
            try:
                await offload(self.pinned.close)
            except OSError as error:
                _log.warning("the runtime's mount stays for the next start: %s", error)
        await offload(cgroups.remove_empty, self.cgroup_parent)

    def with_filter(self, spec: Json) -> Json:
        """`spec` with the compiled seccomp filter of an earlier create, when there is one.

        crun compiles the profile anew in each create, which is a third of its time. The profile
        itself stays in the configuration: execs are filtered by it.
        """
        compiled = self.filters.get(_filter_key(spec))
        if compiled is None:
            return spec
        return {**spec, "annotations": {**spec.get("annotations", {}), _FILTER: compiled}}

    def keep_filter(self, container_id: str, spec: Json) -> None:
        """Keep the filter crun compiled for a container that has just been created."""
        key = _filter_key(spec)
        if self.name != "crun" or not key or key in self.filters:
            return
        try:
            compiled = (self.state_root / container_id / "seccomp.bpf").read_bytes()
        except FileNotFoundError:
            return
        if len(self.filters) >= _MOST_FILTERS:
            self.filters.clear()
        self.filters[key] = base64.b64encode(compiled).decode()

    async def _verb(
        self,
        verb: str,
        *args: str,
        stdin: bytes | None = None,
        first: Callable[[], None] | None = None,
    ) -> None:
        argv = [self.program, f"--root={self.state_root}", verb, *args]
        done = await process.run_async(argv, stdin=stdin, first=first)
        self._check(done, verb, args[-1])

    def _check(self, done: process.Finished, verb: str, container_id: str) -> None:
        if done.code == 0:
            return
        message = last_error(done.stderr) or f"{self.name} {verb} ended with {done.code}"
        if "does not exist" in message or "No such file or directory: `" in message:
            raise NotFoundError(f"{self.name} {verb} {container_id}: {message}")
        raise BayError(f"{self.name} {verb} {container_id}: {message}")


def find(name: str) -> str | None:
    """The path of a program; a PATH without sbin (as cron and su give) is no hindrance."""
    return shutil.which(name, path=process.PATH if "/" not in name else None)


def _filter_key(spec: Json) -> str:
    profile = spec["linux"].get("seccomp")
    return hashlib.sha256(json.dumps(profile).encode()).hexdigest() if profile else ""


def _wrapper(name: str) -> tuple[str, ...] | None:
    """What goes before the runtime at create; None when it would be needed and cannot be had."""
    unified = cgroups.layout().unified
    if name != "crun" or not cgroups.layout().hybrid or unified is None:
        return ()
    if not (unified / "cgroup.controllers").read_text().strip():
        return ()
    unshare, umount = find("unshare"), find("umount")
    if unshare is None or umount is None:
        return None
    own = ("-m", "--propagation", "slave", "sh", "-c", _HIDE_UNIFIED, "sh", str(unified))
    return (unshare, *own)


def last_error(text: str) -> str:
    """The message in what a runtime wrote: JSON or logfmt lines, or plain text."""
    found = ""
    for line in text.splitlines():
        found = _message(line.strip()) or found
    return found


def _message(line: str) -> str:
    if line.startswith("{"):
        try:
            entry = json.loads(line)
        except ValueError:
            return line
        return str(entry.get("msg", "")) if entry.get("level") in ("error", "fatal") else ""
    if line.startswith("time="):
        return _logfmt(line)
    return line


def _logfmt(line: str) -> str:
    """runc's `time=… level=error msg="…"`; only errors."""
    if "level=error" not in line and "level=fatal" not in line:
        return ""
    quoted = line.partition("msg=")[2]
    try:
        return str(json.loads(quoted)) if quoted.startswith('"') else quoted
    except ValueError:
        return quoted
