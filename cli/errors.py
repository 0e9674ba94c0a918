"""Errors of the command line that have an exit code of their own."""

from __future__ import annotations

from ..client.errors import is_from_engine
from ..host.errors import BayError


class CodedError(BayError):
    """A failure with its own exit code, `code`, instead of the verb's."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class TerminalError(CodedError):
    """No terminal where one is needed: said without the program's name, exit code 1."""

    def __init__(self) -> None:
        super().__init__("the input device is not a TTY", 1)


def engine_sentence(error: BayError) -> str:
    """The message as Docker prints it: what the engine said is marked as such."""
    return f"Error response from daemon: {error}" if is_from_engine(error) else str(error)
