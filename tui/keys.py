"""The one table of keys: bindings, help, hints, menus and the palette are all made from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from textual.binding import Binding

_ARGUMENT = re.compile(r"\('?([^')]*)'?\)")


class Key(NamedTuple):
    """`keys` in Textual's names, comma between; `shown` as the help writes them.

    `name` is what the config file calls it. `on` are the lists in whose menu it stands, and
    `hint` those (and the tabs) in whose hint line, by letters. `writes` says that it changes the
    engine's world, which a read-only screen refuses. `spare` says how soon it leaves a hint line
    that is too long (0 last).
    """

    keys: str
    action: str
    label: str
    group: str
    shown: str = ""
    brief: str = ""
    hint: str = ""
    on: str = ""
    writes: bool = False
    spare: int = 0

    @property
    def name(self) -> str:
        """`restart` of `do('restart')`, `prune` of `prune`; "" for what is not ours to remap."""
        if not self.action or self.action.startswith("app.focus") or self.action == "noop":
            return ""
        base = self.action.partition("(")[0].removeprefix("app.")
        match = _ARGUMENT.search(self.action)
        if base == "turn":
            return "next_tab" if self.action.endswith("(1)") else "previous_tab"
        return match[1] if match and match[1].isidentifier() else base

    @property
    def face(self) -> str:
        """How the key is written on the screen."""
        if self.shown or len(self.keys) < 2:
            return self.shown or self.keys
        from textual.keys import format_key  # not before the first frame, of which it is no part

        return format_key(self.keys.split(",")[0]).replace("ctrl+", "^")


# Letters: c containers, i images, n networks, v volumes, p projects; in hints also l logs, s shell,
# o others in the detail.
TABLE = (
    Key("1", "list('containers')", "containers", "Panes"),
    Key("2", "list('images')", "images", "Panes"),
    Key("3", "list('networks')", "networks", "Panes"),
    Key("4", "list('volumes')", "volumes", "Panes"),
    Key("5", "list('projects')", "compose projects", "Panes"),
    Key("tab", "app.focus_next", "next pane", "Panes"),
    Key("shift+tab", "app.focus_previous", "pane before", "Panes", "⇧tab"),
    Key("enter", "noop", "into the detail", "Panes", "↵"),
    Key("left_square_bracket", "turn(-1)", "tab before", "Panes", "["),
    Key("right_square_bracket", "turn(1)", "next tab", "Panes", "]"),
    Key("z", "zoom", "zoom", "Panes", hint="lso"),
    Key("J", "jump", "jump to a pane or tab", "Panes"),
    Key("escape", "back", "back, one step", "Panes", "esc", hint="lo", brief="back"),
    Key(
        "e",
        "shell('exec')",
        "shell in it",
        "Containers",
        hint="c",
        brief="shell",
        on="c",
        writes=True,
    ),
    Key("E", "shell('exec', True)", "one more shell in it", "Containers", on="c", writes=True),
    Key("a", "shell('attach')", "attach", "Containers", on="c", writes=True),
    Key("", "ask('execute')", "run a command in it", "Containers", on="c", writes=True),
    Key(
        "s",
        "do('toggle')",
        "stop, or start",
        "Containers",
        hint="cp",
        brief="stop/start",
        on="cp",
        writes=True,
    ),
    Key("S", "do('start')", "start", "Containers", on="cp", writes=True),
    Key("r", "do('restart')", "restart", "Containers", hint="cp", on="cp", writes=True, spare=1),
    Key("ctrl+k", "do('kill')", "kill", "Containers", "^k", on="cp", writes=True),
    Key("p", "pause_or_pull", "pause, go on", "Containers", on="cp", writes=True),
    Key(
        "d,delete",
        "do('remove')",
        "remove",
        "Containers",
        "d",
        hint="cinvp",
        on="cinvp",
        writes=True,
        spare=2,
    ),
    Key(
        "n",
        "new",
        "run a new one",
        "Containers",
        hint="ci",
        brief="run",
        on="c",
        writes=True,
        spare=3,
    ),
    Key("R", "ask('rename')", "rename", "Containers", on="c", writes=True),
    Key("M", "ask('commit')", "commit to an image", "Containers", on="c", writes=True),
    Key("", "ask('connect')", "connect to a network", "Containers", on="c", writes=True),
    Key("", "ask('disconnect')", "disconnect from one", "Containers", on="c", writes=True),
    Key("l", "tab('logs')", "logs", "Detail", hint="c"),
    Key("g", "tab('stats')", "graphs", "Detail"),
    Key("t", "tab('processes')", "processes", "Detail"),
    Key("f", "tab('changes')", "changed files", "Detail"),
    Key("i", "tab('inspect')", "inspect", "Detail", hint="inv"),
    Key("F", "tab('files')", "files", "Detail"),
    Key("y", "tab('layers')", "layers", "Detail"),
    Key("v", "tab('env')", "environment variables", "Detail"),
    Key("U", "tab('ports')", "ports, URLs", "Detail"),
    Key("K", "tab('health')", "health checks", "Detail"),
    Key("I", "tab('happened')", "events", "Detail"),
    Key("p", "pause_or_pull", "pull", "Images", hint="i", on="i", writes=True),
    Key("n", "new", "run it", "Images", on="i", writes=True),
    Key("P", "work('push')", "push", "Images", on="i", writes=True),
    Key("T", "ask('tag')", "tag", "Images", on="i", writes=True),
    Key("b", "work('build')", "build", "Images", hint="i", on="i", writes=True),
    Key("W", "work('save')", "save to a file", "Images", on="i"),
    Key("L", "work('load')", "load from a file", "Images", on="i", writes=True),
    Key("n", "new", "create one", "Others", hint="nv", brief="new", on="nv", writes=True),
    Key("", "ask('connect')", "connect a container", "Others", on="n", writes=True),
    Key("", "ask('disconnect')", "disconnect one", "Others", on="n", writes=True),
    Key("slash", "search", "filter, search", "Lists", "/", hint="cinvpl", brief="find"),
    Key("x", "menu", "all that can be done here", "Lists", hint="cinvp", brief="menu"),
    Key("o", "sort(1)", "sort by the next column", "Lists", hint="cip", brief="sort"),
    Key("O", "reverse", "sort the other way", "Lists"),
    Key("C", "columns", "choose columns", "Lists"),
    Key("h", "hide_stopped", "hide what is stopped", "Lists"),
    Key("space", "noop", "mark", "Lists", "␣"),
    Key("A", "mark_all", "mark all, or none", "Lists"),
    Key("c", "copy", "copy the id or name", "Lists", on="cinvp"),
    Key("u", "undo", "undo", "Lists", writes=True),
    Key(
        "X",
        "prune",
        "free disk space",
        "Lists",
        hint="cinv",
        brief="clean up",
        on="cinvp",
        writes=True,
        spare=1,
    ),
    Key("percent_sign", "jobs", "what is under way", "Lists", "%"),
    Key("H", "app.host", "the host", "Screen", on="cinvp"),
    Key("at", "hosts", "all hosts, one of them", "Screen", "@"),
    Key("colon", "app.command_palette", "all commands", "Screen", ":"),
    Key("question_mark,f1", "help", "this help", "Screen", "?", hint="cinvplso", brief="help"),
    Key("ctrl+l", "app.repaint", "draw it anew", "Screen", "^l"),
    Key("ctrl+s", "start_engine", "start the engine", "Screen", "^s"),
    Key("q", "app.quit", "quit", "Screen", hint="cinvp"),
)
LOG_KEYS = (
    Key("f", "", "follow", "Logs", "f G", hint="l"),
    Key("w", "", "wrap", "Logs", hint="l"),
    Key("t", "", "timestamps", "Logs", hint="l"),
    Key("n", "", "next match", "Logs", "n N", hint="l"),
    Key("exclamation_mark", "", "the last error", "Logs", "!", hint="l", brief="errors"),
    Key("m", "", "matches, with context, all", "Logs"),
    Key("T", "", "since a time", "Logs"),
    Key("W", "", "save all of it", "Logs"),
)
SHELL_KEYS = (
    Key("", "", "give the keyboard back", "Shell", "^]", hint="s", brief="leave"),
    Key("plus", "fullscreen", "the whole screen", "Shell", "+"),
    Key("", "", "scroll back", "Shell", "⇧pgup", hint="s"),
    Key("", "", "another of its shells", "Shell", ", ."),
    Key("x", "", "end the session", "Shell"),
)
LETTERS = {"containers": "c", "images": "i", "networks": "n", "volumes": "v", "projects": "p"}


class Keys:
    """The table as this user has it, after his `[keys]`; `problems` are sentences about them."""

    def __init__(self, remap: Mapping[str, str] | None = None) -> None:
        self.problems: list[str] = []
        wanted = self._checked(remap or {})
        self.table = tuple(
            key._replace(keys=wanted[key.name], shown="") if key.name in wanted else key
            for key in TABLE
        )
        self._warn_of_clashes(wanted)

    def _checked(self, remap: Mapping[str, str]) -> dict[str, str]:
        known = {key.name for key in TABLE if key.name}
        for name in sorted(set(remap) - known):
            self.problems.append(f"[keys] {name}: there is no such action; docs/tui.md has them")
        return {name: keys.replace(" ", "") for name, keys in remap.items() if name in known}

    def _warn_of_clashes(self, wanted: Mapping[str, str]) -> None:
        owner: dict[str, str] = {}
        for key in self.table:
            for one in key.keys.split(","):
                if not one or not key.name:
                    continue
                other = owner.setdefault(one, key.action)
                if other != key.action and key.name in wanted:
                    self.problems.append(f"[keys] {key.name}: {one} is the key of another action")

    def bindings(self) -> list[Binding]:
        """The main screen's bindings; a key that two lists share appears once."""
        from textual.binding import Binding

        seen: dict[str, Binding] = {}
        for key in (*self.table, *SHELL_KEYS):
            if key.action not in ("", "noop") and key.keys:
                seen.setdefault(key.keys, Binding(key.keys, key.action, key.label, show=False))
        return list(seen.values())

    def hints(self, context: str, width: int = 1000) -> str:
        """The hint line of a list or tab, by its letter, as markup in `width` columns.

        Those that are spare go first, then from the end; help and quit always stand there.
        """
        chosen = [key for key in (*SHELL_KEYS, *LOG_KEYS, *self.table) if context in key.hint]
        while len(chosen) > 3 and sum(_wide(key) for key in chosen) > width:
            at = max(range(len(chosen) - 2), key=lambda index: (chosen[index].spare, index))
            chosen.pop(at)
        return "  ".join(f"[$accent]{_escape(key.face)}[/] {_brief(key)}" for key in chosen)

    def menu(self, kind: str) -> list[Key]:
        """What can be done to an object of the list `kind`."""
        return [key for key in self.table if LETTERS[kind] in key.on]

    def writing(self) -> set[str]:
        """The actions that change the engine's world."""
        return {key.action for key in self.table if key.writes}


def _brief(key: Key) -> str:
    return key.brief or key.label


def _wide(key: Key) -> int:
    return len(key.face) + len(_brief(key)) + 3


def _escape(face: str) -> str:
    return face.replace("[", "\\[")
