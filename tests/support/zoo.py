"""An image with one of everything that a layer can hold, and the look at a tree entry by entry."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from pathlib import Path

from . import images
from .registry import BuiltImage

# vfs_cap_data, revision 2: cap_net_raw, effective (capabilities(7)).
CAPABILITY = "\x01\0\0\x02\0\x20\0\0" + "\0" * 12
LONG = "n" * 250
BYTES = b"caf\xe9-\xff"
DIRECTORY, SYMLINK, HARDLINK = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
CHAR, BLOCK, FIFO = tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE


class Tar:
    """A layer being written; `add` takes what `tarfile.TarInfo` has."""

    def __init__(self) -> None:
        self._raw = io.BytesIO()
        self._tar = tarfile.open(  # noqa: SIM115 - closed in raw()
            fileobj=self._raw, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape"
        )

    def add(self, name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **more: object):  # type: ignore[no-untyped-def]
        info = tarfile.TarInfo(name)
        info.type, info.size, info.mtime = kind, len(data), 1_500_000_000
        info.mode = 0o755 if kind == DIRECTORY else 0o644
        xattrs = {f"SCHILY.xattr.{key}": value for key, value in more.pop("xattrs", {}).items()}  # type: ignore[attr-defined]
        for key, value in more.items():
            setattr(info, key, value)
        info.pax_headers = xattrs
        self._tar.addfile(info, io.BytesIO(data))

    def raw(self) -> bytes:
        self._tar.close()
        return self._raw.getvalue()


def build(folder: Path) -> BuiltImage:
    """Busybox, then a layer of everything, then one that changes and removes some of it."""
    base = images.busybox()
    parts = [_everything(), _changes()]
    config = json.loads(base.config)
    layers = list(base.layers)
    for number, raw in enumerate(parts):
        place = folder / f"zoo-{number}.tar.gz"
        place.write_bytes(gzip.compress(raw, 1, mtime=0))
        layers.append(place)
        config["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(raw).hexdigest())
        config["history"].append({"created": "2024-01-01T00:00:00Z", "created_by": f"zoo {number}"})
    return BuiltImage(json.dumps(config).encode(), tuple(layers))


def _everything() -> bytes:
    tar = Tar()
    tar.add("zoo", DIRECTORY, mode=0o2751, uid=3_000_000, gid=70_000, mtime=1_234_567_890.25)
    tar.add("zoo/plain", data=b"plain\n", uid=1000, gid=1001, mtime=1_111_111_111.125)
    tar.add("zoo/suid", data=b"#!\n", mode=0o4755)
    tar.add("zoo/sgid", data=b"#!\n", mode=0o2711, gid=42)
    tar.add("zoo/sticky", DIRECTORY, mode=0o1777, mtime=1_000_000_000)
    tar.add("zoo/secret", data=b"x", mode=0)
    tar.add("zoo/capable", data=b"x", mode=0o755, xattrs={"security.capability": CAPABILITY})
    tar.add("zoo/noted", data=b"x", xattrs={"user.note": "kept"})
    tar.add("zoo/link", SYMLINK, linkname="plain", uid=5, gid=6)
    tar.add("zoo/dangling", SYMLINK, linkname="/no/where/" + "x" * 200)
    tar.add("zoo/one", data=b"linked\n" * 100)
    tar.add("zoo/links", DIRECTORY)
    for number in range(40):
        tar.add(f"zoo/links/{number}", HARDLINK, linkname="zoo/one")
    tar.add("zoo/char", CHAR, devmajor=1, devminor=3, mode=0o666)
    tar.add("zoo/block", BLOCK, devmajor=259, devminor=70_000, mode=0o660, gid=6)
    tar.add("zoo/fifo", FIFO, mode=0o600)
    tar.add(f"zoo/{LONG}", data=b"long")
    for depth in range(1, 4):
        tar.add("zoo/" + "/".join(["d" * 90] * depth), DIRECTORY)
    tar.add("zoo/" + "/".join(["d" * 90] * 4), data=b"deep")
    tar.add("zoo/" + os.fsdecode(BYTES), data=b"bytes")
    tar.add("zoo/spaces and\ttabs\n", data=b"odd")
    tar.add("zoo/sparse", data=b"a" + bytes(4 << 20) + b"z")
    tar.add("zoo/empty", data=b"")
    for name in ("to-file", "to-link", "opaque", "gone"):
        tar.add(f"zoo/{name}", DIRECTORY)
        tar.add(f"zoo/{name}/inner", data=name.encode())
    tar.add("zoo/to-folder", data=b"was a file")
    tar.add("zoo/removed", data=b"x")
    return tar.raw()


def _changes() -> bytes:
    tar = Tar()
    tar.add("zoo", DIRECTORY, mode=0o2751, uid=3_000_000, gid=70_000, mtime=1_234_567_891.5)
    tar.add("zoo/.wh.removed")
    tar.add("zoo/.wh.gone")
    tar.add("zoo/opaque", DIRECTORY, mtime=1_400_000_000)
    tar.add("zoo/opaque/.wh..wh..opq")
    tar.add("zoo/opaque/new", data=b"new")
    tar.add("zoo/to-file", data=b"now a file")
    tar.add("zoo/to-link", SYMLINK, linkname="opaque")
    tar.add("zoo/to-folder", DIRECTORY)
    tar.add("zoo/to-folder/new", data=b"new")
    tar.add("zoo/plain", data=b"changed\n", mode=0o600, mtime=1_600_000_000.5)
    return tar.raw()


def census(top: Path) -> dict[bytes, tuple[object, ...]]:
    """Every entry below `top`: kind and mode, owner, size, time, device, link, content, extended
    attributes, and the hard links it shares its inode with."""
    found: dict[bytes, tuple[object, ...]] = {}
    groups: dict[int, list[bytes]] = {}
    for folder, folders, names in os.walk(os.fsencode(top)):
        for name in [*folders, *names]:
            place = os.path.join(folder, name)
            path = os.path.relpath(place, os.fsencode(top))
            status = os.lstat(place)
            told: list[object] = [
                oct(status.st_mode), status.st_uid, status.st_gid, status.st_rdev,
                status.st_mtime_ns,
            ]  # fmt: skip
            if stat.S_ISLNK(status.st_mode):
                told.append(os.readlink(place))
            elif stat.S_ISREG(status.st_mode):
                told += [
                    status.st_size,
                    hashlib.sha256(Path(os.fsdecode(place)).read_bytes()).hexdigest(),
                ]
            keys = sorted(os.listxattr(place, follow_symlinks=False))
            told += [
                (key, os.getxattr(place, key, follow_symlinks=False))
                for key in keys
                if not key.startswith("trusted.overlay.")
            ]
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                groups.setdefault(status.st_ino, []).append(path)
            found[path] = tuple(told)
    for group in groups.values():
        for path in group:
            found[path] += (tuple(sorted(group)),)
    return found
