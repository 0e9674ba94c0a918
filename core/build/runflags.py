"""The flags of RUN: --mount, --network, --security."""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...host.errors import InvalidError, UnsupportedError

KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")
_SIZES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True)
class Mount:
    """One --mount. `kind` is one of KINDS; what does not belong to a kind has its default."""

    kind: str
    target: str = ""
    source: str = ""
    origin: str = ""
    id: str = ""
    read_only: bool = False
    required: bool = False
    sharing: str = "shared"
    mode: int = -1
    uid: int = 0
    gid: int = 0
    size: int = 0
    env: str = ""


@dataclass(frozen=True)
class RunFlags:
    """What the flags of one RUN say; `network` is default, none or host."""

    mounts: tuple[Mount, ...] = ()
    network: str = "default"


def mount_sources(flags: Sequence[str]) -> list[str]:
    """The stages or images that mounts come from, of flags that were not checked yet."""
    found = []
    for flag in flags:
        name, _, value = flag.partition("=")
        if name == "--mount":
            fields = [item.partition("=") for item in value.split(",")]
            found += [text for key, _, text in fields if key.strip().lower() == "from" and text]
    return found


def parse(flags: Sequence[str], expand: Callable[[str], str]) -> RunFlags:
    """Read the flags; variables in mounts are replaced by `expand`.

    Raises InvalidError with Docker's sentences, UnsupportedError for --security=insecure.
    """
    mounts: list[Mount] = []
    network = "default"
    for flag in flags:
        name, equals, value = flag.partition("=")
        if name == "--mount":
            mounts.append(_mount(value, expand))
        elif name == "--network":
            if value not in ("default", "none", "host"):
                raise InvalidError(f"invalid network mode {value!r}: use default, none or host")
            network = value
        elif name == "--security":
            _security(value)
        elif name == "--device":
            raise UnsupportedError("RUN --device is not supported: builds get no devices")
        else:
            raise InvalidError(f"unknown flag: {name}")
        if not equals:
            raise InvalidError(f"missing a value on flag: {name}")
    return RunFlags(tuple(mounts), network)


def _security(value: str) -> None:
    if value == "insecure":
        raise UnsupportedError(
            "RUN --security=insecure is not allowed: steps of a build never run privileged"
        )
    if value != "sandbox":
        raise InvalidError(f"invalid security mode {value!r}: use sandbox")


def _mount(text: str, expand: Callable[[str], str]) -> Mount:
    found: dict[str, str] = {}
    for item in next(csv.reader([text]), []):
        key, equals, value = item.strip().partition("=")
        key = _ALIASES.get(key.lower(), key.lower())
        if not equals and key not in ("readonly", "readwrite", "required"):
            raise InvalidError(f"invalid field '{item}' must be a key=value pair")
        found[key] = expand(value) if equals else "true"
    kind = found.pop("type", "bind")
    if kind not in KINDS:
        raise InvalidError(f"unsupported mount type {kind!r}: use {', '.join(KINDS)}")
    for key in found:
        if key not in _ALLOWED[kind]:
            raise InvalidError(f"unexpected key '{key}' for mount type '{kind}'")
    target = found.get("target", "")
    if not target and kind in ("bind", "cache", "tmpfs"):
        raise InvalidError(f'invalid mount config for type "{kind}": target is required')
    sharing = found.get("sharing", "shared")
    if sharing not in ("shared", "private", "locked"):
        raise InvalidError(f"unsupported sharing value {sharing!r}")
    read_only = kind == "bind"
    if "readonly" in found:
        read_only = _truth(found["readonly"])
    if "readwrite" in found:
        read_only = not _truth(found["readwrite"])
    source = found.get("source", "")
    identity = found.get("id", "")
    if kind == "secret":
        identity = identity or source or posixpath.basename(target)
        if not identity:
            raise InvalidError("secret mounts need an id")
        if not target and not found.get("env"):
            target = f"/run/secrets/{posixpath.basename(identity)}"
    return Mount(
        kind,
        target,
        source,
        found.get("from", ""),
        identity,
        read_only,
        _truth(found.get("required", "false")),
        sharing,
        int(_octal(found["mode"])) if "mode" in found else -1,
        _number(found.get("uid", "0")),
        _number(found.get("gid", "0")),
        _size(found["size"]) if "size" in found else 0,
        found.get("env", ""),
    )


_ALIASES = {"dst": "target", "destination": "target", "src": "source", "ro": "readonly",
            "rw": "readwrite"}  # fmt: skip
_ALLOWED = {
    "bind": {"target", "source", "from", "readonly", "readwrite"},
    "cache": {"target", "source", "from", "id", "sharing", "readonly", "readwrite", "mode", "uid",
              "gid"},
    "tmpfs": {"target", "size"},
    "secret": {"target", "id", "source", "required", "mode", "uid", "gid", "env"},
    "ssh": {"target", "id", "required", "mode", "uid", "gid"},
}  # fmt: skip


def _truth(text: str) -> bool:
    if text.lower() in ("true", "1", "t"):
        return True
    if text.lower() in ("false", "0", "f"):
        return False
    raise InvalidError(f"invalid value {text!r} for a mount's flag: use true or false")


def _octal(text: str) -> int:
    try:
        return int(text, 8)
    except ValueError:
        raise InvalidError(f"invalid value {text} for mode: must be octal") from None


def _number(text: str) -> int:
    if not text.isdecimal():
        raise InvalidError(f"invalid value {text} for an id: must be a number")
    return int(text)


def _size(text: str) -> int:
    digits = text.rstrip("bBkKmMgG")
    unit = text[len(digits) :].lower().removesuffix("b") or ""
    if not digits.isdecimal() or unit not in _SIZES:
        raise InvalidError(f"invalid value {text} for size")
    return int(digits) * _SIZES[unit]
