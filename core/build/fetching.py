"""What comes from elsewhere: files by http(s), repositories by git."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import hashlib
import http.client
import os
import posixpath
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

from ...host.errors import BayError, InvalidError, NoSpaceError
from ..registry.cancel import Cancel
from ..registry.crew import Crew
from . import copying
from .below import Below
from .copying import CopyFlags, Destination, Item
from .gitclone import Git
from .job import Job
from .tree import Found, Tree

_BLOCK = 1 << 20
_TIMEOUT = 60
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")


def is_remote(source: str) -> bool:
    """Whether a source of ADD is a URL or a repository."""
    return copying.is_url(source) or copying.is_git(source)


async def fetch(
    job: Job, source: str, flags: CopyFlags, where: Destination, below: Below, many: bool
) -> list[Item]:
    """Bring a remote source of ADD into the job's folder. Raises InvalidError, BayError."""
    folder = job.new_folder("add")
    if copying.is_git(source):
        git = Git.of(job.request, keep=flags.keep_git)
        place = await git.clone(source, folder / "tree", flags.checksum)
        tree = Tree(place, source)
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
            if answer.length:  # of the length that was told; a connection that ends is no error
                raise BayError(f"cannot download {url}: the connection ended too early")
            stamp = answer.headers.get("Last-Modified")
            kind = str(answer.headers.get("Content-Type") or "")
    except urllib.error.HTTPError as error:
        raise BayError(
            f"cannot download {url}: the server answered {error.code} {error.reason}"
        ) from error
    except (urllib.error.URLError, TimeoutError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        reason = getattr(reason, "strerror", None) or reason  # without the error's number
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


async def chunks_of(path: Path) -> AsyncIterator[bytes]:
    """A file in pieces."""
    with open(path, "rb") as file:
        while data := await asyncio.to_thread(file.read, _BLOCK):
            yield data
