"""Limits of a container: Docker's HostConfig checked, completed, and as OCI `linux.resources`."""

from __future__ import annotations

import os
import re
import stat

from ..host import cgroups
from ..host.errors import InvalidError
from .types import Json

_LEAST_MEMORY = 6 << 20
_PERIOD = 100_000


def adapt(host_config: Json) -> list[str]:
    """Check the limits in `host_config` and fill in what Docker derives; returns warnings.

    Limits this kernel has no file for are taken out, each with a warning, as Docker does.
    Raises InvalidError with Docker's sentences.
    """
    _check_memory(host_config)
    _check_cpu(host_config)
    weight = _int(host_config, "BlkioWeight")
    if weight and not 10 <= weight <= 1000:
        raise InvalidError("Range of blkio weight is from 10 to 1000")
    warnings = _drop_unknown(host_config)
    memory, swap = _int(host_config, "Memory"), _int(host_config, "MemorySwap")
    if memory > 0 and swap == 0 and has_swap_limit():
        host_config["MemorySwap"] = memory * 2
    if (host_config.get("PidsLimit") or 0) < 0:
        host_config["PidsLimit"] = -1
    return warnings


def _check_memory(host_config: Json) -> None:
    memory, swap = _int(host_config, "Memory"), _int(host_config, "MemorySwap")
    reservation = _int(host_config, "MemoryReservation")
    if memory and memory < _LEAST_MEMORY:
        raise InvalidError("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise InvalidError("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory == 0 and swap > 0:
        raise InvalidError(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    swappiness = host_config.get("MemorySwappiness")
    if swappiness is not None and swappiness != -1 and not 0 <= swappiness <= 100:
        raise InvalidError(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    if 0 < reservation < _LEAST_MEMORY:
        raise InvalidError("Minimum memory reservation allowed is 6MB")
    if 0 < memory < reservation:
        raise InvalidError(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )


def _check_cpu(host_config: Json) -> None:
    nano = _int(host_config, "NanoCpus")
    period, quota = _int(host_config, "CpuPeriod"), _int(host_config, "CpuQuota")
    for key, value in (("Period", period), ("Quota", quota)):
        if nano > 0 and value:
            raise InvalidError(f"Conflicting options: Nano CPUs and CPU {key} cannot both be set.")
    if _int(host_config, "CpuShares") < 0:
        raise InvalidError("shares: invalid argument: CPU shares cannot be negative")
    count = os.cpu_count() or 1
    if nano < 0 or nano > count * 10**9:
        raise InvalidError(
            f"Range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        )
    if period and not 1000 <= period <= 1_000_000:
        raise InvalidError(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < quota < 1000:
        raise InvalidError("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    for key, what in (("CpusetCpus", "CPUs"), ("CpusetMems", "memory nodes")):
        _check_set(str(host_config.get(key) or ""), key, what)


def _check_set(text: str, key: str, what: str) -> None:
    """A cpuset list (cpuset(7)) within what the host has."""
    if not text:
        return
    file = "cpuset.cpus" if key == "CpusetCpus" else "cpuset.mems"
    folder = cgroups.layout().folder("cpuset", "")
    suffix = ".effective" if cgroups.layout().version == 2 else ""
    wanted = parse_set(text)
    if folder is None:
        return
    with open(folder / f"{file}{suffix}", encoding="ascii") as handle:
        available = handle.read().strip()
    if not wanted <= parse_set(available):
        raise InvalidError(
            f"Requested {what} are not available - requested {text}, available: {available}"
        )


def parse_set(text: str) -> set[int]:
    """`0-2,7` as numbers. Raises InvalidError when it is no such list."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,5})(?:-(\d{1,5}))?\s*", part)
        if match is None:
            raise InvalidError(f"Invalid value {text} for cpuset cpus or mems")
        numbers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return numbers


# Limit -> (its file of cgroup v1, and Docker's words for it).
_THROTTLES = {
    "BlkioDeviceReadBps": ("read_bps", "BPS", "read"),
    "BlkioDeviceWriteBps": ("write_bps", "BPS", "write"),
    "BlkioDeviceReadIOps": ("read_iops", "IOPS", "read"),
    "BlkioDeviceWriteIOps": ("write_iops", "IOPS", "write"),
}


def has_swap_limit() -> bool:
    """Whether this kernel limits swap per cgroup."""
    return _has("memory", "memory.memsw.limit_in_bytes", "memory.swap.max")


def _has(controller: str, v1: str, v2: str, bfq: str = "") -> bool:
    """Whether a cgroup of this host has that file, or the one that the scheduler BFQ has."""
    layout = cgroups.layout()
    if layout.version == 2:
        return v2 in cgroups.files_v2() or (bool(bfq) and "io.bfq.weight" in cgroups.files_v2())
    folder = layout.folder(controller, "")
    names = (v1, f"blkio.bfq.{bfq}")
    return folder is not None and any((folder / name).exists() for name in names)


def _drop_unknown(host_config: Json) -> list[str]:
    """Take out the limits that make a runtime fail here because their file is missing."""
    warnings = []
    if _int(host_config, "MemorySwap") > 0 and not has_swap_limit():
        host_config["MemorySwap"] = -1
        warnings.append(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. "
            "Memory limited without swap."
        )
    if host_config.get("BlkioWeight") and not _has("blkio", "blkio.weight", "io.weight", "weight"):
        host_config["BlkioWeight"] = 0
        warnings.append(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. "
            "Weight discarded."
        )
    if host_config.get("BlkioWeightDevice") and not _has(
        "blkio", "blkio.weight_device", "io.weight", "weight_device"
    ):
        host_config["BlkioWeightDevice"] = []
        warnings.append(
            "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. "
            "Weight-device discarded."
        )
    for field, (v1, unit, what) in _THROTTLES.items():
        if host_config.get(field) and not _has("blkio", f"blkio.throttle.{v1}_device", "io.max"):
            host_config[field] = []
            warnings.append(
                f"Your kernel does not support {unit} Block I/O {what} limit or the cgroup is not "
                f"mounted. Block I/O {unit} {what} limit discarded."
            )
    if host_config.get("OomKillDisable") and not _int(host_config, "Memory"):
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, this can result "
            "in the system running out of resources."
        )
    return warnings


def oci(host_config: Json) -> Json:
    """The OCI `linux.resources` of these limits, without `devices`.

    Raises InvalidError for a block device that is none.
    """
    result: Json = {"memory": _memory(host_config), "cpu": _cpu(host_config)}
    result["blockIO"] = _block_io(host_config)
    limit = host_config.get("PidsLimit") or 0
    if limit > 0:
        result["pids"] = {"limit": limit}
    return {key: value for key, value in result.items() if value}


def _memory(host_config: Json) -> Json:
    result: Json = {}
    for key, field in (("limit", "Memory"), ("reservation", "MemoryReservation")):
        if value := _int(host_config, field):
            result[key] = value
    swap = _int(host_config, "MemorySwap")
    # -1 means no limit, and there is none to lift without a memory limit.
    if swap > 0 or (swap < 0 and result.get("limit") and has_swap_limit()):
        result["swap"] = swap
    swappiness = host_config.get("MemorySwappiness")
    v1 = cgroups.layout().version == 1
    if swappiness is not None and swappiness != -1 and v1:
        result["swappiness"] = swappiness
    if host_config.get("OomKillDisable") and v1:
        result["disableOOMKiller"] = True
    return result


def _cpu(host_config: Json) -> Json:
    result: Json = {}
    if nano := _int(host_config, "NanoCpus"):
        result |= {"period": _PERIOD, "quota": nano * _PERIOD // 10**9}
    for key, field in (
        ("shares", "CpuShares"),
        ("period", "CpuPeriod"),
        ("quota", "CpuQuota"),
        ("realtimePeriod", "CpuRealtimePeriod"),
        ("realtimeRuntime", "CpuRealtimeRuntime"),
    ):
        if value := _int(host_config, field):
            result[key] = value
    for key, field in (("cpus", "CpusetCpus"), ("mems", "CpusetMems")):
        if host_config.get(field):
            result[key] = host_config[field]
    return result


def _block_io(host_config: Json) -> Json:
    result: Json = {}
    if weight := _int(host_config, "BlkioWeight"):
        result["weight"] = weight
    devices = host_config.get("BlkioWeightDevice") or ()
    if devices:
        result["weightDevice"] = [
            {**_device(entry["Path"]), "weight": entry["Weight"]} for entry in devices
        ]
    for key, field in (
        ("throttleReadBpsDevice", "BlkioDeviceReadBps"),
        ("throttleWriteBpsDevice", "BlkioDeviceWriteBps"),
        ("throttleReadIOPSDevice", "BlkioDeviceReadIOps"),
        ("throttleWriteIOPSDevice", "BlkioDeviceWriteIOps"),
    ):
        if entries := host_config.get(field):
            result[key] = [{**_device(entry["Path"]), "rate": entry["Rate"]} for entry in entries]
    return result


def _device(path: str) -> Json:
    try:
        found = os.stat(path)
    except OSError as error:
        raise InvalidError(f"no such device: {path}: {error.strerror}") from error
    if not stat.S_ISBLK(found.st_mode):
        raise InvalidError(f"{path} is not a block device")
    return {"major": os.major(found.st_rdev), "minor": os.minor(found.st_rdev)}


def _int(host_config: Json, key: str) -> int:
    return int(host_config.get(key) or 0)
