"""The OCI configuration of a container: what Docker would give the runtime for the same request."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..host import cgroups
from ..host.errors import BayError, InvalidError
from ..host.inroot import make_folders_inside, make_mount_point
from . import capabilities, mounts, resources, seccomp, shm, specdevices, specprocess
from .types import Container, Json

# Of Docker: what tells about or changes the host.
_TELLING = """acpi asound interrupts kcore keys latency_stats timer_list timer_stats sched_debug
    scsi"""
MASKED = (
    *(f"/proc/{name}" for name in _TELLING.split()),
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY = tuple(f"/proc/{name}" for name in ("bus", "fs", "irq", "sys", "sysrq-trigger"))
# Binds that the engine writes in the bundle, and where they show.
ETC_FILES = {"/etc/resolv.conf": "resolv.conf", "/etc/hostname": "hostname", "/etc/hosts": "hosts"}
# Mounts that the runtime makes before the user's.
_MADE_UP = ("/proc", "/sys", "/dev")
_INITS = ("/usr/bin/docker-init", "/usr/libexec/docker/docker-init", "/usr/bin/tini-static")


@dataclass(frozen=True)
class SpecRequest:
    """What `build` makes a configuration of.

    `netns` is the path of the network namespace, None for the host's; `pid_ns` and `ipc_ns` those
    of the container whose they are (`container:ID` modes), None for its own or the host's as
    HostConfig says. `mounts` are OCI mounts beside the container's own; `bound` see `mounts.oci`.
    `shm` is a tmpfs on the host that becomes /dev/shm: for the IpcModes `shareable` and
    `container:ID`, which share it. `host_caps` see `capabilities.available`.
    """

    container: Container
    image_config: Json
    rootfs: Path
    netns: str | None
    cgroup_path: str
    mounts: list[Json] = field(default_factory=list)
    shm: Path | None = None
    bound: Mapping[str, str] = field(default_factory=dict)
    pid_ns: str | None = None
    ipc_ns: str | None = None
    host_caps: frozenset[str] = field(default_factory=capabilities.available)


def build(request: SpecRequest) -> Json:
    """The OCI `config.json`; in the rootfs the working folder and mount points that lack; blocks.

    Raises InvalidError with Docker's sentence for what the HostConfig or the rootfs does not
    allow. Runtime specification 1.0.2.
    """
    container, host_config = request.container, request.container.host_config
    process = specprocess.process(container, request.rootfs, request.host_caps)
    make_workdir(request.rootfs, process["cwd"])
    user = mounts.oci(container, request.bound)
    if host_config.get("Init") and specprocess.INIT_PATH not in _targets(user):
        user.append(_bind(_init(), specprocess.INIT_PATH, "ro"))
    _make_mount_points(request.rootfs, user)
    privileged = bool(host_config.get("Privileged"))
    result: Json = {
        "ociVersion": "1.0.2",
        "process": process,
        "root": {
            "path": str(request.rootfs),
            "readonly": bool(host_config.get("ReadonlyRootfs")),
        },
        "mounts": _mounts(request, privileged, user),
        "linux": _linux(request, privileged, process["capabilities"]["bounding"]),
    }
    if host_config.get("UTSMode") != "host":
        result["hostname"] = container.config.get("Hostname") or container.id[:12]
        if container.config.get("Domainname"):
            result["linux"]["sysctl"]["kernel.domainname"] = container.config["Domainname"]
    if annotations := host_config.get("Annotations"):
        result["annotations"] = dict(annotations)
    return result


def make_workdir(rootfs: Path, path: str) -> None:
    """Make the working folder of a container's processes, if it is missing; blocks.

    Raises InvalidError when it cannot be one.
    """
    specprocess.check_workdir(path)
    try:
        make_folders_inside(rootfs, path)
    except NotADirectoryError as error:
        raise InvalidError(f"Cannot mkdir: {path} is not a directory") from error


def _make_mount_points(rootfs: Path, wanted: list[Json]) -> None:
    """Make what the user's mounts lie upon as Docker's runtime would; they stay in the writable
    layer, where a diff, a commit and an export show them. What cannot be made the runtime tells.
    """
    # Below these it is made inside of another mount, by the runtime.
    above = [f"{place}/" for place in (*(mount["destination"] for mount in wanted), *_MADE_UP)]
    for mount in wanted:
        target, source = mount["destination"], mount["source"]
        is_bind = mount["type"] == "bind"
        if target.startswith(tuple(above)) or (is_bind and not os.path.exists(source)):
            continue
        with contextlib.suppress(OSError):
            folder = not is_bind or os.path.isdir(source)
            os.close(make_mount_point(rootfs, target, folder=folder))


def _linux(request: SpecRequest, privileged: bool, caps: Collection[str]) -> Json:
    host_config = request.container.host_config
    security: list[str] = host_config.get("SecurityOpt") or []
    nodes, rules = specdevices.devices(host_config)
    result: Json = {
        "namespaces": _namespaces(request),
        "cgroupsPath": "/" + request.cgroup_path.strip("/"),
        "resources": {**resources.oci(host_config), "devices": rules},
        "devices": nodes,
        "sysctl": _sysctls(request),
        "maskedPaths": _paths(host_config, "MaskedPaths", MASKED, privileged, security),
        "readonlyPaths": _paths(host_config, "ReadonlyPaths", READONLY, privileged, security),
    }
    if profile := seccomp.choose(security, caps, privileged):
        result["seccomp"] = profile
    taken = {point.get("Destination") for point in request.container.mounts}
    if not privileged and cgroups.layout().version == 1 and "/sys/fs/cgroup" not in taken:
        # There crun leaves the tmpfs that holds v1's hierarchies writable, for everyone.
        result["readonlyPaths"].append("/sys/fs/cgroup")
    # Mounts of the host below a bind that is `shared` or `slave` reach in only if the rootfs
    # itself is not private.
    modes = {point.get("Propagation") for point in request.container.mounts}
    if modes & {"shared", "rshared"}:
        result["rootfsPropagation"] = "shared"
    elif modes & {"slave", "rslave"}:
        result["rootfsPropagation"] = "slave"
    return result


def _paths(
    host_config: Json, key: str, default: Collection[str], privileged: bool, security: list[str]
) -> list[str]:
    given = host_config.get(key)
    if privileged or "systempaths=unconfined" in security:
        return []
    return list(default if given is None else given)


def _namespaces(request: SpecRequest) -> list[Json]:
    host_config = request.container.host_config
    result: list[Json] = [{"type": "mount"}]
    if request.netns is not None:
        result.append({"type": "network", "path": request.netns})
    for kind, key, path in (
        ("pid", "PidMode", request.pid_ns),
        ("ipc", "IpcMode", request.ipc_ns),
        ("uts", "UTSMode", None),
    ):
        if path:
            result.append({"type": kind, "path": path})
        elif host_config.get(key) != "host":
            result.append({"type": kind})
    # Docker's default: the host's with v1, its own with v2.
    default = "private" if cgroups.layout().version == 2 else "host"
    if (host_config.get("CgroupnsMode") or default) == "private":
        result.append({"type": "cgroup"})
    return result


def _sysctls(request: SpecRequest) -> dict[str, str]:
    """Sysctls asked for, and Docker's two that let any user bind low ports and ping."""
    host_config = request.container.host_config
    given: dict[str, str] = host_config.get("Sysctls") or {}
    own_net = request.netns is not None
    for name in given:
        if name.startswith("net.") and not own_net:
            raise InvalidError(
                f"invalid sysctl: '{name}' is not allowed with the host's network namespace"
            )
    result: dict[str, str] = {}
    if own_net and not str(host_config.get("NetworkMode")).startswith("container:"):
        result["net.ipv4.ip_unprivileged_port_start"] = "0"
        result["net.ipv4.ping_group_range"] = "0 2147483647"
    return result | given


