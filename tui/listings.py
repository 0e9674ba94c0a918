"""The tabs that are lists about one object: what they ask the engine, and its answer as rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from ..host import clock
from . import text
from .cells import Cell, Column, Row, Tone, cell
from .model import Json
from .source import Source


@dataclass(frozen=True)
class Kind:
    """One such tab.

    `read` asks the engine about an object (its id), `build` makes rows of the answer at a time
    (seconds). `every` is how many samples pass between two readings, 0 for none: then it is read
    when the object changes. `keys` are said in the border.
    """

    columns: Sequence[Column]
    empty: str
    read: Callable[[Source, str], Awaitable[Any]]
    build: Callable[[Any, float], list[Row]]
    every: int = 0
    keys: str = ""


async def _top(source: Source, target: str) -> Any:
    return await source.get(f"/containers/{target}/top")


async def _inspect(source: Source, target: str) -> Any:
    return await source.get(f"/containers/{target}/json")


async def _environment(source: Source, target: str) -> Any:
    """The container and its image: a variable is the image's or was set for the container."""
    details = await source.get(f"/containers/{target}/json")
    image = await source.get(f"/images/{details['Image']}/json")
    return details, image


async def _events(source: Source, target: str) -> Any:
    found: list[Any] = []
    for ahead in _ahead(source):
        now = datetime.now().timestamp()
        until = str(int(now) + ahead) if ahead else f"{now:.9f}"
        query: dict[str, Any] = {
            "since": "0",
            "until": until,
            "filters": {"container": [target]},
        }
        async with source.lines("/events", **query) as lines:
            found = [event async for event in lines]
        if found:
            break
    return found


def _ahead(source: Source) -> tuple[int, ...]:
    """How many seconds from now an engine's events are asked for: it answers when they are over."""
    if source.podman:
        # It stops at `until` even where it has not read all of its log: a busy one finds nothing
        # in the first second.
        return 1, 3
    return (1,) if "://" in source.name else (0,)  # another machine's clock may be late


def _processes(reply: Json, now: float) -> list[Row]:
    """The rows of `top`, whose columns are named by `ps`."""
    titles = [str(title).upper() for title in reply.get("Titles") or []]
    rows: list[Row] = []
    processes = reply.get("Processes") or []
    if len(titles) == 1:  # podman may hand on what ps printed as it is, a line a field
        titles = titles[0].split()
        processes = [line[0].split(None, len(titles) - 1) for line in processes if line]
    for values in processes:
        fields = dict(zip(titles, values, strict=False))
        command = str(fields.get("CMD", fields.get("COMMAND", "")))
        cells = {
            "pid": cell(str(fields.get("PID", "")), "accent"),
            "user": cell(str(fields.get("UID", fields.get("USER", ""))), "dim"),
            "time": cell(str(fields.get("TIME", "")), ""),
            "command": cell(command, "bright"),
        }
        rows.append(_row(str(fields.get("PID", len(rows))), cells, command))
    return rows


def _variables(reply: tuple[Json, Json], now: float) -> list[Row]:
    """The rows of a container's environment, what the image set after what the user did."""
    details, image = reply
    inherited = set((image.get("Config") or {}).get("Env") or [])
    rows: list[Row] = []
    for entry in sorted((details.get("Config") or {}).get("Env") or []):
        name, _, value = str(entry).partition("=")
        ours = entry not in inherited
        cells = {
            "name": cell(name, "accent" if ours else "dim"),
            "value": cell(value, "bright" if ours else ""),
            "origin": cell("" if ours else "image", "dim"),
        }
        rows.append(_row(name, cells, str(entry), quiet=not ours))
    return sorted(rows, key=lambda row: row.quiet)


def _published(reply: Json, now: float) -> list[Row]:
    """The rows of a container's ports, one per address a port is published at."""
    rows: list[Row] = []
    networks = (reply.get("NetworkSettings") or {}).get("Networks") or {}
    inside = next((one.get("IPAddress") for one in networks.values() if one.get("IPAddress")), "")
    ports = (reply.get("NetworkSettings") or {}).get("Ports") or {}
    for port in sorted(ports, key=_numbered):
        number, _, protocol = port.partition("/")
        for binding in ports[port] or [None]:
            cells = {"port": cell(port, "accent")}
            if binding is None:
                cells["at"] = cell("not published", "dim")
                cells["url"] = cell(f"{inside}:{number}" if inside else "", "dim")
                rows.append(_row(port, cells, f"{inside}:{number}", quiet=True))
                continue
            address = str(binding.get("HostIp") or "0.0.0.0")
            outside = str(binding.get("HostPort"))
            shown = f"[{address}]:{outside}" if ":" in address else f"{address}:{outside}"
            link = url(address, outside, protocol)
            cells["at"] = cell(shown, "bright")
            cells["url"] = cell(link, "good" if link.startswith("http") else "")
            rows.append(_row(f"{port} {shown}", cells, link))
    return rows


