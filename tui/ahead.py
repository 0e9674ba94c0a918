"""The first answers of the engine, asked for while the screen is still being imported.

The imports take longer than the engine: when the panes stand, the lists are there, and the first
paint is the first useful one. Nothing of Textual is imported here.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..host.errors import BayError
from .answers import shape_of

if TYPE_CHECKING:
    from .model import Model

PATIENCE = 0.25  # seconds the panes wait for answers that are late; the feed asks anyway
_ASKED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("containers", "/containers/json", {"all": True}),
    ("info", "/info", {}),
    ("images", "/images/json", {}),
    ("networks", "/networks", {}),
    ("volumes", "/volumes", {}),
)


class Ahead:
    """Asks with `get(path, **query)` in a thread of its own; what fails is left to the feed."""

    def __init__(self, get: Callable[..., Any]) -> None:
        self._get = get
        self._got: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._ask, name="ahead", daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        # An engine that speaks another language is the feed's to name.
        with contextlib.suppress(BayError, OSError, ValueError, AttributeError):
            for kind, path, query in _ASKED:
                reply = shape_of(path)(self._get(path, **query))
                self._got[kind] = (reply.get("Volumes") or []) if kind == "volumes" else reply

    def fill(self, model: Model) -> bool:
        """Put what has been answered into `model`, waiting a little; whether all of it was."""
        self._thread.join(PATIENCE)
        got = dict(self._got)
        whole = all(isinstance(got.get(kind), type(getattr(model, kind))) for kind, _, _ in _ASKED)
        if whole:
            for kind, reply in got.items():
                setattr(model, kind, reply)
        return whole
