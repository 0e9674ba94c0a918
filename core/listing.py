"""Which containers `ps` and `prune` mean."""

from __future__ import annotations

import re
import time

from ..host.errors import InvalidError, NotFoundError
from . import filters as filtering
from . import inspection
from .context import Context
from .filters import Filters
from .types import Container

_PS = frozenset(
    (
        *("ancestor", "before", "expose", "exited", "health", "id", "is-task", "isolation"),
        *("label", "name", "network", "publish", "since", "status", "volume"),
    )
)
_STATES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?")
_HEALTH = ("starting", "healthy", "unhealthy", "none")


def select(
    context: Context, containers: list[Container], everything: bool, limit: int, wanted: Filters
) -> list[Container]:
    """The containers `ps` shows, newest first. Raises InvalidError for an unknown filter."""
    for key in wanted:
        if key not in _PS:
            raise InvalidError(f"invalid filter '{key}'")
    for status in wanted.get("status", []):
        if status not in _STATES:
            raise InvalidError(f"invalid filter 'status={status}': use one of {', '.join(_STATES)}")
    for health in wanted.get("health", []):
        if health not in _HEALTH:
            raise InvalidError(f"invalid filter 'health={health}': use one of {', '.join(_HEALTH)}")
    for code in wanted.get("exited", []):
        if not code.lstrip("-").isdecimal():
            raise InvalidError(f"invalid filter 'exited={code}': not a number")
    ports = {key: _port_set(key, wanted.get(key, [])) for key in ("publish", "expose")}
    if filtering.flag(wanted, "is-task"):
        containers = []  # tasks are Swarm's
    rows = sorted(containers, key=lambda container: container.created, reverse=True)
    if wanted.get("before"):
        edge = context.roster.find(wanted["before"][0]).created
        rows = [row for row in rows if row.created < edge]
    if wanted.get("since"):
        edge = context.roster.find(wanted["since"][0]).created
        rows = [row for row in rows if row.created > edge]
    if not (everything or limit or wanted.get("status") or wanted.get("exited")):
        rows = [row for row in rows if row.state.running or row.state.status == "restarting"]
    ancestors = _ancestors(context, wanted)
    if wanted:
        rows = [row for row in rows if _matches(context, row, wanted, ancestors, ports)]
    return rows[:limit] if limit > 0 else rows


def _ancestors(context: Context, wanted: Filters) -> set[str]:
    """The ids of the images named by `ancestor`, and of those built on them."""
    result: set[str] = set()
    images = context.store.images
    for ref in wanted.get("ancestor", []):
        try:
            base = images.resolve(ref)
        except (NotFoundError, InvalidError):
            continue
        for image in images.all():
            if image.diff_ids[: len(base.diff_ids)] == base.diff_ids:
                result.add(image.id)
    return result


def _matches(
    context: Context,
    container: Container,
    wanted: Filters,
    ancestors: set[str],
    ports: dict[str, set[tuple[int, str]]],
) -> bool:
    def of(key: str) -> list[str]:
        return wanted.get(key, [])

    state = container.state
    health = (state.health or {}).get("Status", "none")
    networks = {
        value
        for name, settings in container.networks.items()
        for value in (name, settings.get("NetworkID", ""))
    }
    volumes = {
        value
        for point in container.mounts
        for value in (point.get("Name"), point["Destination"], point.get("Source"))
    }
    return all(
        (
            not of("id") or any(container.id.startswith(value) for value in of("id")),
            filtering.match_name(of("name"), container.name),
            filtering.match_labels(container.config["Labels"] or {}, of("label")),
            not of("status") or state.status in of("status"),
            not of("exited") or (state.status == "exited" and str(state.exit_code) in of("exited")),
            not of("health") or health in of("health"),
            not of("ancestor") or container.image in ancestors,
            not of("network") or bool(networks & set(of("network"))),
            not of("volume") or bool(volumes & set(of("volume"))),
            not (of("publish") or of("expose")) or _has_port(context, container, ports),
        )
    )


def _port_set(key: str, values: list[str]) -> set[tuple[int, str]]:
    """(port, protocol) of the ranges `80`, `80-90`, `53/udp`. Raises InvalidError."""
    result: set[tuple[int, str]] = set()
    for value in values:
        found = _PORTS.fullmatch(value)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not found or not 0 <= first <= last <= 65535:
            raise InvalidError(
                f"invalid filter '{key}={value}': give a port or a range, with /tcp, /udp or /sctp"
            )
        result.update((port, found[3] or "tcp") for port in range(first, last + 1))
    return result


def _has_port(
    context: Context, container: Container, wanted: dict[str, set[tuple[int, str]]]
) -> bool:
    """Whether a port it has now is one of those published, or of those exposed."""
    return any(
        (row.get("PublicPort"), row["Type"]) in wanted["publish"]
        or (row["PrivatePort"], row["Type"]) in wanted["expose"]
        for row in inspection.ports(context, container)
    )


def prunable(containers: list[Container], wanted: Filters) -> list[Container]:
    """What `container prune` removes. Raises InvalidError for an unknown filter."""
    for key in wanted:
        if key not in ("label", "label!", "until"):
            raise InvalidError(f"invalid filter '{key}'")
    until = time.time_ns()
    if wanted.get("until"):
        until = filtering.until_ns(wanted["until"][0])
    return [
        container
        for container in containers
        if container.state.status in ("created", "exited", "dead")
        and container.created < until
        and filtering.match_labels(container.config["Labels"] or {}, wanted.get("label", []))
        and not any(
            filtering.match_labels(container.config["Labels"] or {}, [label])
            for label in wanted.get("label!", [])
        )
    ]
