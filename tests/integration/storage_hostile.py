"""Archives that want to do harm, made in code. `{out}` in a name is a folder outside the layer.

Each case is a list of members and what must come of it: REFUSED, or KEPT inside the layer.
"""

from __future__ import annotations

import gzip
import struct
import tarfile
from collections.abc import Callable
from dataclasses import dataclass

import zstandard

# WAITS: it may link to a layer below, as aufs' did; with none there no image comes of it.
REFUSED, KEPT, EITHER, WAITS = "refused", "kept", "either", "waits"
UP = "../" * 12


@dataclass(frozen=True)
class Case:
    """A hostile archive: `build(out)` gives its bytes."""

    name: str
    outcome: str
    build: Callable[[str], bytes]

    def __str__(self) -> str:
        return self.name


def member(
    name: str | bytes,
    kind: bytes = tarfile.REGTYPE,
    data: bytes = b"evil",
    link: str = "",
    mode: int = 0o4777,
    **more: object,
) -> bytes:
    """One member as bytes, by Python's own tarfile."""
    shown = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    info = tarfile.TarInfo(shown)
    info.type, info.linkname, info.mode = kind, link, mode
    info.size = len(data) if kind in (tarfile.REGTYPE, tarfile.AREGTYPE) else 0
    pax = more.pop("pax", None)
    for key, value in more.items():
        setattr(info, key, value)
    if pax:
        info.pax_headers = pax  # type: ignore[assignment] # any mapping of str
    head = info.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    return head + (data + bytes(-len(data) % 512) if info.size else b"")


def folder(name: str, **more: object) -> bytes:
    return member(name, tarfile.DIRTYPE, **more)  # type: ignore[arg-type] # passed through


def symlink(name: str, to: str) -> bytes:
    return member(name, tarfile.SYMTYPE, link=to)


def hardlink(name: str, to: str) -> bytes:
    return member(name, tarfile.LNKTYPE, link=to)


def inside(out: str) -> bytes:
    """The path of `out` as folders of the layer: links to it lead there, or the jail leaks."""
    return folder(out)


END = bytes(1024)
_cases: list[Case] = []


def case(name: str, outcome: str, *members: bytes | str) -> None:
    """A case of plain members; a text is a format string for a function of this module."""

    def build(out: str) -> bytes:
        parts = [eval(m, globals(), {"out": out}) if isinstance(m, str) else m for m in members]
        return b"".join(parts) + END

    _cases.append(Case(name, outcome, build))


def raw(name: str, outcome: str, build: Callable[[], bytes]) -> None:
    _cases.append(Case(name, outcome, lambda out: build()))


