"""The form of a build."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from ..host.errors import InvalidError
from .builds import Build
from .forms import Form, Line, Values
from .model import Json


def form(local: bool) -> Form:
    """Asks for the folder and the name; `local` says that the engine sees this machine's files."""
    here = Path.cwd()
    lines = (
        Line("folder", "Folder", "the context, with its Dockerfile", str(here)),
        Line("dockerfile", "Dockerfile", "Dockerfile"),
        Line("tag", "Name", "name:tag of the image", f"{here.name.lower() or 'image'}:latest"),
        Line("arguments", "Arguments", "NAME=value 'OTHER=two words'"),
        Line("target", "Target", "the last stage"),
    )
    toggles = (("nocache", "without the cache", False), ("pull", "pull newer base images", False))

    def make(values: Values) -> Build:
        folder = Path(os.path.abspath(os.path.expanduser(str(values["folder"]).strip() or ".")))
        dockerfile = str(values["dockerfile"]).strip() or "Dockerfile"
        if not folder.is_dir():
            raise InvalidError(f"folder: there is no folder {folder}")
        if not (folder / dockerfile).is_file():
            raise InvalidError(f"folder: there is no {dockerfile} in {folder}")
        tag = str(values["tag"]).strip()
        options: Json = {
            "buildargs": _arguments(str(values["arguments"])),
            "target": str(values["target"]).strip(),
            "nocache": bool(values["nocache"]),
            "pull": bool(values["pull"]),
        }
        return Build(folder, dockerfile, [tag] if tag else [], options, local)

    return Form("Build an image", "Build", lines, make, toggles)


def _arguments(text: str) -> dict[str, str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidError(f"arguments: {error}") from error
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise InvalidError(f"arguments: {name or text}: write NAME=value")
    return {name: value for name, _, value in pairs}
