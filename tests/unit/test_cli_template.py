"""`--format`: templates do what Go's do, where Docker's users use them."""

from __future__ import annotations

from typing import Any

import pytest
from bayplan.cli.template import Template, TemplateError

OBJECT: dict[str, Any] = {
    "Name": "/web",
    "State": {"Status": "running", "Running": True, "Pid": 12},
    "Config": {"Env": ["A=1", "B=2"], "Labels": {"a.b": "c", "k": "v"}, "Cmd": None},
    "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "53/udp": None},
    "Networks": {"b": {"IPAddress": "1.2"}, "a": {"IPAddress": "3.4"}},
    "Size": 1.5,
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("{{.Name}}", "/web"),
        ("{{ .State.Running }} {{.State.Pid}} {{.Size}}", "true 12 1.5"),
        ("{{.Config.Cmd}}", "<no value>"),
        ("{{.Config.Env}}", "[A=1 B=2]"),
        ("{{.Config.Labels}}", "map[a.b:c k:v]"),
        ("{{json .Config.Env}}", '["A=1","B=2"]'),
        ("{{json .Config.Cmd}}", "null"),
        ("{{.Config.Env | json}}", '["A=1","B=2"]'),
        ('{{index .Config.Labels "a.b"}}', "c"),
        ('{{index .Config.Labels "none"}}', "<no value>"),
        ("{{.Config.Labels.none}}", "<no value>"),
        ("{{index .Config.Env 1}}", "B=2"),
        ('{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"),
        ('{{with index .Ports "80/tcp"}}{{(index . 0).HostIp}}{{end}}', "0.0.0.0"),
        ("{{range .Config.Env}}{{.}};{{end}}", "A=1;B=2;"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
        ("{{range $i, $e := .Config.Env}}{{if $i}},{{end}}{{$e}}{{end}}", "A=1,B=2"),
        ("{{range $k, $v := .Networks}}{{$k}}={{$v.IPAddress}} {{end}}", "a=3.4 b=1.2 "),
        ("{{range $n := .Networks}}{{$n.IPAddress}} {{end}}", "3.4 1.2 "),
        ("{{range .Networks}}{{.IPAddress}}{{$.Name}} {{end}}", "3.4/web 1.2/web "),
        ("{{range .Config.Cmd}}x{{else}}none{{end}}", "none"),
        ("{{range .Config.Env}}{{if eq . \"B=2\"}}{{break}}{{end}}{{.}}{{end}}", "A=1"),
        ("{{range .Config.Env}}{{if eq . \"A=1\"}}{{continue}}{{end}}{{.}}{{end}}", "B=2"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ('{{if eq .State.Status "exited" "running"}}yes{{else}}no{{end}}', "yes"),
        ("{{if .Config.Cmd}}a{{else if .State.Running}}b{{else}}c{{end}}", "b"),
        ("{{if not .Config.Cmd}}none{{end}}", "none"),
        ("{{if and .State.Running (gt .State.Pid 10)}}up{{end}}", "up"),
        ("{{if or .Config.Cmd .Name}}x{{end}}", "x"),
        ("{{or .Config.Cmd .Name}}", "/web"),
        ("{{with .State}}{{.Pid}}{{$.Name}}{{end}}", "12/web"),
        ("{{with .Config.Cmd}}x{{else}}y{{end}}", "y"),
        ("{{$x := len .Config.Env}}{{$x}}{{$x = 5}}{{$x}}", "25"),
        ('{{join .Config.Env ","}}', "A=1,B=2"),
        ('{{join .Config.Env "," | lower}}', "a=1,b=2"),
        ("{{upper .Name}} {{title `ab cd`}}", "/WEB Ab Cd"),
        ('{{index (split "a:b" ":") 1}}', "b"),
        ("{{truncate .Name 3}}|{{pad `x` 1 2}}|", "/we| x  |"),
        ("{{slice .Name 1 3}}", "we"),
        ('{{printf "%-6s|%4d|%q|%5.1f|%v|%%" .Name .State.Pid "a" .Size true}}',
         '/web  |  12|"a"|  1.5|true|%'),
        ('{{len .Config.Env | printf "%03d"}}', "002"),
        ('{{printf "%d"}}', "%!d(MISSING)"),
        ('{{print 1 2 "a" "b"}}', "1 2ab"),
        ("a {{- .Name -}} b", "a/webb"),
        ("a {{- /* why */ -}} b", "ab"),
        ("{{/* comment */}}x", "x"),
        ("{{`raw }} text`}}", "raw }} text"),
        (r'{{"tab\tquote\""}}', 'tab\tquote"'),
        ("{{-3}} {{2.5}} {{true}}", "-3 2.5 true"),
        ("{{.State.Health}}", "<no value>"),
        ("{{if .State.Health}}h{{end}}", ""),
        ("{{if ne .State.Pid 0}}pid{{end}}", "pid"),
        ('{{define "n"}}<{{.}}>{{end}}{{range .Config.Env}}{{template "n" .}}{{end}}',
         "<A=1><B=2>"),
        ('{{template "x" .State}}{{define "x"}}{{.Pid}}{{$.Pid}}{{end}}', "1212"),
        ('{{block "b" .Name}}[{{.}}]{{end}}{{template "b"}}', "[/web][<no value>]"),
    ],
)  # fmt: skip
def test_rendered(text: str, result: str) -> None:
    assert Template(text).render(OBJECT) == result


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{.Name", "unclosed action"),
        ("{{range .Config.Env}}x", "an {{end}} is missing"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{nope .Name}}", 'function "nope" not defined'),
        ("{{$x}}", 'undefined variable "$x"'),
        ("{{.Nmae}}", "can't evaluate field Nmae"),
        ("{{.State.Statsu}}", "can't evaluate field Statsu"),
        ("{{.State.Health.Status}}", "nil pointer evaluating .Status"),
        ("{{.Name.Foo}}", "can't evaluate field Foo"),
        ("{{index .Config.Env 7}}", "index out of range: 7"),
        ("{{.Name 1}}", "can't give argument to non-function"),
        ("{{range .Name}}{{end}}", "range can't iterate over /web"),
        ("{{(.Name}}", "a ) is missing"),
        ("{{if}}{{end}}", "missing value"),
        ("{{template `x`}}", 'template "x" not defined'),
        ("{{define `x`}}{{end}}{{define `x`}}{{end}}", 'multiple definition of template "x"'),
        ("{{if .Name}}{{define `x`}}{{end}}{{end}}", "unexpected {{define}}"),
        ("{{define `x`}}", "an {{end}} is missing"),
        ("{{define x}}{{end}}", "needs a name in quotes"),
        ("{{block `x`}}{{end}}", "missing value for block clause"),
        ("{{define `x`}}{{template `x`}}{{end}}{{template `x`}}", "maximum template depth"),
        ("{{break}}", "{{break}} outside {{range}}"),
        ("{{range .Config.Env}}{{block `x` .}}{{continue}}{{end}}{{end}}", "outside {{range}}"),
        ("{{len 5}}", "template: len does not take these 1 arguments"),
        ("{{json}}", "template: json does not take these 0 arguments"),
        ("{{.Name ~}}", 'unexpected "~"'),
    ],
)
def test_mistakes_are_named(text: str, problem: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(text).render(OBJECT)
    assert problem in str(caught.value)


def test_methods_of_a_row() -> None:
    row = {"Label": lambda name: f"<{name}>", "ID": "x"}
    assert Template('{{.Label "a"}} {{.ID}}').render(row) == "<a> x"
