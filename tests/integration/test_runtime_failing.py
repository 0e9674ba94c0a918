"""A runtime that fails at the end of a container: nobody waits for ever, and nothing is stuck."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bayplan.core.runtime import find
from support.engine import EngineProcess

Fresh = Callable[..., EngineProcess]


def test_a_failing_delete_keeps_nobody_waiting(fresh_engine: Fresh, tmp_path: Path) -> None:
    """Who stops it is answered, the state is exited, and the removal tells what is wrong."""
    broken = tmp_path / "broken"
    script = tmp_path / "runtime"
    script.write_text(
        f'#!/bin/sh\ncase " $* " in *" delete "*) [ -e {broken} ] && {{'
        ' echo "the disk is on fire" >&2; exit 1; };; esac\n'
        f'exec {find("runc")} "$@"\n'
    )
    script.chmod(0o755)
    engine = fresh_engine("--runtime", str(script))
    engine.bay("run", "-d", "--name", "stuck", "starter", "sleep", "1000", check=True)
    broken.touch()
    engine.bay("stop", "-t", "0", "stuck", check=True)
    assert engine.inspect("stuck")["State"]["Status"] == "exited"
    removed = engine.bay("rm", "stuck")
    assert removed.returncode == 1
    assert "the disk is on fire" in removed.stderr
    assert engine.inspect("stuck")["State"]["Status"] == "dead"
    broken.unlink()
    engine.bay("rm", "stuck", check=True)
