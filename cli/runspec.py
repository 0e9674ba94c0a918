"""From the flags of `run` and `create` to the body the API wants for a new container."""

from __future__ import annotations

from ..host.light import TYPE_CHECKING, Any
from . import envfile, limits, mounts, ports
from .flags import Parsed, UsageError

if TYPE_CHECKING:
    import os
else:
    from ..host import lightos as os

Json = dict[str, Any]

_NAMED_MODES = ("default", "bridge", "host", "none", "nat")


def build(parsed: Parsed) -> Json:
    """The body of POST /containers/create. Raises UsageError for what can't be."""
    _check(parsed)
    config = _config(parsed)
    config["HostConfig"] = _host_config(parsed)
    config["NetworkingConfig"] = {"EndpointsConfig": _endpoints(parsed, config["HostConfig"])}
    return config


def _check(parsed: Parsed) -> None:
    if parsed["pull"] not in ("always", "missing", "never"):
        raise UsageError(
            f'invalid pull option: \'{parsed["pull"]}\': must be one of "always", "missing"'
            ' or "never"'
        )
    for stream in parsed["attach"]:
        if stream.lower() not in ("stdin", "stdout", "stderr"):
            raise UsageError(
                f'invalid argument "{stream}" for "-a, --attach" flag: valid streams are STDIN,'
                " STDOUT and STDERR"
            )
    swappiness = parsed["memory-swappiness"]
    if swappiness != -1 and not 0 <= swappiness <= 100:
        raise UsageError(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    if parsed["rm"] and parsed["restart"] not in ("no", ""):
        raise UsageError("conflicting options: cannot specify both --restart and --rm")


def streams(parsed: Parsed) -> tuple[bool, bool, bool]:
    """Whether stdin, stdout and stderr are attached to."""
    wanted = {stream.lower() for stream in parsed["attach"]}
    if not wanted:
        detached = bool(parsed.values.get("detach"))
        return (parsed["interactive"] and not detached), not detached, not detached
    return "stdin" in wanted, "stdout" in wanted, "stderr" in wanted


def _config(parsed: Parsed) -> Json:
    stdin, stdout, stderr = streams(parsed)
    exposed, _ = ports.parse_publish(parsed["publish"])
    exposed.update(ports.parse_expose(parsed["expose"]))
    _, anonymous = mounts.parse_volumes(parsed["volume"])
    config: Json = {
        "Hostname": parsed["hostname"],
        "Domainname": parsed["domainname"],
        "User": parsed["user"],
        "AttachStdin": stdin,
        "AttachStdout": stdout,
        "AttachStderr": stderr,
        "ExposedPorts": exposed,
        "Tty": parsed["tty"],
        "OpenStdin": parsed["interactive"],
        "StdinOnce": parsed["interactive"] and stdin,
        "Env": envfile.environment(parsed["env"], parsed["env-file"]),
        "Cmd": parsed.args[1:] or None,
        "Image": parsed.args[0],
        "Volumes": anonymous,
        "WorkingDir": parsed["workdir"],
        "Labels": envfile.labels(parsed["label"], parsed["label-file"]),
    }
    if "entrypoint" in parsed:
        # An empty one removes the image's: Docker's API takes [""] for that.
        config["Entrypoint"] = [parsed["entrypoint"]]
    if parsed["stop-signal"]:
        config["StopSignal"] = parsed["stop-signal"]
    if parsed["stop-timeout"] is not None:
        config["StopTimeout"] = parsed["stop-timeout"]
    health = _health(parsed)
    if health:
        config["Healthcheck"] = health
    return config


def _health(parsed: Parsed) -> Json:
    """Config.Healthcheck; empty when no flag is about it."""
    names = {
        "health-interval": "Interval",
        "health-timeout": "Timeout",
        "health-start-period": "StartPeriod",
        "health-start-interval": "StartInterval",
        "health-retries": "Retries",
    }
    given = [name for name in names if parsed[name]]
    if parsed["no-healthcheck"]:
        if given or parsed["health-cmd"]:
            raise UsageError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    for name in given:
        if parsed[name] < 0:
            raise UsageError(f"--{name} cannot be negative")
    found: Json = {names[name]: parsed[name] for name in given}
    if parsed["health-cmd"]:
        found["Test"] = ["CMD-SHELL", parsed["health-cmd"]]
    return found


def _host_config(parsed: Parsed) -> Json:
    binds, _ = mounts.parse_volumes(parsed["volume"])
    _, bindings = ports.parse_publish(parsed["publish"])
    security, extra = _security(parsed["security-opt"])
    networks = [network_of(text) for text in parsed["network"]]
    host: Json = {
        "Binds": binds or None,
        "ContainerIDFile": parsed["cidfile"],
        "LogConfig": {"Type": parsed["log-driver"], "Config": _pairs(parsed, "log-opt")},
        "NetworkMode": networks[0]["name"] if networks else "default",
        "PortBindings": bindings,
        "RestartPolicy": restart_policy(parsed["restart"]),
        "AutoRemove": parsed["rm"],
        "VolumeDriver": parsed["volume-driver"],
        "VolumesFrom": parsed["volumes-from"] or None,
        "CapAdd": parsed["cap-add"] or None,
        "CapDrop": parsed["cap-drop"] or None,
        "CgroupnsMode": parsed["cgroupns"],
        "Dns": parsed["dns"],
        "DnsOptions": parsed["dns-option"],
        "DnsSearch": parsed["dns-search"],
        "ExtraHosts": [extra_host(text) for text in parsed["add-host"]] or None,
        "GroupAdd": parsed["group-add"] or None,
        "IpcMode": parsed["ipc"],
        "Links": parsed["link"] or None,
        "OomScoreAdj": parsed["oom-score-adj"],
        "PidMode": parsed["pid"],
        "Privileged": parsed["privileged"],
        "PublishAllPorts": parsed["publish-all"],
        "ReadonlyRootfs": parsed["read-only"],
        "SecurityOpt": security or None,
        "UTSMode": parsed["uts"],
        "UsernsMode": parsed["userns"],
        "ShmSize": parsed["shm-size"],
        "Runtime": parsed["runtime"],
        "Isolation": parsed["isolation"],
        "ConsoleSize": [0, 0],
        **extra,
        **limits.resources(parsed),
    }
    optional = {
        "Annotations": _pairs(parsed, "annotation"),
        "StorageOpt": _pairs(parsed, "storage-opt"),
        "Sysctls": _pairs(parsed, "sysctl"),
        "Tmpfs": mounts.parse_tmpfs(parsed["tmpfs"]),
        "Mounts": [mounts.parse_mount(spec) for spec in parsed["mount"]],
        "Init": parsed.chosen("init"),
    }
    host.update({name: value for name, value in optional.items() if value not in (None, {}, [])})
    return host


def _pairs(parsed: Parsed, name: str) -> dict[str, str]:
    """The NAME=VALUE values of a flag. Raises UsageError for one without a value."""
    found = {}
    for text in parsed[name]:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f'invalid argument "{text}" for "--{name}" flag: write NAME=VALUE')
        found[key] = value
    return found


