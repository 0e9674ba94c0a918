"""The engine's images through the facade that the API calls, on a real store and registry."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from bayplan.core.events import Events
from bayplan.core.images import Images
from bayplan.core.options import Options
from bayplan.core.types import Container, State
from bayplan.host.errors import (
    BayError,
    ConflictError,
    InvalidError,
    NotFoundError,
    UnauthorizedError,
)
from bayplan.storage.reference import parse
from bayplan.storage.store import Store
from support.registry import Registry
from support.wayward import Reply, Request, Wayward

Json = dict[str, Any]


class Host:
    """An Images with what it stands on."""

    def __init__(self, root: Path) -> None:
        self.store = Store.open(root)
        self.events = Events()
        self.containers: list[Container] = []
        options = Options(root=root, run_root=root / "run")
        self.images = Images(self.store, options, self.events, lambda: self.containers)
        self.said: list[Json] = []

    async def import_(self, name: str = "", *changes: str) -> str:
        return await self.images.import_(_chunks(_tar(name)), name, "", changes)

    def use(self, image: str, status: str) -> Container:
        number = f"{len(self.containers):064x}"
        made = Container(
            number, f"c{number}", 0, image, "x", {}, {}, Path("/"), state=State(status)
        )
        self.containers.append(made)
        return made

    def happened(self) -> list[tuple[str, str]]:
        return [(one["Action"], one["Actor"]["Attributes"].get("name", "")) for one in self.ring()]

    def ring(self) -> list[Json]:
        return list(self.events._ring)


def _tar(content: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        entry = tarfile.TarInfo("etc/content")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content.encode()))
    return out.getvalue()


async def _chunks(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    made = Host(tmp_path / "root")
    yield made
    made.images.close()
    made.store.close()


@pytest.fixture
def wayward() -> Iterator[Wayward]:
    running = Wayward()
    yield running
    running.stop()


async def test_an_import_is_listed_and_inspected_as_docker_shows_it(host: Host) -> None:
    made = await host.import_("team/app:1", "ENV A=b", "LABEL one=two", 'CMD ["x"]')
    (row,) = await host.images.list(all=False, filters={}, digests=True, shared=True)
    assert row["Id"] == made and row["RepoTags"] == ["team/app:1"]
    assert row["Labels"] == {"one": "two"} and row["SharedSize"] == 0 and row["Size"] == 10
    found = await host.images.inspect("team/app:1")
    assert found["Id"] == made and found["Config"]["Env"] == ["A=b"]
    assert found["Config"]["Cmd"] == ["x"] and found["Config"]["Tty"] is False
    assert found["RootFS"]["Type"] == "layers" and len(found["RootFS"]["Layers"]) == 1
    (step,) = await host.images.history(made[7:19])
    assert step["Id"] == made and step["Tags"] == ["team/app:1"] and step["Size"] == 10
    assert host.happened() == [("import", made), ("tag", "team/app:1")]
    with pytest.raises(NotFoundError, match=r"^No such image: none:latest$"):
        await host.images.inspect("none")


async def test_a_bad_name_or_change_is_refused_before_the_upload(host: Host) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    with pytest.raises(InvalidError, match="invalid reference format"):
        await host.images.import_(never(), "UPPER//x", "")
    with pytest.raises(InvalidError, match="foo is not a valid change command"):
        await host.images.import_(never(), "x", "", ["FOO bar"])


async def test_filters_choose_images(host: Host) -> None:
    one = await host.import_("app:1", "LABEL stage=test")
    two = await host.import_("other/app:2")
    three = await host.import_("")

    async def ids(**filters: str) -> set[str]:
        chosen = {key: [value] for key, value in filters.items()}
        rows = await host.images.list(all=False, filters=chosen, digests=False)
        return {row["Id"] for row in rows}

    assert await ids() == {one, two, three}
    assert await ids(dangling="true") == {three}
    assert await ids(dangling="false") == {one, two}
    assert await ids(label="stage=test") == {one}
    assert await ids(reference="app") == {one}
    assert await ids(reference="*/app:*") == {two}
    assert await ids(since="app:1") == {two, three}
    assert await ids(before="other/app:2") == {one}
    with pytest.raises(InvalidError, match="invalid filter 'colour'"):
        await ids(colour="red")


async def test_removing_a_name_and_the_last_one(host: Host) -> None:
    made = await host.import_("app:1")
    await host.images.tag("app:1", "app", "2")
    assert await host.images.remove("app:2") == [{"Untagged": "app:2"}]
    records = await host.images.remove("app:1")
    assert records[:2] == [{"Untagged": "app:1"}, {"Deleted": made}]
    assert len(records) == 3 and host.store.layers.all() == []
    assert [action for action, _ in host.happened()][-3:] == ["untag", "untag", "delete"]


async def test_an_image_by_id_goes_with_its_only_name(host: Host) -> None:
    made = await host.import_("app:1")
    await host.images.tag("app:1", "elsewhere", "1")
    short = made[7:19]
    with pytest.raises(ConflictError) as caught:
        await host.images.remove(short)
    assert str(caught.value) == (
        f"conflict: unable to delete {short} (must be forced) - image is referenced in"
        " multiple repositories"
    )
    records = await host.images.remove(short, force=True)
    assert [one["Untagged"] for one in records if "Untagged" in one] == ["app:1", "elsewhere:1"]
    assert await host.images.list(all=True, filters={}, digests=False) == []


async def test_an_image_in_use_stays(host: Host) -> None:
    made = await host.import_("app:1")
    short = made[7:19]
    container = host.use(made, "exited")
    with pytest.raises(ConflictError) as caught:
        await host.images.remove("app:1")
    assert str(caught.value) == (
        'conflict: unable to remove repository reference "app:1" (must force) - container'
        f" {container.id[:12]} is using its referenced image {short}"
    )
    with pytest.raises(ConflictError, match=r"\(must be forced\) - image is being used by stopped"):
        await host.images.remove(made)
    container.state.status = "running"
    with pytest.raises(ConflictError, match=r"\(cannot be forced\) - image is being used by run"):
        await host.images.remove(made, force=True)
    assert await host.images.remove("app:1", force=True) == [{"Untagged": "app:1"}]
    assert (await host.images.resolve(made)).id == made
    assert (await host.images.prune({}))["ImagesDeleted"] is None
    host.containers.clear()
    report = await host.images.prune({})
    assert {"Deleted": made} in report["ImagesDeleted"] and report["SpaceReclaimed"] == 5


async def test_prune_takes_tagged_images_only_when_asked(host: Host) -> None:
    named, bare = await host.import_("app:1"), await host.import_("")
    report = await host.images.prune({"dangling": ["true"]})
    assert report["ImagesDeleted"][0] == {"Deleted": bare}
    report = await host.images.prune({"dangling": ["false"], "label": ["none"]})
    assert report == {"ImagesDeleted": None, "SpaceReclaimed": 0}
    report = await host.images.prune({"dangling": ["0"]})
    assert report["ImagesDeleted"][:2] == [{"Untagged": "app:1"}, {"Deleted": named}]


async def test_prune_of_all_takes_what_cancelled_pulls_left(host: Host) -> None:
    left = host.store.blobs.partial("sha256:" + "7" * 64)
    left.write_bytes(b"half a layer")
    await host.images.prune({})
    assert left.exists()
    await host.images.prune({"dangling": ["false"]})
    assert not left.exists()


async def test_a_saved_image_loads_again_with_its_digest(host: Host, busybox_image: str) -> None:
    image = await host.images.pull(busybox_image, platform=None, auth=None, progress=lambda _: None)
    digests = host.store.images.digests(image.id)
    data = b"".join([chunk async for chunk in host.images.save([busybox_image])])
    await host.images.remove(busybox_image)
    assert host.store.layers.all() == []
    assert await host.images.load(_chunks(data, 50_000), host.said.append) == [busybox_image]
    assert host.said == [{"stream": f"Loaded image: {busybox_image}\n"}]
    assert host.store.images.digests(image.id) == digests
    with pytest.raises(BayError):
        await host.images.load(_chunks(data[:500_000]), host.said.append)
    name = parse(busybox_image).familiar()
    assert host.happened() == [
        ("pull", name.rpartition(":")[0]),
        ("save", image.id),
        ("untag", image.id),  # as Docker: the image that loses a name, once for each
        ("untag", image.id),
        ("delete", image.id),
        ("load", image.id),
    ]


async def test_a_commit_keeps_what_the_container_wrote_and_is_set_to(host: Host) -> None:
    base = await host.import_("base", "ENV A=b", 'CMD ["old"]')
    image = await host.images.resolve(base)
    container = host.use(base, "exited")
    container.config = {"Env": ["A=b"], "Cmd": ["sh", "-c", "x"], "Hostname": "c", "Tty": True}
    container.config["Healthcheck"] = {"Test": ["CMD", "own"], "Interval": 3, "Retries": 4}
    host.store.snapshots.create(container.id, image.diff_ids)
    try:
        merged = host.store.snapshots.mount(container.id)
        (merged / "new").write_text("written")
        (merged / "etc/content").unlink()
        made = await host.images.commit(
            container,
            repo="app",
            tag="2",
            author="me",
            message="why",
            changes=["ENV C=d", "HEALTHCHECK --retries=2 CMD given"],
            config={"Labels": {"l": "m"}, "Env": ["A=z"]},
        )
        again = await host.images.commit(container, changes=['CMD ["y"]'])
    finally:
        host.store.snapshots.remove(container.id)
    found = await host.images.inspect("app:2")
    assert found["Id"] == made and found["Author"] == "me" and found["Comment"] == "why"
    assert found["Config"]["Env"] == ["A=z", "C=d"] and found["Config"]["Labels"] == {"l": "m"}
    assert found["Config"]["Cmd"] == ["sh", "-c", "x"] and found["Config"]["Hostname"] == ""
    # As Docker has it: what a check leaves open is the container's; the comment is the step's.
    health = {"Test": ["CMD-SHELL", "given"], "Interval": 3, "Retries": 2}
    assert found["Config"]["Healthcheck"] == health
    assert "comment" not in host.store.images.get(made).config
    layers = found["RootFS"]["Layers"]
    assert len(layers) == 2 and layers[0] == image.diff_ids[0]
    assert (host.store.layers.path(layers[1]) / "new").read_text() == "written"
    rows = await host.images.history("app:2")
    assert rows[0]["CreatedBy"] == "sh -c x" and rows[0]["Comment"] == "why"
    assert (await host.images.inspect(again))["RootFS"]["Layers"] == layers


async def test_a_container_that_wrote_nothing_commits_no_layer(host: Host) -> None:
    base = await host.import_("base")
    image = await host.images.resolve(base)
    container = host.use(base, "exited")
    host.store.snapshots.create(container.id, image.diff_ids)
    try:
        made = await host.images.resolve(await host.images.commit(container))
    finally:
        host.store.snapshots.remove(container.id)
    assert made.diff_ids == image.diff_ids
    assert made.config["history"][-1]["empty_layer"] is True


async def test_check_platform_tells_apart(host: Host) -> None:
    await host.import_("app")
    await host.images.check_platform("app", "linux")
    with pytest.raises(NotFoundError, match="image with reference app was found but does not mat"):
        await host.images.check_platform("app", "linux/s390x")
    with pytest.raises(NotFoundError, match="No such image: none"):
        await host.images.check_platform("none", "linux/s390x")


async def test_all_tags_of_a_repository_are_pulled(
    host: Host, registry: Registry, busybox_image: str
) -> None:
    source = parse(busybox_image)
    for tag in ("one", "two"):
        name = f"{registry.address}/all/tags:{tag}"
        await host.images.pull(busybox_image, platform=None, auth=None, progress=host.said.append)
        await host.images.tag(source.familiar(), f"{registry.address}/all/tags", tag)
        await host.images.push(name, auth=None, progress=host.said.append)
        await host.images.remove(name)
    repository = f"{registry.address}/all/tags"
    await host.images.pull(
        repository, platform=None, auth=None, progress=host.said.append, all_tags=True
    )
    assert set(host.store.images.tags(repository)) == {f"{repository}:one", f"{repository}:two"}


async def test_distribution_tells_what_a_registry_has(host: Host, busybox_image: str) -> None:
    found = await host.images.distribution(busybox_image, auth=None)
    assert found["Descriptor"]["digest"].startswith("sha256:")
    assert found["Platforms"][0]["os"] == "linux"


async def test_a_private_registry_wants_the_password(
    host: Host, registry: Registry, wayward: Wayward, busybox_image: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    right = "Basic " + base64.b64encode(b"me:secret").decode()

    def script(request: Request) -> Reply:
        if request.headers.get("authorization") != right:
            return Reply(401, headers={"WWW-Authenticate": 'Basic realm="private"'})
        sent = {"accept": request.headers["accept"]} if "accept" in request.headers else {}
        status, headers, body = registry.request(request.method, request.path, headers=sent)
        kept = {key: headers[key] for key in ("content-type",) if key in headers}
        return Reply(status, body, kept)

    wayward.otherwise(script)
    auth = {"username": "me", "password": "secret", "serveraddress": wayward.address}
    assert (await host.images.login(auth))["Status"] == "Login Succeeded"
    with pytest.raises(UnauthorizedError):
        await host.images.login({**auth, "password": "wrong"})
    name = f"{wayward.address}/{parse(busybox_image).path}"
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "none"))
    with pytest.raises(NotFoundError, match="pull access denied for "):
        await host.images.pull(name, platform=None, auth=None, progress=host.said.append)
    await host.images.pull(name, platform=None, auth=auth, progress=host.said.append)
    await host.images.remove(name)
    entry = {"auth": base64.b64encode(b"me:secret").decode()}
    (tmp_path / "config.json").write_text(json.dumps({"auths": {wayward.address: entry}}))
    await host.images.pull(name, platform=None, auth=None, progress=host.said.append)
