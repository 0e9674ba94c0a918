"""No action, dialog or key of the screen without a test that drives it: the list, and its check.

Whoever adds one adds a line here; the test named must exist, and press the key or name the action.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from functools import cache
from pathlib import Path

import bayplan.tui
import pytest
from bayplan.tui.keys import TABLE
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import ModalScreen

# What anybody can do anywhere, or is Textual's own.
_COMMON = ("app.focus_next", "app.focus_previous", "dismiss")
_LISTS = "test_stop_undo_restart_pause_and_kill"
_IMAGES = "test_commit_tag_and_removal_of_an_image"
_NETWORK = "test_a_network_is_created_connected_left_and_removed"
_PANES = "test_panes_are_gone_through_zoomed_and_drawn_anew"
_LOG = "test_a_log_is_gone_through_wrapped_dated_and_searched"
_TREE = "test_a_tree_is_folded_sorted_by_size_and_copied"
_TABLE = "test_a_list_is_gone_through_by_lines_pages_and_ends"
_TABS = "test_each_tab_has_a_key"
_FILES = "test_a_file_is_viewed_and_copied_out_and_in"
_SHELLS = "test_closing_a_shell_ends_what_runs_in_it"
_INSPECT = "test_an_inspection_is_gone_through_by_matches_folded_and_copied_whole"
_MENUS = "test_menus_and_columns_are_gone_through_by_letters"
_SNAPSHOTS = "test_a_snapshot_is_taken_and_rolled_back_to"
_JOBS = "test_jobs_are_chosen_from_their_list_and_looked_at"
_HOSTS = "test_one_that_never_answers_is_connecting_and_holds_up_nobody"
_BUILD = "test_a_stage_that_another_ended_has_not_failed"

# The actions of the table of keys, and the test that takes each.
ACTIONS = {
    "list('containers')": _NETWORK,
    "list('images')": _IMAGES,
    "list('networks')": _NETWORK,
    "list('volumes')": "test_a_volume_is_created_and_undone",
    "list('projects')": "test_a_project_is_stopped_started_and_taken_down",
    "app.focus_next": _PANES,
    "app.focus_previous": _PANES,
    "turn(-1)": _PANES,
    "turn(1)": "test_turning_goes_through_all_tabs_and_round",
    "zoom": _PANES,
    "jump": "test_a_jump_is_two_keys",
    "back": "test_a_filter_narrows_as_it_is_typed_and_escape_ends_it",
    "shell('exec')": _SHELLS,
    "shell('exec', True)": _SHELLS,
    "shell('attach')": "test_attach_is_the_main_process_and_leaving_it_leaves_it",
    "ask('execute')": "test_a_command_is_run_in_a_terminal",
    "do('toggle')": _LISTS,
    "do('start')": _LISTS,
    "do('restart')": _LISTS,
    "do('kill')": _LISTS,
    "pause_or_pull": _LISTS,
    "do('remove')": "test_remove_a_running_container_by_force",
    "new": "test_a_container_is_run_from_an_image",
    "ask('rename')": "test_rename_and_its_undoing",
    "ask('commit')": _IMAGES,
    "ask('connect')": _NETWORK,
    "ask('disconnect')": _NETWORK,
    "tab('logs')": "test_logs_filter_shows_matches_then_their_context",
    "tab('stats')": _TABS,
    "tab('processes')": _TABS,
    "tab('changes')": "test_changes_are_a_tree",
    "tab('inspect')": "test_inspect_finds_a_value_that_is_folded_away_and_copies_it",
    "tab('files')": _TABS,
    "tab('layers')": _TABS,
    "tab('env')": _TABS,
    "tab('ports')": _TABS,
    "tab('health')": _TABS,
    "tab('happened')": _TABS,
    "work('push')": "test_an_image_is_pushed_and_pulled",
    "ask('tag')": _IMAGES,
    "work('build')": _BUILD,
    "work('save')": "test_an_image_goes_to_a_file_and_comes_back",
    "work('load')": "test_an_image_goes_to_a_file_and_comes_back",
    "search": "test_a_filter_narrows_as_it_is_typed_and_escape_ends_it",
    "menu": "test_the_menu_has_what_the_list_can_and_runs_it",
    "sort(1)": "test_sorting_goes_through_the_shown_columns_and_round",
    "reverse": "test_sorting_goes_through_the_shown_columns_and_round",
    "columns": "test_columns_are_chosen_and_the_first_one_stays",
    "hide_stopped": "test_stopped_containers_are_hidden_and_counted",
    "mark_all": "test_marks_are_all_or_none_and_an_action_is_for_them",
    "copy": "test_copy_puts_the_id_of_a_row_and_what_a_shell_shows_on_the_clipboard",
    "undo": _LISTS,
    "prune": "test_a_clean_up_says_what_it_freed_and_removes_only_what_was_chosen",
    "jobs": "test_the_list_of_what_is_under_way_shows_a_job_and_cancels_it",
    "app.host": "test_enter_in_the_host_view_goes_to_the_container",
    "hosts": "test_one_host_alone",
    "app.command_palette": "test_the_palette_finds_an_action_by_its_words",
    "help": "test_help_has_every_key_of_the_table",
    "app.repaint": _PANES,
    "start_engine": "test_the_engine_of_this_machine_is_started_by_a_key",
    "app.quit": _PANES,
}

DIALOGS = {
    "Ask": _FILES,
    "AskImage": "test_what_is_typed_right_after_a_dialog_s_key_is_in_the_dialog",
    "Building": _BUILD,
    "Columns": _MENUS,
    "Confirm": "test_remove_a_running_container_by_force",
    "Filling": "test_rename_and_its_undoing",  # the base of FormDialog and Run
    "FormDialog": _NETWORK,
    "Help": "test_help_has_every_key_of_the_table",
    "HostView": "test_enter_in_the_host_view_goes_to_the_container",
    "Hosts": _HOSTS,
    "Jobs": _JOBS,
    "Jump": "test_a_jump_is_two_keys",
    "Menu": _MENUS,
    "Progress": _JOBS,
    "Prune": "test_a_clean_up_says_what_it_freed_and_removes_only_what_was_chosen",
    "Run": "test_a_shell_and_a_run_are_on_the_row_s_host",
    "Snapshots": _SNAPSHOTS,
    "Viewer": _FILES,
}

# The keys that one pane or dialog has for itself.
PANES = {
    "BayApp.command_palette": _PANES,
    "Building.cancel": "test_a_build_is_cancelled",
    "Building.show_line": _BUILD,
    "Changes.commit": _TREE,
    "Changes.reread": _TREE,
    "Changes.snapshots": _SNAPSHOTS,
    "Columns.down": _MENUS,
    "Columns.leave": _MENUS,
    "Columns.reset": _MENUS,
    "Columns.switch": _MENUS,
    "Columns.up": _MENUS,
    "Confirm.no": "test_remove_a_running_container_by_force",
    "Confirm.yes": "test_remove_a_running_container_by_force",
    "FilesTab.ask_in": _FILES,
    "FilesTab.ask_out": _FILES,
    "FilesTab.reread": _FILES,
    "FormDialog.go": _NETWORK,
    "HostView.go": "test_enter_in_the_host_view_goes_to_the_container",
    "Hosts.dismiss_rows": "test_one_that_is_killed_does_not_hold_up_the_other",
    "Hosts.down": _HOSTS,
    "Hosts.retry": _HOSTS,
    "Hosts.start": _HOSTS,
    "Hosts.up": _HOSTS,
    "Inspect.copy_all": _INSPECT,
    "Inspect.copy_value": "test_inspect_finds_a_value_that_is_folded_away_and_copies_it",
    "Inspect.fold_all(False)": _INSPECT,
    "Inspect.fold_all(True)": _INSPECT,
    "Inspect.next_match(-1)": _INSPECT,
    "Inspect.next_match(1)": _INSPECT,
    "Jobs.cancel": "test_the_list_of_what_is_under_way_shows_a_job_and_cancels_it",
    "Jobs.move(-1)": _JOBS,
    "Jobs.move(1)": _JOBS,
    "Jobs.open": _JOBS,
    "Listing.copy_row": "test_a_variable_is_copied_and_the_graphs_turn_to_a_day",
    "Listing.open_url": "test_a_port_is_copied_where_there_is_no_browser",
    "LogView.errors": "test_the_last_error_of_a_log_is_one_key_away",
    "LogView.first": _LOG,
    "LogView.follow": _LOG,
    "LogView.next_match(-1)": _LOG,
    "LogView.next_match(1)": _LOG,
    "LogView.next_only": "test_logs_filter_shows_matches_then_their_context",
    "LogView.scroll_lines(-1)": _LOG,
    "LogView.scroll_lines(1)": _LOG,
    "LogView.scroll_pages(-1)": _LOG,
    "LogView.scroll_pages(1)": _LOG,
    "LogView.sideways(-8)": _LOG,
    "LogView.sideways(8)": _LOG,
    "LogView.toggle_times": _LOG,
    "LogView.toggle_wrap": _LOG,
    "Logs.ask_file": "test_a_log_is_saved_whole",
    "Logs.ask_since": _LOG,
    "Logs.beginning": _LOG,
    "Logs.copy_lines": _LOG,
    "Menu.down": _MENUS,
    "Menu.up": _MENUS,
    "Outline.by_size": _TREE,
    "Outline.copy_path": _TREE,
    "Outline.fold": _TREE,
    "Outline.fold_all": _TREE,
    "Outline.turn_node": "test_changes_are_a_tree",
    "Outline.unfold": _TREE,
    "Outline.unfold_all": _TREE,
    "Prune.yes": "test_a_clean_up_says_what_it_freed_and_removes_only_what_was_chosen",
    "Run.go": "test_a_container_is_run_from_an_image",
    "Shell.copy_screen": ("test_copy_puts_the_id_of_a_row_and_what_a_shell_shows_on_the_clipboard"),
    "Shell.other(-1)": _SHELLS,
    "Shell.other(1)": _SHELLS,
    "Snapshots.branch": _SNAPSHOTS,
    "Snapshots.remove": _SNAPSHOTS,
    "Snapshots.roll_back": _SNAPSHOTS,
    "Snapshots.take": _SNAPSHOTS,
    "Stats.turn_span": "test_a_variable_is_copied_and_the_graphs_turn_to_a_day",
    "Table.choose": _TABLE,
    "Table.end(-1)": _TABLE,
    "Table.end(1)": _TABLE,
    "Table.mark": _TABLE,
    "Table.move(-1)": _TABLE,
    "Table.move(1)": _TABLE,
    "Table.page(-1)": _TABLE,
    "Table.page(1)": _TABLE,
    "Viewer.ask": "test_a_file_is_searched_where_it_is_viewed",
    "Viewer.leave": "test_a_file_is_searched_where_it_is_viewed",
}


@cache
def written() -> dict[str, set[str]]:
    """The words each test of the screen writes, its decorators' and helpers' calls included."""
    found: dict[str, set[str]] = {}
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        if file == Path(__file__):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
                node.name.startswith("test_")
            ):
                assert node.name not in found, f"two tests are called {node.name}"
                found[node.name] = set(_words(node))
    return found


def _words(node: ast.AST) -> list[str]:
    words: list[str] = []
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            words.append(one.value)
        elif isinstance(one, ast.Name):
            words.append(one.id)
        elif isinstance(one, ast.Attribute):
            words.append(one.attr)
    return words


@cache
def classes() -> list[type[DOMNode]]:
    """The screen's own widgets, dialogs and its app."""
    found: list[type[DOMNode]] = []
    for module in pkgutil.walk_packages(bayplan.tui.__path__, "bayplan.tui."):
        for one in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(one) and one.__module__ == module.name and issubclass(one, DOMNode):
                found.append(one)
    return found


