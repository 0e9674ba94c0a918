"""The wheel holds what the tree holds: a forgotten subpackage works in an editable install only."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
FOLDERS = tuple(PROJECT["tool"]["setuptools"]["package-dir"].values())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy: setuptools would leave its build folder in the tree."""
    copy = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TOP / name, copy)
    for folder in FOLDERS:
        shutil.copytree(TOP / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    argv = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*argv, "--no-index", "--wheel-dir", str(copy / "out"), str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (copy / "out").glob("*.whl")
    return zipfile.ZipFile(built)


def in_tree() -> set[str]:
    """Every file of the packages, under the name it has when installed."""
    return {
        f"bayplan/{path.relative_to(TOP)}"
        for folder in FOLDERS
        for path in (TOP / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_every_file_of_the_tree(wheel: zipfile.ZipFile) -> None:
    """Missing: name the subpackage in pyproject.toml. Additional: it is no package file."""
    installed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    missing, additional = in_tree() - installed, installed - in_tree()
    assert not missing, f"in the tree and not in the wheel: {sorted(missing)}"
    assert not additional, f"in the wheel and not in the tree: {sorted(additional)}"


def test_the_wheel_adds_one_top_level_name(wheel: zipfile.ZipFile) -> None:
    """`core`, `tui` and the like would collide with anybody's."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"bayplan"}


def test_the_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    """`bay` is what users type."""
    (entry,) = (n for n in wheel.namelist() if n.endswith("entry_points.txt"))
    assert "bay = bayplan.cli.main:main" in wheel.read(entry).decode()


def test_type_checkers_see_every_folder() -> None:
    """dev/bayplan/ has a link for each package folder, and no other."""
    links = {path.name: path.resolve() for path in (TOP / "dev/bayplan").iterdir()}
    assert links == {folder: (TOP / folder).resolve() for folder in FOLDERS}
