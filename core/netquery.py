"""Which networks a filter means; pure."""

from __future__ import annotations

from ..host.errors import InvalidError
from . import filters as filtering
from .netmodel import Network
from .netstate import NetState

Filters = dict[str, list[str]]

LISTED = ("dangling", "driver", "id", "label", "label!", "name", "scope", "type")
PRUNED = ("label", "label!", "until")


def select(state: NetState, filters: Filters) -> list[Network]:
    """The networks `docker network ls` shows, by name. Raises InvalidError for a bad filter."""
    filtering.check(filters, LISTED)
    for kind in filters.get("type") or []:
        if kind not in ("custom", "builtin"):
            raise InvalidError(f"invalid filter 'type={kind}': custom or builtin")
    unused = filtering.flag(filters, "dangling")
    return [
        network
        for network in sorted(state.networks.values(), key=lambda item: item.name)
        if _matches(network, filters)
        and (unused is None or unused == (network.user_defined and not state.on(network.id)))
    ]


def prunable(state: NetState, filters: Filters) -> list[Network]:
    """The user's networks that nothing runs on. Raises InvalidError for a bad filter."""
    filtering.check(filters, PRUNED)
    until = [filtering.until_ns(text) for text in filters.get("until") or []]
    return [
        network
        for network in sorted(state.networks.values(), key=lambda item: item.name)
        if network.user_defined
        and not network.config_only
        and not state.on(network.id)
        and all(network.created < limit for limit in until)
        and filtering.label_filters(filters, network.labels)
    ]


def _matches(network: Network, filters: Filters) -> bool:
    kind = "custom" if network.user_defined else "builtin"
    names = filters.get("name") or []
    drivers = filters.get("driver") or []
    return (
        filtering.match_id(filters.get("id") or [], network.id)
        and (not names or any(name in network.name for name in names))
        and (not drivers or network.driver in drivers)
        and (not filters.get("scope") or "local" in filters["scope"])
        and (not filters.get("type") or kind in filters["type"])
        and filtering.label_filters(filters, network.labels)
    )
