"""What a container may do, beside dockerd's container of the same flags: equal or less."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from support.dockerd import Dockerd, dockerd
from support.engine import EngineProcess

IMAGE = "test/security:latest"
# A namespace of its own: dockerd changes addresses, routes and iptables.
APART = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]
# Each line is `KEY value`; nothing here may depend on which engine it is.
PROBE = r"""
grep -E '^(Cap|Seccomp:|NoNewPrivs|Uid|Gid|Groups)' /proc/self/status | tr -s '\t:' ' '
for n in cgroup ipc mnt net pid user uts; do echo "ns $n $(readlink /proc/self/ns/$n)"; done
for f in /proc/1/fd/*; do echo "fd ${f##*/}"; done 2>/dev/null
for d in $(ls /dev); do [ -c /dev/$d -o -b /dev/$d ] && echo "dev $d"; done
for p in acpi asound interrupts kcore keys latency_stats timer_list timer_stats sched_debug scsi; do
  [ -e /proc/$p ] || continue
  if [ -d /proc/$p ]; then echo "see /proc/$p $(ls /proc/$p 2>/dev/null | wc -l)"
  else echo "see /proc/$p $(head -c 1 /proc/$p 2>/dev/null | wc -c)"; fi
done
for p in /sys/firmware /sys/devices/virtual/powercap; do
  [ -e $p ] && echo "see $p $(ls $p 2>/dev/null | wc -l)"
done
for p in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity; do
  (: >> $p) 2>/dev/null && echo "write $p"
done
for p in /sys /sys/fs/cgroup /sys/fs/cgroup/*/ / /dev; do
  touch $p/.write 2>/dev/null && echo "write $p" && rm -f $p/.write
done
(mount -t tmpfs none /mnt) 2>/dev/null && { umount /mnt; echo "can mount"; }
(unshare -U true) 2>/dev/null && echo "can unshare-user"
(mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg) >/dev/null 2>&1 && echo "can read-kmsg"
(mknod /tmp/n c 1 3) 2>/dev/null && echo "can mknod"
(hostname other) 2>/dev/null && echo "can hostname"
(chroot / true) 2>/dev/null && echo "can chroot"
(ip link add dummy9 type dummy) 2>/dev/null && echo "can netlink"
true
"""


@pytest.fixture(scope="module")
def docker() -> Iterator[Dockerd]:
    with dockerd(APART, IMAGE) as daemon:
        yield daemon


def facts(lines: str) -> dict[str, Any]:
    """What the probe said: capabilities and namespaces by name, everything else as a set."""
    found: dict[str, Any] = {"caps": {}, "ns": {}, "status": {}, "see": {}, "rest": set()}
    for line in lines.splitlines():
        key, _, value = line.strip().partition(" ")
        if key.startswith("Cap"):
            found["caps"][key] = int(value, 16)
        elif key == "ns":
            name, _, target = value.partition(" ")
            found["ns"][name] = target == os.readlink(f"/proc/self/ns/{name}")
        elif key == "see":
            path, _, size = value.rpartition(" ")
            found["see"][path] = int(size)
        elif key in ("Seccomp", "NoNewPrivs", "Uid", "Gid", "Groups"):
            found["status"][key] = value.split()
        else:
            found["rest"].add(line.strip())
    return found


FLAGS = [
    [],
    ["--user", "1000:1000"],
    ["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"],
    ["--security-opt", "no-new-privileges"],
    ["--security-opt", "seccomp=unconfined"],
    ["--read-only"],
    ["--pid", "host", "--ipc", "host", "--uts", "host"],
    ["--network", "none", "--init"],
    ["--cap-add", "SYS_ADMIN", "--device", "/dev/null:/dev/other"],
]


@pytest.mark.parametrize("flags", FLAGS, ids=lambda words: " ".join(words) or "no flags")
def test_equal_or_stricter(
    engine: EngineProcess, docker: Dockerd, busybox_image: str, flags: list[str]
) -> None:
    """Capabilities, seccomp, no_new_privs, devices, files, namespaces, descriptors, deeds."""
    engine.pull(busybox_image)
    words = ["run", "--rm", *flags]
    # With the host's processes the first one is the host's, whose descriptors are chance.
    probe = PROBE.replace("/proc/1/fd", "/proc/$$/fd") if "--pid" in flags else PROBE
    ours = facts(engine.bay(*words, busybox_image, "sh", "-c", probe, check=True).stdout)
    theirs = facts(docker.docker(*words, IMAGE, "sh", "-c", probe))
    told = json.dumps({"ours": ours, "theirs": theirs}, default=sorted, indent=1)
    for name, mask in ours["caps"].items():
        assert mask & ~theirs["caps"][name] == 0, f"{name} has more than docker's\n{told}"
    assert ours["status"] == theirs["status"], told
    assert set(ours["see"]) == set(theirs["see"]), told
    for path, size in ours["see"].items():
        assert size == 0 or theirs["see"][path] > 0, f"{path} is to be seen\n{told}"
    for name, shared in ours["ns"].items():
        assert not shared or theirs["ns"][name], f"the host's {name} namespace\n{told}"
    assert not ours["rest"] - theirs["rest"], f"{ours['rest'] - theirs['rest']}\n{told}"


def test_an_exec_may_no_more_than_dockers(
    engine: EngineProcess, docker: Dockerd, busybox_image: str
) -> None:
    """The same for a process that joins later."""
    engine.pull(busybox_image)
    try:
        engine.bay("run", "-d", "--name", "secexec", busybox_image, "sleep", "1000", check=True)
        docker.docker("run", "-d", "--name", "secexec", IMAGE, "sleep", "1000")
        probe = PROBE.replace("/proc/1/fd", "/proc/$$/fd")
        ours = facts(engine.bay("exec", "secexec", "sh", "-c", probe, check=True).stdout)
        theirs = facts(docker.docker("exec", "secexec", "sh", "-c", probe))
    finally:
        engine.bay("rm", "-f", "secexec")
        subprocess.run(
            ["docker", "-H", f"unix://{docker.socket}", "rm", "-f", "secexec"],
            capture_output=True,
            check=False,
        )
    for name, mask in ours["caps"].items():
        assert mask & ~theirs["caps"][name] == 0, name
    assert ours["status"] == theirs["status"]
    assert not ours["rest"] - theirs["rest"], ours["rest"] - theirs["rest"]
