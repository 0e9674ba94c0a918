"""Changes of an image's settings, written as Dockerfile instructions: `--change 'CMD ["sh"]'`."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable

from ..host.errors import InvalidError
from . import words
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
        change = _CHANGES.get(name.upper())
        if change is None:
            raise InvalidError(f"{name.upper()} is not a valid change command")
        if not rest.strip():
            raise InvalidError(f"{name.upper()} requires at least one argument")
        change(result, rest.strip())
        own_command = own_command or name.upper() == "CMD"
        if name.upper() == "ENTRYPOINT" and not own_command:
            # The command that was there was meant for the entrypoint that was there.
            result.pop("Cmd", None)
    return result


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


def pairs(text: str, what: str) -> list[tuple[str, str]]:
    """The `name=value` words of ENV and LABEL, or their old form `name value`; unexpanded."""
    found = words.split(text)
    if "=" not in found[0]:
        name, _, value = text.partition(" ")
        if not value.strip():
            raise InvalidError(f"{what} must have two arguments")
        return [(name, value.strip())]
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


def _command(key: str) -> Callable[[Json, str], None]:
    def change(config: Json, text: str) -> None:
        found = exec_form(text)
        config[key] = [*(config.get("Shell") or _SHELL), text] if found is None else found

    return change


def _env(config: Json, text: str) -> None:
    # All values of one instruction see the variables as they were before it.
    known = environment(config)
    for name, value in pairs(text, "ENV"):
        set_variable(config, words.expand(name, known), words.expand(value, known))


def _label(config: Json, text: str) -> None:
    known = environment(config)
    labels = dict(config.get("Labels") or {})
    for name, value in pairs(text, "LABEL"):
        labels[words.expand(name, known)] = words.expand(value, known)
    config["Labels"] = labels


def _expose(config: Json, text: str) -> None:
    ports = dict(config.get("ExposedPorts") or {})
    for word in words.split(words.expand(text, environment(config))):
        match = _PORT.fullmatch(word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if match is None or not 0 < first <= last < 65536:
            raise InvalidError(f"invalid containerPort: {word}")
        for port in range(first, last + 1):
            ports[f"{port}/{(match[3] or 'tcp').lower()}"] = {}
    config["ExposedPorts"] = ports


def _volume(config: Json, text: str) -> None:
    known = environment(config)
    found = exec_form(text) or [words.expand(word, known) for word in words.split(text)]
    if not all(found):
        raise InvalidError("VOLUME specified can not be an empty string")
    config["Volumes"] = {**(config.get("Volumes") or {}), **{path: {} for path in found}}


def _user(config: Json, text: str) -> None:
    config["User"] = words.expand(text, environment(config))


def _workdir(config: Json, text: str) -> None:
    path = words.expand(text, environment(config))
    config["WorkingDir"] = posixpath.normpath(
        posixpath.join("/", config.get("WorkingDir") or "/", path)
    )


def _onbuild(config: Json, text: str) -> None:
    name = text.partition(" ")[0].upper()
    if name == "ONBUILD":
        raise InvalidError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if name in ("MAINTAINER", "FROM"):
        raise InvalidError(f"{name} isn't allowed as an ONBUILD trigger")
    config["OnBuild"] = [*(config.get("OnBuild") or []), text]


def _stopsignal(config: Json, text: str) -> None:
    config["StopSignal"] = words.expand(text, environment(config))


def _shell(config: Json, text: str) -> None:
    found = exec_form(text)
    if not found:
        raise InvalidError("SHELL requires the arguments to be in JSON form")
    config["Shell"] = found


def _healthcheck(config: Json, text: str) -> None:
    health: Json = {}
    while text.startswith("--"):
        flag, _, text = text.partition(" ")
        name, _, value = flag.partition("=")
        key = _HEALTH_FLAGS.get(name)
        if key is None:
            raise InvalidError(f"unknown flag: {name}")
        if key == "Retries" and not value.isdigit():
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


_CHANGES: dict[str, Callable[[Json, str], None]] = {
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
