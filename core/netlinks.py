"""Legacy `--link` on the default bridge: the target's address in /etc/hosts.

On user networks the same names are answered by DNS, see `core.netnames`.
"""

from __future__ import annotations

from ..host import files
from ..host.errors import ConflictError
from ..host.threads import offload
from . import etcfiles
from .netstate import Roster
from .options import Options
from .types import Container, Json


async def update(roster: Roster, container: Container, options: Options) -> None:
    """Note the links of a starting container, and its new address for those linked to it.

    Raises ConflictError in Docker's words for a target that does not run, NotFoundError for none.
    """
    if container.host_config.get("Links") and "bridge" in container.networks:
        await offload(_note, container, lines(roster, container))
    for other in roster.all():
        if other.id != container.id and other.state.running and "bridge" in other.networks:
            targets = [split(link)[0] for link in other.host_config.get("Links") or []]
            if container.name in targets or container.id in targets:
                await offload(_note, other, lines(roster, other, missing_ok=True))
                await offload(etcfiles.write, other, options)


def lines(roster: Roster, container: Container, *, missing_ok: bool = False) -> str:
    """The lines of /etc/hosts for a container's links."""
    result = []
    for link in container.host_config.get("Links") or []:
        target, alias = split(link)
        other = roster.find(target)
        address = _address(other.networks)
        if not address:
            if missing_ok:
                continue
            raise ConflictError(
                f"Cannot link to a non running container: /{other.name} AS "
                f"/{container.name}/{alias}"
            )
        hostname = other.config.get("Hostname") or other.id[:12]
        names = dict.fromkeys([alias, str(hostname), other.name])
        result.append(f"{address}\t{' '.join(names)}\n")
    return "".join(result)


def split(link: str) -> tuple[str, str]:
    """Target and alias of `--link`: `target:alias`, `target` or `/target:/own/alias`."""
    target, _, alias = link.partition(":")
    target = target.lstrip("/")
    return target, alias.rpartition("/")[2] or target


def _address(networks: Json) -> str:
    return str((networks.get("bridge") or {}).get("IPAddress") or "")


def _note(container: Container, text: str) -> None:
    files.write_atomic(container.bundle / etcfiles.LINKS, text.encode())
