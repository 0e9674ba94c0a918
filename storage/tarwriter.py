"""Headers of a tar being written: ustar where it fits, pax records where it does not.

The same input gives the same bytes, so a layer written twice has one digest.
"""

from __future__ import annotations

from .tarheader import BLOCK, ZERO_BLOCK, Entry

END = ZERO_BLOCK * 2
_MAX_OCTAL_7 = 0o7777777
_MAX_OCTAL_11 = 0o77777777777


def header(entry: Entry) -> bytes:
    """The header blocks of a member; its payload of `size` bytes follows, then `padding`.

    Times keep their nanoseconds, in a pax record when they have any.
    """
    records: list[tuple[bytes, bytes]] = []
    name, prefix = _split(entry.name)
    if name is None:
        records.append((b"path", entry.name))
        name = entry.name[:100]
    if len(entry.link) > 100 or not entry.link.isascii():
        records.append((b"linkpath", entry.link))
    seconds, rest = divmod(entry.mtime, 1_000_000_000)
    if rest or not 0 <= seconds <= _MAX_OCTAL_11:
        records.append((b"mtime", _time(entry.mtime)))
    for key, value, limit in (
        (b"size", entry.size, _MAX_OCTAL_11),
        (b"uid", entry.uid, _MAX_OCTAL_7),
        (b"gid", entry.gid, _MAX_OCTAL_7),
    ):
        if value > limit:
            records.append((key, b"%d" % value))
    for xattr in sorted(entry.xattrs):
        key = b"SCHILY.xattr." + xattr.encode("utf-8", "surrogateescape")
        records.append((key, entry.xattrs[xattr]))
    block = _block(entry, name, prefix, entry.kind, entry.size, seconds)
    if not records:
        return block
    body = b"".join(_record(key, value) for key, value in records)
    meta = Entry(b"", b"x", 0o644, 0, 0, len(body), 0, b"", 0, 0)
    short = b"PaxHeaders/" + entry.name.rsplit(b"/", 1)[-1][:80]
    return _block(meta, short, b"", b"x", len(body), 0) + body + padding(len(body)) + block


def padding(size: int) -> bytes:
    """The zeros that fill the last block of a payload."""
    return bytes(-size % BLOCK)


def _split(name: bytes) -> tuple[bytes | None, bytes]:
    """(name, prefix) of the ustar fields; None when the name does not fit them."""
    if not name.isascii():
        return None, b""
    if len(name) <= 100:
        return name, b""
    cut = name.rfind(b"/", 0, 156)
    if cut <= 0 or not 0 < len(name) - cut - 1 <= 100:
        return None, b""
    return name[cut + 1 :], name[:cut]


def _time(ns: int) -> bytes:
    sign = b"-" if ns < 0 else b""
    seconds, rest = divmod(abs(ns), 1_000_000_000)
    fraction = b".%09d" % rest if rest else b""
    return sign + b"%d" % seconds + fraction


def _record(key: bytes, value: bytes) -> bytes:
    """`length key=value`, the length counting its own digits."""
    size = len(key) + len(value) + 3
    total = size + len(str(size))
    if len(str(total)) != len(str(size)):
        total = size + len(str(total))
    return b"%d %s=%s\n" % (total, key, value)


def _block(entry: Entry, name: bytes, prefix: bytes, kind: bytes, size: int, seconds: int) -> bytes:
    fields = [
        name[:100].ljust(100, b"\0"),
        b"%07o\0" % entry.mode,
        b"%07o\0" % min(entry.uid, _MAX_OCTAL_7),
        b"%07o\0" % min(entry.gid, _MAX_OCTAL_7),
        b"%011o\0" % min(size, _MAX_OCTAL_11),
        b"%011o\0" % max(0, min(seconds, _MAX_OCTAL_11)),
        b"        ",
        kind,
        entry.link[:100].ljust(100, b"\0"),
        b"ustar\x0000",
        bytes(64),
        b"%07o\0" % entry.major,
        b"%07o\0" % entry.minor,
        prefix.ljust(155, b"\0"),
        bytes(12),
    ]
    block = bytearray().join(fields)
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
