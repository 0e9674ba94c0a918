"""Pushing to a real registry, and to one that breaks off."""

from __future__ import annotations

import asyncio
import io
import json
import secrets
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from bayplan.core.pull import Pulls
from bayplan.core.push import Pushes, select
from bayplan.core.registry.endpoints import Registries
from bayplan.core.registry.proxies import Proxies
from bayplan.core.registry.retry import Retry
from bayplan.core.registry.transport import Transport
from bayplan.host.errors import BayError, NotFoundError, UnauthorizedError
from bayplan.storage.images import Image
from bayplan.storage.reference import parse
from bayplan.storage.store import Store
from support.registry import Registry
from support.wayward import Reply, Request, Wayward

Json = dict[str, Any]


class Pusher:
    """A fresh store that pulls and pushes; `said` are the messages of the last push."""

    def __init__(self, root: Path) -> None:
        self.store = Store.open(root)
        self.transport = Transport(Proxies({}))
        retry = Retry(tries=4, base=0.001)
        self.pulls = Pulls(self.store, self.transport, Registries, retry)
        self.pushes = Pushes(self.store, self.transport, Registries, retry)
        self.said: list[Json] = []

    async def pull(self, name: str) -> Image:
        reference = parse(name).with_default_tag()
        return await self.pulls.pull(reference, platform=None, auth=None, progress=lambda _: None)

    async def push(self, name: str, all_tags: bool = False) -> str:
        self.said = []
        references = select(self.store, parse(name), all_tags)
        await self.pushes.push(references, auth=None, progress=self.said.append)
        digest: str = self.said[-1]["aux"]["Digest"]
        return digest

    def made(self) -> Image:
        """An image of one layer that no registry has yet."""
        layer = self.store.layers.apply(None, tar(secrets.token_bytes(3_000_000)))
        config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        }
        return self.store.images.put(json.dumps(config).encode())

    @property
    def statuses(self) -> list[str]:
        return [one["status"] for one in self.said if "status" in one]


def tar(content: bytes) -> Iterator[bytes]:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    yield out.getvalue()


@pytest.fixture
async def pusher(tmp_path: Path) -> AsyncIterator[Pusher]:
    made = Pusher(tmp_path / "root")
    yield made
    made.transport.close()
    made.store.close()


@pytest.fixture
def wayward() -> Iterator[Wayward]:
    running = Wayward()
    yield running
    running.stop()


async def test_a_pushed_image_can_be_pulled_again(pusher: Pusher, registry: Registry) -> None:
    image = pusher.made()
    name = f"{registry.address}/push/made:one"
    pusher.store.images.tag(name, image.id)
    digest = await pusher.push(name)
    short = image.diff_ids[0][7:19]
    assert pusher.said[0]["status"] == (
        f"The push refers to repository [{registry.address}/push/made]"
    )
    assert {one["status"] for one in pusher.said if one.get("id") == short} == {
        "Preparing",
        "Pushing",
        "Pushed",
    }
    size = pusher.said[-1]["aux"]["Size"]
    assert pusher.said[-2]["status"] == f"one: digest: {digest} size: {size}"
    assert pusher.store.images.digests(image.id) == [f"{registry.address}/push/made@{digest}"]
    assert pusher.store.images.get(image.id).manifest == digest
    assert not list((pusher.store.root / "blobs/partial").iterdir())
    pusher.store.images.remove(image.id)
    assert (await pusher.pull(name)).id == image.id

    assert await pusher.push(name) == digest
    assert "Layer already exists" in pusher.statuses and "Pushing" not in pusher.statuses


async def test_layers_are_mounted_from_a_neighbour_and_the_digest_is_kept(
    pusher: Pusher, debian_image: str
) -> None:
    image = await pusher.pull(debian_image)
    source = parse(debian_image)
    name = f"{source.domain}/push/elsewhere"
    pusher.store.images.tag(name, image.id)
    digest = await pusher.push(name)
    assert pusher.statuses.count(f"Mounted from {source.path}") == 3
    assert f"{source.familiar_name}@{digest}" in pusher.store.images.digests(image.id)


