"""Where an engine is: `-H` in all its forms."""

from __future__ import annotations

import shlex

import pytest
from bayplan.client.hosts import Host, Tls, default_host, parse_host
from bayplan.client.transport import ssh_argv
from bayplan.host.errors import InvalidError

TLS = Tls(ca="ca.pem")


@pytest.mark.parametrize(
    ("text", "tls", "host"),
    [
        ("unix:///run/x.sock", None, Host("unix", path="/run/x.sock")),
        ("tcp://h:1234", None, Host("tcp", name="h", port=1234)),
        ("tcp://h", None, Host("tcp", name="h", port=2375)),
        ("tcp://h", TLS, Host("tcp", name="h", port=2376, tls=TLS)),
        ("h:99", None, Host("tcp", name="h", port=99)),
        ("tcp://[::1]:5/base/", None, Host("tcp", name="::1", port=5, path="/base")),
        ("https://h", None, Host("tcp", name="h", port=2376, tls=Tls())),
        ("ssh://me@h:22", None, Host("ssh", name="h", port=22, user="me")),
        ("ssh://h", None, Host("ssh", name="h")),
        ("ssh://h/run/y.sock", None, Host("ssh", name="h", path="/run/y.sock")),
    ],
)
def test_forms(text: str, tls: Tls | None, host: Host) -> None:
    assert parse_host(text, tls) == host


@pytest.mark.parametrize(
    "text",
    [
        "unix://relative", "npipe://x", "tcp://h:port", "ssh://", "ssh://me:secret@h",
        "ssh://-oProxyCommand=x", "ssh://-l@h",
    ],
)  # fmt: skip
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(InvalidError):
        parse_host(text)


def test_only_the_default_host_may_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAY_RUN_ROOT", "/tmp/elsewhere")
    host = default_host()
    assert (host.local, host.path) == (True, "/tmp/elsewhere/bay.sock")
    assert not parse_host(str(host)).local


def test_text_and_host_are_the_same() -> None:
    for text in ("unix:///a", "tcp://h:1", "tcp://[::1]:5", "ssh://me@h:22/x"):
        assert str(parse_host(text)) == text


def test_ssh_runs_the_far_bay() -> None:
    host = parse_host("ssh://me@far:2222/run/o'x.sock")
    argv = ssh_argv(host)
    assert argv[-4:-1] == ["far", "sh", "-c"]
    (script,) = shlex.split(argv[-1])
    place = "'unix:///run/o'\"'\"'x.sock'"
    assert f"exec bay -H {place} engine dial-stdio; elif" in script
    assert f"exec docker -H {place} system dial-stdio" in script, "where there is no bay"
    assert f"exec podman --url {place} system dial-stdio" in script
    assert "exec bay engine dial-stdio" in ssh_argv(parse_host("ssh://far"))[-1]
    assert argv[argv.index("--") + 1] == "far", "options end before the host's name"
    assert argv[argv.index("-l") + 1] == "me"
    assert argv[argv.index("-p") + 1] == "2222"
