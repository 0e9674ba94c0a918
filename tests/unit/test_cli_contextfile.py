"""Contexts as files: what is packed comes back, and what is no context is said so."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from bayplan.cli import contextfile, platform
from bayplan.cli.contexts import Context
from bayplan.host.errors import InvalidError


def test_a_context_comes_back_with_its_certificates(tmp_path: Path) -> None:
    """Under the new name; the files by what they are."""
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text(f"PEM of {name}")
    files = {name: str(tmp_path / name) for name in ("ca", "cert", "key")}
    packed = contextfile.pack(Context("old", "tcp://far:2376", "A far one", **files))
    found, certificates = contextfile.unpack(packed, "new")
    assert found == Context("new", "tcp://far:2376", "A far one")
    assert certificates == {name: f"PEM of {name}".encode() for name in files}


def test_docker_writes_no_padding_and_a_zip_is_read_too() -> None:
    """docker's tar ends with its last file; both forms of archive are taken."""
    packed = contextfile.pack(Context("old", "ssh://user@far"))
    assert contextfile.unpack(packed.rstrip(b"\0"), "new")[0].host == "ssh://user@far"
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(packed)) as tar,
        zipfile.ZipFile(out, "w") as archive,
    ):
        for entry in tar:
            file = tar.extractfile(entry)
            assert file is not None
            archive.writestr(entry.name, file.read())
    assert contextfile.unpack(out.getvalue(), "new")[0].host == "ssh://user@far"


@pytest.mark.parametrize("data", [b"", b"no archive at all", bytes(2048), b"PK\3\4broken"])
def test_what_is_no_context_is_refused(data: bytes) -> None:
    """One sentence, never a traceback."""
    with pytest.raises(InvalidError, match="no context in the file"):
        contextfile.unpack(data, "new")


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("linux/arm64", True),
        ("LINUX/ARM64", True),
        ("linux/arm64/v8", True),
        ("linux/arm64/v7", False),
        ("linux/amd64", False),
    ],
)
def test_a_platform_fits_with_and_without_its_variant(wanted: str, fits: bool) -> None:
    """A variant counts where one is asked for."""
    assert platform.matches(wanted, "linux", "arm64", "v8") is fits


@pytest.mark.parametrize("wanted", ["linux", "linux/", "a/b/c/d"])
def test_a_platform_of_another_form_is_refused(wanted: str) -> None:
    """With the form it should have."""
    with pytest.raises(InvalidError, match="os/arch"):
        platform.matches(wanted, "linux", "amd64", "")
