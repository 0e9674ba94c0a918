"""Images made from images here: what `rmi`, `history`, lists and prunes make of the two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.engine import EngineProcess


@pytest.fixture
def chain(engine: EngineProcess, busybox_image: str) -> Iterator[list[str]]:
    """The ids of an image and of two committed one upon the other: bi-base, bi-one, bi-two."""
    ids = [engine.pull(busybox_image)]
    engine.bay("tag", busybox_image, "bi-base:1", check=True)
    for name, base in (("bi-one:1", "bi-base:1"), ("bi-two:1", "bi-one:1")):
        body = {"Image": base, "Cmd": ["sh", "-c", f"echo {name} > /{name}"]}
        made = engine.api("POST", "/containers/create", body).json()["Id"]
        engine.api("POST", f"/containers/{made}/start")
        engine.api("POST", f"/containers/{made}/wait")
        ids.append(engine.bay("commit", made, name, check=True).stdout.strip())
        engine.api("DELETE", f"/containers/{made}")
    yield ids
    for name in ("bi-two:1", "bi-one:1", "bi-base:1"):
        engine.bay("rmi", "--force", name)


def ids(engine: EngineProcess, query: str = "") -> set[str]:
    return {one["Id"] for one in engine.api("GET", f"/images/json?{query}").json()}


def test_a_parent_cannot_be_deleted_but_loses_its_name(
    engine: EngineProcess, chain: list[str]
) -> None:
    _, one, two = chain
    for flags in ([], ["--force"]):
        refused = engine.docker("rmi", *flags, one)
        assert refused.returncode == 1
        assert refused.stderr == (
            f"Error response from daemon: conflict: unable to delete {one[7:19]} (cannot be"
            " forced) - image has dependent child images\n"
        )
    untagged = engine.docker("rmi", "bi-one:1", check=True).stdout
    assert untagged == "Untagged: bi-one:1\n"
    # It is a step of the other now: hidden, and no left-over.
    assert one not in ids(engine) and one in ids(engine, "all=1")
    assert one not in ids(engine, 'all=1&filters={"dangling":["true"]}')
    dry = engine.api("GET", "/bay/prune?kinds=images").json()
    assert one not in {item["Id"] for item in dry["Items"]}
    history = engine.api("GET", f"/images/{two}/history").json()
    assert [row["Id"] for row in history[:3]] == [two, one, chain[0]]
    assert history[0]["Tags"] == ["bi-two:1"] and history[1]["Tags"] is None
    gone = engine.docker("rmi", "bi-two:1", check=True).stdout
    assert f"Deleted: {two}" in gone and f"Deleted: {one}" in gone
    assert ids(engine, "all=1") & set(chain) == {chain[0]}


def test_no_prune_keeps_the_nameless_parent(engine: EngineProcess, chain: list[str]) -> None:
    _, one, two = chain
    engine.docker("rmi", "bi-one:1", check=True)
    gone = engine.docker("rmi", "--no-prune", "bi-two:1", check=True).stdout
    assert f"Deleted: {two}" in gone and one not in gone
    # Now nothing needs it: it dangles, and can be deleted.
    assert one in ids(engine, 'filters={"dangling":["true"]}')
    assert f"Deleted: {one}" in engine.docker("rmi", one, check=True).stdout


def test_a_prune_takes_steps_with_the_last_image_made_from_them(
    engine: EngineProcess, chain: list[str]
) -> None:
    """As in Docker: whatever the filters say of the steps; a named one stays."""
    base, one, two = chain
    engine.docker("rmi", "bi-one:1", check=True)
    assert one in ids(engine, "all=1")
    untagged = engine.api("POST", "/images/create?fromSrc=-&repo=bi-two&tag=1", bytes(10240))
    assert untagged.status == 200  # takes the name away
    listed = engine.api("GET", "/bay/prune?kinds=images").json()["Items"]
    assert [item["Id"] for item in listed if item["Id"] in chain] == [two, one]
    report = engine.api("POST", "/images/prune").json()
    gone = [item["Deleted"] for item in report["ImagesDeleted"] if "Deleted" in item]
    assert [key for key in gone if key in chain] == [two, one]
    assert report["SpaceReclaimed"] == sum(item["Size"] for item in listed) > 0
    assert base in ids(engine)


def test_layers_of_an_image_removed_by_force_go_with_its_last_container(
    engine: EngineProcess, chain: list[str]
) -> None:
    made = engine.api("POST", "/containers/create", {"Image": "bi-two:1"}).json()["Id"]
    layers = engine.api("GET", "/images/bi-two:1/json").json()["RootFS"]["Layers"]
    folder = engine.root / "layers" / layers[-1].removeprefix("sha256:")
    engine.docker("rmi", "--force", "bi-two:1", check=True)
    assert folder.is_dir()
    assert engine.api("DELETE", f"/containers/{made}").status == 204
    assert not folder.exists()


def test_disk_usage_counts_containers_and_what_images_share(
    engine: EngineProcess, chain: list[str]
) -> None:
    made = engine.api("POST", "/containers/create", {"Image": "bi-one:1"}).json()["Id"]
    images = {one["Id"]: one for one in engine.api("GET", "/system/df").json()["Images"]}
    base, one, two = (images[key] for key in chain)
    assert (one["Containers"], two["Containers"]) == (1, 0)
    # All of the base is in the other two, and all of the first in the second.
    assert base["SharedSize"] == base["Size"] and one["SharedSize"] == one["Size"]
    assert two["Size"] - two["SharedSize"] == len("bi-two:1\n")
    listed = {i["Id"]: i for i in engine.api("GET", "/images/json?shared-size=1").json()}
    assert listed[chain[2]]["SharedSize"] == two["SharedSize"]
    verbose = engine.docker("system", "df", "-v", check=True).stdout
    assert [line.split()[-2:] for line in verbose.splitlines() if line.startswith("bi-two")] == [
        ["9B", "0"]
    ]
    engine.api("DELETE", f"/containers/{made}")
