"""What engines are killed in the middle of: two registries, images of each kind, one container."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import tarfile
from typing import Any

import zstandard

from . import images, zoo
from .engine import EngineProcess
from .http import Answer
from .ledger import LAYER, ZSTD, Ledger
from .registry import Registry

# Layers large enough for a process of their own (storage/unpackers.py).
LAYERS, FILES, SIZE = 4, 100, 24_000
# Folders of what the container writes, and snapshots of it beside `base`.
KEPT = 4
# Seconds between two pieces of a download: a network that is no loopback.
PACE = 0.003

Tree = dict[bytes, tuple[object, ...]]


class World:
    """One engine, its registries and the images they have; `size` of a layer's files is bytes.

    `second` shares a layer with `first`, `zstd` and `index` have their own; `base` is busybox.
    """

    def __init__(self, engine: EngineProcess, seed: random.Random, size: int) -> None:
        self.engine = engine
        self.random = seed
        self.size = size
        self.ledger = Ledger()
        self.registry = Registry()
        # Layers' blobs: their sizes, by digest.
        self.sizes: dict[str, int] = {}
        self.machine = images.ARCHITECTURES[os.uname().machine]
        self._serve()
        for image in (self.first, self.second, self.base):
            self.pull(image)
        self.archive = engine.api("GET", f"/images/{self.second}/get").body
        body = {"Image": self.first, "Cmd": ["x"]}
        self.ask(201, "POST", "/containers/create?name=killing", body)
        self.write("killing", "start")
        self.ask(201, "POST", "/bay/containers/killing/snapshots", {"Name": "base"})
        self.saved = self.tree("killing")

    def close(self) -> None:
        """End the registries."""
        self.ledger.stop()
        self.registry.stop()

    def _serve(self) -> None:
        self.ledger.pause = PACE
        shared = self.tar("shared")
        made = {
            name: self._image(name, [shared, *(self.tar(f"{name}{n}") for n in range(LAYERS))])
            for name in ("first", "second", "zstd", "inner")
        }
        self.first, self.second, self.zstd = made["first"], made["second"], made["zstd"]
        strange = self._image("strange", [self.tar("strange")])
        architectures = {"s390x": strange, self.machine: made["inner"]}
        self.index = self.ledger.index("index", architectures)
        self.digest = self.ledger.by_digest(self.second)
        busybox = images.busybox()
        layers = [one.read_bytes() for one in busybox.layers]
        self.base = self.ledger.add("busybox", busybox.config, layers)

    def tar(self, top: str) -> bytes:
        """Files that do not compress, so that a download takes as long as it looks."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            for number in range(FILES):
                info = tarfile.TarInfo(f"{top}/{number // 10}/{number}")
                info.size = self.size
                tar.addfile(info, io.BytesIO(self.random.randbytes(self.size)))
        return raw.getvalue()

    def _image(self, name: str, tars: list[bytes]) -> str:
        zstd = name == "zstd"
        pack = zstandard.ZstdCompressor(1).compress if zstd else lambda tar: gzip.compress(tar, 1)
        layers = [pack(tar) for tar in tars]
        self.sizes |= {"sha256:" + hashlib.sha256(one).hexdigest(): len(one) for one in layers}
        ids = ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in tars]
        rootfs = {"type": "layers", "diff_ids": ids}
        config = {"architecture": self.machine, "os": "linux", "rootfs": rootfs}
        kind = ZSTD if zstd else LAYER
        return self.ledger.add(name, json.dumps(config).encode(), layers, kind)

    # --- help for deeds

    def ask(
        self, status: int | tuple[int, ...], method: str, path: str, body: Any = None
    ) -> Answer:
        """One request that has to be answered so, without an error in what flows."""
        answer = self.engine.api(method, path, body)
        wanted = (status,) if isinstance(status, int) else status
        assert answer.status in wanted and b'"error"' not in answer.body, answer.body
        return answer

    def pull(self, image: str) -> None:
        """`docker pull`."""
        answer = self.engine.api("POST", f"/images/create?fromImage={image}")
        wrong = [line["error"] for line in answer.lines() if "error" in line]
        assert answer.status == 200 and not wrong, wrong or answer.body

    def forget(self, *names: str) -> None:
        """Remove images by name, whoever has them."""
        for image in names:
            self.engine.api("DELETE", f"/images/{image}?force=1")

    def names(self) -> set[str]:
        """The names of all images, digests too."""
        rows = self.engine.api("GET", "/images/json?all=1").json()
        return {name for row in rows for key in ("RepoTags", "RepoDigests")
                for name in row[key] or ()}  # fmt: skip

    def write(self, container: str, name: str) -> None:
        """Put a folder of new files into a container."""
        self.ask(200, "PUT", f"/containers/{container}/archive?path=/", self.tar(name))

    def exists(self, what: str) -> bool:
        """Whether the engine knows `containers/NAME/json` or the like."""
        return self.engine.api("GET", f"/{what}").status == 200

    def tree(self, container: str) -> Tree:
        """All that a container wrote."""
        key = self.engine.inspect(container)["Id"]
        return zoo.census(self.engine.root / "snapshots" / key / "diff")
