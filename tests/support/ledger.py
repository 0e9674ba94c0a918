"""A registry in memory that writes down what it served: every request and every byte of it."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
_PIECE = 64 << 10


@dataclass
class Served:
    """A GET of a blob: from which byte on, and how many bytes the socket took."""

    digest: str
    start: int
    sent: int = 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed in the middle is what this is for."""


class Ledger:
    """`add(name, config, layers)` puts an image there; `served` tells each GET of a blob."""

    def __init__(self) -> None:
        self._content: dict[str, tuple[bytes, str]] = {}
        self.served: list[Served] = []
        # Seconds between two pieces of a blob: a network that is no loopback.
        self.pause = 0.0
        self._pace = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self)

            do_HEAD = do_GET  # noqa: N815 - http.server's own name

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, name: str, config: bytes, layers: list[bytes], kind: str = LAYER) -> str:
        """An OCI image of layers packed as `kind` says, lowest first; the whole reference."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob(config, CONFIG),
            "layers": [self._blob(layer, kind) for layer in layers],
        }
        return self._manifest(name, manifest)

    def index(self, name: str, images: dict[str, str]) -> str:
        """An index under `name` of images that `add` put there, by architecture; its reference."""
        rows = []
        for architecture, image in images.items():
            key = image.partition("/")[2].replace(":", "/manifests/")
            raw = self._content[key][0]
            self._content[f"{name}/manifests/{_digest(raw)}"] = (raw, MANIFEST)
            platform = {"os": "linux", "architecture": architecture}
            described = {"mediaType": MANIFEST, "digest": _digest(raw), "size": len(raw)}
            rows.append({**described, "platform": platform})
        return self._manifest(name, {"schemaVersion": 2, "mediaType": INDEX, "manifests": rows})

    def by_digest(self, image: str) -> str:
        """The reference `name@digest` of what is tagged `image`."""
        name, _, tag = image.rpartition(":")
        key = f"{name.partition('/')[2]}/manifests/{tag}"
        return f"{name}@{_digest(self._content[key][0])}"

    def _manifest(self, name: str, manifest: dict[str, Any]) -> str:
        raw = json.dumps(manifest).encode()
        for place in ("latest", _digest(raw)):
            self._content[f"{name}/manifests/{place}"] = (raw, manifest["mediaType"])
        return f"{self.address}/{name}:latest"

    def corrupt(self, blob: bytes) -> None:
        """From now on serve other bytes, as many, for `blob`."""
        _, kind = self._content[_digest(blob)]
        self._content[_digest(blob)] = (blob[:-9] + bytes(9), kind)

    def _blob(self, data: bytes, kind: str) -> dict[str, Any]:
        self._content[_digest(data)] = (data, "application/octet-stream")
        return {"mediaType": kind, "digest": _digest(data), "size": len(data)}

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/v2/":
            self._send(handler, 200, b"{}", "application/json")
            return
        _, _, key = handler.path.partition("/v2/")
        is_blob = "/blobs/" in key
        found = self._content.get(key.rpartition("/")[2] if is_blob else key)
        if found is None:
            self._send(handler, 404, b"{}", "application/json")
            return
        data, kind = found
        match = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        entry = Served(_digest(data), start)
        if is_blob and handler.command == "GET":
            self.served.append(entry)
        self._send(handler, 206 if match else 200, data[start:], kind, start, len(data), entry)

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        kind: str,
        start: int = 0,
        total: int = 0,
        entry: Served | None = None,
    ) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        if kind in (MANIFEST, INDEX):
            handler.send_header("Docker-Content-Digest", _digest(body))
        if status == 206:
            handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        handler.end_headers()
        if handler.command == "HEAD":
            return
        for at in range(0, len(body), _PIECE):
            handler.wfile.write(body[at : at + _PIECE])
            if self.pause:
                self._pace.wait(self.pause)
            if entry is not None:
                entry.sent += len(body[at : at + _PIECE])


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
