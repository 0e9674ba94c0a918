"""A command that asks the engine one question pays for nothing else: imports cost a user's time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]

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


# As .venv/bin/bay starts: without site, which imports os (dev/editable.py).
BARE = f"import sys; sys.path.append({str(TREE / 'dev')!r});"


@pytest.mark.parametrize("verb", ["run", "ps", "exec", "start", "stop", "rm", "images"])
def test_a_short_verb_does_without_os(verb: str) -> None:
    """Its start, and that of collections.abc, is a seventh of all that `bay exec` runs."""
    code = f"{BARE} from bayplan.cli import verbs, foreground, app;"
    ask = "a = app.App(Parsed(main.GLOBAL_FLAGS)); a.context_name; a.host"
    code += f"from bayplan.cli import main; from bayplan.cli.flags import Parsed; {ask};"
    found = imported("-PS", "-c", f"{code} verbs.find([{verb!r}, 'x'])")
    assert "bayplan.host.lightos" in found
    assert not found & {"os", "_collections_abc"}


def test_what_stands_for_os_does_the_same() -> None:
    """Whether os is there already or not."""
    code = f"""{BARE}
from bayplan.host import lightos
paths = [("~/x",), ("~",), ("x",), ("~root/x",)]
parts = [("a", "b"), ("a/", "b"), ("", "b"), ("a", "/b", "c"), ("a", "")]
def told(os):
    return [
        dict(os.environ),
        *(os.path.expanduser(*p) for p in paths), *(os.path.join(*p) for p in parts),
        os.path.exists("/proc"), os.path.exists("/none"), os.path.exists("a\\0b"), os.O_WRONLY,
    ]
light = lightos.environ, lightos.path.join("a", "b"), lightos.O_WRONLY
assert "os" not in sys.modules
first = told(lightos)
import os
assert first == told(os) == told(lightos)
assert light == (dict(os.environ), "a/b", os.O_WRONLY)
assert lightos.environ is os.environ and lightos.devnull == os.devnull
"""
    environment = {**os.environ, "ODD": "\udcff"}
    subprocess.run([sys.executable, "-PS", "-c", code], check=True, env=environment)


def test_the_screen_does_not_import_the_engine() -> None:
    """The screen knows the engine through its API."""
    found = imported("-c", "import bayplan.tui.app")
    assert "textual" in found
    assert not found & (ENGINE | {"pyroute2", "apsw"})
