"""`/build`: the classic builder's API, and `/bay/build/…` for what it lacks."""

from __future__ import annotations

import base64
import dataclasses
import os
from pathlib import Path
from typing import Any

from aiohttp import web

from ...core.build.named import Named, key_of
from ...core.build.request import Request
from ...core.build.usage import Bounds
from ...core.types import Json
from ...host import jsontext
from ...host.errors import InvalidError, NotFoundError, UnsupportedError
from ..call import Call, decode_auth
from ..progress import Report, with_progress
from ..replies import empty, reply
from ..router import route
from .buildkit import NO_BUILDKIT
from .images import body

_NUMBERS = {
    "memory": "Memory",
    "memswap": "MemorySwap",
    "cpushares": "CpuShares",
    "cpuperiod": "CpuPeriod",
    "cpuquota": "CpuQuota",
    "shmsize": "ShmSize",
}
_TEXTS = {"cpusetcpus": "CpusetCpus", "cpusetmems": "CpusetMems", "cgroupparent": "CgroupParent"}


@route("POST", "/build", streaming=True)
async def build(call: Call) -> web.StreamResponse:
    """`docker build`."""
    request = _request(call, await _none_is_here(call))
    request.check()

    async def work(report: Report) -> str:
        image: str = await call.engine.builder.build(request, body(call), report)
        return image

    return await with_progress(call, work)


async def _none_is_here(call: Call) -> bool:
    """Whether `--cache-from` names images, and none of them is here to take steps from.

    Of those that are here nothing has to be read: the steps that made them are in the cache.
    """
    names = _json(call, "cachefrom", list)
    for name in names:
        try:
            await call.engine.images.resolve(str(name))
        except NotFoundError:
            continue
        return False
    return bool(names)


def _request(call: Call, uncached: bool) -> Request:
    if call.text("version") == "2":
        raise UnsupportedError(NO_BUILDKIT)
    if call.flag("squash"):
        raise UnsupportedError("squash is not supported: layers stay as the steps made them")
    if call.text("outputs"):
        raise UnsupportedError("outputs are not supported: the result is an image of this engine")
    word = call.text("bay-secrets")
    tags = [tag for tag in call.texts("t") if tag]
    return Request(
        dockerfile=call.text("dockerfile") or "Dockerfile",
        shown=call.text("bay-dockerfile"),
        tags=tags,
        build_args=_texts(call, "buildargs", nulls=True),
        labels=_texts(call, "labels"),
        target=call.text("target"),
        no_cache=call.flag("nocache") or uncached,
        pull=call.flag("pull"),
        network=call.text("networkmode") or "default",
        remote=call.text("remote"),
        local=_local(call),
        platform=call.text("platform"),
        host=_host(call),
        secrets=call.engine.builder.take_secrets(word) if word else {},
        ssh=_texts(call, "bay-ssh"),
        auths=_auths(call),
        cancel_id=call.text("buildid"),
        quiet=call.flag("q"),
        details=call.flag("bay-details"),
        contexts=_contexts(call),
        uncached=tuple(str(one) for one in _json(call, "bay-nocachefilter", list)),
    )


def _json(call: Call, name: str, kind: type) -> Any:
    text = call.text(name)
    if not text:
        return kind()
    try:
        value = jsontext.loads(text)
    except ValueError as error:
        raise InvalidError(f"invalid JSON in {name}: {error}") from None
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise InvalidError(
            f"invalid JSON in {name}: not {'a list' if kind is list else 'an object'}"
        )
    return value


def _texts(call: Call, name: str, nulls: bool = False) -> dict[str, Any]:
    value: dict[str, Any] = _json(call, name, dict)
    for key, one in value.items():
        if not isinstance(one, str) and not (nulls and one is None):
            raise InvalidError(f"invalid JSON in {name}: {key} is not a string")
    return value


