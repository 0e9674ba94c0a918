"""What the screen asks of the engine while it is still being imported."""

from __future__ import annotations

from typing import Any

import pytest
from bayplan.host.errors import BayError
from bayplan.tui.ahead import Ahead
from bayplan.tui.model import Model

SERIES = {"time": [1e9, 2e9], "cpu": [5, 7], "memory": [1, 2], "memory_limit": 9}
ANSWERS: dict[str, Any] = {
    "/version": {"Version": "1", "Platform": {"Name": "Bayplan"}},
    "/bay/samples": {"containers": {"1a": SERIES}},
    "/containers/json": [{"Id": "1", "State": "exited"}],
    "/info": {"NCPU": 2},
    "/images/json": [{"Id": "2"}],
    "/networks": [],
    "/volumes": {"Volumes": None},
}


def test_all_that_was_answered_is_in_the_model() -> None:
    """The lists, what was measured, and volumes as a list though Docker says null."""
    model = Model()
    assert Ahead(lambda path, **query: ANSWERS[path]).fill(model)
    assert (model.containers, model.images) == ([{"Id": "1", "State": "exited"}], [{"Id": "2"}])
    assert model.link == "up" and model.samples["1a"].cpu[-1] == 7
    assert (model.info, model.networks, model.volumes) == ({"NCPU": 2}, [], [])


@pytest.mark.parametrize("bad", [BayError("it refuses"), OSError("gone"), {"message": "no"}])
def test_what_fails_is_left_to_the_feed(bad: Any) -> None:
    """Half of an answer fills nothing, and nothing is raised."""

    def get(path: str, **query: Any) -> Any:
        if path != "/images/json":
            return ANSWERS[path]
        if isinstance(bad, Exception):
            raise bad
        return bad

    model = Model()
    assert not Ahead(get).fill(model)
    assert model.containers == [] and model.info == {}
