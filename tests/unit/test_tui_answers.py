"""Answers of another shape than an engine's: what does not fit is left out before it is read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from bayplan.client.errors import ProtocolError
from bayplan.tui import layers, listings, prune, rows, tabs, verbs
from bayplan.tui.answers import MisfitError, shape_of
from bayplan.tui.builds import Build
from bayplan.tui.feed import Feed
from bayplan.tui.files import changed_node, node_of
from bayplan.tui.members import members
from bayplan.tui.model import Model, recall
from bayplan.tui.pulls import Pull
from bayplan.tui.screens.hostview import disk_use
from bayplan.tui.screens.snapshots import _preview, _row
from bayplan.tui.source import Source
from bayplan.tui.widgets.changes import plant

RECORDED = json.loads((Path(__file__).parents[1] / "tui" / "recording.json").read_text())
NOW = RECORDED["time"]
# What our own engine says besides; the recording is of what all have.
_FOLDER = {"Name": "etc", "Path": "/etc", "Type": "directory", "Mode": 493, "Size": 1, "Added": 1,
           "Modified": "2026-01-01T00:00:00Z", "Change": "added", "Uid": 0}  # fmt: skip
OURS: dict[str, Any] = {
    "/bay/containers/web/files": {"Entries": [_FOLDER], "Total": 1},
    "/bay/images/shop/web:2/layers": {
        "Layers": [{"Index": 0, "Size": 1, "Created": 1, "CreatedBy": "sh", "Added": 1}],
        "Wasted": [{"Path": "/x"}],
        "WastedBytes": 3,
    },
    "/bay/prune": {"Items": [{"Id": "a", "Kind": "image", "Size": 1, "Name": "b"}]},
    "/bay/containers/web/snapshots": [{"Id": "a", "Name": "b", "Created": "2026-01-01T00:00:00Z"}],
    "/bay/containers/web/snapshots/b/changes": {
        **dict.fromkeys(("Added", "Changed", "Removed", "SizeLost", "SizeBack"), 1),
        "Changes": [{"Change": "added", "Path": "/x", "Size": 1, "SizeBefore": 0}],
    },
    "/containers/web/stats": {
        "cpu_stats": {"cpu_usage": {"total_usage": 1}},
        "memory_stats": {"usage": 1, "limit": 2, "stats": {"inactive_file": 1}},
        "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 1}},
        "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 1}]},
    },
    "/images/create": {"status": "Downloading", "id": "x", "progressDetail": {"current": 1}},
    "/build": {"stream": "Step 1/2 : RUN x", "aux": {"ID": "sha256:x"}},
    "/exec/x/json": {"Running": False, "ExitCode": 1},
}
ANSWERS = {**{path: one.get("json") for path, one in RECORDED["replies"].items()}, **OURS}
KEPT = ("Id", "ID", "Name", "Names")
SPOILED: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda one: one,
    "null": lambda one: None,
    "other types": lambda one: 7 if isinstance(one, str) else "seven",
    "huge": lambda one: 1e300 if isinstance(one, int) else one,
    "below zero": lambda one: -5 if isinstance(one, int) else "0000-99-99T99",
    "objects": lambda one: {"a": one},
    "lists": lambda one: [[one]],
}


def spoiled(value: Any, other: Callable[[Any], Any], kept: tuple[str, ...]) -> Any:
    """`value` with everything replaced that is no list, no object and no name."""
    if isinstance(value, dict):
        return {k: one if k in kept else spoiled(one, other, kept) for k, one in value.items()}
    return [spoiled(one, other, kept) for one in value] if isinstance(value, list) else other(value)


def inside_out(value: Any) -> Any:
    """`value` with lists where objects are, and objects where lists are."""
    if isinstance(value, dict):
        return [inside_out(one) for one in value.values()]
    if isinstance(value, list):
        return {str(n): inside_out(one) for n, one in enumerate(value)}
    return value


def look(said: Callable[[str], Any]) -> None:
    """Make everything of the answers that the screen makes of them; nothing may be raised."""
    model = Model()
    for kind, path in (("containers", "/containers/json"), ("images", "/images/json"),
                       ("networks", "/networks")):  # fmt: skip
        setattr(model, kind, said(path) or [])
    model.volumes = (said("/volumes") or {}).get("Volumes") or []
    model.info, model.version = said("/info") or {}, said("/version") or {}
    tabs.engine_name(model.version)
    for identifier, series in ((said("/bay/samples") or {}).get("containers") or {}).items():
        model.samples[identifier] = recall(identifier, series)
    for kind in rows.LISTS:
        for row in rows.build(kind, model, NOW):
            assert all(row.cells[column.key] is not None for column in rows.COLUMNS[kind])
    for verb in ("toggle", "start", "pause", "remove"):
        verbs.container(verb, model.containers)
    usage = said("/system/df") or {}
    disk_use(usage)
    found = prune.Found({}, [(one["Name"], False) for one in model.volumes], [])
    prune.deed(prune.sort_out(model, model.containers, model.images, found))
    _details(said)
    for path in ANSWERS:
        if path.endswith("/history"):
            layers.rows(layers.Layers(layers.from_history(said(path) or [])), NOW)
        elif path.endswith("/changes") and path.startswith("/containers"):
            plant(said(path) or [])
        elif path.endswith("/files"):
            for entry in (said(path) or {"Entries": []})["Entries"]:
                node_of(entry)
                changed_node(entry)


def _details(said: Callable[[str], Any]) -> None:
    for path in ANSWERS:
        if path.startswith("/containers/") and path.endswith("/json") and path.count("/") == 3:
            details = said(path)
            if details:
                for kind in ("ports", "health"):
                    listings.KINDS[kind].build(details, NOW)
                listings.KINDS["env"].build((details, {}), NOW)
        elif path.endswith("/top"):
            listings.KINDS["processes"].build(said(path) or {}, NOW)
    if found := said("/bay/images/shop/web:2/layers"):
        layers.rows(layers.from_bay(found), NOW)
    for one in said("/bay/containers/web/snapshots") or []:
        _row(one)
    if found := said("/bay/containers/web/snapshots/b/changes"):
        _preview(found)
    feed = Feed(Source(_nobody, "x"), Model(), str)
    feed._sampled("web", said("/containers/web/stats") or {})
    Pull("x").take(said("/images/create") or {})
    Build(Path("/"), "Dockerfile", [], {}, False).take(said("/build") or {})


async def _nobody() -> Any:
    raise OSError


@pytest.mark.parametrize("kept", [KEPT, ()], ids=["named", "nameless"])
@pytest.mark.parametrize("how", [*SPOILED, "inside out"])
def test_nothing_is_raised_by_an_answer_of_another_shape(how: str, kept: tuple[str, ...]) -> None:
    def said(path: str) -> Any:
        whole = ANSWERS[path]
        other = inside_out(whole) if how == "inside out" else spoiled(whole, SPOILED[how], kept)
        with suppress(MisfitError):
            return shape_of(path)(other)
        assert how != "as it is", path
        return None

    look(said)
    if how == "as it is":
        assert said("/containers/json") == ANSWERS["/containers/json"]


@pytest.mark.parametrize(
    ("bytes_", "words"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n[1]", "/info is a list instead of an object"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>Welcome</html>", "/info is no JSON"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 9999, "/info is no JSON"),
        (b"HTTP/1.1 many\r\n\r\n", "/info is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 99999, "/info is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "in mid-reply"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "in mid-reply"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>nginx</html>", "answered with status 502"),
    ],
)
async def test_what_is_no_engine_is_said_in_one_sentence(bytes_: bytes, words: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(bytes_)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    source = Source(lambda: asyncio.open_connection(*address), "far away")
    async with server:
        with pytest.raises(Exception, match=words) as caught:
            await source.get("/info")
    assert isinstance(caught.value, ProtocolError) or "status" in words or "mid-reply" in words
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_large_object_is_taken_apart_member_by_member(indent: int | None) -> None:
    """However it is written, and up to where it is no JSON any more."""
    known = {"a": [1, {"b": "}"}], 'c":\n': {}, "d": None}
    text = json.dumps({"before": [{}], "wanted": known, "after": 1}, indent=indent)
    assert dict(members(f" {text}", "wanted")) == known
    for lacking in ({}, {"wanted": []}, {"wanted": {}}):
        assert dict(members(json.dumps(lacking, indent=indent), "wanted")) == {}
    came = []
    with pytest.raises(ValueError):
        for name, _ in members(text.partition('"d"')[0], "wanted"):
            came.append(name)
    assert came == ["a", 'c":\n']


@pytest.mark.parametrize("odd", [None, "2", True, [], 1e300, -1e18])
def test_of_many_numbers_what_is_none_is_left_out(odd: Any) -> None:
    series = {name: [1, odd, 2.5] for name in ("time", "cpu", "memory", "rx")}
    found = shape_of("/bay/samples")({"containers": {"x": series}})["containers"]["x"]
    assert found == {name: [1, 2.5] for name in series}
