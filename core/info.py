"""What `docker info` and `docker version` show: this engine, on this host."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import socket
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ..host import clock, files, kernel, process
from ..host.threads import offload, offload_long
from . import resources
from .types import Json

if TYPE_CHECKING:
    from .engine import Engine

API_VERSION = "1.51"
OLDEST_API_VERSION = "1.24"
# Go's names for the machines Docker knows.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def architecture() -> str:
    """This machine's architecture in Go's words, as images name it."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def bayplan_version() -> str:
    """The installed version of Bayplan."""
    return metadata.version("bayplan")


async def info(engine: Engine) -> Json:
    """Docker's `SystemInfo`."""
    host = await offload(_host, engine.options.root)
    await engine.networks.look_again()
    states = Counter(container.state.status for container in engine.containers.all())
    images = await offload(engine.store.images.all)
    runtime = engine.runtime
    running = states["running"] + states["restarting"]
    return {
        "ID": _identity(engine.options.root),
        "Containers": sum(states.values()),
        "ContainersRunning": running,
        "ContainersPaused": states["paused"],
        "ContainersStopped": sum(states.values()) - running - states["paused"],
        "Images": len(images),
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "ipvlan", "macvlan", "null"],
            "Authorization": None,
            "Log": ["json-file", "local"],
        },
        "SystemTime": clock.now(),
        "Debug": engine.options.debug,
        "NFd": len(os.listdir("/proc/self/fd")),
        "NEventsListener": engine.events.listeners,
        "DefaultRuntime": runtime.name,
        "Runtimes": {runtime.name: {"path": runtime.path}},
        "ServerVersion": bayplan_version(),
        "ContainerdCommit": _commit(""),
        "RuncCommit": _commit(runtime.version),
        "InitCommit": _commit(""),
        **host,
        "Warnings": [*host["Warnings"], *(f"WARNING: {text}" for text in engine.networks.warnings)]
        or None,
    }


def _host(root: Path) -> Json:
    """The part of `info` that the host alone decides; reads /proc and /sys."""
    layout = kernel.cgroup_layout()
    memory = "memory" in layout.controllers
    cpu = "cpu" in layout.controllers
    uname = os.uname()
    return {
        "Driver": "overlay2",
        "DriverStatus": [
            ["Backing Filesystem", kernel.filesystem_of(root) or "unknown"],
            ["Supports d_type", "true"],
            ["Native Overlay Diff", "true"],
        ],
        "MemoryLimit": memory,
        "SwapLimit": resources.has_swap_limit(),
        "CpuCfsPeriod": cpu,
        "CpuCfsQuota": cpu,
        "CPUShares": cpu,
        "CPUSet": "cpuset" in layout.controllers,
        "PidsLimit": "pids" in layout.controllers,
        "OomKillDisable": layout.kind != "v2" and memory,
        "IPv4Forwarding": files.read_text("/proc/sys/net/ipv4/ip_forward", "0").strip() == "1",
        "BridgeNfIptables": _is_set("/proc/sys/net/bridge/bridge-nf-call-iptables"),
        "BridgeNfIp6tables": _is_set("/proc/sys/net/bridge/bridge-nf-call-ip6tables"),
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "2" if layout.kind == "v2" else "1",
        "LoggingDriver": "json-file",
        "KernelVersion": uname.release,
        "OperatingSystem": _os_release().get("PRETTY_NAME", "Linux"),
        "OSVersion": _os_release().get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": uname.machine,
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {
            "AllowNondistributableArtifactsCIDRs": None,
            "AllowNondistributableArtifactsHostnames": None,
            "InsecureRegistryCIDRs": ["127.0.0.0/8"],
            "IndexConfigs": {},
            "Mirrors": None,
        },
        "GenericResources": None,
        "DockerRootDir": str(root),
        "HttpProxy": os.environ.get("HTTP_PROXY", ""),
        "HttpsProxy": os.environ.get("HTTPS_PROXY", ""),
        "NoProxy": os.environ.get("NO_PROXY", ""),
        "Name": socket.gethostname(),
        "Labels": [],
        "ExperimentalBuild": False,
        "Swarm": _NO_SWARM,
        "LiveRestoreEnabled": True,  # containers outlive the engine, always
        "Isolation": "",
        "InitBinary": "",
        "SecurityOptions": ["name=seccomp,profile=builtin"],
        "CDISpecDirs": [],
        "DiscoveredDevices": [],
        "FirewallBackend": {"Driver": "nftables"},
        "Warnings": _warnings(memory, cpu),
    }


_NO_SWARM: Json = {
    "NodeID": "",
    "NodeAddr": "",
    "LocalNodeState": "inactive",
    "ControlAvailable": False,
    "Error": "",
    "RemoteManagers": None,
}


def _commit(text: str) -> Json:
    return {"ID": text, "Expected": text}


def _identity(root: Path) -> str:
    """A name for this engine that stays: of the machine and the root."""
    machine = files.read_text("/etc/machine-id", socket.gethostname()).strip()
    digest = hashlib.sha256(f"{machine}:{root}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def _is_set(path: str) -> bool:
    return files.read_text(path, "0").strip() == "1"


def _warnings(memory: bool, cpu: bool) -> list[str]:
    found = []
    if not memory:
        found.append("WARNING: No memory limit support")
    if not cpu:
        found.append("WARNING: No cpu cfs quota support")
    if files.read_text("/proc/sys/net/ipv4/ip_forward", "0").strip() != "1":
        found.append("WARNING: IPv4 forwarding is disabled")
    return found


@functools.cache
def _os_release() -> dict[str, str]:
    return platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}


@functools.cache
def _conmon_version(path: str) -> str:
    first = process.run([path, "--version"], timeout=30).stdout.partition("\n")[0]
    return first.rpartition(" ")[2]


async def version(engine: Engine) -> Json:
    """Docker's `SystemVersion`."""
    runtime, uname = engine.runtime, os.uname()
    built = clock.from_ns(os.stat(__file__).st_mtime_ns)
    details = {
        "ApiVersion": API_VERSION,
        "MinAPIVersion": OLDEST_API_VERSION,
        "Arch": architecture(),
        "BuildTime": built,
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": "",
        "KernelVersion": uname.release,
        "Os": "linux",
        "PythonVersion": platform.python_version(),
    }
    conmon = await offload(_conmon_version, runtime.conmon)
    return {
        "Platform": {"Name": "Bayplan"},
        "Components": [
            {"Name": "Engine", "Version": bayplan_version(), "Details": details},
            {"Name": runtime.name, "Version": runtime.version, "Details": {"Path": runtime.path}},
            {"Name": "conmon", "Version": conmon, "Details": {"Path": runtime.conmon}},
        ],
        "Version": bayplan_version(),
        "ApiVersion": API_VERSION,
        "MinAPIVersion": OLDEST_API_VERSION,
        "GitCommit": "",
        "GoVersion": "",
        "Os": "linux",
        "Arch": architecture(),
        "KernelVersion": uname.release,
        "BuildTime": built,
    }


async def layers_size(engine: Engine) -> int:
    """Bytes of all unpacked layers, each counted once however many images share it."""

    def measure() -> int:
        used = {diff_id for image in engine.store.images.all() for diff_id in image.diff_ids}
        return sum(engine.store.layers.info(diff_id).size for diff_id in used)

    return await offload_long(measure)
