"""Health checks: Docker's probe loop, one task a container.

The probe is an exec inside the container. `Retries` failures in a row make it unhealthy; failures
during the start period do not count, one success ends that period.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from ..host import clock
from ..host.errors import BayError
from .context import Context
from .types import Container, Json

_SECOND = 1_000_000_000
_KEPT = 5
_OUTPUT = 4096


def start(context: Context, container: Container) -> asyncio.Task[None] | None:
    """The task that probes `container`; None when it has no health check."""
    check: Json = container.config.get("Healthcheck") or {}
    test: list[str] = check.get("Test") or []
    if not test or test[0] in ("", "NONE"):
        container.state.health = None
        return None
    if container.state.health is None or container.state.health["Status"] != "healthy":
        container.state.health = {"Status": "starting", "FailingStreak": 0, "Log": []}
    command = ["/bin/sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:]
    return asyncio.create_task(
        _loop(context, container, check, command), name=f"health {container.name}"
    )


async def _loop(context: Context, container: Container, check: Json, command: list[str]) -> None:
    interval = (check.get("Interval") or 30 * _SECOND) / _SECOND
    timeout = (check.get("Timeout") or 30 * _SECOND) / _SECOND
    retries = check.get("Retries") or 3
    grace = (check.get("StartPeriod") or 0) / _SECOND
    early = (check.get("StartInterval") or 5 * _SECOND) / _SECOND
    # Of a container of an earlier engine some of it is over; steps of the clock are not time.
    ran = max(0.0, time.time() - container.state.started / _SECOND)
    settled = time.monotonic() + grace - ran
    while container.state.running:
        in_grace = time.monotonic() < settled and _status(container) == "starting"
        await asyncio.sleep(min(early, interval) if in_grace else interval)
        if container.state.status != "running":
            continue
        entry = await _probe(context, container, command, timeout)
        in_grace = time.monotonic() < settled and _status(container) == "starting"
        await _judge(context, container, entry, retries, in_grace)


def _status(container: Container) -> str:
    return str((container.state.health or {}).get("Status", ""))


async def _probe(
    context: Context, container: Container, command: list[str], timeout: float
) -> Json:
    """Run the check once: Docker's log entry, with exit code 0 for healthy."""
    begun = clock.now()
    output = bytearray()
    code = -1
    try:
        key = await context.execs.create(
            container, {"Cmd": command, "AttachStdout": True, "AttachStderr": True, "Probe": True}
        )
        async with asyncio.timeout(timeout):
            session = await context.execs.start(key, detach=False, tty=False, size=None)
            while session is not None and (packet := await session.read()) is not None:
                output += packet[1][: max(0, _OUTPUT - len(output))]
            code = int((await context.execs.wait(key)) or 0)
    except TimeoutError:
        output = bytearray(f"Health check exceeded timeout ({timeout:g}s)".encode())
        with contextlib.suppress(BayError):
            await context.execs.kill(key)
    except BayError as error:
        output = bytearray(str(error).encode())
    return {
        "Start": begun,
        "End": clock.now(),
        "ExitCode": code,
        "Output": output.decode(errors="replace"),
    }


async def _judge(
    context: Context, container: Container, entry: Json, retries: int, in_grace: bool
) -> None:
    report = container.state.health
    if report is None or not container.state.running:
        return
    before = report["Status"]
    report["Log"] = [*report["Log"], entry][-_KEPT:]
    if entry["ExitCode"] == 0:
        report["FailingStreak"] = 0
        report["Status"] = "healthy"
    elif not in_grace:
        report["FailingStreak"] += 1
        if report["FailingStreak"] >= retries:
            report["Status"] = "unhealthy"
    if report["Status"] != before:
        await context.roster.save(container)
        context.emit(container, f"health_status: {report['Status']}")
