"""What a build tells while it goes on: one event per happening, shown in two ways.

`Transcript` makes Docker's stream of it: the lines of the classic builder, of one stage at a time,
so that stages that run at once do not mix. `details` passes the events themselves, as `aux`
messages `{"bay": …}` (docs/api-bay.md).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

from ..types import Json

Send = Callable[[Json], None]


class Step:
    """One instruction under way, reported to its build's `Report`."""

    def __init__(self, report: Report, identity: int, stage: int) -> None:
        self._report = report
        self._begun = time.monotonic()
        self.id = identity
        self.stage = stage

    def log(self, text: str, error: bool = False) -> None:
        """Output of its command; of its stderr, which Docker's builder shows in red."""
        shown = f"\x1b[91m{text}\x1b[0m" if error else text
        self._report.emit({"type": "log", "id": self.id, "data": text}, self.stage, shown)

    def status(self, message: Json) -> None:
        """A message of a pull, as Docker has it."""
        self._report.status(self.id, message, self.stage)

    def running(self, container: str) -> None:
        """Its command runs in this container."""
        event = {"type": "running", "id": self.id, "container": container}
        self._report.emit(event, self.stage, f" ---> Running in {container[:12]}\n")

    def missed(self, reason: str) -> None:
        """It is not in the cache; why."""
        event = {"type": "miss", "id": self.id, "reason": reason}
        self._report.emit(event, self.stage, f" ---> Not cached: {reason}\n" if reason else "")

    def done(self, made: str, cached: bool = False, removed: str = "") -> None:
        """It is through: `made` names what it gave, `removed` the container that is gone."""
        event = {
            "type": "done",
            "id": self.id,
            "cached": cached,
            "ms": round((time.monotonic() - self._begun) * 1000, 1),
        }
        text = " ---> Using cache\n" if cached else ""
        if removed:
            text += f" ---> Removed intermediate container {removed[:12]}\n"
        self._report.emit(event, self.stage, f"{text} ---> {made[:12]}\n" if made else text)

    def failed(self, sentence: str, line: int, column: int) -> None:
        """It went wrong, at this place of the Dockerfile."""
        event: Json = {"type": "failed", "id": self.id, "error": sentence}
        self._report.emit({**event, "line": line, "column": column}, self.stage, "")


class Report:
    """Everything one build tells. `send` takes messages of Docker's stream, from the loop."""

    def __init__(self, send: Send, details: bool = False, quiet: bool = False) -> None:
        self._send = send
        self._details = details
        self._quiet = quiet
        self._transcript = Transcript(send)
        self._count = 0

    def emit(self, event: Json, stage: int, text: str) -> None:
        """Tell one event; `text` is what Docker's builder would print for it."""
        if self._details:
            self._send({"aux": {"bay": event}})
        elif text and not self._quiet:
            self._transcript.put(stage, {"stream": text})

    def status(self, step: int, message: Json, stage: int) -> None:
        """Pass on a message of a pull."""
        if self._details:
            self._send({"aux": {"bay": {"type": "pull", "id": step, "message": message}}})
        elif not self._quiet:
            self._transcript.put(stage, message)

    def note(self, text: str) -> None:
        """A line for the user that belongs to no step."""
        if self._details:
            self._send({"aux": {"bay": {"type": "note", "text": text}}})
        elif not self._quiet:
            self._send({"stream": f"{text}\n"})

    def warning(self, rule: str, message: str, line: int, column: int) -> None:
        """A finding of the linter, at its place in the Dockerfile."""
        event = {"type": "warning", "rule": rule, "message": message, "line": line}
        if self._details:
            self._send({"aux": {"bay": {**event, "column": column}}})

    def plan(self, file: str, stages: list[tuple[int, str, int]]) -> None:
        """What is to be done: (number, name, count of steps) of each stage, in order."""
        self._transcript.order([number for number, _, _ in stages])
        if self._details:
            listed = [{"stage": n, "name": name, "steps": count} for n, name, count in stages]
            self._send({"aux": {"bay": {"type": "plan", "file": file, "stages": listed}}})

    def step(
        self, stage: int, name: str, number: int, total: int, text: str, line: int, place: str
    ) -> Step:
        """A step begins: `number` of `total` in its stage, `place` over all stages."""
        self._count += 1
        step = Step(self, self._count, stage)
        event = {
            "type": "step",
            "id": step.id,
            "stage": stage,
            "name": name,
            "number": number,
            "total": total,
            "text": text,
            "line": line,
        }
        self.emit(event, stage, f"Step {place} : {text}\n")
        return step

    def stage_ended(self, stage: int) -> None:
        """Nothing more comes from this stage."""
        self._transcript.ended(stage)

    def finished(self, image: str, tags: list[str]) -> None:
        """The image is there."""
        self._transcript.flush()
        if not self._quiet:
            lines = [f"Successfully built {image.removeprefix('sha256:')[:12]}\n"]
            lines += [f"Successfully tagged {tag}\n" for tag in tags]
            for line in lines:
                if self._details:
                    self._send({"aux": {"bay": {"type": "note", "text": line.strip()}}})
        # The last of the `aux` messages: clients take the id from it.
        self._send({"aux": {"ID": image}})
        if self._quiet:
            self._send({"stream": f"{image}\n"})
        elif not self._details:
            for line in lines:
                self._send({"stream": line})

    def flush(self) -> None:
        """Tell what was held back: the build has failed."""
        self._transcript.flush()


class Transcript:
    """Messages of several stages, one stage after the other as in the file."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._order: list[int] = []
        self._held: defaultdict[int, list[Json]] = defaultdict(list)
        self._ended: set[int] = set()

    def order(self, stages: list[int]) -> None:
        """In which order the stages are to be told."""
        self._order = list(stages)

    def put(self, stage: int, message: Json) -> None:
        """A message of a stage: sent now if it is that stage's turn."""
        if not self._order or self._order[0] == stage:
            self._send(message)
        else:
            self._held[stage].append(message)

    def ended(self, stage: int) -> None:
        """A stage is through: the next one has its turn, and those that are through already."""
        self._ended.add(stage)
        while self._order and self._order[0] in self._ended:
            self._order.pop(0)
            if self._order:
                self._tell(self._order[0])

    def flush(self) -> None:
        """Tell everything."""
        for stage in sorted(self._held):
            self._tell(stage)
        self._order = []

    def _tell(self, stage: int) -> None:
        for message in self._held.pop(stage, []):
            self._send(message)
