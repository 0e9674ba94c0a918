"""The real docker command line against this engine: what people type all day."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.engine import EngineProcess
from support.waiting import wait_until


@pytest.fixture(autouse=True)
def clean(engine: EngineProcess) -> Iterator[None]:
    """No test leaves a container."""
    yield
    engine.remove_containers()


@pytest.fixture(scope="module")
def image(engine: EngineProcess, busybox_image: str) -> str:
    """busybox, pulled by docker."""
    engine.docker("pull", busybox_image, check=True)
    return busybox_image


def test_version_and_info(engine: EngineProcess) -> None:
    """Both sides are told, and nothing is missing that docker prints."""
    told = json.loads(engine.docker("version", "--format", "{{json .}}", check=True).stdout)
    assert told["Server"]["ApiVersion"] and told["Server"]["Os"] == "linux"
    info = json.loads(engine.docker("info", "--format", "{{json .}}", check=True).stdout)
    assert info["DockerRootDir"] == str(engine.root) and not info.get("ServerErrors")


def test_run_rm_gives_output_and_exit_code(engine: EngineProcess, image: str) -> None:
    """stdout and stderr stay apart, the code is the process's, and nothing stays behind."""
    script = "echo out; echo err >&2; exit 9"
    done = engine.docker("run", "--rm", image, "sh", "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (9, "out\n", "err\n")
    wait_until(
        lambda: engine.docker("ps", "-aq", check=True).stdout == "", "--rm removes the container"
    )


def test_run_pipes_stdin(engine: EngineProcess, image: str) -> None:
    """`-i` passes everything through and ends with the input, beyond any buffer's size."""
    text = "".join(f"line {number}\n" for number in range(50_000))
    done = engine.docker("run", "--rm", "-i", image, "wc", "-c", input=text)
    assert (done.returncode, done.stdout.strip()) == (0, str(len(text)))


@pytest.mark.parametrize(
    ("command", "code"), [("/etc/passwd", 126), ("/no/such/program", 127)], ids=["126", "127"]
)
def test_a_command_that_cannot_run(
    engine: EngineProcess, image: str, command: str, code: int
) -> None:
    """docker's own codes: 126 not executable, 127 not found."""
    done = engine.docker("run", "--rm", image, command)
    assert done.returncode == code, done.stderr
    assert command in done.stderr


def test_run_on_a_terminal(engine: EngineProcess, image: str) -> None:
    """`run -it` is a shell of the terminal's size; detach leaves it running, attach comes back."""
    arguments = ("run", "-it", "--name", "shell", image, "sh")
    with engine.docker_terminal(*arguments, rows=30, columns=100) as terminal:
        terminal.wait_for("# ")
        # An older docker tells the size after the start.
        terminal.line("until stty size | grep '^30'; do :; done")
        terminal.wait_for("30 100\r\n")
        terminal.line("touch /here; echo do''ne")
        terminal.wait_for("done\r\n")
        terminal.send(b"\x10\x11")  # ctrl-p ctrl-q
        assert terminal.wait() == 0
    assert engine.inspect("shell")["State"]["Running"]
    with engine.docker_terminal("attach", "shell") as terminal:
        terminal.line("ls -d /here; exit 4")
        terminal.wait_for("/here\r\n")
        assert terminal.wait() == 4


def test_ps_shows_what_runs(engine: EngineProcess, image: str) -> None:
    """Names, image, status and ports, with filters and `-a`."""
    engine.docker(
        "run", "-d", "--name", "up", "--label", "kind=a", image, "sleep", "99", check=True
    )
    engine.docker("create", "--name", "made", image, "true", check=True)
    form = ("--format", "{{.Names}}|{{.Image}}|{{.State}}")
    assert engine.docker("ps", *form, check=True).stdout == f"up|{image}|running\n"
    everything = engine.docker("ps", "-a", *form, check=True).stdout.splitlines()
    assert everything == [f"made|{image}|created", f"up|{image}|running"]
    filtered = engine.docker("ps", "-a", "--filter", "label=kind=a", "-q", check=True).stdout
    assert len(filtered.split()) == 1
    assert "Up " in engine.docker("ps", check=True).stdout


def test_raw_lists_are_dockers(engine: EngineProcess, image: str) -> None:
    """`--format raw` of `bay` and of docker say the same, byte by byte."""
    engine.docker("create", "--name", "raw", "-v", "raw-vol:/v", "-l", "k=v", image, check=True)
    lists = (
        *(("ps", "-a"), ("ps", "-as"), ("images", image.rpartition(":")[0])),
        *(("volume", "ls", "-f", "name=raw-vol"), ("network", "ls", "-f", "type=builtin")),
    )
    try:
        for words in lists:
            argv = (*words, "--format", "raw")
            ours = engine.bay(*argv, check=True).stdout
            assert ours and ours == engine.docker(*argv, check=True).stdout
    finally:
        engine.docker("rm", "-fv", "raw", check=True)
        engine.docker("volume", "rm", "raw-vol", check=True)


def test_logs_follow_to_the_end(engine: EngineProcess, image: str) -> None:
    """`logs -f` shows what was, then what comes, and ends with the container."""
    script = "trap 'echo last; exit 0' USR1; echo first; while :; do usleep 5000; done"
    engine.docker("run", "-d", "--name", "talker", image, "sh", "-c", script, check=True)
    with engine.docker_terminal("logs", "-f", "talker") as terminal:
        terminal.wait_for("first")
        engine.docker("kill", "--signal", "USR1", "talker", check=True)
        terminal.wait_for("last")
        assert terminal.wait() == 0
    tail = engine.docker("logs", "--tail", "1", "--timestamps", "talker", check=True).stdout
    assert tail.startswith("20") and tail.endswith("Z last\n")


def test_exec(engine: EngineProcess, image: str) -> None:
    """Output, exit code, environment, user, folder, stdin and a terminal."""
    engine.docker("run", "-d", "--name", "up", image, "sleep", "99", check=True)
    done = engine.docker("exec", "up", "sh", "-c", "echo out; echo err >&2; exit 6")
    assert (done.returncode, done.stdout, done.stderr) == (6, "out\n", "err\n")
    flags = ("-e", "WORD=given", "-u", "nobody", "-w", "/tmp")
    told = engine.docker("exec", *flags, "up", "sh", "-c", "echo $WORD $(id -un) $PWD", check=True)
    assert told.stdout == "given nobody /tmp\n"
    assert engine.docker("exec", "-i", "up", "cat", input="typed\n").stdout == "typed\n"
    with engine.docker_terminal("exec", "-it", "up", "sh") as terminal:
        terminal.line("tty; exit 2")
        terminal.wait_for("/dev/pts/")
        assert terminal.wait() == 2
    assert engine.docker("exec", "up", "/no/such").returncode in (126, 127)


def test_stop_start_restart_rm(engine: EngineProcess, image: str) -> None:
    """The life of one container; a running one is not removed without force."""
    trap = "trap 'exit 3' TERM; while :; do usleep 10000; done"
    engine.docker("run", "-d", "--name", "one", image, "sh", "-c", trap, check=True)
    pid = engine.inspect("one")["State"]["Pid"]
    refused = engine.docker("rm", "one")
    assert refused.returncode == 1 and "running" in refused.stderr
    engine.docker("restart", "one", check=True)
    assert engine.inspect("one")["State"]["Pid"] not in (0, pid)
    assert engine.docker("stop", "one", check=True).stdout == "one\n"
    form = ("--format", "{{.State.Status}} {{.State.ExitCode}}")
    assert engine.docker("inspect", *form, "one", check=True).stdout == "exited 3\n"
    engine.docker("start", "one", check=True)
    engine.docker("kill", "one", check=True)
    assert engine.docker("wait", "one", check=True).stdout == "137\n"
    assert engine.docker("rm", "one", check=True).stdout == "one\n"
    gone = engine.docker("inspect", "one")
    assert gone.returncode == 1 and "No such object: one" in gone.stderr


def test_copy_in_and_out(engine: EngineProcess, image: str, tmp_path: Path) -> None:
    """`cp` both ways, also of a container that doesn't run."""
    (tmp_path / "given").write_text("from outside\n")
    engine.docker("create", "--name", "box", image, "cat", "/tmp/given", check=True)
    engine.docker("cp", tmp_path / "given", "box:/tmp/", check=True)
    assert engine.docker("start", "-a", "box", check=True).stdout == "from outside\n"
    engine.docker("cp", "box:/tmp/given", tmp_path / "back", check=True)
    assert (tmp_path / "back").read_text() == "from outside\n"
    assert "A /tmp/given" in engine.docker("diff", "box", check=True).stdout


def test_published_port(engine: EngineProcess, image: str) -> None:
    """`-p` reaches the container from this host; `port` tells where."""
    serve = "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www"
    arguments = ("-d", "--name", "web", "-p", "127.0.0.1::80")
    engine.docker("run", *arguments, image, "sh", "-c", serve, check=True)
    place = engine.docker("port", "web", "80/tcp", check=True).stdout.strip()
    assert place.startswith("127.0.0.1:")

    def fetch() -> str:
        import urllib.error
        import urllib.request

        try:
            with urllib.request.urlopen(f"http://{place}/", timeout=30) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, ConnectionError):
            return ""

    assert wait_until(fetch, f"an answer from {place}") == "served\n"


