"""Getting in: Basic, or bearer tokens from the server that the registry points to.

The distribution specification's "Token Authentication" and "OAuth2 Token Authentication".
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from ...host.errors import BayError, UnauthorizedError
from .cancel import Cancel
from .challenge import Challenge, best, parse
from .credentials import Credentials
from .endpoints import Endpoint
from .refusals import Refusal
from .retry import PASSING, Retry
from .transport import Answer, Transport

# The specification: a token that does not say how long it lasts lasts a minute.
_LIFETIME = 60.0
_CLIENT = "bayplan"
_LIMIT = 1 << 20
# What may stand in a header.
_VALUE = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class _Token:
    value: str
    ends: float

    @property
    def header(self) -> str:
        return f"Bearer {self.value}"


class Authorization:
    """The Authorization headers for one endpoint; tokens are kept per scope until they end.

    It knows nothing until `learn` has seen a 401 of the endpoint. Safe for many threads.
    """

    def __init__(
        self, transport: Transport, endpoint: Endpoint, credentials: Credentials, retry: Retry
    ) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._credentials = credentials
        self._retry = retry
        self._challenge: Challenge | None = None
        self._tokens: dict[tuple[str, ...], _Token] = {}
        self._lock = threading.Lock()

    def learn(self, answer: Answer) -> bool:
        """Take the challenge of a 401; False when it names no way we know."""
        challenge = best(parse(answer.headers.get_all("WWW-Authenticate") or []))
        if challenge is not None:
            self._challenge = challenge
        return challenge is not None

    def header(
        self, scopes: Sequence[str], cancel: Cancel, *, refused: str | None = None
    ) -> str | None:
        """The header's value for requests that need `scopes`; None when none is needed or known.

        `refused` is the value that the registry has just answered with 401: its token is not
        used again, unless another thread has replaced it already.
        """
        challenge = self._challenge
        if self._credentials.registry_token:
            return f"Bearer {self._credentials.registry_token}"
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            return self._credentials.basic if self._credentials.username else None
        key = tuple(scopes)
        with self._lock:
            token = self._tokens.get(key)
            if token is None or token.ends <= time.monotonic() or token.header == refused:
                token = self._tokens[key] = self._fetch(challenge, key, cancel)
            return token.header

    @property
    def can_answer(self) -> bool:
        """Whether a 401 to a request without a header can be answered at all."""
        challenge = self._challenge
        if challenge is None:
            return False
        return challenge.scheme == "bearer" or bool(self._credentials.username)

    def _fetch(self, challenge: Challenge, scopes: tuple[str, ...], cancel: Cancel) -> _Token:
        realm = challenge.parameters["realm"]
        if self._credentials and not self._may_see(realm):
            raise BayError(
                f"the registry {self._endpoint.host} wants its password sent unencrypted"
                f" to {realm}: refused"
            )
        service = challenge.parameters.get("service", "")
        answer = self._ask(realm, service, scopes, cancel)
        with answer:
            body = answer.read(_LIMIT)
        if answer.status == 401 and self._credentials:
            raise UnauthorizedError("unauthorized: incorrect username or password")
        if answer.status != 200:
            refusal = Refusal.of(answer.status, body, answer.headers.get("Retry-After"))
            raise refusal.error(f'Get "{realm}"')
        try:
            data = json.loads(body)
            value = data.get("token") or data.get("access_token")
            lifetime = float(data.get("expires_in") or _LIFETIME)
        except (ValueError, AttributeError, TypeError, ArithmeticError, RecursionError) as error:
            raise BayError(f"the token server {realm} answered no token") from error
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise BayError(f"the token server {realm} answered no token")
        # A tenth early: the token has to last until the registry looks at it.
        return _Token(value, time.monotonic() + lifetime * 0.9)

    def _ask(self, realm: str, service: str, scopes: tuple[str, ...], cancel: Cancel) -> Answer:
        who = self._credentials
        fields = [("service", service)] if service else []
        headers: dict[str, str] = {}
        body: bytes | None = None
        if who.identity_token:
            fields += [
                ("client_id", _CLIENT),
                ("grant_type", "refresh_token"),
                ("refresh_token", who.identity_token),
                ("scope", " ".join(scopes)),
            ]
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body, url = urlencode(fields).encode(), realm
        else:
            fields += [("scope", scope) for scope in scopes]
            if who.username:
                fields.append(("account", who.username))
                headers["Authorization"] = who.basic
            url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(fields)}" if fields else realm
        attempt = 0
        while True:
            attempt += 1
            answer = self._transport.send(
                "POST" if body is not None else "GET",
                url,
                cancel,
                headers=headers,
                body=body,
                verify=self._endpoint.verify,
            )
            if answer.status not in PASSING:
                return answer
            pause = self._retry.pause(attempt, answer.headers.get("Retry-After"))
            if pause is None:
                return answer
            answer.close()
            cancel.wait(pause)

    def _may_see(self, realm: str) -> bool:
        return realm.lower().startswith("https:") or self._endpoint.scheme == "http"
