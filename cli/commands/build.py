"""`bay build`: an image from a Dockerfile."""

from __future__ import annotations

import os
import sys

from ...host import quickjson
from ...host.errors import InvalidError, NotFoundError, UnsupportedError
from ...host.light import TYPE_CHECKING, Any
from .. import refused
from ..app import App
from ..auth import build_header
from ..buildcontext import Sending, prepare
from ..buildprogress import show
from ..command import Command
from ..flags import Parsed as Given
from ..flags import UsageError, many, size, switch, text, whole

if TYPE_CHECKING:
    from ..buildoutput import Output

Json = dict[str, Any]
_ATTESTATIONS = "images are built without attestations"
_NO_ATTESTATIONS = ("type=provenance,disabled=true", "type=sbom,disabled=true")
_PROGRESS = ("auto", "plain", "tty", "quiet", "rawjson")


def run_build(app: App, parsed: Given) -> int | None:
    """Build, or with --check only look at the Dockerfile."""
    _refuse(parsed)
    in_place = _sees_the_same(app)
    sending = prepare(parsed.args[0], parsed["file"], in_place)
    parameters = {**_parameters(app, parsed), **sending.parameters}
    if parsed["build-context"]:
        from .. import buildnamed

        named = buildnamed.parse(parsed["build-context"])
        told = parameters["bay-contexts"] = buildnamed.parameters(named, in_place)
        body = buildnamed.with_folders(sending.body, named, told)
        sending = Sending(sending.parameters, body)
    if parsed["check"] or parsed["call"] == "check":
        return _check(app, parameters, sending)
    if parsed["secret"]:
        secrets = _secrets(parsed["secret"])
        parameters["bay-secrets"] = app.client.post("/bay/build/secrets", secrets)["token"]
    parameters["bay-details"] = True
    outputs: list[Output] = []
    before: set[str] = set()
    pushed: list[str] = []
    if parsed["output"] or parsed["push"]:
        from .. import buildoutput

        items = [*parsed["output"], *(["type=registry"] if parsed["push"] else [])]
        outputs = buildoutput.parse(items)
        pushed = buildoutput.pushed(outputs, list(parsed["tag"]))
        names = [one.name for one in outputs if one.name]
        parameters["t"] = (*parsed["tag"], *names) or None
        before = buildoutput.untagged(app.client)
    style = "quiet" if parsed["quiet"] else parsed["progress"]
    if style == "auto":
        style = "tty" if sys.stderr.isatty() else "plain"
    headers = {"Content-Type": "application/x-tar", **build_header(app.config)}
    messages = app.client.stream("POST", "/build", parameters, sending.body, headers)
    image = show(messages, sys.stderr, style)
    if parsed["iidfile"]:
        with open(parsed["iidfile"], "w", encoding="ascii") as file:
            file.write(image)
    if parsed["metadata-file"]:
        _describe(parsed["metadata-file"], image, parameters["t"] or ())
    if outputs:
        buildoutput.write(app.client, outputs, image, list(parsed["tag"]))
        if not buildoutput.makes_image(outputs) and not parameters["t"] and image not in before:
            app.client.delete(f"/images/{image}")
        for name in pushed:
            from .archives import push

            push(app, name, quiet=parsed["quiet"])
    if parsed["quiet"] and (not outputs or buildoutput.makes_image(outputs)):
        app.out(image)
    return None


def _refuse(parsed: Given) -> None:
    """What Docker's BuildKit does and this builder does not."""
    if parsed["progress"] not in _PROGRESS:
        raise UsageError(
            f"invalid progress mode {parsed['progress']}: use one of {', '.join(_PROGRESS)}"
        )
    if parsed["call"] not in ("build", "check"):
        raise UnsupportedError(f"--call {parsed['call']} is not supported: use build or check")
    if parsed["squash"]:
        raise UnsupportedError("--squash is not supported: layers stay as the steps made them")


def _describe(path: str, image: str, names: tuple[str, ...]) -> None:
    """What was built, with buildx's names for it."""
    found = {"containerimage.config.digest": image, "containerimage.digest": image}
    if names:
        found["image.name"] = ",".join(names)
    with open(path, "w", encoding="utf-8") as file:
        file.write(quickjson.dumps(found) + "\n")


