"""What the screen knows of the engine: lists as the API gave them, samples, events, the link."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .cells import Row

Json = dict[str, Any]
KEEP = 600  # samples kept per container: ten minutes at 1 Hz
DAY = 24 * 3600  # seconds
BAR = 3  # seconds of one bar of a list's sparkline: slower is longer, and costs fewer bytes
BARS = 40
KINDS = ("containers", "images", "networks", "volumes")


class History:
    """A container's samples of the last minutes, oldest first; counters are cumulative bytes.

    `phase` are the seconds by which the bars are out of step: not all rows shall move at once.
    """

    def __init__(self, phase: int = 0, keep: int = KEEP) -> None:
        self.time: deque[float] = deque(maxlen=keep)
        self.cpu: deque[float] = deque(maxlen=keep)
        self.memory: deque[float] = deque(maxlen=keep)
        self.rx: deque[float] = deque(maxlen=keep)
        self.tx: deque[float] = deque(maxlen=keep)
        self.read: deque[float] = deque(maxlen=keep)
        self.write: deque[float] = deque(maxlen=keep)
        self.processes: deque[float] = deque(maxlen=keep)
        # What the lists draw: the peaks of CPU and the last of memory, a bar each.
        self.cpu_bars: deque[float] = deque(maxlen=BARS)
        self.memory_bars: deque[float] = deque(maxlen=BARS)
        self.phase = phase
        self._bar = 0
        self.pids = 0
        self.memory_limit = 0.0
        self._counts: tuple[float, ...] = ()
        self._counted = 0.0

    def add(self, time: float, sample: Json) -> None:
        """Take one sample of `/bay/samples/stream`, made at `time` (seconds)."""
        value = sample.get
        self.time.append(time)
        cpu, memory = float(value("cpu") or 0), float(value("memory") or 0)
        self.cpu.append(cpu)
        self.memory.append(memory)
        self.memory_limit = float(value("memory_limit") or 0)
        self.pids = int(value("pids") or 0)
        self.processes.append(self.pids)
        # A second of a thousand containers is a thousand of these calls: hence no loop over names.
        counts = (value("rx") or 0, value("tx") or 0, value("read") or 0, value("write") or 0)
        before, passed = self._counts or counts, time - self._counted
        self._counts, self._counted = counts, time
        self.rx.append(_rate(before[0], counts[0], passed))
        self.tx.append(_rate(before[1], counts[1], passed))
        self.read.append(_rate(before[2], counts[2], passed))
        self.write.append(_rate(before[3], counts[3], passed))
        self._bars(time, cpu, memory)

    def extend(self, series: Json) -> None:
        """Take many samples at once, into an empty history: lists by name, times in ns."""
        times = [when / 1e9 for when in series.get("time") or []]
        if not times:
            return
        self.time.extend(times)
        self.cpu.extend(series["cpu"])
        self.memory.extend(series["memory"])
        self.processes.extend(series.get("pids") or [])
        self.pids = int(self.processes[-1]) if self.processes else 0
        limit = series.get("memory_limit")
        self.memory_limit = float((limit[-1] if isinstance(limit, list) else limit) or 0)
        last_counts = []
        for name in ("rx", "tx", "read", "write"):
            counters = series.get(name) or [0] * len(times)
            steps = zip(times, times[1:], counters, counters[1:], strict=False)
            rates = [_rate(a, b, t - s) for s, t, a, b in steps]
            getattr(self, name).extend([0.0, *rates])
            last_counts.append(counters[-1])
        self._counts, self._counted = tuple(last_counts), times[-1]
        last = len(times) - BARS * BAR
        for when, cpu, memory in list(zip(times, series["cpu"], series["memory"], strict=False))[
            max(0, last) :
        ]:
            self._bars(when, cpu, memory)

    def _bars(self, time: float, cpu: float, memory: float) -> None:
        bar = int(time + self.phase) // BAR
        if bar != self._bar or not self.cpu_bars:
            self._bar = bar
            self.cpu_bars.append(cpu)
            self.memory_bars.append(memory)
        else:
            self.cpu_bars[-1] = max(self.cpu_bars[-1], cpu)
            self.memory_bars[-1] = memory


def _rate(before: float, now: float, passed: float) -> float:
    """What was counted in a second; a counter that went back is of a restarted container."""
    return (now - before) / passed if passed > 0 and now >= before else 0.0


def history_of(identifier: str, keep: int = KEEP) -> History:
    """An empty history for the container `identifier`, of `keep` samples at most."""
    return History(int(identifier[-2:], 16) % BAR if identifier else 0, keep)


def recall(identifier: str, series: Json, keep: int = KEEP) -> History:
    """A container's history of what the engine measured: lists by name, times in ns."""
    history = history_of(identifier, max(keep, KEEP))
    history.extend(series)
    return history


