"""What the screen relies on in an engine's answers, path by path, and how others are made to fit.

Engines differ, old ones lack fields, and proxies say anything. Here what is of another type than
expected is left out before anything reads it, so that nothing that draws has to doubt its types;
the Inspect tab alone shows answers as they came.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from ..host import clock

Shape = Callable[[Any], Any]
_HUGE = 1e17  # what no size, count or time in nanoseconds of ours reaches: NaN neither


class MisfitError(ValueError):
    """A value is not what it must be; its words complete "… is "."""


def text(value: Any) -> str:
    """A string."""
    if type(value) is not str:
        raise MisfitError(f"{_called(value)} instead of a text")
    return value


def moment(value: Any) -> str:
    """A time as RFC 3339 writes it."""
    clock.to_ns(text(value))
    return str(value)


def number(value: Any) -> float:
    """A number that can be counted with."""
    if type(value) not in (int, float) or not -_HUGE < value < 100 * _HUGE:
        raise MisfitError(f"{_called(value)} instead of a number")
    return value  # type: ignore[no-any-return]  # mypy does not follow type()


def date(value: Any) -> float:
    """Seconds since 1970, within what a calendar has."""
    if not 0 <= number(value) < 1 << 37:
        raise MisfitError("a number instead of a time")
    return value  # type: ignore[no-any-return]  # as number


def truth(value: Any) -> bool:
    """True or false."""
    if type(value) is not bool:
        raise MisfitError(f"{_called(value)} instead of true or false")
    return value


def anything(value: Any) -> Any:
    """Whatever it is."""
    return value


def many(shape: Shape) -> Shape:
    """A list; what in it does not fit is left out. Go's engines write an empty one as null."""

    def fit(value: Any) -> Any:
        if value is None:
            return []
        if type(value) is not list:
            raise MisfitError(f"{_called(value)} instead of a list")
        try:
            return [shape(one) for one in value]
        except ValueError:
            return [one for one in map(functools.partial(_tried, shape), value) if one is not None]

    return fit


def numbers(value: Any) -> list[float]:
    """A list of numbers; what in it is none is left out."""
    # The figures of a thousand containers are a million, and nothing is painted meanwhile.
    known = type(value) is list and value and set(map(type, value)) <= {int, float}
    if known and min(value) > -_HUGE and max(value) < 100 * _HUGE:
        return value  # type: ignore[no-any-return]  # mypy does not follow type()
    return _numbers(value)  # type: ignore[no-any-return]  # a Shape can be of anything


_numbers = many(number)


def table(shape: Shape) -> Shape:
    """An object with any keys; those whose values do not fit are left out."""

    def fit(value: Any) -> Any:
        _object(value)
        try:
            return {key: shape(one) for key, one in value.items()}
        except ValueError:
            tried = ((key, _tried(shape, one)) for key, one in value.items())
            return {key: one for key, one in tried if one is not None}

    return fit


def fields(must: dict[str, Shape] | None = None, /, **may: Shape) -> Shape:
    """An object; of `must` all have to fit, of `may` what does not fit is left out."""
    needed = tuple((must or {}).items())
    wished = tuple(may.items())

    def fit(value: Any) -> Any:
        _object(value)
        for key, shape in needed:
            try:
                value[key] = shape(value.get(key))
            except ValueError as error:
                raise MisfitError(f"without {key}, which is {error}") from None
        for key, shape in wished:
            if key in value:
                try:
                    value[key] = shape(value[key])
                except ValueError:
                    del value[key]
        return value

    return fit


def otherwise(shape: Shape, default: Callable[[], Any]) -> Shape:
    """What fits `shape`, else what `default` makes."""

    def fit(value: Any) -> Any:
        try:
            return shape(value)
        except ValueError:
            return default()

    return fit


def maybe(shape: Shape) -> Shape:
    """What fits `shape`, or null."""
    return lambda value: None if value is None else shape(value)


def _object(value: Any) -> None:
    if type(value) is not dict:
        raise MisfitError(f"{_called(value)} instead of an object")


def _tried(shape: Shape, value: Any) -> Any:
    try:
        return shape(value)
    except ValueError:
        return None


def _called(value: Any) -> str:
    """What a value is, in a word of JSON."""
    if value is None:
        return "nothing"
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(value), "a number")


