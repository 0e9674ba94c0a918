"""Paths below a root folder, as they are written."""

from __future__ import annotations

import pytest
from bayplan.host.inroot import below_root


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("a/b", "a/b"), ("/a/b/", "a/b"), ("//x", "x"), ("///x//y", "x/y"), ("//", ""), ("/", ""),
        ("", ""), (".", ""), ("..", ""), ("../../x", "x"), ("a/./../b", "b"), ("/../x", "x"),
    ],
)  # fmt: skip
def test_a_path_is_seen_from_the_root(path: str, clean: str) -> None:
    """Two slashes at its front are one, whatever POSIX lets them be."""
    assert below_root(path) == clean
