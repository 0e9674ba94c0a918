"""The errors every part of Bayplan raises, and what each means outside.

One vocabulary, mapped once: `status` is the HTTP status the Docker Engine API gives for it. Front
ends turn it into an exit code. The text is one sentence: what, which object, why, what to do.
"""

from __future__ import annotations


class BayError(Exception):
    """The engine could not do what was asked; `str()` is the sentence for the user."""

    status = 500

    @property
    def message(self) -> str:
        """The sentence shown to the user."""
        return str(self)


class InvalidError(BayError):
    """The request itself is wrong: a bad value, an impossible combination."""

    status = 400


class UnauthorizedError(BayError):
    """A registry wants credentials, or refuses those it got."""

    status = 401


class ForbiddenError(BayError):
    """The thing exists and this caller may not have it."""

    status = 403


class NotFoundError(BayError):
    """No such object."""

    status = 404


class ConflictError(BayError):
    """The object is in a state in which this can't be done, or the name is taken."""

    status = 409


class NotModifiedError(BayError):
    """Already so: Docker's 304 for starting what runs and stopping what is stopped."""

    status = 304


class UnsupportedError(BayError):
    """Understood, and not something this engine does."""

    status = 501


class NoSpaceError(BayError):
    """The disk is full."""

    status = 507


def sentence(error: OSError) -> str:
    """What an OSError says, the path first; its number helps nobody."""
    said = error.strerror or str(error)
    return f"{error.filename}: {said}" if error.filename else said


class RuntimeFailedError(BayError):
    """The OCI runtime refused to create or start the process.

    `code` is Docker's exit code for it: 125 engine, 126 cannot be executed, 127 not found.
    """

    def __init__(self, message: str, code: int = 125) -> None:
        super().__init__(message)
        self.code = code
        # Docker answers 400 for a command that cannot run and 500 for everything else.
        self.status = 400 if code in (126, 127) else 500
