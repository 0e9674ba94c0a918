"""Repositories that a build takes files from: contexts, and sources of ADD."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ...host import files
from ...host.errors import BayError, InvalidError
from ...host.threads import offload_long
from .request import Request

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# git asks nobody, and no configuration or hook of this host takes part. `file` is no protocol
# here: a submodule could name any repository of the engine's host.
_ALWAYS = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ALLOW_PROTOCOL": "http:https:ssh:git",
}
_SSH = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
# What git says of a server that only serves files, or refuses to count.
_NOT_SHALLOW = ("dumb http", "shallow")
_TOKEN, _HEADER = "GIT_AUTH_TOKEN", "GIT_AUTH_HEADER"


@dataclass(frozen=True)
class Repository:
    """`https://host/x.git#ref:folder`, taken apart; empty for what is not said."""

    url: str
    ref: str
    folder: str

    @classmethod
    def parse(cls, text: str) -> Repository:
        """Read a repository's address as Docker has it. Raises InvalidError."""
        url, _, fragment = text.partition("#")
        ref, _, folder = fragment.partition(":")
        if re.match(r"(github|gitlab)\.com/", url):
            url = f"https://{url}"
        if url.startswith("-") or ref.startswith("-"):
            raise InvalidError(f"invalid git repository: {text}")
        return cls(url, ref, folder)


@dataclass(frozen=True)
class Git:
    """git for one build. `keep` leaves `.git` in what is checked out; `agent` is the socket of an
    ssh agent; `secrets` may hold BuildKit's GIT_AUTH_TOKEN or GIT_AUTH_HEADER, with a dot and a
    host after it for that host alone.
    """

    keep: bool = False
    agent: str = ""
    secrets: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, request: Request, *, keep: bool = False) -> Git:
        """What the client of a build has given for it."""
        return cls(keep, request.ssh.get("default", ""), request.secrets)

    async def clone(self, address: str, target: Path, checksum: str = "") -> Path:
        """Check a repository out at `target`, which is made; the folder that it names in it.

        Raises InvalidError, BayError with git's own words.
        """
        repository = Repository.parse(address)
        target.mkdir(mode=0o755)
        url = repository.url
        run = _Run(target, self._environment(url))
        await run("init", "-q")
        await run("remote", "add", "origin", url)
        await run("checkout", "-q", "--detach", await _fetch(run, repository.ref or "HEAD"))
        head = (await run("rev-parse", "HEAD")).strip()
        if checksum and not head.startswith(checksum.removeprefix("sha1:")):
            raise InvalidError(f"expected checksum to match {checksum}, got {head}")
        if (target / ".gitmodules").exists():
            update = ("submodule", "update", "-q", "--init", "--recursive")
            await _shallow(run, *update, depth_at=len(update))
        if not self.keep:
            await offload_long(files.remove_tree, target / ".git")
        place = Path(os.path.normpath(target / repository.folder.lstrip("/")))
        real = Path(os.path.realpath(place))
        if target not in (real, *real.parents) or not real.is_dir():
            raise InvalidError(f"{repository.folder} is no folder of {_without_password(url)}")
        return real

    def _environment(self, url: str) -> dict[str, str]:
        found = {**_SSH, **os.environ, **_ALWAYS}
        if self.agent:
            found["SSH_AUTH_SOCK"] = self.agent
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        header = self._header(host) or self._header(parts.hostname or "")
        if header and parts.scheme in ("http", "https"):
            # In the environment, not in the arguments: those every user of the host can see.
            found["GIT_CONFIG_COUNT"] = "1"
            found["GIT_CONFIG_KEY_0"] = f"http.{parts.scheme}://{host}/.extraheader"
            found["GIT_CONFIG_VALUE_0"] = f"Authorization: {header}"
        return found

    def _header(self, host: str) -> str:
        for name in (f"{_HEADER}.{host}", _HEADER):
            if name in self.secrets:
                return self.secrets[name].decode(errors="replace").strip()
        for name in (f"{_TOKEN}.{host}", _TOKEN):
            if name in self.secrets:
                word = b"x-access-token:" + self.secrets[name].strip()
                return f"basic {base64.b64encode(word).decode()}"
        return ""


def _without_password(url: str) -> str:
    return re.sub(r"(?<=//)([^/@:]*):[^/@]*@", r"\1:xxxxx@", url)


class _Run:
    """git in one folder: what it prints. Raises BayError with its last words."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    async def __call__(self, *arguments: str) -> str:
        try:
            running = await asyncio.create_subprocess_exec(
                "git", "-c", "core.hooksPath=/dev/null", *arguments, cwd=self._folder,
                env=self._environment, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError:
            raise BayError(
                "git is not installed on the engine's host: apt-get install git"
            ) from None
        try:
            out, err = await running.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, 9)
            await running.wait()
            raise
        if running.returncode:
            reason = _without_password(_reason(err, running.returncode))
            raise BayError(f"git {arguments[0]} failed: {reason}")
        return out.decode(errors="replace")


def _reason(said: bytes, code: int) -> str:
    """The line that tells why: the first fatal one, else the last."""
    lines = [line for line in said.decode(errors="replace").strip().splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    # ssh says what is wrong, and then git that something is.
    if len(lines) > 1 and lines[0] not in fatal and "read from remote" in (fatal or [""])[0]:
        return lines[0]
    return (fatal or lines or [f"it ended with {code}"])[0]


async def _shallow(run: _Run, *words: str, depth_at: int) -> None:
    """Run git with `--depth=1` among the words, and without for a server that cannot do that."""
    try:
        await run(*words[:depth_at], "--depth=1", *words[depth_at:])
    except BayError as error:
        if not any(word in error.message for word in _NOT_SHALLOW):
            raise
        await run(*words)


async def _fetch(run: _Run, wanted: str) -> str:
    """Have the commit that a branch, a tag or a number means; the name it goes by now."""
    try:
        await _shallow(run, "fetch", "-q", "origin", wanted, depth_at=2)
    except BayError:
        # Not every server gives a commit by its number: then all is fetched.
        if not _COMMIT.fullmatch(wanted):
            raise
        await run("fetch", "-q", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
        return wanted
    return "FETCH_HEAD"
