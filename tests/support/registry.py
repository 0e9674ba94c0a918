"""Debian's docker-registry on a free loopback port, and a push that is not the engine's own."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .ports import free_port
from .waiting import wait_until

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(frozen=True)
class BuiltImage:
    """An image on the disk: Docker's config, and gzipped layers, lowest first."""

    config: bytes
    layers: tuple[Path, ...]


class Registry:
    """One registry process with its own storage folder below /tmp.

    `htpasswd`, lines of `name:bcrypt hash`, makes it ask for Basic authentication.
    """

    def __init__(self, htpasswd: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bt-registry-", dir="/tmp"))
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        # delete: tests of ours remove manifests and blobs to see the client's answer.
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.address},
        }
        if htpasswd:
            (self.folder / "htpasswd").write_text(htpasswd)
            config["auth"] = {"htpasswd": {"realm": "bay", "path": str(self.folder / "htpasswd")}}
        (self.folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
        self._log = open(self.folder / "log", "wb")  # noqa: SIM115 - closed in stop()
        self._child = subprocess.Popen(
            ["docker-registry", "serve", str(self.folder / "config.yml")],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
            start_new_session=True,
        )
        wait_until(self._is_up, f"registry at {self.address}")

    def _is_up(self) -> bool:
        if self._child.poll() is not None:
            raise AssertionError((self.folder / "log").read_text(errors="replace"))
        try:
            return self.request("GET", "/v2/")[0] in (200, 401)
        except (ConnectionError, http.client.HTTPException):  # not yet
            return False

    def stop(self) -> None:
        """End the process and remove its storage."""
        self._child.terminate()
        self._child.wait(timeout=240)
        self._log.close()
        shutil.rmtree(self.folder)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """One request: status, headers with lower-case names, body. `body` may be an open file."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=240)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def push(self, image: BuiltImage, name: str, tag: str = "latest") -> str:
        """Upload `image` as `name:tag` (Docker schema 2); returns the whole reference."""
        described = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, **self._upload_bytes(name, image.config)},
            "layers": [{"mediaType": LAYER, **self._upload_file(name, p)} for p in image.layers],
        }
        return self.put_manifest(name, tag, described)

    def put_manifest(self, name: str, tag: str, manifest: dict[str, Any]) -> str:
        """Upload a manifest under `name:tag`; returns the whole reference."""
        kind = {"Content-Type": manifest["mediaType"]}
        path = f"/v2/{name}/manifests/{tag}"
        status, _, body = self.request("PUT", path, json.dumps(manifest).encode(), kind)
        assert status == 201, body
        return f"{self.address}/{name}:{tag}"

    def _upload_bytes(self, name: str, data: bytes) -> dict[str, Any]:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self._upload(name, digest, data, len(data))
        return {"digest": digest, "size": len(data)}

    def _upload_file(self, name: str, path: Path) -> dict[str, Any]:
        with open(path, "rb") as file:
            digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            self._upload(name, digest, file, path.stat().st_size)
        return {"digest": digest, "size": path.stat().st_size}

    def _upload(self, name: str, digest: str, body: Any, size: int) -> None:
        if self.request("HEAD", f"/v2/{name}/blobs/{digest}")[0] == 200:
            return
        status, headers, answer = self.request("POST", f"/v2/{name}/blobs/uploads/")
        assert status == 202, answer
        place = headers["location"].removeprefix(f"http://{self.address}")
        sent = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        joint = "&" if "?" in place else "?"
        status, _, answer = self.request("PUT", f"{place}{joint}digest={digest}", body, sent)
        assert status == 201, answer
