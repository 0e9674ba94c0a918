"""The linter's findings in a build's file, with what the engine knows of its base images."""

from __future__ import annotations

import contextlib

from ...host.errors import BayError
from ...host.threads import offload_long
from ...storage.store import Store
from . import lint
from .parser import Dockerfile
from .request import Request
from .stages import Plan
from .tree import Tree


async def of(
    store: Store, request: Request, tree: Tree, file: Dockerfile, plan: Plan
) -> list[lint.Finding]:
    """All of them, in order of the lines. In a thread: a file of megabytes takes seconds."""
    return await offload_long(_look, store, request, tree, file, plan)


def _look(
    store: Store, request: Request, tree: Tree, file: Dockerfile, plan: Plan
) -> list[lint.Finding]:
    bases = _variables(store, plan)
    return lint.check(lint.Look(file, plan, tree.ignore, request.build_args, bases))


def _variables(store: Store, plan: Plan) -> dict[int, set[str]]:
    """The names that the base images which are here set, by the number of their stage."""
    found = {}
    for stage in plan.stages:
        if stage.base_stage is None:
            with contextlib.suppress(BayError):
                pairs = (store.images.resolve(stage.base).config.get("config") or {}).get("Env")
                found[stage.index] = {pair.partition("=")[0] for pair in pairs or []}
    return found
