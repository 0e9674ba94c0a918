"""`bay system check`: a whole store is clean, and every kind of damage is named and repaired."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bayplan.storage.store import Store
from bayplan.storage.verify import verify
from support.engine import EngineProcess

Json = dict[str, Any]


def member(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **more: Any) -> Any:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime = kind, len(data), 1_700_000_000
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def layer() -> bytes:
    """A layer with all that a layer may have, and what only the odd one has."""
    attributes = {"SCHILY.xattr.user.note": "seen", "SCHILY.xattr.trusted.x": "y"}
    capability = "SCHILY.xattr.security.capability"
    members = [
        member("./", tarfile.DIRTYPE, mode=0o755),
        member("etc", tarfile.DIRTYPE, mode=0o750, uid=5, pax_headers=attributes),
        member("etc/file", data=b"content", mode=0o4755, pax_headers=attributes),
        member("etc/cap", data=b"x", pax_headers={capability: "\x01\0\0\x02\0\x20" + "\0" * 14}),
        member("etc/twice", data=b"first, and longer"),
        member("etc/hard", tarfile.LNKTYPE, linkname="etc/twice"),
        member("etc/twice", data=b"second"),
        member("etc/hard2", tarfile.LNKTYPE, linkname="etc/twice", mode=0o777),
        member("lib", tarfile.SYMTYPE, linkname="usr/lib", uid=3),
        member("usr/lib/real", data=b"r" * 5000),
        member("lib/by-link", data=b"l"),
        member("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        member("dev/loop0", tarfile.BLKTYPE, devmajor=7, devminor=0),
        member("run/pipe", tarfile.FIFOTYPE),
        member("gone/.wh.file"),
        member("opaque", tarfile.DIRTYPE),
        member("opaque/.wh..wh..opq"),
        member("opaque/new", data=b"n"),
        member("was-file", data=b"f"),
        member("was-file", tarfile.DIRTYPE),
        member("was-file/in", data=b"i"),
        member("was-dir", tarfile.DIRTYPE),
        member("was-dir/in", data=b"i"),
        member("was-dir", data=b"now a file"),
        member(".wh.both"),
        member("both", tarfile.DIRTYPE),
        member("wh-then-file"),
        member(".wh.wh-then-file"),
        member("later", tarfile.DIRTYPE, mode=0o700),
        member("later", tarfile.DIRTYPE, mode=0o711),
        member("implicit/deep/down", data=b"d"),
        member("old", data=b"o", mtime=-5),
        member("\udcff\udcfe", data=b"name"),
        member("n" * 200, data=b"long"),
    ]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Store, str, Path]]:
    store = Store.open(tmp_path / "root")
    diff_id = store.layers.apply(None, [layer()]).diff_id
    yield store, diff_id, store.layers.path(diff_id)
    store.close()


def faults(store: Store, diff_id: str) -> list[tuple[str, str]]:
    return [(one.path, one.detail) for one in verify(store.layers, diff_id).faults]


def test_a_layer_with_everything_in_it_is_clean(made: tuple[Store, str, Path]) -> None:
    store, diff_id, _ = made
    found = verify(store.layers, diff_id)
    assert found.faults == [] and found.files == 34 and found.size == len(layer())


def test_a_link_into_a_layer_below_is_no_fault(tmp_path: Path) -> None:
    def tar(*members: Any) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for info, data in members:
                archive.addfile(info, io.BytesIO(data))
        return out.getvalue()

    store = Store.open(tmp_path / "root")
    below = tar(member("usr/bin/a", data=b"a"), member("usr/.wh.gone"))
    above = tar(member("b", tarfile.LNKTYPE, linkname="usr/bin/a"))
    ids = [store.layers.apply(None, [one]).diff_id for one in (below, above)]
    assert verify(store.layers, ids[1], settled=False).faults == []
    assert faults(store, ids[1]) == [("/b", "is missing")]
    store.layers.settle_links(ids)
    assert faults(store, ids[1]) == [] and faults(store, ids[0]) == []
    store.close()


def overwrite(path: Path) -> None:
    status = path.stat()
    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "content": (lambda root: overwrite(root / "etc/file"), "", "was changed on disk"),
    "missing": (lambda root: (root / "etc/file").unlink(), "/etc/file", "damaged on disk"),
    "short": (lambda root: os.truncate(root / "usr/lib/real", 9), "", "too short"),
    "mode": (lambda root: (root / "etc/file").chmod(0o755), "/etc/file", "has mode 0755 instead"),
    "owner": (lambda root: os.chown(root / "etc", 0, 0), "/etc", "belongs to 0:0, not 5:0"),
    "time": (lambda root: os.utime(root / "etc/cap", (9, 9)), "/etc/cap", "at another time"),
    "attribute": (
        lambda root: os.setxattr(root / "etc/file", "user.note", b"no"),
        "/etc/file",
        "another value of the attribute user.note",
    ),
    "capability": (
        lambda root: os.removexattr(root / "etc/cap", "security.capability"),
        "/etc/cap",
        "lacks the attribute security.capability",
    ),
    "device": (lambda root: swap(root / "dev/null", 1, 5), "/dev/null", "is another device"),
    "link": (lambda root: relink(root / "lib", "usr/LIB"), "/lib", "points elsewhere"),
    "kind": (lambda root: (os.unlink(root / "run/pipe"), os.mkdir(root / "run/pipe")),
             "/run/pipe", "another kind"),
    "hard link": (lambda root: unlink_twin(root / "etc/hard2"), "/etc/hard2", "a file of its own"),
    "whiteout": (lambda root: os.unlink(root / "gone/file"), "/gone/file", "whiteout"),
    "opaque": (
        lambda root: os.removexattr(root / "opaque", "trusted.overlay.opaque"),
        "/opaque",
        "does not hide",
    ),
    "stranger": (lambda root: (root / "implicit/extra").touch(), "/implicit/extra", "not part"),
    "folder": (lambda root: shutil.rmtree(root), "", "folder"),
}  # fmt: skip


def swap(path: Path, major: int, minor: int) -> None:
    status = path.stat()
    path.unlink()
    os.mknod(path, status.st_mode, os.makedev(major, minor))
    path.chmod(status.st_mode & 0o7777)


def relink(path: Path, target: str) -> None:
    status = path.lstat()
    path.unlink()
    path.symlink_to(target)
    os.chown(path, status.st_uid, status.st_gid, follow_symlinks=False)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def unlink_twin(path: Path) -> None:
    twin = path.with_name("twin")
    shutil.copy2(path, twin)
    twin.rename(path)


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_found_and_named(made: tuple[Store, str, Path], what: str) -> None:
    store, diff_id, root = made
    damage, path, words = DAMAGES[what]
    damage(root)
    found = faults(store, diff_id)
    assert any(one[0] == path and words in one[1] for one in found), found


@pytest.mark.parametrize("what", ["content", "folder", "whiteout"])
def test_a_renewed_layer_is_clean_and_a_wrong_one_changes_nothing(
    made: tuple[Store, str, Path], what: str
) -> None:
    store, diff_id, root = made
    DAMAGES[what][0](root)
    with pytest.raises(Exception, match="wrong diff id"):
        store.layers.renew(diff_id, [bytes(10240)], None)
    assert faults(store, diff_id)
    store.layers.renew(diff_id, [layer()], None)
    assert faults(store, diff_id) == []
    store.trash.drain()
    assert {one.name for one in root.parent.parent.iterdir()} == {root.parent.name}


def check(engine: EngineProcess, repair: bool = False) -> list[Json]:
    answer = engine.api("POST", "/bay/system/check", {"Repair": repair}, timeout=240)
    assert answer.status == 200
    return [json.loads(line) for line in answer.body.splitlines()]


def test_an_engines_store_is_checked_and_repaired(
    fresh_engine: Callable[..., EngineProcess], debian_image: str
) -> None:
    engine = fresh_engine()
    engine.pull(debian_image)
    clean = engine.bay("system", "check")
    assert clean.returncode == 0 and "4 layers" in clean.stdout and "no problem" in clean.stdout
    inspected = engine.api("GET", f"/images/{debian_image}/json").json()
    top = inspected["RootFS"]["Layers"][2]
    folder = engine.root / "layers" / top.partition(":")[2]
    (folder / "fs/etc/motd").write_text("hacked")
    (folder / "fs/etc/new").touch()
    starter = engine.api("GET", "/images/starter/json").json()["RootFS"]["Layers"][0]
    (engine.root / "layers" / starter.partition(":")[2] / "fs/etc/passwd").chmod(0o600)
    found = engine.bay("system", "check")
    assert found.returncode == 1 and f"layer {top} /etc/new: is not part" in found.stdout
    assert f"(in {debian_image})" in found.stdout and "--repair" in found.stderr

    # A container that runs on it is in the way; one that is stopped is not.
    body = {"Image": debian_image, "Cmd": ["sleep", "600"]}
    container = engine.api("POST", "/containers/create", body).json()["Id"]
    engine.api("POST", f"/containers/{container}/start")
    failed = [one["Failed"] for one in check(engine, repair=True) if "Failed" in one]
    assert any("runs on it, stop it first" in one["Detail"] for one in failed)
    assert any("none of its images came from a registry" in one["Detail"] for one in failed)
    engine.api("POST", f"/containers/{container}/kill")
    engine.api("POST", f"/containers/{container}/wait")
    repaired = engine.bay("system", "check", "--repair")
    assert (
        repaired.returncode == 1
        and f"repaired {top} from {debian_image.rpartition(':')[0]}@" in (repaired.stdout)
    )
    engine.bay("rmi", "starter", check=True)
    assert engine.bay("system", "check", "-q").stdout == ""
    engine.api("POST", f"/containers/{container}/start")
    read = engine.bay("exec", container, "cat", "/etc/motd", check=True)
    assert read.stdout == "upper\n"