def _numbered(port: str) -> tuple[int, str]:
    number = port.partition("/")[0]
    return (int(number) if number.isdecimal() else 0, port)


def url(address: str, port: str, protocol: str) -> str:
    """What to open for a published port; `{host}` stands for the engine's machine."""
    everywhere = address in ("0.0.0.0", "::", "")
    host = "{host}" if everywhere else f"[{address}]" if ":" in address else address
    if protocol != "tcp":
        return f"{host}:{port}"
    scheme = "https" if port.endswith("443") else "http"
    return f"{scheme}://{host}:{port}"


def machine(engine: str) -> str:
    """The name by which the engine's ports are reached, from its address as the screen has it."""
    return urlsplit(engine).hostname or "localhost" if "://" in engine else "localhost"


def _checks(reply: Json, now: float) -> list[Row]:
    """The rows of the health checks, the newest first."""
    health = (reply.get("State") or {}).get("Health") or {}
    rows: list[Row] = []
    for one in reversed(health.get("Log") or []):
        began, ended = clock.to_ns(one["Start"]) / 1e9, clock.to_ns(one["End"]) / 1e9
        code = int(one.get("ExitCode", 0))
        output = " ".join(str(one.get("Output") or "").split())
        cells = {
            "when": cell(f"{_clock(began)}", "dim"),
            "result": cell("✓ ok" if code == 0 else f"✗ {code}", "good" if code == 0 else "bad"),
            "took": cell(f"{max(0, ended - began) * 1000:.0f}ms", ""),
            "output": cell(output or "–", "bright" if output else "dim"),
        }
        rows.append(_row(str(one["Start"]), cells, output))
    return rows


_EVENT_TONES: dict[str, Tone] = {
    "start": "good",
    "unpause": "good",
    "die": "warn",
    "kill": "warn",
    "oom": "bad",
    "destroy": "bad",
    "create": "accent",
}


def _happenings(reply: list[Json], now: float) -> list[Row]:
    """The rows of a container's events, the newest first."""
    rows: list[Row] = []
    for index, one in enumerate(reply):
        when = one.get("timeNano", 0) / 1e9 or float(one.get("time", 0))
        action, _, about = str(one.get("Action", "")).partition(":")
        attributes = (one.get("Actor") or {}).get("Attributes") or {}
        told = [f"{key} {attributes[key]}" for key in ("exitCode", "signal") if key in attributes]
        more = " ".join([*told, about.strip()]).strip()
        cells = {
            "when": cell(_clock(when), "dim"),
            "age": cell(text.span(now - when), "dim"),
            "action": cell(action, _EVENT_TONES.get(action, "")),
            "more": cell(more, "bright"),
        }
        rows.append(_row(f"{index} {when}", cells, f"{action} {more}".strip()))
    return rows[::-1]


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%m-%d %H:%M:%S")


def _row(identifier: str, cells: dict[str, Cell], copied: str, quiet: bool = False) -> Row:
    words = " ".join(part for one in cells.values() for part, _ in one)
    return Row(identifier, cells, {"copy": copied}, words.lower(), quiet)


KINDS = {
    "processes": Kind(
        (
            Column("pid", "PID", 7, right=True),
            Column("user", "USER", 8, 12, rank=2),
            Column("time", "CPU TIME", 8, rank=1, right=True),
            Column("command", "COMMAND", 12, 500),
        ),
        "It is not running.",
        _top,
        _processes,
        every=2,
    ),
    "env": Kind(
        (
            Column("name", "NAME", 12, 32),
            Column("value", "VALUE", 12, 500),
            Column("origin", "FROM", 5, rank=1),
        ),
        "Its environment is empty.",
        _environment,
        _variables,
        keys="[b]c[/] copies",
    ),
    "ports": Kind(
        (
            Column("port", "PORT", 9),
            Column("at", "PUBLISHED AT", 14, 24),
            Column("url", "TO OPEN", 12, 60, rank=1),
        ),
        "It exposes and publishes no port.",
        _inspect,
        _published,
        keys="[b]o[/] opens · [b]c[/] copies",
    ),
    "health": Kind(
        (
            Column("when", "AT", 14),
            Column("result", "RESULT", 6),
            Column("took", "TOOK", 6, rank=1, right=True),
            Column("output", "OUTPUT", 10, 500),
        ),
        "It has no health check, or none has run yet.",
        _inspect,
        _checks,
        every=2,
    ),
    "happened": Kind(
        (
            Column("when", "AT", 14),
            Column("age", "AGE", 3, rank=1, right=True),
            Column("action", "EVENT", 12, 20),
            Column("more", "", 8, 500),
        ),
        "The engine remembers no event of it.",
        _events,
        _happenings,
    ),
}
