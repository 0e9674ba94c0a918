"""The program: what it imports, how it fails, contexts, settings, completion."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bayplan.cli.auth import HUB, auth_header, credentials, registry_of
from bayplan.cli.commands.networks import ipam_config
from bayplan.cli.complete import candidates
from bayplan.cli.config import Config
from bayplan.cli.contexts import Context, Contexts
from bayplan.cli.main import GLOBAL_FLAGS, main
from bayplan.host.errors import ConflictError, InvalidError, NotFoundError

HEAVY = {"aiohttp", "argparse", "apsw", "asyncio", "dataclasses", "email", "http", "pyroute2",
         "rich", "ssl", "subprocess", "textual"}  # fmt: skip


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BAY_HOST", "BAY_CONTEXT", "BAY_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BAY_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("BAY_RUN_ROOT", str(tmp_path))


@pytest.mark.parametrize("words", [["--version"], ["-H", "unix:///nonexistent", "ps"]])
def test_a_short_command_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; from bayplan.cli.main import main\n"
        f"main({words!r}); print(*{{name.split('.')[0] for name in sys.modules}})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    # The editable install's own finder may bring some of these along; it isn't there in a wheel.
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert not (loaded & HEAVY) - {name.split(".")[0] for name in bare.stdout.split()}


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["frob"], 1, "bay: unknown command: bay frob"),
        (["container", "frob"], 1, "bay: unknown command: bay container frob"),
        (["--frob"], 125, "unknown flag: --frob"),
        (["ps", "--frob"], 125, "unknown flag: --frob"),
        (["ps", "x"], 1, "'bay ps' accepts no arguments"),
        (["run"], 1, "'bay run' requires at least 1 argument"),
        (["-H", "unix:///nonexistent", "ps"], 1, "Cannot connect to the engine"),
        (["-H", "unix:///nonexistent", "run", "x"], 125, "bay: Cannot connect to the engine"),
        (["run", "-p", "x", "y"], 125, "invalid containerPort"),
        (["-H", "npipe://x", "ps"], 1, "unable to parse docker host"),
        (["--context", "none", "ps"], 1, 'context "none" does not exist'),
        (["-H", "unix:///a", "-H", "unix:///b", "ps"], 1, "specify only one --host"),
    ],
)
def test_failures(
    words: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    out, err = capsys.readouterr()
    assert text in err
    assert not out


@pytest.mark.parametrize("words", [["--help"], ["help"], ["run", "--help"], ["volume"],
                                   ["help", "run"], ["volume", "ls", "--help"]])  # fmt: skip
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("Usage:  bay")


def test_contexts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["context", "create", "far", "--docker", "host=ssh://me@far"]) == 0
    assert main(["context", "create", "far", "--docker", "host=ssh://me@far"]) == 1
    assert main(["context", "use", "far"]) == 0
    capsys.readouterr()
    assert main(["context", "ls", "--format", "{{.Name}} {{.DockerEndpoint}} {{.Current}}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"default unix://{tmp_path}/bay.sock false", "far ssh://me@far true"]
    assert main(["context", "show"]) == 0
    assert main(["context", "rm", "far"]) == 1
    assert main(["context", "rm", "-f", "far"]) == 0
    assert main(["context", "show"]) == 0
    assert capsys.readouterr().out.splitlines() == ["far", "far", "default"]


def test_a_context_has_certificates(tmp_path: Path) -> None:
    contexts = Contexts(Config(tmp_path))
    contexts.put(Context("c1", "tcp://h", ca="/ca.pem", cert="/c.pem", key="/k.pem"))
    host = contexts.get("c1").parsed()
    assert (host.port, host.tls and host.tls.ca, host.tls and host.tls.verify) == (
        2376,
        "/ca.pem",
        True,
    )
    with pytest.raises(InvalidError):
        contexts.put(Context("../evil", "tcp://h"))
    with pytest.raises(NotFoundError):
        contexts.use("none")
    contexts.use("c1")
    with pytest.raises(ConflictError):
        contexts.remove("c1", force=False)


def test_credentials_are_for_this_user_only(tmp_path: Path) -> None:
    config = Config(tmp_path / "x")
    config.values["auths"] = {"r.io": {"auth": base64.b64encode(b"me:pass:word").decode()}}
    config.save()
    assert os.stat(config.path).st_mode & 0o777 == 0o600
    read = Config(tmp_path / "x")
    assert credentials(read, "r.io")["password"] == "pass:word"
    header = auth_header(read, "r.io/x:1")["X-Registry-Auth"]
    assert json.loads(base64.urlsafe_b64decode(header))["username"] == "me"
    assert auth_header(read, "debian") == {}


@pytest.mark.parametrize(
    ("reference", "registry"),
    [("debian", HUB), ("me/x", HUB), ("docker.io/me/x", HUB), ("r.io/x", "r.io"),
     ("localhost/x", "localhost"), ("h:5000/x", "h:5000")],
)  # fmt: skip
def test_which_registry(reference: str, registry: str) -> None:
    assert registry_of(reference) == registry


@pytest.mark.parametrize(
    ("words", "some"),
    [
        ([""], {"run", "volume", "ps"}),
        (["vol"], {"volume"}),
        (["volume", ""], {"create", "ls", "prune"}),
        (["run", "--hea"], {"--health-cmd", "--health-retries"}),
        (["run", "--restart", ""], {"always", "no"}),
        (["--cont"], {"--context"}),
        (["engine", "st"], {"status", "stop"}),
        (["engine", "stop", ""], set()),
        (["run", "--restart=o"], {"--restart=on-failure"}),
        (["run", "--init", "--pull", ""], {"never"}),
        (["-H", "unix:///nonexistent", "unp"], {"unpause"}),
        (["--context", ""], {"default"}),
        (["--context=d"], {"--context=default"}),
        (["-c", "default", "volume", "r"], {"rm"}),
        (["run", "img", "--"], set()),
        (["stop", ""], set()),
    ],
)
def test_completion(words: list[str], some: set[str]) -> None:
    from bayplan.cli.app import App
    from bayplan.cli.flags import parse

    app = App(parse(GLOBAL_FLAGS, []))
    found = {one.partition("\t")[0] for one in candidates(app, words, GLOBAL_FLAGS)}
    assert found >= some
    assert all(one.startswith(words[-1]) for one in found)
    if not some:
        assert not found


@pytest.mark.parametrize(
    ("line", "answer"),
    [("bay unpa", "unpause"), ("bay run --restart=un", "unless-stopped"), ("bay stop x", "")],
)
def test_bash_completes(line: str, answer: str) -> None:
    """Bash replaces only what stands behind its word breaks, an equals sign for one."""
    from bayplan.cli.commands.completion import SCRIPTS

    bay = Path(sys.executable).with_name("bay")
    script = f"""{SCRIPTS["bash"]}
