"""The verbs that aren't about the foreground, against a real engine."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.engine import BAY, EngineProcess
from support.ports import free_subnet
from support.registry import Registry
from support.waiting import wait_until

IMAGE = "starter"


@pytest.fixture(autouse=True)
def clean(engine: EngineProcess) -> Iterator[None]:
    yield
    engine.remove_containers()


@pytest.fixture
def box(engine: EngineProcess) -> str:
    """The name of a running container."""
    words = ["--name", "cli-box", "-l", "who=cli", "-p", "127.0.0.1::80", "-e", "A=1"]
    engine.bay("run", "-d", *words, IMAGE, "sh", "-c", "echo one; echo two >&2; sleep 1000",
               check=True)  # fmt: skip
    return "cli-box"


def out(engine: EngineProcess, *words: str | Path) -> str:
    return engine.bay(*words, check=True).stdout


def test_lists(engine: EngineProcess, box: str) -> None:
    assert box in out(engine, "ps")
    form = "{{.Names}}|{{.Image}}|{{.State}}|{{.Label `who`}}|{{.Networks}}"
    listed = out(engine, "ps", "--filter", "label=who=cli", "--format", form)
    assert listed == "cli-box|starter|running|cli|bridge\n"
    row = json.loads(out(engine, "container", "ls", "-f", f"name={box}", "--format", "json"))
    assert row["Ports"].startswith("127.0.0.1:")
    assert (
        out(engine, "ps", "-q", "--no-trunc", "-f", f"name={box}").strip()
        == engine.inspect(box)["Id"]
    )
    assert "starter" in out(engine, "images", "--format", "table {{.Repository}}\t{{.Size}}")
    assert out(engine, "network", "ls", "-q", "-f", "name=bridge")


def test_one_container_in_detail(engine: EngineProcess, box: str) -> None:
    port = out(engine, "port", box, "80").strip()
    assert out(engine, "port", box) == f"80/tcp -> {port}\n"
    assert out(
        engine, "inspect", "-f", "{{.State.Status}} {{join .Config.Env `;`}}", box
    ).startswith("running A=1;")
    done = engine.bay("inspect", box, "no-such-thing")
    assert (done.returncode, json.loads(done.stdout)[0]["Name"]) == (1, f"/{box}")
    assert "No such object: no-such-thing" in done.stderr
    # A start is answered before the runtime has become the program.
    wait_until(lambda: "sleep 1000" in out(engine, "top", box), "its program")
    stats = json.loads(out(engine, "stats", "--no-stream", "--format", "json", box))
    assert stats["Name"] == box
    assert int(stats["PIDs"]) >= 1


def test_logs_keep_the_streams_apart(engine: EngineProcess, box: str) -> None:
    wait_until(lambda: "two" in engine.bay("logs", box).stderr, "the log")
    done = engine.bay("logs", box)
    assert (done.stdout, done.stderr) == ("one\n", "two\n")
    assert engine.bay("logs", "--tail", "0", box).stdout == ""
    stamp = engine.bay("logs", "-t", box).stdout.split()[0]
    assert engine.bay("logs", "--until", stamp, box).stderr == ""
    follower = subprocess.Popen(
        [BAY, "logs", "-f", box], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=engine.environment,
    )  # fmt: skip
    engine.bay("kill", box, check=True)
    assert follower.communicate(timeout=240)[0] == b"one\n"


def test_the_life_of_a_container(engine: EngineProcess, box: str) -> None:
    for verb, state in [("pause", "paused"), ("unpause", "running"), ("kill", "exited"),
                        ("start", "running"), ("restart", "running")]:  # fmt: skip
        more = ["-t", "0"] if verb == "restart" else []
        assert out(engine, verb, *more, box) == f"{box}\n"
        wait_until(lambda want=state: engine.inspect(box)["State"]["Status"] == want, state)
    assert out(engine, "stop", "-t", "0", box) == f"{box}\n"
    assert out(engine, "wait", box) == "137\n"
    assert out(engine, "rename", box, "cli-other") == ""
    assert out(engine, "update", "--restart", "always", "-m", "64m", "cli-other") == "cli-other\n"
    host = engine.inspect("cli-other")["HostConfig"]
    assert (host["Memory"], host["RestartPolicy"]["Name"]) == (67108864, "always")
    done = engine.bay("rm", "cli-other", "none")
    assert (done.returncode, done.stdout) == (1, "cli-other\n")
    assert "No such container: none" in done.stderr


def test_files_in_and_out(engine: EngineProcess, box: str, tmp_path: Path) -> None:
    source = tmp_path / "tree"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "f").write_text("content")
    (source / "l").symlink_to("sub/f")
    engine.bay("cp", source, f"{box}:/new", check=True)
    engine.bay("cp", f"{source}/.", f"{box}:/new", check=True)
    engine.bay("cp", source, f"{box}:/new", check=True)
    assert out(engine, "exec", box, "cat", "/new/l", "/new/tree/sub/f") == "contentcontent"
    assert "A /new" in out(engine, "diff", box)
    engine.bay("cp", f"{box}:/new", tmp_path / "back", check=True)
    assert (tmp_path / "back" / "l").read_text() == "content"
    engine.bay("cp", "-L", f"{box}:/new/l", tmp_path / "plain", check=True)
    assert not (tmp_path / "plain").is_symlink()
    packed = subprocess.run(
        [BAY, "cp", f"{box}:/new", "-"], capture_output=True, env=engine.environment, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert "new/sub/f" in tar.getnames()
    subprocess.run(
        [BAY, "cp", "-", f"{box}:/tmp"], input=packed, env=engine.environment, check=True
    )
    assert out(engine, "exec", box, "cat", "/tmp/new/sub/f") == "content"
    for wrong in ([f"{box}:/none", "x"], ["none", f"{box}:/"], [f"{box}:/etc", "/etc/hostname"],
                  ["no-such-box:/x", "y"], [source, f"{box}:/etc/passwd"]):  # fmt: skip
        assert engine.bay("cp", *wrong).returncode == 1


def test_images_travel(engine: EngineProcess, box: str, registry: Registry, tmp_path: Path) -> None:
    name = f"{registry.address}/cli/made"
    made = out(engine, "commit", "-m", "why", "-c", "ENV B=2", box, f"{name}:v1").strip()
    assert made.startswith("sha256:")
    assert "why" in out(engine, "history", made)
    assert "digest: sha256:" in out(engine, "push", f"{name}:v1")
    engine.bay("save", "-o", tmp_path / "a.tar", f"{name}:v1", check=True)
    assert f"Untagged: {name}:v1" in out(engine, "rmi", f"{name}:v1")
    assert f"Loaded image: {name}:v1" in out(engine, "load", "-i", tmp_path / "a.tar")
    engine.bay("rmi", f"{name}:v1", check=True)
    assert out(engine, "pull", "-q", f"{name}:v1") == f"{name}:v1\n"
    assert out(engine, "run", "--rm", f"{name}:v1", "sh", "-c", "echo $A$B") == "12\n"
    engine.bay("tag", f"{name}:v1", "cli-tag", check=True)
    engine.bay("export", "-o", tmp_path / "e.tar", box, check=True)
    assert out(engine, "import", "-c", 'CMD ["true"]', tmp_path / "e.tar", "cli-imported:x")
    assert out(engine, "inspect", "-f", "{{.Config.Cmd}}", "cli-imported:x") == "[true]\n"
    engine.bay("rmi", "cli-tag", f"{name}:v1", "cli-imported:x", check=True)


def test_networks_and_volumes(engine: EngineProcess, box: str) -> None:
    subnet = free_subnet()
    words = ["--subnet", str(subnet), "--label", "a=b", "cli-net"]
    assert len(out(engine, "network", "create", *words).strip()) == 64
    engine.bay("network", "connect", "--alias", "other", "--ip", str(subnet[9]), "cli-net", box,
               check=True)  # fmt: skip
    form = "{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}"
    assert out(engine, "network", "inspect", "-f", form, "cli-net") == f"{box} {subnet[9]}/24\n"
    assert engine.bay("network", "rm", "cli-net").returncode == 1
    engine.bay("network", "disconnect", "cli-net", box, check=True)
    assert out(engine, "network", "rm", "cli-net") == "cli-net\n"
    assert out(engine, "volume", "create", "--label", "a=b", "cli-vol") == "cli-vol\n"
    assert "cli-vol" in out(engine, "volume", "ls", "-f", "label=a")
    assert out(engine, "volume", "inspect", "-f", "{{.Labels.a}}", "cli-vol") == "b\n"
    assert out(engine, "volume", "rm", "cli-vol") == "cli-vol\n"


def test_events_and_prune(engine: EngineProcess) -> None:
    engine.bay("run", "--name", "cli-gone", "--network", "none", IMAGE, "true", check=True)
    done = engine.bay("container", "prune", "--filter", "label=none", input="n\n")
    assert "Are you sure you want to continue? [y/N]" in done.stdout
    assert "Deleted" not in done.stdout
    pruned = out(engine, "container", "prune", "-f")
    assert "Deleted Containers:" in pruned
    assert "Total reclaimed space:" in pruned
    form = "{{.Action}} {{.Actor.Attributes.name}}"
    words = ["--since", "5m", "--until", "0s", "-f", "container=cli-gone", "--format", form]
    seen = out(engine, "events", *words).splitlines()
    assert [f"{what} cli-gone" for what in ("create", "start", "die")] == [
        line for line in seen if line.split()[0] in ("create", "start", "die")
    ]


def test_the_system(engine: EngineProcess) -> None:
    assert out(engine, "version", "-f", "{{.Server.ApiVersion}}") == "1.51\n"
    assert "Storage Driver" in out(engine, "info")
    assert json.loads(out(engine, "system", "info", "--format", "json"))["Driver"] == "overlay2"
    assert "Local Volumes" in out(engine, "system", "df")
    assert "Images space usage" in out(engine, "system", "df", "-v")
    assert out(engine, "doctor").count("\n") > 5


def test_login_and_logout(engine: EngineProcess, registry: Registry) -> None:
    words = ["login", "-u", "me", "--password-stdin", registry.address]
    done = engine.bay(*words, input="secret\n")
    assert (done.returncode, done.stdout) == (0, "Login Succeeded\n"), done.stderr
    assert "stored unencrypted" in done.stderr
    assert "Removing login credentials" in out(engine, "logout", registry.address)


def test_completion_knows_the_containers(engine: EngineProcess, box: str) -> None:
    assert box in out(engine, "__complete", "stop", "cli-").split()
    assert "starter:latest" in out(engine, "__complete", "run", "-it", "start").split()
