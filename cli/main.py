"""The program `bay`: reads the flags before the verb, finds the verb, runs it, gives its exit code.

Nothing slow is imported here: `bay ps` in a script or a prompt has to answer at once.
"""

from __future__ import annotations

import sys

from ..host.errors import BayError
from ..host.light import TYPE_CHECKING, Sequence
from . import verbs
from .command import PROGRAM, Command, CountError
from .errors import CodedError, TerminalError, engine_sentence
from .flags import Parsed, UsageError, many, parse, switch, text

if TYPE_CHECKING:
    import os

    from .app import App
else:
    from ..host import lightos as os

GLOBAL_FLAGS = (
    switch("debug", "Show the whole traceback of an error", "D"),
    many("host", "Engine to connect to: unix:///path, tcp://host:port, ssh://user@host", "H"),
    many("context", "Context to use (see `bay context`)", "c", kind="string"),
    text("config", "Folder of the client's settings"),
    switch("tls", "Use TLS; implied by --tlsverify"),
    text("tlscacert", "Trust only certificates signed by this CA"),
    text("tlscert", "TLS certificate of this client"),
    text("tlskey", "TLS key of this client"),
    switch("tlsverify", "Use TLS and check the engine's certificate"),
    switch("read-only", "The screen shows, and changes nothing"),
    switch("version", "Print the version and quit", "v"),
    many("log-level", "Ignored; for scripts written for docker", "l", hidden=True),
)
SIGINT_CODE = 130
# The engine and the screen close in order, and coverage writes its data at the end.
_NEED_AN_END = {"asyncio", "coverage"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. `argv` is without the program's name."""
    words = list(sys.argv[1:] if argv is None else argv)
    code = 1
    try:
        code = _main(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`bay ps | head -1`). Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        code = SIGINT_CODE
    if argv is None and not _NEED_AN_END & sys.modules.keys():
        # Python's own end takes 5 ms to free what the kernel frees at once.
        sys.stderr.flush()
        os._exit(code)
    return code


def _main(words: list[str]) -> int:
    try:
        options = parse(GLOBAL_FLAGS, words, interspersed=False)
    except UsageError as error:
        return _complain(f"{error}\n\nUsage:  {PROGRAM} [OPTIONS] COMMAND [ARG...]\n", 125)
    if options["version"]:
        from ..host.version import VERSION

        print(f"Bayplan version {VERSION}")
        return 0
    rest = options.args
    if options["help"] or rest[:1] == ["help"]:
        return _help([word for word in rest if word != "help"])
    from .app import App  # what comes before needs no client

    app = App(options)
    if rest[:1] == ["__complete"]:
        from .complete import candidates

        print("\n".join(candidates(app, rest[1:], GLOBAL_FLAGS)))
        return 0
    if not rest:
        return _no_verb(app)
    found = verbs.find(rest)
    if found is not None:
        return run_command(app, *found)
    if rest[0] in verbs.GROUPS and all(word in ("--help", "-h") for word in rest[1:]):
        return _help(rest[:1])
    name = " ".join(rest[: 2 if rest[0] in verbs.GROUPS else 1])
    hint = f"{rest[0]} " if rest[0] in verbs.GROUPS else ""
    return _complain(
        f"{PROGRAM}: unknown command: {PROGRAM} {name}\n\n"
        f"Run '{PROGRAM} {hint}--help' for more information",
        1,
    )


def run_command(app: App, command: Command, argv: list[str]) -> int:
    """Parse and run one verb; its exit code. Every error becomes a message on stderr."""
    try:
        parsed = command.parse(argv)
    except UsageError as error:
        return _complain(f"{error}\n{command.hint()}", 1 if isinstance(error, CountError) else 125)
    if parsed["help"]:
        print(command.help(), end="")
        return 0
    try:
        return command.run(app, parsed) or 0
    except UsageError as error:
        if command.failure != 125:
            return _complain(str(error), command.failure)
        hint = f"Run '{PROGRAM} {command.name} --help' for more information"
        return _complain(f"{PROGRAM}: {error}\n\n{hint}", 125)
    except BayError as error:
        if app.options["debug"]:
            raise
        return _complain(
            _sentence(command, error),
            error.code if isinstance(error, CodedError) else command.failure,
        )


def _sentence(command: Command, error: BayError) -> str:
    """The message as Docker prints it: what the engine said is marked as such."""
    text = engine_sentence(error)
    bare = command.failure != 125 or isinstance(error, TerminalError)
    return text if bare else f"{PROGRAM}: {text}"


def _complain(message: str, code: int) -> int:
    from .table import plain

    sys.stdout.flush()
    print(plain(message, "\n"), file=sys.stderr)
    return code


def _help(words: list[str]) -> int:
    if words and (found := verbs.find([*words, ""])) is not None:
        print(found[0].help(), end="")
        return 0
    from .help import overview

    print(overview(words[0] if words else None, GLOBAL_FLAGS), end="")
    return 0


def _no_verb(app: App) -> int:
    """Without a verb: the screen on a terminal, else help."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        from .commands.screen import open_screen

        try:
            return open_screen(app)
        except BayError as error:
            if app.options["debug"]:
                raise
            return _complain(f"{PROGRAM}: {engine_sentence(error)}", 1)
    return _help([])


__all__ = ["GLOBAL_FLAGS", "Parsed", "main", "run_command"]

if __name__ == "__main__":
    sys.exit(main())
