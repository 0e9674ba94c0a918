"""`bay run`, `exec`, `attach`, `start` in the foreground: terminals, streams, signals, codes."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import pytest
from support.engine import BAY, EngineProcess
from support.waiting import wait_until

IMAGE = "starter"


@pytest.fixture(autouse=True)
def clean(engine: EngineProcess) -> Iterator[None]:
    yield
    engine.remove_containers()


def run(engine: EngineProcess, *words: str, input: str | None = None) -> tuple[int, str, str]:
    done = engine.bay("run", "--rm", "--network", "none", *words, input=input)
    return done.returncode, done.stdout, done.stderr


def test_both_streams_and_the_exit_code(engine: EngineProcess) -> None:
    assert run(engine, IMAGE, "sh", "-c", "echo out; echo err >&2; exit 7") == (7, "out\n", "err\n")


def test_stdin_is_passed_on_and_ends(engine: EngineProcess) -> None:
    text = "".join(f"line {i}\n" for i in range(20_000))
    assert run(engine, "-i", IMAGE, "cat", input=text) == (0, text, "")


def test_input_nobody_reads_is_no_obstacle(engine: EngineProcess) -> None:
    code, out, _ = run(engine, "-i", IMAGE, "echo", "done", input="x" * 1_000_000)
    assert (code, out) == (0, "done\n")


@pytest.mark.parametrize(
    ("words", "code"),
    [(["/nope"], 127), (["nope"], 127), (["/etc"], 126)],
)
def test_codes_that_docker_gives(engine: EngineProcess, words: list[str], code: int) -> None:
    assert run(engine, IMAGE, *words)[0] == code


def test_errors_before_the_process(engine: EngineProcess) -> None:
    code, out, err = run(engine, "--pull", "never", "no-such-image:x", "true")
    assert (code, out) == (125, "")
    assert "No such image: no-such-image:x" in err
    assert engine.bay("run", "-it", IMAGE).stderr == "the input device is not a TTY\n"


def test_a_missing_image_is_pulled_with_the_progress_on_stderr(
    engine: EngineProcess, busybox_image: str
) -> None:
    engine.bay("rmi", "-f", busybox_image)
    code, out, err = run(engine, busybox_image, "echo", "hi")
    assert (code, out) == (0, "hi\n"), err
    assert f"Unable to find image '{busybox_image}' locally" in err
    # Another image of the session may have the layer.
    assert "Pull complete" in err or "Already exists" in err


def test_a_shell_on_a_terminal(engine: EngineProcess) -> None:
    words = ["run", "--rm", "-it", "--network", "none", IMAGE, "sh"]
    with engine.terminal(*words, rows=31, columns=91) as terminal:
        terminal.wait_for(r"# ")
        terminal.line("stty size")
        terminal.wait_for(r"31 91\r\n")
        terminal.resize(40, 120)
        terminal.line("sleep 0.2; stty size; echo en''d")
        terminal.wait_for(r"end\r\n")
        # The resize takes the way over the engine: ask until it has come.
        while b"40 120" not in terminal.output:
            terminal.line("stty size; echo en''d")
            terminal.wait_for(r"end\r\n")
        # Ctrl-C throws away what was typed before it: it comes once the trap is set.
        loop = "while :; do usleep 20000; done"
        terminal.line(f"""sh -c 'trap "echo cau""ght; exit" INT; echo arm""ed; {loop}'""")
        terminal.wait_for(r"armed\r\n")
        terminal.send("\x03")
        terminal.wait_for(r"caught\r\n")
        terminal.line("exit 5")
        assert terminal.wait() == 5


def test_detaching_leaves_the_container_running(engine: EngineProcess) -> None:
    words = ["run", "-it", "--name", "cli-detach", "--network", "none", IMAGE, "sh"]
    with engine.terminal(*words) as terminal:
        terminal.wait_for(r"# ")
        terminal.send("\x10\x11")
        assert terminal.wait() == 0
    assert engine.inspect("cli-detach")["State"]["Running"]
    with engine.terminal("attach", "--detach-keys", "ctrl-a,d", "cli-detach") as terminal:
        terminal.line("echo he''re")
        terminal.wait_for(r"here")
        terminal.send("\x01d")
        assert terminal.wait() == 0
    with engine.terminal("attach", "cli-detach") as terminal:
        terminal.line("exit 4")
        assert terminal.wait() == 4


def test_exec_on_a_terminal(engine: EngineProcess) -> None:
    engine.bay("run", "-d", "--name", "cli-exec", IMAGE, "sleep", "1000", check=True)
    with engine.terminal(
        "exec", "-it", "-e", "A=b", "cli-exec", "sh", rows=20, columns=70
    ) as shell:
        shell.wait_for(r"# ")
        # crun sets the size beside the program, which may be first.
        shell.line("until stty size | grep '^20'; do :; done; echo $A; exit 3")
        shell.wait_for(r"20 70\r\nb\r\n")
        assert shell.wait() == 3
    done = engine.bay("exec", "-i", "cli-exec", "sh", "-c", "cat; exit 6", input="piped")
    assert (done.returncode, done.stdout) == (6, "piped")
    assert engine.bay("exec", "cli-exec", "nope").returncode == 127
    assert engine.bay("exec", "-d", "cli-exec", "touch", "/made").returncode == 0
    wait_until(lambda: "/made" in engine.bay("diff", "cli-exec").stdout, "the detached exec")


def test_signals_are_passed_on(engine: EngineProcess) -> None:
    script = "trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.1; done"
    argv = [BAY, "run", "--rm", "--network", "none", IMAGE, "sh", "-c", script]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=engine.environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.read() == b"got\n"
        assert process.wait(120) == 9


def test_start_and_attach_to_one_that_was_made(engine: EngineProcess) -> None:
    words = ["create", "-i", "--name", "cli-start", "--network", "none", IMAGE]
    engine.bay(*words, "sh", "-c", "cat; exit 8", check=True)
    done = engine.bay("start", "-ai", "cli-start", input="hello\n")
    assert (done.returncode, done.stdout) == (8, "hello\n")


def test_a_reader_that_goes_away_ends_the_client(engine: EngineProcess) -> None:
    command = f"{BAY} run --network none {IMAGE} yes | head -1"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, env=engine.environment, timeout=240,
        check=False,
    )  # fmt: skip
    assert done.stdout == "y\n"
    assert "Traceback" not in done.stderr


def test_files_with_the_id(engine: EngineProcess, tmp_path: object) -> None:
    path = f"{tmp_path}/cid"
    code, out, _ = run(engine, "--cidfile", path, IMAGE, "hostname")
    assert code == 0
    with open(path, encoding="ascii") as file:
        assert file.read().startswith(out.strip())
    code, _, err = run(engine, "--cidfile", path, IMAGE, "true")
    assert code == 125
    assert "container ID file found" in err


def test_many_containers_are_removed_at_once(engine: EngineProcess, busybox_image: str) -> None:
    """In the order given, each with its own line or error; those that fail keep nobody waiting."""
    engine.pull(busybox_image)
    names = [f"crowd{number}" for number in range(9)]
    for name in names[:-1]:
        engine.bay("run", "-d", "--name", name, busybox_image, "sleep", "1000", check=True)
    done = engine.bay("stop", "-t", "0", *names)
    assert done.stdout.split() == names[:-1] and done.returncode == 1
    assert done.stderr == "Error response from daemon: No such container: crowd8\n"
    done = engine.bay("rm", *names)
    assert done.stdout.split() == names[:-1] and done.returncode == 1
    assert not set(names) & set(engine.bay("ps", "-a", "--format", "{{.Names}}").stdout.split())


def test_the_third_signal_that_nobody_heeds_ends_the_client(engine: EngineProcess) -> None:
    """As Docker's command does it: a `sleep` as process 1 takes no SIGINT, and runs on."""
    name = "heedless"
    argv = [BAY, "run", "--network", "none", "--name", name, IMAGE, "sleep", "1000"]
    with subprocess.Popen(
        argv, stderr=subprocess.PIPE, env=engine.environment, text=True
    ) as client:
        wait_until(
            lambda: engine.bay("ps", "-q", "--filter", f"name={name}").stdout, "the container"
        )

        words = ("events", "--since", "10m", "--until", "0s", "--filter", f"container={name}")

        def passed_on() -> int:
            return engine.bay(*words, "--filter", "event=kill").stdout.count("\n")

        client.send_signal(signal.SIGINT)
        wait_until(lambda: passed_on() == 1, "the first")
        client.send_signal(signal.SIGINT)
        wait_until(lambda: passed_on() == 2, "the second")
        client.send_signal(signal.SIGINT)
        assert client.stderr is not None
        assert client.stderr.read() == "\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n"
    assert client.returncode == 1
    assert engine.inspect(name)["State"]["Running"]
