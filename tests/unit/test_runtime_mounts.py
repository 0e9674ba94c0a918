"""`-v`, `--mount` and `--tmpfs`: what is meant, what is refused, what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bayplan.core import mounts
from bayplan.core.mounts import Wanted
from bayplan.core.types import Container
from bayplan.host.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data", Wanted("volume", "", "/data")),
        ("vol:/data", Wanted("volume", "vol", "/data", mode="z")),
        ("vol:/data:ro", Wanted("volume", "vol", "/data", True, "ro")),
        ("vol:/data:nocopy", Wanted("volume", "vol", "/data", mode="nocopy", copy=False)),
        ("/a:/b", Wanted("bind", "/a", "/b", create_source=True)),
        ("/a/../c/:/b/", Wanted("bind", "/c", "/b", create_source=True)),
        (
            "/a:/b:ro,rslave",
            Wanted("bind", "/a", "/b", True, "ro,rslave", "rslave", create_source=True),
        ),
    ],
)
def test_bind_syntax(text: str, expected: Wanted) -> None:
    assert mounts.parse_bind(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:b:c:d", "invalid volume specification: 'a:b:c:d'"),
        (":/b", "invalid volume specification"),
        ("", "invalid volume specification"),
        ("/a:b", "mount path must be absolute"),
        ("/a:/", "destination can't be '/'"),
        ("/a:/..", "destination can't be '/'"),
        ("/a:/b:rw,ro", "invalid mode: rw,ro"),
        ("/a:/b:fast", "invalid mode: fast"),
        ("vol:/b:rshared", "invalid mode: rshared"),
        ("./a:/b", "If you intended to pass a host directory, use absolute path"),
    ],
)
def test_bad_binds(text: str, message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        mounts.parse_bind(text)
    assert message in caught.value.message


def test_mount_syntax(tmp_path: Path) -> None:
    entry = {"Type": "bind", "Source": str(tmp_path), "Target": "/t", "ReadOnly": True}
    wanted = mounts.parse_mount({**entry, "BindOptions": {"Propagation": "shared"}})
    assert (wanted.kind, wanted.read_only, wanted.propagation) == ("bind", True, "shared")
    wanted = mounts.parse_mount({"Type": "volume", "Target": "/t"})
    assert (wanted.source, wanted.copy) == ("", True)
    wanted = mounts.parse_mount({"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"Mode": 448}})
    assert wanted.options == {"Mode": 448}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"Type": "npipe", "Target": "/t"}, 'mount type unknown: "npipe"'),
        ({"Type": "bind", "Source": "/x"}, "field Target must not be empty"),
        ({"Type": "bind", "Target": "/t"}, "field Source must not be empty"),
        ({"Type": "bind", "Target": "/t", "Source": "x"}, "mount path must be absolute"),
        (
            {"Type": "bind", "Target": "/t", "Source": "/no/such"},
            'invalid mount config for type "bind": bind source path does not exist: /no/such',
        ),
        ({"Type": "tmpfs", "Target": "/t", "Source": "x"}, "Source must not be specified"),
        (
            {"Type": "tmpfs", "Target": "/t", "BindOptions": {"Propagation": "shared"}},
            "field BindOptions must not be specified",
        ),
        (
            {"Type": "bind", "Target": "/t", "Source": "/", "BindOptions": {"Propagation": "x"}},
            "invalid propagation mode: x",
        ),
        ({"Type": "volume", "Target": "/t", "Source": "../up"}, "includes invalid characters"),
    ],
)
def test_bad_mounts(entry: Any, message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        mounts.parse_mount(entry)
    assert message in caught.value.message


@pytest.mark.parametrize("path", ["/a", "../a", "a/../../b"])
def test_a_subpath_stays_in_its_volume(path: str) -> None:
    entry = {"Type": "volume", "Target": "/t", "VolumeOptions": {"Subpath": path}}
    with pytest.raises(InvalidError, match="relative path within the volume"):
        mounts.parse_mount(entry)


def test_all_together_parents_first() -> None:
    host_config = {
        "Binds": ["/a:/x/y/z", "vol:/x"],
        "Mounts": [{"Type": "tmpfs", "Target": "/x/y"}],
        "Tmpfs": {"/t": ""},
    }
    found = mounts.parse(host_config, {"/x": {}, "image": {}, "/t": {}})
    assert [wanted.target for wanted in found] == ["/image", "/x", "/x/y", "/x/y/z"]
    with pytest.raises(InvalidError, match="Duplicate mount point: /x"):
        mounts.parse({"Binds": ["/a:/x", "/b:/x/"]})
    with pytest.raises(InvalidError, match="Duplicate mount point: /t"):
        mounts.parse({"Binds": ["/a:/t"], "Tmpfs": {"/t/": ""}})


def test_mount_points() -> None:
    assert mounts.parse_bind("/a:/b:ro").point() == {
        "Type": "bind",
        "Source": "/a",
        "Destination": "/b",
        "Mode": "ro",
        "RW": False,
        "Propagation": "rprivate",
    }
    point = mounts.parse_bind("vol:/b").point("/vols/vol/_data", "vol")
    assert (point["Name"], point["Driver"], point["Source"]) == ("vol", "local", "/vols/vol/_data")
    assert point["Propagation"] == ""


def test_volumes_from() -> None:
    assert mounts.parse_volumes_from("web:ro") == ("web", "ro")
    assert mounts.parse_volumes_from("web") == ("web", "")
    with pytest.raises(InvalidError, match="invalid mode: fast"):
        mounts.parse_volumes_from("web:fast")
    points = [
        {"Type": "bind", "Destination": "/a", "RW": True},
        {"Type": "volume", "Destination": "/b", "RW": False},
        {"Type": "image", "Destination": "/c", "RW": False},
    ]
    assert [point["RW"] for point in mounts.inherit(points, "ro")] == [False, False]
    assert [point["RW"] for point in mounts.inherit(points, "")] == [True, False]


def test_oci_mounts(tmp_path: Path) -> None:
    host_config = {
        "Mounts": [
            {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 99, "Mode": 0o700}},
            {
                "Type": "bind",
                "Source": "/n",
                "Target": "/n",
                "BindOptions": {"NonRecursive": True, "ReadOnlyNonRecursive": True},
            },
        ],
        "Tmpfs": {"/deep/er": "exec,size=1m", "/ro": "ro"},
    }
    points = [
        {"Type": "tmpfs", "Source": "", "Destination": "/t", "RW": True},
        {"Type": "bind", "Source": "/n", "Destination": "/n", "RW": False, "Propagation": ""},
        {
            "Type": "volume",
            "Source": str(tmp_path),
            "Destination": "/deep",
            "RW": False,
            "Propagation": "",
        },
    ]
    container = Container("c", "c", 0, "", "", {}, host_config, tmp_path, mounts=points)
    found = {mount["destination"]: mount for mount in mounts.oci(container)}
    assert list(found) == ["/deep", "/deep/er", "/n", "/ro", "/t"]
    assert found["/t"]["options"] == ["noexec", "nosuid", "nodev", "size=99", "mode=700"]
    assert found["/n"]["options"] == ["bind", "ro", "rprivate"]
    assert found["/deep"]["options"] == ["rbind", "rro", "rprivate"]
    assert found["/deep/er"]["options"] == ["nosuid", "nodev", "exec", "size=1m"]
    assert "ro" in found["/ro"]["options"]
