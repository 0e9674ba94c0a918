"""The engine's multiplexed streams: stdout and stderr over one connection.

Docker Engine API, "Attach to a container", stream format: each frame has an 8-byte header
`{type, 0, 0, 0, size1, size2, size3, size4}`, the size big-endian, then that many bytes. Type 4 is
Bayplan's own: the exit code of an exec, in decimal.
"""

from __future__ import annotations

STDIN, STDOUT, STDERR, SYSTEM, EXIT = 0, 1, 2, 3, 4


class Demultiplexer:
    """Takes the stream apart as it comes, in pieces of any size.

    Payload is passed on at once, also of a frame that isn't complete yet: a frame may be large.
    """

    def __init__(self) -> None:
        self._header = bytearray()
        self._stream = STDOUT
        self._left = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """What `data` completes, as (stream, bytes). ValueError when it is no such stream."""
        out: list[tuple[int, bytes]] = []
        view = memoryview(data)
        while view:
            if self._left:
                piece, view = view[: self._left], view[self._left :]
                self._left -= len(piece)
                out.append((self._stream, bytes(piece)))
                continue
            missing = 8 - len(self._header)
            self._header += view[:missing]
            view = view[missing:]
            if len(self._header) == 8:
                self._open_frame()
        return out

    def _open_frame(self) -> None:
        if self._header[0] > EXIT or any(self._header[1:4]):
            raise ValueError(f"not a multiplexed stream: header {self._header.hex()}")
        self._stream = STDOUT if self._header[0] == STDIN else self._header[0]
        self._left = int.from_bytes(self._header[4:], "big")
        self._header.clear()