bay() {{ BAY_HOST=unix:///nonexistent {bay} "$@"; }}
COMP_LINE='{line}' COMP_POINT={len(line)}; _bay; printf '%s' "${{COMPREPLY[*]}}"
"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == answer


@pytest.mark.parametrize("action", ["status", "stop", "purge"])
def test_an_engine_out_of_reach_is_not_told_as_ended(action: str, tmp_path: Path) -> None:
    """Whoever may not write to the socket does not learn whether one runs."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    # Root may read all: the one who asks is somebody else, who can't import what is root's.
    code = f"""import os, sys
from bayplan.cli.main import main
main(["engine", "status", "--run-root", {str(tmp_path)!r}])
if os.getuid() == 0: os.setresuid(65534, 65534, 65534)
sys.exit(main(["engine", {action!r}, "--run-root", {str(closed)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "permission denied while trying to connect" in done.stderr
    assert done.stdout.count("\n") == 1, done.stdout


def test_addresses_of_a_network() -> None:
    from bayplan.cli.flags import parse
    from bayplan.cli.verbs import GROUPS, load

    flags = load(GROUPS["network"][1]["create"]).flags
    argv = ["--subnet", "10.1.0.0/16,fd00::/64", "--gateway", "10.1.0.1", "--ip-range",
            "10.1.2.0/24", "--aux-address", "r=10.1.0.9", "--gateway", "fd00::1"]  # fmt: skip
    assert ipam_config(parse(flags, argv)) == [
        {"Subnet": "10.1.0.0/16", "IPRange": "10.1.2.0/24", "Gateway": "10.1.0.1",
         "AuxiliaryAddresses": {"r": "10.1.0.9"}},
        {"Subnet": "fd00::/64", "Gateway": "fd00::1"},
    ]  # fmt: skip
