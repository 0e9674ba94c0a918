"""`docker update`: new limits and a new restart policy for a container, running or not."""

from __future__ import annotations

import copy

from ..host.errors import ConflictError, InvalidError
from ..host.threads import offload
from . import defaults, resources
from .context import Context
from .types import Container, Json

_LIMITS = (
    "CpuShares",
    "Memory",
    "CgroupParent",
    "BlkioWeight",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpusetCpus",
    "CpusetMems",
    "MemoryReservation",
    "MemorySwap",
    "NanoCpus",
    "PidsLimit",
)


async def update(context: Context, container: Container, wanted: Json) -> Json:
    """Apply Docker's update request; `{"Warnings": …}`. Nothing changes when a value is refused.

    Raises InvalidError for what cannot be meant, ConflictError for memory above the limit of memory
    and swap, RuntimeFailedError when the kernel refuses.
    """
    if wanted.get("NanoCpus") and (wanted.get("CpuQuota") or wanted.get("CpuPeriod")):
        what = "Quota" if wanted.get("CpuQuota") else "Period"
        raise InvalidError(f"Conflicting options: Nano CPUs and CPU {what} cannot both be set")
    limit = container.host_config["MemorySwap"]
    if 0 < limit < (wanted.get("Memory") or 0) and not wanted.get("MemorySwap"):
        raise ConflictError(
            f"Cannot update container {container.id}: Memory limit should be smaller than already "
            "set memoryswap limit, update the memoryswap at the same time"
        )
    new = copy.deepcopy(container.host_config)
    for key in _LIMITS:
        if wanted.get(key):
            new[key] = wanted[key]
    if wanted.get("PidsLimit") is not None:
        new["PidsLimit"] = wanted["PidsLimit"]
    if wanted.get("NanoCpus"):
        new["CpuPeriod"] = new["CpuQuota"] = 0
    elif wanted.get("CpuQuota") or wanted.get("CpuPeriod"):
        new["NanoCpus"] = 0
    policy = wanted.get("RestartPolicy") or {}
    if policy.get("Name"):
        new["RestartPolicy"] = {
            "Name": policy["Name"],
            "MaximumRetryCount": policy.get("MaximumRetryCount", 0),
        }
    new = defaults.host_config(new)
    warnings = await offload(resources.adapt, new)
    limits = await offload(resources.oci, new)
    if "PidsLimit" in wanted and not new["PidsLimit"]:
        limits["pids"] = {"limit": -1}
    async with context.live(container).lock:
        if container.state.running:
            await context.runtime.update(container.id, limits)
        container.host_config = new
        await context.roster.save(container)
    context.emit(container, "update")
    return {"Warnings": warnings or None}
