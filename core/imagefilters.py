"""Which images a list or a prune means: Docker's filters for images."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..host import clock
from ..host.errors import InvalidError
from ..storage.images import Image
from ..storage.store import Store
from . import filters as filtering
from . import regex
from .imageviews import labels

LISTED = frozenset({"before", "dangling", "label", "label!", "reference", "since", "until"})
PRUNED = frozenset({"dangling", "label", "label!", "until"})


@dataclass(frozen=True)
class Named:
    """An image and those of its names that were asked for."""

    image: Image
    tags: Sequence[str]
    digests: Sequence[str]


def select(store: Store, filters: Mapping[str, list[str]]) -> list[Named]:
    """The images that pass all `filters`, the newest first.

    A `reference` filter also takes away the names it does not match. Raises InvalidError for an
    unknown filter or a bad value, NotFoundError for an unknown image in `before` or `since`.
    """
    filtering.check(filters, LISTED)
    dangling = filtering.flag(filters, "dangling")
    patterns = filters.get("reference") or []
    before = [_when(store.images.resolve(text)) for text in filters.get("before") or []]
    before += [filtering.until_ns(text) for text in filters.get("until") or []]
    since = [_when(store.images.resolve(text)) for text in filters.get("since") or []]
    parents = store.images.parents() if dangling is not None else set()
    found: list[Named] = []
    for image in store.images.all():
        tags, digests = store.images.names(image.id), store.images.digests(image.id)
        # An image that was pulled by digest counts as dangling, and as not dangling: as in Docker.
        if dangling is not None and (tags if dangling else not tags and not digests):
            continue
        # What another image was made from is one of its steps, no left-over.
        if dangling and image.id in parents:
            continue
        if not filtering.label_filters(filters, labels(image)):
            continue
        if any(_when(image) >= moment for moment in before):
            continue
        if any(_when(image) <= moment for moment in since):
            continue
        if patterns:
            tags = [name for name in tags if _matches(patterns, name)]
            digests = [name for name in digests if _matches(patterns, name)]
            if not tags and not digests:
                continue
        found.append(Named(image, tags, digests))
    return found


def _when(image: Image) -> int:
    try:
        return clock.to_ns(image.created)
    except ValueError:
        return 0


def _matches(patterns: Sequence[str], name: str) -> bool:
    """Whether a pattern matches the name with its tag or digest, or without."""
    bare = name.partition("@")[0]
    slash = bare.rfind("/")
    colon = bare.find(":", slash + 1)
    repository = bare if colon < 0 else bare[:colon]
    return any(
        _compiled(pattern).found_in(one) for pattern in patterns for one in (name, repository)
    )


@functools.lru_cache(maxsize=64)
def _compiled(pattern: str) -> regex.Regex:
    """A pattern of Go's path.Match: `*` and `?` stop at slashes, `[a-z]`, `[^a]`, `\\` escapes."""
    parts: list[str] = []
    place = 0
    while place < len(pattern):
        letter = pattern[place]
        place += 1
        if letter == "*":
            parts.append("[^/]*")
        elif letter == "?":
            parts.append("[^/]")
        elif letter == "\\" and place < len(pattern):
            parts.append(re.escape(pattern[place]))
            place += 1
        elif letter == "[" and (end := pattern.find("]", place + 1)) > 0:
            inner = pattern[place:end].replace("\\", "\\\\").replace("[", "\\[")
            parts.append(f"[{inner}]")
            place = end + 1
        else:
            parts.append(re.escape(letter))
    try:
        return regex.compiled(rf"\A(?:{''.join(parts)})\Z")
    except InvalidError:
        raise InvalidError(f"invalid filter 'reference={pattern}': bad pattern") from None
