"""What `bay doctor` says: whether this host has what containers need, and how to get the rest.

Reads files and asks programs for their version; makes, loads and changes nothing.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import kernel, process

# The keys of Finding.fix. Derivatives are mapped to them by ID_LIKE (os-release(5)).
DISTRIBUTIONS = ("debian", "fedora", "alpine", "arch")
_LIKE = {"ubuntu": "debian", "rhel": "fedora", "centos": "fedora", "manjaro": "arch"}

# Without these a container has no limits; the names differ between v1 and v2.
_CONTROLLERS_V1 = {"cpu", "cpuacct", "memory", "pids", "devices", "freezer"}
_CONTROLLERS_V2 = {"cpu", "memory", "pids"}
_OPTIONAL_CAPABILITIES = {"SYS_RESOURCE"}
# overlayfs(5): an upper layer can't lie on these.
_NO_UPPER = {"overlay", "nfs", "nfs4", "cifs", "vfat", "exfat", "fuse", "squashfs", "iso9660"}


@dataclass(frozen=True)
class Finding:
    """One fact about this host.

    `name` is what was looked for, `found` what is there, `why` what it is needed for. `ok` False
    means something will not work. `fix` maps a distribution (see `DISTRIBUTIONS`) to the command
    that cures it; empty when none does.
    """

    name: str
    ok: bool
    found: str
    why: str
    fix: dict[str, str] = field(default_factory=dict)

    def command(self, distribution: str) -> str:
        """The cure for `distribution`; empty when it is not known."""
        return self.fix.get(distribution, "")


def distribution(top: Path = Path("/")) -> str:
    """Which of `DISTRIBUTIONS` this host is or is like; empty when none."""
    values: dict[str, str] = {}
    try:
        lines = (top / "etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition("=")
        values[key] = value.strip("\"'")
    for word in (values.get("ID", ""), *values.get("ID_LIKE", "").split()):
        name = _LIKE.get(word, word)
        if name in DISTRIBUTIONS:
            return name
    return ""


def _packages(
    debian: str, fedora: str | None = None, alpine: str | None = None, arch: str | None = None
) -> dict[str, str]:
    """Install commands; a name that is not given is Debian's."""
    return {
        "debian": f"apt-get install {debian}",
        "fedora": f"dnf install {fedora or debian}",
        "alpine": f"apk add {alpine or debian}",
        "arch": f"pacman -S {arch or debian}",
    }


def _everywhere(command: str) -> dict[str, str]:
    return dict.fromkeys(DISTRIBUTIONS, command)


def find_program(name: str) -> str | None:
    """The path of a program, looked for in the system's folders too; None when there is none."""
    return shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + process.PATH)


def _version_of(path: str) -> str:
    """First line of `path --version`; empty when it does not run."""
    done = process.run([path, "--version"], timeout=30)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0].strip() if done.code == 0 and lines else ""


def _program(name: str, why: str, fix: dict[str, str]) -> Finding:
    path = find_program(name)
    if path is None:
        return Finding(name, False, "not installed", why, fix)
    told = _version_of(path)
    if not told:
        return Finding(name, False, f"{path} does not run", why, fix)
    return Finding(name, True, f"{told.removeprefix(f'{name} version ')} ({path})", why)


def runtime() -> Finding:
    """crun or runc: one of them is enough."""
    why = "sets up namespaces and cgroups and starts the container's process"
    found = [_program(name, why, {}) for name in ("crun", "runc")]
    working = [f"{one.name} {one.found}" for one in found if one.ok]
    if working:
        return Finding("OCI runtime", True, ", ".join(working), why)
    told = "; ".join(f"{one.name}: {one.found}" for one in found)
    return Finding("OCI runtime", False, told, why, _packages("crun"))


def conmon() -> Finding:
    """conmon, the holder of each container."""
    why = "keeps a container's output, log and exit code, whatever happens to the engine"
    return _program("conmon", why, _packages("conmon"))


def busybox() -> Finding:
    """The static busybox that the starter image is made of."""
    why = "the starter image, a first container without any registry, is made of it"
    for name in ("busybox", "busybox.static"):
        path = find_program(name)
        if path is not None:
            return Finding("busybox", True, path, why)
    fix = _packages("busybox-static", "busybox", "busybox-static", "busybox")
    return Finding("busybox", False, "not installed", why, fix)


def ps() -> Finding:
    """The program that lists a container's processes."""
    path = find_program("ps")
    why = "lists a container's processes (`bay top`)"
    if path is None:
        fix = _packages("procps", "procps-ng", "procps", "procps-ng")
        return Finding("ps", False, "not installed", why, fix)
    return Finding("ps", True, path, why)


