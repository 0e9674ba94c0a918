"""Reading a tar as it flows by: five times the speed of `tarfile`, with raw byte names.

Understands ustar, old V7, pax (local and global), GNU long names and GNU sparse files in all
four encodings. What is not payload can be kept by a `Journal`, so that the archive can be made
again, bit by bit, from the files it was unpacked to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ..host.errors import InvalidError
from .tarheader import (
    BLOCK,
    DIRECTORY,
    REGULAR,
    ZERO_BLOCK,
    Entry,
    apply_pax,
    number,
    parse,
    pax_records,
    text,
)

# Long names and pax headers; Go's archive/tar has the same limit.
_MAX_META = 1 << 20
_MAX_SPARSE = 1 << 16
_MAX_TRAILER = 1 << 30
# Members whose header may claim a size without a payload following.
_HEADER_ONLY = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))
# Members that no other header, and no name, changes the meaning of.
_PLAIN = frozenset((*_HEADER_ONLY, b"0"))


class RawSink(Protocol):
    """Takes every byte that is not payload, in order."""

    def raw(self, data: bytes) -> None:
        """The next bytes of the archive."""


class TarStream:
    """Iterates over the entries of a tar given as chunks.

    Between two steps `payload()` gives the member's content; what is not taken goes to the sink.
    """

    def __init__(self, chunks: Iterator[bytes], sink: RawSink | None = None) -> None:
        self._chunks = chunks
        # What has arrived and was not taken yet: the end of the last chunk.
        self._chunk = b""
        self._view = memoryview(b"")
        self._sink = sink
        self._left = 0
        self._padding = 0
        self._globals: list[tuple[bytes, bytes]] = []

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self._next()) is not None:
            yield entry
        self._trailer()

    def payload(self) -> Iterator[memoryview]:
        """The current member's content, in pieces as they come. Raises InvalidError when cut."""
        while self._left:
            piece = self._piece(self._left)
            self._left -= len(piece)
            yield piece

    def whole(self) -> memoryview | None:
        """All of the current member's content, if it has arrived; `payload()` is empty then."""
        size = self._left
        view = self._view
        if len(view) < size:
            return None
        self._left = 0
        self._view = view[size:]
        return view[:size]

    def window(self) -> tuple[bytes, int, int]:
        """(chunk, place, padding): after so much padding a header begins in what has arrived.

        For readers of many members at once, who hand what they took to the sink and `go_on`. The
        chunk is empty where members are not what their headers alone say.
        """
        if self._left or self._globals:
            return b"", 0, 0
        return self._chunk, len(self._chunk) - len(self._view), self._padding

    def go_on(self, place: int, padding: int) -> None:
        """Go on there in the chunk that `window` gave."""
        if not self._left and not self._globals:
            self._view = memoryview(self._chunk)[place:]
            self._padding = padding

    def take(self, length: int) -> Iterator[memoryview]:
        """The next `length` bytes of the content, of which there must be so many."""
        if length > self._left:
            raise InvalidError("the archive is damaged: a sparse map does not fit its member")
        self._left -= length
        while length:
            piece = self._piece(length)
            length -= len(piece)
            yield piece

    def _piece(self, limit: int) -> memoryview:
        while not self._view:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise InvalidError("the archive ends early: the transfer or the file is cut short")
            self._chunk, self._view = chunk, memoryview(chunk)
        piece = self._view[:limit]
        self._view = self._view[len(piece) :]
        return piece

    def _exactly(self, length: int) -> bytes:
        view = self._view
        if len(view) >= length:
            data = bytes(view[:length])
            self._view = view[length:]
        else:
            parts = []
            missing = length
            while missing:
                parts.append(bytes(self._piece(missing)))
                missing -= len(parts[-1])
            data = b"".join(parts)
        if self._sink is not None:
            self._sink.raw(data)
        return data

    def _at_end(self) -> bool:
        while not self._view:
            chunk = next(self._chunks, None)
            if chunk is None:
                return True
            self._chunk, self._view = chunk, memoryview(chunk)
        return False

    def _finish_member(self) -> None:
        while self._left:
            step = min(self._left, 1 << 20)
            self._left -= step
            self._exactly(step)
        if self._padding:
            # Some writers leave out the padding of the very last member.
            if not self._at_end():
                self._exactly(self._padding)
            self._padding = 0

    def _block(self) -> bytes | None:
        """The next header block; None at the end of the archive."""
        if self._at_end():
            return None
        block = self._exactly(BLOCK)
        if block != ZERO_BLOCK:
            return block
        if not self._at_end() and self._exactly(BLOCK) != ZERO_BLOCK:
            raise InvalidError("the archive is damaged: data after a block of zeros")
        return None

    def _meta(self, size: int) -> bytes:
        """The content of a member that describes the next one."""
        if size > _MAX_META:
            raise InvalidError(f"the archive has a header of {size} bytes: more than {_MAX_META}")
        data = self._exactly(size)
        if size % BLOCK:
            self._exactly(BLOCK - size % BLOCK)
        return data

    def _quick(self) -> Entry | None:
        """The next member, when its header has arrived and says all there is: most of them."""
        end = self._padding + BLOCK
        view = self._view
        if self._left or self._globals or len(view) < end:
            return None
        data = bytes(view[:end])
        block = data[self._padding :]
        kind = block[156:157]
        if kind not in _PLAIN or block == ZERO_BLOCK:
            return None
        entry = parse(block)
        self._view = view[end:]
        if self._sink is not None:
            self._sink.raw(data)
        if kind in _HEADER_ONLY:
            entry.size = 0
        entry.real_size = self._left = entry.size
        self._padding = -entry.size % BLOCK
        return entry

    def _next(self) -> Entry | None:
        entry = self._quick()
        if entry is not None:
            return entry
        self._finish_member()
        name = link = None
        local: list[tuple[bytes, bytes]] = []
        described = False
        while (block := self._block()) is not None:
            entry = parse(block)
            kind = entry.kind
            if kind == b"x":
                local = pax_records(self._meta(entry.size))
            elif kind == b"g":
                self._globals += pax_records(self._meta(entry.size))
                if len(self._globals) > 10_000:
                    raise InvalidError("the archive has too many global pax records")
            elif kind == b"L":
                name = text(self._meta(entry.size))
            elif kind == b"K":
                link = text(self._meta(entry.size))
            elif kind == b"V":
                self._meta(entry.size)  # a volume's label
            else:
                break
            described = described or kind in b"xLK"
        else:
            if described:
                raise InvalidError("the archive ends early: a header describes nothing")
            return None
        self._describe(entry, block, name, link, local)
        return entry

    def _describe(
        self,
        entry: Entry,
        block: bytes,
        name: bytes | None,
        link: bytes | None,
        local: list[tuple[bytes, bytes]],
    ) -> None:
        """Complete the entry by what the headers before it said, and set up its payload."""
        if name is not None:
            entry.name = name
        if link is not None:
            entry.link = link
        if self._globals:
            apply_pax(entry, self._globals)
        apply_pax(entry, local)
        if entry.kind == b"\0":
            # V7 had no kind for folders. Of a name cut in its header the last byte tells nothing.
            entry.kind = DIRECTORY if entry.name.endswith(b"/") else REGULAR
        entry.real_size = entry.size
        if entry.kind in _HEADER_ONLY:
            entry.size = entry.real_size = 0
        self._left = entry.size
        self._padding = -entry.size % BLOCK
        if entry.kind == b"S":
            self._old_sparse(entry, block)
        elif any(key.startswith(b"GNU.sparse.") for key, _ in local):
            self._pax_sparse(entry, local)

    def _old_sparse(self, entry: Entry, block: bytes) -> None:
        """GNU's own format: 4 pieces in the header, 21 in each extension block."""
        entry.kind = REGULAR
        entry.real_size = number(block[483:495])
        pieces: list[tuple[int, int]] = []
        area, more = block[386:482], block[482]
        while True:
            for at in range(0, len(area), 24):
                if area[at : at + 12].strip(b"\0 "):
                    pieces.append((number(area[at : at + 12]), number(area[at + 12 : at + 24])))
            if not more:
                break
            if len(pieces) > _MAX_SPARSE:
                raise InvalidError("the archive has a sparse map that is too long")
            extension = self._exactly(BLOCK)
            area, more = extension[:504], extension[504]
        self._set_sparse(entry, pieces)

    def _pax_sparse(self, entry: Entry, local: list[tuple[bytes, bytes]]) -> None:
        """The pax encodings 0.0, 0.1 and 1.0 (the map is at the head of the payload)."""
        values = dict(local)
        entry.name = values.get(b"GNU.sparse.name", entry.name)
        size = values.get(b"GNU.sparse.realsize", values.get(b"GNU.sparse.size", b""))
        entry.real_size = _decimal(size)
        if values.get(b"GNU.sparse.major") == b"1":
            numbers = self._leading_map()
        elif b"GNU.sparse.map" in values:
            numbers = [_decimal(part) for part in values[b"GNU.sparse.map"].split(b",") if part]
        else:
            keys = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
            numbers = [_decimal(value) for key, value in local if key in keys]
        if len(numbers) % 2 or len(numbers) > 2 * _MAX_SPARSE:
            raise InvalidError("the archive is damaged: a sparse map is odd or too long")
        self._set_sparse(entry, list(zip(numbers[::2], numbers[1::2], strict=True)))

    def _leading_map(self) -> list[int]:
        lines: list[bytes] = []
        rest = b""
        while not lines or len(lines) < 1 + 2 * _decimal(lines[0]):
            if self._left < BLOCK or len(lines) > 2 * _MAX_SPARSE:
                raise InvalidError("the archive is damaged: a sparse map has no end")
            self._left -= BLOCK
            *whole, rest = (rest + self._exactly(BLOCK)).split(b"\n")
            lines += whole
        return [_decimal(line) for line in lines[1 : 1 + 2 * _decimal(lines[0])]]

    def _set_sparse(self, entry: Entry, pieces: list[tuple[int, int]]) -> None:
        end = 0
        for offset, length in pieces:
            if offset < end or length < 0:
                raise InvalidError("the archive is damaged: a sparse map runs backwards")
            end = offset + length
        if end > entry.real_size or sum(length for _, length in pieces) != self._left:
            raise InvalidError("the archive is damaged: a sparse map does not fit its member")
        entry.sparse = pieces

    def _trailer(self) -> None:
        """Take what follows the end marker: it is part of the digest."""
        total = 0
        while not self._at_end():
            data = bytes(self._view)
            self._view = memoryview(b"")
            total += len(data)
            if total > _MAX_TRAILER:
                raise InvalidError(f"the archive has more than {_MAX_TRAILER} bytes after its end")
            if self._sink is not None:
                self._sink.raw(data)


def _decimal(raw: bytes) -> int:
    if not raw.isdigit() or len(raw) > 20:
        raise InvalidError("the archive is damaged: a sparse map holds no numbers")
    return int(raw)
