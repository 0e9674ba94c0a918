"""Binds, volumes and tmpfs of a container: from Docker's HostConfig to MountPoints to OCI mounts.

`parse` reads and checks what the user wrote. Whoever creates the container then makes volumes and
folders, and records each as a MountPoint (`point`); `oci` turns the recorded ones into mounts.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..host.errors import InvalidError
from . import subpaths
from .types import Container, Json

_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+$")
PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
# The field of each type's own options.
_OPTIONS = {
    "bind": "BindOptions",
    "volume": "VolumeOptions",
    "tmpfs": "TmpfsOptions",
    "image": "ImageOptions",
}
# What may follow the second colon of `-v`: Docker's modes of a bind, and Podman's harmless ones.
_MODES = {"rw", "ro", "z", "Z", "nocopy", "cached", "delegated", "consistent"}


@dataclass(frozen=True)
class Wanted:
    """One mount as the user asked for it.

    `kind` is bind, volume, tmpfs or image; `source` a host path, the name of a volume or an image,
    or empty for an anonymous volume. `create_source` is for `-v`, which makes a missing folder.
    `options` is the BindOptions, VolumeOptions, TmpfsOptions or ImageOptions of the API.
    """

    kind: str
    source: str
    target: str
    read_only: bool = False
    mode: str = ""
    propagation: str = ""
    create_source: bool = False
    copy: bool = True
    options: Json = field(default_factory=dict)

    def point(self, source: str = "", name: str = "") -> Json:
        """Docker's MountPoint for it, with the host path and volume name it has got."""
        result: Json = {"Type": self.kind}
        if self.kind == "volume":
            result |= {"Name": name or self.source, "Source": source, "Driver": "local"}
        elif self.kind == "image":
            result |= {"Name": name, "Source": source}
        else:
            result["Source"] = source or self.source
        bound = self.kind in ("bind", "image")
        propagation = (self.propagation or "rprivate") if bound else ""
        return result | {
            "Destination": self.target,
            "Mode": self.mode,
            "RW": not self.read_only,
            "Propagation": propagation,
        }


def parse(host_config: Json, volumes: Json | None = None) -> list[Wanted]:
    """All mounts of a HostConfig and of `Config.Volumes` (of the user and the image), checked.

    In order of their targets, parents first; a target in `volumes` that has a mount already is
    left out. Raises InvalidError with Docker's sentences.
    """
    found: dict[str, Wanted] = {}
    given = [parse_bind(text) for text in host_config.get("Binds") or ()]
    given += [parse_mount(entry) for entry in host_config.get("Mounts") or ()]
    for wanted in given:
        if wanted.target in found:
            raise InvalidError(f"Duplicate mount point: {wanted.target}")
        found[wanted.target] = wanted
    for target in host_config.get("Tmpfs") or {}:
        clean = _target(target)
        if clean in found:
            raise InvalidError(f"Duplicate mount point: {clean}")
    tmpfs = {_target(target) for target in host_config.get("Tmpfs") or {}}
    for target in volumes or {}:
        clean = _target(f"/{target}")  # `VOLUME data` is /data, and so is `-v data`
        if clean not in tmpfs:
            found.setdefault(clean, Wanted("volume", "", clean))
    return sorted(found.values(), key=lambda wanted: wanted.target.split("/"))


def parse_bind(text: str) -> Wanted:
    """`-v`'s syntax: `/container`, `source:/container` or `source:/container:mode`."""
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise InvalidError(f"invalid volume specification: '{text}'")
    if len(parts) == 1:
        return Wanted("volume", "", _target(parts[0], text))
    mode = parts[2] if len(parts) == 3 else ""
    words = [word for word in mode.split(",") if word]
    source, target = parts[0], _target(parts[1], text)
    is_bind = source.startswith("/")
    if not is_bind and not _VOLUME_NAME.match(source):
        raise InvalidError(
            f'create {source}: "{source}" includes invalid characters for a local volume name, '
            'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
            "If you intended to pass a host directory, use absolute path"
        )
    propagation = [word for word in words if word in PROPAGATIONS]
    known = _MODES | (set(PROPAGATIONS) if is_bind else set())
    if any(word not in known for word in words) or len(propagation) > 1 or {"ro", "rw"} <= {*words}:
        raise InvalidError(f"invalid mode: {mode}")
    return Wanted(
        "bind" if is_bind else "volume",
        os.path.normpath(source) if is_bind else source,
        target,
        read_only="ro" in words,
        mode=mode if is_bind else mode or "z",
        propagation=propagation[0] if propagation else "",
        create_source=is_bind,
        copy="nocopy" not in words,
    )


