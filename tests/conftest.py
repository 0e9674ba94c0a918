"""Fixtures: one engine and one registry per session, real images, and nothing left at the end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from support import images
from support.engine import EngineProcess, need_root
from support.registry import Registry

# The size of the terminal that the tests are run in: a screen in one of its own would believe it.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

# A shell starts what is in its background with Ctrl-C ignored, and every child inherits that: the
# clients that tests interrupt would go on.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Nor does who starts it with nohup have its children ignore a terminal that is gone.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

PRIVILEGED = ("integration", "compat")

# A busy machine is no failure: hypothesis gives each example 200 ms by default.
hypothesis.settings.register_profile("bay", deadline=None)
hypothesis.settings.load_profile("bay")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests of the real thing fail without root: a skip would look like a pass."""
    folder = Path(item.path).relative_to(Path(__file__).parent).parts[0]
    if folder in PRIVILEGED and os.geteuid() != 0:
        need_root()


@pytest.fixture(scope="session")
def engine() -> Iterator[EngineProcess]:
    """The session's engine. Tests share it: remove what you make, assume nothing about the rest."""
    process = EngineProcess()
    try:
        process.start()
        yield process
    finally:
        process.purge()


@pytest.fixture
def fresh_engine() -> Iterator[Callable[..., EngineProcess]]:
    """`fresh_engine(*arguments)` starts an engine of this test's own, to kill and to restart."""
    made: list[EngineProcess] = []

    def make(*arguments: str) -> EngineProcess:
        process = EngineProcess(arguments)
        made.append(process)
        process.start()
        return process

    yield make
    for process in made:
        process.purge()


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """An empty registry on a free loopback port; `.address`, `.push(image, name, tag)`."""
    need_root()
    running = Registry()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def debian_image(registry: Registry) -> str:
    """Reference of a three-layer Debian with bash and ping, in the registry."""
    return registry.push(images.debian(), "test/debian", images.SUITE)


@pytest.fixture(scope="session")
def busybox_image(registry: Registry) -> str:
    """Reference of a one-layer busybox with every applet, in the registry."""
    return registry.push(images.busybox(), "test/busybox")