def _targets(found: list[Json]) -> set[str]:
    return {mount["destination"] for mount in found}


def _mounts(request: SpecRequest, privileged: bool, user: list[Json]) -> list[Json]:
    """The system's mounts, the engine's files, then the user's, which replace them.

    A user's mount on /dev takes the ones below it away too, as in Docker.
    """
    container = request.container
    system = _system_mounts(container, privileged, request.shm)
    etc = [
        _bind(str(container.bundle / name), target)
        for target, name in ETC_FILES.items()
        if (container.bundle / name).exists()
    ]
    taken = _targets(user)

    def replaced(target: str) -> bool:
        return target in taken or ("/dev" in taken and target.startswith("/dev/"))

    return [
        mount for mount in [*system, *etc, *request.mounts] if not replaced(mount["destination"])
    ] + user


def _bind(source: str, target: str, mode: str = "rw") -> Json:
    return {
        "destination": target,
        "type": "bind",
        "source": source,
        "options": ["rbind", mode, "rprivate"],
    }


def _init() -> str:
    for path in _INITS:
        if os.access(path, os.X_OK):
            return os.path.realpath(path)
    raise BayError("no init for --init on this host: install tini (its static binary)")


def _system_mounts(container: Container, privileged: bool, shared: Path | None) -> list[Json]:
    host_config = container.host_config
    read = [] if privileged else ["ro"]
    safe = ["nosuid", "noexec", "nodev"]
    result = [
        _special("/proc", "proc", "proc", safe),
        _special("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _special("/dev/pts", "devpts", "devpts", _PTS),
        _special("/sys", "sysfs", "sysfs", [*safe, *read]),
        _special("/sys/fs/cgroup", "cgroup", "cgroup", [*safe, *read]),
        _special("/dev/mqueue", "mqueue", "mqueue", safe),
    ]
    ipc = str(host_config.get("IpcMode") or "")
    if ipc == "host":
        result.append(_bind("/dev/shm", "/dev/shm"))
    elif shared is not None:
        result.append(_bind(str(shared), "/dev/shm"))
    elif ipc != "none":
        size = host_config.get("ShmSize") or shm.DEFAULT_SIZE
        result.append(_special("/dev/shm", "tmpfs", "shm", [*safe, "mode=1777", f"size={size}"]))
    return result


_PTS = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]


def _special(target: str, kind: str, source: str, options: list[str]) -> Json:
    return {"destination": target, "type": kind, "source": source, "options": options}