def _sees_the_same(app: App) -> bool:
    """Whether the engine reads the same files as this process, at the same paths."""
    if app.host.kind != "unix":
        return False
    # Docker's own engine does not say.
    theirs = app.client.greeting.get("bay-mount-namespace")
    return bool(theirs) and theirs == os.readlink("/proc/self/ns/mnt")


def _parameters(app: App, parsed: Given) -> Json:
    network = parsed["network"]
    hosts, ulimits = [], []
    if parsed["add-host"]:
        from ..runspec import extra_host

        hosts = [extra_host(one) for one in parsed["add-host"]]
    if parsed["ulimit"]:
        from ..limits import parse_ulimit

        ulimits = [parse_ulimit(one) for one in parsed["ulimit"]]
    found: Json = {
        "t": tuple(parsed["tag"]) or None,
        "buildargs": _pairs(parsed["build-arg"], environment=True) or None,
        "labels": _pairs(parsed["label"]) or None,
        "target": parsed["target"] or None,
        "nocache": parsed["no-cache"] or None,
        "bay-nocachefilter": ",".join(parsed["no-cache-filter"]).split(",")
        if parsed["no-cache-filter"]
        else None,
        "pull": parsed["pull"] or None,
        "q": parsed["quiet"] or None,
        "networkmode": network if network != "default" else None,
        "platform": parsed["platform"] or None,
        "extrahosts": ",".join(hosts) or None,
        "memory": parsed["memory"] or None,
        "memswap": parsed["memory-swap"] or None,
        "shmsize": parsed["shm-size"] or None,
        "cpushares": parsed["cpu-shares"] or None,
        "cpuperiod": parsed["cpu-period"] or None,
        "cpuquota": parsed["cpu-quota"] or None,
        "cpusetcpus": parsed["cpuset-cpus"] or None,
        "cpusetmems": parsed["cpuset-mems"] or None,
        "cgroupparent": parsed["cgroup-parent"] or None,
        "ulimits": ulimits or None,
        "bay-ssh": _agents(app, parsed["ssh"]) or None,
    }
    return found


def _pairs(items: list[str], environment: bool = False) -> Json:
    """`name=value` items; a bare name takes the environment's value, or is left out."""
    found: Json = {}
    for item in items:
        name, equals, value = item.partition("=")
        if equals:
            found[name] = value
        elif not environment:
            found[name] = ""
        elif name in os.environ:
            found[name] = os.environ[name]
    if environment and "SOURCE_DATE_EPOCH" in os.environ:
        found.setdefault("SOURCE_DATE_EPOCH", os.environ["SOURCE_DATE_EPOCH"])
    return found


def _fields(item: str, flag: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in item.split(","):
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"invalid field '{part}' of --{flag} {item}: write key=value")
        found[key.strip().lower()] = value
    return found


def _secrets(items: list[str]) -> Json:
    """The contents of `id=x,src=FILE` and `id=x,env=NAME`, in base64."""
    import base64

    found: Json = {}
    for item in items:
        fields = _fields(item, "secret")
        kind = fields.pop("type", "")
        name = fields.pop("id", "")
        variable = fields.pop("env", "")
        path = fields.pop("src", fields.pop("source", ""))
        if fields or not name:
            raise UsageError(f"invalid --secret {item}: write id=NAME,src=FILE or id=NAME,env=VAR")
        if kind == "env" and not variable:
            variable = path or name
        elif not path and not variable:
            variable = name if name in os.environ else ""
            path = "" if variable else name
        if variable:
            if variable not in os.environ:
                raise InvalidError(f"secret {name}: the environment has no {variable}")
            data = os.environ[variable].encode(errors="surrogateescape")
        else:
            try:
                with open(os.path.expanduser(path), "rb") as file:
                    data = file.read()
            except OSError as error:
                raise NotFoundError(f"secret {name}: {path}: {error.strerror}") from None
        found[name] = base64.b64encode(data).decode()
    return found


def _agents(app: App, items: list[str]) -> Json:
    """Sockets of ssh agents by id; only an engine of this machine can use them."""
    found: Json = {}
    for item in items:
        name, _, path = item.partition("=")
        path = path or os.environ.get("SSH_AUTH_SOCK", "")
        if not path:
            raise InvalidError(f"--ssh {item}: no agent: SSH_AUTH_SOCK is not set")
        if app.host.kind != "unix":
            raise UnsupportedError("--ssh needs an engine of this machine")
        found[name or "default"] = os.path.abspath(path)
    return found


