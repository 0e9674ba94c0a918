"""Modes and options of a create request that must be one of a few words, or that are not here."""

from __future__ import annotations

import re

from ..host.errors import InvalidError
from . import regex
from .signals import signal_number
from .types import Json
from .volumes import check_driver

# Of each mode, the words it may be; `container:NAME` beside them where `_SHARED` says so.
_MODES = {
    "IpcMode": ("IPC", ("", "none", "private", "shareable", "host")),
    "PidMode": ("PID", ("", "host")),
    "UTSMode": ("UTS", ("", "host")),
    "UsernsMode": ("userns", ("", "host")),
    "CgroupnsMode": ("cgroup namespace", ("", "private", "host")),
}
_SHARED = ("IpcMode", "PidMode")
_QOS = {"IOMaximumIOps": "maximum IOPs", "IOMaximumBandwidth": "maximum bandwidth"}
_SECURITY = frozenset({"label", "seccomp", "apparmor", "no-new-privileges", "systempaths"})
_LOG_OPTIONS = {"max-size", "max-file", "compress", "mode", "max-buffer-size"}
_TOLD = {"labels", "labels-regex", "env", "env-regex", "tag"}
# mount(8)'s words for a tmpfs, and those with a value.
_TMPFS_TEXT = """defaults ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand
    nomand atime noatime diratime nodiratime relatime norelatime strictatime nostrictatime private
    rprivate shared rshared slave rslave unbindable runbindable bind rbind"""
_TMPFS_WORDS = frozenset(_TMPFS_TEXT.split())
_TMPFS_VALUES = {"mode", "uid", "gid", "size", "nr_blocks", "nr_inodes", "mpol"}


def check(config: Json, host: Json) -> None:
    """Raise InvalidError, in Docker's words, for the first that cannot be."""
    for key, (shown, words) in _MODES.items():
        mode = str(host.get(key) or "")
        joined = key in _SHARED and mode.startswith("container:") and mode != "container:"
        if mode not in words and not joined:
            raise InvalidError(f"Invalid {shown} mode: {mode}")
    if host.get("Isolation") not in (None, "", "default"):
        raise InvalidError(
            f"Invalid isolation: \"{host['Isolation']}\" - linux only supports 'default'"
        )
    if config.get("StopSignal"):
        signal_number(config["StopSignal"])
    if host.get("StorageOpt"):
        raise InvalidError(
            "--storage-opt is not supported: a container's writable layer has no quota here"
        )
    if (host.get("ShmSize") or 0) < 0:
        raise InvalidError("SHM size can not be less than 0")
    for key, what in _QOS.items():
        if host.get(key):
            raise InvalidError(
                f"invalid QoS settings: linux does not support configuration of {what}"
            )
    for option in host.get("SecurityOpt") or ():
        _check_security(option)
    if host.get("Links") and host.get("NetworkMode") == "host":
        raise InvalidError(
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior"
        )
    _check_volumes(host)
    _check_log(host["LogConfig"])
    for target, text in (host.get("Tmpfs") or {}).items():
        _check_tmpfs(target, text)


def check_asked(config: Json, host: Json) -> None:
    """The same of what was asked for itself, before anything is filled in."""
    if config.get("Hostname") and host["UTSMode"] == "host":
        raise InvalidError("conflicting options: hostname and the UTS mode")


def _check_volumes(host: Json) -> None:
    # It is of named volumes alone: clients send it with everything.
    if any(not str(bind).startswith("/") for bind in host.get("Binds") or ()):
        check_driver(host.get("VolumeDriver") or "")
    for entry in host.get("Mounts") or ():
        options = entry.get("VolumeOptions") or {}
        check_driver((options.get("DriverConfig") or {}).get("Name") or "")


def _check_log(log: Json) -> None:
    _check_delivery(log["Config"])
    known = _LOG_OPTIONS if log["Type"] == "local" else _LOG_OPTIONS | _TOLD
    for name in log["Config"]:
        if name not in known and log["Type"] != "none":
            raise InvalidError(f"unknown log opt '{name}' for {log['Type']} log driver")
        if name.endswith("-regex"):
            try:
                regex.compiled(log["Config"][name])
            except InvalidError as error:
                raise InvalidError(f"invalid log opt {name}: {error}") from None


def _check_delivery(options: Json) -> None:
    mode = options.get("mode") or "blocking"
    if mode not in ("blocking", "non-blocking"):
        raise InvalidError(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options and mode != "non-blocking":
        raise InvalidError(
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
        )


def _check_security(option: str) -> None:
    name = re.split("[=:]", option, maxsplit=1)[0]
    if name in ("no-new-privileges", "disable") or (name != option and name in _SECURITY):
        return
    raise InvalidError(f'invalid --security-opt {1 if name == option else 2}: "{option}"')


def _check_tmpfs(target: str, text: str) -> None:
    for word in filter(None, text.split(",")):
        name, equals, _ = word.partition("=")
        if name not in (_TMPFS_VALUES if equals else _TMPFS_WORDS):
            raise InvalidError(f'invalid tmpfs option ["{word}"] (for {target})')
