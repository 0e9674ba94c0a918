"""Legacy `--link` on the default bridge: the target's address in /etc/hosts.

On user networks the same names are answered by DNS, see `core.netnames`.
"""

from __future__ import annotations

from ..host import files
from ..host.errors import ConflictError, InvalidError, NotFoundError
from ..host.threads import offload
from . import etcfiles
from .netstate import Roster
from .options import Options
from .types import Container, Json

# The variables that its links give a container.
VARIABLES = "links.json"


async def update(roster: Roster, container: Container, options: Options) -> None:
    """Note the links of a starting container, and its new address for those linked to it.

    Raises ConflictError in Docker's words for a target that does not run.
    """
    if container.host_config.get("Links") and "bridge" in container.networks:
        await offload(_note, container, lines(roster, container))
        found = variables(roster, container)
        await offload(files.write_json, container.bundle / VARIABLES, found)
    for other in roster.all():
        links = other.host_config.get("Links")
        if not links or other.id == container.id:
            continue
        if other.state.running and "bridge" in other.networks:
            targets = [split(link)[0] for link in links]
            if container.name in targets or container.id in targets:
                await offload(_note, other, lines(roster, other, missing_ok=True))
                await offload(etcfiles.write, other, options)


def lines(roster: Roster, container: Container, *, missing_ok: bool = False) -> str:
    """The lines of /etc/hosts for a container's links."""
    result = []
    for link in container.host_config.get("Links") or []:
        target, alias = split(link)
        other = found(roster, target)
        if other is None:
            continue  # removed meanwhile, and the link with it
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


def variables(roster: Roster, container: Container) -> list[str]:
    """Docker's variables of a container's links: WEB_NAME, WEB_PORT…, WEB_ENV_… (moby, links)."""
    result = []
    for link in container.host_config.get("Links") or []:
        target, alias = split(link)
        other = found(roster, target)
        if other is None:
            continue
        prefix = alias.replace("-", "_").upper()
        result.append(f"{prefix}_NAME=/{container.name}/{alias}")
        address, ports = _address(other.networks), sorted(other.config.get("ExposedPorts") or {})
        for number, key in enumerate(sorted(ports, key=_port_order)):
            port, _, protocol = key.partition("/")
            url = f"{protocol}://{address}:{port}"
            if number == 0:
                result.append(f"{prefix}_PORT={url}")
            one = f"{prefix}_PORT_{port}_{protocol.upper()}"
            result += [f"{one}={url}", f"{one}_ADDR={address}", f"{one}_PORT={port}"]
            result.append(f"{one}_PROTO={protocol}")
        for item in other.config.get("Env") or []:
            name, equals, _ = item.partition("=")
            if equals and name not in ("HOME", "PATH"):
                result.append(f"{prefix}_ENV_{item}")
    return result


def _port_order(key: str) -> tuple[bool, int]:
    """tcp before udp, then by number, as Docker picks the first."""
    port, _, protocol = key.partition("/")
    return protocol != "tcp", int(port.partition("-")[0])


async def remove(roster: Roster, container: Container, alias: str, options: Options) -> None:
    """Take one of a container's links away. Raises NotFoundError when there is none so called."""
    links = list(container.host_config.get("Links") or [])
    kept = [link for link in links if split(link)[1] != alias]
    if len(kept) == len(links):
        raise NotFoundError(f"No such link: /{container.name}/{alias}")
    container.host_config["Links"] = kept or None
    await roster.save(container)
    if container.state.running and "bridge" in container.networks:
        await offload(_note, container, lines(roster, container, missing_ok=True))
        await offload(etcfiles.write, container, options)


def split(link: str) -> tuple[str, str]:
    """Target and alias of `--link`: `target:alias`, `target` or `/target:/own/alias`."""
    target, _, alias = link.partition(":")
    target = target.lstrip("/")
    return target, alias.rpartition("/")[2] or target


def names(roster: Roster) -> dict[str, list[str]]:
    """The names `/parent/alias` that links give, by the id of the container so called: for `ps`."""
    result: dict[str, list[str]] = {}
    for parent in roster.all():
        for target, alias in map(split, parent.host_config.get("Links") or []):
            if other := found(roster, target):
                result.setdefault(other.id, []).append(f"/{parent.name}/{alias}")
    return result


def bind(roster: Roster, container: Container) -> None:
    """Have a new container's links on the default bridge lead to ids: names change.

    Raises InvalidError in Docker's words for a target that is not there.
    """
    if container.host_config["NetworkMode"] not in ("default", "bridge"):
        return
    links = []
    for link in container.host_config.get("Links") or []:
        target, alias = split(link)
        other = found(roster, target)
        if other is None:
            raise InvalidError(f"could not get container for {target}: No such container: {target}")
        links.append(f"{other.id}:{alias}")
    container.host_config["Links"] = links or None


def shown(roster: Roster, container: Container) -> list[str] | None:
    """A container's links as `inspect` shows them: `/target:/own/alias`; None for none."""
    result = []
    for link in container.host_config.get("Links") or []:
        target, alias = split(link)
        if other := found(roster, target):
            result.append(f"/{other.name}:/{container.name}/{alias}")
    return result or None


def found(roster: Roster, target: str) -> Container | None:
    """The container a link leads to; None when it is gone."""
    try:
        return roster.find(target)
    except (NotFoundError, InvalidError):
        return None


def _address(networks: Json) -> str:
    return str((networks.get("bridge") or {}).get("IPAddress") or "")


def _note(container: Container, text: str) -> None:
    files.write_atomic(container.bundle / etcfiles.LINKS, text.encode())
