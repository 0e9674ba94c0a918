"""Verbs that act on each container named: stop, restart, kill, pause, unpause, wait."""

from __future__ import annotations

from ...host.errors import BayError
from ...host.light import Callable, Iterable
from ..app import App
from ..command import Command
from ..errors import engine_sentence
from ..flags import Parsed, text, whole


def each(app: App, names: Iterable[str], act: Callable[[str], object]) -> int:
    """Do `act` for each name and print what it returns, or the name; 1 when one of them failed.

    A failure doesn't keep the others from their turn. Each name is printed when its turn is over.
    """
    code = 0
    for name in names:
        try:
            answer = act(name)
        except BayError as error:
            app.err(engine_sentence(error))
            code = 1
        else:
            app.out(name if answer is None else answer)
    return code


def _poster(verb: str) -> Callable[[App, Parsed], int]:
    """The runner of a verb that is POST /containers/<name>/<verb>."""

    def run(app: App, parsed: Parsed) -> int:
        params = {
            "t": parsed.values.get("timeout"),
            "signal": parsed.values.get("signal") or None,
        }
        return each(
            app,
            parsed.args,
            lambda name: app.client.post(f"/containers/{name}/{verb}", **params),
        )

    return run


def run_wait(app: App, parsed: Parsed) -> int:
    """Wait for each container and print its exit code."""

    def act(name: str) -> int:
        return int(app.client.post(f"/containers/{name}/wait")["StatusCode"])

    return each(app, parsed.args, act)


_SIGNAL = text("signal", "Signal to send to the container", "s")
_TIMEOUT = whole(
    "timeout", "Seconds to wait before killing the container", "t", default=None, aliases=("time",)
)

STOP = Command(
    "stop [OPTIONS] CONTAINER [CONTAINER...]",
    "Stop one or more running containers",
    _poster("stop"),
    flags=(_SIGNAL, _TIMEOUT),
    least=1,
    most=None,
)
RESTART = Command(
    "restart [OPTIONS] CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    _poster("restart"),
    flags=(_SIGNAL, _TIMEOUT),
    least=1,
    most=None,
)
KILL = Command(
    "kill [OPTIONS] CONTAINER [CONTAINER...]",
    "Kill one or more running containers",
    _poster("kill"),
    flags=(text("signal", "Signal to send to the container (KILL)", "s"),),
    least=1,
    most=None,
)
PAUSE = Command(
    "pause CONTAINER [CONTAINER...]",
    "Pause all processes of one or more containers",
    _poster("pause"),
    least=1,
    most=None,
)
UNPAUSE = Command(
    "unpause CONTAINER [CONTAINER...]",
    "Let the processes of one or more containers go on",
    _poster("unpause"),
    least=1,
    most=None,
)
WAIT = Command(
    "wait CONTAINER [CONTAINER...]",
    "Wait until one or more containers stop, and print their exit codes",
    run_wait,
    least=1,
    most=None,
)
