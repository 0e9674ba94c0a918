"""Finding an image: the endpoint that has it, the manifest for a platform, the configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ...host.errors import BayError, InvalidError, NotFoundError
from ..types import Json
from .configshape import misshaped
from .credentials import Credentials, from_auth, stored
from .endpoints import Endpoint, Registries
from .manifests import Descriptor, Manifest, Platform, is_digest
from .repository import Repository, Wire
from .transport import TransportError

T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """A repository as the user named it, and as whom to ask for it.

    `domain` and `path` are the full name's, `name` the familiar one. `auth` is the API's.
    """

    domain: str
    path: str
    name: str
    auth: Json | None = None

    def credentials(self, endpoint: Endpoint) -> Credentials:
        """What `endpoint` may be told: a mirror never gets the registry's own password."""
        if endpoint.mirror:
            return stored(endpoint.host)
        return from_auth(self.auth) or stored(self.domain, self.path)


@dataclass(frozen=True)
class Found:
    """An image at a registry, ready to be fetched.

    `top` is what the tag stands for (an index, or the manifest itself) and gives the repository
    digest; `diff_ids` are the digests of the unpacked layers, in the order of `manifest.layers`.
    """

    repository: Repository
    top: Manifest
    manifest: Manifest
    config: bytes
    diff_ids: tuple[str, ...]

    @property
    def layers(self) -> list[tuple[Descriptor, str]]:
        """Each layer's descriptor and diff id, the lowest first."""
        return list(zip(self.manifest.layers, self.diff_ids, strict=True))


def visit(
    wire: Wire,
    registries: Registries,
    target: Target,
    ask: Callable[[Repository], T],
    *,
    writing: bool = False,
) -> T:
    """Do `ask` at the first endpoint that can; blocks.

    Whatever a mirror does wrong only means that the next place is asked. At the registry itself a
    failed connection is, as it may mean the other protocol; its first failure is the one told.
    """
    places = registries.own(target.domain) if writing else registries.endpoints(target.domain)
    failure: TransportError | None = None
    for endpoint in places:
        try:
            who = target.credentials(endpoint)
            repository = Repository(wire, endpoint, target.path, target.name, who, writing=writing)
            repository.open()
            return ask(repository)
        except TransportError as error:
            wire.cancel.check()
            # A refused connection says less than an answer in the wrong protocol.
            if not endpoint.mirror and (failure is None or (failure.refused and not error.refused)):
                failure = error
        except BayError:
            wire.cancel.check()
            if not endpoint.mirror:
                raise
    raise failure or BayError(f"no registry is configured for {target.domain}")


def find(
    wire: Wire, registries: Registries, target: Target, reference: str, platform: str | None
) -> Found:
    """The image that tag or digest `reference` stands for, on `platform` (None: ours)."""
    return visit(
        wire, registries, target, lambda repository: _find(repository, reference, platform)
    )


def login(wire: Wire, registries: Registries, domain: str, who: Credentials) -> str:
    """Check `who` against the registry `domain`; its address. UnauthorizedError when refused."""

    def attempt(endpoint: Endpoint) -> str:
        repository = Repository(wire, endpoint, "", domain, who, writing=True)
        repository.scopes = ()
        repository.open()
        with repository.send("GET", endpoint.base) as answer:
            body = answer.read(1 << 20)
        if answer.status != 200:
            raise repository.refusal(answer, body, f'Get "{endpoint.base}"')
        return endpoint.host

    failure: TransportError | None = None
    for endpoint in registries.own(domain):
        try:
            return attempt(endpoint)
        except TransportError as error:
            failure = failure or error
    raise failure or BayError(f"no registry is configured for {domain}")


def _find(repository: Repository, reference: str, platform: str | None) -> Found:
    top = manifest = repository.manifest(reference)
    wanted = Platform.parse(platform)
    if top.is_index:
        chosen = top.pick(wanted)
        manifest = repository.manifest(chosen.digest)
        if manifest.is_index:
            # An index of indexes is legal and unheard of; Docker refuses it too.
            raise InvalidError(f"{repository.name}:{reference} is an index of indexes")
    config = repository.small(manifest.config)
    diff_ids, actual = _read(config, manifest.config.media_type, repository.name)
    if platform and not top.is_index and not wanted.rank(actual):
        raise NotFoundError(
            f"image with reference {_named(repository.name, reference)} was found but does not"
            f" match the specified platform: wanted {wanted}, actual: {actual}"
        )
    if len(diff_ids) != len(manifest.layers):
        raise InvalidError(
            f"the manifest of {repository.name} has {len(manifest.layers)} layers"
            f" and its configuration {len(diff_ids)}: refused"
        )
    return Found(repository, top, manifest, config, diff_ids)


def _read(config: bytes, media_type: str, name: str) -> tuple[tuple[str, ...], Platform]:
    try:
        data = json.loads(config)
        diff_ids = tuple(data["rootfs"]["diff_ids"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidError(f"{name} is no container image: it is {media_type}") from error
    if odd := misshaped(data):
        raise InvalidError(
            f"the configuration of {name} is malformed: its {odd} is of a wrong kind"
        )
    if not all(map(is_digest, diff_ids)):
        raise InvalidError(f"the configuration of {name} has malformed diff ids")
    return diff_ids, Platform.of(data)


def _named(name: str, reference: str) -> str:
    return f"{name}{'@' if is_digest(reference) else ':'}{reference}"
