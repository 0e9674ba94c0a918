"""What is mounted into a container: the forms of `-v`, `--mount` and `--tmpfs`."""

from __future__ import annotations

from ..host.light import TYPE_CHECKING, Any, Iterable
from . import units
from .flags import UsageError

if TYPE_CHECKING:
    import os
else:
    from ..host import lightos as os

Json = dict[str, Any]

_TYPES = ("bind", "volume", "tmpfs", "image", "cluster", "npipe")
_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")


def parse_volumes(specs: Iterable[str]) -> tuple[list[str], Json]:
    """(HostConfig.Binds, Config.Volumes) of `-v` flags. Raises UsageError.

    A source that starts with `.` or `~` is a path of this machine: it is made absolute.
    """
    binds: list[str] = []
    anonymous: Json = {}
    for spec in specs:
        source, colon, rest = spec.partition(":")
        if not spec or (colon and not source) or (colon and not rest):
            raise UsageError(f"invalid volume specification: '{spec}'")
        if not colon:
            if spec == "/":
                raise UsageError("invalid specification: destination can't be '/'")
            anonymous[spec] = {}
            continue
        if source == "~" or source.startswith((".", "~/")):
            source = os.path.abspath(os.path.expanduser(source))
        binds.append(f"{source}:{rest}")
    return binds, anonymous


def parse_tmpfs(specs: Iterable[str]) -> dict[str, str]:
    """HostConfig.Tmpfs of `--tmpfs` flags: path[:options]."""
    found = {}
    for spec in specs:
        path, _, options = spec.partition(":")
        found[path] = options
    return found


def parse_mount(spec: str) -> Json:
    """One of HostConfig.Mounts, of `type=bind,source=…,target=…`. Raises UsageError."""
    mount: Json = {"Type": "volume"}
    for name, value, has_value in _fields(spec):
        _take(mount, spec, name.lower(), value, has_value)
    _check(mount, spec)
    return mount


def _fields(spec: str) -> list[tuple[str, str, bool]]:
    """The fields of a comma-separated line; quotes (RFC 4180) protect commas."""
    items = spec.split(",")
    if '"' in spec:
        import csv

        items = next(csv.reader([spec]))
    pairs = [item.partition("=") for item in items]
    return [(name.strip(), value, bool(equals)) for name, equals, value in pairs]


def _take(mount: Json, spec: str, name: str, value: str, has_value: bool) -> None:
    """Put one field into `mount`."""
    flag = _flag(spec, name, value, has_value)
    if flag is not None:
        _take_flag(mount, name, flag)
        return
    if not has_value:
        raise UsageError(f"invalid field '{name}' must be a key=value pair")
    if name == "type":
        if value.lower() not in _TYPES:
            raise UsageError(f"invalid mount type '{value}': use bind, volume, tmpfs or image")
        mount["Type"] = value.lower()
    elif name in ("source", "src"):
        local = value.startswith(".") and ("/" in value or value in (".", ".."))
        mount["Source"] = os.path.abspath(value) if local else value
    elif name in ("target", "dst", "destination"):
        mount["Target"] = value
    elif name == "consistency":
        mount["Consistency"] = value.lower()
    elif name == "bind-propagation":
        if value.lower() not in _PROPAGATIONS:
            raise UsageError(f"invalid propagation '{value}': use {', '.join(_PROPAGATIONS)}")
        _options(mount, "BindOptions")["Propagation"] = value.lower()
    elif name == "bind-recursive":
        _recursive(mount, value)
    else:
        _take_kind_field(mount, spec, name, value)


def _take_kind_field(mount: Json, spec: str, name: str, value: str) -> None:
    """Put a field of volumes, tmpfs or images into `mount`."""
    if name in ("volume-label", "volume-opt"):
        key, _, content = value.partition("=")
        options = _options(mount, "VolumeOptions")
        if name == "volume-label":
            options.setdefault("Labels", {})[key] = content
        else:
            options.setdefault("DriverConfig", {}).setdefault("Options", {})[key] = content
    elif name == "volume-driver":
        _options(mount, "VolumeOptions").setdefault("DriverConfig", {})["Name"] = value
    elif name in ("volume-subpath", "image-subpath"):
        _options(mount, "VolumeOptions" if name[0] == "v" else "ImageOptions")["Subpath"] = value
    elif name == "tmpfs-size":
        try:
            _options(mount, "TmpfsOptions")["SizeBytes"] = units.parse_size(value)
        except ValueError:
            raise UsageError(f"invalid value for {name}: {value}") from None
    elif name == "tmpfs-mode":
        try:
            _options(mount, "TmpfsOptions")["Mode"] = int(value, 8)
        except ValueError:
            raise UsageError(f"invalid value for {name}: {value}") from None
    else:
        raise UsageError(f"unexpected key '{name}' in '{name}={value}' of --mount {spec}")


def _flag(spec: str, name: str, value: str, has_value: bool) -> bool | None:
    """The value of a field that is on or off; None for another field."""
    if name not in ("readonly", "ro", "bind-nonrecursive", "bind-create-src", "volume-nocopy"):
        return None
    try:
        return units.parse_bool(value) if has_value else True
    except ValueError:
        raise UsageError(f"invalid value for {name}: {value} (--mount {spec})") from None


def _take_flag(mount: Json, name: str, on: bool) -> None:
    if name in ("readonly", "ro"):
        mount["ReadOnly"] = on
    elif name == "bind-nonrecursive":
        _options(mount, "BindOptions")["NonRecursive"] = on
    elif name == "bind-create-src":
        _options(mount, "BindOptions")["CreateMountpoint"] = on
    else:
        _options(mount, "VolumeOptions")["NoCopy"] = on


def _recursive(mount: Json, value: str) -> None:
    options = _options(mount, "BindOptions")
    known = {
        "enabled": {},
        "disabled": {"NonRecursive": True},
        "writable": {"ReadOnlyNonRecursive": True},
        "readonly": {"ReadOnlyForceRecursive": True},
    }
    if value not in known:
        raise UsageError(f"invalid bind-recursive '{value}': use {', '.join(known)}")
    options.update(known[value])


def _options(mount: Json, name: str) -> Json:
    found: Json = mount.setdefault(name, {})
    return found


def _check(mount: Json, spec: str) -> None:
    """Refuse a mount without a target, or with options of another type."""
    if not mount.get("Target"):
        raise UsageError(f"target is required (--mount {spec})")
    kind = mount["Type"]
    if kind == "bind" and not mount.get("Source"):
        raise UsageError(f"source is required for a bind mount (--mount {spec})")
    for name in ("bind", "volume", "tmpfs", "image"):
        if f"{name.capitalize()}Options" in mount and kind != name:
            raise UsageError(f"cannot mix '{name}-*' options with mount type '{kind}'")