def test_networks_and_names(engine: EngineProcess, image: str) -> None:
    """On a network of its own, a container finds another by its name."""
    engine.docker("network", "create", "compat", check=True)
    try:
        common = ("run", "-d", "--network", "compat", "--name")
        engine.docker(*common, "server", image, "sleep", "99", check=True)
        argv = ("run", "--rm", "--network", "compat", image, "ping", "-c", "1", "-W", "5", "server")
        assert "1 packets received" in engine.docker(*argv, check=True).stdout
    finally:
        engine.remove_containers()
        engine.docker("network", "rm", "compat", check=True)


def test_volumes(engine: EngineProcess, image: str) -> None:
    """A named volume outlives its container."""
    mount = ("-v", "compat-data:/data")
    engine.docker("run", "--rm", *mount, image, "sh", "-c", "echo kept > /data/file", check=True)
    kept = engine.docker("run", "--rm", *mount, image, "cat", "/data/file", check=True)
    assert kept.stdout == "kept\n"
    engine.docker("volume", "rm", "compat-data", check=True)


def test_images_tag_and_remove(engine: EngineProcess, image: str) -> None:
    """A second name, listed and taken away without the first."""
    engine.docker("tag", image, "compat/other:1", check=True)
    names = engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}", check=True).stdout
    assert {"compat/other:1", image} <= set(names.split())
    assert "Untagged: compat/other:1" in engine.docker("rmi", "compat/other:1", check=True).stdout
    engine.docker("inspect", image, check=True)


