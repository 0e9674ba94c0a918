"""One context built by two engines: whether their images are the same."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

KEYS = (
    *("Env", "Cmd", "Entrypoint", "ExposedPorts", "Volumes", "WorkingDir", "User", "Labels"),
    *("OnBuild", "StopSignal", "Shell", "Healthcheck"),
)
# What each engine puts in a container for itself.
_OWN = (
    "dev",
    "proc",
    "sys",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/mtab",
    ".dockerenv",
)


class Side:
    """An engine behind a docker socket."""

    def __init__(self, socket: Path) -> None:
        self._command = ["docker", "-H", f"unix://{socket}"]

    def run(self, *words: str, timeout: float = 240) -> subprocess.CompletedProcess[bytes]:
        """The docker command against it."""
        return subprocess.run(
            [*self._command, *words], capture_output=True, timeout=timeout, check=False
        )

    def build(self, folder: Path, flags: Sequence[str] = ()) -> tuple[str, str]:
        """(image, "") of a context, or ("", what was said)."""
        done = self.run("build", "-q", *flags, str(folder))
        if done.returncode:
            return "", (done.stderr + done.stdout).decode(errors="replace")
        return done.stdout.decode().split()[-1], ""

    def config(self, image: str) -> dict[str, Any]:
        """What of its settings is compared; empty ones are as if not there."""
        found = json.loads(self.run("inspect", image).stdout)[0]["Config"]
        return {key: found[key] for key in KEYS if found.get(key)}

    def tree(self, image: str) -> dict[str, tuple[Any, ...]]:
        """Every file of it: kind, mode, owner, link, content."""
        created = self.run("create", image, "x")
        assert created.returncode == 0, created.stderr.decode()
        made = created.stdout.decode().strip()
        try:
            done = self.run("export", made)
            assert done.returncode == 0 and done.stdout, f"export: {done.stderr.decode()}"
            data = done.stdout
        finally:
            self.run("rm", "-f", made)
        files = {}
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for entry in archive:
                name = entry.name.strip("/").removeprefix("./")
                if name in ("", ".") or name.startswith(_OWN):
                    continue
                content = archive.extractfile(entry) if entry.isreg() else None
                digest = hashlib.sha256(content.read()).hexdigest() if content else ""
                kind = tarfile.REGTYPE if entry.islnk() else entry.type
                link = "" if entry.islnk() else entry.linkname
                if entry.islnk():
                    digest = files[entry.linkname.removeprefix("./")][-1]
                mode = 0 if entry.issym() else entry.mode & 0o7777
                files[name] = (kind, mode, entry.uid, entry.gid, link, digest)
        return files


def differences(ours: Side, theirs: Side, folder: Path, flags: Sequence[str] = ()) -> list[str]:
    """What differs between the two images of one context; empty when nothing does."""
    theirs_image, theirs_words = theirs.build(folder, flags)
    ours_image, ours_words = ours.build(folder, flags)
    if not theirs_image or not ours_image:
        if bool(theirs_image) == bool(ours_image):
            return []
        return [f"only one of them built it: {ours_words or theirs_words}"]
    found = []
    mine, other = ours.config(ours_image), theirs.config(theirs_image)
    for key in KEYS:
        if mine.get(key) != other.get(key):
            found.append(f"{key}: {mine.get(key)} is not {other.get(key)}")
    my_files, other_files = ours.tree(ours_image), theirs.tree(theirs_image)
    for name in sorted({*my_files, *other_files}):
        if my_files.get(name) != other_files.get(name):
            found.append(f"{name}: {my_files.get(name)} is not {other_files.get(name)}")
    for side, image in ((ours, ours_image), (theirs, theirs_image)):
        side.run("rmi", "-f", image)
    return found
