"""What may follow on the command line: the shells' completion asks `bay __complete WORDS…`."""

from __future__ import annotations

from ..client.client import Client
from ..host.errors import BayError
from ..host.light import Sequence
from . import verbs
from .app import App
from .command import Command
from .flags import Flag

# Values that a flag's help can't tell a program.
_VALUES = {
    "cgroupns": ["host", "private"],
    "ipc": ["private", "shareable", "host", "none"],
    "log-driver": ["json-file", "local", "none"],
    "progress": ["auto", "plain", "tty", "quiet", "rawjson"],
    "pid": ["host"],
    "pull": ["always", "missing", "never"],
    "restart": ["no", "on-failure", "always", "unless-stopped"],
    "runtime": ["crun", "runc"],
    "type": ["container", "image", "network", "volume"],
}
_OBJECTS = {
    "network": "NETWORK",
    "volumes-from": "CONTAINER",
    "link": "CONTAINER",
    "volume": "VOLUME",
    "context": "CONTEXT",
}
_ACTIONS = {"engine": ["status", "stop", "logs", "purge", "dial-stdio"],
            "completion": ["bash", "zsh", "fish"]}  # fmt: skip


def candidates(app: App, words: Sequence[str], options: Sequence[Flag]) -> list[str]:
    """The words that may stand where the last of `words` (begun, or empty) stands.

    Each is followed by a tab and what it is for, where there is something to say. Nothing is said
    when nothing is known: the shell then offers files.
    """
    *before, last = words or [""]
    name, equals, value = last.partition("=")
    if equals and name.startswith("--"):
        return [f"{name}={one}" for one in candidates(app, [*before, name, value], options)]
    before, flag = _after_options(before, options)
    found = _of_flag(app, flag) if flag else _found(app, before, last, options)
    return sorted({one for one in found if one.startswith(last)})


def _after_options(before: list[str], options: Sequence[Flag]) -> tuple[list[str], Flag | None]:
    """(the verb and what is behind it, the option before any verb whose value comes next)."""
    for index, word in enumerate(before):
        if not word.startswith("-"):
            flag, _ = _open_flag(options, before[:index])
            if flag is None:
                return before[index:], None
    return [], _open_flag(options, before)[0]


def _found(app: App, before: list[str], last: str, options: Sequence[Flag]) -> list[str]:
    if not before:
        return _flags(options) if last.startswith("-") else _verbs()
    group = verbs.GROUPS.get(before[0])
    if group is not None and len(before) == 1:
        return [f"{name}\t{_about(place)}" for name, place in group[1].items()]
    command = verbs.find([*before, ""])
    if command is None:
        return []
    rest = before[len(command[0].name.split()) :]
    return _of_command(app, command[0], rest, last)


def _verbs() -> list[str]:
    return [f"{name}\t{_about(place)}" for name, place in verbs.VERBS.items()] + [
        f"{name}\t{about}" for name, (about, _) in verbs.GROUPS.items()
    ]


def _about(place: str) -> str:
    return verbs.load(place).summary.splitlines()[0]


def _flags(flags: Sequence[Flag]) -> list[str]:
    return [f"--{flag.name}\t{flag.about}" for flag in flags if not flag.hidden]


def _of_command(app: App, command: Command, rest: list[str], last: str) -> list[str]:
    """Within a verb: a flag's value, a flag, or an argument."""
    flag, values = _open_flag(command.flags, rest)
    if flag is not None:
        return _of_flag(app, flag)
    # After the image of `run` come the container's own words, of which nothing is known.
    if not command.interspersed and values:
        return []
    if last.startswith("-"):
        return _flags(command.flags)
    if command.name in _ACTIONS:
        return [] if values else _ACTIONS[command.name]
    return _names(app, _kind(command, len(values)))


def _of_flag(app: App, flag: Flag) -> list[str]:
    kind = _OBJECTS.get(flag.name)
    return _names(app, kind) if kind else _VALUES.get(flag.name, [])


def _open_flag(flags: Sequence[Flag], rest: list[str]) -> tuple[Flag | None, list[str]]:
    """(the flag whose value comes next, the arguments so far)."""
    by_word = {f"--{name}": flag for flag in flags for name in (flag.name, *flag.aliases)}
    by_word |= {f"-{flag.short}": flag for flag in flags if flag.short}
    arguments: list[str] = []
    open_flag: Flag | None = None
    for word in rest:
        if open_flag is not None:
            open_flag = None
        elif word.startswith("-"):
            # The last of several letters may take a value (-it, but not the name of --init).
            flag = by_word.get(word)
            if flag is None and not word.startswith("--"):
                flag = by_word.get(f"-{word[-1]}")
            open_flag = flag if flag is not None and flag.kind and "=" not in word else None
        else:
            arguments.append(word)
    return open_flag, arguments


def _kind(command: Command, index: int) -> str:
    """What the argument at `index` names, by the synopsis: CONTAINER, IMAGE, NETWORK …"""
    names = [word.strip("[].") for word in command.usage.split()[len(command.name.split()) :]]
    names = [name for name in names if name and name != "OPTIONS"]
    name = names[min(index, len(names) - 1)] if names else ""
    for kind in ("CONTAINER", "IMAGE", "NETWORK", "VOLUME", "CONTEXT"):
        if kind in name:
            return kind
    if command.name.split()[-1] == "push":
        return "IMAGE"
    return "ANY" if "NAME|ID" in name else ""


def _names(app: App, kind: str) -> list[str]:
    """The names of all objects of a kind; none when no engine answers. Starts no engine."""
    try:
        if kind == "CONTEXT":
            return ["default", *(one.name for one in app.contexts.all())]
        client = Client(app.host, autostart=False)
        found: list[str] = []
        if kind in ("CONTAINER", "ANY"):
            listed = client.get("/containers/json", all=True)
            found += [one["Names"][0].lstrip("/") for one in listed]
        if kind in ("IMAGE", "ANY"):
            found += [tag for one in client.get("/images/json") for tag in one["RepoTags"] or []]
        if kind in ("NETWORK", "ANY"):
            found += [one["Name"] for one in client.get("/networks")]
        if kind in ("VOLUME", "ANY"):
            found += [one["Name"] for one in client.get("/volumes")["Volumes"] or []]
        return found
    except BayError:
        return []
