"""`--format` of the docker command line and of `bay` against one engine: the same output."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.engine import EngineProcess

NAME = "fmt-a"
LISTED = (
    *("table {{.Names}}\t{{.Image}}", 'table {{.Names}}\t{{.Label "k"}}\t{{.Size}}', "{{.Names}}"),
    *('{{upper .Names}} {{lower "ABC"}} {{title "hello"}}', "{{pad .Names 2 4}}|"),
    *("{{truncate .Image 3}}", "{{println .Names}}", '{{.Label "k"}}', "{{len .Names}}"),
    *('{{join (split .Names "-") "+"}}', '{{range split .Image "/"}}<{{.}}>{{end}}'),
    *('{{if eq .State "running"}}yes{{else}}no{{end}}', '{{printf "%-9s|%q|%v" .Names .Image 3}}'),
    *("{{with .Names}}{{.}}{{end}}", '{{print 1 2 "a"}} {{html "<a>"}} {{"\\x27"}}'),
    *('{{and .Names "x"}} {{or "" "y"}} {{not true}} {{ne 1 2}} {{lt 1 2}}', "{{json .Names}}"),
    *("{{/* not shown */}}x{{- 1 -}} z", "{{$x := .Names}}{{$x}}", "{{.Command}}", "{{.Mounts}}"),
    *("{{.ID}}\\n", "{{.Networks}}", "{{.Labels}}", "{{.State}}", "{{.LocalVolumes}}"),
)
INSPECTED = (
    *("{{.State.Status}}", "{{json .Config.Labels}}", "{{range .Mounts}}x{{end}}|", "{{.Name}}"),
    *("{{.Config.Env}}", '{{index .Config.Labels "k"}}', "{{.Config.Labels.k}}", "{{.Created}}"),
    *("{{json .HostConfig.PortBindings}}", '{{len .Config.Cmd}} {{join .Config.Cmd " "}}'),
    *("{{(index (index .NetworkSettings.Ports `80/tcp`) 0).HostIp}}", "{{.State.Running}}"),
    *("{{range $p, $c := .NetworkSettings.Ports}}{{$p}}{{(index $c 0).HostIp}}{{end}}",),
    *("{{.HostConfig.Memory}} {{.RestartCount}}", "{{if .State.Health}}h{{else}}n{{end}}"),
    *('{{printf "%d %x" 10 255}}', "{{.NetworkSettings.Networks.bridge.Gateway}}"),
)


@pytest.fixture(scope="module", autouse=True)
def container(engine: EngineProcess, busybox_image: str) -> Iterator[None]:
    """One that runs, with a label, a port, a network and a volume."""
    engine.pull(busybox_image)
    argv = ("--name", NAME, "-l", "k=v", "-p", "127.0.0.1::80", "-v", "fmt-vol:/v")
    engine.docker("run", "-d", *argv, busybox_image, "sleep", "600", check=True)
    yield
    engine.docker("rm", "-f", NAME, check=True)
    engine.docker("volume", "rm", "fmt-vol", check=True)


def both(engine: EngineProcess, *argv: str) -> tuple[str, str]:
    """What docker and what bay say."""
    theirs, ours = engine.docker(*argv), engine.bay("-H", engine.host, *argv)
    assert ours.returncode == theirs.returncode == 0, (argv, theirs.stderr, ours.stderr)
    return theirs.stdout, ours.stdout


@pytest.mark.parametrize("form", LISTED)
def test_a_list_in_a_form_of_the_users(engine: EngineProcess, form: str) -> None:
    """`ps --format`: functions, directives, tables."""
    theirs, ours = both(engine, "ps", "-a", "-f", f"name={NAME}", "--format", form)
    assert ours == theirs


@pytest.mark.parametrize("form", INSPECTED)
def test_an_object_in_a_form_of_the_users(engine: EngineProcess, form: str) -> None:
    """`inspect --format`: fields, indices, loops."""
    theirs, ours = both(engine, "inspect", "--format", form, NAME)
    assert ours == theirs


@pytest.mark.parametrize(
    "verb",
    [
        ("ps", "-a", "-f", f"name={NAME}"),
        ("network", "ls", "-f", "name=none"),
        ("volume", "ls", "-f", "name=fmt-vol"),
        ("images", "-f", "reference=*/test/busybox"),
        ("system", "df"),
        ("history", ""),
    ],
    ids=lambda verb: " ".join(verb[:2]).strip(),
)
def test_rows_as_json(engine: EngineProcess, busybox_image: str, verb: tuple[str, ...]) -> None:
    """`{{json .}}` and `json`: docker's fields, in its order; times that pass left out."""
    argv = [word or busybox_image for word in verb]
    for form in ("{{json .}}", "json"):
        if form == "json" and "json" not in engine.docker(*argv, "--help").stdout:
            continue  # an older docker
        theirs, ours = both(engine, *argv, "--format", form)
        there = [json.loads(line) for line in theirs.splitlines()]
        here = [json.loads(line) for line in ours.splitlines()]
        assert len(there) == len(here) > 0
        for one, other in zip(there, here, strict=True):
            assert list(other) == sorted(other)
            for key, value in one.items():
                if key not in ("RunningFor", "CreatedSince", "Status", "CreatedAt"):
                    assert other.get(key, "N/A") == value, key
