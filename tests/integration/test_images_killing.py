"""SIGKILL at random moments of what an engine does with images: the next one is clean."""

from __future__ import annotations

from collections.abc import Callable

from support.engine import EngineProcess
from support.killing import WORK, Killing


# Nine engines start one after another, on a busy machine too.
def test_the_engine_may_die_at_any_moment(fresh_engine: Callable[..., EngineProcess]) -> None:
    """Images read back whole, nothing half is left, the work can be repeated, and nothing that
    was complete is fetched again. `dev/killing.py` does hundreds of these."""
    killing = Killing(fresh_engine(), seed=4)
    try:
        for what in WORK:
            killing.one(what)
        killing.worker_dies()
    finally:
        killing.close()