def parse_mount(entry: Json) -> Wanted:
    """One of `HostConfig.Mounts`, the long syntax (`--mount`)."""
    kind, source = str(entry.get("Type") or ""), str(entry.get("Source") or "")
    if kind not in _OPTIONS:
        raise InvalidError(f'mount type unknown: "{kind}"')
    where = f'invalid mount config for type "{kind}"'
    if not entry.get("Target"):
        raise InvalidError(f"{where}: field Target must not be empty")
    target = _target(str(entry["Target"]), where=where)
    for other, key in _OPTIONS.items():
        if other != kind and entry.get(key):
            raise InvalidError(f"{where}: field {key} must not be specified")
    options: Json = entry.get(_OPTIONS[kind]) or {}
    wanted = Wanted(kind, source, target, bool(entry.get("ReadOnly")), options=options)
    if kind == "tmpfs":
        if source:
            raise InvalidError(f"{where}: field Source must not be specified")
        return wanted
    if kind == "bind":
        return _checked_bind(wanted, where)
    if kind == "image":
        if not source:
            raise InvalidError(f"{where}: field Source must not be empty")
        subpaths.check(str(options.get("Subpath") or ""), "image")
        return replace(wanted, read_only=True)
    if source and not _VOLUME_NAME.match(source):
        raise InvalidError(f'{where}: "{source}" includes invalid characters for a volume name')
    subpath = subpaths.check(str(options.get("Subpath") or ""))
    # What the image has at the target is meant for the volume's root.
    return replace(wanted, mode="z", copy=not (subpath or options.get("NoCopy")))


def _checked_bind(wanted: Wanted, where: str) -> Wanted:
    if not wanted.source:
        raise InvalidError(f"{where}: field Source must not be empty")
    if not wanted.source.startswith("/"):
        raise InvalidError(
            f"{where}: invalid mount path: '{wanted.source}' mount path must be absolute"
        )
    propagation = str(wanted.options.get("Propagation") or "")
    if propagation and propagation not in PROPAGATIONS:
        raise InvalidError(f"{where}: invalid propagation mode: {propagation}")
    create = bool(wanted.options.get("CreateMountpoint"))
    if not create and not os.path.lexists(wanted.source):
        raise InvalidError(f"{where}: bind source path does not exist: {wanted.source}")
    source = os.path.normpath(wanted.source)
    return replace(wanted, source=source, propagation=propagation, create_source=create)


def _target(path: str, spec: str = "", where: str = "") -> str:
    prefix = where or f"invalid volume specification: '{spec or path}'"
    if not path.startswith("/"):
        raise InvalidError(f"{prefix}: invalid mount path: '{path}' mount path must be absolute")
    clean = os.path.normpath("/" + path.lstrip("/"))
    if clean == "/":
        raise InvalidError(f"{prefix}: invalid specification: destination can't be '/'")
    return clean


def parse_volumes_from(text: str) -> tuple[str, str]:
    """`--volumes-from`'s `container[:mode]` as the container's name and the mode ("" as it is)."""
    name, _, mode = text.partition(":")
    if not name:
        raise InvalidError(f"malformed volumes-from: {text}")
    if mode and (set(mode.split(",")) - {"ro", "rw", "z", "Z"}):
        raise InvalidError(f"invalid mode: {mode}")
    return name, mode


def inherit(points: list[Json], mode: str) -> list[Json]:
    """Another container's volumes and binds for one that has them by `--volumes-from`."""
    read_only = "ro" in mode.split(",")
    passed = [point for point in points if point["Type"] != "image"]
    return [{**point, "RW": point["RW"] and not read_only} for point in passed]


def oci(container: Container, bound: Mapping[str, str] | None = None) -> list[Json]:
    """The OCI mounts of a container's MountPoints and tmpfs, parents first.

    `bound` has the host's path of those targets that are not the whole of their volume.
    """
    host_config = container.host_config
    detail = {
        os.path.normpath(str(entry.get("Target"))): entry
        for entry in host_config.get("Mounts") or ()
    }
    points = [
        {**point, "Source": (bound or {}).get(point["Destination"], point["Source"])}
        for point in container.mounts
    ]
    found = [_point(point, detail.get(point["Destination"], {})) for point in points]
    taken = {mount["destination"] for mount in found}
    for target, text in (host_config.get("Tmpfs") or {}).items():
        if _target(target) not in taken:
            found.append(_tmpfs(_target(target), [word for word in text.split(",") if word]))
    return sorted(found, key=lambda mount: mount["destination"].split("/"))


def _point(point: Json, entry: Json) -> Json:
    if point["Type"] == "tmpfs":
        return _tmpfs(point["Destination"], _tmpfs_words(entry, bool(point["RW"])))
    options: Json = entry.get("BindOptions") or {}
    words = ["bind" if options.get("NonRecursive") else "rbind"]
    if point["RW"]:
        words.append("rw")
    else:
        # Mounts below a read-only one are read-only too, as in Docker since 25. Below a file or a
        # socket there is none, and crun refuses to look (1.8, "Not a directory").
        source = point["Source"]
        file = os.path.exists(source) and not os.path.isdir(source)
        words.append("ro" if file or options.get("ReadOnlyNonRecursive") else "rro")
    words.append(point.get("Propagation") or "rprivate")
    return {
        "destination": point["Destination"],
        "type": "bind",
        "source": point["Source"],
        "options": words,
    }


def _tmpfs_words(entry: Json, writable: bool) -> list[str]:
    options: Json = entry.get("TmpfsOptions") or {}
    words = [] if writable else ["ro"]
    if options.get("SizeBytes"):
        words.append(f"size={int(options['SizeBytes'])}")
    if options.get("Mode"):
        words.append(f"mode={int(options['Mode']):o}")
    return words + ["=".join(pair) for pair in options.get("Options") or ()]


def _tmpfs(target: str, words: list[str]) -> Json:
    """A tmpfs: without programs, devices and set-uid unless asked for, as in Docker."""
    base = [word for word in ("noexec", "nosuid", "nodev") if word[2:] not in words]
    return {
        "destination": target,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": [*base, *(word for word in words if word not in base)],
    }
