"""The command palette: every action of the key table by its words, lists, themes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider

from . import theme

if TYPE_CHECKING:
    from .keys import Key
    from .screens.main import MainScreen

_WHERE = {"Containers": "", "Images": "image: ", "Others": "network, volume: ", "Detail": "show "}


class Actions(Provider):
    """What the main screen can do, for the list that is worked in first."""

    @property
    def _main(self) -> MainScreen:
        from .screens.main import MainScreen

        assert isinstance(self.screen, MainScreen)
        return self.screen

    def _entries(self) -> Iterator[tuple[str, str, str]]:
        """(words, action, help)."""
        main = self._main
        here = main.keys.menu(main.kind)
        rest = [key for key in main.keys.table if not key.on and key.action not in ("", "noop")]
        for key in (*here, *(one for one in rest if "palette" not in one.action)):
            yield f"{_WHERE.get(key.group, '')}{key.label}", key.action, _help(key)
        for one in theme.THEMES:
            yield f"theme {one.name}", f"app.theme('{one.name}')", "colours"
        yield "slow link: on or off", "slow_link", "draws the figures every three seconds"

    async def discover(self) -> Hits:
        """All of it, before anything is typed."""
        for words, action, about in self._entries():
            yield DiscoveryHit(words, lambda action=action: self._do(action), help=about)

    async def search(self, query: str) -> Hits:
        """What matches."""
        matcher = self.matcher(query)
        for words, action, about in self._entries():
            if (score := matcher.match(words)) > 0:
                shown = matcher.highlight(words)
                yield Hit(score, shown, lambda action=action: self._do(action), help=about)

    async def _do(self, action: str) -> None:
        await self._main.run_action(action)


def _help(key: Key) -> str:
    return f"key {key.face}" if key.face else "no key of its own"
