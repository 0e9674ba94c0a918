"""Who a process in a container is: `user[:group]` by the container's own /etc/passwd and group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..host.errors import InvalidError
from ..host.inroot import read_inside

# An image may hold anything under these names; no real one is near it.
_LIMIT = 16 << 20
_MAX_ID = (1 << 31) - 1
_DIGITS = 20


@dataclass(frozen=True)
class Identity:
    """A resolved user: ids, supplementary groups, and home folder for `HOME`."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str

    def oci(self) -> dict[str, object]:
        """As OCI `process.user`. The primary group is among the supplementary ones (as in
        Docker): a process could else drop it to pass a file mode that denies that group."""
        extra = list(dict.fromkeys((self.gid, *self.groups)))
        return {"uid": self.uid, "gid": self.gid, "additionalGids": extra}


def resolve(rootfs: Path, user: str, group_add: Sequence[str] = ()) -> Identity:
    """Resolve Docker's `User` (`name`, `uid`, `name:group`, `uid:gid`, empty) and `GroupAdd`.

    Reads files below `rootfs`, links kept inside it. With a group named, the user's other groups
    are left out, as in Docker. Raises InvalidError with Docker's sentence for an unknown name.
    """
    name, _, group = user.partition(":")
    uid, gid, home, matched = 0, 0, "/", ""
    entry = _find_user(rootfs, name or "0")
    if entry is not None:
        matched, uid, gid, home = entry
    elif name:
        uid = _number(name, f"unable to find user {name}: no matching entries in passwd file")
    groups = list(_groups(rootfs)) if group or matched or group_add else []
    extra: list[int] = []
    if group:
        gid = _group_id(groups, group)
    elif matched:
        extra = [number for _, number, members in groups if matched in members]
    for added in group_add:
        extra.append(_added_group(groups, added))
    return Identity(uid, gid, tuple(dict.fromkeys(extra)), home or "/")


def lookup(read: Callable[[str], bytes | None], text: str) -> tuple[int, int]:
    """The (uid, gid) of `--chown`: names or numbers, a user alone being its own group.

    `read` gives a file's content by its path, None when it is not there. Raises InvalidError.
    """
    name, colon, group = text.partition(":")
    ids = []
    for path, wanted in (("/etc/passwd", name), ("/etc/group", group if colon else name)):
        if wanted.isdecimal():
            ids.append(_number(wanted, ""))
            continue
        what = "user" if path == "/etc/passwd" else "group"
        data = (read(path) or b"").decode(errors="surrogateescape")
        rows = [line.split(":") for line in data.splitlines()]
        found = [row[2] for row in rows if row[0] == wanted and len(row) > 2]
        if not found and what == "group" and not colon:
            ids.append(ids[0])
            continue
        missing = f"unable to convert uid/gid chown string to host mapping: can't find {what} for"
        if not found or not _is_number(found[0]):
            raise InvalidError(f"{missing} {what} {wanted}: no such {what} in {path}")
        ids.append(int(found[0]))
    return ids[0], ids[1]


def _find_user(rootfs: Path, name: str) -> tuple[str, int, int, str] | None:
    wanted = int(name) if _is_number(name) else None
    for fields in _lines(rootfs, "/etc/passwd", 6):
        if not _is_number(fields[2]) or not _is_number(fields[3]):
            continue
        if fields[0] == name or int(fields[2]) == wanted:
            return fields[0], int(fields[2]), int(fields[3]), fields[5]
    return None


def _groups(rootfs: Path) -> Iterator[tuple[str, int, list[str]]]:
    for fields in _lines(rootfs, "/etc/group", 3):
        if _is_number(fields[2]):
            yield fields[0], int(fields[2]), fields[3].split(",") if len(fields) > 3 else []


def _lines(rootfs: Path, path: str, least: int) -> Iterator[list[str]]:
    data = read_inside(rootfs, path, _LIMIT) or b""
    for line in data.decode(errors="surrogateescape").splitlines():
        fields = line.strip().split(":")
        if len(fields) >= least and not line.startswith("#"):
            yield fields


def _group_id(groups: list[tuple[str, int, list[str]]], group: str) -> int:
    for name, number, _ in groups:
        if name == group:
            return number
    return _number(group, f"unable to find group {group}: no matching entries in group file")


def _added_group(groups: list[tuple[str, int, list[str]]], group: str) -> int:
    for name, number, _ in groups:
        if name == group:
            return number
    return _number(group, f"Unable to find group {group}")


def _is_number(text: str) -> bool:
    """Whether it can be an id: Python refuses to read numbers of thousands of digits."""
    return text.isdecimal() and len(text) <= _DIGITS


def _number(text: str, message: str) -> int:
    if not text.isdecimal():
        raise InvalidError(message)
    if not _is_number(text) or int(text) > _MAX_ID:
        raise InvalidError(f"uids and gids must be in range 0-{_MAX_ID}")
    return int(text)
