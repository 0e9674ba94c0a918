"""A stage as it is after some of its steps: settings, layers, history, arguments."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...storage.images import Image
from .. import configchanges
from ..registry.manifests import Platform
from ..types import Json

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHELL = ["/bin/sh", "-c"]
# OCI image configuration: what says for which machine an image is.
_MACHINE = ("architecture", "os", "os.version", "os.features", "variant")


@dataclass
class State:
    """What a stage has become. `config` is Docker's Config as images have it; `arguments` the
    ARGs declared so far, None for one without a value.
    """

    machine: Json
    config: Json = field(default_factory=dict)
    diff_ids: list[str] = field(default_factory=list)
    history: list[Json] = field(default_factory=list)
    author: str = ""
    created: str = ""
    arguments: dict[str, str | None] = field(default_factory=dict)
    # The stage has a CMD of its own, which an ENTRYPOINT does not take away.
    own_command: bool = False
    # The id of the image it is as long as nothing was done to it; empty afterwards.
    image: str = ""

    @classmethod
    def scratch(cls) -> State:
        """An empty stage for this machine."""
        host = Platform.host()
        machine: Json = {"architecture": host.architecture, "os": host.os}
        if host.architecture == "arm" and host.variant:
            machine["variant"] = host.variant
        state = cls(machine)
        state._default_path()
        return state

    @classmethod
    def of(cls, image: Image) -> State:
        """A stage that begins as an image."""
        config: Json = copy.deepcopy(image.config.get("config") or {})
        machine = {key: image.config[key] for key in _MACHINE if image.config.get(key)}
        state = cls(
            machine,
            {key: value for key, value in config.items() if value not in (None, "", [], {})},
            list(image.diff_ids),
            copy.deepcopy(image.config.get("history") or []),
            str(image.config.get("author") or ""),
            image.created,
            image=image.id,
        )
        state._default_path()
        return state

    def _default_path(self) -> None:
        if "PATH" not in configchanges.environment(self.config):
            configchanges.set_variable(self.config, "PATH", DEFAULT_PATH)

    def fork(self) -> State:
        """A copy for a stage that goes on from this one: with its arguments gone."""
        made = copy.deepcopy(self)
        made.arguments = {}
        made.own_command = False
        return made

    def variables(self) -> dict[str, str]:
        """What an instruction's variables mean: arguments, under the environment."""
        given = {name: value for name, value in self.arguments.items() if value is not None}
        return {**given, **configchanges.environment(self.config)}

    def scope(
        self, escape: str, missing: Callable[[str], None] | None = None
    ) -> configchanges.Scope:
        """The same for the instructions of settings."""
        return configchanges.Scope(self.variables(), escape, missing)

    @property
    def shell(self) -> list[str]:
        """What runs a command that is not in JSON form."""
        return list(self.config.get("Shell") or _SHELL)

    def chain(self) -> str:
        """A digest of the layers: equal when the files are."""
        return digest(self.diff_ids)

    def identity(self) -> str:
        """A digest of all that an image made now would hold, without its times."""
        commands = [[one.get("created_by"), one.get("empty_layer")] for one in self.history]
        return digest([self.diff_ids, self.config, commands, self.author, self.machine])

    def record(self, stamp: str, created_by: str, diff_id: str | None, comment: str = "") -> None:
        """Take in a step that is done: its layer, None if it made none, and its history."""
        entry: Json = {"created": stamp, "created_by": created_by}
        if comment:
            entry["comment"] = comment
        if self.author:
            entry["author"] = self.author
        if diff_id is None:
            entry["empty_layer"] = True
        else:
            self.diff_ids.append(diff_id)
        self.history.append(entry)
        self.created = stamp
        self.image = ""

    def document(self) -> Json:
        """The OCI configuration of an image of it."""
        return {
            **self.machine,
            "created": self.created,
            "author": self.author,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
            "history": self.history,
        }


def digest(value: object) -> str:
    """A digest of anything that JSON can say, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def short(values: Mapping[str, str]) -> dict[str, str]:
    """Values told apart but not told: a few digits of each one's digest."""
    return {name: digest(value)[:12] for name, value in values.items()}
