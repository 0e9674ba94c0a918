"""The context of a build: sent as a tar, a folder of this host, a URL, or a repository."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

from ...host.errors import InvalidError, NotFoundError
from ...host.ignore import Ignore
from ...host.inroot import below_root, open_inside, read_inside
from ...host.threads import offload_long
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
_LARGE = 64 << 10
# Where a client that cannot be seen into sends the folders of named contexts.
_SENT = ".bayplan-contexts"
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
        text = await _remote(request.remote, root, folder / "download")
    else:
        root.mkdir(mode=0o755)
        await _unpack(body, root)
        if any(one.sent for one in request.contexts.values()):
            # They are none of the main context's files.
            with contextlib.suppress(FileNotFoundError):
                os.rename(root / _SENT, folder / "sent")
    name = request.dockerfile or "Dockerfile"
    if text is None:
        text, name = _read(root, name, request.shown)
    # A thread's turn costs as much as reading a file of the usual size.
    is_large = len(text) > _LARGE
    shown = request.shown or name
    file = await offload_long(parse, text, shown) if is_large else parse(text, shown)
    ignore = _ignore(root, name)
    return Tree(root, "build context", ignore, sums=sums), file


def _git(address: str) -> str:
    """A repository's address in full: `github.com/x/y` is one too."""
    if address.startswith(("github.com/", "gitlab.com/")):
        url, mark, rest = address.partition("#")
        return f"https://{url.removesuffix('.git')}.git{mark}{rest}"
    return address


async def named(request: Request, key: str, folder: Path) -> Tree:
    """The files of a named context, brought into `folder` if they are not on this host.

    Raises InvalidError, BayError.
    """
    one = request.contexts[key]
    if one.folder is not None:
        root = one.folder
    elif one.sent:
        root = folder.parent / "sent" / one.sent
        if not _is_folder(root.parent) or not _is_folder(root):
            raise InvalidError(f"build context {key}: its files were not sent")
    elif copying.is_git(_git(one.remote)):
        root = await Git.of(request).clone(_git(one.remote), folder / "context")
    else:
        root = folder / "context"
        if await _remote(one.remote, root, folder / "download") is not None:
            raise InvalidError(f"build context {key}: {one.remote} is no archive")
    return Tree(root, f"build context {key}", _ignore(root, ""))


def _is_folder(path: Path) -> bool:
    """Whether it is one itself: a link in what was sent would lead out of it."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


async def _remote(address: str, root: Path, path: Path) -> str | None:
    """A URL: a Dockerfile's text, or an archive that is the context. Downloaded to `path`."""
    if not copying.is_url(address):
        raise InvalidError(
            f"unable to prepare context: {address} is neither http(s) nor a git repository"
        )
    root.mkdir(mode=0o755)
    kind = await fetching.download(address, path)
    with open(path, "rb") as file:
        head = file.read(512)
    is_tar = head[257:262] == b"ustar" or kind.startswith(
        ("application/x-tar", "application/gzip", "application/x-gzip", "application/x-bzip2",
         "application/x-xz", "application/zstd")
    )  # fmt: skip
    if not is_tar and b"\0" not in head and not head.startswith((b"BZh",)):
        if path.stat().st_size > _MOST:
            raise InvalidError(f"{address} is over {_MOST >> 20} MiB: too large for a Dockerfile")
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


def _read(root: Path, name: str, shown: str) -> tuple[str, str]:
    """The Dockerfile's text and the name it was found by."""
    clean = below_root(name)
    names = [clean, "dockerfile"] if clean == "Dockerfile" else [clean]
    for one in names:
        data = read_inside(root, one, _MOST)
        if data is not None:
            try:
                return data.decode("utf-8-sig"), one
            except UnicodeDecodeError as error:
                raise InvalidError(f"{shown or one} is not UTF-8 text: {error.reason}") from None
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
    own = f"{below_root(name)}.dockerignore" if name else ""
    for path in filter(None, (own, ".dockerignore")):
        data = read_inside(root, path, _MOST)
        if data is not None:
            return Ignore(data.decode("utf-8-sig", "replace").splitlines())
    return Ignore()
