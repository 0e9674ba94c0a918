"""The fixtures themselves: the registry serves what was pushed, the terminal sees what is there."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile

import pytest
from bayplan.core.options import Options
from support import leaks
from support.registry import Registry
from support.terminal import Terminal


def layers_of(registry: Registry, reference: str) -> list[bytes]:
    name, _, tag = reference.removeprefix(f"{registry.address}/").rpartition(":")
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    status, _, body = registry.request("GET", f"/v2/{name}/manifests/{tag}", headers=accept)
    assert status == 200
    blobs = [layer["digest"] for layer in json.loads(body)["layers"]]
    return [registry.request("GET", f"/v2/{name}/blobs/{digest}")[2] for digest in blobs]


def test_busybox_image_has_a_shell(registry: Registry, busybox_image: str) -> None:
    """The pushed image is one layer in which /bin/sh is busybox."""
    (layer,) = layers_of(registry, busybox_image)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer))) as archive:
        assert archive.getmember("bin/sh").linkname == "busybox"


def test_debian_image_has_three_layers(registry: Registry, debian_image: str) -> None:
    """bash and ping lie in the first layer, a whiteout in the third."""
    layers = layers_of(registry, debian_image)
    assert len(layers) == 3
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layers[0]))) as archive:
        names = archive.getnames()
    assert "usr/bin/bash" in names and "usr/bin/ping" in names
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layers[2]))) as archive:
        assert "etc/.wh.removed" in archive.getnames()


def test_terminal_waits_for_what_comes_after() -> None:
    """A wait never matches what an earlier wait has passed; the exit code comes through."""
    script = "import sys; print('one'); input(); print('one again'); sys.exit(7)"
    with Terminal([sys.executable, "-c", script]) as terminal:
        terminal.wait_for("one")
        terminal.line("")
        terminal.wait_for("one again")
        assert terminal.wait() == 7
        with pytest.raises(AssertionError, match="no 'two'"):
            terminal.wait_for("two", timeout=1)


def test_leak_check_sees_a_mount(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A mount below the root is named, and nothing is once it is gone."""
    from bayplan.host import syscalls

    root = tmp_path_factory.mktemp("leaks")
    options = Options(root / "root", root / "run")
    point = options.root / "merged"
    point.mkdir(parents=True)
    assert leaks.find(options) == []
    syscalls.mount("tmpfs", str(point), "tmpfs")
    try:
        assert leaks.find(options) == [f"mount {point}"]
    finally:
        syscalls.umount(str(point))
    assert leaks.find(options) == []
