"""Limits bind: each is asked of the kernel from inside the container, and then run into."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bayplan.host import cgroups
from support.engine import EngineProcess
from support.waiting import wait_until


@pytest.fixture
def box(engine: EngineProcess, busybox_image: str) -> Iterator[tuple[EngineProcess, str]]:
    engine.pull(busybox_image)
    yield engine, busybox_image
    engine.bay("rm", "-f", "bound")


def inside(v1: str, v2: str) -> str:
    """The file of the container's own cgroup, as it sees it."""
    return f"/sys/fs/cgroup/{v2 if cgroups.layout().version == 2 else v1}"


def test_memory_kills(box: tuple[EngineProcess, str]) -> None:
    """A process over the limit is killed, and the container says that it was for memory."""
    engine, image = box
    file = inside("memory/memory.limit_in_bytes", "memory.max")
    # tail(1) keeps the last line, and zeros have no line end.
    script = f"cat {file}; head -c 100000000 /dev/zero | tail"
    limits = ("-m", "16m", "--memory-swap", "16m")
    done = engine.bay("run", "--name", "bound", *limits, image, "sh", "-c", script)
    assert done.stdout.split()[0] == str(16 << 20)
    assert done.returncode == 137, done.stderr
    state = engine.inspect("bound")["State"]
    assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)
    engine.bay("rm", "bound", check=True)
    # The first process itself, in the middle of nothing else.
    script = "exec tail /dev/zero"
    engine.bay("run", "--name", "bound", *limits, image, "sh", "-c", script)
    state = engine.inspect("bound")["State"]
    assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)
    assert "Exited (137)" in engine.bay("ps", "-a", check=True).stdout


def test_the_cpu_quota_is_what_is_used(box: tuple[EngineProcess, str]) -> None:
    """Over periods in which all of it was used, usage is the quota within 5 %."""
    engine, image = box
    loop = "while :; do :; done"
    limits = ("--cpus", "0.05")
    engine.bay("run", "-d", "--name", "bound", *limits, image, "sh", "-c", loop, check=True)
    stat = inside("cpu/cpu.stat", "cpu.stat")
    usage = inside("cpuacct/cpuacct.usage", "cpu.stat")

    def figures() -> tuple[int, int, int]:
        """Periods, throttled ones, nanoseconds used."""
        text = engine.bay("exec", "bound", "cat", usage, stat, check=True).stdout
        pairs = dict(line.split() for line in text.splitlines() if " " in line)
        used = int(pairs.get("usage_usec", 0)) * 1000 or int(text.splitlines()[0])
        return int(pairs["nr_periods"]), int(pairs["nr_throttled"]), used

    first = figures()

    def used_up() -> tuple[int, int, int] | None:
        """The figures since the first ones, once sixty periods were used up."""
        now = figures()
        found = now[0] - first[0], now[1] - first[1], now[2] - first[2]
        return found if found[1] >= 60 else None

    periods, throttled, used = wait_until(used_up, "sixty periods that were used up")
    # A machine with no time for us leaves periods that are not used up; a reading falls anywhere
    # within one.
    allowed = 0.05 * 100_000_000
    assert (throttled - 2) * allowed * 0.97 <= used <= (periods + 2) * allowed * 1.03


def test_forks_are_refused(box: tuple[EngineProcess, str]) -> None:
    engine, image = box
    script = (
        f"cat {inside('pids/pids.max', 'pids.max')};"
        " i=0; while [ $i -lt 20 ]; do sleep 100 & i=$((i+1)); done"
    )
    done = engine.bay("run", "--name", "bound", "--pids-limit", "8", image, "sh", "-c", script)
    assert done.stdout.split()[0] == "8"
    assert "can't fork: Resource temporarily unavailable" in done.stderr
    assert done.returncode != 0


def test_processors_shares_files_and_shared_memory(box: tuple[EngineProcess, str]) -> None:
    """cpuset, cpu-shares, ulimits and the size of /dev/shm, as the process sees them."""
    engine, image = box
    script = (
        "grep Cpus_allowed_list /proc/self/status | cut -f2; ulimit -n; ulimit -Hn; ulimit -c;"
        " df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2;"
        f" cat {inside('cpu/cpu.shares', 'cpu.weight')};"
        " head -c 3000000 /dev/zero > /dev/shm/full || echo full"
    )
    flags = (
        *("--cpuset-cpus", "0", "--ulimit", "nofile=200:300", "--ulimit", "core=0"),
        *("--shm-size", "2m", "--cpu-shares", "512"),
    )
    done = engine.bay("run", "--name", "bound", *flags, image, "sh", "-c", script)
    weight = "512" if cgroups.layout().version == 1 else "20"
    assert done.stdout.split() == ["0", "200", "300", "0", "2048", weight, "full"], done.stderr


def test_block_weights_where_the_kernel_has_them(box: tuple[EngineProcess, str]) -> None:
    """`--blkio-weight` is set, or refused or warned of in words: never taken and forgotten."""
    engine, image = box
    file = inside("blkio/blkio.weight", "io.weight")
    bfq = inside("blkio/blkio.bfq.weight", "io.bfq.weight")
    done = engine.bay(
        *("run", "--name", "bound", "--blkio-weight", "300", image),
        *("sh", "-c", f"cat {file} {bfq} 2>/dev/null; true"),
    )
    if "300" not in done.stdout.replace("default ", ""):
        assert "blkio" in done.stderr.lower() or "block" in done.stderr.lower()