# Names that lead out.
case("dotdot", REFUSED, member("../evil"))
case("dotdot deep", REFUSED, member(UP + "tmp/evil"))
case("dotdot inside a name", REFUSED, member("a/b/../../../evil"))
case("dotdot that stays inside", KEPT, member("a/../evil"))
case("dotdot folder", REFUSED, folder("../evildir"))
case("only dotdot", REFUSED, folder(".."))
case("dotdot after a slash", REFUSED, member("/../evil"))
case("absolute name", KEPT, 'member(out + "/evil")')
case("absolute folder", KEPT, 'folder(out + "/", mode=0o777)')
case("many slashes", KEPT, member("////evil"))
case("dotdot by pax path", REFUSED, member("x", pax={"path": "../evil"}))
case("dotdot by global pax path", REFUSED, 'global_pax({"path": "../evil"})', member("x"))
case("dotdot by GNU long name", REFUSED, member("a/" * 60 + "../" * 70 + "evil"))
case("NUL in a pax path", REFUSED, member("x", pax={"path": "a\0/../../evil"}))
case("file as the root", KEPT, member("."))
case("link as the root", KEPT, symlink("./", "/etc"))
case("device as the root", KEPT, member("/", tarfile.CHRTYPE))
# Links that lead out, then something through them.
case("through a link up", KEPT, "inside(out)", 'symlink("l", UP + out)', member("l/evil"))
case("through an absolute link", KEPT, "inside(out)", 'symlink("l", out)', member("l/evil"))
case("through a link to the root", KEPT, symlink("l", "/"), member("l/evil"))
case(
    "through two links",
    KEPT,
    "inside(out)",
    'symlink("a", out)',
    symlink("b", "a"),
    member("b/evil"),
)
case(
    "through a link in a folder",
    KEPT,
    "inside(out)",
    folder("d"),
    'symlink("d/l", out)',
    member("d/l/x/evil"),
)
case(
    "folder through a link", KEPT, "inside(out)", 'symlink("l", out)', folder("l/evil", mode=0o777)
)
case("folder over a link", KEPT, 'symlink("l", out)', folder("l", mode=0o777, uid=1234))
case("file over a link", KEPT, 'symlink("l", out + "/secret")', member("l"))
case("link over a folder", KEPT, "inside(out)", folder("d"), 'symlink("d", out)', member("d/evil"))
case("link to itself", REFUSED, symlink("l", "l"), member("l/evil"))
case("links in a circle", REFUSED, symlink("a", "b"), symlink("b", "a"), member("a/evil"))
case("link with a dangling end", EITHER, symlink("l", "/no/where"), member("l/evil"))
case("proc magic link", EITHER, symlink("l", "/proc/self/root"), member("l/evil"))
case("proc cwd link", EITHER, symlink("l", "/proc/self/cwd"), member("l/evil"))
case(
    "device through a link",
    KEPT,
    "inside(out)",
    'symlink("l", out)',
    member("l/evil", tarfile.CHRTYPE),
)
case(
    "fifo through a link",
    KEPT,
    "inside(out)",
    'symlink("l", out)',
    member("l/evil", tarfile.FIFOTYPE),
)
case("link through a link", KEPT, "inside(out)", 'symlink("l", out)', symlink("l/evil", "x"))
case("mode through a last link", KEPT, 'symlink("l", out + "/secret")', member("l", mode=0o777))
case("replace folder by link below", KEPT, "inside(out)", folder("d/e"), 'symlink("d/e", out)',
     member("d/e/evil"), folder("d/e", mode=0o700), member("d/e/fine"))  # fmt: skip
# Hard links.
case("hard link up", REFUSED, hardlink("h", UP + "etc/passwd"))
case("hard link to an absolute file", WAITS, 'hardlink("h", out + "/secret")')
case("hard link through a link", REFUSED, 'symlink("l", out)', hardlink("h", "l/secret"))
case("hard link, then its content", KEPT, 'hardlink("h", out + "/secret")', member("h"))
case("hard link to a link, then write", KEPT, 'symlink("l", out + "/secret")',
     hardlink("h", "l"), member("h"))  # fmt: skip
