"""A container's figures in the form of Docker's stats object."""

from __future__ import annotations

import os

from ..host import cgroups, clock
from . import samples
from .blockio import Counters
from .samples import Sample
from .types import Container, Json

_NO_CPU: Json = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}


def nothing(container: Container) -> Json:
    """Of a container that is down."""
    return {
        **_head(container),
        "read": clock.ZERO,
        "preread": clock.ZERO,
        "pids_stats": {},
        "cpu_stats": _NO_CPU,
        "precpu_stats": _NO_CPU,
        "memory_stats": {},
        "blkio_stats": _blkio([], None, []),
        "storage_stats": {},
    }


def figures(
    container: Container,
    last: Sample,
    before: Sample | None,
    block: tuple[list[Json], list[Json]],
) -> Json:
    """Of `last`, with the CPU time of the sample before it, if there is one.

    `block` is `blockio.told_of_v1`, which no sample has.
    """
    none: list[Json] | None = [] if cgroups.layout().version == 1 else None
    moved, operations = block
    result = {
        **_head(container),
        "read": clock.from_ns(last.time),
        "preread": clock.from_ns(before.time) if before else clock.ZERO,
        "pids_stats": _without_zero({"current": last.pids, "limit": last.pids_limit}),
        "blkio_stats": _blkio(moved or _block(last.block), none, operations),
        "storage_stats": {},
        "cpu_stats": _cpu(last),
        "precpu_stats": _cpu(before) if before else _NO_CPU,
        "memory_stats": _memory(last),
    }
    if last.network:
        result["networks"] = last.network
    return result


def _head(container: Container) -> Json:
    return {"name": f"/{container.name}", "id": container.id, "num_procs": 0}


def _cpu(sample: Sample) -> Json:
    periods, throttled, throttled_time = sample.throttling
    usage: Json = {"total_usage": sample.cpu}
    if sample.percpu:
        usage["percpu_usage"] = list(map(int, sample.percpu.split()))
    usage |= {
        "usage_in_kernelmode": sample.cpu_kernel,
        "usage_in_usermode": sample.cpu_user,
    }
    return {
        "cpu_usage": usage,
        "system_cpu_usage": sample.system_cpu,
        "online_cpus": len(os.sched_getaffinity(0)),
        "throttling_data": {
            "periods": periods,
            "throttled_periods": throttled,
            "throttled_time": throttled_time,
        },
    }


def _memory(sample: Sample) -> Json:
    stats = {}
    for line in sample.memory_stat.splitlines():
        key, _, value = line.partition(b" ")
        if value.isdigit():
            stats[key.decode()] = int(value)
    result: Json = {
        "usage": sample.memory_raw,
        "stats": stats,
        "limit": sample.memory_limit or samples.host_memory(),
    }
    if cgroups.layout().version == 1:
        result["max_usage"] = sample.memory_peak
    return result


def _block(counters: Counters) -> list[Json]:
    return [
        {"major": major, "minor": minor, "op": operation, "value": value}
        for (major, minor, operation), value in sorted(counters.items())
    ]


def _blkio(moved: list[Json], none: list[Json] | None, operations: list[Json]) -> Json:
    """`none` is what Docker has for nothing: `[]` on cgroup v1, null elsewhere."""
    names = ("io_queue", "io_service_time", "io_wait_time", "io_merged", "io_time", "sectors")
    return {
        "io_service_bytes_recursive": moved or none,
        "io_serviced_recursive": operations or none,
        **{f"{name}_recursive": none for name in names},
    }


def _without_zero(values: dict[str, int]) -> dict[str, int]:
    return {key: value for key, value in values.items() if value}
