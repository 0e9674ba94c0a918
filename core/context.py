"""What the parts of the container engine share: one of each, opened by `core.engine`."""

from __future__ import annotations

from dataclasses import dataclass

from ..storage.store import Store
from .events import Events
from .execs import Execs
from .images import Images
from .live import Live, Lives
from .networks import Networks
from .options import Options
from .roster import Roster
from .runtime import Runtime
from .types import Container
from .volumes import Volumes


@dataclass
class Context:
    """The collaborators of every verb on a container."""

    options: Options
    store: Store
    roster: Roster
    lives: Lives
    runtime: Runtime
    networks: Networks
    images: Images
    volumes: Volumes
    events: Events
    execs: Execs
    boot: str

    def live(self, container: Container) -> Live:
        """The container's part in memory."""
        return self.lives.of(container.id)

    def emit(self, container: Container, action: str, **more: str) -> None:
        """Publish a container's event with Docker's attributes: labels, image, name."""
        attributes: dict[str, str] = dict(container.config.get("Labels") or {})
        attributes.update(image=container.image_ref, name=container.name, **more)
        self.events.emit("container", action, container.id, attributes)


def tell_volumes(context: Context, container: Container, action: str) -> None:
    """Publish that a container's volumes are mounted, or unmounted, as Docker words it."""
    for point in container.mounts:
        if point["Type"] != "volume":
            continue
        attributes = {"container": container.id, "driver": point.get("Driver") or "local"}
        if action == "mount":
            attributes |= {
                "destination": point["Destination"],
                "propagation": point.get("Propagation") or "",
                "read/write": str(bool(point["RW"])).lower(),
            }
        context.events.emit("volume", action, point["Name"], attributes)


def cgroup_path(options: Options, container: Container) -> str:
    """The cgroup of a container, below the mount point of each hierarchy."""
    parent: str = container.host_config.get("CgroupParent") or options.cgroup_parent
    return f"{parent.strip('/')}/{container.id}"