case("hard link to a folder", REFUSED, folder("d"), hardlink("h", "d"))
case("hard link to the root", REFUSED, hardlink("h", "."))
case("hard link to nothing", WAITS, hardlink("h", "nothing"))
case("hard link to itself", WAITS, hardlink("h", "h"))
case(
    "hard link into a replaced file", KEPT, member("a"), hardlink("b", "a"), member("a", data=b"2")
)
case(
    "hard link made through a link",
    KEPT,
    "inside(out)",
    member("a"),
    'symlink("l", out)',
    hardlink("l/e", "a"),
)
# Whiteouts.
case("whiteout of dotdot", REFUSED, member(".wh..."))
case("whiteout of dot", REFUSED, member(".wh.."))
case("whiteout of nothing", REFUSED, member(".wh."))
case("whiteout of dotdot below", REFUSED, folder("d"), member("d/.wh..."))
case("whiteout through a link", KEPT, "inside(out)", 'symlink("l", out)', member("l/.wh.secret"))
case("whiteout up", REFUSED, member("../.wh.secret"))
case("whiteout folder", REFUSED, folder(".wh.x"), member(".wh.x/evil"))
case("opaque through a link", KEPT, "inside(out)", 'symlink("l", out)', member("l/.wh..wh..opq"))
case("opaque up", REFUSED, member("../.wh..wh..opq"))
case("opaque at the root", KEPT, member(".wh..wh..opq"))
case(
    "aufs link folder",
    KEPT,
    folder(".wh..wh.plnk"),
    member(".wh..wh.plnk/../../../evil"[:17] + "x"),
)
case("unknown whiteout mark", KEPT, member(".wh..wh.evil"))
case("whiteout of its own file", KEPT, member("x"), member(".wh.x"))
# Devices and other kinds.
case("whiteout as a device", KEPT, member("x", tarfile.CHRTYPE, devmajor=0, devminor=0))
case("write to a device", KEPT, member("d", tarfile.BLKTYPE, devmajor=254, devminor=0), member("d"))
case("write to a fifo", KEPT, member("f", tarfile.FIFOTYPE), member("f"))
case(
    "folder in a device",
    REFUSED,
    member("d", tarfile.CHRTYPE, devmajor=1, devminor=3),
    member("d/e"),
)
case("unknown kind", REFUSED, member("x", b"Z"))
case("multi-volume", REFUSED, member("x", b"M"))
# Attributes.
case("overlay redirect", KEPT, folder("d", pax={"SCHILY.xattr.trusted.overlay.redirect": "/etc"}))
case("overlay metacopy", KEPT, member("f", pax={"SCHILY.xattr.trusted.overlay.metacopy": ""}))
case("overlay opaque", KEPT, folder("d", pax={"SCHILY.xattr.trusted.overlay.opaque": "y"}))
case("overlay for users", KEPT, folder("d", pax={"SCHILY.xattr.user.overlay.redirect": "/etc"}))
case(
    "attribute through a link",
    KEPT,
    'symlink("l", out)',
    folder("l", pax={"SCHILY.xattr.user.evil": "1"}),
)
case(
    "attribute on a link",
    KEPT,
    'member("l", tarfile.SYMTYPE, link=out, pax={"SCHILY.xattr.trusted.evil": "1"})',
)
case("huge attribute", REFUSED, member("f", pax={"SCHILY.xattr.user.evil": "x" * 70_000}))
case("attribute without a name", EITHER, member("f", pax={"SCHILY.xattr.": "x"}))
case("capability that is none", REFUSED, member("f", pax={"SCHILY.xattr.security.capability": "x"}))
case("acl that is none", REFUSED, member("f", pax={"SCHILY.xattr.system.posix_acl_access": "x"}))
case("label of a host", KEPT, member("f", pax={"SCHILY.xattr.security.selinux": "x"}))
case("attribute of no kind", KEPT, member("f", pax={"SCHILY.xattr.evil": "x"}))
case("NUL in an attribute", REFUSED, member("f", pax={"SCHILY.xattr.user.a\0b": "x"}))
case("hard link to a whiteout", WAITS, member(".wh.x"), hardlink("h", ".wh.x"))
case("whiteout as a link", KEPT, 'symlink(".wh.x", out)', member(".wh.x"))
case("device beyond", REFUSED, member("d", tarfile.CHRTYPE, devmajor=1 << 24, devminor=1 << 24))
case("owner minus one", REFUSED, member("f", uid=0xFFFFFFFF))
case("owner beyond", REFUSED, member("f", pax={"uid": "99999999999999"}))
case("time beyond", KEPT, member("f", pax={"mtime": "9" * 25}))
case("time before", KEPT, member("f", pax={"mtime": "-" + "9" * 25 + ".5"}))
case("time that is none", REFUSED, member("f", pax={"mtime": "nan"}))
# Names beyond what files may have.
case("name of 300 bytes", REFUSED, member("n" * 300))
case("path of 5000 bytes", REFUSED, member("/".join(["d" * 200] * 25)))
case("name of 2 MiB", REFUSED, member("n/" * (1 << 20)))
case("link of 5000 bytes", REFUSED, symlink("l", "x" * 5000))
case("link to nothing at all", REFUSED, symlink("l", ""))
case("name that is not text", KEPT, member(b"\xff\xfe\x80"))
case("control characters", KEPT, member("a\n\x1b[31mb"))


def global_pax(records: dict[str, str]) -> bytes:
    return tarfile.TarInfo.create_pax_global_header(records)


