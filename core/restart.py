"""Restart policies: whether a container that ended comes back, and after how long.

Docker's back-off: 100 ms, doubled at each restart up to a minute, and from the start again once
a run has lasted ten seconds.
"""

from __future__ import annotations

from .types import Container

FIRST = 0.1
LONGEST = 60.0
GOOD_RUN_NS = 10_000_000_000


def wanted(container: Container) -> bool:
    """Whether the policy asks for a restart after the exit the state tells of."""
    policy = container.host_config["RestartPolicy"]
    name, tries = policy["Name"], policy["MaximumRetryCount"]
    if container.user_stopped:
        return False
    if name in ("always", "unless-stopped"):
        return True
    if name == "on-failure" and container.state.exit_code != 0:
        return bool(tries == 0 or container.restart_count < tries)
    return False


def wanted_at_boot(container: Container) -> bool:
    """Whether a restarted engine starts a container that does not run.

    As dockerd: `always` even after a stop by the user, `unless-stopped` only without one,
    `on-failure` as after any exit.
    """
    name = container.host_config["RestartPolicy"]["Name"]
    if name == "always":
        return bool(container.state.started)
    if name == "unless-stopped":
        return container.state.started > 0 and not container.user_stopped
    return name == "on-failure" and container.state.started > 0 and wanted(container)


def next_backoff(container: Container, last: float) -> float:
    """Seconds to wait before the next restart, given the `last` wait."""
    state = container.state
    if last == 0 or state.finished - state.started >= GOOD_RUN_NS:
        return FIRST
    return min(LONGEST, last * 2)
