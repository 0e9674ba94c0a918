"""What the run form asks the engine for, and the command line that asks for the same."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from typing import Any

from ..host.errors import InvalidError
from .model import Json

_PORT = re.compile(
    r"(?:(?:(\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:]+\]):)?(\d*):)?(\d+)(?:/(tcp|udp|sctp))?$"
)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
RESTARTS = ("no", "on-failure", "unless-stopped", "always")


@dataclass(frozen=True)
class RunSpec:
    """The fields of the form as they were typed."""

    image: str = ""
    name: str = ""
    command: str = ""
    ports: str = ""
    volumes: str = ""
    environment: str = ""
    network: str = ""
    restart: str = "no"
    memory: str = ""
    cpus: str = ""
    terminal: bool = False
    remove: bool = False

    def line(self) -> str:
        """The command that does the same."""
        words = ["bay", "run", "-it" if self.terminal else "-d"]
        if self.remove:
            words.append("--rm")
        words += ["--name", self.name.strip()] if self.name.strip() else []
        for flag, text in (("-p", self.ports), ("-v", self.volumes), ("-e", self.environment)):
            for word in _words(text, strict=False):
                words += [flag, word]
        if self.network:
            words += ["--network", self.network]
        if self.restart != "no":
            words += ["--restart", self.restart]
        words += ["-m", self.memory.strip()] if self.memory.strip() else []
        words += ["--cpus", self.cpus.strip()] if self.cpus.strip() else []
        shown = shlex.join([*words, self.image.strip() or "IMAGE"])
        return f"{shown} {self.command}".rstrip()

    def request(self, size: tuple[int, int] | None = None) -> Json:
        """The body of POST /containers/create; `size` is the terminal's (columns, rows).

        Raises InvalidError, naming the field, when one can't be understood.
        """
        if not self.image.strip():
            raise InvalidError("image: say which image to run")
        exposed, bindings = _ports(self.ports)
        host: Json = {
            "PortBindings": bindings,
            "Binds": [_bind(word) for word in _words(self.volumes)],
            "RestartPolicy": {"Name": self.restart},
            "AutoRemove": self.remove,
            "Memory": _memory(self.memory),
            "NanoCpus": _cpus(self.cpus),
        }
        if self.network:
            host["NetworkMode"] = self.network
        if self.remove and self.restart != "no":
            raise InvalidError("remove at exit and a restart policy exclude each other")
        if size and self.terminal:
            host["ConsoleSize"] = [size[1], size[0]]
        body: Json = {
            "Image": self.image.strip(),
            "Env": [_variable(word) for word in _words(self.environment)],
            "ExposedPorts": exposed,
            "HostConfig": host,
        }
        if self.command.strip():
            body["Cmd"] = _words(self.command)
        if self.terminal:
            body.update(Tty=True, OpenStdin=True, StdinOnce=True)
            body.update(AttachStdin=True, AttachStdout=True, AttachStderr=True)
        return body


def _words(text: str, strict: bool = True) -> list[str]:
    """The words of a field, in shell quoting; an unfinished quote is an error only at the end."""
    try:
        return shlex.split(text)
    except ValueError as error:
        if strict:
            raise InvalidError(f"{text}: {error}") from error
        return text.split()


def _ports(text: str) -> tuple[Json, Json]:
    exposed: Json = {}
    bindings: dict[str, list[Json]] = {}
    for word in _words(text):
        match = _PORT.match(word)
        if match is None:
            raise InvalidError(f"port {word}: write 8080:80, 127.0.0.1:8080:80 or 53:53/udp")
        address, outside, inside, kind = match.groups()
        numbers = [int(number) for number in (outside, inside) if number]
        if not all(0 < number < 65536 for number in numbers):
            raise InvalidError(f"port {word}: ports are 1 to 65535")
        key = f"{inside}/{kind or 'tcp'}"
        exposed[key] = {}
        host = {"HostIp": (address or "").strip("[]"), "HostPort": outside or ""}
        bindings.setdefault(key, []).append(host)
    return exposed, bindings


def _bind(word: str) -> str:
    source, colon, rest = word.partition(":")
    if not colon or not rest.startswith("/"):
        raise InvalidError(f"volume {word}: write name:/path or /host/path:/path, with :ro or not")
    if source.startswith((".", "~")):
        source = os.path.abspath(os.path.expanduser(source))
    return f"{source}:{rest}"


def _variable(word: str) -> str:
    name, equals, _ = word.partition("=")
    if not name:
        raise InvalidError(f"variable {word}: write NAME=value")
    return word if equals else f"{name}={os.environ.get(name, '')}"


def _memory(text: str) -> int:
    text = text.strip()
    if not text:
        return 0
    match = _SIZE.match(text)
    if match is None:
        raise InvalidError(f"memory {text}: write 256m or 2g")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def _cpus(text: str) -> int:
    text = text.strip()
    if not text:
        return 0
    try:
        share = float(text)
    except ValueError:
        share = 0
    if share <= 0:
        raise InvalidError(f"cpus {text}: write a number such as 1.5")
    return int(share * 1e9)


def from_form(fields: dict[str, Any]) -> RunSpec:
    """The spec of a form's values by field name."""
    return RunSpec(**fields)
