"""The options of Docker's local volume driver: `type`, `o` and `device`, as mount(8) has them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..host import syscalls
from ..host.errors import BayError, InvalidError

_FLAGS = {
    "ro": 1,
    "nosuid": 2,
    "nodev": 4,
    "noexec": 8,
    "sync": 16,
    "dirsync": 128,
    "noatime": 1024,
    "nodiratime": 2048,
    "bind": 4096,
    "rbind": 4096 | 16384,
    "relatime": 1 << 21,
    "strictatime": 1 << 24,
}
_IGNORED = frozenset(("rw", "suid", "dev", "exec", "async", "defaults"))
_KEYS = frozenset(("type", "o", "device", "size"))


@dataclass(frozen=True)
class VolumeMount:
    """What to mount on the volume's folder."""

    source: str
    kind: str
    flags: int
    data: str

    def mount(self, target: Path) -> None:
        """Mount it; raises BayError."""
        try:
            syscalls.mount(self.source, str(target), self.kind, self.flags, self._resolved())
            if self.flags & syscalls.MS_BIND and self.flags & syscalls.MS_RDONLY:
                # A bind takes its flags only when it is mounted again.
                again = self.flags | syscalls.MS_REMOUNT
                syscalls.mount("", str(target), "", again)
        except OSError as error:
            raise BayError(
                f"failed to mount local volume: mount {self.source}:{target}, data: {self.data}:"
                f" {error.strerror}"
            ) from error

    def _resolved(self) -> str:
        """nfs wants an address, not a name, in `addr=`."""
        if not self.kind.startswith("nfs") and self.kind != "cifs":
            return self.data
        parts = []
        for part in self.data.split(","):
            key, _, value = part.partition("=")
            if key == "addr":
                found = socket.getaddrinfo(value, None, type=socket.SOCK_STREAM)
                part = f"addr={found[0][4][0]}"
            parts.append(part)
        return ",".join(parts)


def mount_options(name: str, options: Mapping[str, str]) -> VolumeMount | None:
    """What the options ask to be mounted, if anything. Raises InvalidError."""
    for key in options:
        if key not in _KEYS:
            raise InvalidError(f'create {name}: invalid option: "{key}"')
    if not options.get("device") and not options.get("type"):
        if options:
            raise InvalidError(f"create {name}: missing device in volume options")
        return None
    if not options.get("device"):
        raise InvalidError(f"create {name}: missing device in volume options")
    flags = 0
    data = []
    for part in filter(None, options.get("o", "").split(",")):
        if part in _FLAGS:
            flags |= _FLAGS[part]
        elif part not in _IGNORED:
            data.append(part)
    kind = options.get("type", "")
    if not kind and not flags & syscalls.MS_BIND:
        raise InvalidError(f"create {name}: missing type in volume options")
    if kind == "none" or flags & syscalls.MS_BIND:
        kind = "none"
    if "size" in options:
        data.append(f"size={options['size']}")
    return VolumeMount(options["device"], kind, flags, ",".join(data))
