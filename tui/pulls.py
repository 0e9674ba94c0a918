"""Pulls and pushes: an image layer by layer, from the engine's stream of messages."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import dataclass
from urllib.parse import quote

from . import credentials
from .jobs import Job
from .model import Json
from .source import Source

_DONE = ("Pull complete", "Already exists", "Pushed", "Layer already exists")
_MOVING = ("Downloading", "Pushing")


@dataclass
class Layer:
    """One layer: what is being done with it, and how far that is, in bytes."""

    status: str = ""
    current: int = 0
    total: int = 0
    moved: int = 0  # bytes that came over the network

    @property
    def done(self) -> bool:
        """Whether nothing is left to do with it."""
        return self.status in _DONE or self.status.startswith("Mounted from")

    @property
    def share(self) -> float:
        """How far it is, 0 to 1; downloading is the first nine tenths of a pull."""
        if self.done:
            return 1
        part = self.current / self.total if self.total else 0
        if self.status == "Pushing":
            return part
        if self.status == "Downloading":
            return 0.9 * part
        return 0.9 + 0.1 * part if self.status in ("Extracting", "Download complete") else 0


class Transfer(Job):
    """One image on its way."""

    def __init__(self, reference: str, command: str) -> None:
        super().__init__(reference, command)
        self.reference = reference
        self.layers: dict[str, Layer] = {}
        self.status = "Asking the registry"

    @property
    def share(self) -> float:
        """How far the whole is, by bytes where they are known."""
        if not self.layers:
            return 0
        weights = [(max(1, one.total), one.share) for one in self.layers.values()]
        return sum(weight * share for weight, share in weights) / sum(one for one, _ in weights)

    def take(self, message: Json) -> None:
        """Take one message of the stream."""
        if message.get("error"):
            self.error = str(message["error"])
            return
        status = str(message.get("status", ""))
        identifier = message.get("id")
        if not identifier or status.startswith(("Pulling from", "The push refers")):
            self.status = status or self.status
            return
        layer = self.layers.setdefault(str(identifier), Layer())
        layer.status = status
        progress = message.get("progressDetail") or {}
        layer.current = int(progress.get("current") or 0)
        layer.total = int(progress.get("total") or layer.total)
        if status in _MOVING:
            layer.moved = layer.current
        elif layer.done or status == "Download complete":
            layer.moved = layer.total
        self.current = sum(one.moved for one in self.layers.values())
        self.total = sum(one.total for one in self.layers.values())


class Pull(Transfer):
    """An image from its registry."""

    verb, past = "Pulling", "Pulled"

    def __init__(self, reference: str) -> None:
        super().__init__(reference, f"bay pull {shlex.quote(reference)}")

    async def work(self, source: Source) -> None:
        """Pull."""
        name, tag = _split(self.reference)
        query = {"fromImage": name, "tag": tag}
        headers = {"X-Registry-Auth": await _header(self.reference)}
        async with source.send("POST", "/images/create", query, None, headers) as messages:
            async for message in messages:
                self.take(message)


class Push(Transfer):
    """An image to its registry."""

    verb, past = "Pushing", "Pushed"

    def __init__(self, reference: str) -> None:
        super().__init__(reference, f"bay push {shlex.quote(reference)}")

    async def work(self, source: Source) -> None:
        """Push."""
        name, tag = _split(self.reference)
        path = f"/images/{quote(name)}/push"
        headers = {"X-Registry-Auth": await _header(self.reference)}
        async with source.send("POST", path, {"tag": tag}, None, headers) as messages:
            async for message in messages:
                self.take(message)


async def _header(reference: str) -> str:
    """The user's credentials; a helper that is asked for them may wait for its user."""
    return await asyncio.to_thread(credentials.header, reference)


def _split(reference: str) -> tuple[str, str]:
    """Name and tag of a reference; without a tag it is `latest`, as everywhere."""
    if "@" in reference:
        return reference, ""
    name, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        return reference, "latest"
    return name, tag
