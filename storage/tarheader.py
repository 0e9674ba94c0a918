"""The 512-byte header of a tar member, and pax records: pure parsing, no I/O.

POSIX.1-2017 pax(1) "ustar Interchange Format" and "pax Extended Header"; GNU tar manual,
"Basic Tar Format", for base-256 numbers and old sparse maps.
"""

from __future__ import annotations

import functools
import struct
import zlib
from dataclasses import dataclass, field

from ..host.errors import InvalidError

BLOCK = 512
ZERO_BLOCK = bytes(BLOCK)

REGULAR, HARDLINK, SYMLINK, CHAR, BLOCKDEV, DIRECTORY, FIFO = (
    b"0",
    b"1",
    b"2",
    b"3",
    b"4",
    b"5",
    b"6",
)
_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12s")
_XATTR = b"SCHILY.xattr."
# Beyond the year 9999 no file system follows; the kernel clamps to its own limit below that.
_MAX_SECONDS = 253_402_300_799


@dataclass(slots=True)
class Entry:
    """One member. Times are nanoseconds, `size` is the payload's bytes in the archive.

    For a sparse file `sparse` lists its (offset, length) pieces in order of the payload, and
    `real_size` is the file's length.
    """

    name: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: bytes
    major: int
    minor: int
    xattrs: dict[str, bytes] = field(default_factory=dict)
    sparse: list[tuple[int, int]] | None = None
    real_size: int = 0

    @property
    def shown(self) -> str:
        """The name for a message: printable, at most 200 characters."""
        return repr(self.name[:200].decode("utf-8", "backslashreplace"))


# Fields repeat: most members of an archive have one owner and a handful of modes.
@functools.lru_cache(maxsize=1024)
def number(raw: bytes) -> int:
    """An octal field, or a base-256 one (GNU); empty is 0. Raises InvalidError."""
    if raw[:1] >= b"\x80":
        # Bit 7 marks the encoding, bit 6 is the sign.
        value = int.from_bytes(raw, "big") & ~(1 << (len(raw) * 8 - 1))
        return value - (1 << (len(raw) * 8 - 1)) if raw[0] & 0x40 else value
    digits = raw.strip(b" \0")
    if not digits:
        return 0
    if not digits.isdigit():
        raise InvalidError("the archive is damaged: a number in a tar header is not one")
    try:
        return int(digits, 8)
    except ValueError:
        raise InvalidError(
            "the archive is damaged: a number in a tar header is not octal"
        ) from None


def text(raw: bytes) -> bytes:
    """A field up to its first NUL."""
    end = raw.find(b"\0")
    return raw if end < 0 else raw[:end]


def prefix_of(block: bytes) -> bytes:
    """What stands before the name, without the slash; b"" for most."""
    # GNU's own format uses the field for other things.
    if block[257:263] != b"ustar\0":
        return b""
    return text(block[345:476] if block[508:512] == b"tar\0" else block[345:500])


def time_of(raw: bytes) -> int:
    """The nanoseconds of a field of seconds. Raises InvalidError."""
    return clamp(number(raw)) * 1_000_000_000


def parse(block: bytes) -> Entry:
    """Parse a header block; raises InvalidError when its checksum or a number is wrong.

    The kind may still be V7's NUL, which only the whole name tells to be a file or a folder.
    """
    (
        name, mode, uid, gid, size, mtime, checksum, kind, link,
        _magic, _version, _uname, _gname, major, minor, _prefix, _tail,
    ) = _HEADER.unpack(block)  # fmt: skip
    _verify(block, checksum)
    name = text(name)
    if prefix := prefix_of(block):
        name = prefix + b"/" + name
    if kind == b"7":
        kind = REGULAR
    length = number(size)
    if length < 0:
        raise InvalidError("the archive is damaged: a member of negative size")
    is_device = kind in (CHAR, BLOCKDEV)
    return Entry(
        name,
        kind,
        number(mode) & 0o7777,
        number(uid),
        number(gid),
        length,
        time_of(mtime),
        text(link),
        number(major) if is_device else 0,
        number(minor) if is_device else 0,
    )


@functools.lru_cache(maxsize=4096)
def stated(checksum: bytes) -> tuple[int, int]:
    """The sum a header states, and what Adler-32's lower half is for a header that has it."""
    wanted = number(checksum)
    return wanted, (wanted - 256 + sum(checksum) + 1) % 65521


def _verify(block: bytes, checksum: bytes) -> None:
    """The sum of all bytes with the checksum field as spaces; some old tars summed signed.

    Adler-32's lower half (RFC 1950) is one more than the sum of all bytes, modulo 65521: in C
    that takes a fiftieth of the time, and what it misses is one whole 65521 off.
    """
    wanted, low = stated(checksum)
    if zlib.adler32(block) & 0xFFFF == low:
        return
    unsigned = sum(block) - sum(checksum) + 256
    if unsigned == wanted:
        return
    signed = unsigned - 256 * sum(byte > 127 for byte in block[:148] + block[156:])
    if signed != wanted:
        raise InvalidError("the archive is damaged: a tar header has a wrong checksum")


def clamp(seconds: int) -> int:
    """Seconds since 1970 within what can be stored."""
    return max(-_MAX_SECONDS, min(_MAX_SECONDS, seconds))


def pax_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """The `length key=value` records of a pax header, in order. Raises InvalidError."""
    records = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        digits = data[at:space]
        if space < 0 or not digits.isdigit():
            if not data[at:].strip(b"\0"):
                break  # some writers pad with zeros
            raise InvalidError("the archive is damaged: a pax record has no length")
        end = at + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= space + 1 or data[end - 1] != 0x0A or not equals:
            raise InvalidError("the archive is damaged: a pax record is cut")
        records.append((key, value))
        at = end
    return records


def seconds_to_ns(raw: bytes) -> int:
    """A pax time (`-12.345`) in nanoseconds, exactly. Raises InvalidError."""
    whole, _, fraction = raw.partition(b".")
    negative = whole.startswith(b"-")
    digits = whole[1:] if negative else whole
    if not (digits or fraction) or not (digits or b"0").isdigit() or len(digits) > 30:
        raise InvalidError("the archive is damaged: a pax time is not a number")
    if fraction and not fraction.isdigit():
        raise InvalidError("the archive is damaged: a pax time is not a number")
    ns = clamp(int(digits or b"0")) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
    return -ns if negative else ns


def apply_pax(entry: Entry, records: list[tuple[bytes, bytes]]) -> None:
    """Let pax records override the header's fields. Raises InvalidError for a bad value."""
    for key, value in records:
        if key.startswith(_XATTR):
            entry.xattrs[key[len(_XATTR) :].decode("utf-8", "surrogateescape")] = value
        elif key == b"path" and value:
            entry.name = value
        elif key == b"linkpath" and value:
            entry.link = value
        elif key == b"mtime" and value:
            entry.mtime = seconds_to_ns(value)
        elif key in (b"size", b"uid", b"gid") and value:
            if not value.isdigit() or len(value) > 20:
                raise InvalidError(f"the archive is damaged: pax {key.decode()} is not a number")
            setattr(entry, key.decode(), int(value))
