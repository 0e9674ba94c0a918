"""`prune --dry-run` lists exactly what the prune then removes, and the same space comes back."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from bayplan.storage.store import Store
from support.engine import EngineProcess

Json = dict[str, Any]


def tar(name: str, size: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = size
        archive.addfile(info, io.BytesIO(bytes(size)))
    return out.getvalue()


def fill(engine: EngineProcess, busybox: str) -> None:
    """Containers, images, volumes and networks, some in use and some not; what pulls left."""
    engine.stop()
    store = Store.open(engine.root)
    store.layers.apply(None, [tar("loose", 500)])
    store.blobs.partial("sha256:" + "7" * 64).write_bytes(bytes(700))
    store.close()
    engine.start()
    engine.pull(busybox)
    for name, size in (("app:1", 3000), ("app:2", 4000)):
        repo, tag = name.split(":")
        path = f"/images/create?fromSrc=-&repo={repo}&tag={tag}"
        assert engine.api("POST", path, tar(name.replace(":", ""), size)).status == 200
    engine.api("POST", "/images/app:2/tag?repo=app&tag=1")  # the first app:1 is left nameless

    def container(name: str, command: str, **more: Json) -> str:
        body = {"Image": busybox, "Cmd": ["sh", "-c", command], **more}
        made = str(engine.api("POST", f"/containers/create?name={name}", body).json()["Id"])
        engine.api("POST", f"/containers/{made}/start")
        return made

    container("bp-runs", "sleep 600", Volumes={"/used": {}}, Labels={"keep": "yes"})
    ended = container("bp-ended", "head -c 2000 /dev/zero > /f", Volumes={"/loose": {}})
    engine.api("POST", f"/containers/{ended}/wait")
    engine.api("POST", f"/bay/containers/{ended}/snapshots", {})
    engine.bay("commit", ended, "made:1", check=True)
    # A step and what was made from it; what was made from a named image, and is in use.
    for base, name in (("app:1", "step:1"), ("step:1", "top:1"), ("app:2", "used:1")):
        made = engine.api("POST", "/containers/create", {"Image": base, "Cmd": ["x"]}).json()["Id"]
        engine.bay("commit", made, name, check=True)
        engine.api("DELETE", f"/containers/{made}")
    engine.bay("rmi", "step:1", check=True)
    body = {"Image": "used:1", "Labels": {"keep": "yes"}}
    engine.api("POST", "/containers/create?name=bp-uses", body)
    stopped = engine.api("POST", "/containers/create?name=bp-made", {"Image": "made:1"}).json()
    assert engine.api("GET", f"/containers/{stopped['Id']}/json").status == 200
    engine.api("POST", "/volumes/create", {"Name": "bp-named"})
    engine.api("POST", "/networks/create", {"Name": "bp-net"})


def everything(engine: EngineProcess) -> set[tuple[str, str]]:
    found = {("container", one["Id"]) for one in engine.api("GET", "/containers/json?all=1").json()}
    found |= {("image", one["Id"]) for one in engine.api("GET", "/images/json?all=1").json()}
    for one in engine.api("GET", "/images/json?all=1").json():
        found |= {("tag", name) for name in one["RepoTags"] or []}
    found |= {("download", one.name) for one in (engine.root / "blobs/partial").iterdir()}
    found |= {("volume", v["Name"]) for v in engine.api("GET", "/volumes").json()["Volumes"]}
    return found | {("network", one["Id"]) for one in engine.api("GET", "/networks").json()}


@pytest.mark.parametrize("flags", [[], ["--all", "--volumes", "--filter", "label!=keep"]])
def test_system_prune_removes_what_its_dry_run_listed(
    fresh_engine: Callable[..., EngineProcess], busybox_image: str, flags: list[str]
) -> None:
    engine = fresh_engine()
    fill(engine, busybox_image)
    before = everything(engine)
    kinds = "containers,networks,images,build-cache"
    kinds += ",volumes" if "--volumes" in flags else ""
    query = f"kinds={kinds}&all={int('--all' in flags)}"
    if "--filter" in flags:
        query += '&filters={"label!":["keep"]}'
    found = engine.api("GET", f"/bay/prune?{query}").json()
    shown = engine.bay("system", "prune", "--dry-run", *flags, check=True).stdout
    assert everything(engine) == before
    listed = {(one["Kind"], one["Id"]) for one in found["Items"]}
    assert all((k[7:19] if k.startswith("sha256") else k[:12]) in shown for _, k in listed)
    pruned = engine.bay("system", "prune", "--force", *flags, check=True).stdout
    names = {
        ("tag", name)
        for one in found["Items"]
        if one["Kind"] == "image"
        for name in one["Name"].split(", ")
        if "@" not in name and name != "<none>"
    }
    layers = {one for one in listed if one[0] == "layer"}
    assert before - everything(engine) == (listed - layers) | names
    if "--all" in flags:
        assert len(layers) == 1 and ("download", "sha256-" + "7" * 64) in listed
        # What a container's image was made from stays, as Docker has it, without its names.
        assert {("tag", "app:1"), ("tag", "app:2")} <= listed
    # The last line of both tells the same space.
    assert shown.splitlines()[-1].split(":")[1] == pruned.splitlines()[-1].split(":")[1]
    again = engine.api("GET", f"/bay/prune?{query}").json()
    assert again == {"Items": [], "SpaceReclaimed": 0}
    engine.remove_containers()


def test_each_noun_has_a_dry_run(
    fresh_engine: Callable[..., EngineProcess], busybox_image: str
) -> None:
    engine = fresh_engine()
    fill(engine, busybox_image)
    before = everything(engine)
    for words, name in (
        (("container",), "bp-ended"),
        (("image",), "<none>"),
        (("image", "--all"), "app:2"),
        (("network",), "bp-net"),
        (("volume", "--all"), "bp-named"),
    ):
        noun, *more = words
        shown = engine.bay(noun, "prune", "--dry-run", *more, check=True).stdout
        assert name in shown and "Total reclaimable space:" in shown, shown
    usage = engine.bay("system", "df", check=True).stdout.split()
    assert usage[usage.index("Leftovers") + 1] == "2"
    left = engine.bay("system", "df", "-v", check=True).stdout.split("cut short (bay")[1]
    assert "layer" in left and "download   777777777777" in left
    assert "1.2kB" in engine.bay("image", "prune", "--leftovers", "--dry-run").stdout
    assert everything(engine) == before
    pruned = engine.bay("image", "prune", "--leftovers", "--force", check=True).stdout
    assert "1.2kB" in pruned and not list((engine.root / "blobs/partial").iterdir())
    assert engine.api("GET", "/bay/prune?kinds=cups").status == 400
    bad = engine.bay("image", "prune", "--dry-run", "--filter", "colour=red")
    assert bad.returncode == 1 and "invalid filter 'colour'" in bad.stderr
    engine.remove_containers()
