"""The filter of the lists, and the columns and symbols that need no screen."""

from __future__ import annotations

import pytest
from bayplan.tui.ascii import plain
from bayplan.tui.filters import understand

ROW = "shop-web-1 shop/web:2.1 0d038e3b7718 running backend"
LABELS = {"com.docker.compose.project": "shop", "tier": "front"}


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", True),
        ("web", True),
        ("WEB", True),
        ("web running", True),
        ("web exited", False),
        ("shw", True),  # letters in order, from the beginning of a word
        ("w1", True),  # or of a part of one
        ("hpw", False),  # not from its middle
        ("srb", False),  # and not over several words
        ("!web", False),
        ("!exited", True),
        ("! web", True),  # half typed: as if it were not there
        ("/^shop-web-[0-9]+ /", True),
        ("/^web/", False),
        ("!/^web/", True),
        ("/backend$", True),  # the closing slash may come later
        ("label:tier", True),
        ("label:tier=front", True),
        ("label:tier=back", False),
        ("!label:tier=back", True),
        ("label:", True),
        ("project:shop", True),
        ("project:blog", False),
    ],
)
def test_a_filter_finds_what_it_says(typed: str, found: bool) -> None:
    assert understand(typed).match(ROW, LABELS) is found


def test_a_pattern_that_is_wrong_is_said_and_the_other_words_still_count() -> None:
    broken = understand("/[a/ web")
    assert "[a" in broken.trouble
    assert broken.match(ROW, LABELS) and not broken.match("db", {})


def test_ascii_symbols_are_as_wide_as_what_they_replace() -> None:
    drawn = "╭─ ● running ▁▂▃▄▅▆▇█ 8080→80 ⣿⡀ … ━━ ╯"
    assert plain(drawn).isascii() and len(plain(drawn)) == len(drawn)
