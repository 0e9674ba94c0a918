"""The first answers of the engine, asked for while the screen is still being imported.

The imports take longer than the engine: when the panes stand, the lists are there, and the first
paint is the first useful one. Nothing of Textual is imported here.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..host.errors import BayError
from ..host.light import suppress
from .answers import shape_of
from .model import recall
from .tabs import is_ours

if TYPE_CHECKING:
    from .model import History, Model

PATIENCE = 0.25  # seconds the panes wait for answers that are late; the feed asks anyway
RECENT = 120  # seconds of samples, of which the lists draw the bars
FEW = 100  # containers whose samples are asked for before the first paint
_ASKED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("version", "/version", {}),
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
        self._samples: dict[str, History] = {}
        self._asking = _thread.allocate_lock()  # threading is slow to import
        self._asking.acquire()
        _thread.start_new_thread(self._ask, ())

    def _ask(self) -> None:
        try:
            self._ask_all()
        finally:
            self._asking.release()

    def _ask_all(self) -> None:
        # An engine that speaks another language is the feed's to name.
        with suppress(BayError, OSError, ValueError, AttributeError):
            for kind, path, query in _ASKED:
                reply = shape_of(path)(self._get(path, **query))
                self._got[kind] = (reply.get("Volumes") or []) if kind == "volumes" else reply
            path = "/bay/samples"
            if is_ours(self._got["version"]) and len(self._got["containers"]) <= FEW:
                reply = shape_of(path)(self._get(path, seconds=RECENT))
                self._samples = {
                    identifier: recall(identifier, series)
                    for identifier, series in (reply.get("containers") or {}).items()
                }

    @property
    def is_done(self) -> bool:
        """Whether all answers are there, or none will come any more."""
        return not self._asking.locked()

    def fill(self, model: Model) -> bool:
        """Put what has been answered into `model`, waiting a little; whether all of it was."""
        if self._asking.acquire(timeout=PATIENCE):
            self._asking.release()
        got = dict(self._got)
        whole = all(isinstance(got.get(kind), type(getattr(model, kind))) for kind, _, _ in _ASKED)
        if whole:
            for kind, reply in got.items():
                setattr(model, kind, reply)
            model.samples.update(self._samples)
            model.link = "up"  # who answered all of it is there; the feed says when he is not
        return whole
