"""Samples out of a cgroup's files, as recorded on hosts of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from bayplan.core import blockio, samples
from bayplan.host import cgroups

# A busy container with quota and limits: Linux 6.1, cgroup v2.
V2 = {
    "cpu.stat": "usage_usec 4209231\nuser_usec 3100201\nsystem_usec 1109030\nnr_periods 401\n"
    "nr_throttled 380\nthrottled_usec 35519702\nnr_bursts 0\nburst_usec 0\n",
    "memory.current": "52633600\n",
    "memory.peak": "67108864\n",
    "memory.max": "67108864\n",
    "memory.stat": "anon 31244288\nfile 20480000\nkernel 909312\ninactive_anon 31236096\n"
    "active_anon 8192\ninactive_file 18001920\nactive_file 2478080\n",
    "pids.current": "7\n",
    "pids.max": "100\n",
    "io.stat": "259:0 rbytes=9691136 wbytes=4194304 rios=201 wios=9 dbytes=0 dios=0\n8:0 \n",
    "cpu.pressure": "some avg10=83.41 avg60=70.00 avg300=29.73 total=9\nfull avg10=1.00 avg60=0 "
    "avg300=0 total=0\n",
    "memory.pressure": "some avg10=2.50 avg60=0.00 avg300=0.00 total=0\n",
    "io.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
}


def record(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)


@pytest.fixture(params=[False, True], ids=["opened each time", "kept open"])
def keep(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool) -> None:
    """Docker's memory rule there: usage without the inactive page cache."""
    record(tmp_path / "bay/x", V2)
    monkeypatch.setattr(cgroups, "layout", lambda: cgroups.Layout(2, {}, tmp_path))
    reader = samples.Reader("bay/x", keep)
    for _ in range(2):
        found = reader.sample(5, {"eth0": {"rx_bytes": 3, "tx_bytes": 4}})
        assert found is not None
        assert (found.cpu, found.cpu_user, found.cpu_kernel) == (
            4_209_231_000,
            3_100_201_000,
            1_109_030_000,
        )
        assert found.throttling == (401, 380, 35_519_702_000)
        assert found.memory == 52_633_600 - 18_001_920
        assert (found.memory_raw, found.memory_peak) == (52_633_600, 67_108_864)
        assert (found.memory_limit, found.pids, found.pids_limit) == (67_108_864, 7, 100)
        assert (found.read_bytes, found.written_bytes) == (9_691_136, 4_194_304)
        assert found.pressure == (83.41, 2.5, 0.0)
        assert (found.received, found.sent, found.system_cpu) == (3, 4, 5)
    reader.close()


def test_version_2_without_limits_and_newer_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    """`max` is no limit, and what an older kernel or a missing controller lacks is 0."""
    old = {name: text for name, text in V2.items() if "pressure" not in name}
    for name in ("memory.peak", "io.stat", "pids.current", "pids.max"):
        del old[name]
    record(tmp_path / "x", {**old, "memory.max": "max\n"})
    monkeypatch.setattr(cgroups, "layout", lambda: cgroups.Layout(2, {}, tmp_path))
    reader = samples.Reader("x", keep)
    for _ in range(2):
        found = reader.sample(0, {})
        assert found is not None
        assert (found.memory_limit, found.memory_peak, found.pids, found.block) == (0, 0, 0, {})
        assert found.pressure == (0.0, 0.0, 0.0)
    reader.close()
    assert samples.Reader("gone", keep).sample(0, {}) is None


def test_version_1_beside_an_unused_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    """The hybrid layout: controllers of v1, pressure of v2; the whole tree's page cache counts."""
    for controller, files in {
        "cpuacct": {
            "cpuacct.usage_percpu": "1500000 500000 \n",
            "cpuacct.usage_user": "1500000\n",
            "cpuacct.usage_sys": "500000\n",
        },
        "cpu": {"cpu.stat": "nr_periods 10\nnr_throttled 4\nthrottled_time 3000000\n"},
        "memory": {
            "memory.stat": "cache 9\ninactive_file 100\ntotal_cache 9\ntotal_inactive_file 400\n",
            "memory.usage_in_bytes": "1400\n",
            "memory.max_usage_in_bytes": "2000\n",
            "memory.limit_in_bytes": "9223372036854771712\n",
        },
        "pids": {"pids.current": "3\n", "pids.max": "max\n"},
        "blkio": {
            "blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\n8:0 Write 512\n"
            "8:0 Total 4608\nTotal 4608\n"
        },
        "unified": {"cpu.pressure": "some avg10=1.50 avg60=0 avg300=0 total=0\n"},
    }.items():
        record(tmp_path / controller / "x", files)
    names = ("cpuacct", "cpu", "memory", "pids", "blkio")
    layout = cgroups.Layout(1, {name: tmp_path / name for name in names}, tmp_path / "unified")
    monkeypatch.setattr(cgroups, "layout", lambda: layout)
    reader = samples.Reader("x", keep)
    first = reader.sample(0, {})
    assert first is not None
    assert (first.cpu, first.memory, first.memory_limit, first.pids_limit) == (
        2_000_000,
        1000,
        0,
        0,
    )
    assert first.block == {(8, 0, "read"): 4096, (8, 0, "write"): 512}
    moved, operations = blockio.told_of_v1("x")
    assert [(one["op"], one["value"]) for one in moved] == [
        ("Read", 4096),
        ("Write", 512),
        ("Total", 4608),
    ]
    assert operations == []
    assert first.throttling == (10, 4, 3_000_000) and first.pressure == (1.5, 0.0, 0.0)
    (tmp_path / "cpuacct/x/cpuacct.usage_percpu").write_text("4000000 5000000 \n")
    (tmp_path / "cpu/x/cpu.stat").write_text(
        "nr_periods 9\nnr_throttled 5\nthrottled_time 4000000\n"
    )
    second = reader.sample(0, {})
    assert second is not None and second.cpu == 9_000_000
    passed = second.time - first.time
    assert second.percent(first) == pytest.approx(7_000_000 / passed * 100)
    assert second.throttled(first) == pytest.approx(1_000_000 / passed * 100)
    reader.close()


def test_what_rests_is_read_in_full_every_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    """Nothing runs while the CPU time stands still; memory may be taken back, limits be changed."""
    calm = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    files = {name: calm if "pressure" in name else text for name, text in V2.items()}
    record(tmp_path / "x", files)
    monkeypatch.setattr(cgroups, "layout", lambda: cgroups.Layout(2, {}, tmp_path))
    reader = samples.Reader("x", keep)

    def memory() -> int:
        found = reader.sample(0, {})
        assert found is not None
        return found.memory_raw

    assert memory() == 52_633_600
    (tmp_path / "x/memory.current").write_text("20000000\n")
    assert 20_000_000 in [memory() for _ in range(samples._RESTS + 1)]
    reader.renew()
    assert memory() == 20_000_000
    (tmp_path / "x/memory.current").write_text("30000000\n")
    assert memory() == 20_000_000 and reader.resting
    reader.renew()
    assert memory() == 30_000_000
    (tmp_path / "x/memory.current").write_text("40000000\n")
    (tmp_path / "x/cpu.stat").write_text("usage_usec 4209999\n")
    assert memory() == 40_000_000 and not reader.resting
    reader.close()
