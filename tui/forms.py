"""The questions behind actions that need an answer: their fields, and the deed the answers make.

Pure: a form is shown by `screens/form.py`; what it makes is carried out by the main screen.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..host.errors import InvalidError
from .model import Json, Model, container_name
from .text import short_id
from .verbs import Deed, Step

Values = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One field: typed, or chosen where there are `choices` of (shown, value)."""

    name: str
    label: str
    hint: str = ""
    value: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    suggest: tuple[str, ...] = ()


@dataclass(frozen=True)
class Form:
    """`make` turns the values into something with a `command`; raises InvalidError."""

    title: str
    verb: str
    lines: tuple[Line, ...]
    make: Callable[[Values], Any]
    toggles: tuple[tuple[str, str, bool], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Command:
    """A command to run in a container's terminal."""

    container: str
    words: list[str] = field(default_factory=list)
    command: str = ""


def _one(title: str, who: str, name: str, path: str, line: str, **more: Any) -> Deed:
    """A deed of one POST."""
    undo = more.pop("undo", None)
    method = more.pop("method", "POST")
    return Deed(
        title, [Step(who, name, method, path, more.pop("busy", "…"), **more)], line, undo=undo
    )


def _needed(values: Values, name: str, what: str) -> str:
    text = str(values[name]).strip()
    if not text:
        raise InvalidError(f"{name}: {what}")
    return text


def _repo_and_tag(reference: str) -> tuple[str, str]:
    """A name and its tag; without one it is `latest`. Raises InvalidError."""
    name, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        name, tag = reference, "latest"
    if not name or not tag or name != name.lower() or " " in reference:
        raise InvalidError(f"name {reference!r}: write it in lower case, as name:tag")
    return name, tag


# --- containers


def rename(summary: Json) -> Form:
    """Another name for a container."""
    identifier, old = summary["Id"], container_name(summary)

    def deed(before: str, after: str, undo: Deed | None) -> Deed:
        line = f"bay rename {shlex.quote(before)} {shlex.quote(after)}"
        path = f"/containers/{identifier}/rename"
        return _one("Rename", identifier, before, path, line, query={"name": after}, undo=undo)

    def make(values: Values) -> Deed:
        new = _needed(values, "name", "say how it shall be called")
        return deed(old, new, deed(new, old, None))

    return Form(f"Rename {old}", "Rename", (Line("name", "Name", value=old),), make)


def commit(summary: Json) -> Form:
    """An image of what a container is now."""
    identifier, name = summary["Id"], container_name(summary)

    def make(values: Values) -> Deed:
        reference = str(values["image"]).strip()
        repo, tag = _repo_and_tag(reference) if reference else ("", "")
        message, pause = str(values["comment"]).strip(), bool(values["pause"])
        words = ["bay", "commit"] + ([] if pause else ["-p=false"])
        words += ["-m", message] if message else []
        words += [name, f"{repo}:{tag}"] if repo else [name]
        query = {"container": identifier, "repo": repo or None, "tag": tag or None}
        query |= {"comment": message or None, "pause": pause}
        return _one(
            *("Commit", identifier, name, "/commit", shlex.join(words)),
            query=query,
            body={},  # podman reads one in any case
            busy="commits",
        )

    lines = (
        Line("image", "Image", "name:tag; without one it has only an id", f"{name}:latest"),
        Line("comment", "Comment", "what it is for"),
    )
    toggles = (("pause", "pause it meanwhile, so that its files agree", True),)
    return Form(f"Commit {name}", "Commit", lines, make, toggles)


def execute(summary: Json) -> Form:
    """A command in a container, in a terminal."""
    identifier, name = summary["Id"], container_name(summary)

    def make(values: Values) -> Command:
        text = _needed(values, "command", "say what to run")
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise InvalidError(f"command: {error}") from error
        return Command(identifier, words, f"bay exec -it {shlex.quote(name)} {text}")

    suggest = ("sh", "bash", "ash", "top", "env", "ps", "cat /etc/os-release")
    lines = (Line("command", "Command", "bash, or psql -U postgres", suggest=suggest),)
    return Form(f"Run in {name}", "Run", lines, make)


# --- images


def tag(identifier: str, name: str) -> Form:
    """Another name for an image."""

    def make(values: Values) -> Deed:
        new = _needed(values, "name", "say the new name")
        repo, tag = _repo_and_tag(new)
        full = f"{repo}:{tag}"
        line = f"bay tag {shlex.quote(name)} {shlex.quote(full)}"
        # Without force: an image whose only name this is by then stays.
        back = _one(
            "Untag", identifier, full, f"/images/{full}", f"bay rmi {full}", method="DELETE"
        )
        query = {"repo": repo, "tag": tag}
        path = f"/images/{name}/tag"
        return _one("Tag", identifier, name, path, line, query=query, undo=back)

    lines = (Line("name", "New name", "registry/name:tag", name if ":" in name else ""),)
    return Form(f"Tag {name}", "Tag", lines, make)


# --- networks and volumes


def network() -> Form:
    """A new network."""

    def make(values: Values) -> Deed:
        name = _needed(values, "name", "say how it shall be called")
        subnet = str(values["subnet"]).strip()
        body: Json = {"Name": name, "Driver": values["driver"], "Internal": values["internal"]}
        words = ["bay", "network", "create"]
        if values["driver"] != "bridge":
            words += ["-d", str(values["driver"])]
        if subnet:
            body["IPAM"] = {"Config": [{"Subnet": subnet}]}
            words += ["--subnet", subnet]
        if values["internal"]:
            words.append("--internal")
        line = shlex.join([*words, name])
        back = _one(
            "Remove", name, name, f"/networks/{name}", f"bay network rm {name}", method="DELETE"
        )
        return _one("Create", name, name, "/networks/create", line, body=body, undo=back)

    drivers = tuple((one, one) for one in ("bridge", "macvlan", "ipvlan"))
    lines = (
        Line("name", "Name", "backend"),
        Line("driver", "Driver", value="bridge", choices=drivers),
        Line("subnet", "Subnet", "a free one is chosen; or 10.7.0.0/24"),
    )
    toggles = (("internal", "internal: no way out of it", False),)
    return Form("Create a network", "Create", lines, make, toggles)


def connect(model: Model, container: Json | None, network: Json | None) -> Form:
    """Put a container into a network; one of the two is known."""

    def make(values: Values) -> Deed:
        one = container or model.container(str(values["container"]))
        net = network or _network(model, str(values["network"]))
        if one is None or net is None:
            raise InvalidError("choose what to connect; there is nothing left to choose")
        called, name = container_name(one), str(net["Name"])
        alias = str(values["alias"]).split()
        address = str(values["address"]).strip()
        settings: Json = {"Aliases": alias} if alias else {}
        words = ["bay", "network", "connect"]
        words += [word for each in alias for word in ("--alias", each)]
        if address:
            settings["IPAMConfig"] = {"IPv4Address": address}
            words += ["--ip", address]
        line = shlex.join([*words, name, called])
        body = {"Container": one["Id"], "EndpointConfig": settings}
        return _one(
            "Connect",
            one["Id"],
            called,
            f"/networks/{net['Id']}/connect",
            line,
            body=body,
            undo=_leave(one, net, False),
        )

    lines = [
        Line("alias", "Aliases", "more names it has there"),
        Line("address", "Address", "the next free one"),
    ]
    if container is not None:
        joined = _joined(container)
        free = tuple(
            (str(one["Name"]), str(one["Id"]))
            for one in model.networks
            if one["Name"] not in joined and one["Name"] not in ("host", "none")
        )
        lines.insert(0, Line("network", "Network", choices=free, value=free[0][1] if free else ""))
        title = f"Connect {container_name(container)}"
    else:
        assert network is not None
        out = tuple(
            (container_name(one), str(one["Id"]))
            for one in model.containers
            if network["Name"] not in _joined(one)
        )
        lines.insert(0, Line("container", "Container", choices=out, value=out[0][1] if out else ""))
        title = f"Connect to {network['Name']}"
    return Form(title, "Connect", tuple(lines), make)


def disconnect(model: Model, container: Json | None, network: Json | None) -> Form:
    """Take a container out of a network; one of the two is known."""

    def make(values: Values) -> Deed:
        one = container or model.container(str(values["container"]))
        net = network or _network(model, str(values["network"]))
        if one is None or net is None:
            raise InvalidError("there is nothing to disconnect")
        return _leave(one, net, bool(values["force"]))

    if container is not None:
        joined = _joined(container)
        choices = tuple(
            (str(one["Name"]), str(one["Id"])) for one in model.networks if one["Name"] in joined
        )
        line = Line("network", "Network", choices=choices, value=choices[0][1] if choices else "")
        title = f"Disconnect {container_name(container)}"
    else:
        assert network is not None
        choices = tuple(
            (container_name(one), str(one["Id"]))
            for one in model.containers
            if network["Name"] in _joined(one)
        )
        line = Line(
            "container", "Container", choices=choices, value=choices[0][1] if choices else ""
        )
        title = f"Disconnect from {network['Name']}"
    toggles = (("force", "even if the container does not answer", False),)
    return Form(title, "Disconnect", (line,), make, toggles)


def _leave(container: Json, network: Json, force: bool) -> Deed:
    called, name = container_name(container), str(network["Name"])
    body = {"Container": container["Id"], "Force": force}
    words = ["bay", "network", "disconnect", *(["-f"] if force else []), name, called]
    path = f"/networks/{network['Id']}"
    again = {"Container": container["Id"], "EndpointConfig": {}}
    back = _one(
        "Connect",
        container["Id"],
        called,
        f"{path}/connect",
        shlex.join(["bay", "network", "connect", name, called]),
        body=again,
    )
    line = shlex.join(words)
    return _one(
        "Disconnect", container["Id"], called, f"{path}/disconnect", line, body=body, undo=back
    )


def _joined(summary: Json) -> set[str]:
    return set((summary.get("NetworkSettings") or {}).get("Networks") or {})


def _network(model: Model, identifier: str) -> Json | None:
    return next((one for one in model.networks if one["Id"] == identifier), None)


def volume() -> Form:
    """A new volume."""

    def make(values: Values) -> Deed:
        name = str(values["name"]).strip()
        body = {"Name": name} if name else {}
        line = f"bay volume create {shlex.quote(name)}" if name else "bay volume create"
        back = None
        if name:
            remove = f"bay volume rm {shlex.quote(name)}"
            back = _one("Remove", name, name, f"/volumes/{name}", remove, method="DELETE")
        return _one("Create", name, name, "/volumes/create", line, body=body, undo=back)

    lines = (Line("name", "Name", "without one it is named by the engine"),)
    return Form("Create a volume", "Create", lines, make)


def image_called(row: str) -> tuple[str, str]:
    """The id and the name to use for an image's row, which is `sha256:… name`."""
    identifier, _, name = row.partition(" ")
    return identifier, name or short_id(identifier)
