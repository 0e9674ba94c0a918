"""Clients find the engine, start it when none runs, and reach one that is far away."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

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
    answers = {client.communicate(timeout=60)[0] for client in clients}
    assert len(answers) == 1
    assert all(client.returncode == 0 for client in clients)
    assert str(engine.pid) in engine.bay("engine", "status", check=True).stdout
    # It is nobody's child: ending the session that started it does not end it.
    with open(f"/proc/{engine.pid}/stat", encoding="ascii") as file:
        session = int(file.read().rpartition(")")[2].split()[3])
    assert session == engine.pid


def test_an_engine_that_dies_at_once_says_why(fresh_engine: Fresh) -> None:
    engine = fresh_engine()
    engine.stop()
    environment = {**engine.environment, "BAY_ROOT": "/proc/nowhere"}
    done = subprocess.run(
        [BAY, "ps"], capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "the engine ended at once (exit code 1): " in done.stderr
    assert "/proc/nowhere" in done.stderr


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
            env=environment, check=True, timeout=60,
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
