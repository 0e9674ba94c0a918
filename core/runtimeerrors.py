"""What a runtime says when it cannot run something, as Docker says it, with Docker's exit code."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..host.errors import RuntimeFailedError
from .runtime import last_error

# crun and runc each have their own words for the three ways a command cannot be executed.
_NOT_IN_PATH = re.compile(r"not found in \$PATH", re.I)
_MISSING = re.compile(r"(exec|executable|stat)[^:]*:? .*(no such file or|not a) directory", re.I)
_DIRECTORY = re.compile(r"is a directory", re.I)
_DENIED = re.compile(
    r"(exec|executable).*(permission denied|operation not permitted)|exec format error", re.I
)


def explain(log: str, message: str, args: Sequence[str], verb: str) -> RuntimeFailedError:
    """The error for a failed `verb` (create, exec) of the command `args`.

    `log` is what the runtime wrote to its log, `message` what conmon passed on.
    """
    said = last_error(log) or last_error(message) or "the runtime ended without a word"
    code, reason = classify(said, args[0] if args else "")
    return failure(verb, code, reason)


def lacking(*folders: Path) -> str:
    """Why a supervisor says nothing: "no space left …" in one of its folders, or ""; blocks.

    conmon has only its files to say anything in.
    """
    for folder in folders:
        try:
            found = os.statvfs(folder)
        except OSError:
            continue
        # File systems without a count of inodes (btrfs) tell zero of zero.
        if found.f_bavail == 0 or (found.f_files and found.f_ffree == 0):
            return f"no space left on device: {folder}"
    return ""


def failure(verb: str, code: int, reason: str) -> RuntimeFailedError:
    """The error in Docker's frame; 126 and 127 are of a command that cannot start."""
    start = "unable to start container process: " if code in (126, 127) else ""
    return RuntimeFailedError(f"OCI runtime {verb} failed: {start}{reason}: unknown", code)


def classify(said: str, command: str) -> tuple[int, str]:
    """Docker's exit code and reason: 127 not found, 126 not executable, 125 anything else."""
    # crun says so of a path, too.
    if _NOT_IN_PATH.search(said) and "/" not in command:
        return 127, f'exec: "{command}": executable file not found in $PATH'
    if _DIRECTORY.search(said):
        return 126, f'exec: "{command}": is a directory'
    if _MISSING.search(said) or _NOT_IN_PATH.search(said):
        return 127, f'exec: "{command}": stat {command}: no such file or directory'
    if _DENIED.search(said):
        reason = "exec format error" if "format error" in said.lower() else "permission denied"
        return 126, f'exec: "{command}": {reason}'
    if said.startswith("chdir"):
        return 126, said
    return 125, said
