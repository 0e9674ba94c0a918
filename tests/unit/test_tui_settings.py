"""Settings, keys and memory: what a user wrote, and what the screen wrote about him."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from bayplan.tui import settings, tones
from bayplan.tui.app import wrap_copy
from bayplan.tui.credentials import header
from bayplan.tui.keys import LETTERS, TABLE, Keys
from bayplan.tui.memory import Memory
from bayplan.tui.settings import Settings

WHOLE = """
theme = "light"
symbols = "ascii"
mouse = false
read-only = true
slow-link = true
restore = false
confirm = ["stop", "remove"]
hosts = ["default", "ssh://root@far"]
[keys]
restart = "ctrl+r"
"""


def test_settings_are_read(tmp_path: Path) -> None:
    file = Path(settings.path({"XDG_CONFIG_HOME": str(tmp_path)}))
    assert file == tmp_path / "bay" / "config.toml"
    file.parent.mkdir()
    file.write_text(WHOLE)
    assert settings.load(file) == Settings(
        theme="light",
        mouse=False,
        read_only=True,
        ascii_only=True,
        slow_link=True,
        restore=False,
        confirm=frozenset({"stop", "remove"}),
        keys={"restart": "ctrl+r"},
        hosts=("default", "ssh://root@far"),
    )


def test_without_a_file_all_is_as_by_default(tmp_path: Path) -> None:
    assert settings.load(tmp_path / "none" / "config.toml") == Settings()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("theme = 3", "theme is a name"),
        ("mouse = 'no'", "mouse is true or false"),
        ("symbols = 'emoji'", "'unicode' or 'ascii'"),
        ("confirm = ['everything']", "confirm is 'always'"),
        ("colour = 'blue'", "no setting 'colour'"),
        ("keys = 'vi'", "[keys]"),
        ("hosts = 'far'", "hosts is a list"),
    ],
)
def test_a_mistake_is_said_and_costs_only_itself(line: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"read-only = true\n{line}\n")
    found = settings.load(file)
    assert found.read_only
    assert len(found.problems) == 1 and said in found.problems[0] and str(file) in found.problems[0]


def test_a_file_that_is_no_toml_is_said(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("mouse = = true")
    assert "is not TOML" in settings.load(file).problems[0]


def test_confirm_always_and_never() -> None:
    assert settings.understand({"confirm": "never"}, "f").confirm == frozenset()
    assert "restart" in settings.understand({"confirm": "always"}, "f").confirm


# --- keys


def test_each_action_of_the_table_has_one_key_and_each_key_one_action() -> None:
    owners: dict[str, str] = {}
    for key in TABLE:
        for one in key.keys.split(","):
            if one:
                assert owners.setdefault(one, key.action) == key.action, one
    assert Keys().problems == []


def test_a_remapped_key_is_bound_and_shown() -> None:
    keys = Keys({"restart": "ctrl+r"})
    bound = {binding.key: binding.action for binding in keys.bindings()}
    assert bound["ctrl+r"] == "do('restart')" and "r" not in bound
    assert "^r" in keys.hints("c")
    assert not keys.problems


def test_mistakes_in_keys_are_said() -> None:
    keys = Keys({"restrat": "r", "stop": "x"})
    assert any("restrat" in one for one in keys.problems)
    clash = Keys({"restart": "s"})
    assert any("restart" in one and "another" in one for one in clash.problems)


def test_hints_fit_and_always_say_how_to_get_help() -> None:
    for letter in LETTERS.values():
        for width in (30, 60, 80, 120):
            line = Keys().hints(letter, width)
            assert "help" in line and "quit" in line


# --- memory


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "state" / "bay" / "screen.json"
    memory = Memory(file)
    memory.now.filters["images"] = "shop"
    memory.now.hide_stopped = True
    assert memory.keep() == ""
    assert file.stat().st_mode & 0o777 == 0o600
    again = Memory(file).recall()
    assert again.filters == {"images": "shop"} and again.hide_stopped


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', '{"sorts": 3, "kind": 7}', '{"filters": {"images": 3}}']
)
def test_a_broken_memory_is_as_if_new(text: str, tmp_path: Path) -> None:
    file = tmp_path / "screen.json"
    file.write_text(text)
    known = Memory(file).recall()
    assert known.kind == "containers" and known.sorts == {} and known.filters == {}


def test_memory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "bay").write_text("a file where the folder should be")
    assert "Cannot write" in Memory(tmp_path / "bay" / "screen.json").keep()


# --- themes, clipboard, credentials


def test_themes_are_chosen_by_short_names_too() -> None:
    assert tones.choose({"TERM": "xterm-256color"}, "light") == "bay-light"
    assert tones.choose({"BAY_THEME": "ansi"}, "light") == "bay-ansi"
    assert tones.choose({"NO_COLOR": "1"}, "") == "bay-ansi"
    assert "solarized" in tones.unknown("solarized") and tones.unknown("contrast") == ""


def test_a_copy_goes_through_tmux_and_screen() -> None:
    plain = f"\x1b]52;c;{base64.b64encode(b'id').decode()}\a"
    assert wrap_copy("id", {}) == ""
    assert wrap_copy("id", {"TMUX": "/tmp/x"}) == f"\x1bPtmux;\x1b{plain}\x1b\\"
    long = wrap_copy("x" * 3000, {"STY": "1.pts"})
    assert all(len(part) <= 768 for part in long.split("\x1b\\"))


def test_credentials_of_the_registry_go_with_a_push(tmp_path: Path) -> None:
    packed = base64.b64encode(b"ann:secret").decode()
    config = {"auths": {"reg.example:5000": {"auth": packed}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    where = {"BAY_CONFIG": str(tmp_path)}
    said = json.loads(base64.urlsafe_b64decode(header("reg.example:5000/a/b:1", where)))
    assert (said["username"], said["password"]) == ("ann", "secret")
    assert json.loads(base64.urlsafe_b64decode(header("busybox", where))) == {}


def test_the_documentation_names_every_action_that_has_a_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "tui.md").read_text()
    assert [key.name for key in TABLE if key.name and f"`{key.name}`" not in page] == []
