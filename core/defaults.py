"""Docker's defaults: what a create request leaves out, and what the image fills in."""

from __future__ import annotations

import copy
from typing import Any

from ..host import cgroups
from ..host.errors import InvalidError
from .types import Json

_CONFIG: Json = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": [],
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": {},
}
_HOST: Json = {
    "Binds": None,
    "ContainerIDFile": "",
    "LogConfig": {"Type": "json-file", "Config": {}},
    "NetworkMode": "bridge",
    "PortBindings": None,
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    "AutoRemove": False,
    "VolumeDriver": "",
    "VolumesFrom": None,
    "ConsoleSize": [0, 0],
    "CapAdd": None,
    "CapDrop": None,
    "CgroupnsMode": "",
    "Dns": None,
    "DnsOptions": None,
    "DnsSearch": None,
    "ExtraHosts": None,
    "GroupAdd": None,
    "IpcMode": "private",
    "Cgroup": "",
    "Links": None,
    "OomScoreAdj": 0,
    "PidMode": "",
    "Privileged": False,
    "PublishAllPorts": False,
    "ReadonlyRootfs": False,
    "SecurityOpt": None,
    "UTSMode": "",
    "UsernsMode": "",
    "ShmSize": 67108864,
    "Runtime": "",
    "Isolation": "",
    "CpuShares": 0,
    "Memory": 0,
    "NanoCpus": 0,
    "CgroupParent": "",
    "BlkioWeight": 0,
    "BlkioWeightDevice": None,
    "BlkioDeviceReadBps": None,
    "BlkioDeviceWriteBps": None,
    "BlkioDeviceReadIOps": None,
    "BlkioDeviceWriteIOps": None,
    "CpuPeriod": 0,
    "CpuQuota": 0,
    "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0,
    "CpusetCpus": "",
    "CpusetMems": "",
    "Devices": None,
    "DeviceCgroupRules": None,
    "DeviceRequests": None,
    "MemoryReservation": 0,
    "MemorySwap": 0,
    "MemorySwappiness": None,
    "OomKillDisable": None,
    "PidsLimit": None,
    "Ulimits": None,
    "CpuCount": 0,
    "CpuPercent": 0,
    "IOMaximumIOps": 0,
    "IOMaximumBandwidth": 0,
}
_MASKED = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
]
_READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def config(given: Json, image: Json, image_ref: str) -> Json:
    """Docker's `Config`: what was `given`, completed from the image's OCI config.

    Raises InvalidError when there is nothing to run.
    """
    base: Json = image.get("config") or {}
    result = copy.deepcopy(_CONFIG)
    result.update({key: value for key, value in given.items() if value is not None})
    result["Image"] = image_ref
    entrypoint = _words(given.get("Entrypoint"), "Entrypoint")
    command = _words(given.get("Cmd"), "Cmd")
    if not entrypoint and not (entrypoint == [] and given.get("Entrypoint") is not None):
        # An entrypoint of one's own drops the image's command, as Docker has it.
        if not command:
            command = _words(base.get("Cmd"), "Cmd")
        entrypoint = _words(base.get("Entrypoint"), "Entrypoint")
    if entrypoint == [""]:
        entrypoint = []
    result["Entrypoint"] = entrypoint or None
    result["Cmd"] = command or None
    if not entrypoint and not command:
        raise InvalidError(
            f"no command specified: image {image_ref} has none, name one to run after it"
        )
    result["Env"] = merge_env(base.get("Env") or [], given.get("Env") or []) or given.get("Env")
    for key in ("User", "WorkingDir", "StopSignal"):
        value = given.get(key) or base.get(key) or ""
        if value or key != "StopSignal":
            result[key] = value
    result["Labels"] = {**(base.get("Labels") or {}), **(given.get("Labels") or {})}
    for key in ("ExposedPorts", "Volumes"):
        both = {**(base.get(key) or {}), **(given.get(key) or {})}
        if both:
            result[key] = both
        elif key == "Volumes":
            result[key] = None
    health = merge_health(base.get("Healthcheck"), given.get("Healthcheck"))
    if health:
        result["Healthcheck"] = health
    return result


