"""The app starts in every theme, on terminals with few colours too."""

from __future__ import annotations

from pathlib import Path

import pytest
from bayplan.client.hosts import parse_host
from bayplan.tui import theme, tones
from bayplan.tui.app import BayApp
from bayplan.tui.dialing import Dialer


@pytest.mark.parametrize("name", [one.name for one in theme.THEMES])
@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_every_theme_paints_without_an_engine(
    name: str, size: tuple[int, int], tmp_path: Path
) -> None:
    """A variable that a theme lacks is an error in the stylesheet, and the end of the app."""
    app = BayApp(Dialer(parse_host(f"unix://{tmp_path}/none.sock")), theme_name=name)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert "Containers" in app.export_screenshot().replace("&#160;", " ")


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [
        ({"TERM": "xterm-256color"}, "bay-dark"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "bay-dark"),
        ({"TERM": "linux"}, "bay-ansi"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "bay-ansi"),
        ({"TERM": "linux", "BAY_THEME": "bay-light"}, "bay-light"),
    ],
)
def test_the_theme_follows_the_terminal(environment: dict[str, str], chosen: str) -> None:
    assert tones.choose(environment) == chosen
