"""Real images for the tests, built once on this machine from its own distribution."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .engine import SBIN, need_root
from .registry import BuiltImage

CACHE = Path("/var/tmp/bay-test-cache")
SUITE = "bookworm"
# Change it when what is built below changes: the cache is keyed by it.
RECIPE = 3
# What no container of the tests reads: a third of the size pulls in a third of the time.
DROPPED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt/lists",
    "var/log/bootstrap.log",
)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def _config(diff_ids: list[str], command: list[str]) -> bytes:
    machine = os.uname().machine
    value: dict[str, Any] = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": command,
        },
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [
            {"created": "2024-01-01T00:00:00Z", "created_by": f"layer {number}"}
            for number in range(len(diff_ids))
        ],
    }
    return json.dumps(value, sort_keys=True).encode()


def _write_layer(tar: Path, packed: Path) -> str:
    """Gzip `tar` to `packed`, reproducibly; returns the diff id."""
    with open(tar, "rb") as source:
        diff_id = "sha256:" + hashlib.file_digest(source, "sha256").hexdigest()
        source.seek(0)
        with open(packed, "wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    tar.unlink()
    return diff_id


def _load(folder: Path) -> BuiltImage:
    return BuiltImage((folder / "config.json").read_bytes(), tuple(sorted(folder.glob("*.gz"))))


@contextlib.contextmanager
def _locked_cache() -> Iterator[None]:
    """The cache's lock; the folder is only trusted when it is root's alone (/var/tmp is public)."""
    CACHE.mkdir(mode=0o700, exist_ok=True)
    status = CACHE.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o22:
        raise RuntimeError(f"{CACHE} is not a folder that only this user can write; remove it")
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cached(name: str, build: Callable[[Path], None]) -> BuiltImage:
    """The image in the cache, built into a temporary folder first when it isn't there."""
    need_root()
    with _locked_cache():
        place = CACHE / name
        if not place.is_dir():
            for left in CACHE.glob(".tmp-*"):  # from a build that was killed
                shutil.rmtree(left)
            temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=CACHE))
            build(temporary)
            temporary.rename(place)
        return _load(place)


def debian() -> BuiltImage:
    """Debian with ping, in three layers: /usr; the rest; a file changed and one whited out."""
    machine = os.uname().machine
    return _cached(f"debian-{SUITE}-{machine}-{RECIPE}", _build_debian)


def _mirror() -> list[str]:
    """This machine's own Debian mirror, as apt has it; debootstrap's default when there is none."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {SUITE}"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line.rstrip("/") for line in listed.stdout.splitlines() if line.startswith("http")]
    return found[:1]


def _build_debian(folder: Path) -> None:
    tree = folder / "tree"
    argv = ["debootstrap", "--variant=minbase", "--include=iputils-ping", SUITE, str(tree)]
    done = subprocess.run(
        [*argv, *_mirror()],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": os.environ.get("PATH", "") + SBIN},
    )
    if done.returncode != 0:
        raise RuntimeError(f"debootstrap failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    for name in DROPPED:
        path = tree / name
        if path.is_dir():
            shutil.rmtree(path)
            path.mkdir()
        else:
            path.unlink(missing_ok=True)
    for name in ("dev", "proc", "sys"):  # debootstrap's device nodes are the runtime's business
        shutil.rmtree(tree / name, ignore_errors=True)
        (tree / name).mkdir(exist_ok=True)
    (tree / "etc/resolv.conf").write_text("")
    (tree / "etc/motd").write_text("lower\n")
    (tree / "etc/removed").write_text("the third layer removes this\n")

    common = ["tar", "--numeric-owner", "--sort=name", "--xattrs", "--format=pax", "-C", str(tree)]
    diff_ids = []
    for number, members in enumerate((["usr"], ["--exclude=./usr", "."])):
        tar = folder / f"{number}.tar"
        subprocess.run([*common, "-cf", str(tar), *members], check=True)
        diff_ids.append(_write_layer(tar, folder / f"{number}.tar.gz"))
    with tarfile.open(folder / "2.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        _add_file(archive, "etc/motd", b"upper\n")
        _add_file(archive, "etc/.wh.removed", b"")
        _add_file(archive, "opt/bay-test", b"third layer\n")
    diff_ids.append(_write_layer(folder / "2.tar", folder / "2.tar.gz"))
    shutil.rmtree(tree)
    (folder / "config.json").write_bytes(_config(diff_ids, ["/bin/bash"]))


def busybox() -> BuiltImage:
    """The host's static busybox with its applets as links: one layer of two megabytes."""
    program = shutil.which("busybox")
    assert program, "no busybox: run `dev/setup.sh test`"
    key = hashlib.sha256(Path(program).read_bytes()).hexdigest()[:12]

    def build(folder: Path) -> None:
        applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
        with tarfile.open(folder / "0.tar", "w", format=tarfile.PAX_FORMAT) as archive:
            for name, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
                _add(archive, name, tarfile.DIRTYPE, mode)
            _add_file(archive, "bin/busybox", Path(program).read_bytes(), 0o755)
            for applet in applets.stdout.split():
                if applet != "busybox":
                    _add(archive, f"bin/{applet}", tarfile.SYMTYPE, 0o777, "busybox")
            users = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
            _add_file(archive, "etc/passwd", users)
            _add_file(archive, "etc/group", b"root:x:0:\nnogroup:x:65534:\n")
        diff_id = _write_layer(folder / "0.tar", folder / "0.tar.gz")
        (folder / "config.json").write_bytes(_config([diff_id], ["sh"]))

    return _cached(f"busybox-{key}-{RECIPE}", build)


def _add(
    archive: tarfile.TarFile, name: str, kind: bytes, mode: int, link: str = "", data: bytes = b""
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname, entry.size = kind, mode, link, len(data)
    entry.mtime = 1704067200
    archive.addfile(entry, io.BytesIO(data))


def _add_file(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    _add(archive, name, tarfile.REGTYPE, mode, data=data)
