"""SIGKILL at random moments of what an engine does with images: the next one is clean."""

from __future__ import annotations

from collections.abc import Callable

from support.engine import EngineProcess
from support.killing import Killing

# One of each kind of work: `dev/killing.py` does all, hundreds of times.
FEW = ("pull", "commit", "rmi", "load", "rollback", "build", "push", "volume")


# Ten engines start one after another, on a busy machine too.
def test_the_engine_may_die_at_any_moment(fresh_engine: Callable[..., EngineProcess]) -> None:
    """Images read back whole, nothing half is left, the work can be repeated, and nothing that
    was complete is fetched again."""
    killing = Killing(fresh_engine(), seed=4)
    try:
        for what in FEW:
            killing.one(what)
        killing.worker_dies()
    finally:
        killing.close()