def host_config(given: Json) -> Json:
    """Docker's `HostConfig` with every default. Raises InvalidError for what cannot be meant."""
    result = copy.deepcopy(_HOST)
    result.update({key: value for key, value in given.items() if value is not None})
    if result["NetworkMode"] in ("", "default"):
        result["NetworkMode"] = "bridge"
    result["IpcMode"] = result["IpcMode"] or "private"
    # Docker's default: its own with v2, where the whole tree is otherwise in view.
    own = "private" if cgroups.layout().version == 2 else "host"
    result["CgroupnsMode"] = result["CgroupnsMode"] or own
    result["ShmSize"] = result["ShmSize"] or 67108864
    policy = result["RestartPolicy"]
    policy["Name"] = policy.get("Name") or "no"
    policy.setdefault("MaximumRetryCount", 0)
    _check_policy(policy, bool(result["AutoRemove"]))
    log = result["LogConfig"]
    log["Type"] = log.get("Type") or "json-file"
    log["Config"] = log.get("Config") or {}
    if log["Type"] not in ("json-file", "local", "none", "k8s-file"):
        name = log["Type"]
        raise InvalidError(f'error looking up logging plugin {name}: plugin "{name}" not found')
    if not result["Privileged"]:
        result.setdefault("MaskedPaths", list(_MASKED))
        result.setdefault("ReadonlyPaths", list(_READONLY))
    else:
        result["MaskedPaths"] = result["ReadonlyPaths"] = None
    if result["PidsLimit"] is not None and result["PidsLimit"] <= 0:
        result["PidsLimit"] = None
    if result["MemorySwappiness"] == -1:  # the docker command's word for "not given"
        result["MemorySwappiness"] = None
    if result["SecurityOpt"] is None and _unlabelled(result):
        result["SecurityOpt"] = ["label=disable"]
    if result["PortBindings"]:
        result["PortBindings"] = {
            key: bindings and [{"HostIp": "", "HostPort": "", **one} for one in bindings]
            for key, bindings in result["PortBindings"].items()
        }
    if result["OomKillDisable"] is None and cgroups.layout().version == 1:
        result["OomKillDisable"] = False  # null says that the host cannot do it
    _check_limits(result)
    return result


def _unlabelled(host: Json) -> bool:
    """Whether Docker takes SELinux labels off: of what shares the host's processes or memory."""
    return bool(host["Privileged"]) or "host" in (host["PidMode"], host["IpcMode"])


def merge_env(base: list[str], own: list[str]) -> list[str]:
    """The container's variables as given, then the image's that it does not name (moby, Merge).

    A bare `NAME` stays: it keeps the image's variable, and the process's, out.
    """
    for item in own:
        if not item.partition("=")[0]:
            raise InvalidError(f"invalid environment variable: {item}")
    names = {item.partition("=")[0] for item in own}
    return [*own, *(item for item in base if item.partition("=")[0] not in names)]


def merge_health(base: Json | None, own: Json | None) -> Json | None:
    """The image's health check with the container's fields over it."""
    if not own:
        return base
    result = dict(base or {})
    result.update({key: value for key, value in own.items() if value})
    return result


def _words(value: Any, name: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise InvalidError(f"{name} must be a list of strings")
    return list(value)


def _check_policy(policy: Json, auto_remove: bool) -> None:
    name, tries = policy["Name"], policy["MaximumRetryCount"]
    if name not in ("no", "always", "unless-stopped", "on-failure"):
        raise InvalidError(
            f"invalid restart policy: unknown policy '{name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if name != "on-failure" and tries:
        raise InvalidError(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        )
    if tries < 0:
        raise InvalidError("invalid restart policy: maximum retry count cannot be negative")
    if auto_remove and name != "no":
        raise InvalidError("can't create 'AutoRemove' container with restart policy")


def _check_limits(host: Json) -> None:
    memory, swap = host["Memory"], host["MemorySwap"]
    if 0 < memory < 6 * 1024 * 1024:
        raise InvalidError("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise InvalidError("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory == 0 and swap > 0:
        raise InvalidError(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    if host["NanoCpus"] and (host["CpuPeriod"] or host["CpuQuota"]):
        raise InvalidError("Conflicting options: Nano CPUs and CPU Period/Quota cannot both be set")