def test_stats_top_and_events(engine: EngineProcess, image: str) -> None:
    """One look at what it uses and runs, and what has happened."""
    since = engine.api("GET", "/info").json()["SystemTime"]
    engine.docker("run", "-d", "--name", "busy", image, "sleep", "99", check=True)
    form = ("--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.MemUsage}}")
    stats = engine.docker("stats", *form, "busy", check=True).stdout.split()
    assert stats[:2] == ["busy", "1"] and stats[2] != "0B"
    top = lambda: engine.docker("top", "busy", check=True).stdout  # noqa: E731
    # A start is answered before the runtime has become the program.
    wait_until(lambda: "sleep 99" in top(), "its program")
    engine.docker("rm", "-f", "busy", check=True)
    until = engine.api("GET", "/info").json()["SystemTime"]
    argv = ("events", "--since", since, "--until", until, "--filter", "container=busy")
    events = engine.docker(*argv, "--format", "{{.Action}}", check=True).stdout.split()
    wanted = ["create", "start", "die", "destroy"]
    assert [one for one in events if one in wanted] == wanted


def test_a_stalled_client_and_a_flat_engine(engine: EngineProcess, image: str) -> None:
    """`yes` into a docker client that is stopped: another one gets megabytes meanwhile, and the
    engine keeps none of it."""
    engine.docker("create", "--name", "noisy", "-t", image, "yes", check=True)
    argv = ["docker", "-H", engine.host, "attach", "--no-stdin", "noisy"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with contextlib.ExitStack() as ends:
        engine.docker("start", "noisy", check=True)
        stalled = ends.enter_context(subprocess.Popen(argv, env=engine.environment, **quiet))
        ends.callback(stalled.kill)
        assert stalled.stdout is not None and stalled.stdout.read(1000)
        os.kill(stalled.pid, signal.SIGSTOP)
        reader = ends.enter_context(subprocess.Popen(argv, env=engine.environment, **quiet))
        ends.callback(reader.kill)
        assert reader.stdout is not None

        def take(size: int) -> None:
            while size > 0:
                data = reader.stdout.read(min(size, 1 << 20))
                assert data, "the second client was let go"
                size -= len(data)

        take(8 << 20)  # buffers are as large as they get: a client may be 4 MiB behind
        before = psutil.Process(engine.pid).memory_info().rss
        take(12 << 20)
        grown = psutil.Process(engine.pid).memory_info().rss - before
        # What was kept for the client that reads nothing would be all of the 12.
        assert grown < 6 << 20, f"the engine grew by {grown} bytes"
        engine.docker("kill", "noisy", check=True)


def test_a_megabyte_through_both_ways(engine: EngineProcess, image: str) -> None:
    """stdin to stdout unmangled, with stderr apart, of run and of exec."""
    data = os.urandom(1 << 20)
    script = "cat; echo apart >&2"
    engine.docker("run", "-d", "--name", "pipe", image, "sleep", "600", check=True)
    for argv in (("run", "--rm", "-i", image), ("exec", "-i", "pipe")):
        done = subprocess.run(
            ["docker", "-H", engine.host, *argv, "sh", "-c", script],
            input=data,
            capture_output=True,
            env=engine.environment,
            timeout=240,
            check=False,
        )
        assert (done.stdout == data, done.stderr, done.returncode) == (True, b"apart\n", 0)


@pytest.mark.parametrize("verb", ["run", "exec", "attach"])
def test_detach_keys_of_ones_own(engine: EngineProcess, image: str, verb: str) -> None:
    """`--detach-keys` leaves the process running, and the client ends."""
    keys = ("--detach-keys", "ctrl-x,q")
    if verb != "run":
        engine.docker("run", "-dit", "--name", "kept", image, "sh", check=True)
    words = {
        "run": ("run", "-it", "--name", "kept", *keys, image, "sh"),
        "exec": ("exec", "-it", *keys, "kept", "sh"),
        "attach": ("attach", *keys, "kept"),
    }
    with engine.docker_terminal(*words[verb]) as terminal:
        terminal.line("echo he''re")
        terminal.wait_for("here")
        terminal.send(b"\x18")
        terminal.send(b"q")
        terminal.wait()
    assert engine.inspect("kept")["State"]["Running"]


@pytest.mark.parametrize("version", ["1.24", "1.30", "1.41", "1.47", "1.50"])
def test_clients_of_every_age(engine: EngineProcess, image: str, version: str) -> None:
    """The docker command held to an older version of the API: run, ps, inspect, logs, rm."""
    told = {**engine.environment, "DOCKER_API_VERSION": version}

    def docker(*words: str) -> str:
        argv = ["docker", "-H", engine.host, *words]
        done = subprocess.run(argv, capture_output=True, text=True, env=told, check=False)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    assert docker("run", "--name", "aged", image, "echo", "hello") == "hello\n"
    assert docker("version", "--format", "{{.Client.APIVersion}}") == f"{version}\n"
    assert docker("ps", "-a", "--format", "{{.Names}}") == "aged\n"
    assert docker("inspect", "--format", "{{.State.ExitCode}}", "aged") == "0\n"
    assert docker("logs", "aged") == "hello\n"
    assert docker("images", "-q", image)
    assert docker("rm", "aged") == "aged\n"
