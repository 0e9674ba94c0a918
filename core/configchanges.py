"""Changes of an image's settings, written as Dockerfile instructions: `--change 'CMD ["sh"]'`."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..host.errors import InvalidError
from ..host.inroot import below_root
from . import words
from .signals import signal_number
from .types import Json

_PORT = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")
_NANOSECONDS = {
    "h": 3600e9,
    "m": 60e9,
    "s": 1e9,
    "ms": 1e6,
    "us": 1e3,
    "µs": 1e3,
    "ns": 1.0,
}
_SHELL = ["/bin/sh", "-c"]
_HEALTH_FLAGS = {
    "--interval": "Interval",
    "--timeout": "Timeout",
    "--start-period": "StartPeriod",
    "--start-interval": "StartInterval",
    "--retries": "Retries",
}


@dataclass(frozen=True)
class Scope:
    """What an instruction's words are expanded with: variables, the file's escape letter.

    `missing` is called with the name of each variable that has no value.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    escape: str = "\\"
    missing: words.Missing | None = None

    def expand(self, text: str) -> str:
        """`text` without quotes and escapes, its variables replaced."""
        return words.expand(text, self.values, self.escape, self.missing)

    def split(self, text: str) -> list[str]:
        """The words of `text`, expanded; blanks in a value part them as well."""
        return words.expand_words(text, self.values, self.escape, self.missing)


def apply(config: Json, changes: Iterable[str]) -> Json:
    """`config` (a Docker Config, left as it is) with the instructions carried out on it.

    Raises InvalidError for what is no instruction that only changes settings.
    """
    result: Json = json.loads(json.dumps(config))
    own_command = False
    for line in changes:
        name, _, rest = line.strip().partition(" ")
        if not name:
            continue
        carry_out(result, name.upper(), rest.strip(), Scope(environment(result)))
        own_command = own_command or name.upper() == "CMD"
        if name.upper() == "ENTRYPOINT" and not own_command:
            # The command that was there was meant for the entrypoint that was there.
            result.pop("Cmd", None)
    return result


def carry_out(config: Json, name: str, text: str, scope: Scope) -> None:
    """Carry out one instruction, `name` in capitals, on `config` itself.

    All of its words see the variables as they were before it. Raises InvalidError.
    """
    change = _CHANGES.get(name)
    if change is None:
        raise InvalidError(f"{name.lower()} is not a valid change command")
    if not text:
        raise InvalidError(f"{name} requires at least one argument")
    change(config, text, scope)


def environment(config: Json) -> dict[str, str]:
    """The settings' variables, by name."""
    pairs = (item.partition("=") for item in config.get("Env") or [])
    return {name: value for name, _, value in pairs}


def set_variable(config: Json, name: str, value: str) -> None:
    """Set a variable, in the place it has if it is there already."""
    found = environment(config)
    found[name] = value
    config["Env"] = [f"{key}={text}" for key, text in found.items()]


def exec_form(text: str) -> list[str] | None:
    """The words of `["a", "b"]`; None when it is not in that form."""
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(x, str) for x in found) else None


def pairs(text: str, what: str, escape: str = "\\") -> list[tuple[str, str]]:
    """The `name=value` words of ENV and LABEL, or their old form `name value`; unexpanded."""
    found = words.split(text, escape)
    if "=" not in found[0]:
        parts = text.split(None, 1)
        if len(parts) < 2:
            raise InvalidError(f"{what} must have two arguments")
        return [(parts[0], parts[1])]
    result = []
    for word in found:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InvalidError(f"can't find = in {word!r}: {what} needs the form name=value")
        result.append((name, value))
    return result


def duration(text: str) -> int:
    """Nanoseconds of a Go duration ("1m30s"); InvalidError for anything else."""
    parts = _DURATION.findall(text)
    if text == "0":
        return 0
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidError(f'time: invalid duration "{text}"')
    return int(sum(float(number) * _NANOSECONDS[unit] for number, unit in parts))


