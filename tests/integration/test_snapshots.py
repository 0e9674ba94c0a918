"""Snapshots of writable layers: taken, gone back to, branched from, and what a crash leaves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bayplan.host.errors import BayError
from bayplan.storage import savedlayers
from bayplan.storage.store import Store
from support.engine import EngineProcess
from support.waiting import wait_until

Json = dict[str, Any]
SETUP = (
    "echo one > /data; mkdir /d; echo x > /d/x; ln /d/x /d/y; rm /etc/removed-later; rm -r /root;"
    " mkdir /root; echo own > /root/own; chmod 4711 /d/x; mkfifo /d/pipe; touch -d @1000 /d"
)


@pytest.fixture
def box(engine: EngineProcess, busybox_image: str) -> Iterator[Callable[[str], str]]:
    """A stopped container that ran a script once."""
    engine.pull(busybox_image)
    made: list[str] = []

    def make(script: str) -> str:
        body = {"Image": busybox_image, "Cmd": ["sh", "-c", script], "Env": ["KEPT=yes"]}
        made.append(engine.api("POST", "/containers/create", body).json()["Id"])
        start(engine, made[-1])
        return made[-1]

    yield make
    engine.remove_containers()


def start(engine: EngineProcess, container: str) -> None:
    engine.api("POST", f"/containers/{container}/start")
    assert engine.api("POST", f"/containers/{container}/wait").status == 200


def diff(engine: EngineProcess, container: str) -> list[Json]:
    return list(engine.api("GET", f"/containers/{container}/changes").json() or [])


def upper(engine: EngineProcess, container: str) -> Path:
    return engine.root / "snapshots" / container / "diff"


def tree(root: Path) -> dict[str, tuple[Any, ...]]:
    """All that a folder's entries are, but for their inodes."""
    found: dict[str, tuple[Any, ...]] = {}
    links: dict[int, str] = {}
    for folder, folders, names in os.walk(root):
        for path in [folder, *(os.path.join(folder, one) for one in (*folders, *names))]:
            status = os.lstat(path)
            attributes = {
                name: os.getxattr(path, name, follow_symlinks=False)
                for name in os.listxattr(path, follow_symlinks=False)
            }
            place = os.path.relpath(path, root)
            content = (
                Path(path).read_bytes()
                if os.path.isfile(path) and not os.path.islink(path)
                else b""
            )
            first = links.setdefault(status.st_ino, place) if status.st_nlink > 1 else place
            found[place] = (
                *(status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns),
                *(status.st_rdev, content, attributes, first if status.st_rdev == 0 else ""),
            )
    return found


def test_a_rollback_brings_back_every_entry(engine: EngineProcess, box: Callable[..., str]) -> None:
    container = box(SETUP.replace("rm /etc/removed-later", "rm /etc/group"))
    before, listed = tree(upper(engine, container)), diff(engine, container)
    assert any(b"y" in entry[6].get("trusted.overlay.opaque", b"") for entry in before.values())
    base = f"/bay/containers/{container}/snapshots"
    made = engine.api("POST", base, {"Comment": "before"})
    assert made.status == 201 and made.json()["Name"] == "snap0" and made.json()["Size"] > 0
    start(engine, container)
    assert tree(upper(engine, container)) != before
    assert engine.api("POST", f"{base}/snap0/rollback").status == 204
    assert tree(upper(engine, container)) == before and diff(engine, container) == listed
    # What it holds is a copy: going on changes nothing in it.
    start(engine, container)
    assert engine.api("POST", f"{base}/{made.json()['Id'][:12]}/rollback").status == 204
    assert tree(upper(engine, container)) == before


def test_a_branch_goes_on_alone_from_what_was(
    engine: EngineProcess, box: Callable[..., str]
) -> None:
    container = box("echo again >> /log; cat /log; echo $KEPT; hostname")
    engine.bay("snapshot", "create", container, "first", "-m", "why", check=True)
    made = engine.bay("snapshot", "branch", container, "first", "bt-branch", check=True)
    branch = made.stdout.strip()
    assert engine.bay("rm", container, check=True).stdout
    assert engine.api("GET", "/bay/snapshots").json() == []
    ran = engine.bay("start", "-a", "bt-branch", check=True).stdout.split("\n")
    assert ran[:3] == ["again", "again", "yes"] and ran[3] == branch[:12]
    inspected = engine.inspect(branch)
    assert inspected["Config"]["Env"][0] == "KEPT=yes" and inspected["Name"] == "/bt-branch"