def restart_policy(text: str) -> Json:
    """HostConfig.RestartPolicy of `no`, `always`, `unless-stopped` or `on-failure[:n]`."""
    name, colon, count = text.partition(":")
    if colon and not count.isdigit():
        raise UsageError("invalid restart policy format: maximum retry count must be an integer")
    return {"Name": name or "no", "MaximumRetryCount": int(count or 0)}


def extra_host(text: str) -> str:
    """`name:address`, of a flag that may write it with `=` and the address in brackets."""
    import re

    at = re.search(r"[:=]", text)
    if at is None or not text[: at.start()]:
        raise UsageError(f'invalid argument "{text}" for "--add-host" flag: bad format')
    name, address = text[: at.start()], text[at.end() :]
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if address != "host-gateway":
        import ipaddress

        try:
            ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            raise UsageError(
                f'invalid argument "{text}" for "--add-host" flag: invalid IP address in'
                f' add-host: "{address}"'
            ) from None
    return f"{name}:{address}"


def _security(texts: list[str]) -> tuple[list[str], Json]:
    """(SecurityOpt, further HostConfig): profiles are read here, the engine may be far away."""
    options: list[str] = []
    extra: Json = {}
    for text in texts:
        name, separator, value = _split_option(text)
        if text == "systempaths=unconfined":
            extra.update({"MaskedPaths": [], "ReadonlyPaths": []})
            continue
        if not separator and name != "no-new-privileges":
            raise UsageError(f'invalid --security-opt: "{text}"')
        if name == "seccomp" and value not in ("unconfined", "builtin"):
            try:
                with open(os.path.expanduser(value), encoding="utf-8") as file:
                    text = f"seccomp={file.read()}"
            except OSError as error:
                raise UsageError(
                    f"opening seccomp profile ({value}) failed: {error.strerror}"
                ) from None
        options.append(text)
    return options, extra


