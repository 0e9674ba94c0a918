"""The OCI `process` of a container and of an exec in it: arguments, environment, user, limits."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..host.errors import InvalidError
from ..host.files import read_text
from . import capabilities, netlinks
from .types import Container, Json
from .users import Identity, resolve

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Where Docker puts the init of `--init`, inside.
INIT_PATH = "/sbin/docker-init"
_INFINITY = (1 << 64) - 1
_LIMIT_NAMES = """core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime
    sigpending stack"""
_LIMITS = frozenset(_LIMIT_NAMES.split())


def arguments(config: Json) -> list[str]:
    """Entrypoint and Cmd as one command. Raises InvalidError when there is none."""
    args = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
    if not args or not args[0]:
        raise InvalidError("no command specified")
    return args


def environment(
    container: Container, identity: Identity, terminal: bool, extra: Iterable[str] = ()
) -> list[str]:
    """PATH, HOSTNAME, HOME (and TERM on a terminal), unless `Config.Env` or `extra` say else.

    Later ones win; a name without `=` takes it out, as in Docker.
    """
    config = container.config
    values = {"PATH": DEFAULT_PATH, "HOSTNAME": config.get("Hostname") or container.id[:12]}
    if terminal:
        values["TERM"] = "xterm"
    linked: list[str] = []
    if container.host_config.get("Links"):
        linked = json.loads(read_text(container.bundle / netlinks.VARIABLES, "[]"))
    own = config.get("Env") or ()
    found = merge([f"{key}={value}" for key, value in values.items()], linked, own, extra)
    # The runtime's part with Docker: at the end, and only where nobody said otherwise.
    if not any(item.startswith("HOME=") for item in found):
        found.append(f"HOME={identity.home}")
    return found


def merge(*lists: Iterable[str]) -> list[str]:
    """Lists of `NAME=value` as one, in which each name is once: the last one's value."""
    values: dict[str, str] = {}
    for entries in lists:
        for entry in entries:
            name, equals, value = entry.partition("=")
            if equals:
                values[name] = value
            else:
                values.pop(name, None)
    return [f"{name}={value}" for name, value in values.items()]


def rlimits(ulimits: Sequence[Json], may_raise: bool) -> list[Json]:
    """`HostConfig.Ulimits` as OCI rlimits; -1 is no limit.

    Without CAP_SYS_RESOURCE (`may_raise` False) a hard limit cannot go up: it is cut to ours.
    """
    result = []
    for entry in ulimits:
        name = str(entry["Name"]).lower()
        if name not in _LIMITS:
            raise InvalidError(f"invalid ulimit type: {name}")
        soft, hard = (
            _INFINITY if int(entry[key]) < 0 else int(entry[key]) for key in ("Soft", "Hard")
        )
        if soft > hard:
            raise InvalidError(
                f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
            )
        if not may_raise:
            most = _hard_limit(name)
            soft, hard = min(soft, most), min(hard, most)
        result.append({"type": f"RLIMIT_{name.upper()}", "soft": soft, "hard": hard})
    return result


def _hard_limit(name: str) -> int:
    """This process's own hard limit; Python knows no RLIMIT_LOCKS, which Linux ignores anyway."""
    number = getattr(resource, f"RLIMIT_{name.upper()}", None)
    ours = resource.RLIM_INFINITY if number is None else resource.getrlimit(number)[1]
    return _INFINITY if ours == resource.RLIM_INFINITY else ours


def oom_score(host_config: Json, may_lower: bool, ours: int) -> int | None:
    """`OomScoreAdj`, 0 where none is asked for: the engine may have less, of its unit of systemd.

    Not under `ours`, the engine's own, without CAP_SYS_RESOURCE; None where nothing has to be done.
    """
    wanted = host_config.get("OomScoreAdj") or 0
    if not -1000 <= wanted <= 1000:
        raise InvalidError(f"Invalid value {wanted}, range for oom score adj is [-1000, 1000]")
    score = int(wanted) if may_lower else max(int(wanted), ours)
    return None if score == ours else score


def own_oom_score() -> int:
    """The engine's own, which its children have (proc(5))."""
    return int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii"))


def check_workdir(path: str) -> None:
    """Raises InvalidError for a working folder that is not absolute."""
    if not path.startswith("/"):
        raise InvalidError(
            f"the working directory '{path}' is invalid, it needs to be an absolute path"
        )


def no_new_privileges(security_opt: Iterable[str]) -> bool:
    """Whether `no-new-privileges` is asked for: alone, or with `true` behind `=` or `:`."""
    for option in security_opt:
        key, _, value = option.replace(":", "=", 1).partition("=")
        if key == "no-new-privileges":
            if value not in ("", "true", "false"):
                raise InvalidError(f"invalid --security-opt 2: {option!r}")
            return value != "false"
    return False


def process(container: Container, rootfs: Path, host: frozenset[str]) -> Json:
    """The OCI `process` of the container's command. `host`: see `capabilities.available`."""
    config, host_config = container.config, container.host_config
    identity = resolve(rootfs, config.get("User") or "", host_config.get("GroupAdd") or ())
    args = arguments(config)
    if host_config.get("Init"):
        args = [INIT_PATH, "--", *args]
    security: list[str] = host_config.get("SecurityOpt") or []
    strong = "CAP_SYS_RESOURCE" in host
    result: Json = {
        "terminal": container.tty,
        "user": identity.oci(),
        "args": args,
        "env": environment(container, identity, container.tty),
        "cwd": config.get("WorkingDir") or "/",
        "capabilities": capabilities.process_sets(capabilities.choose(host_config, host)),
        "noNewPrivileges": no_new_privileges(security),
    }
    size = host_config.get("ConsoleSize") or (0, 0)
    if container.tty and all(size):
        result["consoleSize"] = {"height": size[0], "width": size[1]}
    if limits := rlimits(host_config.get("Ulimits") or (), strong):
        result["rlimits"] = limits
    if (score := oom_score(host_config, strong, own_oom_score())) is not None:
        result["oomScoreAdj"] = score
    for option in security:
        key, _, value = option.replace(":", "=", 1).partition("=")
        if (
            key == "apparmor"
            and value != "unconfined"
            and Path("/sys/kernel/security/apparmor").exists()
        ):
            result["apparmorProfile"] = value
    return result


def exec_process(
    container: Container,
    base: Json,
    config: Json,
    rootfs: Path,
    size: tuple[int, int] | None = None,
) -> Json:
    """The OCI `process` of an exec with Docker's `ExecConfig`, from its container's own (`base`).

    `rootfs` is where its user is looked up; without one it is the container's. `size` is its
    terminal's (rows, columns).
    """
    user = config.get("User") or container.config.get("User") or ""
    identity = resolve(rootfs, user, container.host_config.get("GroupAdd") or ())
    terminal = bool(config.get("Tty"))
    sets = base["capabilities"]
    if config.get("Privileged"):
        everything = capabilities.choose({"Privileged": True})
        sets = capabilities.process_sets(everything)
    kept = ("rlimits", "noNewPrivileges", "apparmorProfile", "oomScoreAdj")
    console = {"height": size[0], "width": size[1]} if size and terminal else None
    return {
        **{key: base[key] for key in kept if key in base},
        **({"consoleSize": console} if console else {}),
        "terminal": terminal,
        "user": identity.oci(),
        "args": list(config["Cmd"]),
        "env": environment(container, identity, terminal, config.get("Env") or ()),
        "cwd": config.get("WorkingDir") or base["cwd"],
        "capabilities": sets,
    }
