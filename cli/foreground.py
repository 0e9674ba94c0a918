"""A container, or an exec in one, in the foreground: streams, signals, terminal, exit code."""

from __future__ import annotations

import _thread
import sys

from ..client.client import Client
from ..host import quickjson
from ..host.errors import BayError
from ..host.light import TYPE_CHECKING, Any, Callable, NamedTuple, suppress
from .app import App
from .errors import CodedError, TerminalError, engine_sentence
from .flags import UsageError

if TYPE_CHECKING:
    import os
    import signal
    from _queue import SimpleQueue
    from types import FrameType

    from ..client.session import Session
else:
    import _signal as signal  # what `signal` wraps in enums, which are slow to import

    from ..host import lightos as os

# What a process gets for reasons of its own, or can't be caught, is not passed on.
_NOT_PASSED = {
    signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT,
    signal.SIGTTIN, signal.SIGTTOU, signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS,
    signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS, signal.SIGALRM,
    signal.SIGVTALRM, signal.SIGPROF,
}  # fmt: skip
# Of the signals that ask a program to end.
_ENOUGH = 3


class Streams(NamedTuple):
    """How the user's terminal and a process meet: a terminal or not, and is stdin passed on."""

    tty: bool
    stdin: bool
    keys: bytes = b""

    @property
    def raw(self) -> bool:
        """Whether our terminal goes into raw mode: the container's does the line editing."""
        return self.tty and self.stdin and sys.stdin.isatty()


def detach_keys(app: App, given: str, tty: bool) -> bytes:
    """The detach sequence: of the flag, else of the settings, else ctrl-p,ctrl-q.

    Without a terminal there is none, and the settings are not read for it.
    """
    if not (given or tty):
        return b""
    from .terminal import DEFAULT_KEYS, parse_keys

    return parse_keys(given or app.config.form("detachKeys") or DEFAULT_KEYS)


def check_terminal(tty: bool, stdin: bool) -> None:
    """Refuse `-it` where there is no terminal, as Docker does. Raises TerminalError."""
    if tty and stdin and not sys.stdin.isatty():
        raise TerminalError


def terminal_size() -> tuple[int, int]:
    """(rows, columns) of the user's terminal; (0, 0) without one."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream.isatty():
            from .terminal import size_of

            return size_of(stream.fileno())
    return 0, 0


def pump(
    session: Session,
    streams: Streams,
    resize: Callable[[int, int], None],
    started: Callable[[], None] = lambda: None,
) -> bool:
    """Carry the streams until the process's end; True when the user detached instead.

    `started` is called with the terminal already raw: what is typed meanwhile isn't lost.
    `resize` tells the engine the terminal's size; the present one first, since it may have changed.
    """
    # Not before: an engine that was asked is at work meanwhile.
    from .streams import Pump
    from .terminal import RawMode, Resizer

    with session, RawMode(sys.stdin.fileno() if streams.raw else -1):
        started()
        carrier = Pump(session, stdin=streams.stdin, keys=streams.keys if streams.raw else b"")
        if not (streams.tty and all(terminal_size())):
            carrier.run()
            return carrier.detached
        fd = sys.stdin.fileno() if sys.stdin.isatty() else sys.stdout.fileno()
        with Resizer(fd, _quiet(resize)) as resizer:
            resizer.check()
            carrier.run()
    return carrier.detached


def _quiet(resize: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """A resize that comes too late or too early isn't worth a word: the next one sets it right."""

    def call(rows: int, columns: int) -> None:
        with suppress(BayError, OSError):
            resize(rows, columns)

    return call


class SignalProxy:
    """Passes the signals we get on to a container, from a thread. Use it in a `with`.

    The third of SIGINT and SIGTERM ends us, as Docker's command: the container may not heed them.
    """

    def __init__(self, client: Client, container: str) -> None:
        self._client = client
        self._container = container
        from _queue import SimpleQueue

        self._queue: SimpleQueue[int | None] = SimpleQueue()
        self._before: dict[int, Any] = {}
        self._asked = 0

    def __enter__(self) -> SignalProxy:
        for number in range(1, 32):
            if number not in _NOT_PASSED:
                self._before[number] = signal.signal(number, self._on_signal)
        _thread.start_new_thread(self._work, ())
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._queue.put(None)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._asked += number in (signal.SIGINT, signal.SIGTERM)
        if self._asked == _ENOUGH:
            sys.stderr.write("\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n")
            raise SystemExit(1)
        self._queue.put(number)

    def _work(self) -> None:
        while (number := self._queue.get()) is not None:
            with suppress(BayError, OSError):
                self._client.post(f"/containers/{self._container}/kill", signal=str(number))


class ExitWaiter:
    """Waits for a container's exit, asked before it starts so that no exit is missed."""

    def __init__(self, client: Client, container: str, condition: str) -> None:
        # The engine sends the header at once, and the body when the container has exited.
        self._answer = client.open(
            "POST", f"/containers/{container}/wait", {"condition": condition}
        )

    def result(self) -> int:
        """The exit code, as soon as there is one. Raises BayError when waiting failed."""
        with self._answer as answer:
            found = quickjson.loads(answer.read())
        message = (found.get("Error") or {}).get("Message")
        if message:
            raise BayError(message)
        return int(found["StatusCode"])

    def close(self) -> None:
        """Give up waiting."""
        self._answer.close()


def start_error(error: BayError) -> CodedError:
    """The error of a start that failed, with Docker's exit code for it.

    127: no such command; 126: it can't be executed; 125: anything else.
    """
    return CodedError(engine_sentence(error), _start_code(str(error).lower()))


def _start_code(text: str) -> int:
    if any(part in text for part in ("executable file not found", "no such file or directory",
                                     "not found in $path", "not found in path")):  # fmt: skip
        return 127
    if any(part in text for part in ("permission denied", "is a directory", "open executable",
                                     "exec format error")):  # fmt: skip
        return 126
    return 125


def write_cidfile(path: str, container: str) -> None:
    """Write a container's id to a file that must not exist yet."""
    with open(path, "x", encoding="ascii") as file:
        file.write(container)


def check_cidfile(path: str) -> None:
    """Refuse a cid file that is there: it may name another container. Raises UsageError."""
    if path and os.path.exists(path):
        raise UsageError(
            f"container ID file found, make sure the other container isn't running or delete {path}"
        )
