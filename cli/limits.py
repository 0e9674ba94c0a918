"""Resource limits of a container: CPU, memory, devices, ulimits."""

from __future__ import annotations

from ..host.light import Any
from . import units
from .flags import Parsed, UsageError

Json = dict[str, Any]


def resources(parsed: Parsed) -> Json:
    """The part of HostConfig that limits what a container uses. Raises UsageError."""
    found: Json = {
        "CpuShares": parsed["cpu-shares"],
        "Memory": parsed["memory"],
        "NanoCpus": nano_cpus(parsed["cpus"]),
        "CgroupParent": parsed["cgroup-parent"],
        "BlkioWeight": parsed["blkio-weight"],
        "BlkioWeightDevice": [_weight(text) for text in parsed["blkio-weight-device"]],
        "BlkioDeviceReadBps": _rates(parsed, "device-read-bps", units.parse_size),
        "BlkioDeviceWriteBps": _rates(parsed, "device-write-bps", units.parse_size),
        "BlkioDeviceReadIOps": _rates(parsed, "device-read-iops", units.parse_int),
        "BlkioDeviceWriteIOps": _rates(parsed, "device-write-iops", units.parse_int),
        "CpuPeriod": parsed["cpu-period"],
        "CpuQuota": parsed["cpu-quota"],
        "CpuRealtimePeriod": parsed["cpu-rt-period"],
        "CpuRealtimeRuntime": parsed["cpu-rt-runtime"],
        "CpusetCpus": parsed["cpuset-cpus"],
        "CpusetMems": parsed["cpuset-mems"],
        "Devices": [_device(text) for text in parsed["device"]],
        "DeviceCgroupRules": parsed["device-cgroup-rule"] or None,
        "DeviceRequests": _gpus(parsed["gpus"]),
        "MemoryReservation": parsed["memory-reservation"],
        "MemorySwap": parsed["memory-swap"],
        "OomKillDisable": parsed["oom-kill-disable"],
        "PidsLimit": parsed.chosen("pids-limit"),
        "Ulimits": [parse_ulimit(text) for text in parsed["ulimit"]],
    }
    if parsed["memory-swappiness"] != -1:
        found["MemorySwappiness"] = parsed["memory-swappiness"]
    return found


def nano_cpus(cpus: float) -> int:
    """Billionths of a CPU. Raises UsageError for a negative number."""
    if cpus < 0:
        raise UsageError(f"invalid number of CPUs: {cpus}")
    return round(cpus * 1_000_000_000)


def parse_ulimit(text: str) -> Json:
    """One of HostConfig.Ulimits, of `name=soft[:hard]`. Raises UsageError."""
    name, equals, value = text.partition("=")
    soft, colon, hard = value.partition(":")
    try:
        if not equals or not name:
            raise ValueError
        limits = int(soft), int(hard) if colon else int(soft)
    except ValueError:
        raise UsageError(f"invalid ulimit argument: {text}: write name=soft[:hard]") from None
    if limits[1] != -1 and (limits[0] == -1 or limits[0] > limits[1]):
        raise UsageError(
            f"ulimit soft limit must be less than or equal to hard limit: {limits[0]} > {limits[1]}"
        )
    return {"Name": name, "Soft": limits[0], "Hard": limits[1]}


def _device(text: str) -> Json:
    """One of HostConfig.Devices, of `path[:path in the container][:rwm]`."""
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise UsageError(f"invalid device specification: {text}")
    permissions = "rwm"
    if len(parts) > 1 and not set(parts[-1]) - set("rwm"):
        permissions = parts.pop()
    elif len(parts) == 3:
        raise UsageError(f"invalid device mode: {parts[2]}")
    inside = parts[1] if len(parts) > 1 else parts[0]
    return {"PathOnHost": parts[0], "PathInContainer": inside, "CgroupPermissions": permissions}


def _weight(text: str) -> Json:
    path, _, weight = text.rpartition(":")
    if not path.startswith("/dev/") or not weight.isdigit():
        raise UsageError(f"bad format: {text}: write /dev/…:weight")
    if int(weight) != 0 and not 10 <= int(weight) <= 1000:
        raise UsageError(f"invalid weight for device: {text}: it is 10 to 1000, or 0")
    return {"Path": path, "Weight": int(weight)}


def _rates(parsed: Parsed, name: str, convert: Any) -> list[Json]:
    """The device:rate values of a flag, each rate read by `convert`."""
    found = []
    for text in parsed[name]:
        path, _, rate = text.rpartition(":")
        try:
            number = convert(rate)
        except ValueError:
            number = -1
        if not path.startswith("/dev/") or number < 0:
            raise UsageError(f"invalid rate for device: {text}: write /dev/…:number")
        found.append({"Path": path, "Rate": number})
    return found


def _gpus(text: str) -> list[Json] | None:
    """HostConfig.DeviceRequests of `--gpus all`, a count, or `device=…`."""
    if not text:
        return None
    request: Json = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": [["gpu"]]}
    if text == "all":
        request["Count"] = -1
    elif text.isdigit():
        request["Count"] = int(text)
    elif text.strip('"').startswith("device="):
        request["DeviceIDs"] = text.strip('"').removeprefix("device=").split(",")
    else:
        raise UsageError(f'invalid argument "{text}" for "--gpus" flag: all, a number or device=…')
    return [request]
