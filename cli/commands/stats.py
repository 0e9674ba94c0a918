"""`bay stats`: what containers use, every second."""

from __future__ import annotations

import sys

from ...host.light import Any, Iterator
from ..app import App
from ..command import Command
from ..flags import Parsed, switch
from ..listing import FORMAT, Listing, Row
from ..table import DIM
from ..units import binary_size, human_size

Json = dict[str, Any]
NOTHING = "--"

LISTING = Listing(
    headers={
        "Container": "CONTAINER",
        "ID": "CONTAINER ID",
        "Name": "NAME",
        "CPUPerc": "CPU %",
        "MemUsage": "MEM USAGE / LIMIT",
        "MemPerc": "MEM %",
        "NetIO": "NET I/O",
        "BlockIO": "BLOCK I/O",
        "PIDs": "PIDS",
    },
    columns=("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"),
    styles={"ID": DIM},
)


class _Names:
    """The containers to show, looked up anew when one appears that isn't known."""

    def __init__(self, app: App, parsed: Parsed) -> None:
        self._client = app.client
        self._all = parsed["all"]
        # A name that doesn't exist is an error at once, not an empty table.
        self.wanted = {
            name: app.client.get(f"/containers/{name}/json")["Id"] for name in parsed.args
        }
        self.known: dict[str, str] = {}

    def shown(self, running: set[str]) -> Iterator[tuple[str, str]]:
        """(id, name) of each container to show."""
        if not running <= self.known.keys() or self.wanted.keys() - self.known.keys():
            found = self._client.get("/containers/json", all=True)
            self.known = {one["Id"]: one["Names"][0].lstrip("/") for one in found}
        ids = self.wanted.values() if self.wanted else self.known
        for one in ids:
            if one in self.known and (one in running or self._all or self.wanted):
                yield one, self.known[one]


def run_stats(app: App, parsed: Parsed) -> None:
    """Print a table each second, or once with `--no-stream`.

    From the engine's own sampler, which runs anyway: one stream for all containers costs it the
    same as none.
    """
    names = _Names(app, parsed)
    form = parsed["format"] or app.config.form("statsFormat")
    clear = sys.stdout.isatty() and not parsed["no-stream"] and form != "json"
    short = not parsed["no-trunc"]
    total = app.client.get("/info")["MemTotal"]
    for tick in app.client.stream("GET", "/bay/samples/stream"):
        samples: Json = tick["containers"]
        rows = [
            _row(one, name, samples.get(one), total, short) for one, name in names.shown({*samples})
        ]
        if clear:
            # Home and clear to the end (ECMA-48): less flicker than clearing first.
            sys.stdout.write("\x1b[H\x1b[J")
        LISTING.show(rows, form)
        sys.stdout.flush()
        if parsed["no-stream"]:
            return


def _row(container: str, name: str, sample: Json | None, total: int, short: bool) -> Row:
    row: Row = {
        "Container": container[:12] if short else container,
        "ID": container[:12] if short else container,
        "Name": name,
    }
    if sample is None:
        return {**row, "CPUPerc": NOTHING, "MemUsage": f"{NOTHING} / {NOTHING}",
                "MemPerc": NOTHING, "NetIO": f"{NOTHING} / {NOTHING}",
                "BlockIO": f"{NOTHING} / {NOTHING}", "PIDs": NOTHING}  # fmt: skip
    # Without a limit the kernel gives a number beyond all memory: then it is the host's.
    limit = min(sample["memory_limit"] or total, total)
    return {
        **row,
        "CPUPerc": f"{sample['cpu'] or 0:.2f}%",
        "MemUsage": f"{binary_size(sample['memory'] or 0)} / {binary_size(limit)}",
        "MemPerc": f"{(sample['memory'] or 0) / limit * 100 if limit else 0:.2f}%",
        "NetIO": f"{human_size(sample['rx'] or 0)} / {human_size(sample['tx'] or 0)}",
        "BlockIO": f"{human_size(sample['read'] or 0)} / {human_size(sample['write'] or 0)}",
        "PIDs": str(sample["pids"] or 0),
    }


STATS = Command(
    "stats [OPTIONS] [CONTAINER...]",
    "Show what containers use, every second",
    run_stats,
    flags=(
        switch("all", "Show all containers, not only those that run", "a"),
        FORMAT,
        switch("no-stream", "Only the first result"),
        switch("no-trunc", "Don't shorten ids"),
    ),
    most=None,
)