def _split_option(text: str) -> tuple[str, str, str]:
    import re

    at = re.search(r"[=:]", text)
    return (text[: at.start()], at.group(), text[at.end() :]) if at else (text, "", "")


def network_of(text: str) -> Json:
    """One `--network`: a name, or `name=…,alias=…,ip=…,ip6=…,mac-address=…,driver-opt=…`."""
    if "=" not in text:
        return {"name": text}
    found: Json = {"name": "", "alias": [], "link-local-ip": [], "driver-opt": {}}
    for item in text.split(","):
        key, _, value = item.strip().partition("=")
        if key in ("alias", "link-local-ip"):
            found[key].append(value)
        elif key == "driver-opt":
            name, _, option = value.partition("=")
            found[key][name] = option
        elif key in ("name", "ip", "ip6", "mac-address", "gw-priority"):
            found[key] = value
        else:
            raise UsageError(f"invalid field key {key} in --network {text}")
    if not found["name"]:
        raise UsageError(f"invalid field: --network {text} has no name")
    return found


def _endpoints(parsed: Parsed, host: Json) -> Json:
    """NetworkingConfig.EndpointsConfig: the flags about addresses belong to the first network."""
    networks = [network_of(text) for text in parsed["network"]] or [{"name": "default"}]
    flags: Json = {
        "alias": parsed["network-alias"],
        "ip": parsed["ip"],
        "ip6": parsed["ip6"],
        "link-local-ip": parsed["link-local-ip"],
        "mac-address": parsed["mac-address"],
        "links": parsed["link"],
    }
    flags = {name: value for name, value in flags.items() if value}
    name = networks[0]["name"]
    if flags.get("alias") and not _is_own(name):
        raise UsageError(
            f"conflicting options: network-scoped aliases need a user-defined network, not {name}"
        )
    networks[0].update(flags)
    return {one["name"]: _endpoint(one) for one in networks if len(one) > 1 or _is_own(one["name"])}


def _is_own(name: str) -> bool:
    """Whether a network mode names a network that someone made."""
    return name not in _NAMED_MODES and not name.startswith("container:")


def _endpoint(network: Json) -> Json:
    """Docker's EndpointSettings of one network."""
    found: Json = {}
    addresses = {
        "IPv4Address": network.get("ip"),
        "IPv6Address": network.get("ip6"),
        "LinkLocalIPs": network.get("link-local-ip"),
    }
    addresses = {name: value for name, value in addresses.items() if value}
    if addresses:
        found["IPAMConfig"] = addresses
    for key, name in (("alias", "Aliases"), ("mac-address", "MacAddress"), ("links", "Links"),
                      ("driver-opt", "DriverOpts")):  # fmt: skip
        if network.get(key):
            found[name] = network[key]
    if network.get("gw-priority"):
        found["GwPriority"] = int(network["gw-priority"])
    return found
