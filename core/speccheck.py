"""What a create request says about confinement and limits, checked before anything is made."""

from __future__ import annotations

from ..host.errors import InvalidError
from . import capabilities, logrotation, modecheck, resources, seccomp, specdevices, specprocess
from .types import Container, Json


def check(container: Container) -> list[str]:
    """Check all that `spec.build` will read, and complete the limits; warnings for the user.

    Raises InvalidError with Docker's sentence. What only a start can tell (a user in the rootfs)
    is not looked at. Reads devices and cgroup files: blocks.
    """
    config, host_config = container.config, container.host_config
    host = capabilities.available()
    security: list[str] = host_config.get("SecurityOpt") or []
    modecheck.check(config, host_config)
    warnings = resources.adapt(host_config)
    resources.oci(host_config)
    caps = capabilities.choose(host_config, host)
    wanted = capabilities.normalize(host_config.get("CapAdd") or (), "CapAdd")
    if lacking := sorted(set(wanted) - set(caps) - {"ALL"} - _dropped(container)):
        warnings.append(f"This host does not have {', '.join(lacking)} to give. Left out.")
    seccomp.choose(security, caps, bool(host_config.get("Privileged")))
    specprocess.no_new_privileges(security)
    specdevices.devices(host_config)
    strong = "CAP_SYS_RESOURCE" in host
    ulimits = host_config.get("Ulimits") or ()
    cut = specprocess.rlimits(ulimits, strong)
    if cut != specprocess.rlimits(ulimits, True):
        warnings.append("This engine may not raise its own limits: ulimits are cut to those.")
    specprocess.oom_score(host_config, strong, specprocess.own_oom_score())
    logrotation.limits(host_config.get("LogConfig") or {})
    specprocess.check_workdir(config.get("WorkingDir") or "/")
    _check_health(config.get("Healthcheck") or {})
    return warnings


def _check_health(health: Json) -> None:
    for name in ("Interval", "Timeout", "StartPeriod", "StartInterval"):
        if health.get(name) and health[name] < 1_000_000:
            raise InvalidError(f"{name} in Healthcheck cannot be less than 1ms")
    if (health.get("Retries") or 0) < 0:
        raise InvalidError("Retries in Healthcheck cannot be negative")


def _dropped(container: Container) -> set[str]:
    return set(capabilities.normalize(container.host_config.get("CapDrop") or (), "CapDrop"))