class Happening(NamedTuple):
    """One line of the events feed: when (seconds), what kind, what happened, to whom."""

    time: float
    kind: str
    action: str
    name: str


class Uses:
    """Counts of the containers that use an image's id, a network's name, a volume's name.

    Counted once for a list of containers: a search for each of a thousand volumes took a second.
    """

    def __init__(self, containers: list[Json]) -> None:
        self.of = containers
        self.images = Counter(str(one.get("ImageID")) for one in containers)
        self.networks: Counter[str] = Counter()
        self.volumes: Counter[str] = Counter()
        for one in containers:
            self.networks.update([*((one.get("NetworkSettings") or {}).get("Networks") or {})])
            self.volumes.update({str(each.get("Name")) for each in one.get("Mounts") or []})


class Model:
    """Everything the panes draw from; the feed writes it, the panes only read."""

    def __init__(self, containers: Sequence[Json] = (), networks: Sequence[Json] = ()) -> None:
        self.containers = [*containers]
        self.images: list[Json] = []
        self.networks = [*networks]
        self.volumes: list[Json] = []
        self.samples: dict[str, History] = {}
        self.events: deque[Happening] = deque(maxlen=200)
        self.info: Json = {}
        self.version: Json = {}
        self.link = "connecting"
        self.trouble = ""
        self.busy: dict[str, str] = {}
        # Bytes on the disk by a volume's name, and of the writable layer by a container's id; as
        # far as the engine was asked to weigh them.
        self.sizes: dict[str, int] = {}
        # The rows last made of containers, by id: of what summary, busy with what, the row.
        self.drawn: dict[str, tuple[Json, str, Row]] = {}
        self._uses: Uses | None = None
        self._by_id: tuple[list[Json], dict[str, Json]] = ([], {})

    @property
    def by_id(self) -> dict[str, Json]:
        """The summaries of the containers by their ids."""
        if self._by_id[0] is not self.containers:
            self._by_id = (self.containers, {one["Id"]: one for one in self.containers})
        return self._by_id[1]

    @property
    def uses(self) -> Uses:
        """How many containers use each image, network and volume."""
        if self._uses is None or self._uses.of is not self.containers:
            self._uses = Uses(self.containers)
        return self._uses

    def container(self, identifier: str) -> Json | None:
        """The summary of a container, None when it is gone."""
        return self.by_id.get(identifier)

    def running(self) -> list[Json]:
        """The containers whose processes exist."""
        return [one for one in self.containers if one["State"] in ("running", "paused")]

    def forget_gone(self) -> None:
        """Drop the samples of containers that no longer exist."""
        for known in (self.samples, self.drawn):
            for identifier in [one for one in known if one not in self.by_id]:
                del known[identifier]


def sizes_of(usage: Json) -> dict[str, int]:
    """Bytes by name or id, of the volumes and containers of a `/system/df`; -1 there is unknown."""
    found = {
        str(one["Name"]): (one.get("UsageData") or {}).get("Size")
        for one in usage.get("Volumes") or []
    }
    found |= {str(one["Id"]): one.get("SizeRw") or 0 for one in usage.get("Containers") or []}
    return {name: int(size) for name, size in found.items() if size is not None and size >= 0}


def container_name(summary: Json) -> str:
    """A container's own name; links of other containers, which hold two slashes, are not it."""
    names = [name for name in summary.get("Names") or [] if name.count("/") == 1]
    return str(names[0]).lstrip("/") if names else str(summary["Id"])[:12]
