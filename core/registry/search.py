"""Searching a registry: by its index where it has one (`/v1/search`), else through its catalog.

The specification of registries has no search. Docker Hub and a few others keep the old index's;
`/v2/_catalog` of the rest lists names alone, in which the term is looked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import quote, urljoin

from ...host.errors import BayError, InvalidError, NotFoundError
from .. import filters as filtering
from ..types import Json
from .endpoints import HUB, HUB_HOST, Registries
from .lookup import Target, visit
from .refusals import Refusal
from .repository import Repository, Wire

INDEX = "https://index.docker.io/v1/search"
LIMIT, MOST = 25, 100
FILTERS = frozenset({"is-automated", "is-official", "stars"})
_ANSWER_LIMIT = 8 << 20
_PAGES = 200
_NEXT = re.compile(r"<([^>]+)>.*rel=\"?next")


def split(term: str) -> tuple[str, str]:
    """(registry, what to look for) of a search term: `quay.io/team/app`, `nginx`."""
    first, slash, rest = term.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return (HUB if first in (HUB, "index.docker.io") else first), rest
    return HUB, term


def search(
    wire: Wire,
    registries: Registries,
    term: str,
    limit: int | None,
    filters: Mapping[str, list[str]],
    auth: Json | None,
) -> list[Json]:
    """Docker's search results for `term`, at most `limit` (25 when None, 1 to 100); blocks.

    Raises InvalidError for a bad limit or filter, NotFoundError for a registry that offers no
    search at all.
    """
    limit = LIMIT if limit is None else limit
    if not 1 <= limit <= MOST:
        raise InvalidError(f"Limit {limit} is outside the range of [1, {MOST}]")
    filtering.check(filters, FILTERS)
    official = filtering.flag(filters, "is-official")
    automated = filtering.flag(filters, "is-automated")
    stars = _stars(filters)
    domain, text = split(term)
    if not text:
        raise InvalidError("invalid search: the term is empty")
    if domain == HUB and not registries.mirrors.get(HUB):
        rows = _hub(wire, text, limit)
    else:
        target = Target(domain, "", domain, auth)
        rows = visit(wire, registries, target, lambda one: _ask(wire, one, text, limit))
        if domain != HUB:
            rows = [{**row, "name": f"{domain}/{row['name']}"} for row in rows]
    return [
        row
        for row in rows
        if (official is None or row["is_official"] == official)
        and (automated is None or row["is_automated"] == automated)
        and row["star_count"] >= stars
    ]


def _stars(filters: Mapping[str, list[str]]) -> int:
    values = filters.get("stars") or ["0"]
    if not all(value.isdecimal() for value in values):
        raise InvalidError(f"invalid filter 'stars={' '.join(values)}'")
    return max(map(int, values))


def _hub(wire: Wire, text: str, limit: int) -> list[Json]:
    url = f"{INDEX}?q={quote(text)}&n={limit}"
    with wire.transport.send("GET", url, wire.cancel) as answer:
        body = answer.read(_ANSWER_LIMIT)
    found = _results(body) if answer.status == 200 else None
    if found is None:
        refusal = Refusal.of(answer.status, body, answer.headers.get("Retry-After"))
        raise refusal.error(f"search for {text} at Docker Hub")
    return found[:limit]


def _ask(wire: Wire, repository: Repository, text: str, limit: int) -> list[Json]:
    endpoint = repository.endpoint
    if endpoint.host == HUB_HOST:
        return _hub(wire, text, limit)
    url = f"{endpoint.scheme}://{endpoint.host}/v1/search?q={quote(text)}&n={limit}"
    repository.scopes = ()
    with repository.send("GET", url) as answer:
        body = answer.read(_ANSWER_LIMIT)
    if answer.status == 200 and (found := _results(body)) is not None:
        return found[:limit]
    repository.scopes = ("registry:catalog:*",)
    names = _catalog(repository)
    wanted = text.lower()
    matching = [name for name in names if wanted in name.lower()]
    # The name itself first, then those that begin with it.
    matching.sort(key=lambda name: (name != text, not name.startswith(text), name))
    return [_row({"name": name}) for name in matching[:limit]]


def _catalog(repository: Repository) -> list[str]:
    url = f"{repository.endpoint.base}_catalog?n=1000"
    names: list[str] = []
    for _ in range(_PAGES):
        with repository.send("GET", url) as answer:
            body = answer.read(_ANSWER_LIMIT)
        host = repository.endpoint.host
        if answer.status in (404, 405):
            raise NotFoundError(
                f"the registry {host} offers no search and no catalog: pull by name"
            )
        if answer.status != 200:
            refusal = Refusal.of(answer.status, body, answer.headers.get("Retry-After"))
            raise refusal.error(f"the catalog of {host}")
        try:
            names += map(str, json.loads(body)["repositories"] or [])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BayError(f"the registry {host} answered no catalog") from error
        following = _NEXT.match(answer.headers.get("Link", ""))
        if following is None:
            break
        url = urljoin(answer.url, following[1])
    return names


def _results(body: bytes) -> list[Json] | None:
    """The results of an index's answer; None when it is none."""
    try:
        found = json.loads(body)["results"]
        return [_row(one) for one in found or []]
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return None


def _row(found: Json) -> Json:
    return {
        "star_count": int(found.get("star_count") or 0),
        "is_official": bool(found.get("is_official")),
        "name": str(found["name"]),
        "is_automated": bool(found.get("is_automated")),
        "description": str(found.get("description") or ""),
    }
