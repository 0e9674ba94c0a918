"""Pulling from a real registry into a real store."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from bayplan.core.pull import Pulls
from bayplan.core.registry.endpoints import Registries
from bayplan.core.registry.proxies import Proxies
from bayplan.core.registry.retry import Retry
from bayplan.core.registry.transport import Transport
from bayplan.host.errors import BayError, InvalidError, NotFoundError
from bayplan.storage.images import Image
from bayplan.storage.reference import parse
from bayplan.storage.store import Store
from support.registry import Registry
from support.wayward import Reply, Request, Wayward

Json = dict[str, Any]


class Puller:
    """Pulls into a fresh store; `said` are the messages of the last one."""

    def __init__(self, root: Path) -> None:
        self.store = Store.open(root)
        self.registries = Registries()
        self.transport = Transport(Proxies({}))
        self.pulls = Pulls(
            self.store, self.transport, lambda: self.registries, Retry(tries=3, base=0.001)
        )
        self.said: list[Json] = []

    async def pull(self, name: str, platform: str | None = None) -> Image:
        self.said = []
        reference = parse(name).with_default_tag()
        return await self.pulls.pull(
            reference, platform=platform, auth=None, progress=self.said.append
        )

    @property
    def statuses(self) -> list[str]:
        return [one["status"] for one in self.said]

    def partials(self) -> list[Path]:
        return list((self.store.root / "blobs/partial").iterdir())


@pytest.fixture
async def puller(tmp_path: Path) -> AsyncIterator[Puller]:
    made = Puller(tmp_path / "root")
    yield made
    made.transport.close()
    made.store.close()


@pytest.fixture
def wayward() -> Iterator[Wayward]:
    running = Wayward()
    yield running
    running.stop()


async def test_a_pull_brings_the_image_and_says_so_like_docker(
    puller: Puller, debian_image: str
) -> None:
    image = await puller.pull(debian_image)
    assert len(image.diff_ids) == 3
    assert puller.store.images.resolve(debian_image).id == image.id
    assert (puller.store.layers.path(image.diff_ids[2]) / "opt/bay-test").is_file()
    reference = parse(debian_image)
    assert puller.said[0] == {
        "status": f"Pulling from {reference.path}",
        "id": reference.tag,
        "progressDetail": {},
    }
    for status in ("Pulling fs layer", "Downloading", "Download complete", "Pull complete"):
        names = {one["id"] for one in puller.said if one["status"] == status}
        assert len(names) == 3 and all(len(name) == 12 for name in names)
    digest = puller.store.images.digests(image.id)[0].partition("@")[2]
    assert puller.statuses[-2:] == [
        f"Digest: {digest}",
        f"Status: Downloaded newer image for {debian_image}",
    ]
    assert puller.partials() == []

    again = await puller.pull(debian_image)
    assert again.id == image.id
    assert puller.statuses == [
        f"Pulling from {reference.path}",
        f"Digest: {digest}",
        f"Status: Image is up to date for {debian_image}",
    ]


async def test_layers_already_here_are_not_fetched(
    puller: Puller, registry: Registry, busybox_image: str
) -> None:
    """And bytes that an attempt left which ended right behind the layer go."""
    await puller.pull(busybox_image)
    other = copy(registry, busybox_image, "test/copy", "again", {"author": "someone else"})
    layer = manifest_of(registry, busybox_image)["layers"][0]
    puller.store.blobs.partial(layer["digest"]).write_bytes(b"its bytes")
    await puller.pull(other)
    assert puller.partials() == []
    assert "Already exists" in puller.statuses
    assert "Downloading" not in puller.statuses
    assert puller.statuses[-1] == f"Status: Downloaded newer image for {other}"


async def test_a_pull_by_digest_leaves_no_tag(puller: Puller, busybox_image: str) -> None:
    image = await puller.pull(busybox_image)
    by_digest = puller.store.images.digests(image.id)[0]
    puller.store.images.remove(image.id)
    # A tag beside the digest is ignored, as by Docker.
    name, _, digest = by_digest.partition("@")
    image = await puller.pull(f"{name}:no-such-tag@{digest}")
    assert puller.store.images.names(image.id) == []
    assert puller.store.images.resolve(by_digest).id == image.id


async def test_an_index_gives_the_platform_asked_for(
    puller: Puller, registry: Registry, busybox_image: str
) -> None:
    arm = copy(registry, busybox_image, "test/multi", "arm", {"architecture": "arm64"})
    amd = copy(registry, busybox_image, "test/multi", "amd", {"architecture": "amd64"})
    name = index(registry, "test/multi", "both", {"arm64": arm, "amd64": amd})
    assert (await puller.pull(name, "linux/arm64")).config["architecture"] == "arm64"
    image = await puller.pull(name, "linux/amd64")
    assert image.config["architecture"] == "amd64"
    assert puller.store.images.resolve(name).id == image.id
    with pytest.raises(NotFoundError, match="no matching manifest for linux/riscv64 in the"):
        await puller.pull(name, "linux/riscv64")
    with pytest.raises(NotFoundError, match="does not match the specified platform: wanted linux/"):
        await puller.pull(arm, "linux/s390x")


async def test_what_is_not_there_is_said_in_docker_words(
    puller: Puller, registry: Registry, busybox_image: str
) -> None:
    name = busybox_image.replace(":latest", ":nope")
    with pytest.raises(NotFoundError) as caught:
        await puller.pull(name)
    assert str(caught.value) == (
        f"manifest for {name} not found: manifest unknown: manifest unknown"
    )
    absent = "127.0.0.1:9/none"
    with pytest.raises(BayError, match="connection refused"):
        await puller.pull(absent)


async def test_an_interrupted_pull_goes_on_and_one_cancelled_leaves_only_its_bytes(
    puller: Puller, registry: Registry, busybox_image: str, wayward: Wayward
) -> None:
    held = asyncio.Event()
    loop = asyncio.get_running_loop()
    offsets: list[int] = []

    def script(request: Request) -> Reply:
        sent = {key: request.headers[key] for key in ("accept", "range") if key in request.headers}
        status, headers, body = registry.request(request.method, request.path, headers=sent)
        kept = {k: v for k, v in headers.items() if k.startswith(("content-t", "content-r"))}
        reply = Reply(status, body, kept)
        if "/blobs/" in request.path and len(body) > 100_000:
            offsets.append(int(sent.get("range", "bytes=0-")[6:-1]))
            if len(offsets) < 3:
                reply.cut = 300_000
            if len(offsets) == 2:
                loop.call_soon_threadsafe(held.set)
                wayward.gate.wait(120)
        return reply

    name = f"{wayward.address}/{parse(busybox_image).path}"
    wayward.otherwise(script)
    task = asyncio.create_task(puller.pull(name))
    await held.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    wayward.gate.set()
    assert [path.stat().st_size for path in puller.partials()] == [300_000]
    assert puller.store.images.all() == [] and puller.store.layers.all() == []
    await puller.pull(name)
    assert offsets == [0, 300_000, 300_000]
    assert puller.partials() == []


async def test_bytes_kept_that_are_wrong_are_fetched_anew(
    puller: Puller, registry: Registry, busybox_image: str
) -> None:
    layer = manifest_of(registry, busybox_image)["layers"][0]
    puller.store.blobs.partial(layer["digest"]).write_bytes(b"rubbish" * 1000)
    image = await puller.pull(busybox_image)
    assert puller.store.layers.has(image.diff_ids[0]) and puller.partials() == []


async def test_a_layer_with_other_content_is_refused(
    puller: Puller, registry: Registry, busybox_image: str
) -> None:
    wrong = {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "5" * 64]}}
    name = copy(registry, busybox_image, "test/liar", "latest", wrong)
    with pytest.raises(InvalidError, match="wrong diff id"):
        await puller.pull(name)
    assert puller.store.images.all() == [] and puller.partials() == []


async def test_two_pulls_of_one_layer_fetch_it_once(
    puller: Puller, registry: Registry, busybox_image: str
) -> None:
    other = copy(registry, busybox_image, "test/twin", "latest", {"author": "twin"})
    said: list[Json] = []
    both = [
        puller.pulls.pull(
            parse(name).with_default_tag(), platform=None, auth=None, progress=said.append
        )
        for name in (busybox_image, other)
    ]
    await asyncio.gather(*both)
    assert [one["status"] for one in said].count("Pull complete") == 1


async def test_a_mirror_is_tried_first_and_may_fail(
    puller: Puller, busybox_image: str, wayward: Wayward
) -> None:
    domain = parse(busybox_image).domain
    puller.registries = Registries({domain: (wayward.url,)})
    wayward.on("/v2/", Reply(200))
    image = await puller.pull(busybox_image)
    assert wayward.seen and image.id
    domain, path = "registry.example", parse(busybox_image).path
    puller.registries = Registries({domain: (f"http://{parse(busybox_image).domain}",)})
    assert (await puller.pull(f"{domain}/{path}")).id == image.id


# --- making images ---


def manifest_of(registry: Registry, name: str) -> Json:
    reference = parse(name)
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    path = f"/v2/{reference.path}/manifests/{reference.tag}"
    found: Json = json.loads(registry.request("GET", path, headers=accept)[2])
    return found


def copy(registry: Registry, name: str, repository: str, tag: str, changes: Json) -> str:
    """The image again under another name, its configuration changed."""
    source, manifest = parse(name), manifest_of(registry, name)
    blob = f"/v2/{source.path}/blobs/"
    for layer in manifest["layers"]:
        query = f"?mount={layer['digest']}&from={source.path}"
        assert registry.request("POST", f"/v2/{repository}/blobs/uploads/{query}")[0] == 201
    config = json.loads(registry.request("GET", blob + manifest["config"]["digest"])[2])
    raw = json.dumps({**config, **changes}).encode()
    manifest["config"] |= registry._upload_bytes(repository, raw)
    return registry.put_manifest(repository, tag, manifest)


def index(registry: Registry, repository: str, tag: str, images: dict[str, str]) -> str:
    kind = "application/vnd.oci.image.index.v1+json"
    entries = []
    for architecture, name in images.items():
        path = f"/v2/{repository}/manifests/{parse(name).tag}"
        manifest = manifest_of(registry, name)
        accept = {"Accept": manifest["mediaType"]}
        raw = registry.request("GET", path, headers=accept)[2]
        entries.append(
            {
                "mediaType": manifest["mediaType"],
                "digest": "sha256:" + hashlib.sha256(raw).hexdigest(),
                "size": len(raw),
                "platform": {"os": "linux", "architecture": architecture},
            }
        )
    whole = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
    return registry.put_manifest(repository, tag, whole)