def _check(app: App, parameters: Json, sending: Sending) -> int:
    """Print what the linter found; 1 when that is anything."""
    headers = {"Content-Type": "application/x-tar"}
    with app.client.open("POST", "/bay/build/check", parameters, sending.body, headers) as answer:
        found = quickjson.loads(answer.read())
    warnings = found["warnings"]
    if not warnings:
        app.out("Check complete, no warnings found.")
        return 0
    count = len(warnings)
    app.out(
        f"Check complete, {count} {'warning has' if count == 1 else 'warnings have'} been found!"
    )
    for one in warnings:
        app.out(f"\nWARNING: {one['rule']}\n{one['message']}\n{one['excerpt']}")
    return 1


BUILD = Command(
    "build [OPTIONS] PATH | URL | -",
    "Build an image from a Dockerfile",
    run_build,
    flags=(
        many("add-host", "Line for /etc/hosts of each step: name:address"),
        many(
            "build-context",
            "Another context for FROM, COPY --from and mounts: name=FOLDER, docker-image://…, URL",
        ),
        many("build-arg", "Value of an ARG: NAME=value, or NAME from the environment"),
        refused.value("allow", "RUN --security=insecure is not supported", "network.host"),
        refused.value("annotation", "images have labels here: use --label"),
        refused.value("attest", _ATTESTATIONS, *_NO_ATTESTATIONS),
        refused.value("builder", "there is one builder here, the engine's own", "default"),
        many("cache-from", "Ignored: this engine's own cache is used", hidden=True),
        refused.value("cache-to", "the cache is the engine's, which keeps it", "type=inline"),
        text("call", "What to do: build or check", default="build"),
        text("cgroup-parent", "Parent cgroup of the steps' containers"),
        switch("check", "Only look the Dockerfile over"),
        switch("compress", "Ignored: the context is compressed when that helps", hidden=True),
        whole("cpu-period", "Limit of CPU time: the period, in µs"),
        whole("cpu-quota", "Limit of CPU time: the part of a period, in µs"),
        whole("cpu-shares", "Relative weight of CPU time", "c"),
        text("cpuset-cpus", "CPUs to run on: 0-3, 0,1"),
        text("cpuset-mems", "Memory nodes to use: 0-3, 0,1"),
        text("file", "The Dockerfile (default PATH/Dockerfile; - for standard input)", "f"),
        switch("force-rm", "Ignored: no container of a step is ever left", hidden=True),
        switch(
            "disable-content-trust", "Ignored: images are not signed", default=True, hidden=True
        ),
        refused.value("isolation", refused.WINDOWS, "default"),
        refused.value("security-opt", "RUN has the usual profile; see `bay run --security-opt`"),
        text("iidfile", "Write the image's id to this file"),
        many("label", "Label of the image: name=value"),
        switch("load", "Ignored: the image is always this engine's", hidden=True),
        size("memory", "Limit of memory", "m"),
        size("memory-swap", "Limit of memory and swap together"),
        text("network", "Network of RUN: default, none, host, or a name", default="default"),
        text("metadata-file", "Write what was built to this file (JSON)"),
        switch("no-cache", "Do every step anew"),
        many("no-cache-filter", "Do every step of these stages anew"),
        many(
            "output",
            "Write what was built: FOLDER, -, or type=local|tar|oci|docker|registry,dest=PATH",
            "o",
        ),
        text("platform", "Must be this machine's: os/arch[/variant]"),
        text("progress", f"How progress is shown: {', '.join(_PROGRESS)}", default="auto"),
        switch("pull", "Look for newer base images"),
        switch("push", "Push it when it is built: --output type=registry"),
        refused.value("provenance", _ATTESTATIONS, "false"),
        switch("quiet", "Only print the image's id", "q"),
        switch("rm", "Ignored: no container of a step is ever left", default=True, hidden=True),
        refused.value("sbom", _ATTESTATIONS, "false"),
        many("secret", "Secret for RUN --mount=type=secret: id=NAME,src=FILE or id=NAME,env=VAR"),
        size("shm-size", "Size of /dev/shm"),
        switch("squash", "Not supported", hidden=True),
        many("ssh", "ssh agent for RUN --mount=type=ssh: default, or ID=SOCKET"),
        many("tag", "Name of the image: name[:tag]", "t"),
        text("target", "Stop at this stage"),
        many("ulimit", "Resource limit: name=soft[:hard]", kind="ulimit"),
    ),
    least=1,
    most=1,
)