def test_what_runs_is_paused_for_the_copy_and_goes_on(
    engine: EngineProcess, box: Callable[..., str], busybox_image: str
) -> None:
    body = {"Image": busybox_image, "Cmd": ["sh", "-c", "echo up > /up; sleep 600"]}
    container = engine.api("POST", "/containers/create", body).json()["Id"]
    engine.api("POST", f"/containers/{container}/start")
    wait_until(lambda: (upper(engine, container) / "up").exists(), "the file")
    base = f"/bay/containers/{container}/snapshots"
    refused = engine.api("POST", base, {"Pause": False})
    assert refused.status == 409 and "stop or pause it first" in refused.json()["message"]
    assert engine.api("POST", base, {"Name": "live"}).status == 201
    assert engine.inspect(container)["State"]["Status"] == "running"
    refused = engine.api("POST", f"{base}/live/rollback")
    assert refused.status == 409 and "stop it first" in refused.json()["message"]
    engine.api("POST", f"/containers/{container}/pause")
    assert engine.api("POST", base, {"Name": "paused"}).status == 201
    assert engine.inspect(container)["State"]["Status"] == "paused"
    names = [one["Name"] for one in engine.api("GET", base).json()]
    assert names == ["live", "paused"]
    assert engine.api("DELETE", f"{base}/live").status == 204
    assert engine.api("DELETE", f"{base}/live").status == 404


def test_mistakes_are_told(engine: EngineProcess, box: Callable[..., str]) -> None:
    container = box("true")
    base = f"/bay/containers/{container}/snapshots"
    assert engine.api("POST", base, {"Name": "../x"}).status == 400
    assert engine.api("POST", base, {"Name": "a"}).status == 201
    taken = engine.api("POST", base, {"Name": "a"})
    assert taken.status == 409 and "called a already" in taken.json()["message"]
    assert engine.api("POST", f"{base}/b/rollback").status == 404
    assert engine.api("POST", "/bay/containers/none/snapshots", {}).status == 404
    assert engine.api("POST", base, {"Pause": "x"}).status == 400
    done = engine.bay("snapshot", "rm", container, "nope")
    assert done.returncode == 1 and "No such snapshot: nope" in done.stderr
    clash = engine.api("POST", f"{base}/a/branch", {"Name": engine.inspect(container)["Name"][1:]})
    assert clash.status == 409
    assert {one["Name"] for one in engine.api("GET", base).json()} == {"a"}
    usage = engine.api("GET", "/system/df").json()["Snapshots"]
    assert [one["Name"] for one in usage] == ["a"]
    shown = engine.bay("system", "df", check=True).stdout
    assert "Snapshots" in shown and " a " in engine.bay("system", "df", "-v", check=True).stdout


def test_a_rollback_says_before_what_it_loses_and_brings_back(
    engine: EngineProcess, box: Callable[..., str]
) -> None:
    """Added, changed and removed, of the layer and of the image, by path and by bytes."""
    container = box(
        "if [ ! -e /d ]; then mkdir -p /d /away/in; echo 1234 > /d/same; echo 1 > /d/sly;"
        " echo old > /d/changed; echo gone > /away/f; touch /d/sly -d @1000; cp /bin/arch /up;"
        " else echo newer > /d/changed; rm -r /away; mkdir /new; echo 12345678 > /new/f;"
        " ln /new/f /new/g; echo 2 > /d/sly; touch /d/sly -d @1000; rm /bin/arch; chmod 700 /d;"
        " rm -r /root; mkdir -m 700 /root; touch /etc/group; fi"
    )
    base = f"/bay/containers/{container}/snapshots"
    assert engine.api("POST", base, {"Name": "s"}).status == 201
    path = f"{base}/s/changes"
    assert engine.api("GET", path).json()["Changes"] == []
    start(engine, container)
    found = engine.api("GET", path).json()
    changes = {one["Path"]: one for one in found["Changes"]}
    kinds = {path: one["Change"] for path, one in changes.items()}
    assert kinds == {
        "/away": "removed", "/bin/arch": "removed", "/d": "changed", "/d/changed": "changed",
        "/d/sly": "changed", "/etc/group": "changed", "/new": "added", "/new/f": "added",
        "/new/g": "added",
    }  # fmt: skip
    assert (changes["/d/changed"]["Size"], changes["/d/changed"]["SizeBefore"]) == (6, 4)
    assert changes["/away"]["SizeBefore"] == 5 and changes["/away"]["Type"] == "directory"
    assert changes["/away"]["Held"] == 2 and changes["/bin/arch"]["Held"] == 0
    assert changes["/new/f"]["Size"] + changes["/new/g"]["Size"] == 9
    assert found["SizeLost"] == sum(one["Size"] for one in found["Changes"])
    assert (found["Added"], found["Changed"], found["Removed"]) == (3, 4, 2)
    short = engine.api("GET", f"{path}?limit=1").json()
    assert len(short["Changes"]) == 1 and short["Added"] == 3
    assert engine.api("GET", f"{path}?limit=-1").status == 400
    told = engine.bay("snapshot", "rollback", "--dry-run", container, "s", check=True).stdout
    assert (
        "A        9B /new/f" in told
        and "/away (2 in it)" in told
        and "3 added, 4 changed, 2 removed" in told
    )
    assert engine.api("POST", f"{base}/s/rollback").status == 204
    assert engine.api("GET", path).json()["Changes"] == []


