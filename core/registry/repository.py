"""One repository at one endpoint: its manifests and blobs, read and written.

The OCI distribution specification 1.1. Everything here blocks; threads call it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...host.errors import BayError
from .authorization import Authorization
from .cancel import Cancel
from .credentials import Credentials
from .endpoints import Endpoint
from .manifests import ACCEPT, LIMIT, Descriptor, Manifest, is_digest
from .refusals import Refusal
from .retry import PASSING, Retry
from .transport import Answer, Body, Transport, TransportError, joined

_ERROR_LIMIT = 1 << 20
_TAGS_LIMIT = 16 << 20
_PAGES = 1000
_NEXT = re.compile(r'\s*<([^>]+)>\s*;\s*rel="?next"?')


@dataclass(frozen=True)
class Wire:
    """What all repositories of an operation share: connections, patience, and the wish to stop."""

    transport: Transport
    retry: Retry
    cancel: Cancel


class Repository:
    """Requests to one repository. `name` is its familiar name, for sentences.

    `open` comes first: it finds out whether the endpoint speaks the protocol, and how to get in.
    """

    def __init__(
        self,
        wire: Wire,
        endpoint: Endpoint,
        path: str,
        name: str,
        credentials: Credentials,
        *,
        writing: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.path = endpoint.repository(path)
        self.name = name
        self._path = path
        self._wire = wire
        self._writing = writing
        self._authorization = Authorization(wire.transport, endpoint, credentials, wire.retry)
        actions = "pull,push" if writing else "pull"
        self.scopes: tuple[str, ...] = (f"repository:{self.path}:{actions}",)

    def url(self, rest: str) -> str:
        """The URL of `rest` ("tags/list") in this repository."""
        return self.endpoint.url(self._path, rest)

    def open(self) -> None:
        """Ask for the API's root: TransportError when this is not where a registry listens."""
        base = self.endpoint.base
        with self._patient("GET", base, {}, None) as answer:
            body = answer.read(_ERROR_LIMIT)
        if answer.status == 401:
            if not self._authorization.learn(answer):
                raise self.refusal(answer, body, f'Get "{base}"')
        elif answer.status in PASSING:
            raise self.refusal(answer, body, f'Get "{base}"')
        elif answer.status == 400:
            # What a TLS port answers to a plain request.
            raise TransportError(f'Get "{base}": HTTP 400: {body[:120].decode(errors="replace")}')

    def manifest(self, reference: str) -> Manifest:
        """The manifest or index of a tag or digest; NotFoundError in Docker's words."""
        url = self.url(f"manifests/{reference}")
        with self.send("GET", url, headers={"Accept": ACCEPT}) as answer:
            body = answer.read(LIMIT)
        if answer.status != 200:
            raise self.refusal(answer, body, f"manifest for {self._named(reference)}")
        expected = reference if is_digest(reference) else None
        served = answer.headers.get("Docker-Content-Digest")
        if expected is None and is_digest(served):
            expected = served
        return Manifest.read(body, answer.headers.get("Content-Type", ""), expected=expected)

    def digest(self, reference: str) -> str | None:
        """The digest that a tag stands for, by HEAD: Docker Hub does not count that as a pull.

        None when the registry does not tell.
        """
        url = self.url(f"manifests/{reference}")
        with self.send("HEAD", url, headers={"Accept": ACCEPT}) as answer:
            found = answer.headers.get("Docker-Content-Digest")
        return found if answer.status == 200 and is_digest(found) else None

    def tags(self) -> list[str]:
        """All tags, as far as the registry tells them; it may do so in pages."""
        found: list[str] = []
        url = self.url("tags/list?n=1000")
        for _ in range(_PAGES):
            with self.send("GET", url) as answer:
                body = answer.read(_TAGS_LIMIT)
            if answer.status != 200:
                raise self.refusal(answer, body, f"the tags of {self.name}")
            try:
                found += map(str, json.loads(body).get("tags") or [])
            except (ValueError, AttributeError, RecursionError) as error:
                raise BayError(f"the registry answered no list of tags for {self.name}") from error
            following = _NEXT.match(answer.headers.get("Link", ""))
            if following is None:
                break
            url = self._joined(answer, following[1])
        return list(dict.fromkeys(found))

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Answer:
        """The blob from `offset` on: status 206, or 200 when it comes from its start after all."""
        url = self.url(f"blobs/{descriptor.digest}")
        # identity: what is hashed and counted are the blob's bytes, not an encoding of them.
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        answer = self.send("GET", url, headers=headers)
        if answer.status in (200, 206):
            return answer
        with answer:
            body = answer.read(_ERROR_LIMIT)
        raise self.refusal(answer, body, f"blob {descriptor.digest} of {self.name}")

    def small(self, descriptor: Descriptor, limit: int = 8 << 20) -> bytes:
        """A whole blob in memory, its digest checked: an image's configuration."""
        with self.blob(descriptor) as answer:
            data = answer.read(limit)
        algorithm, _, wanted = descriptor.digest.partition(":")
        if hashlib.new(algorithm, data).hexdigest() != wanted:
            raise BayError(f"the registry served {descriptor.digest} with other content: refused")
        return data

    def put_manifest(self, reference: str, raw: bytes, media_type: str) -> str:
        """Upload a manifest under a tag or its digest; the digest it has there."""
        url = self.url(f"manifests/{reference}")
        with self.send("PUT", url, headers={"Content-Type": media_type}, body=raw) as answer:
            body = answer.read(_ERROR_LIMIT)
        if answer.status not in (200, 201, 202):
            raise self.refusal(answer, body, f"manifest for {self._named(reference)}")
        return "sha256:" + hashlib.sha256(raw).hexdigest()

    def has_blob(self, digest: str) -> bool:
        """Whether the repository has the blob."""
        with self.send("HEAD", self.url(f"blobs/{digest}")) as answer:
            return answer.status == 200

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        also: tuple[str, ...] = (),
    ) -> Answer:
        """Send with authorization; a 401 is answered once, what passes by itself is retried.

        Only a body of bytes can be sent twice: with any other, both are left to the caller.
        `also` are scopes needed besides the repository's own.
        """
        sent = dict(headers or {})
        scopes = self.scopes + also
        if not self._is_ours(url):
            # A place that the registry named: who we are is none of its business.
            return self._patient(method, url, sent, body)
        value = self._authorization.header(scopes, self._wire.cancel)
        for last in (False, True):
            if value:
                sent["Authorization"] = value
            answer = self._patient(method, url, sent, body)
            if answer.status != 401 or last:
                return answer
            if not (self._authorization.learn(answer) and self._authorization.can_answer):
                return answer
            if not isinstance(body, bytes | None):
                return answer
            answer.read(_ERROR_LIMIT)
            value = self._authorization.header(scopes, self._wire.cancel, refused=value)
        raise AssertionError("unreachable")

    def located(self, answer: Answer) -> str:
        """The absolute URL of an answer's Location header; BayError without one."""
        location = answer.headers.get("Location")
        if not location:
            raise BayError(f"the registry {self.endpoint.host} named no place for the upload")
        return self._joined(answer, location)

    def _joined(self, answer: Answer, location: str) -> str:
        try:
            url = joined(answer.url, location)
            if urlsplit(url).scheme in ("http", "https") and urlsplit(url).port != 0:
                return url
        except (ValueError, TransportError):
            pass
        raise BayError(f"the registry {self.endpoint.host} named a bad address: {location[:200]}")

    def refusal(self, answer: Answer, body: bytes, subject: str) -> BayError:
        """The error that a refused request becomes."""
        found = Refusal.of(answer.status, body, answer.headers.get("Retry-After"))
        return found.error(subject, name=self.name, writing=self._writing)

    def _is_ours(self, url: str) -> bool:
        """Whether a URL is at this endpoint: its host and port, its protocol or a safer one."""
        own, there = urlsplit(self.endpoint.base), urlsplit(url)
        if (there.scheme, there.netloc) == (own.scheme, own.netloc):
            return True
        ports = [part.port or (443 if part.scheme == "https" else 80) for part in (own, there)]
        same = own.hostname == there.hostname and ports[0] == ports[1]
        return same and there.scheme == own.scheme

    def _named(self, reference: str) -> str:
        return f"{self.name}{'@' if is_digest(reference) else ':'}{reference}"

    def _patient(self, method: str, url: str, headers: Mapping[str, str], body: Body) -> Answer:
        attempt = 0
        repeatable = isinstance(body, bytes | None)
        while True:
            attempt += 1
            retry_after: str | None = None
            failure: TransportError | None = None
            answer: Answer | None = None
            try:
                answer = self._wire.transport.send(
                    method,
                    url,
                    self._wire.cancel,
                    headers=headers,
                    body=body,
                    verify=self.endpoint.verify,
                )
                if answer.status not in PASSING or not repeatable:
                    return answer
                retry_after = answer.headers.get("Retry-After")
            except TransportError as error:
                if error.refused or not repeatable:
                    raise
                failure = error
            pause = self._wire.retry.pause(attempt, retry_after)
            if pause is None:
                if failure is not None:
                    raise failure
                assert answer is not None
                return answer
            if answer is not None:
                answer.close()
            self._wire.cancel.wait(pause)
