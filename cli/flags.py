"""Flags the way Docker's command line has them (GNU style, as Go's pflag reads it).

argparse can't do it: it takes unique prefixes, has no `-it` followed by a value in the same word
for repeated flags after a positional, and costs 8 ms of imports.
"""

from __future__ import annotations

from ..host.light import Any, Callable, Iterable, NamedTuple, Sequence
from . import units


class UsageError(Exception):
    """The command line is wrong. The message is Docker's; the command adds its usage."""


class Flag(NamedTuple):
    """One flag. `convert` raises ValueError with a reason; `kind` is what help shows for a value.

    An empty `kind` is a switch: it takes a value only as `--name=false`. `many` collects a list.
    `bare` is the value of the flag written without one (only then may it stand alone).
    """

    name: str
    about: str
    short: str = ""
    kind: str = ""
    default: Any = None
    many: bool = False
    convert: Callable[[str], Any] = str
    aliases: tuple[str, ...] = ()
    bare: Any = None
    hidden: bool = False

    @property
    def shown(self) -> str:
        """How an error message names it."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


def switch(name: str, about: str, short: str = "", default: bool = False, **more: Any) -> Flag:
    """A flag that is on or off."""
    return Flag(name, about, short, default=default, convert=units.parse_bool, **more)


def text(name: str, about: str, short: str = "", default: str = "", **more: Any) -> Flag:
    """A flag with a text value."""
    return Flag(name, about, short, more.pop("kind", "string"), default, **more)


def many(name: str, about: str, short: str = "", **more: Any) -> Flag:
    """A flag that may be given many times: a list of texts, empty by default."""
    return Flag(name, about, short, more.pop("kind", "list"), (), many=True, **more)


def whole(name: str, about: str, short: str = "", default: int | None = 0, **more: Any) -> Flag:
    """A flag with a whole number."""
    return Flag(name, about, short, "int", default, convert=units.parse_int, **more)


def decimal(name: str, about: str, short: str = "", default: float = 0, **more: Any) -> Flag:
    """A flag with a decimal number."""
    return Flag(name, about, short, "decimal", default, convert=units.parse_decimal, **more)


def size(name: str, about: str, short: str = "", **more: Any) -> Flag:
    """A flag with a size such as 512m: bytes, 0 by default."""
    return Flag(name, about, short, "bytes", 0, convert=units.parse_size, **more)


def duration(name: str, about: str, short: str = "", **more: Any) -> Flag:
    """A flag with a duration such as 1m30s: nanoseconds, 0 by default."""
    return Flag(name, about, short, "duration", 0, convert=units.parse_duration, **more)


HELP = switch("help", "Print usage")


class Parsed:
    """What a command line said: flag values by name, which were given, and the arguments."""

    def __init__(self, flags: Iterable[Flag]) -> None:
        self.values: dict[str, Any] = {
            flag.name: [] if flag.many else flag.default for flag in flags
        }
        self.given: set[str] = set()
        self.args: list[str] = []

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def chosen(self, name: str) -> Any:
        """The value the user gave; None when the flag was left out."""
        return self.values[name] if name in self.given else None

    def __contains__(self, name: str) -> bool:
        return name in self.given


class _Parser:
    """One walk over a command line."""

    def __init__(self, flags: Sequence[Flag]) -> None:
        flags = (*flags, HELP)
        self.long = {name: flag for flag in flags for name in (flag.name, *flag.aliases)}
        self.short = {flag.short: flag for flag in flags if flag.short}
        self.short.setdefault("h", HELP)
        self.parsed = Parsed(flags)

    def put(self, flag: Flag, value: str) -> None:
        """Take a flag's value. Raises UsageError when it is no good."""
        try:
            converted = flag.convert(value)
        except ValueError as error:
            raise UsageError(
                f'invalid argument "{value}" for "{flag.shown}" flag: {error}'
            ) from None
        if flag.many:
            self.parsed.values[flag.name].append(converted)
        else:
            self.parsed.values[flag.name] = converted
        self.parsed.given.add(flag.name)

    def long_flag(self, word: str, rest: list[str]) -> None:
        """Take `--name`, `--name=value` or `--name value`; `rest` is what follows."""
        name, equals, value = word[2:].partition("=")
        if not name or name.startswith("-"):
            raise UsageError(f"bad flag syntax: {word}")
        flag = self.long.get(name)
        if flag is None:
            raise UsageError(f"unknown flag: --{name}")
        if equals:
            self.put(flag, value)
        elif not flag.kind:
            self.put(flag, "true")
        elif flag.bare is not None:
            self.put(flag, flag.bare)
        elif rest:
            self.put(flag, rest.pop(0))
        else:
            raise UsageError(f"flag needs an argument: --{name}")

    def short_flags(self, word: str, rest: list[str]) -> None:
        """Take `-abc`, `-p80` , `-p=80` or `-p 80`."""
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = self.short.get(letter)
            if flag is None:
                raise UsageError(f"unknown shorthand flag: {letter!r} in {word}")
            if letters.startswith("="):
                self.put(flag, letters[1:])
                return
            if not flag.kind:
                self.put(flag, "true")
            elif letters:
                self.put(flag, letters)
                return
            elif flag.bare is not None:
                self.put(flag, flag.bare)
            elif rest:
                self.put(flag, rest.pop(0))
            else:
                raise UsageError(f"flag needs an argument: {letter!r} in {word}")


def parse(flags: Sequence[Flag], argv: Sequence[str], interspersed: bool = True) -> Parsed:
    """Read `argv`. Without `interspersed`, flags end at the first argument; `--` always ends them.

    Raises UsageError. `--help` stops the reading: what follows it doesn't matter.
    """
    parser = _Parser(flags)
    rest = list(argv)
    while rest and "help" not in parser.parsed:
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            parser.long_flag(word, rest)
        elif word.startswith("-") and len(word) > 1:
            parser.short_flags(word, rest)
        else:
            parser.parsed.args.append(word)
            if not interspersed:
                break
    parser.parsed.args += rest
    return parser.parsed
