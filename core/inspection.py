"""A container as Docker's `inspect` and `ps` show it."""

from __future__ import annotations

import shlex
import time

from ..host import clock
from . import netlinks
from .context import Context
from .types import Container, Json


def inspect(context: Context, container: Container) -> Json:
    """Docker's `ContainerJSON`, without the sizes (see `add_sizes`)."""
    config = container.config
    argv = [*(config["Entrypoint"] or []), *(config["Cmd"] or [])]
    merged = context.options.root / "snapshots" / container.id / "merged"
    driver = container.host_config["LogConfig"]["Type"]
    result: Json = {
        "Id": container.id,
        "Created": clock.from_ns(container.created),
        "Path": argv[0] if argv else "",
        "Args": argv[1:],
        "State": _state(container),
        "Image": container.image,
        "ResolvConfPath": str(container.bundle / "resolv.conf"),
        "HostnamePath": str(container.bundle / "hostname"),
        "HostsPath": str(container.bundle / "hosts"),
        # Docker shows what is meant to be read, which a driver's own files are not.
        "LogPath": str(container.bundle / "ctr.log") if driver == "json-file" else "",
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": context.execs.ids(container.id) or None,
        "HostConfig": _host_config(context, container),
        "GraphDriver": {
            "Name": "overlay2",
            "Data": {
                "MergedDir": str(merged),
                "UpperDir": str(merged.parent / "diff"),
                "WorkDir": str(merged.parent / "work"),
            },
        },
        "Mounts": container.mounts,
        "Config": config,
        "NetworkSettings": network_settings(context, container),
    }
    return result


def _host_config(context: Context, container: Container) -> Json:
    links = netlinks.shown(context.roster, container)
    return {**container.host_config, "Links": links}


def _state(container: Container) -> Json:
    state = container.state
    result: Json = {
        "Status": state.status,
        "Running": state.running or state.status == "restarting",
        "Paused": state.status == "paused",
        "Restarting": state.status == "restarting",
        "OOMKilled": state.oom_killed,
        "Dead": state.status == "dead",
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": clock.from_ns(state.started),
        "FinishedAt": clock.from_ns(state.finished),
    }
    if state.health is not None:
        result["Health"] = state.health
    return result


def network_settings(context: Context, container: Container) -> Json:
    """Docker's `NetworkSettings`, with the legacy top-level copy of the default bridge's."""
    running = container.state.running
    networks = endpoints(container)
    bridge = networks.get("bridge", {})
    return {
        "Bridge": "",
        "SandboxID": container.id if running else "",
        "SandboxKey": str(context.options.run_root / "netns" / container.id) if running else "",
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "Ports": context.networks.ports(container) if running else {},
        "EndpointID": bridge.get("EndpointID", ""),
        "Gateway": bridge.get("Gateway", ""),
        "GlobalIPv6Address": bridge.get("GlobalIPv6Address", ""),
        "GlobalIPv6PrefixLen": bridge.get("GlobalIPv6PrefixLen", 0),
        "IPAddress": bridge.get("IPAddress", ""),
        "IPPrefixLen": bridge.get("IPPrefixLen", 0),
        "IPv6Gateway": bridge.get("IPv6Gateway", ""),
        "MacAddress": bridge.get("MacAddress", ""),
        "Networks": networks,
    }


def endpoints(container: Container) -> Json:
    """Docker's `Networks`: an address is shown only while there is a process to have it."""
    if container.state.running:
        return dict(container.networks)
    blank: Json = {
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
    }
    return {name: {**settings, **blank} for name, settings in container.networks.items()}


def summary(context: Context, container: Container, links: dict[str, list[str]]) -> Json:
    """One row of `docker ps`, as the API has it. `links` is of `netlinks.names`."""
    config = container.config
    argv = [*(config["Entrypoint"] or []), *(config["Cmd"] or [])]
    return {
        "Id": container.id,
        "Names": [f"/{container.name}", *links.get(container.id, ())],
        "Image": container.image_ref,
        "ImageID": container.image,
        "Command": " ".join(_quoted(word) for word in argv),
        "Created": container.created // 1_000_000_000,
        "Ports": ports(context, container),
        "Labels": config["Labels"] or {},
        "State": container.state.status,
        "Status": status_text(container),
        "HostConfig": {"NetworkMode": container.host_config["NetworkMode"]},
        "NetworkSettings": {"Networks": endpoints(container)},
        "Mounts": container.mounts,
    }


def _quoted(word: str) -> str:
    return shlex.quote(word) if " " in word or not word else word


def ports(context: Context, container: Container) -> list[Json]:
    """The ports of a running container, as `ps` has them."""
    if not container.state.running:
        return []
    rows: list[Json] = []
    for key, bindings in (context.networks.ports(container) or {}).items():
        port, _, protocol = key.partition("/")
        for binding in bindings or []:
            rows.append(
                {
                    "IP": binding["HostIp"],
                    "PrivatePort": int(port),
                    "PublicPort": int(binding["HostPort"]),
                    "Type": protocol,
                }
            )
        if not bindings:
            rows.append({"PrivatePort": int(port), "Type": protocol})
    return rows


def status_text(container: Container, now: int | None = None) -> str:
    """Docker's status column: "Up 5 minutes (healthy)", "Exited (0) 2 hours ago"."""
    state = container.state
    now = now or time.time_ns()
    if state.status == "created":
        return "Created"
    if state.status == "removing":
        return "Removal In Progress"
    if state.status == "dead":
        return "Dead"
    if state.running:
        text = f"Up {human_duration((now - state.started) / 1e9)}"
        if state.status == "paused":
            return f"{text} (Paused)"
        health = (state.health or {}).get("Status")
        if health:
            text += f" ({'health: starting' if health == 'starting' else health})"
        return text
    ago = human_duration((now - state.finished) / 1e9)
    word = "Restarting" if state.status == "restarting" else "Exited"
    return f"{word} ({state.exit_code}) {ago} ago"


def human_duration(seconds: float) -> str:
    """A length of time as Docker words it: "Less than a second", "About a minute", "3 weeks"."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    for limit, size, word in (
        (48, 1, "hours"),
        (24 * 7 * 2, 24, "days"),
        (24 * 30 * 2, 24 * 7, "weeks"),
        (24 * 365 * 2, 24 * 30, "months"),
    ):
        if hours < limit:
            return f"{hours // size} {word}"
    return f"{int(hours / 24 / 365)} years"
