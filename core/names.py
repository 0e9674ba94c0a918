"""Identifiers and the names of containers that were given none."""

from __future__ import annotations

import secrets
from collections.abc import Callable

_FIRST = (  # noqa: SIM905 - a hundred words read better in lines
    "able amber apt azure bold brave brisk calm clear coral deft eager early even fair fast fine "
    "firm fleet fond free fresh glad gold good grand green hardy keen kind large level light "
    "lively loyal lucid lunar merry mild neat noble open pale plain proud quick quiet rapid ready "
    "ruby sage sharp silver smart snug solar solid sound spare still stout sunny sure swift tidal "
    "tidy true trim vivid warm west white wide wise young"
).split()
_SECOND = (  # noqa: SIM905 - likewise
    "anchor barge beacon boatswain bollard bow bridge brig buoy cabin canal capstan captain cargo "
    "clipper coast compass coxswain crane crew current cutter deck delta dock dory ferry fjord "
    "fleet foam galley gangway gull gunwale halyard harbor hatch hawser helm hold hull inlet jetty "
    "keel ketch lagoon lantern lighter lock mariner marlin mast mate mole moor oar pier pilot "
    "port prow quay raft reef rigger rudder sail schooner seal sextant skiff sloop spar stern "
    "tender tide tiller tug vessel voyage wake wharf winch yawl"
).split()


def new_id() -> str:
    """64 random hex digits: the id of a container, a network, an exec.

    Never all digits in its first twelve, as Docker has it: such a short id would read as a number.
    """
    while True:
        key = secrets.token_hex(32)
        if not key[:12].isdigit():
            return key


def random_name(taken: Callable[[str], bool]) -> str:
    """A free name of two words; `taken` says which are not free."""
    for attempt in range(1000):
        name = f"{secrets.choice(_FIRST)}_{secrets.choice(_SECOND)}"
        if attempt > 5:
            name += str(secrets.randbelow(10 ** (1 + attempt // 50)))
        if not taken(name):
            return name
    return new_id()[:12]
