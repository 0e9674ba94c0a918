"""What the engine's parts pass to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# JSON in the shape and spelling of the Docker Engine API.
Json = dict[str, Any]


@dataclass
class State:
    """What a container does now, and what became of its last process.

    `status` is Docker's: created, running, paused, restarting, exited, dead, removing. `pid` with
    `pid_started` (clock ticks, see `host.process.start_time`) names the process for ever. Times
    are nanoseconds since 1970, 0 for never.
    """

    status: str = "created"
    pid: int = 0
    pid_started: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started: int = 0
    finished: int = 0
    health: Json | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process: a paused one counts, as Docker has it."""
        return self.status in ("running", "paused")


@dataclass
class Container:
    """One container, as the journal has it.

    `config` and `host_config` are Docker's `Config` and `HostConfig` with every default filled in;
    `networks` maps a network's name to Docker's `EndpointSettings`; `mounts` are `MountPoint`s.
    """

    id: str
    name: str
    created: int
    image: str
    image_ref: str
    config: Json
    host_config: Json
    bundle: Path
    networks: dict[str, Json] = field(default_factory=dict)
    mounts: list[Json] = field(default_factory=list)
    state: State = field(default_factory=State)
    restart_count: int = 0
    # The user stopped it: no restart policy brings it back before the engine is started anew.
    user_stopped: bool = False
    # "starting" while a start is under way, "held" while it is paused for a commit or a snapshot:
    # so that a restarted engine undoes or completes it.
    phase: str = ""
    # The boot in which it was last started: after another one its process is gone for certain.
    boot: str = ""
    # Volumes made for this container alone, which `rm -v` and `--rm` delete.
    anonymous_volumes: list[str] = field(default_factory=list)
    # Images mounted into it: the id of each by the snapshot that holds its layers.
    mounted_images: dict[str, str] = field(default_factory=dict)
    # The build whose step it carries out: it does not outlive the engine that builds.
    build: str = ""

    @property
    def images(self) -> set[str]:
        """The ids of the images it needs: the one it was made from, and those mounted into it."""
        return {self.image, *self.mounted_images.values()}

    @property
    def tty(self) -> bool:
        """Whether its process has a terminal."""
        return bool(self.config.get("Tty"))