WORDS = table(text)
_USAGE = fields(Size=number, RefCount=number)
_CONTAINER = fields(
    {"Id": text, "State": otherwise(text, lambda: "unknown")},
    **{
        **dict.fromkeys(("Image", "ImageID", "Command", "Status"), text),
        **dict.fromkeys(("SizeRw", "SizeRootFs"), number),
    },
    Names=many(text),
    Created=date,
    Labels=WORDS,
    Ports=many(fields({"PrivatePort": number}, PublicPort=number, Type=text)),
    NetworkSettings=fields(Networks=table(fields(IPAddress=text))),
    Mounts=many(fields(Name=text)),
)
_IMAGE = fields(
    {"Id": text},
    RepoTags=many(text),
    Created=date,
    Labels=WORDS,
    **dict.fromkeys(("Size", "SharedSize", "Containers"), number),
)
_NETWORK = fields(
    {"Id": text, "Name": text},
    Driver=text,
    Labels=WORDS,
    IPAM=fields(Config=many(fields(Subnet=text))),
)
_VOLUME = fields(
    {"Name": text}, Driver=text, CreatedAt=moment, Labels=WORDS, UsageData=maybe(_USAGE)
)
_CHECK = fields({"Start": moment, "End": moment}, ExitCode=number, Output=text)
_BINDINGS = maybe(many(fields({"HostPort": text}, HostIp=text)))
_STATE = fields({"Running": truth}, ExitCode=number, Health=maybe(fields(Log=many(_CHECK))))
_DETAILS = fields(
    {
        "Config": fields({"Tty": otherwise(truth, bool)}, Env=many(text)),
        "Image": otherwise(text, str),
        "State": _STATE,
    },
    NetworkSettings=fields(Networks=table(fields(IPAddress=text)), Ports=table(_BINDINGS)),
    SizeRw=number,
)
_EVENT = fields(
    Type=text, Action=text, Actor=fields(ID=text, Attributes=WORDS), time=date, timeNano=number
)
_COUNTS = dict.fromkeys(("Added", "Changed", "Removed"), number)
_ENTRY = fields(
    {"Name": text, "Path": text},
    **dict.fromkeys(("Type", "User", "Group", "Target", "Change"), text),
    **dict.fromkeys(("Uid", "Gid", "Mode", "Size"), number),
    **_COUNTS,
    Modified=moment,
)
_FOLDER = fields(
    {"Entries": many(_ENTRY), "Total": otherwise(number, int)}, SizeRw=number, **_COUNTS
)
_STEP = fields(
    {"Index": otherwise(number, lambda: -1)},
    **dict.fromkeys(("CreatedBy", "Comment"), text),
    **dict.fromkeys(("Size", "WastedBytes"), number),
    **_COUNTS,
    Created=date,
    Empty=truth,
)
_SERIES = fields(
    dict.fromkeys(("time", "cpu", "memory"), numbers),
    **dict.fromkeys(("pids", "rx", "tx", "read", "write"), numbers),
)
_MESSAGE = fields(
    **dict.fromkeys(("status", "stream", "error", "id"), text),
    progressDetail=fields(current=number, total=number),
    aux=fields(ID=text, bay=fields({"type": text})),
)
_SNAPSHOT = fields({"Id": text, "Name": text, "Created": moment}, Comment=text, Size=number)
_PREVIEW = fields(
    {
        **dict.fromkeys(("Added", "Changed", "Removed", "SizeLost", "SizeBack"), number),
        "Changes": many(
            fields(
                {"Change": text, "Path": text, "Size": number, "SizeBefore": number}, Held=number
            )
        ),
    }
)
_WASTE = fields({"Id": text, "Kind": text, "Size": number}, Name=text)
_BLOCK = fields({"op": text, "value": number})
_STATS = fields(
    cpu_stats=fields(cpu_usage=fields(total_usage=number)),
    memory_stats=fields(usage=number, limit=number, stats=table(number)),
    networks=table(fields(rx_bytes=number, tx_bytes=number)),
    blkio_stats=fields(io_service_bytes_recursive=many(_BLOCK)),
    pids_stats=fields(current=number),
)
_USE = fields(
    LayersSize=number,
    Images=many(_IMAGE),
    Containers=many(_CONTAINER),
    Volumes=many(_VOLUME),
    BuildCache=many(fields(ID=text, Size=number, InUse=truth)),
)
_VERSION = fields(Version=text, Platform=fields(Name=text), Components=many(fields(Name=text)))
_LAYERS = fields(Layers=many(_STEP), Wasted=many(fields({"Path": text})), WastedBytes=number)
_PATHS: tuple[tuple[str, Shape], ...] = (
    ("/version", _VERSION),
    ("/info", fields(MemTotal=number, NCPU=number)),
    ("/events", _EVENT),
    ("/system/df", _USE),
    ("/containers/json", many(_CONTAINER)),
    ("/images/json", many(_IMAGE)),
    ("/networks", many(_NETWORK)),
    ("/volumes", fields(Volumes=many(_VOLUME))),
    ("/containers/create", fields({"Id": text}, Warnings=many(text))),
    ("/containers/[^/]+/json", _DETAILS),
    ("/containers/[^/]+/top", fields(Titles=many(text), Processes=many(many(text)))),
    ("/containers/[^/]+/stats", _STATS),
    ("/containers/[^/]+/changes", many(fields({"Path": text, "Kind": number}))),
    ("/containers/[^/]+/exec", fields({"Id": text})),
    ("/exec/[^/]+/json", fields({"Running": truth}, ExitCode=number)),
    ("/images/(create|load)|/images/.+/push|/build", _MESSAGE),
    ("/images/.+/json", fields(Config=fields(Env=many(text)))),
    ("/images/.+/history", many(_STEP)),
    ("/bay/samples", fields(containers=table(_SERIES))),
    ("/bay/prune", fields({"Items": many(_WASTE)})),
    ("/bay/images/.+/layers", _LAYERS),
    ("/bay/(containers|images)/.+/(files|changes|tree)", _FOLDER),
    ("/bay/containers/[^/]+/snapshots", many(_SNAPSHOT)),
    ("/bay/containers/[^/]+/snapshots/[^/]+/changes", _PREVIEW),
)
_PLAIN = dict(_PATHS)


@functools.lru_cache(1024)
def shape_of(path: str) -> Shape:
    """What the answers of `path` (without a query) must be like."""
    plain = _PLAIN.get(path)  # as it stands there: without making patterns of all others
    if plain is not None:
        return plain
    return next((shape for one, shape in reversed(_PATHS) if re.fullmatch(one, path)), anything)
