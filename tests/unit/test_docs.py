"""The documents say what is there: no link leads nowhere, no decision is unlisted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PAGES = [*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
# A path of the tree as text: `core/options.py`, `tests/unit/test_imports.py`, `dev/run.sh`.
MENTION = re.compile(r"`((?:api|cli|client|core|host|netns|storage|tui|tests|dev|docs)/[\w./-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_links_and_paths_exist(page: Path) -> None:
    """Every relative link and every path written as code is a file or folder of this tree."""
    text = page.read_text()
    links = [one for one in LINK.findall(text) if "://" not in one]
    missing = [one for one in links if not (page.parent / one).exists()]
    missing += [one for one in MENTION.findall(text) if not (TOP / one).exists()]
    assert not missing


def test_every_decision_is_listed() -> None:
    """docs/decisions/README.md names each page beside it."""
    folder = TOP / "docs/decisions"
    listed = set(LINK.findall((folder / "README.md").read_text()))
    assert listed == {page.name for page in folder.glob("[0-9]*.md")}
