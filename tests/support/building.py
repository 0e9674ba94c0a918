"""Contexts and Dockerfiles of the tests, and what came of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .engine import EngineProcess


class Kitchen:
    """Builds with one engine. `base` is what `FROM base` in the tests' Dockerfiles means."""

    def __init__(self, engine: EngineProcess, base: str, folder: Path) -> None:
        self.engine = engine
        self.base = base
        self.folder = folder

    def files(self, files: Mapping[str, str | bytes]) -> None:
        """Write these files of the context; a name that ends with `/` is a folder."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                path.mkdir(exist_ok=True)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content)

    def run(
        self, dockerfile: str, *flags: str, with_docker: bool = False, timeout: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """`bay build`, or the docker command's, of this context."""
        (self.folder / "Dockerfile").write_text(
            dockerfile.replace("FROM base", f"FROM {self.base}")
        )
        command = self.engine.docker if with_docker else self.engine.bay
        return command("build", *flags, str(self.folder), timeout=timeout)

    def image(self, dockerfile: str, *flags: str) -> str:
        """The id of what it makes."""
        done = self.run(dockerfile, "-q", *flags)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def config(self, image: str) -> dict[str, Any]:
        """The image's `Config`."""
        inspected = json.loads(self.engine.bay("inspect", image, check=True).stdout)
        return dict(inspected[0]["Config"])

    def sh(self, image: str, script: str) -> str:
        """What a shell in the image prints."""
        argv = ("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", script)
        return self.engine.bay(*argv, check=True).stdout


def lines_of(done: subprocess.CompletedProcess[str], *words: str) -> list[str]:
    """The lines of the progress that hold one of the words."""
    return [line for line in done.stderr.splitlines() if any(word in line for word in words)]
