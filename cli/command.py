"""A verb: its flags, its arguments, its help."""

from __future__ import annotations

from ..host.light import TYPE_CHECKING, Callable, NamedTuple, Sequence
from .flags import HELP, Flag, Parsed, UsageError, parse

if TYPE_CHECKING:
    from .app import App

PROGRAM = "bay"


class Command(NamedTuple):
    """One verb.

    `usage` is its synopsis after the program's name, starting with its full name ("ps [OPTIONS]").
    `run` gets the app and what was parsed, and returns the exit code (None: 0). Between `least` and
    `most` arguments are allowed; `most=None` is without limit.
    """

    usage: str
    summary: str
    run: Callable[[App, Parsed], int | None]
    flags: tuple[Flag, ...] = ()
    least: int = 0
    most: int | None = 0
    # False: flags end at the first argument, as the rest belongs to the container's process.
    interspersed: bool = True
    # Docker's exit code when the engine refuses: 125 for the verbs that pass on a process's code.
    failure: int = 1

    @property
    def name(self) -> str:
        """The verb in full: "ps", "volume ls"."""
        words = []
        for word in self.usage.split():
            if not word.islower() or word.startswith("["):
                break
            words.append(word)
        return " ".join(words)

    def parse(self, argv: Sequence[str]) -> Parsed:
        """Read the command line and check the number of arguments. Raises UsageError."""
        parsed = parse(self.flags, argv, self.interspersed)
        if not parsed["help"]:
            self._check_count(len(parsed.args))
        return parsed

    def _check_count(self, count: int) -> None:
        if count >= self.least and (self.most is None or count <= self.most):
            return
        if self.most == 0:
            problem = "accepts no arguments"
        elif self.least == self.most:
            problem = f"requires {_arguments(self.least)}"
        elif count < self.least:
            problem = f"requires at least {_arguments(self.least)}"
        else:
            problem = f"requires at most {_arguments(self.most or 0)}"
        raise CountError(f"{PROGRAM}: '{PROGRAM} {self.name}' {problem}")

    def help(self) -> str:
        """The text of `--help`."""
        return f"Usage:  {PROGRAM} {self.usage}\n\n{self.summary}\n{flag_table(self.flags)}"

    def hint(self) -> str:
        """What follows a usage error."""
        return (
            f"\nUsage:  {PROGRAM} {self.usage}\n\n"
            f"Run '{PROGRAM} {self.name} --help' for more information"
        )


class CountError(UsageError):
    """Too few or too many arguments: Docker's exit code is 1, that of a wrong flag 125."""


def _arguments(count: int) -> str:
    return f"{count} argument" if count == 1 else f"{count} arguments"


def flag_table(flags: Sequence[Flag], title: str = "Options") -> str:
    """The flags as help shows them, sorted by name; empty when there are none."""
    import shutil
    import textwrap

    shown = sorted((f for f in flags if not f.hidden), key=lambda flag: flag.name)
    if not shown:
        return ""
    if any(flag.short == "h" for flag in shown):
        shown = sorted((*shown, HELP), key=lambda flag: flag.name)
    lefts = [
        (f"  -{f.short}, " if f.short else "      ") + f"--{f.name} {f.kind}".rstrip()
        for f in shown
    ]
    indent = max(map(len, lefts)) + 3
    width = max(shutil.get_terminal_size().columns, indent + 30)
    lines = [f"\n{title}:"]
    for left, flag in zip(lefts, shown, strict=True):
        text = textwrap.wrap(flag.about + _default(flag), width - indent) or [""]
        lines.append(left.ljust(indent) + text[0])
        lines += [" " * indent + more for more in text[1:]]
    return "\n".join(lines) + "\n"


def _default(flag: Flag) -> str:
    """What help says of a default that is worth saying."""
    if flag.many or flag.default in ("", None, 0, False):
        return ""
    shown = f'"{flag.default}"' if isinstance(flag.default, str) else str(flag.default).lower()
    return f" (default {shown})"
