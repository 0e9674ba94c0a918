"""The types of the fields in request bodies, as Docker's Go structures declare them.

What has the wrong type is refused with the sentence Docker's decoder gives; so that nothing behind
the API meets a number where it expects a map. Fields that no table names are let through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..host.errors import InvalidError

# A shape is a name of `_PRIMITIVES`, [shape] for arrays, {"*": shape} for maps with free keys, or
# a map of field names for structures. null stands for the zero value everywhere, as in Go.
Shape = str | list["Shape"] | Mapping[str, "Shape"]

_PRIMITIVES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "bool": (bool,),
    "int64": (int,),
    "float64": (int, float),
    "strslice.StrSlice": (str, list),
    "object": (dict,),
}
_TEXTS: Shape = ["string"]
_TEXT_MAP: Shape = {"*": "string"}
_SET: Shape = {"*": "object"}


def _each(shape: Shape, names: str) -> dict[str, Shape]:
    """The fields of that shape, their names with spaces between them."""
    return dict.fromkeys(names.split(), shape)


HEALTH: Shape = {
    "Test": _TEXTS,
    "Interval": "int64",
    "Timeout": "int64",
    "StartPeriod": "int64",
    "StartInterval": "int64",
    "Retries": "int64",
}
CONFIG: dict[str, Shape] = {
    **_each(
        "string",
        "Hostname Domainname User Image WorkingDir MacAddress StopSignal",
    ),
    **_each(
        "bool",
        "AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce ArgsEscaped NetworkDisabled",
    ),
    "Env": _TEXTS,
    "OnBuild": _TEXTS,
    "Shell": _TEXTS,
    "Cmd": "strslice.StrSlice",
    "Entrypoint": "strslice.StrSlice",
    "Labels": _TEXT_MAP,
    "ExposedPorts": _SET,
    "Volumes": _SET,
    "Healthcheck": HEALTH,
    "StopTimeout": "int64",
}
_THROTTLES: Shape = [{"Path": "string", "Rate": "int64"}]
RESOURCES: dict[str, Shape] = {
    **_each(
        "int64",
        "CpuShares Memory NanoCpus BlkioWeight CpuPeriod CpuQuota PidsLimit CpuRealtimePeriod "
        "CpuRealtimeRuntime MemoryReservation MemorySwap MemorySwappiness CpuCount CpuPercent "
        "KernelMemory",
    ),
    "CgroupParent": "string",
    "CpusetCpus": "string",
    "CpusetMems": "string",
    "OomKillDisable": "bool",
    "BlkioWeightDevice": [{"Path": "string", "Weight": "int64"}],
    **_each(
        _THROTTLES,
        "BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps",
    ),
    "Devices": [
        {"PathOnHost": "string", "PathInContainer": "string", "CgroupPermissions": "string"}
    ],
    "DeviceCgroupRules": _TEXTS,
    "DeviceRequests": ["object"],
    "Ulimits": [{"Name": "string", "Soft": "int64", "Hard": "int64"}],
}
_RESTART: Shape = {"Name": "string", "MaximumRetryCount": "int64"}
_MOUNT: Shape = {
    "Type": "string",
    "Source": "string",
    "Target": "string",
    "ReadOnly": "bool",
    "Consistency": "string",
    "BindOptions": {"Propagation": "string", "NonRecursive": "bool", "CreateMountpoint": "bool"},
    "VolumeOptions": {
        "NoCopy": "bool",
        "Labels": _TEXT_MAP,
        "Subpath": "string",
        "DriverConfig": {"Name": "string", "Options": _TEXT_MAP},
    },
    "TmpfsOptions": {"SizeBytes": "int64", "Mode": "int64"},
    "ImageOptions": {"Subpath": "string"},
}
HOST_CONFIG: dict[str, Shape] = {
    **RESOURCES,
    **_each(
        "string",
        "ContainerIDFile NetworkMode VolumeDriver CgroupnsMode IpcMode Cgroup PidMode UTSMode "
        "UsernsMode Runtime Isolation",
    ),
    **_each(
        _TEXTS,
        "Binds VolumesFrom Dns DnsOptions DnsSearch ExtraHosts GroupAdd Links SecurityOpt "
        "MaskedPaths ReadonlyPaths",
    ),
    **_each(
        "bool",
        "AutoRemove Privileged PublishAllPorts ReadonlyRootfs Init",
    ),
    "CapAdd": "strslice.StrSlice",
    "CapDrop": "strslice.StrSlice",
    "LogConfig": {"Type": "string", "Config": _TEXT_MAP},
    "PortBindings": {"*": [{"HostIp": "string", "HostPort": "string"}]},
    "RestartPolicy": _RESTART,
    "ConsoleSize": ["int64"],
    "OomScoreAdj": "int64",
    "ShmSize": "int64",
    "StorageOpt": _TEXT_MAP,
    "Sysctls": _TEXT_MAP,
    "Tmpfs": _TEXT_MAP,
    "Mounts": [_MOUNT],
}
ENDPOINT: Shape = {
    "IPAMConfig": {"IPv4Address": "string", "IPv6Address": "string", "LinkLocalIPs": _TEXTS},
    "Links": _TEXTS,
    "Aliases": _TEXTS,
    "MacAddress": "string",
    "DriverOpts": _TEXT_MAP,
    "GwPriority": "int64",
    "NetworkID": "string",
}
CREATE: Shape = {
    **CONFIG,
    "HostConfig": HOST_CONFIG,
    "NetworkingConfig": {"EndpointsConfig": {"*": ENDPOINT}},
}
UPDATE: Shape = {**RESOURCES, "RestartPolicy": _RESTART}
_EXEC: dict[str, Shape] = {
    **_each(
        "bool",
        "AttachStdin AttachStdout AttachStderr Tty Privileged",
    ),
    **_each(
        "string",
        "User DetachKeys WorkingDir",
    ),
    "Cmd": "strslice.StrSlice",
    "Env": _TEXTS,
    "ConsoleSize": ["int64"],
}
EXEC: Shape = _EXEC
EXEC_RUN: Shape = {**_EXEC, "Detach": "bool"}
# `HangUp` is ours: the terminal ends with its client, as one that is closed does.
EXEC_START: Shape = {"Detach": "bool", "Tty": "bool", "ConsoleSize": ["int64"], "HangUp": "bool"}
NETWORK: Shape = {
    **_each(
        "string",
        "Name Driver Scope",
    ),
    **_each(
        "bool",
        "CheckDuplicate Internal Attachable Ingress EnableIPv6 EnableIPv4 ConfigOnly",
    ),
    "ConfigFrom": {"Network": "string"},
    "IPAM": {
        "Driver": "string",
        "Options": _TEXT_MAP,
        "Config": [
            {
                "Subnet": "string",
                "IPRange": "string",
                "Gateway": "string",
                "AuxiliaryAddresses": _TEXT_MAP,
            }
        ],
    },
    "Options": _TEXT_MAP,
    "Labels": _TEXT_MAP,
}
CONNECT: Shape = {"Container": "string", "EndpointConfig": ENDPOINT}
DISCONNECT: Shape = {"Container": "string", "Force": "bool"}
VOLUME: Shape = {
    "Name": "string",
    "Driver": "string",
    "DriverOpts": _TEXT_MAP,
    "Labels": _TEXT_MAP,
}
AUTH: Shape = _each(
    "string",
    "username password auth email serveraddress identitytoken registrytoken",
)


def check(value: Any, shape: Shape, field: str = "") -> None:
    """Hold a decoded JSON value against its shape, and spell its field names as the shape does.

    Raises InvalidError naming the field.
    """
    if value is None:
        return
    if isinstance(shape, str):
        _primitive(value, shape, field)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            _refuse(value, "array", field)
        for item in value:
            check(item, shape[0], field)
    else:
        if not isinstance(value, dict):
            _refuse(value, "object", field)
        if "*" not in shape:
            _fold(value, shape)
        for key, item in value.items():
            known = shape.get(key) or shape.get("*")
            if "\0" in key:
                raise InvalidError(f"invalid JSON: a name in {field or 'the body'} has a NUL byte")
            if known is not None:
                check(item, known, f"{field}.{key}" if field else key)


def _fold(value: dict[str, Any], shape: Mapping[str, Shape]) -> None:
    """Spell the field names as the shape does: Go takes any case, and docker-py uses it."""
    for key in [key for key in value if key not in shape]:
        same = [name for name in shape if name.lower() == key.lower()]
        if same and same[0] not in value:
            value[same[0]] = value.pop(key)


def _primitive(value: Any, shape: str, field: str) -> None:
    fits = isinstance(value, _PRIMITIVES[shape])
    if isinstance(value, bool) and shape != "bool":  # Python's bool is an int
        fits = False
    if shape == "int64" and fits and not -1 << 63 <= value < 1 << 63:
        place = f" field {field}" if field else ""
        raise InvalidError(
            f"invalid JSON: cannot unmarshal number {value} into{place} of type int64"
        )
    if not fits:
        _refuse(value, shape, field)
    if isinstance(value, str) and "\0" in value:
        # The kernel's strings end there: in a path or a variable it can mean nothing.
        raise InvalidError(f"invalid JSON: field {field} has a NUL byte")
    if isinstance(value, list):
        check(value, _TEXTS, field)


def _refuse(value: Any, wanted: str, field: str) -> None:
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array"}
    given = names.get(type(value), "object")
    place = f" field {field}" if field else ""
    raise InvalidError(f"invalid JSON: cannot unmarshal {given} into{place} of type {wanted}")
