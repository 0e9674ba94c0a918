"""What a runtime says when it cannot run something, as Docker says it, with Docker's exit code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..host.errors import RuntimeFailedError
from .runtime import last_error

# crun and runc each have their own words for the three ways a command cannot be executed.
_MISSING = ("no such file or directory", "not a directory")
_DENIED = ("permission denied", "operation not permitted")


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
    text = said.lower()
    not_in_path = "not found in $path" in text
    # crun says so of a path, too.
    if not_in_path and "/" not in command:
        return 127, f'exec: "{command}": executable file not found in $PATH'
    if "is a directory" in text:
        return 126, f'exec: "{command}": is a directory'
    if not_in_path or _says(text, ("exec", "stat"), _MISSING):
        return 127, f'exec: "{command}": stat {command}: no such file or directory'
    if "exec format error" in text or _says(text, ("exec",), _DENIED):
        reason = "exec format error" if "format error" in text else "permission denied"
        return 126, f'exec: "{command}": {reason}'
    if said.startswith("chdir"):
        return 126, said
    return 125, said


def _says(text: str, of: Sequence[str], what: Sequence[str]) -> bool:
    """Whether one of `what` comes after one of `of`, and a space.

    By no regular expression, since a command's name in `text` may be as long as one likes.
    """
    first = min((place for word in of if (place := text.find(word)) >= 0), default=len(text))
    last = max(text.rfind(phrase) for phrase in what)
    return " " in text[first : max(last, first)]