def _host(call: Call) -> Json:
    host: Json = {}
    for name, key in _NUMBERS.items():
        if number := call.integer(name):
            host[key] = number
    for name, key in _TEXTS.items():
        if text := call.text(name):
            host[key] = text
    hosts = [one for text in call.texts("extrahosts") for one in text.split(",") if one]
    if hosts:
        host["ExtraHosts"] = hosts
    if ulimits := _json(call, "ulimits", list):
        host["Ulimits"] = ulimits
    if options := [one for one in call.texts("securityopt") if one]:
        host["SecurityOpt"] = options
    return host


def _auths(call: Call) -> dict[str, Json]:
    """Registry credentials by host, of the header `X-Registry-Config`."""
    found = decode_auth(call.request.headers.get("X-Registry-Config", "")) or {}
    return {host: auth for host, auth in found.items() if isinstance(auth, dict)}


def _local(call: Call) -> Path | None:
    """The folder of this host that the client names instead of sending it.

    It says which device and inode that is: a client in another root would mean another folder.
    """
    wanted: Json = _json(call, "bay-local", dict)
    return _folder(wanted) if wanted else None


def _contexts(call: Call) -> dict[str, Named]:
    """Named contexts: folders of this host, or sent along (by number), images, URLs."""
    found = {}
    for name, one in _json(call, "bay-contexts", dict).items():
        if not isinstance(one, dict):
            raise InvalidError(f"invalid JSON in bay-contexts: {name} is not an object")
        sent = str(one.get("sent") or "")
        if sent and not sent.isdecimal():
            raise InvalidError(f"invalid JSON in bay-contexts: {name} is sent as {sent!r}")
        found[key_of(name)] = Named(
            _folder(one) if "path" in one else None,
            sent,
            str(one.get("image") or ""),
            str(one.get("remote") or ""),
        )
    return found


def _folder(wanted: Json) -> Path:
    path = Path(str(wanted.get("path") or ""))
    try:
        found = os.stat(path)
    except OSError as error:
        raise InvalidError(f"cannot read the context {path}: {error.strerror}") from None
    if not path.is_absolute() or [found.st_dev, found.st_ino] != [
        wanted.get("dev"),
        wanted.get("ino"),
    ]:
        raise InvalidError(f"{path} is not the folder that the client means: send the context")
    if not path.is_dir():
        raise InvalidError(f"the context {path} is not a folder")
    return Path(os.path.realpath(path))


@route("POST", "/bay/build/check", streaming=True)
async def check(call: Call) -> web.StreamResponse:
    """What the linter finds; parameters and context as for `/build`."""
    found = await call.engine.builder.check(_request(call, await _none_is_here(call)), body(call))
    return reply({"warnings": [dataclasses.asdict(one) for one in found]})


@route("POST", "/build/prune")
async def prune(call: Call) -> web.StreamResponse:
    """`docker builder prune`; `dry-run=1` only tells what would go."""
    least = call.integer("reserved-space") or call.integer("keep-storage") or 0
    bounds = Bounds(least, call.integer("max-used-space") or 0, call.integer("min-free-space") or 0)
    report = await call.engine.builder.prune(
        all_=call.flag("all"), bounds=bounds, filters=call.filters(), dry_run=call.flag("dry-run")
    )
    return reply(report)


@route("POST", "/build/cancel")
async def cancel(call: Call) -> web.StreamResponse:
    """End the build that was started with this `buildid`."""
    await call.engine.builder.cancel(call.text("id"))
    return empty()


@route("POST", "/bay/build/secrets")
async def secrets(call: Call) -> web.StreamResponse:
    """Take secrets (base64 by id) for one build, which names the answer's `token`."""
    try:
        found = {
            str(name): base64.b64decode(value, validate=True)
            for name, value in (await call.body({"*": "string"})).items()
        }
    except (TypeError, ValueError):
        raise InvalidError("invalid secrets: give base64 texts by id") from None
    return reply({"token": call.engine.builder.keep_secrets(found)}, 201)
