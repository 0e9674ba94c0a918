"""The one table of keys: bindings, help and hints are all made from it."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True)
class Key:
    """`keys` in Textual's names, comma between; `shown` as the help writes them."""

    keys: str
    action: str
    label: str
    group: str
    shown: str = ""
    brief: str = ""  # the label in the hint line, where it is shorter
    hint: str = ""  # the lists and tabs in whose hint line it stands, by first letters

    @property
    def face(self) -> str:
        """How the key is written on the screen."""
        return self.shown or self.keys.split(",")[0]


# Hint letters: c containers, i images, n networks, v volumes, l logs, s shell, o others in detail.
TABLE = (
    Key("1", "list('containers')", "containers", "Panes"),
    Key("2", "list('images')", "images", "Panes"),
    Key("3", "list('networks')", "networks", "Panes"),
    Key("4", "list('volumes')", "volumes", "Panes"),
    Key("tab", "app.focus_next", "next pane", "Panes"),
    Key("shift+tab", "app.focus_previous", "pane before", "Panes", "⇧tab"),
    Key("enter", "noop", "into the detail", "Panes", "↵"),
    Key("left_square_bracket", "turn(-1)", "tab before", "Panes", "["),
    Key("right_square_bracket", "turn(1)", "next tab", "Panes", "]"),
    Key("z", "zoom", "zoom the detail", "Panes", hint="lso", brief="zoom"),
    Key("escape", "back", "back, one step", "Panes", "esc", hint="lo", brief="back"),
    Key("e", "shell('exec')", "shell in it", "Containers", hint="c", brief="shell"),
    Key("E", "shell('exec', True)", "one more shell in it", "Containers"),
    Key("a", "shell('attach')", "attach", "Containers", hint="c"),
    Key("s", "do('toggle')", "stop, or start", "Containers", hint="c", brief="stop/start"),
    Key("S", "do('start')", "start", "Containers"),
    Key("r", "do('restart')", "restart", "Containers", hint="c"),
    Key("ctrl+k", "do('kill')", "kill", "Containers", "^k"),
    Key("p", "pause_or_pull", "pause, go on", "Containers"),
    Key("d,delete", "do('remove')", "remove", "Containers", "d", hint="cinv"),
    Key("n", "run", "run a new one", "Containers", hint="ci", brief="run"),
    Key("l", "tab('logs')", "logs", "Detail", hint="c"),
    Key("g", "tab('stats')", "graphs", "Detail"),
    Key("t", "tab('processes')", "processes", "Detail"),
    Key("f", "tab('changes')", "changed files", "Detail"),
    Key("i", "tab('inspect')", "inspect", "Detail", hint="cinv"),
    Key("p", "pause_or_pull", "pull an image", "Images", hint="i", brief="pull"),
    Key("n", "run", "run it", "Images"),
    Key("slash", "search", "filter, search", "Lists", "/", hint="cinvl", brief="find"),
    Key("o", "sort(1)", "sort by the next column", "Lists"),
    Key("O", "reverse", "sort the other way", "Lists"),
    Key("space", "noop", "mark", "Lists", "␣"),
    Key("c", "copy", "copy the id", "Lists"),
    Key("X", "prune", "clean up, with preview", "Lists", hint="inv", brief="clean up"),
    Key("H", "app.host", "the host: CPUs, disks, processes", "Screen"),
    Key("colon", "app.command_palette", "all commands", "Screen", ":"),
    Key("question_mark,f1", "help", "this help", "Screen", "?", hint="cinvlso", brief="help"),
    Key("ctrl+s", "start_engine", "start the engine", "Screen", "^s"),
    Key("q", "app.quit", "quit", "Screen", hint="cinv"),
)
LOG_KEYS = (
    Key("f", "", "follow", "Logs", "f G", hint="l"),
    Key("w", "", "wrap", "Logs", hint="l"),
    Key("t", "", "timestamps", "Logs", hint="l"),
    Key("n", "", "next match", "Logs", "n N", hint="l"),
    Key("m", "", "matches, with context, all", "Logs"),
    Key("T", "", "since a time", "Logs"),
    Key("W", "", "save all of it", "Logs"),
)
SHELL_KEYS = (
    Key("", "", "give the keyboard back", "Shell", "^]", hint="s", brief="leave"),
    Key("plus", "fullscreen", "the whole screen", "Shell", "+"),
    Key("", "", "scroll back", "Shell", "⇧pgup", hint="s"),
    Key("", "", "another of its shells", "Shell", ", ."),
    Key("x", "end_session", "end the session", "Shell"),
)


def bindings() -> list[Binding]:
    """The main screen's bindings; a key that two lists share appears once."""
    seen: dict[str, Binding] = {}
    for key in (*TABLE, *SHELL_KEYS):
        if key.action not in ("", "noop"):
            seen.setdefault(key.keys, Binding(key.keys, key.action, key.label, show=False))
    return list(seen.values())


def hints(context: str) -> str:
    """The hint line of a list or tab, by its letter, as markup."""
    chosen = [key for key in (*SHELL_KEYS, *LOG_KEYS, *TABLE) if context in key.hint]
    return "  ".join(f"[$accent]{_escape(key.face)}[/] {key.brief or key.label}" for key in chosen)


def _escape(face: str) -> str:
    return face.replace("[", "\\[")
