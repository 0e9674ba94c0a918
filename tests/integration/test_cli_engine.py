"""Clients find the engine, start it when none runs, and reach one that is far away."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from bayplan.host import logfile
from support.engine import BAY, EngineProcess
from support.waiting import wait_until

Fresh = Callable[..., EngineProcess]


def test_one_of_many_clients_starts_the_engine(fresh_engine: Fresh) -> None:
    engine = fresh_engine()
    assert engine.bay("engine", "stop", check=True).stdout == "stopped; containers run on\n"
    status = engine.bay("engine", "status")
    assert (status.returncode, status.stdout[:11]) == (3, "not running")
    argv = [BAY, "info", "-f", "{{.ServerVersion}}"]
    clients = [
        subprocess.Popen(argv, stdout=subprocess.PIPE, env=engine.environment) for _ in range(4)
    ]
    answers = {client.communicate(timeout=240)[0] for client in clients}
    assert len(answers) == 1
    assert all(client.returncode == 0 for client in clients)
    assert str(engine.pid) in engine.bay("engine", "status", check=True).stdout
    # It is nobody's child: ending the session that started it does not end it.
    with open(f"/proc/{engine.pid}/stat", encoding="ascii") as file:
        session = int(file.read().rpartition(")")[2].split()[3])
    assert session == engine.pid


def test_a_log_that_has_grown_large_is_put_aside_at_a_start(fresh_engine: Fresh) -> None:
    engine = fresh_engine()
    engine.stop()
    log, older = engine.run_root / "engine.log", engine.run_root / f"engine.log{logfile.OLDER}"
    older.write_text("of long ago")
    for size in (logfile.LARGEST + 1, 100):
        with open(log, "wb") as file:
            file.truncate(size)
        engine.bay("info", check=True)
        assert ("serves" in log.read_text()) and older.stat().st_size == logfile.LARGEST + 1
        assert (log.stat().st_size > size) == (size == 100)
        engine.stop()
    with open(log, "wb") as file:
        file.truncate(logfile.LARGEST - 10)
    older.unlink()
    engine.bay("info", check=True)  # its first lines make the log large while it runs
    assert older.stat().st_size > logfile.LARGEST and log.stat().st_size < logfile.LARGEST
    assert os.readlink(f"/proc/{engine.pid}/fd/1") == os.readlink(f"/proc/{engine.pid}/fd/2")
    assert os.readlink(f"/proc/{engine.pid}/fd/2") == str(log)


def test_an_engine_that_dies_at_once_says_why(fresh_engine: Fresh) -> None:
    engine = fresh_engine()
    engine.stop()
    environment = {**engine.environment, "BAY_ROOT": "/proc/nowhere"}
    done = subprocess.run(
        [BAY, "ps"], capture_output=True, text=True, env=environment, check=False, timeout=240
    )
    assert done.returncode == 1
    assert "the engine ended at once (exit code 1): " in done.stderr
    assert "/proc/nowhere" in done.stderr
    environment["BAY_RUN_ROOT"] = "/proc/nowhere"
    done = subprocess.run(
        [BAY, "ps"], capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "cannot start an engine at unix:///proc/nowhere/bay.sock: /proc/nowhere: " in done.stderr


def test_a_purge_starts_the_engine_it_purges(fresh_engine: Fresh) -> None:
    """The one of the run root that was named, and of no other state than was named."""
    engine = fresh_engine()
    refused = engine.bay("engine", "purge", "--force", "--root", "/nowhere")
    assert refused.returncode == 1 and f"in {engine.root}, not in /nowhere" in refused.stderr
    engine.stop()
    kept = {k: v for k, v in engine.environment.items() if not k.startswith("BAY_")}
    argv = [BAY, "engine", "purge", "--force", "--run-root", engine.run_root]
    unclear = subprocess.run(argv, capture_output=True, text=True, env=kept, check=False)
    assert unclear.returncode == 1 and "name the folder of its state" in unclear.stderr
    argv += ["--root", engine.root]
    done = subprocess.run(argv, capture_output=True, text=True, env=kept, check=False)
    assert (done.returncode, done.stdout) == (0, f"removed all of {engine.root}\n"), done.stderr
    assert not engine.root.exists()


def test_only_root_starts_it(fresh_engine: Fresh) -> None:
    engine = fresh_engine()
    engine.stop()
    os.chmod(engine.folder, 0o755)
    code = (
        # Imported first: nobody may not read root's Python.
        "import os, sys, bayplan.client.autostart, bayplan.cli.config\n"
        "import bayplan.cli.commands.ps\n"
        "from bayplan.cli.main import main; os.setgid(65534); os.setuid(65534)\n"
        "sys.exit(main(['ps']))"
    )
    python = str(Path(BAY).parent / "python")
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, env=engine.environment, check=False
    )
    assert done.returncode == 1
    assert "only root can start it" in done.stderr


def test_ssh_reaches_the_engine_of_another_host(fresh_engine: Fresh, tmp_path: Path) -> None:
    """`ssh` is a script here that runs the command on this host, as sshd would on the other."""
    engine = fresh_engine()
    script = tmp_path / "ssh"
    script.write_text(
        "#!/bin/sh\n"
        'while [ "$1" != -- ]; do shift; done\n'
        f'shift 2; PATH={Path(BAY).parent}:$PATH; exec sh -c "$*"\n'
    )
    script.chmod(0o755)
    environment = {**engine.environment, "PATH": f"{tmp_path}:{engine.environment['PATH']}"}

    def bay(*words: str, text: str | None = None) -> str:
        return subprocess.run(
            [BAY, "-H", "ssh://me@far", *words], input=text, capture_output=True, text=True,
            env=environment, check=True, timeout=240,
        ).stdout  # fmt: skip

    assert bay("version", "-f", "{{.Server.Version}}").strip()
    words = ["run", "--rm", "-i", "--network", "none", "starter"]
    assert bay(*words, "sh", "-c", "cat; echo end", text="over ssh\n") == "over ssh\nend\n"


def test_a_stopped_engine_leaves_its_containers(fresh_engine: Fresh) -> None:
    engine = fresh_engine()
    engine.bay("run", "-d", "--name", "stays", "starter", "sleep", "1000", check=True)
    before = engine.inspect("stays")["State"]["Pid"]
    os.kill(engine.pid, signal.SIGTERM)
    wait_until(lambda: not engine.socket.exists(), "the engine's end")
    # The next client starts the engine, which finds the container where it left it.
    found = engine.bay("inspect", "-f", "{{.State.Pid}}", "stays", check=True)
    assert int(found.stdout) == before


def test_a_socket_in_use_is_not_taken(fresh_engine: Fresh, tmp_path: Path) -> None:
    """Another root over the same run root, another program, a file: refused before anything."""
    engine = fresh_engine()

    def start(run_root: Path) -> str:
        argv = [BAY, "engine", "--root", tmp_path / "root", "--run-root", run_root]
        done = subprocess.run(
            argv, capture_output=True, text=True, env=engine.environment, check=False, timeout=240
        )
        assert done.returncode == 1 and "Traceback" not in done.stderr
        return done.stderr.rpartition("ERROR bay: ")[2]

    assert "another program does; stop it" in start(engine.run_root)
    assert engine.api("GET", "/_ping").status == 200, "its socket is still its own"
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "bay.sock").write_text("not a socket")
    assert "a file that is no socket is there" in start(folder)
    assert (folder / "bay.sock").read_text() == "not a socket"
    assert "at most 94 bytes" in start(tmp_path / ("x" * 100))
    assert start(Path("/proc/nowhere")).startswith("the engine cannot run here: /proc/nowhere: No ")
    assert not any((tmp_path / "root" / "layers").glob("*")), "it began its work all the same"


def test_engine_logs_and_its_address_to_publish_on(fresh_engine: Fresh) -> None:
    """`bay engine logs` tells of the one that a client started; `--ip` is checked at once."""
    engine = fresh_engine()
    assert "journalctl" in engine.bay("engine", "logs").stderr
    engine.stop()
    engine.bay("ps", check=True)
    assert f"engine {engine.pid} serves" in engine.bay("engine", "logs", check=True).stdout
    refused = engine.bay("engine", "--ip", "zz")
    assert refused.returncode == 125 and "not an IP address" in refused.stderr


def test_settings_that_are_no_json_are_said_so(fresh_engine: Fresh, tmp_path: Path) -> None:
    """One sentence with the file's path, whatever part of the text is wrong."""
    engine = fresh_engine()
    for text in ("{bad", '{"a": tru}', "[1,", '{"a" 1}', "\x00", '"\\q"', "[]"):
        (tmp_path / "config.json").write_text(text)
        done = engine.bay("--config", tmp_path, "ps")
        assert done.returncode == 1
        assert done.stderr.startswith(f"cannot read the settings in {tmp_path}/config.json: ")
