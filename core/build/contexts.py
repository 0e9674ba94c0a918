"""The context of a build: sent as a tar, a folder of this host, a URL, or a repository."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import AsyncIterator
from pathlib import Path

from ...host.errors import InvalidError, NotFoundError
from ...host.ignore import Ignore
from ...host.inroot import open_inside, read_inside
from ...storage.applier import Applier
from ...storage.inflate import Source, inflate
from ...storage.tarstream import TarStream
from ..bridge import Inflow
from ..registry.cancel import Cancel
from ..registry.crew import Crew
from . import copying, fetching
from .gitclone import Git
from .parser import Dockerfile, parse
from .request import Request
from .tree import Sums, Tree

_MOST = 16 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


async def receive(
    request: Request, body: AsyncIterator[bytes], folder: Path, sums: Sums
) -> tuple[Tree, Dockerfile]:
    """Bring the context here and read the Dockerfile in it. Raises InvalidError, NotFoundError."""
    text = request.text
    root = folder / "context"
    if request.local is not None:
        root = request.local
    elif request.remote and copying.is_git(_git(request.remote)):
        keep = request.build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR") in ("1", "true")
        root = await Git.of(request, keep=keep).clone(_git(request.remote), root)
    elif request.remote:
        text = await _remote(request, root, folder)
    else:
        root.mkdir(mode=0o755)
        await _unpack(body, root)
    name = request.dockerfile or "Dockerfile"
    if text is None:
        text, name = _read(root, name)
    file = parse(text, name)
    ignore = _ignore(root, name)
    return Tree(root, "build context", ignore, sums=sums), file


def _git(address: str) -> str:
    """A repository's address in full: `github.com/x/y` is one too."""
    if address.startswith(("github.com/", "gitlab.com/")):
        url, mark, rest = address.partition("#")
        return f"https://{url.removesuffix('.git')}.git{mark}{rest}"
    return address


async def _remote(request: Request, root: Path, folder: Path) -> str | None:
    """A URL: a Dockerfile's text, or an archive that is the context."""
    if not copying.is_url(request.remote):
        raise InvalidError(
            f"unable to prepare context: {request.remote} is neither http(s) nor a git repository"
        )
    root.mkdir(mode=0o755)
    path = folder / "download"
    kind = await fetching.download(request.remote, path)
    with open(path, "rb") as file:
        head = file.read(512)
    is_tar = head[257:262] == b"ustar" or kind.startswith(
        ("application/x-tar", "application/gzip", "application/x-gzip", "application/x-bzip2",
         "application/x-xz", "application/zstd")
    )  # fmt: skip
    if not is_tar and b"\0" not in head and not head.startswith((b"BZh",)):
        return path.read_text(errors="replace")
    await _unpack(fetching.chunks_of(path), root)
    return None


async def _unpack(body: AsyncIterator[bytes], root: Path) -> None:
    stream = Inflow(body)
    async with Crew(1) as crew:
        try:
            await crew.run(_apply, stream, root, crew.cancel)
        finally:
            stream.stop()


def _apply(stream: Inflow, root: Path, cancel: Cancel) -> None:
    source = Source(stream, lambda _: cancel.check())
    with Applier(root, whiteouts=False) as applier:
        applier.apply(TarStream(inflate(source)))
    for _ in iter(lambda: source.read(1 << 20), b""):
        pass


def _read(root: Path, name: str) -> tuple[str, str]:
    """The Dockerfile's text and the name it was found by."""
    clean = posixpath.normpath("/" + name)[1:]
    names = [clean, "dockerfile"] if clean == "Dockerfile" else [clean]
    for one in names:
        data = read_inside(root, one, _MOST)
        if data is not None:
            try:
                return data.decode("utf-8-sig"), one
            except UnicodeDecodeError as error:
                raise InvalidError(f"{one} is not UTF-8 text: {error.reason}") from None
    try:
        fd = open_inside(root, clean, os.O_PATH)
    except OSError:
        raise NotFoundError(
            f"Cannot locate specified Dockerfile: {name} is not in the build context"
        ) from None
    folder = stat.S_ISDIR(os.fstat(fd).st_mode)
    os.close(fd)
    raise InvalidError(f"{name} is {'a folder' if folder else 'no regular file'}: not a Dockerfile")


def _ignore(root: Path, name: str) -> Ignore:
    """The ignore file of this very Dockerfile, else the context's."""
    for path in (f"{posixpath.normpath('/' + name)[1:]}.dockerignore", ".dockerignore"):
        data = read_inside(root, path, _MOST)
        if data is not None:
            return Ignore(data.decode("utf-8-sig", "replace").splitlines())
    return Ignore()
