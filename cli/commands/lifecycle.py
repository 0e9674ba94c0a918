"""Verbs that act on each container named: stop, restart, kill, pause, unpause, wait."""

from __future__ import annotations

import _queue
import _thread

from ...host.errors import BayError
from ...host.light import Callable, Iterable, Iterator
from ..app import App
from ..command import Command
from ..errors import engine_sentence
from ..flags import Parsed, text, whole

# Containers of one command that are stopped or removed at the same time: each waits for the kernel.
AT_ONCE = 8


def each(app: App, names: Iterable[str], act: Callable[[str], object], at_once: int = 1) -> int:
    """Do `act` for each name and print what it returns, or the name; 1 when one of them failed.

    Nothing is printed for "".

    A failure doesn't keep the others from their turn. Each name is printed when its turn is over,
    in the order given; with `at_once` so many are under way at a time.
    """
    code = 0
    for name, turn in _turns(list(names), act, at_once):
        try:
            answer = turn()
        except BayError as error:
            app.err(engine_sentence(error))
            code = 1
        else:
            if answer != "":
                app.out(name if answer is None else answer)
    return code


def _turns(
    names: list[str], act: Callable[[str], object], at_once: int
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each name with a function that gives what `act` returned, or raises what it raised."""
    if at_once == 1 or len(names) == 1:
        for name in names:
            yield name, lambda name=name: act(name)  # type: ignore[misc] # bound at once
        return
    turns = [_Turn(name, act) for name in names]
    waiting: _queue.SimpleQueue[_Turn] = _queue.SimpleQueue()
    for turn in turns:
        waiting.put(turn)
    for _ in range(min(at_once, len(turns))):
        _thread.start_new_thread(_work, (waiting,))
    for turn in turns:
        yield turn.name, turn.result


class _Turn:
    """One name's turn in a thread; `threading` would cost more than most of what is done here."""

    def __init__(self, name: str, act: Callable[[str], object]) -> None:
        self.name = name
        self._act = act
        self._over = _thread.allocate_lock()
        self._over.acquire()
        self._answer: object = None
        self._error: BaseException | None = None

    def take(self) -> None:
        """Do it; what it raises is for `result`."""
        try:
            self._answer = self._act(self.name)
        except BaseException as error:  # told in the main thread
            self._error = error
        finally:
            self._over.release()

    def result(self) -> object:
        """Wait for the end of the turn."""
        self._over.acquire()
        if self._error is not None:
            raise self._error
        return self._answer


def _work(waiting: _queue.SimpleQueue[_Turn]) -> None:
    while not waiting.empty():
        try:
            turn = waiting.get_nowait()
        except _queue.Empty:
            return
        turn.take()


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
            AT_ONCE,
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
