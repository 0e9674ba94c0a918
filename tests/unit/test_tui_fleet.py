"""Several hosts in one screen: names, whose a row and a deed is, and what ssh is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from bayplan.cli.app import App
from bayplan.cli.commands.screen import _hosts
from bayplan.cli.flags import parse
from bayplan.cli.main import GLOBAL_FLAGS
from bayplan.client.hosts import default_host, parse_host
from bayplan.client.transport import ssh_argv
from bayplan.host.errors import InvalidError
from bayplan.tui import fleet
from bayplan.tui.cells import Row, cell
from bayplan.tui.fleet import Station
from bayplan.tui.verbs import Deed, Step


def station(name: str, flag: str = "-H") -> Station:
    async def make() -> Station:
        place = fleet.named([("", f"ssh://{name}", parse_host(f"ssh://{name}"))])[0]
        if flag == "-c":
            place = fleet.named([(name, name, parse_host(f"ssh://{name}"))])[0]
        return fleet.stations([place], lambda one, kind: None, float, False)[0]

    return asyncio.run(make())


def test_each_host_has_a_short_name_of_its_own() -> None:
    given = [
        *(
            "unix:///var/run/docker.sock",
            "unix:///run/podman/podman.sock",
            "unix:///run/a/bay.sock",
        ),
        *("ssh://root@build1", "ssh://me@build1", "tcp://10.0.0.3:2376"),
    ]
    places = fleet.named([("", one, parse_host(one)) for one in given])
    names = [one.name for one in places]
    assert names == ["docker", "podman", "a", "build1", "build1-2", "10.0.0.3"]
    assert fleet.named([("", "", default_host())])[0].name == "local"


def test_a_command_names_its_host() -> None:
    far = station("far")
    assert far.addressed("bay rm a; bay rmi b") == "bay -H ssh://far rm a; bay -H ssh://far rmi b"
    assert far.addressed("docker compose -p x up") == "docker -H ssh://far compose -p x up"
    once = far.addressed("bay stop a")
    assert far.addressed(once) == once
    assert station("here", "-c").addressed("bay stop a") == "bay -c here stop a"


def test_a_row_knows_its_host_and_its_own_id() -> None:
    row = station("far").own(Row("sha256:1 web:1", {"name": cell("web")}, {"name": "web"}, "web"))
    assert (fleet.owner(row.id), fleet.plain(row.id)) == ("far", "sha256:1 web:1")
    lost = station("far")
    lost.model.link = "lost"
    gone = lost.own(Row("1", {"name": cell("web", "bright")}, {}, "web"))
    assert gone.cells["name"] == cell("web", "dim") and gone.cells["host"][1][0] == " ✕ 0s"
    assert row.cells["host"][0][0] == "far" and "far" in row.text


def test_deeds_of_several_hosts_are_parted_again() -> None:
    deeds = []
    for name in ("a", "b"):
        step = Step("1", "web", "POST", "/containers/1/stop", "stopping")
        back = Deed("Start", [step], "bay start web")
        deed = Deed("Stop", [step], "bay stop web", "Stop web?", undo=back)
        deeds.append(fleet.of(station(name), deed))
    assert deeds[0].question == "Stop web on a?"
    whole = fleet.joined(deeds)
    assert whole is not None and whole.question == "Stop 2 on 2 hosts?"
    assert {name: len(one.steps) for name, one in fleet.parted(whole).items()} == {"a": 1, "b": 1}
    assert whole.undo is not None and set(fleet.parted(whole.undo)) == {"a", "b"}
    assert fleet.result(whole, {"a": [], "b": []}) == ("a: 1 · b: 1", "information")
    assert fleet.result(whole, {"a": [], "b": ["web: no"]}) == ("a: 1 · b: 0 of 1", "warning")


def test_the_first_of_ssh_s_options_counts() -> None:
    argv = ssh_argv(parse_host("ssh://me@far:22"), ("-o", "ConnectTimeout=10"))
    assert argv.index("ConnectTimeout=10") < argv.index("ConnectTimeout=30")
    assert argv[argv.index("--") + 1] == "far" and "bay engine dial-stdio" in argv[-1]


def test_hosts_come_from_options_contexts_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BAY_HOST", "BAY_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    from bayplan.cli.contexts import Context

    def app(*words: str) -> App:
        return App(parse(GLOBAL_FLAGS, ["--config", str(tmp_path), *words]))

    app().contexts.put(Context("build1", "ssh://root@build1"))
    given = _hosts(app("-H", "unix:///a", "-H", "unix:///b", "-c", "build1"), ("unix:///c",))
    assert [str(host) for _, _, host in given] == ["unix:///a", "unix:///b", "ssh://root@build1"]
    assert _hosts(app("-H", "unix:///a"), ("unix:///b", "unix:///c")) == []
    by_default = _hosts(app(), ("default", "build1", "unix:///c"))
    assert [name for name, _, _ in by_default] == ["default", "build1", ""]
    with pytest.raises(InvalidError, match="smtp://x"):
        _hosts(app("-H", "unix:///a", "-H", "smtp://x"), ())
    monkeypatch.setenv("BAY_HOST", "unix:///a")
    assert _hosts(app(), ("unix:///b", "unix:///c")) == []
