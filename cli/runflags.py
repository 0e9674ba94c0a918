"""The flags of `run` and `create`."""

from __future__ import annotations

from . import refused
from .flags import Flag, decimal, duration, many, size, switch, text, whole

NAMES_AND_STREAMS: tuple[Flag, ...] = (
    many("attach", "Attach to stdin, stdout or stderr", "a"),
    text("cidfile", "Write the container's id to this file"),
    text("entrypoint", "Run this instead of the image's entrypoint", default=""),
    many("env", "Set an environment variable: NAME=VALUE, or NAME to pass ours on", "e"),
    many("env-file", "Read environment variables from a file"),
    text("domainname", "Domain name of the container"),
    text("hostname", "Host name of the container", "h"),
    switch("interactive", "Keep stdin open", "i"),
    many("label", "Label the container: NAME=VALUE", "l"),
    many("label-file", "Read labels from a file"),
    many("annotation", "Annotation handed to the OCI runtime: NAME=VALUE", kind="map"),
    text("name", "Name of the container"),
    text("platform", "Platform to take of a multi-platform image: os/arch[/variant]"),
    text("pull", 'Pull the image first: "always", "missing" or "never"', default="missing"),
    switch("quiet", "Don't show the progress of a pull", "q"),
    switch("tty", "Give the process a terminal", "t"),
    switch("use-api-socket", "Mount the engine's socket, and hand on the registries' credentials"),
    text("user", "User to run as: <name|uid>[:<group|gid>]", "u"),
    text("workdir", "Working directory in the container", "w"),
    switch("disable-content-trust", "Ignored: signatures are not checked", default=True),
)

LIFE: tuple[Flag, ...] = (
    text("health-cmd", "Command that checks the health"),
    duration("health-interval", "Time between two checks (ms|s|m|h)"),
    whole("health-retries", "Failed checks in a row that make it unhealthy"),
    duration("health-start-interval", "Time between two checks while it starts (ms|s|m|h)"),
    duration("health-start-period", "Time to start in before failures count (ms|s|m|h)"),
    duration("health-timeout", "Longest time for one check (ms|s|m|h)"),
    switch("no-healthcheck", "Don't use the image's health check"),
    switch("init", "Run an init as process 1: it passes signals on and collects the dead"),
    text("log-driver", "Where the output is logged to"),
    many("log-opt", "Option of the log driver: NAME=VALUE"),
    text("restart", "When to start it again: no, on-failure[:n], always, unless-stopped",
         default="no"),
    switch("rm", "Remove the container and its anonymous volumes when it exits"),
    text("runtime", "OCI runtime to use"),
    text("stop-signal", "Signal that stops the container"),
    whole("stop-timeout", "Seconds to wait for the stop before killing", default=None),
)  # fmt: skip

NETWORK: tuple[Flag, ...] = (
    many("add-host", "Line for /etc/hosts: name:address"),
    many("dns", "DNS server"),
    many("dns-option", "Option for resolv.conf", aliases=("dns-opt",)),
    many("dns-search", "DNS search domain"),
    many("expose", "Port, or range of ports, that is exposed"),
    text("ip", "IPv4 address (e.g., 172.30.100.104)"),
    text("ip6", "IPv6 address (e.g., 2001:db8::33)"),
    many("link", "Make another container known: container[:alias]"),
    many("link-local-ip", "Link-local address"),
    text("mac-address", "MAC address (e.g., 92:d0:c6:0a:29:33)"),
    many("network", "Network to connect to", kind="network", aliases=("net",)),
    many("network-alias", "Further name on the network", aliases=("net-alias",)),
    many("publish", "Publish a port: [address:][host port:]port[/protocol]", "p"),
    switch("publish-all", "Publish every exposed port on a free port of the host", "P"),
)

FILES: tuple[Flag, ...] = (
    many("mount", "Mount: type=bind|volume|tmpfs,source=…,target=…[,readonly]…", kind="mount"),
    switch("read-only", "Make the root file system read-only"),
    size("shm-size", "Size of /dev/shm"),
    many("storage-opt", "Option of the storage driver: NAME=VALUE"),
    many("tmpfs", "Mount a tmpfs: path[:options]"),
    many("volume", "Mount a folder or volume: [source:]target[:options]", "v"),
    text("volume-driver", "Volume driver"),
    many("volumes-from", "Mount the volumes of another container: container[:ro|rw]"),
)

RIGHTS: tuple[Flag, ...] = (
    many("cap-add", "Add a capability"),
    many("cap-drop", "Drop a capability"),
    text("cgroup-parent", "Parent cgroup"),
    text("cgroupns", "Cgroup namespace: host or private"),
    many("device", "Add a device of the host: path[:path[:rwm]]"),
    many("device-cgroup-rule", "Rule for allowed devices: type major:minor rwm"),
    text("gpus", "GPUs to add ('all')", kind="gpu-request"),
    many("group-add", "Further group of the process"),
    text("ipc", "IPC namespace: private, shareable, host, none, container:name"),
    text("isolation", "Isolation technology (default)"),
    text("pid", "PID namespace: host, container:name"),
    switch("privileged", "Give the process every right of the engine"),
    many("security-opt", "Security option: no-new-privileges, seccomp=…, …"),
    many("sysctl", "Kernel parameter: NAME=VALUE", kind="map"),
    many("ulimit", "Resource limit: name=soft[:hard]", kind="ulimit"),
    text("userns", "User namespace: host"),
    text("uts", "UTS namespace: host"),
)

RESOURCES: tuple[Flag, ...] = (
    whole("blkio-weight", "Block I/O weight: 10 to 1000, 0 for none"),
    many("blkio-weight-device", "Block I/O weight of a device: path:weight"),
    whole("cpu-period", "CFS period in microseconds"),
    whole("cpu-quota", "CFS quota in microseconds"),
    whole("cpu-rt-period", "Real-time period in microseconds"),
    whole("cpu-rt-runtime", "Real-time run time in microseconds"),
    whole("cpu-shares", "CPU shares: a relative weight", "c"),
    decimal("cpus", "Number of CPUs"),
    text("cpuset-cpus", "CPUs it may run on: 0-3 or 0,1"),
    text("cpuset-mems", "Memory nodes it may use: 0-3 or 0,1"),
    many("device-read-bps", "Read limit of a device: path:bytes per second"),
    many("device-read-iops", "Read limit of a device: path:reads per second"),
    many("device-write-bps", "Write limit of a device: path:bytes per second"),
    many("device-write-iops", "Write limit of a device: path:writes per second"),
    size("kernel-memory", "Ignored: the kernel has no such limit any more"),
    size("memory", "Memory limit", "m"),
    size("memory-reservation", "Memory soft limit"),
    size("memory-swap", "Limit of memory plus swap; -1 for no limit on swap"),
    whole("memory-swappiness", "How readily memory is swapped: 0 to 100", default=-1),
    switch("oom-kill-disable", "Don't kill the process when memory runs out"),
    whole("oom-score-adj", "Preference of the host's OOM killer: -1000 to 1000"),
    whole("pids-limit", "Limit of processes; -1 for none"),
    *(
        refused.value(name, refused.WINDOWS)
        for name in ("cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops")
    ),
)

CREATE_FLAGS = (*NAMES_AND_STREAMS, *LIFE, *NETWORK, *FILES, *RIGHTS, *RESOURCES)

RUN_FLAGS = (
    *CREATE_FLAGS,
    switch("detach", "Run in the background and print the container's id", "d"),
    text("detach-keys", "Keys that leave the container running (ctrl-p,ctrl-q)"),
    switch("sig-proxy", "Pass signals on to the process", default=True),
)
