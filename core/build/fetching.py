"""What comes from elsewhere: files by http(s), repositories by git."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import hashlib
import os
import posixpath
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from ...host.errors import BayError, InvalidError, NoSpaceError
from ..registry.cancel import Cancel
from ..registry.crew import Crew
from . import copying
from .below import Below
from .copying import CopyFlags, Destination, Item
from .job import Job
from .tree import Found, Tree

_BLOCK = 1 << 20
_TIMEOUT = 60
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# git asks nobody, and no configuration or hook of this host takes part.
_GIT_ENV = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "GIT_ALLOW_PROTOCOL": "http:https:ssh:git:file",
}


def is_remote(source: str) -> bool:
    """Whether a source of ADD is a URL or a repository."""
    return copying.is_url(source) or copying.is_git(source)


async def fetch(
    job: Job, source: str, flags: CopyFlags, where: Destination, below: Below, many: bool
) -> list[Item]:
    """Bring a remote source of ADD into the job's folder. Raises InvalidError, BayError."""
    folder = job.new_folder("add")
    if copying.is_git(source):
        await clone(source, folder / "tree", keep_git=flags.keep_git, checksum=flags.checksum)
        tree = Tree(folder / "tree", source)
        nodes = await job.work(lambda: list(tree.walk("")))
        return [Item(where.real, tree, Found("", "", True), nodes, is_folder=True)]
    if many and not where.is_folder:
        raise InvalidError(f"the destination must be a directory and end with a /: {where.path}")
    name = posixpath.basename(urllib.parse.urlsplit(source).path)
    if where.is_folder and not name:
        raise InvalidError(f"cannot determine filename for source {source}")
    await download(source, folder / "file", flags.checksum)
    tree = Tree(folder, source)
    target = where.inside(below, name) if where.is_folder else where.real
    nodes = list(tree.walk("file"))
    return [Item(target, tree, Found("file", name, False), nodes)]


async def download(url: str, path: Path, checksum: str = "") -> str:
    """Bring a URL's content to `path`, mode 0600, with the server's time; its media type.

    Raises InvalidError for a wrong checksum, BayError with the reason when it cannot be had.
    """
    if checksum and not _CHECKSUM.fullmatch(checksum):
        raise InvalidError(f"invalid checksum {checksum!r}: give sha256:<64 hex digits>")
    async with Crew(1) as crew:
        return await crew.run(_download, url, path, checksum, crew.cancel)


def _download(url: str, path: Path, checksum: str, cancel: Cancel) -> str:
    request = urllib.request.Request(url, headers={"User-Agent": "bayplan"})
    found = hashlib.sha256()
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer, open(path, "xb") as out:
            os.fchmod(out.fileno(), 0o600)
            while data := answer.read(_BLOCK):
                cancel.check()
                found.update(data)
                out.write(data)
            stamp = answer.headers.get("Last-Modified")
            kind = str(answer.headers.get("Content-Type") or "")
    except urllib.error.HTTPError as error:
        raise BayError(
            f"cannot download {url}: the server answered {error.code} {error.reason}"
        ) from error
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise BayError(f"cannot download {url}: {reason}") from error
    except OSError as error:
        if error.errno == 28:
            raise NoSpaceError(f"cannot download {url}: no space left on the disk") from error
        raise BayError(f"cannot download {url}: {error.strerror or error}") from error
    if checksum and checksum != f"sha256:{found.hexdigest()}":
        raise InvalidError(
            f"digest mismatch for {url}: got sha256:{found.hexdigest()}, wanted {checksum}"
        )
    # Without a time of the server's, a fixed one: the same content is the same layer.
    moment = 0.0
    if stamp:
        with contextlib.suppress(TypeError, ValueError):
            moment = email.utils.parsedate_to_datetime(stamp).timestamp()
    os.utime(path, (moment, moment))
    return kind


@dataclass(frozen=True)
class Repository:
    """`https://host/x.git#ref:folder`, taken apart; empty for what is not said."""

    url: str
    ref: str
    folder: str

    @classmethod
    def parse(cls, text: str) -> Repository:
        """Read a repository's address as Docker has it."""
        url, _, fragment = text.partition("#")
        ref, _, folder = fragment.partition(":")
        if re.match(r"(github|gitlab)\.com/", url):
            url = f"https://{url}"
        if url.startswith("-") or ref.startswith("-"):
            raise InvalidError(f"invalid git repository: {text}")
        return cls(url, ref, folder)


async def clone(address: str, target: Path, *, keep_git: bool = False, checksum: str = "") -> Path:
    """Check a repository out at `target`; the folder it names in it.

    Raises InvalidError, BayError with git's own words.
    """
    repository = Repository.parse(address)
    target.mkdir(mode=0o755)
    await _git(target, "init", "-q")
    await _git(target, "remote", "add", "origin", repository.url)
    wanted = repository.ref or "HEAD"
    try:
        await _git(target, "fetch", "-q", "--depth=1", "origin", wanted)
        commit = "FETCH_HEAD"
    except BayError:
        # Not every server gives a commit by its number: then all is fetched.
        if not _COMMIT.fullmatch(wanted):
            raise
        await _git(target, "fetch", "-q", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
        commit = wanted
    await _git(target, "checkout", "-q", "--detach", commit)
    head = (await _git(target, "rev-parse", "HEAD")).strip()
    if checksum and not head.startswith(checksum.removeprefix("sha1:")):
        raise InvalidError(f"expected checksum to match {checksum}, got {head}")
    if (target / ".gitmodules").exists():
        await _git(target, "submodule", "update", "-q", "--init", "--recursive", "--depth=1")
    if not keep_git:
        from ...host import files

        await asyncio.to_thread(files.remove_tree, target / ".git")
    place = Path(os.path.normpath(target / repository.folder.lstrip("/")))
    real = Path(os.path.realpath(place))
    if target not in (real, *real.parents) or not real.is_dir():
        raise InvalidError(f"{repository.folder} is no folder of {repository.url}")
    return real


async def _git(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, **_GIT_ENV}
    try:
        running = await asyncio.create_subprocess_exec(
            "git", "-c", "core.hooksPath=/dev/null", *arguments, cwd=folder, env=environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    except FileNotFoundError:
        raise BayError("git is not installed on the engine's host: apt-get install git") from None
    try:
        out, err = await running.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, 9)
        await running.wait()
        raise
    if running.returncode:
        words = err.decode(errors="replace").strip().splitlines()
        reason = words[-1] if words else f"it ended with {running.returncode}"
        raise BayError(f"git {arguments[0]} failed: {reason}")
    return out.decode(errors="replace")


async def chunks_of(path: Path) -> AsyncIterator[bytes]:
    """A file in pieces."""
    with open(path, "rb") as file:
        while data := await asyncio.to_thread(file.read, _BLOCK):
            yield data