def own_keys() -> dict[str, set[str]]:
    """Class and action of each binding that is not common to all, and its keys."""
    found: dict[str, set[str]] = {}
    for one in classes():
        for binding in vars(one).get("BINDINGS", []):
            key, action = (
                (binding.key, binding.action) if isinstance(binding, Binding) else binding[:2]
            )
            if action.partition("(")[0] not in _COMMON:
                found.setdefault(f"{one.__name__}.{action}", set()).update(key.split(","))
    return found


def drives(test: str, action: str, keys: set[str]) -> bool:
    """Whether a test presses one of the keys, or calls the action by its name."""
    name = action.partition("(")[0].removeprefix("app.")
    named = {action, f"action_{name}"} | ({action.split("'")[1]} if "'" in action else set())
    return bool(written().get(test, set()) & (keys | named))


def test_every_action_of_the_keys_has_a_test() -> None:
    keys: dict[str, set[str]] = {}
    for key in TABLE:
        if key.action != "noop":
            keys.setdefault(key.action, set()).update(set(key.keys.split(",")) - {""})
    assert set(ACTIONS) == set(keys), "an action without a line here, or a line without an action"
    idle = {action: test for action, test in ACTIONS.items()
            if not drives(test, action, keys[action])}  # fmt: skip
    assert not idle, "these tests are not there, or press no such key"


def test_every_dialog_has_a_test() -> None:
    dialogs = {one.__name__ for one in classes() if issubclass(one, ModalScreen)}
    assert set(DIALOGS) == dialogs, "a dialog without a line here, or a line without a dialog"
    assert not [test for test in DIALOGS.values() if test not in written()]


def test_every_key_of_a_pane_has_a_test() -> None:
    keys = own_keys()
    assert set(PANES) == set(keys), "a binding without a line here, or a line without a binding"
    idle = {name: test for name, test in PANES.items()
            if not drives(test, name.partition(".")[2], keys[name])}  # fmt: skip
    assert not idle, "these tests are not there, or press no such key"


@pytest.mark.parametrize("action", ["nothing", "do('none')"])
def test_the_check_sees_what_no_test_presses(action: str) -> None:
    assert not drives(_LISTS, action, {"ctrl+alt+z"})
