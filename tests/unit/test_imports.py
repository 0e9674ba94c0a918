"""A command that asks the engine one question pays for nothing else: imports cost a user's time."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Milliseconds each on a small machine: textual 230, aiohttp 145, pyroute2 110, apsw 15.
HEAVY = {"textual", "aiohttp", "pyroute2", "apsw", "isal", "zstandard", "bittty"}
ENGINE = {"bayplan.core", "bayplan.storage", "bayplan.netns", "bayplan.api"}


def imported(*arguments: str) -> set[str]:
    """Every module a fresh interpreter with `arguments` imports, and the packages above it."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert done.returncode == 0, done.stderr[-2000:]
    names = {line.rpartition("|")[2].strip() for line in lines}
    return {".".join(n.split(".")[:k]) for n in names for k in range(1, n.count(".") + 2)}


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "bayplan.cli.main", "--version"),
        ("-m", "bayplan.cli.main", "--help"),
        ("-m", "bayplan.cli.main", "run", "--help"),
        ("-c", "import bayplan.cli.main"),
        ("-c", "import bayplan.client.client"),
    ],
    ids=" ".join,
)
def test_the_command_line_imports_neither_screen_nor_engine(arguments: tuple[str, ...]) -> None:
    """Only `bay` itself opens the screen and only `bay engine` the engine."""
    found = imported(*arguments)
    assert not found & HEAVY
    assert not found & ENGINE


@pytest.mark.parametrize("verb", ["run", "ps", "exec", "start", "stop", "rm", "images", "build"])
def test_a_short_verb_imports_little_of_the_standard_library(verb: str) -> None:
    """`typing`, `re`, `json` and their like take three times what the verb itself does."""
    code = "from bayplan.cli import verbs, foreground, app; from bayplan.client import client;"
    found = imported("-c", f"{code} verbs.find([{verb!r}, 'x'])")
    heavy = {"typing", "re", "enum", "json", "socket", "threading", "functools", "contextlib"}
    # setuptools' finder of editable installs, where dev/editable.py has not replaced it, has some.
    assert not (found - imported("-c", "pass")) & heavy


def test_the_screen_does_not_import_the_engine() -> None:
    """The screen knows the engine through its API."""
    found = imported("-c", "import bayplan.tui.app")
    assert "textual" in found
    assert not found & (ENGINE | {"pyroute2", "apsw"})