def header(**fields: bytes) -> bytes:
    """A ustar header with a right checksum and any bytes in its fields."""
    layout = {"name": (0, 100), "mode": (100, 8), "uid": (108, 8), "size": (124, 12),
              "mtime": (136, 12), "kind": (156, 1), "link": (157, 100), "magic": (257, 8),
              "major": (329, 8),
              "sparse": (386, 96), "more": (482, 1), "real": (483, 12)}  # fmt: skip
    block = bytearray(member("x", data=b"")[:512])
    for name, value in fields.items():
        at, size = layout[name]
        block[at : at + size] = value[:size].ljust(size, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _sparse(pieces: list[tuple[int, int]], real: int, size: int) -> bytes:
    area = b"".join(b"%011o\0%011o\0" % piece for piece in pieces)
    return header(
        kind=b"S", magic=b"ustar  \0", sparse=area, real=b"%011o\0" % real, size=b"%011o\0" % size
    )


good = member("a", data=b"x" * 5000)
raw("bad checksum", REFUSED, lambda: good[:148] + b"000000\0 " + good[156:] + END)
raw("flipped bit in a name", REFUSED, lambda: b"b" + good[1:] + END)
raw("flipped bit behind a file", REFUSED, lambda: good + b"b" + good[1:] + END)
raw("no number as size", REFUSED, lambda: header(size=b"12x4") + END)
raw("negative size", REFUSED, lambda: header(size=b"\xff" * 12) + END)
raw("size of exabytes", REFUSED, lambda: header(size=b"\x80\0\0\0\x7f" + b"\xff" * 7) + b"x" * 512)
raw("cut in a header", REFUSED, lambda: good[:300])
raw("cut in a payload", REFUSED, lambda: good[:1500])
raw("cut in a pax header", REFUSED, lambda: member("x", pax={"path": "y" * 600})[:700])
raw("pax header for nothing", REFUSED, lambda: member("x", pax={"path": "y"})[:1024] + END)
raw("random bytes", REFUSED, lambda: bytes(range(256)) * 20)
raw("zeros, then more", REFUSED, lambda: bytes(512) + good + END)
raw("a member after the end", KEPT, lambda: END + member("../evil") + END)
raw("nothing at all", KEPT, lambda: b"")
raw("pax record too long", REFUSED, lambda: header(kind=b"x", size=b"00000000012\0")
    + b"99 path=x\n".ljust(512, b"\0") + good + END)  # fmt: skip
raw(
    "pax header of gigabytes",
    REFUSED,
    lambda: header(kind=b"x", size=b"10000000000\0") + bytes(4096),
)
raw(
    "long name of gigabytes",
    REFUSED,
    lambda: header(kind=b"L", size=b"10000000000\0") + bytes(4096),
)
huge_sparse = header(
    kind=b"S", magic=b"ustar  \0", real=b"\x80\0\0\0\x7f" + b"\xff" * 7, size=b"0\0"
)
raw("sparse file of exabytes", REFUSED, lambda: huge_sparse + END)
raw(
    "sparse map backwards",
    REFUSED,
    lambda: _sparse([(1024, 512), (0, 512)], 4096, 1024) + bytes(1024) + END,
)
raw(
    "sparse map beyond the end",
    REFUSED,
    lambda: _sparse([(8192, 512)], 4096, 512) + bytes(512) + END,
)
raw(
    "sparse map without its data",
    REFUSED,
    lambda: _sparse([(0, 4096)], 4096, 512) + bytes(512) + END,
)
raw("device number beyond", REFUSED, lambda: header(kind=b"3", major=b"\xff" * 8) + END)
raw("cut gzip", REFUSED, lambda: gzip.compress(good + END)[:-30])
raw("wrong crc in gzip", REFUSED, lambda: gzip.compress(good + END)[:-8] + bytes(8))
raw("garbage after gzip", REFUSED, lambda: gzip.compress(good + END) + b"evil")
raw("cut zstd", REFUSED, lambda: zstandard.compress(good + END)[:-5])
raw("zstd with a huge window", REFUSED, lambda: b"\x28\xb5\x2f\xfd\x00\xff" + bytes(100))
raw("skipped frame of 4 GiB", REFUSED, lambda: b"\x50\x2a\x4d\x18" + b"\xff" * 4 + bytes(99))
raw("gzip in gzip", REFUSED, lambda: gzip.compress(gzip.compress(good + END)))


def _zstd_bomb() -> bytes:
    """Five GiB in 160 kB: blocks of one repeated zero, 128 KiB in four bytes (RFC 8878, 3.1.1)."""
    block = struct.pack("<I", (128 << 10) << 3 | 1 << 1)[:3] + b"\0"
    last = struct.pack("<I", 1 << 3 | 1 << 1 | 1)[:3] + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x38" + block * (5 << 13) + last


raw("zstd bomb", REFUSED, _zstd_bomb)

CASES = tuple(_cases)
