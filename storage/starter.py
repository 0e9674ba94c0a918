"""`starter:latest`: a first image made on this host, so that `bay run` works with no network.

It holds the host's statically linked busybox with a link for each of its applets, and the few
files a shell expects. The same busybox gives the same image, bit by bit.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

from ..host import process
from . import tarheader as tar
from .images import Image
from .store import Store
from .tarheader import Entry
from .tarwriter import END, header, padding

NAME = "starter:latest"
_CREATED = "2026-01-01T00:00:00Z"
_MTIME = 1_767_225_600_000_000_000  # the same moment
_PT_INTERP = 3
_COPY = 1 << 20
# The names Go gives machines, as the OCI image specification wants them.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_FOLDERS = (
    ("bin", 0o755), ("dev", 0o755), ("etc", 0o755), ("home", 0o755), ("proc", 0o555),
    ("root", 0o700), ("run", 0o755), ("sbin", 0o755), ("sys", 0o555), ("tmp", 0o1777),
    ("usr", 0o755), ("usr/bin", 0o755), ("usr/sbin", 0o755), ("var", 0o755),
    ("var/log", 0o755), ("var/tmp", 0o1777),
)  # fmt: skip
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/shells": "/bin/sh\n/bin/ash\n",
    "etc/profile": "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    "export PS1='\\u@\\h:\\w\\$ '\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}


def build_starter(store: Store) -> Image | None:
    """Make (or find) the image and tag it; None when this host has no static busybox."""
    busybox = find_busybox()
    if busybox is None:
        return None
    links = _applets(busybox)
    layer = store.layers.apply(None, _layer(busybox, links))
    with store.layers.lease(layer.diff_id):
        image = store.images.put(_config(layer.diff_id))
        store.images.tag(NAME, image.id)
    return image


def find_busybox() -> Path | None:
    """The host's busybox, if it is statically linked."""
    for name in ("busybox", "busybox-static"):
        found = shutil.which(name, path=process.PATH)
        if found and _is_static(Path(found)):
            return Path(found)
    return None


def _is_static(path: Path) -> bool:
    """Whether an ELF file names no interpreter (elf(5), program headers)."""
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:4] != b"\x7fELF" or len(head) < 64:
            return False
        order = "<" if head[5] == 1 else ">"
        wide = head[4] == 2
        (start,) = struct.unpack_from(order + ("Q" if wide else "I"), head, 32 if wide else 28)
        size, count = struct.unpack_from(order + "HH", head, 54 if wide else 42)
        file.seek(start)
        table = file.read(size * count)
    kinds = [struct.unpack_from(order + "I", table, at)[0] for at in range(0, len(table), size)]
    return _PT_INTERP not in kinds


def _applets(busybox: Path) -> list[str]:
    """Where each applet belongs: `bin/ls`, `usr/bin/env`."""
    paths = process.run([str(busybox), "--list-full"]).stdout.split()
    if not paths:
        paths = [f"bin/{name}" for name in process.run([str(busybox), "--list"]).stdout.split()]
    known = tuple(name + "/" for name, _ in _FOLDERS)
    found = {path for path in paths if path.startswith(known) and path != "bin/busybox"}
    return sorted(found | {"bin/sh"})


def _layer(busybox: Path, links: list[str]) -> Iterator[bytes]:
    """The image's one layer as a tar."""
    for name, mode in _FOLDERS:
        yield header(_entry(name + "/", tar.DIRECTORY, mode))
    for name, text in _FILES.items():
        data = text.encode()
        yield header(_entry(name, tar.REGULAR, 0o644, len(data))) + data + padding(len(data))
    with open(busybox, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        yield header(_entry("bin/busybox", tar.REGULAR, 0o755, size))
        while data := file.read(_COPY):
            yield data
        yield padding(size)
    for path in links:
        entry = _entry(path, tar.SYMLINK, 0o777)
        entry.link = b"/bin/busybox"
        yield header(entry)
    yield END


def _entry(name: str, kind: bytes, mode: int, size: int = 0) -> Entry:
    return Entry(name.encode(), kind, mode, 0, 0, size, _MTIME, b"", 0, 0)


def _config(diff_id: str) -> bytes:
    machine = platform.machine()
    config = {
        "created": _CREATED,
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["sh"],
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [
            {"created": _CREATED, "created_by": "bay: busybox of the host", "comment": "starter"},
            {"created": _CREATED, "created_by": 'CMD ["sh"]', "empty_layer": True},
        ],
    }
    return json.dumps(config, separators=(",", ":")).encode()
