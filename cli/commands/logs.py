"""`bay logs`: what a container wrote."""

from __future__ import annotations

import sys

from ...client.frames import STDERR, Demultiplexer
from ..app import App
from ..command import Command
from ..flags import Parsed, switch, text
from ..streams import write_all
from ..when import parse_when


def run_logs(app: App, parsed: Parsed) -> None:
    """Print the log, each stream to its own."""
    container = parsed.args[0]
    tty = app.client.get(f"/containers/{container}/json")["Config"]["Tty"]
    params = {
        "stdout": True,
        "stderr": True,
        "follow": parsed["follow"] or None,
        "timestamps": parsed["timestamps"] or None,
        "details": parsed["details"] or None,
        "tail": parsed["tail"],
        "since": parse_when(parsed["since"]),
        "until": parse_when(parsed["until"]),
    }
    decoder = None if tty else Demultiplexer()
    sys.stdout.flush()
    with app.client.open("GET", f"/containers/{container}/logs", params) as answer:
        for data in answer.chunks():
            for stream, piece in decoder.feed(data) if decoder else [(1, data)]:
                write_all(2 if stream == STDERR else 1, piece)


LOGS = Command(
    "logs [OPTIONS] CONTAINER",
    "Fetch the logs of a container",
    run_logs,
    flags=(
        switch("details", "Show the extra details given to the log driver"),
        switch("follow", "Go on as the container writes more", "f"),
        text("since", "Only from a time on (2013-01-02T13:23:37Z), or of the last 42m"),
        text("tail", "Only that many lines from the end", "n", default="all"),
        switch("timestamps", "Show the time of each line", "t"),
        text("until", "Only before a time (2013-01-02T13:23:37Z), or up to 42m ago"),
    ),
    least=1,
    most=1,
)
