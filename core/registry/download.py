"""One blob on its way here: into a file that a later attempt goes on with, read while it grows."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from ...host.errors import BayError, InvalidError
from ...host.files import unlink
from .cancel import Cancel
from .manifests import Descriptor
from .retry import Retry
from .transport import Answer, TransportError

_CHUNK = 256 << 10
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class DownloadEndedError(BayError):
    """To the reader: the transfer it follows has ended early. `run` raises the reason."""


class Download:
    """A blob's transfer into `path`. Two threads share it: `run` writes, `chunks` follows.

    The file is the queue between them: the network never waits for the unpacking, no memory is
    used up, and what is in the file when the engine dies need not be fetched again. Nobody here
    checks the digest, the reader does; `discard` drops a file that failed it.

    `fetch(offset)` asks for the blob from `offset` on; `progress(bytes)` is told the file's length.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        path: Path,
        fetch: Callable[[int], Answer],
        *,
        retry: Retry,
        cancel: Cancel,
        progress: Callable[[int], None],
    ) -> None:
        self.descriptor = descriptor
        self._path = path
        self._fetch = fetch
        self._retry = retry
        self._cancel = cancel
        self._progress = progress
        self._changed = threading.Condition()
        # One descriptor for both: a sweep of old files may take the name away between them.
        self._fd = -1
        self._written = 0
        self._finished = False
        self._failure: BaseException | None = None
        # Bytes were there before: if the digest turns out wrong, they may be the reason.
        self.resumed = False

    def run(self) -> None:
        """Fetch what is missing; blocks until all is here. Raises what ended it otherwise."""
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._fill(self._fd)
        except BaseException as error:
            self._tell(failure=error)
            raise
        self._tell(finished=True)

    def chunks(self) -> Iterator[bytes]:
        """The blob from its first byte, as it arrives; raises what ended the transfer early."""
        place = 0
        while (size := self.reach(place)) > place:
            self._cancel.check()
            data = os.pread(self._fd, min(_CHUNK, size - place), place)
            if not data:
                raise BayError(f"the download {self._path} was cut from outside")
            place += len(data)
            yield data

    @property
    def size(self) -> int:
        """How many bytes the file will have, as the manifest says."""
        return self.descriptor.size

    def fileno(self) -> int:
        """The file's descriptor, once `reach` has returned."""
        return self._fd

    def reach(self, place: int) -> int:
        """Wait until there is more than `place` bytes, or no more to come; the file's length."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._written > place or self._finished or self._failure is not None
            )
            if self._written <= place:
                self._check()
            return self._written

    def check(self) -> None:
        """Raise what ended the transfer, for whoever reads on after its end."""
        self._cancel.check()
        self._check()

    def close(self) -> None:
        """Let go of the file, once both threads have ended; what is in it stays."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def abandon(self, error: BaseException) -> None:
        """Stop `run`, if it ever began, and whoever reads."""
        self._tell(failure=error)

    def discard(self) -> None:
        """Remove the file: its content is used up, or is not what it should be."""
        unlink(self._path)

    def _fill(self, fd: int) -> None:
        size = os.fstat(fd).st_size
        if size > self.descriptor.size:
            os.ftruncate(fd, 0)
            size = 0
        self.resumed = size > 0
        self._tell(written=size)
        failures = 0
        while self._written < self.descriptor.size:
            self._cancel.check()
            self._check()
            before = self._written
            answer: Answer | None = None
            try:
                answer = self._fetch(before)
                self._receive(fd, answer)
            except TransportError as error:
                if answer is None and not error.refused:
                    raise  # the request was repeated often enough by whoever sent it
                # Progress is a new beginning: a bad line may break many times in a large blob.
                failures = 1 if self._written > before else failures + 1
                pause = self._retry.pause(failures)
                if pause is None:
                    raise
                self._cancel.wait(pause)

    def _receive(self, fd: int, answer: Answer) -> None:
        with answer:
            skip = self._start(answer)
            while data := answer.chunk(_CHUNK):
                if skip:
                    skip, data = max(0, skip - len(data)), data[skip:]
                if self._written + len(data) > self.descriptor.size:
                    raise InvalidError(
                        f"the registry serves more for {self.descriptor.digest} than"
                        f" the {self.descriptor.size} bytes its manifest says: refused"
                    )
                view = memoryview(data)
                while view:
                    view = view[os.pwrite(fd, view, self._written + len(data) - len(view)) :]
                self._tell(written=self._written + len(data))
                self._check()
        if self._written < self.descriptor.size:
            raise TransportError(
                f"the registry served {self._written} of the {self.descriptor.size} bytes"
                f" of {self.descriptor.digest}"
            )

    def _start(self, answer: Answer) -> int:
        """How many bytes of `answer` are here already."""
        if answer.status != 206:
            return self._written  # the whole blob after all: ranges are optional
        match = _RANGE.match(answer.headers.get("Content-Range", ""))
        first = int(match[1]) if match else self._written
        if first > self._written:
            raise BayError(f"the registry left out bytes of {self.descriptor.digest}: refused")
        return self._written - first

    def _check(self) -> None:
        if self._failure is not None:
            raise DownloadEndedError(str(self._failure)) from self._failure

    def _tell(
        self,
        *,
        written: int | None = None,
        finished: bool = False,
        failure: BaseException | None = None,
    ) -> None:
        with self._changed:
            if written is not None:
                self._written = written
            self._finished = self._finished or finished
            self._failure = self._failure or failure
            self._changed.notify_all()
        if written is not None:
            self._progress(written)
