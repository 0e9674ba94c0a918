"""The mounts of one RUN: made ready on the host before it, taken away after it."""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ...host import files
from ...host.errors import InvalidError, NotFoundError
from ...host.threads import complete, offload
from ..types import Json
from .copying import CopyFlags, Item, manifest
from .heredocs import Heredoc
from .job import Job
from .runflags import Mount
from .state import digest
from .tree import Tree

# How a mount's `from` is opened: the tree of a stage, an image or the context.
Opener = Callable[[str], Awaitable[Tree]]


@dataclass
class Prepared:
    """A RUN's mounts. `key` is what of them its result depends on: not what is in caches and
    secrets. `environment` are secrets that are variables.
    """

    job: Job
    mounts: Sequence[Mount]
    scripts: Sequence[Heredoc] = ()
    key: list[object] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    trees: dict[int, Tree] = field(default_factory=dict)

    @classmethod
    async def of(
        cls, job: Job, mounts: Sequence[Mount], scripts: Sequence[Heredoc], opener: Opener
    ) -> Prepared:
        """Check all, and look at what is bound. Raises InvalidError, NotFoundError."""
        self = cls(job, mounts, scripts)
        for number, mount in enumerate(mounts):
            entry: list[object] = [mount.kind, mount.target, mount.id, mount.env, mount.read_only]
            if mount.kind == "bind":
                tree = await opener(mount.origin)
                self.trees[number] = tree
                entry.append(await job.work(_content, tree, mount.source))
            elif mount.kind == "cache" and mount.origin:
                self.trees[number] = await opener(mount.origin)
            elif mount.kind == "secret":
                self._check_secret(mount)
            elif (
                mount.kind == "ssh"
                and mount.required
                and (mount.id or "default") not in (job.request.ssh)
            ):
                raise InvalidError(f"ssh agent {mount.id or 'default'!r} was not given: use --ssh")
            self.key.append(entry)
        self.key += [[one.name, one.content] for one in scripts]
        return self

    def _check_secret(self, mount: Mount) -> None:
        if mount.id not in self.job.request.secrets:
            if mount.required:
                raise InvalidError(
                    f"secret {mount.id}: not found: give it with --secret id={mount.id},src=FILE"
                )
            return
        if mount.env:
            value = self.job.request.secrets[mount.id]
            self.environment[mount.env] = value.decode(errors="surrogateescape")

    async def enter(self, undo: AsyncExitStack) -> list[Json]:
        """Make all ready; Docker's Mounts. `undo` gets what takes them away."""
        result: list[Json] = []
        for number, mount in enumerate(self.mounts):
            if mount.kind == "bind":
                result.append(await self._bind(number, mount, undo))
            elif mount.kind == "cache":
                result.append(await self._cache(number, mount, undo))
            elif mount.kind == "tmpfs":
                options = {"SizeBytes": mount.size} if mount.size else {}
                result.append(
                    {"Type": "tmpfs", "Target": mount.target, "TmpfsOptions": options or None}
                )
            elif mount.kind == "secret":
                result += await self._secret(mount, undo)
            else:
                result += self._ssh(mount)
        for one in self.scripts:
            path = await self._file(one.content.encode(), 0o755, 0, 0, undo)
            result.append(_bound(path, f"/dev/pipes/{one.name}", True))
        return result

    async def _bind(self, number: int, mount: Mount, undo: AsyncExitStack) -> Json:
        tree = self.trees[number]
        found = tree.find(mount.source or "/")[0]
        path = tree.root / found.place
        if not tree.is_plain or not mount.read_only:
            # Only a copy shows what is not ignored, and takes writes that are to be forgotten.
            path = await self.job.work(_copied, tree, found.place, self.job.new_folder("bind"))
            undo.push_async_callback(offload, self.job.context.store.trash.put, path.parent)
        return _bound(path, mount.target, mount.read_only)

    async def _cache(self, number: int, mount: Mount, undo: AsyncExitStack) -> Json:
        cache, name = self.job.context.store.build_cache, mount.id or mount.target
        key = digest(["mount", name, mount.origin, mount.source, mount.uid, mount.gid])[:32]
        locks = self.job.locks
        key = await undo.enter_async_context(locks.use(key, mount.sharing))
        folder, fresh = await complete(cache.mount, key, name)
        if fresh:
            if number in self.trees:
                tree = self.trees[number]
                await self.job.work(_fill, tree, mount.source, folder)
            os.chown(folder, mount.uid, mount.gid)
            os.chmod(folder, mount.mode if mount.mode >= 0 else 0o755)
        return _bound(folder, mount.target, mount.read_only)

    async def _secret(self, mount: Mount, undo: AsyncExitStack) -> list[Json]:
        data = self.job.request.secrets.get(mount.id)
        if data is None or not mount.target:
            return []
        mode = mount.mode if mount.mode >= 0 else 0o400
        path = await self._file(data, mode, mount.uid, mount.gid, undo)
        return [_bound(path, mount.target, True)]

    def _ssh(self, mount: Mount) -> list[Json]:
        path = self.job.request.ssh.get(mount.id or "default")
        if path is None:
            return []
        if not os.path.exists(path):
            raise NotFoundError(f"the ssh agent's socket {path} is not there")
        target = mount.target or "/run/buildkit/ssh_agent.0"
        self.environment["SSH_AUTH_SOCK"] = target
        # Writable: who connects to a socket writes to it.
        return [_bound(Path(path), target, False)]

    async def _file(self, data: bytes, mode: int, uid: int, gid: int, undo: AsyncExitStack) -> Path:
        """A file of the run root, which a reboot takes away at the latest."""
        folder = self.job.context.options.run_root / "build" / self.job.id
        path = folder / os.urandom(8).hex()

        def make() -> None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(data)
                os.fchown(fd, uid, gid)
                os.fchmod(fd, mode)

        undo.push_async_callback(offload, files.unlink, path)
        await complete(make)
        return path


def _bound(source: Path, target: str, read_only: bool) -> Json:
    return {"Type": "bind", "Source": str(source), "Target": target, "ReadOnly": read_only}


def _content(tree: Tree, source: str) -> str:
    """A digest of what a bind mount shows."""
    found = tree.find(source or "/")
    items = [Item(b"", tree, one, list(tree.walk(one.place))) for one in found]
    return digest(manifest(items, CopyFlags()))


def _fill(tree: Tree, source: str, folder: Path) -> None:
    found = tree.find(source or "/")[0]
    _copy(tree, found.place, folder)


def _copied(tree: Tree, place: str, folder: Path) -> Path:
    """A copy of what is at `place`, in `folder`."""
    return _copy(tree, place, folder / "copy")


def _copy(tree: Tree, place: str, target: Path) -> Path:
    for node in tree.walk(place):
        path = target / os.fsdecode(node.path) if node.path else target
        mode = node.stat.st_mode
        if stat.S_ISDIR(mode):
            path.mkdir(mode=0o700, exist_ok=True)
        elif stat.S_ISLNK(mode):
            path.symlink_to(os.fsdecode(node.link))
        elif stat.S_ISREG(mode):
            fd = tree.open(node)
            with open(fd, "rb") as source, open(path, "wb") as out:
                while data := source.read(1 << 20):
                    out.write(data)
        else:
            continue
        os.chown(path, node.stat.st_uid, node.stat.st_gid, follow_symlinks=False)
        if not stat.S_ISLNK(mode):
            os.chmod(path, stat.S_IMODE(mode))
    return target
