"""Where an engine keeps its things, and the names that follow from it."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

DEFAULT_ROOT = Path("/var/lib/bay")
DEFAULT_RUN_ROOT = Path("/run/bay")


@dataclass(frozen=True)
class Options:
    """One engine's settings. Every kernel name derives from `root`: two engines never meet."""

    root: Path = DEFAULT_ROOT
    run_root: Path = DEFAULT_RUN_ROOT
    runtime: str | None = None
    debug: bool = False
    # Where ports are published that name no address: "0.0.0.0" is every one, IPv6 included.
    publish_on: str = "0.0.0.0"

    @functools.cached_property
    def tag(self) -> str:
        """Empty for the default root, else five hex digits of the root's path."""
        if self.root == DEFAULT_ROOT:
            return ""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:5]

    @property
    def bridge(self) -> str:
        """The default bridge's link name."""
        return f"by{self.tag}0" if self.tag else "bay0"

    @property
    def link_prefix(self) -> str:
        """What every link of this engine starts with; short, as a link name has 15 characters."""
        return f"by{self.tag}"

    @property
    def table(self) -> str:
        """The nftables table (family inet) that holds this engine's rules."""
        return f"bay_{self.tag}" if self.tag else "bay"

    @property
    def cgroup_parent(self) -> str:
        """The cgroup below which each container has its own."""
        return f"bay-{self.tag}" if self.tag else "bay"

    @property
    def socket(self) -> Path:
        """The unix socket that serves the API."""
        return self.run_root / "bay.sock"
