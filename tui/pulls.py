"""The progress of a pull, from the engine's stream of messages."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..host.errors import BayError
from .model import Json
from .source import Source

_DONE = ("Pull complete", "Already exists")


@dataclass
class Layer:
    """One layer: what is being done with it, and how far that is, in bytes."""

    status: str = ""
    current: int = 0
    total: int = 0

    @property
    def share(self) -> float:
        """How far it is, 0 to 1; downloading is the first nine tenths of it."""
        if self.status in _DONE:
            return 1
        part = self.current / self.total if self.total else 0
        if self.status == "Downloading":
            return 0.9 * part
        return 0.9 + 0.1 * part if self.status in ("Extracting", "Download complete") else 0


@dataclass
class Pull:
    """One image on its way."""

    reference: str
    layers: dict[str, Layer] = field(default_factory=dict)
    status: str = "Asking the registry"
    error: str = ""
    over: bool = False

    @property
    def share(self) -> float:
        """How far the whole is, 0 to 1, by bytes where they are known."""
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
        if not identifier or status.startswith("Pulling from"):
            self.status = status or self.status
            return
        layer = self.layers.setdefault(str(identifier), Layer())
        layer.status = status
        progress = message.get("progressDetail") or {}
        layer.current = int(progress.get("current") or 0)
        layer.total = int(progress.get("total") or layer.total)

    async def run(self, source: Source) -> None:
        """Pull; errors end up in `error`."""
        try:
            name, tag = _split(self.reference)
            query = {"fromImage": name, "tag": tag}
            async with source.lines("/images/create", method="POST", **query) as messages:
                async for message in messages:
                    self.take(message)
        except BayError as error:
            self.error = str(error)
        finally:
            self.over = True


def _split(reference: str) -> tuple[str, str]:
    """Name and tag of a reference; without a tag it is `latest`, as everywhere."""
    if "@" in reference:
        return reference, ""
    name, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        return reference, "latest"
    return name, tag
