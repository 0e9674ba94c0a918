"""Images to measure with, made of this machine's own files and kept in the tests' cache."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from support import images
from support.registry import Registry

OCI = "application/vnd.oci.image"
RECIPE = 2
LAYERS, FILES, MEGABYTES = 10, 33_000, 700


@dataclass(frozen=True)
class Content:
    """An image in a registry: its reference, the blobs' URLs, and how they are compressed."""

    reference: str
    blobs: tuple[str, ...]
    kind: str


def prepare(registry: Registry) -> dict[str, Content]:
    """Push all images; building them the first time takes a minute."""
    small = images.busybox()
    reference = registry.push(small, "bench/small")
    base = f"http://{registry.address}/v2/bench"
    with open(small.layers[0], "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    made = {"2 MB": Content(reference, (f"{base}/small/blobs/sha256:{digest}",), "gzip")}
    for title, name, kind in (
        ("200 MB, one layer", "single", "gzip"),
        ("30,000 files, gzip", "many", "gzip"),
        ("30,000 files, zstd", "many", "zstd"),
    ):
        layers = cached(name, kind)
        made[title] = _push(registry, f"bench/{name}-{kind}", layers, kind)
    return made


def cached(name: str, kind: str) -> list[tuple[Path, str]]:
    """The compressed layers, lowest first, with their diff ids."""
    place = images.CACHE / f"bench-{name}-{kind}-{RECIPE}"
    with images._locked_cache():
        if not (place / "done").exists():
            place.mkdir(exist_ok=True)
            with ThreadPoolExecutor(2) as pool:
                groups = list(_groups(name))
                ids = list(pool.map(lambda one: _layer(place, kind, *one), enumerate(groups)))
            (place / "done").write_text(json.dumps(ids))
    ids = json.loads((place / "done").read_text())
    return [(place / str(number), diff_id) for number, diff_id in enumerate(ids)]


def _groups(name: str) -> Iterator[list[Path]]:
    """The files of each layer: many small ones, or some of all sizes in a single layer."""
    found = _walk()
    if name == "single":
        total, taken = 0, []
        for path in found:
            size = path.lstat().st_size
            if 200_000 < size < 20_000_000 or len(taken) % 7:
                taken.append(path)
                total += size + 1024
            if total > 205 << 20:
                break
        yield taken
        return
    budget, kept = (MEGABYTES << 20) // FILES, []
    total = 0
    for path in found:
        size = path.lstat().st_size
        if size < 8 << 20 and total + size < (len(kept) + 40) * budget:
            kept.append(path)
            total += size
        if len(kept) == FILES:
            break
    step = -(-len(kept) // LAYERS)
    for at in range(0, len(kept), step):
        yield kept[at : at + step]


def _walk() -> Iterator[Path]:
    for top in ("/usr/share", "/usr/lib", "/usr/bin", "/usr/include", "/usr/sbin", "/usr/local"):
        for folder, folders, names in os.walk(top):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_symlink() or path.is_file():
                    yield path


def _layer(place: Path, kind: str, number: int, paths: list[Path]) -> str:
    """Write one layer; its diff id. A mark of its own keeps the two kinds from sharing it."""
    packer: Any = zlib.compressobj(6, wbits=31)
    if kind == "zstd":
        packer = zstandard.ZstdCompressor(level=3).compressobj()
    digest = hashlib.sha256()
    with open(place / str(number), "wb") as out:

        class Sink(io.RawIOBase):
            def write(self, data: Any) -> int:
                digest.update(data)
                out.write(packer.compress(bytes(data)))
                return len(data)

        with tarfile.open(None, "w|", Sink(), bufsize=1 << 20, format=tarfile.PAX_FORMAT) as tar:
            _fill(tar, f"mark/{kind}-{number}", paths)
        out.write(packer.flush())
    return f"sha256:{digest.hexdigest()}"


def _fill(tar: tarfile.TarFile, mark: str, paths: list[Path]) -> None:
    info = tarfile.TarInfo(mark)
    info.mtime = 1704067200
    tar.addfile(info)
    seen: set[Path] = set()
    for path in paths:
        for folder in reversed(path.parents):
            if folder not in seen:
                seen.add(folder)
                if folder != Path("/"):
                    tar.add(folder, recursive=False, filter=_whole_seconds)
        tar.add(path, recursive=False, filter=_whole_seconds)


def _whole_seconds(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """As builders write it: fractions would take a pax header for each member."""
    info.mtime = int(info.mtime)
    return info


def _push(registry: Registry, name: str, layers: list[tuple[Path, str]], kind: str) -> Content:
    config = images._config([diff_id for _, diff_id in layers], ["sh"])
    described = [
        {"mediaType": f"{OCI}.layer.v1.tar+{kind}", **registry._upload_file(name, path)}
        for path, _ in layers
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": {"mediaType": f"{OCI}.config.v1+json", **registry._upload_bytes(name, config)},
        "layers": described,
    }
    reference = registry.put_manifest(name, "latest", manifest)
    base = f"http://{registry.address}/v2/{name}/blobs/"
    return Content(reference, tuple(base + one["digest"] for one in described), kind)