async def test_all_tags_go_in_one_push(pusher: Pusher, registry: Registry) -> None:
    image = pusher.made()
    repository = f"{registry.address}/push/tags"
    for tag in ("a", "b"):
        pusher.store.images.tag(f"{repository}:{tag}", image.id)
    await pusher.push(repository, all_tags=True)
    assert [one["aux"]["Tag"] for one in pusher.said if "aux" in one] == ["a", "b"]
    with pytest.raises(NotFoundError, match="An image does not exist locally with the tag: "):
        await pusher.push(repository)


def _front(wayward: Wayward, registry: Registry, faults: list[str]) -> None:
    """Hand requests on to the real registry, but break as many uploads as there are `faults`.

    Debian's registry drops an upload that broke in the middle, so this front keeps what came.
    """
    arrived = b""

    def script(request: Request) -> Reply:
        nonlocal arrived
        body, kind = request.body, ("content-type", "accept")
        sent = {key: request.headers[key] for key in kind if key in request.headers}
        if request.method == "PATCH":
            start = int(request.headers.get("content-range", "0-").partition("-")[0])
            assert start == len(arrived)
            fault = faults.pop(0) if faults else ""
            if fault == "unavailable":
                return Reply(503)
            if fault == "cut":
                arrived += body[: len(body) // 2]
                return Reply(202, b"lost", cut=0)
            if fault == "gone":
                arrived = b""
                return Reply(404)
            body, arrived = arrived + body, b""
        if request.method == "GET" and "/uploads/" in request.path and arrived:
            return Reply(204, b"", {"Range": f"0-{len(arrived) - 1}", "Location": request.path})
        status, headers, answer = registry.request(request.method, request.path, body, sent)
        kept = {
            key: value.replace(registry.address, wayward.address)
            for key, value in headers.items()
            if key in ("location", "range", "docker-content-digest")
        }
        return Reply(status, answer, kept)

    wayward.otherwise(script)


async def test_a_broken_upload_goes_on_where_the_registry_is(
    pusher: Pusher, registry: Registry, wayward: Wayward
) -> None:
    _front(wayward, registry, ["cut", "unavailable"])
    image = pusher.made()
    name = f"{wayward.address}/push/broken"
    pusher.store.images.tag(name, image.id)
    await pusher.push(name)
    starts = [
        one.headers.get("content-range", "none").partition("-")[0]
        for one in wayward.seen
        if one.method == "PATCH"
    ]
    # The layer in three goes, none from its start but the first; then the configuration.
    assert starts[0] == starts[3] == "none" and starts[1] == starts[2] != "none"
    pusher.store.images.remove(image.id)
    again = await pusher.pull(f"{registry.address}/push/broken")
    assert again.id == image.id


async def test_an_upload_that_the_registry_dropped_starts_again(
    pusher: Pusher, registry: Registry, wayward: Wayward
) -> None:
    _front(wayward, registry, ["cut", "gone"])
    image = pusher.made()
    name = f"{wayward.address}/push/dropped"
    pusher.store.images.tag(name, image.id)
    await pusher.push(name)
    pusher.store.images.remove(image.id)
    assert (await pusher.pull(f"{registry.address}/push/dropped")).id == image.id


def _limited(wayward: Wayward, registry: Registry, most: int, least: int) -> list[int]:
    """Hand on to the real registry, but take no request over `most` bytes, as proxies do; the
    bytes of each PATCH."""
    sizes: list[int] = []

    def script(request: Request) -> Reply:
        wanted = ("content-type", "accept", "content-range")
        sent = {key: request.headers[key] for key in wanted if key in request.headers}
        if request.method == "PATCH":
            sizes.append(len(request.body))
            if sizes[-1] > most:
                return Reply(413, b"<html>too large</html>", {"Content-Type": "text/html"})
        status, headers, answer = registry.request(request.method, request.path, request.body, sent)
        kept = {
            key: value.replace(registry.address, wayward.address)
            for key, value in headers.items()
            if key in ("location", "range", "docker-content-digest")
        }
        if request.method == "POST":
            kept["OCI-Chunk-Min-Length"] = str(least)
        return Reply(status, answer, kept)

    wayward.otherwise(script)
    return sizes


async def test_what_a_proxy_finds_too_large_goes_in_pieces(
    pusher: Pusher, registry: Registry, wayward: Wayward
) -> None:
    sizes = _limited(wayward, registry, most=1_000_000, least=200_000)
    image = pusher.made()
    name = f"{wayward.address}/push/pieces"
    pusher.store.images.tag(name, image.id)
    await pusher.push(name)
    taken = [size for size in sizes if size <= 1_000_000]
    assert sizes[0] > 3_000_000 and len(taken) >= 4
    assert all(size >= 200_000 for size in taken[:-2])  # the last piece, and the configuration
    pusher.store.images.remove(image.id)
    assert (await pusher.pull(f"{registry.address}/push/pieces")).id == image.id


async def test_pieces_smaller_than_the_registry_takes_are_not_tried(
    pusher: Pusher, registry: Registry, wayward: Wayward
) -> None:
    sizes = _limited(wayward, registry, most=100_000, least=1_000_000)
    name = f"{wayward.address}/push/stuck"
    pusher.store.images.tag(name, pusher.made().id)
    with pytest.raises(BayError, match="413"):
        await pusher.push(name)
    assert min(size for size in sizes if size > 100_000) >= 1_000_000


async def test_a_busy_registry_says_when_an_upload_may_go_on(
    pusher: Pusher, registry: Registry, wayward: Wayward
) -> None:
    """It is obeyed; asked to wait for an hour, the push ends and says so."""
    answers = [Reply(429, b"", {"Retry-After": "0"}), Reply(429, b"", {"Retry-After": "3600"})]
    wayward.on("/v2/", Reply(200))
    place = {"Location": f"http://{wayward.address}/v2/push/busy/blobs/uploads/1"}

    def script(request: Request) -> Reply:
        if request.method == "PATCH":
            return answers.pop(0)
        return Reply(202, b"", place) if request.method == "POST" else Reply(404)

    wayward.otherwise(script)
    name = f"{wayward.address}/push/busy"
    pusher.store.images.tag(name, pusher.made().id)
    with pytest.raises(BayError, match="429"):
        await pusher.push(name)
    assert answers == []


async def test_a_push_without_leave_says_denied(pusher: Pusher, wayward: Wayward) -> None:
    body = json.dumps(
        {"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]}
    ).encode()
    wayward.on("/v2/", Reply(200))
    wayward.otherwise(lambda request: Reply(404 if request.method == "HEAD" else 401, body))
    name = f"{wayward.address}/push/denied"
    pusher.store.images.tag(name, pusher.made().id)
    with pytest.raises(UnauthorizedError, match=r"^denied: requested access to the resource"):
        await pusher.push(name)


async def test_a_cancelled_push_leaves_no_file(
    pusher: Pusher, registry: Registry, wayward: Wayward
) -> None:
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()
    _front(wayward, registry, [])
    forward = wayward._fallback

    def script(request: Request) -> Reply:
        if request.method == "PATCH":
            loop.call_soon_threadsafe(reached.set)
            wayward.gate.wait(120)
        return forward(request)

    wayward.otherwise(script)
    name = f"{wayward.address}/push/cancelled"
    image = pusher.made()
    pusher.store.images.tag(name, image.id)
    task = asyncio.create_task(pusher.push(name))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not list((pusher.store.root / "blobs/partial").iterdir())
    assert pusher.store.images.digests(image.id) == []
