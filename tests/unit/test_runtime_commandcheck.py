"""Commands looked up in a root that is not ours."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from bayplan.core import commandcheck
from bayplan.host.errors import ConflictError, RuntimeFailedError

ENV = ["A=1", "PATH=/bin:/usr/bin"]


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "usr").mkdir()
    (root / "usr/bin").symlink_to("/bin")
    for name, mode in (("tool", 0o755), ("plain", 0o644)):
        (root / "bin" / name).touch()
        (root / "bin" / name).chmod(mode)
    (root / "bin/link").symlink_to("/usr/bin/tool")
    (root / "bin/out").symlink_to(tmp_path / "outside")
    (tmp_path / "outside").touch(0o755)
    return root


@pytest.mark.parametrize("command", ["tool", "/bin/tool", "/usr/bin/tool", "link", "../bin/tool"])
def test_found(rootfs: Path, command: str) -> None:
    commandcheck.check(rootfs, [command], ENV, "/usr", "exec")


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("none", 127, "executable file not found in $PATH"),
        ("out", 127, "executable file not found in $PATH"),
        ("/none", 127, "stat /none: no such file or directory"),
        ("/bin/tool/x", 127, "stat /bin/tool/x: not a directory"),
        ("./tool", 127, "stat ./tool: no such file or directory"),
        ("plain", 126, "permission denied"),
        ("/bin/plain", 126, "permission denied"),
        ("/bin", 126, "is a directory"),
    ],
)
def test_not_found(rootfs: Path, command: str, code: int, words: str) -> None:
    with pytest.raises(RuntimeFailedError) as caught:
        commandcheck.check(rootfs, [command], ENV, "/usr", "exec")
    assert caught.value.code == code
    start = f'OCI runtime exec failed: unable to start container process: exec: "{command}": '
    assert caught.value.message == f"{start}{words}: unknown"


def test_a_root_that_has_gone_says_nothing_of_the_command() -> None:
    """Its process has ended, and may wait to be reaped."""
    with subprocess.Popen(["sleep", "600"]) as process:
        rootfs = Path(f"/proc/{process.pid}/root")
        with pytest.raises(RuntimeFailedError):
            commandcheck.check(rootfs, ["/none"], ENV, "/", "exec")
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ConflictError, match="has just ended"):
            commandcheck.check(rootfs, ["/bin/sh"], ENV, "/", "exec")
