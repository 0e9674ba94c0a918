"""Environment variables and labels: `NAME=VALUE` flags, and files of such lines."""

from __future__ import annotations

from ..host.light import TYPE_CHECKING, Iterable
from .flags import UsageError

if TYPE_CHECKING:
    import os
else:
    from ..host import lightos as os


def read_file(path: str, pass_on: bool) -> list[str]:
    """The `NAME=VALUE` lines of a file; blank lines and comments are left out.

    With `pass_on`, a line with only a name takes the value of our environment, if there is one.
    Raises UsageError.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"open {path}: {getattr(error, 'strerror', None) or error}") from None
    found: list[str] = []
    for line in lines:
        # The value is taken as it is: quotes and trailing blanks are part of it, as in Docker.
        line = line.lstrip()
        if not line or line.startswith("#"):
            continue
        name, equals, _ = line.partition("=")
        if not name or any(c.isspace() for c in name):
            raise UsageError(f"poorly formatted environment: variable '{name}' in {path}")
        found += [line] if equals or not pass_on else passed_on(name)
    return found


def passed_on(name: str) -> list[str]:
    """Our own variable `name` as a line; nothing when we have none."""
    return [f"{name}={os.environ[name]}"] if name in os.environ else []


def environment(flags: Iterable[str], files: Iterable[str]) -> list[str]:
    """The variables of `--env-file` and then `--env`; a later one wins, in its first place."""
    found: dict[str, str] = {}
    lines = [line for path in files for line in read_file(path, pass_on=True)]
    for flag in flags:
        name, equals, _ = flag.partition("=")
        if not name:
            raise UsageError(f"invalid environment variable: {flag}")
        if equals:
            lines.append(flag)
        else:
            # Not set here: Docker sends the bare name, which removes the image's variable.
            lines += passed_on(name) or [name]
    for line in lines:
        found[line.partition("=")[0]] = line
    return list(found.values())


def labels(flags: Iterable[str], files: Iterable[str] = ()) -> dict[str, str]:
    """The labels of files and flags; a label without `=` is empty."""
    lines = [line for path in files for line in read_file(path, pass_on=False)]
    pairs = [line.partition("=") for line in (*lines, *flags)]
    for name, equals, value in pairs:
        if not name:
            raise UsageError(f"invalid label '{equals}{value}': empty name")
    return {name: value for name, _, value in pairs}