def _command(key: str) -> Callable[[Json, str, Scope], None]:
    def change(config: Json, text: str, _: Scope) -> None:
        found = exec_form(text)
        config[key] = [*(config.get("Shell") or _SHELL), text] if found is None else found

    return change


def _env(config: Json, text: str, scope: Scope) -> None:
    for name, value in pairs(text, "ENV", scope.escape):
        if not name:
            raise InvalidError("ENV names can not be blank")
        set_variable(config, scope.expand(name), scope.expand(value))


def _label(config: Json, text: str, scope: Scope) -> None:
    labels = dict(config.get("Labels") or {})
    for name, value in pairs(text, "LABEL", scope.escape):
        if not name:
            raise InvalidError("LABEL names can not be blank")
        labels[scope.expand(name)] = scope.expand(value)
    config["Labels"] = labels


def _expose(config: Json, text: str, scope: Scope) -> None:
    ports = dict(config.get("ExposedPorts") or {})
    for word in scope.split(text):
        match = _PORT.fullmatch(word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if match is None or not 0 < first <= last < 65536:
            raise InvalidError(f"invalid containerPort: {word}")
        for port in range(first, last + 1):
            ports[f"{port}/{(match[3] or 'tcp').lower()}"] = {}
    config["ExposedPorts"] = ports


def _volume(config: Json, text: str, scope: Scope) -> None:
    given = exec_form(text)
    found = scope.split(text) if given is None else [scope.expand(word) for word in given]
    if not all(found):
        raise InvalidError("VOLUME specified can not be an empty string")
    config["Volumes"] = {**(config.get("Volumes") or {}), **{path: {} for path in found}}


def _user(config: Json, text: str, scope: Scope) -> None:
    config["User"] = scope.expand(text)


def _workdir(config: Json, text: str, scope: Scope) -> None:
    path = scope.expand(text)
    config["WorkingDir"] = "/" + below_root(posixpath.join(config.get("WorkingDir") or "/", path))


def _onbuild(config: Json, text: str, scope: Scope) -> None:
    name = text.partition(" ")[0].upper()
    if name == "ONBUILD":
        raise InvalidError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if name in ("MAINTAINER", "FROM"):
        raise InvalidError(f"{name} isn't allowed as an ONBUILD trigger")
    config["OnBuild"] = [*(config.get("OnBuild") or []), text]


def _stopsignal(config: Json, text: str, scope: Scope) -> None:
    found = scope.expand(text)
    signal_number(found)
    config["StopSignal"] = found


def _shell(config: Json, text: str, _: Scope) -> None:
    found = exec_form(text)
    if not found:
        raise InvalidError("SHELL requires the arguments to be in JSON form")
    config["Shell"] = found


def _healthcheck(config: Json, text: str, scope: Scope) -> None:
    health: Json = {}
    while text.startswith("--"):
        flag, _, text = text.partition(" ")
        name, _, value = flag.partition("=")
        key = _HEALTH_FLAGS.get(name)
        if key is None:
            raise InvalidError(f"unknown flag: {name}")
        if key == "Retries" and not value.isdecimal():
            raise InvalidError(f'strconv.ParseInt: parsing "{value}": invalid syntax')
        health[key] = int(value) if key == "Retries" else duration(value)
        text = text.strip()
    kind, _, rest = text.partition(" ")
    kind, rest = kind.upper(), rest.strip()
    if kind == "NONE":
        if rest or health:
            raise InvalidError("HEALTHCHECK NONE takes no arguments")
        health["Test"] = ["NONE"]
    elif kind == "CMD":
        if not rest:
            raise InvalidError("Missing command after HEALTHCHECK CMD")
        found = exec_form(rest)
        health["Test"] = ["CMD-SHELL", rest] if found is None else ["CMD", *found]
    else:
        raise InvalidError(f'Unknown type "{kind}" in HEALTHCHECK (try CMD)')
    config["Healthcheck"] = health


_CHANGES: dict[str, Callable[[Json, str, Scope], None]] = {
    "CMD": _command("Cmd"),
    "ENTRYPOINT": _command("Entrypoint"),
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "SHELL": _shell,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