def test_a_crash_in_any_step_leaves_the_layer_and_its_whole_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path / "root")
    store.snapshots.create("c", [])
    (store.snapshots.upper("c") / "f").write_text("one")
    kept = store.saved.take("c", "", "", {"image_ref": "x"})
    (store.snapshots.upper("c") / "f").write_text("two")

    def die(*_: object) -> None:
        raise KeyboardInterrupt  # as a kill: no handler of errors takes it

    copy = savedlayers._copy
    for step in ("_copy", "_sync", "tree_size"):
        with monkeypatch.context() as patch:
            # The undo in the process dies with it, too.
            patch.setattr(savedlayers.SavedLayers, "_forget", die)
            patch.setattr(savedlayers, step, die)
            with pytest.raises(KeyboardInterrupt):
                store.saved.take("c", "", "", {"image_ref": "x"})
    with monkeypatch.context() as patch:
        patch.setattr(savedlayers.syscalls, "exchange", die)
        with pytest.raises(KeyboardInterrupt):
            store.saved.restore(kept.id, "c")
    copy(store.snapshots.upper("c"), tmp_path / "root/snapshots/c/diff.new")
    (tmp_path / "root/snapshots/c/saved/stray").mkdir()
    store.close()
    store = Store.open(tmp_path / "root")
    try:
        assert [one.id for one in store.saved.all()] == [kept.id]
        folder = tmp_path / "root/snapshots/c"
        assert {one.name for one in folder.iterdir()} == {"diff", "work", "merged", "saved"}
        assert [one.name for one in (folder / "saved").iterdir()] == [kept.id]
        assert (store.snapshots.upper("c") / "f").read_text() == "two"
        store.saved.restore(kept.id, "c")
        assert (store.snapshots.upper("c") / "f").read_text() == "one"
        store.snapshots.remove("c")
        assert store.saved.all() == [] and not folder.exists()
        with pytest.raises(BayError, match="No such snapshot"):
            store.saved.restore(kept.id, "c")
    finally:
        store.close()


def test_an_engine_killed_while_it_copies_leaves_nothing_of_it(
    fresh_engine: Callable[..., EngineProcess], busybox_image: str
) -> None:
    engine = fresh_engine()
    engine.pull(busybox_image)
    script = "i=0; while [ $i -lt 1000 ]; do echo $i > /f$i; i=$((i+1)); done"
    body = {"Image": busybox_image, "Cmd": ["sh", "-c", script]}
    container = engine.api("POST", "/containers/create", body).json()["Id"]
    start(engine, container)
    before = tree(upper(engine, container))
    base = f"/bay/containers/{container}/snapshots"
    assert engine.api("POST", base, {"Name": "whole"}).status == 201
    folder = engine.root / "snapshots" / container
    for request, sign in ((base, "saved/*/diff/f1"), (f"{base}/whole/rollback", "diff.new/f1")):
        child = os.fork()
        if child == 0:
            try:
                engine.api("POST", request, {"Name": "cut"} if request == base else None)
            finally:
                os._exit(0)
        known = {str(one) for one in folder.glob("saved/whole*")}
        count = len(list(folder.glob(sign)))
        pid, ended = engine.pid, False

        def begun(count: int = count, sign: str = sign, child: int = child) -> bool:
            nonlocal ended
            ended = os.waitpid(child, os.WNOHANG)[0] == child
            return ended or len(list(folder.glob(sign))) > count

        wait_until(begun, "a copy under way, or done before anybody looked", every=0.001)
        engine.kill9(pid)
        if not ended:
            os.waitpid(child, 0)
        engine.start()
        assert known == {str(one) for one in folder.glob("saved/whole*")}
        names = [one["Name"] for one in engine.api("GET", base).json()]
        # Killed before or after its last step: never half of it.
        assert names in (["whole"], ["whole", "cut"])
        assert not (folder / "diff.new").exists()
        assert tree(upper(engine, container)) == before
    assert engine.api("POST", f"{base}/whole/rollback").status == 204
    assert tree(upper(engine, container)) == before
