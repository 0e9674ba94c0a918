"""One blob on its way to a registry: taken from a neighbour, or sent, in as many goes as needed.

The OCI distribution specification, "Pushing Blobs". The content goes out in one PATCH, as
Docker's does, since some registries take no others; what was left of it after a break in another.
Where that is more than a proxy on the way lets through (413), in pieces that it does, none but
the last smaller than the registry's OCI-Chunk-Min-Length.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from ...host.errors import BayError
from .manifests import Descriptor
from .repository import Repository, Wire
from .retry import PASSING
from .transport import Answer, TransportError

_CHUNK = 1 << 18
_LIMIT = 1 << 20
# Bytes of the first pieces tried where all at once is refused, and those that are not worth it.
_PIECE, _SMALLEST = 64 << 20, 64 << 10
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")
_OCTETS = {"Content-Type": "application/octet-stream"}


class Upload:
    """Brings `content` (a file, or bytes) to `repository` as the blob `descriptor`.

    `progress(bytes)` is told what was sent. Blocks; the wire's cancel ends it.
    """

    def __init__(
        self,
        wire: Wire,
        repository: Repository,
        descriptor: Descriptor,
        content: Path | bytes,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._wire = wire
        self._repository = repository
        self._descriptor = descriptor
        self._content = content
        self._progress = progress
        # Bytes of a PATCH; all that is left when None.
        self._piece: int | None = None

    def run(self) -> None:
        """Send it; BayError when the registry won't have it."""
        place, least = begin(self._repository)
        offset = 0
        failures = 0
        while True:
            self._wire.cancel.check()
            before = offset
            try:
                while offset < self._descriptor.size:
                    place, offset = self._patch(place, offset)
                self._finish(place)
                return
            except _TooLargeError as error:
                sent = error.sent // 2 if self._piece else min(error.sent // 2, _PIECE)
                if sent < max(least, _SMALLEST):
                    raise
                self._piece = sent
                # What was refused may have been taken in part.
                place, offset = self._where(place)
            except TransportError as error:
                place, offset = self._where(place)
                failures = 1 if offset > before else failures + 1
                pause = self._wire.retry.pause(failures, error.retry_after)
                if pause is None:
                    raise
                self._wire.cancel.wait(pause)

    def _patch(self, place: str, offset: int) -> tuple[str, int]:
        """Send a piece from `offset` on, or all; where the upload goes on, and from which byte."""
        size = self._descriptor.size
        end = size if self._piece is None else min(size, offset + self._piece)
        headers = {**_OCTETS, "Content-Length": str(end - offset)}
        if offset or end < size:
            headers["Content-Range"] = f"{offset}-{end - 1}"
        with self._repository.send(
            "PATCH", place, headers=headers, body=self._parts(offset, end)
        ) as answer:
            body = answer.read(_LIMIT)
        if answer.status in (200, 201, 202, 204):
            return self._repository.located(answer), end
        if answer.status == 413:
            raise _TooLargeError(self._refused(answer, body), end - offset)
        if answer.status in (*PASSING, 401, 416) or (offset and answer.status == 404):
            # 401: the token ended meanwhile; asking where we are gets another. 404: the registry
            # has dropped what came before the break.
            raise TransportError(
                f"upload of {self._descriptor.short}: HTTP {answer.status}",
                retry_after=answer.headers.get("Retry-After"),
            )
        raise self._refused(answer, body)

    def _finish(self, place: str) -> None:
        headers = {**_OCTETS, "Content-Length": "0"}
        url = f"{place}{'&' if '?' in place else '?'}digest={quote(self._descriptor.digest, ':')}"
        with self._repository.send("PUT", url, headers=headers, body=b"") as answer:
            body = answer.read(_LIMIT)
        if answer.status not in (200, 201, 204):
            raise self._refused(answer, body)

    def _where(self, place: str) -> tuple[str, int]:
        """After a break: the upload's place and how much arrived; a new one when it is gone."""
        with self._repository.send("GET", place) as answer:
            answer.read(_LIMIT)
        match = _RANGE.match(answer.headers.get("Range", ""))
        if answer.status not in (200, 202, 204) or match is None:
            return begin(self._repository)[0], 0
        if answer.headers.get("Location"):
            place = self._repository.located(answer)
        # "0-0" means one byte, or none: nobody can tell them apart.
        last = int(match[1])
        return (place, last + 1) if last else (begin(self._repository)[0], 0)

    def _parts(self, offset: int, end: int) -> Iterator[bytes]:
        if isinstance(self._content, bytes):
            yield self._content[offset:end]
            self._progress(end)
            return
        with open(self._content, "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), offset, 0, os.POSIX_FADV_SEQUENTIAL)
            file.seek(offset)
            while data := file.read(min(_CHUNK, end - offset)):
                yield data
                offset += len(data)
                self._progress(offset)

    def _refused(self, answer: Answer, body: bytes) -> BayError:
        return self._repository.refusal(answer, body, f"blob {self._descriptor.digest}")


class _TooLargeError(BayError):
    """The registry, or a proxy before it, takes no request of `sent` bytes."""

    def __init__(self, refusal: BayError, sent: int) -> None:
        super().__init__(str(refusal))
        self.sent = sent


def begin(repository: Repository) -> tuple[str, int]:
    """Start an upload; the URL to send to, and the least bytes of a piece that is not the last."""
    answer, body = _start(repository, "")
    if answer.status not in (200, 201, 202):
        raise repository.refusal(answer, body, f'Post "{answer.url}"')
    least = answer.headers.get("OCI-Chunk-Min-Length", "")
    return repository.located(answer), int(least) if least.isdecimal() else 0


def mount(repository: Repository, digest: str, source: str) -> bool:
    """Have the registry take the blob from its repository `source`; False when it doesn't."""
    query = f"?mount={quote(digest, ':')}&from={quote(source, '')}"
    answer, _ = _start(repository, query, (f"repository:{source}:pull",))
    if answer.status == 202 and answer.headers.get("Location"):
        # It opened an upload instead; without this it would lie about there for days.
        with repository.send("DELETE", repository.located(answer)) as ended:
            ended.read(_LIMIT)
    return answer.status == 201


def _start(repository: Repository, query: str, also: tuple[str, ...] = ()) -> tuple[Answer, bytes]:
    url = repository.url(f"blobs/uploads/{query}")
    with repository.send(
        "POST", url, headers={"Content-Length": "0"}, body=b"", also=also
    ) as answer:
        return answer, answer.read(_LIMIT)
