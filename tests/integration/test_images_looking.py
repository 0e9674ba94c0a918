"""Layers, changes and files through `/bay/`, on a real engine, nothing started for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.engine import EngineProcess

Json = dict[str, Any]


@pytest.fixture(scope="module")
def image(engine: EngineProcess, debian_image: str) -> str:
    engine.pull(debian_image)
    return debian_image


@pytest.fixture
def container(engine: EngineProcess, image: str) -> Iterator[str]:
    # Started once more it rests: what it wrote is read while it runs.
    script = "[ -p /srv/pipe ] && exec sleep 1000; "
    script += (
        "echo more >> /etc/motd; mkdir -p /srv/new/deep; head -c 5000 /dev/zero > /srv/new/deep/f"
    )
    script += (
        "; rm /opt/bay-test; ln -s /etc/shadow /srv/out; ln -s ../../../../etc/hostname /srv/up"
    )
    script += "; ln /srv/new/deep/f /srv/new/second; chmod 700 /home; mkfifo /srv/pipe"
    script += "; touch $'/srv/\\xff'"
    made = engine.api(
        "POST", "/containers/create", {"Image": image, "Cmd": ["bash", "-c", script]}
    ).json()["Id"]
    engine.api("POST", f"/containers/{made}/start")
    assert engine.api("POST", f"/containers/{made}/wait").json()["StatusCode"] == 0
    yield made
    engine.api("DELETE", f"/containers/{made}?force=1")


def get(engine: EngineProcess, path: str) -> Json:
    answer = engine.api("GET", path)
    assert answer.status == 200, answer.body
    return dict(answer.json())


def entries(found: Json) -> dict[str, Json]:
    return {one["Name"]: one for one in found["Entries"]}


def test_each_layer_tells_what_it_does_to_those_below(engine: EngineProcess, image: str) -> None:
    found = get(engine, f"/bay/images/{image}/layers")
    first, second, third = found["Layers"]
    assert first["CreatedBy"] == "layer 0" and first["Added"] > 1000 and not first["Empty"]
    assert first["Changed"] == first["Removed"] == first["WastedBytes"] == 0
    # /etc/motd changed, /etc/removed went, /opt/bay-test came.
    assert (third["Added"], third["Changed"], third["Removed"]) == (1, 1, 1)
    assert third["Size"] == len("upper\nthird layer\n") and third["CompressedSize"] > 0
    wasted = {one["Path"]: one["Bytes"] for one in found["Wasted"]}
    assert wasted == {"/etc/motd": 6, "/etc/removed": len("the third layer removes this\n")}
    assert second["WastedBytes"] == sum(wasted.values()) == found["WastedBytes"]
    inspected = get(engine, f"/images/{image}/json")
    assert [one["DiffId"] for one in found["Layers"]] == inspected["RootFS"]["Layers"]
    assert 0.99 < found["Efficiency"] <= 1


def test_a_layers_tree_has_kinds_sums_and_what_is_gone(engine: EngineProcess, image: str) -> None:
    third = get(engine, f"/bay/images/{image}/layers")["Layers"][2]
    top = entries(get(engine, f"/bay/images/{image}/layers/2/tree"))
    assert set(top) == {"etc", "opt"}
    assert (top["etc"]["Change"], top["etc"]["Changed"], top["etc"]["Removed"]) == (
        "unchanged",
        1,
        1,
    )
    etc = entries(get(engine, f"/bay/images/{image}/layers/{third['DiffId']}/tree?path=/etc"))
    assert etc["motd"]["Change"] == "changed" and etc["motd"]["Size"] == 6
    gone = etc["removed"]
    assert gone["Change"] == "removed" and gone["Type"] == "file" and gone["Size"] == 0
    below = entries(get(engine, f"/bay/images/{image}/layers/1/tree?path=/etc"))
    assert below["motd"]["Change"] == "added" and below["motd"]["WastedBytes"] == 6
    for wrong in ("7", "sha256:00", "2/tree?path=/none&x="):
        path = wrong if "tree" in wrong else f"{wrong}/tree"
        assert engine.api("GET", f"/bay/images/{image}/layers/{path}").status == 404


def test_changes_have_sizes_and_are_those_of_diff(engine: EngineProcess, container: str) -> None:
    found = get(engine, f"/bay/containers/{container}/changes")
    top = entries(found)
    assert top["home"]["Change"] == "changed" and top["home"]["Mode"] == 0o700
    assert top["opt"]["Removed"] == 1 and top["opt"]["Change"] == "unchanged"
    srv = top["srv"]
    assert srv["Change"] == "unchanged" and srv["Size"] >= 5000 and srv["Added"] == 8
    listed = {one["Path"] for one in engine.api("GET", f"/containers/{container}/changes").json()}
    seen: set[str] = set()
    waiting = ["/"]
    while waiting:
        folder = waiting.pop()
        path = quote(os.fsencode(folder))
        for row in get(engine, f"/bay/containers/{container}/changes?path={path}")["Entries"]:
            seen.add(row["Path"])
            if row["Type"] == "directory":
                waiting.append(row["Path"])
    assert seen == listed
    row = get(engine, f"/containers/{container}/json?size=1")
    # The two names of one file count once, here as there.
    assert found["SizeRw"] == row["SizeRw"]


@pytest.mark.parametrize("running", [False, True])
def test_a_containers_files_are_listed_and_read(
    engine: EngineProcess, container: str, running: bool
) -> None:
    if running:
        engine.api("POST", f"/containers/{container}/start")
    base = f"/bay/containers/{container}/files"
    found = get(engine, f"{base}?path=/srv")
    rows = entries(found)
    assert found["Path"] == "/srv" and found["Total"] == len(rows)
    assert rows["new"]["Type"] == "directory" and rows["pipe"]["Type"] == "fifo"
    assert rows["out"]["Target"] == "/etc/shadow" and rows["out"]["TargetType"] == "file"
    assert rows["up"]["User"] == "root"
    assert "\udcff" in rows
    assert engine.api("GET", f"{base}/content?path=/srv/%FF").body == b""
    # Links to the host's files lead to the container's own.
    own = engine.api("GET", f"{base}/content?path=/srv/up")
    assert own.status == 200 and own.body.decode().strip() == container[:12]
    part = engine.api("GET", f"{base}/content?path=/srv/new/second&offset=4990&limit=100")
    assert part.body == bytes(10) and part.headers["Bay-File-Size"] == "5000"
    assert engine.api("GET", f"{base}/content?path=/srv/pipe").status == 400
    assert engine.api("GET", f"{base}/content?path=/srv").status == 400
    assert engine.api("GET", f"{base}/content?path=/srv/none").status == 404
    assert engine.api("GET", f"{base}?path=/none").status == 404
    assert engine.api("GET", f"{base}/content?path=/etc/motd&limit=99999999").status == 400
    assert len(get(engine, f"{base}?path=/etc&limit=3")["Entries"]) == 3


def test_an_images_files_are_listed_and_read_without_a_container(
    engine: EngineProcess, image: str
) -> None:
    base = f"/bay/images/{image}/files"
    etc = entries(get(engine, f"{base}?path=/etc"))
    assert "removed" not in etc and etc["motd"]["Size"] == 6
    assert etc["shadow"]["Group"] == "shadow"
    assert engine.api("GET", f"{base}/content?path=/etc/motd").body == b"upper\n"
    assert get(engine, f"{base}?path=/bin")["Path"] in ("/bin", "/usr/bin")
    one = get(engine, f"{base}?path=/etc/motd")
    assert one["Total"] == 1 and one["Entries"][0]["Path"] == "/etc/motd"
    assert engine.api("GET", f"{base}?path=../../../../work").status == 404
    mounts = Path(f"/proc/{engine.pid}/mountinfo").read_text()
    assert f"{engine.root}/layers" not in mounts and f" {engine.root} " not in mounts


def test_looking_at_what_is_not_there(engine: EngineProcess) -> None:
    for path in ("/bay/images/none/layers", "/bay/images/none/files", "/bay/containers/none/files"):
        answer = engine.api("GET", path)
        assert answer.status == 404 and "No such" in answer.json()["message"]


def test_layers_and_sizes_on_the_command_line(
    engine: EngineProcess, image: str, container: str
) -> None:
    shown = engine.bay("layers", image, check=True).stdout.splitlines()
    assert shown[0].split()[:3] == ["LAYER", "SIZE", "ADDED"] and shown[3].startswith("2 ")
    assert any("/etc/removed" in line for line in shown[4:])
    tree = engine.bay("layers", "-l", "2", "-p", "/etc", image, check=True).stdout
    assert "removed" in tree and "-rw-r--r--" in tree and "/etc/motd" in tree
    sized = engine.bay("diff", "--size", container, check=True).stdout.splitlines()
    assert "A       5kB /srv/new/deep/f" in sized and "D        0B /opt/bay-test" in sized
    plain = engine.bay("diff", container, check=True).stdout.splitlines()
    assert [line.split(" ", 1)[1] for line in plain] == [line[12:] for line in sized]
