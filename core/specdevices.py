"""Device nodes of a container and the rules of what it may open (cgroup devices)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator

from ..host.errors import InvalidError
from .types import Json

_RULE = re.compile(r"([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$")
# Of the host's /dev, what a privileged container has of its own or must not share.
_OWN = {"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console", "ptmx"}
# null, zero, full, tty, random, urandom, console, ptmx and terminals; `m` lets mknod(2) make any
# node, which then cannot be opened.
_ALLOWED = (
    ("c", None, None, "m"),
    ("b", None, None, "m"),
    ("c", 1, 3, "rwm"),
    ("c", 1, 5, "rwm"),
    ("c", 1, 7, "rwm"),
    ("c", 1, 8, "rwm"),
    ("c", 1, 9, "rwm"),
    ("c", 5, 0, "rwm"),
    ("c", 5, 1, "rwm"),
    ("c", 5, 2, "rwm"),
    ("c", 136, None, "rwm"),
)


def devices(host_config: Json) -> tuple[list[Json], list[Json]]:
    """The OCI `linux.devices` and `linux.resources.devices` of a container.

    A privileged one has all of the host's. Raises InvalidError with Docker's sentences.
    """
    if host_config.get("DeviceRequests"):
        first = host_config["DeviceRequests"][0].get("Capabilities") or []
        wanted = "[" + " ".join(f"[{' '.join(map(str, every))}]" for every in first) + "]"
        raise InvalidError(f'could not select device driver "" with capabilities: {wanted}')
    if host_config.get("Privileged"):
        nodes = [node for path in _host_paths("/dev") if (node := _node(path, path))]
        return nodes, [{"allow": True, "access": "rwm"}]
    nodes, rules = [], [{"allow": False, "access": "rwm"}]
    rules += [_rule(*entry) for entry in _ALLOWED]
    for entry in host_config.get("Devices") or ():
        for node in _mapped(entry):
            access = entry.get("CgroupPermissions") or "rwm"
            if set(access) - set("rwm"):
                raise InvalidError(f"invalid device mode: {access}")
            nodes.append(node)
            rules.append(_rule(node["type"], node["major"], node["minor"], access))
    for text in host_config.get("DeviceCgroupRules") or ():
        rules.append(_parsed_rule(text))
    return nodes, rules


def _rule(kind: str, major: int | None, minor: int | None, access: str) -> Json:
    rule: Json = {"allow": True, "type": kind, "access": access}
    if major is not None:
        rule["major"] = major
    if minor is not None:
        rule["minor"] = minor
    return rule


def _parsed_rule(text: str) -> Json:
    match = _RULE.match(text)
    if match is None:
        raise InvalidError(f"invalid device cgroup rule format: '{text}'")
    kind, major, minor, access = match.groups()
    return _rule(
        kind, None if major == "*" else int(major), None if minor == "*" else int(minor), access
    )


def _mapped(entry: Json) -> Iterator[Json]:
    """The nodes of one `--device`: the device itself, or every one in a folder."""
    source = str(entry.get("PathOnHost") or "")
    target = str(entry.get("PathInContainer") or source)
    real = os.path.realpath(source)
    node = _node(real, target)
    if node:
        yield node
        return
    if not os.path.isdir(real):
        why = "not a device node" if os.path.exists(real) else "no such file or directory"
        raise InvalidError(
            f'error gathering device information while adding custom device "{source}": {why}'
        )
    for path in _host_paths(real):
        if node := _node(path, target + path[len(real) :]):
            yield node


def _host_paths(folder: str) -> Iterator[str]:
    """The paths of device nodes below `folder`; nodes that vanish meanwhile are left out."""
    for entry in os.scandir(folder):
        if folder == "/dev" and entry.name in _OWN:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _host_paths(entry.path)
        elif not entry.is_symlink():
            yield entry.path


def _node(path: str, target: str) -> Json | None:
    try:
        found = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None
    kinds = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}
    kind = kinds.get(stat.S_IFMT(found.st_mode))
    if kind is None:
        return None
    return {
        "path": target,
        "type": kind,
        "major": os.major(found.st_rdev),
        "minor": os.minor(found.st_rdev),
        "fileMode": stat.S_IMODE(found.st_mode),
        "uid": found.st_uid,
        "gid": found.st_gid,
    }