def libnftables() -> Finding:
    """The library through which the firewall's maps are written."""
    why = "publishes ports and lets containers reach the network"
    try:
        ctypes.CDLL("libnftables.so.1")
    except OSError:
        fix = _packages("libnftables1", "nftables", "nftables", "nftables")
        return Finding("libnftables", False, "not installed", why, fix)
    return Finding("libnftables", True, "libnftables.so.1", why)


def privileges(top: Path = Path("/")) -> Finding:
    """root and its capabilities, for the engine."""
    why = "the engine mounts, makes network namespaces and starts processes as other users"
    if os.geteuid() != 0:
        told = f"user {os.geteuid()}; the engine needs root, clients its socket only"
        return Finding("privileges", False, told, why, _everywhere("sudo bay"))
    missing = kernel.missing_capabilities(top)
    needed = [name for name in missing if name not in _OPTIONAL_CAPABILITIES]
    if needed:
        told = "root without " + ", ".join(f"CAP_{name}" for name in needed)
        return Finding("privileges", False, told, why)
    if missing:
        told = "root without CAP_SYS_RESOURCE: hard limits (ulimit) cannot be raised"
        return Finding("privileges", True, told, why)
    return Finding("privileges", True, "root", why)


def cgroups(top: Path = Path("/")) -> Finding:
    """The cgroup layout and its controllers."""
    why = "limits and measures memory, processor time and processes"
    layout = kernel.cgroup_layout(top)
    if layout.kind == "none":
        fix = _everywhere("mount -t cgroup2 none /sys/fs/cgroup")
        fix["alpine"] = "rc-service cgroups start"
        return Finding("cgroups", False, "not mounted", why, fix)
    wanted = _CONTROLLERS_V2 if layout.kind == "v2" else _CONTROLLERS_V1
    missing = sorted(wanted - layout.controllers)
    told = layout.kind
    if layout.kind == "hybrid" and layout.unified:
        told += f" ({', '.join(sorted(layout.unified))} in the unified part)"
    if missing:
        told += f", without {', '.join(missing)}"
        fix = {}
        if "memory" in missing:
            # Debian's and Raspberry Pi's kernels have it, switched off at boot.
            fix = _everywhere("boot with cgroup_enable=memory on the kernel's command line")
        return Finding("cgroups", False, told, why, fix)
    return Finding("cgroups", True, told, why)


def storage(path: Path = Path("/var/lib/bay"), top: Path = Path("/")) -> Finding:
    """overlayfs, and a file system below it that can hold writable layers."""
    why = "stacks an image's layers and a container's writable one"
    how = kernel.feature("overlay", "CONFIG_OVERLAY_FS", top)
    if kernel.has_filesystem("overlay", top):
        how = "available"
    if not how:
        return Finding("overlayfs", False, "not in this kernel", why)
    below = kernel.filesystem_of(path, top)
    if below in _NO_UPPER:
        told = f"{path} is on {below}, which cannot hold writable layers; use --root"
        return Finding("overlayfs", False, told, why)
    return Finding("overlayfs", True, f"{how}, {path} on {below or 'an unknown file system'}", why)


_NETWORK = {
    "bridge": ("CONFIG_BRIDGE", "joins containers to one network"),
    "veth": ("CONFIG_VETH", "is a container's network card"),
    "nf_tables": ("CONFIG_NF_TABLES", "holds published ports and address translation"),
    "nft_nat": ("CONFIG_NFT_NAT", "translates a published port to a container"),
    "nft_masq": ("CONFIG_NFT_MASQ", "lets containers reach the network under the host's address"),
}


def network(top: Path = Path("/")) -> Iterator[Finding]:
    """The kernel's parts for container networks, one finding each."""
    for name, (option, why) in _NETWORK.items():
        how = kernel.feature(name, option, top)
        if how:
            told = "not told by this kernel" if how == "unknown" else how
            yield Finding(name, True, told, why)
        else:
            fix = _everywhere(f"modprobe {name}")
            yield Finding(name, False, "not in this kernel", why, fix)


def system() -> Finding:
    """Kernel version and machine."""
    why = "openat2, pidfds and clone3 came with Linux 5.6; images are made for a machine"
    told = f"Linux {kernel.release()} on {os.uname().machine}"
    return Finding("kernel", kernel.version() >= (5, 6), told, why)


def findings(root: Path = Path("/var/lib/bay")) -> list[Finding]:
    """Everything looked at, what is missing first; takes some 50 ms. `root` is the engine's."""
    found = [
        system(),
        privileges(),
        runtime(),
        conmon(),
        cgroups(),
        storage(root),
        libnftables(),
        *network(),
        busybox(),
        ps(),
    ]
    return sorted(found, key=lambda one: one.ok)
