"""Builds: the context sent, each step followed, and the line of the Dockerfile that failed."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import tarfile
import uuid
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..host.errors import BayError, InvalidError
from ..host.ignore import Ignore
from .jobs import PIECE, Job
from .model import Json
from .source import Source

KEPT = 400  # lines kept of each step
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
# Docker's builder; podman's, which begins anew in each stage: "[2/2] STEP 1/3: FROM …".
_CLASSIC = re.compile(r"Step (\d+)/(\d+) : (.*)")
_PODMAN = re.compile(r"(?:\[(\d+)/\d+\] )?STEP (\d+)/(\d+): (.*)")


@dataclass
class BuildStep:
    """One instruction: `state` is running, done, cached, failed or stopped (by another's failure);
    `line` is the Dockerfile's.
    """

    name: str
    text: str
    line: int = 0
    number: int = 0
    total: int = 0
    state: str = "running"
    took: float = 0
    note: str = ""
    said: deque[str] = field(default_factory=lambda: deque([""], maxlen=KEPT))

    def say(self, data: str) -> None:
        """Take output, which may end within a line."""
        *whole, rest = (self.said.pop() + data).replace("\r\n", "\n").split("\n")
        self.said.extend(_CONTROL.sub("", one.rsplit("\r", 1)[-1]) for one in whole)
        self.said.append(rest)


class Build(Job):
    """An image from a Dockerfile. `local` says that the engine sees this machine's files."""

    verb, past = "Building", "Built"

    def __init__(
        self, folder: Path, dockerfile: str, tags: list[str], options: Json, local: bool
    ) -> None:
        words = ["bay", "build"]
        words += [word for tag in tags for word in ("-t", tag)]
        words += ["-f", str(folder / dockerfile)] if dockerfile != "Dockerfile" else []
        words += ["--target", options["target"]] if options.get("target") else []
        words += ["--no-cache"] if options.get("nocache") else []
        words += ["--pull"] if options.get("pull") else []
        for name, value in (options.get("buildargs") or {}).items():
            words += ["--build-arg", f"{name}={value}"]
        super().__init__(tags[0] if tags else str(folder), shlex.join([*words, str(folder)]))
        self.folder = folder
        self.dockerfile = dockerfile
        self.tags = tags
        self.options = options
        self.local = local
        self.steps: dict[int, BuildStep] = {}
        self.planned = 0
        self.image = ""
        self.failed_line = 0
        self._id = uuid.uuid4().hex

    @property
    def share(self) -> float:
        """By steps, of those that the plan has."""
        done = sum(1 for one in self.steps.values() if one.state in ("done", "cached"))
        return done / max(self.planned, len(self.steps)) if self.steps else 0

    async def work(self, source: Source) -> None:
        """Build; cancelled, the engine is told, since it may be in the middle of a step."""
        folder = await asyncio.to_thread(_checked, self.folder, self.dockerfile)
        query: Json = {"dockerfile": self.dockerfile, "rm": True, "buildid": self._id}
        query |= {"t": self.tags[0]} if self.tags else {}
        query |= {name: value for name, value in self.options.items() if value}
        body: AsyncIterator[bytes] | None = None
        if self.local:
            found = os.stat(folder)
            query["bay-details"] = True
            query["bay-local"] = {"path": str(folder), "dev": found.st_dev, "ino": found.st_ino}
        else:
            query["bay-details"] = True
            body = self._packed(folder)
        headers = {"Content-Type": "application/x-tar"}
        try:
            async with source.send("POST", "/build", query, body, headers) as messages:
                async for message in messages:
                    self.take(message)
        except asyncio.CancelledError:
            await _tell(source, self._id)
            raise
        self._end()

    def take(self, message: Json) -> None:
        """One message of the stream: our engine's events, or the lines of Docker's builder."""
        if message.get("error"):
            self.error = str(message["error"]).strip()
        aux = message.get("aux") or {}
        if aux.get("ID"):
            self.image = str(aux["ID"])
        if event := aux.get("bay"):
            self._event(event)
        elif text := message.get("stream"):
            self._classic(str(text))

    def _event(self, event: Json) -> None:
        kind, number = event["type"], int(event.get("id") or 0)
        if kind == "plan":
            self.planned = sum(int(one["steps"]) for one in event["stages"])
            return
        if kind == "step":
            self.steps[number] = BuildStep(
                str(event["name"]),
                " ".join(str(event["text"]).split()),
                int(event.get("line") or 0),
                int(event["number"]),
                int(event["total"]),
            )
            self.status = self.steps[number].text
            return
        step = self.steps.get(number)
        if step is None:
            return
        if kind == "log":
            step.say(str(event["data"]))
        elif kind == "miss":
            step.note = str(event["reason"])
        elif kind == "done":
            step.state, step.took = "cached" if event["cached"] else "done", event["ms"] / 1000
        elif kind == "failed":
            step.state = "failed"
            step.line = self.failed_line = int(event.get("line") or step.line)

    def _classic(self, text: str) -> None:
        """Docker's own builder numbers its steps over all stages, podman's those of each."""
        for part in text.splitlines(keepends=True):
            if match := _CLASSIC.match(part):
                number, self.planned = int(match[1]), int(match[2])
                self._begin(number, BuildStep("", match[3], 0, number, self.planned))
            elif match := _PODMAN.match(part):
                step = BuildStep(match[1] or "", match[4], 0, int(match[2]), int(match[3]))
                if step.number == 1:
                    self.planned += step.total
                self._begin(len(self.steps) + 1, step)
            elif self.steps:
                self._last().say(part)
                if part.strip().lstrip("-> ").startswith("Using cache"):
                    self._last().state = "cached"

    def _begin(self, key: int, step: BuildStep) -> None:
        if self.steps and self._last().state == "running":
            self._last().state = "done"
        step.line = self._find(step.text.strip())
        self.steps[key] = step
        self.status = step.text

    def _last(self) -> BuildStep:
        return self.steps[max(self.steps)]

    def _find(self, text: str) -> int:
        """The line an instruction of Docker's builder is in: by its first words."""
        try:
            lines = (self.folder / self.dockerfile).read_text(errors="replace").splitlines()
        except OSError:
            return 0
        first = text.split("\n")[0][:40]
        from_on = max((one.line for one in self.steps.values()), default=0)
        for number, line in enumerate(lines, 1):
            if number > from_on and " ".join(line.split())[: len(first)] == " ".join(first.split()):
                return number
        return 0

    def _end(self) -> None:
        running = [one for one in self.steps.values() if one.state == "running"]
        # What another step's failure ended has not failed itself.
        bad = "stopped" if self.failed_line else "failed"
        for step in running:
            step.state = bad if self.error else "done"
            if self.error and not self.failed_line:
                self.failed_line = step.line

    async def _packed(self, folder: Path) -> AsyncIterator[bytes]:
        """The context as a tar, without what `.dockerignore` names."""
        reader, writer = os.pipe()
        packing = asyncio.create_task(asyncio.to_thread(_pack, folder, self.dockerfile, writer))
        with open(reader, "rb", buffering=0) as file:
            while data := await asyncio.to_thread(file.read, PIECE):
                yield data
                self.current += len(data)
        await packing


async def _tell(source: Source, identifier: str) -> None:
    try:
        await source.call("POST", "/build/cancel", {"id": identifier})
    except BayError:
        pass  # another engine, or it is over already


def _checked(folder: Path, dockerfile: str) -> Path:
    """The context, resolved. Raises InvalidError when there is no such folder or Dockerfile."""
    if not folder.is_dir():
        raise InvalidError(f"There is no folder {folder} to build from")
    if not (folder / dockerfile).is_file():
        raise InvalidError(f"There is no {dockerfile} in {folder}")
    return folder.resolve()


def _pack(folder: Path, dockerfile: str, out: int) -> None:
    kept = {dockerfile, ".dockerignore"}
    with open(out, "wb") as pipe:
        _write(folder, kept, pipe)


def _write(folder: Path, kept: set[str], pipe: IO[bytes]) -> None:
    try:
        words = (folder / ".dockerignore").read_text("utf-8-sig", "replace").splitlines()
    except FileNotFoundError:
        words = []
    ignore = Ignore(words)
    with tarfile.open(fileobj=pipe, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path, name in _walk(folder, "", ignore, ignore.top, kept):
            archive.add(path, name, recursive=False, filter=_ours)


def _ours(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _walk(
    root: Path, folder: str, ignore: Ignore, above: Any, kept: set[str]
) -> Iterator[tuple[Path, str]]:
    for path in sorted((root / folder).iterdir()):
        name = f"{folder}/{path.name}" if folder else path.name
        skip, state = ignore.look(name, above) if ignore else (False, above)
        if not skip or name in kept:
            yield path, name
        if path.is_dir() and not path.is_symlink() and (not skip or ignore.may_except(name)):
            yield from _walk(root, name, ignore, state, kept)
