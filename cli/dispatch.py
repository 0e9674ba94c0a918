"""What `bay` does once its own flags are read: finds the verb, runs it, gives its exit code."""

from __future__ import annotations

import sys

from ..host.errors import BayError
from ..host.light import TYPE_CHECKING, Sequence
from . import verbs
from .command import PROGRAM, Command, CountError
from .errors import CodedError, TerminalError, engine_sentence
from .flags import Flag, UsageError

if TYPE_CHECKING:
    from .app import App


def dispatch(app: App, words: list[str], flags: Sequence[Flag]) -> int:
    """Run the verb that `words` begin with; its exit code. `flags` are those before the verb."""
    if words[:1] == ["__complete"]:
        from .complete import candidates

        print("\n".join(candidates(app, words[1:], flags)))
        return 0
    if not words:
        return _no_verb(app, flags)
    found = verbs.find(words)
    if found is not None:
        return _run(app, *found)
    if words[0] in verbs.GROUPS and all(word in ("--help", "-h") for word in words[1:]):
        return show_help(words[:1], flags)
    name = " ".join(words[: 2 if words[0] in verbs.GROUPS else 1])
    hint = f"{words[0]} " if words[0] in verbs.GROUPS else ""
    return complain(
        f"{PROGRAM}: unknown command: {PROGRAM} {name}\n\n"
        f"Run '{PROGRAM} {hint}--help' for more information",
        1,
    )


def _run(app: App, command: Command, argv: list[str]) -> int:
    """Parse and run one verb; its exit code. Every error becomes a message on stderr."""
    try:
        parsed = command.parse(argv)
    except UsageError as error:
        return complain(f"{error}\n{command.hint()}", 1 if isinstance(error, CountError) else 125)
    if parsed["help"]:
        print(command.help(), end="")
        return 0
    try:
        return command.run(app, parsed) or 0
    except UsageError as error:
        if command.failure != 125:
            return complain(str(error), command.failure)
        hint = f"Run '{PROGRAM} {command.name} --help' for more information"
        return complain(f"{PROGRAM}: {error}\n\n{hint}", 125)
    except BayError as error:
        if app.options["debug"]:
            raise
        return complain(
            _sentence(command, error),
            error.code if isinstance(error, CodedError) else command.failure,
        )


def _sentence(command: Command, error: BayError) -> str:
    """The message as Docker prints it: what the engine said is marked as such."""
    text = engine_sentence(error)
    bare = command.failure != 125 or isinstance(error, TerminalError)
    return text if bare else f"{PROGRAM}: {text}"


def complain(message: str, code: int) -> int:
    """Print an error; the exit code, which is `code`."""
    from .table import plain

    sys.stdout.flush()
    print(plain(message, "\n"), file=sys.stderr)
    return code


def show_help(words: list[str], flags: Sequence[Flag]) -> int:
    """Print the help of a verb, of a group or of everything; the exit code."""
    if words and (found := verbs.find([*words, ""])) is not None:
        print(found[0].help(), end="")
        return 0
    from .help import overview

    print(overview(words[0] if words else None, flags), end="")
    return 0


def _no_verb(app: App, flags: Sequence[Flag]) -> int:
    """Without a verb: the screen on a terminal, else help."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        from .commands.screen import open_screen

        try:
            return open_screen(app)
        except BayError as error:
            if app.options["debug"]:
                raise
            return complain(f"{PROGRAM}: {engine_sentence(error)}", 1)
    return show_help([], flags)
