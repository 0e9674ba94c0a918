"""A registry's refusals as sentences for the user, in Docker's words where Docker has them.

The codes are those of the OCI distribution specification, "Error Codes".
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from ...host.errors import BayError, ForbiddenError, NotFoundError, UnauthorizedError
from .retry import seconds

# Characters of what a registry says: it is to be read in a line of a terminal.
_SHOWN = 500
# How Docker spells the codes that users search for.
_SPELLED = {
    "MANIFEST_UNKNOWN": "manifest unknown",
    "MANIFEST_INVALID": "manifest invalid",
    "NAME_UNKNOWN": "repository name not known to registry",
    "NAME_INVALID": "invalid repository name",
    "BLOB_UNKNOWN": "blob unknown to registry",
    "BLOB_UPLOAD_UNKNOWN": "blob upload unknown to registry",
    "BLOB_UPLOAD_INVALID": "blob upload invalid",
    "DIGEST_INVALID": "provided digest did not match uploaded content",
    "SIZE_INVALID": "provided length did not match content length",
    "UNAUTHORIZED": "unauthorized",
    "DENIED": "denied",
    "UNSUPPORTED": "unsupported",
    "TOOMANYREQUESTS": "toomanyrequests",
    "UNAVAILABLE": "unavailable",
    "UNKNOWN": "unknown",
}
_DEFAULTS = {
    401: "unauthorized: authentication required",
    403: "denied: requested access to the resource is denied",
    404: "not found",
    405: "unsupported: the registry does not allow this operation",
    429: "toomanyrequests: too many requests, try again later",
}


class RateLimitedError(BayError):
    """The registry wants fewer requests (its 429)."""

    status = 429


class ManifestUnknownError(NotFoundError):
    """There is such a repository, or may be, and no such tag or digest in it."""


@dataclass(frozen=True)
class Refusal:
    """An answer that is not what was asked for: its status, and what its body and headers say."""

    status: int
    code: str
    text: str
    retry_after: str | None = None

    @classmethod
    def of(cls, status: int, body: bytes, retry_after: str | None = None) -> Refusal:
        """Read the body of an error answer: the specification's JSON, or whatever else it is."""
        code, text = _read(body)
        text = " ".join("".join(one if one.isprintable() else " " for one in text).split())
        if len(text) > _SHOWN:
            text = f"{text[:_SHOWN]}…"
        if not text:
            text = _DEFAULTS.get(status, f"received unexpected HTTP status: {status}")
        return cls(status, code, text, retry_after)

    def error(self, subject: str, *, name: str = "", writing: bool = False) -> BayError:
        """The error to raise: `subject` is the reference or URL, `name` the repository, familiar.

        `writing` tells a push, for which a refusal is final, from a pull, for which Docker hides
        whether the repository exists.
        """
        if self.status == 429 or self.code == "TOOMANYREQUESTS":
            wait = seconds(self.retry_after)
            later = f"; try again in {_span(wait)}" if wait else ""
            return RateLimitedError(self.text + later)
        denied = self.status in (401, 403) or self.code in ("UNAUTHORIZED", "DENIED")
        if denied and writing:
            return ForbiddenError(self.text) if self.status == 403 else UnauthorizedError(self.text)
        if name and not writing and (denied or self.code == "NAME_UNKNOWN"):
            return NotFoundError(
                f"pull access denied for {name}, repository does not exist"
                f" or may require 'docker login': {self.text}"
            )
        if denied:
            return UnauthorizedError(f"{subject}: {self.text}")
        if self.status == 404:
            kind = ManifestUnknownError if self.code in ("MANIFEST_UNKNOWN", "") else NotFoundError
            return kind(f"{subject} not found: {self.text}")
        if self.status >= 500:
            return BayError(f"{subject}: the registry failed with HTTP {self.status}: {self.text}")
        return BayError(f"{subject}: {self.text}")


def _read(body: bytes) -> tuple[str, str]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(data, dict):
        return "", ""
    errors = data.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        code = str(errors[0].get("code") or "").upper()
        said = str(errors[0].get("message") or "")
        spelled = _SPELLED.get(code, code.lower())
        return code, f"{spelled}: {said}" if said and spelled else said or spelled
    # Token servers and gateways: {"details": …}, {"message": …}, {"error": …}.
    for key in ("details", "message", "error"):
        if isinstance(data.get(key), str):
            return "", str(data[key])
    return "", ""


def _span(wait: float) -> str:
    if wait < 90:
        return f"{wait:.0f} seconds"
    return f"{wait / 60:.0f} minutes" if wait < 5400 else f"{wait / 3600:.0f} hours"
