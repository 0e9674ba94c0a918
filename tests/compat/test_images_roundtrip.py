"""Images go to docker, podman and skopeo and come back; every entry of their trees is the same."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from support import zoo
from support.engine import EngineProcess
from support.otherengines import Docker, Podman, overlay, run
from support.registry import Registry

Peer = Docker | Podman


@pytest.fixture(scope="module")
def docker(registry: Registry) -> Iterator[Docker]:
    peer = Docker(registry)
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    peer = Podman()
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def image(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The zoo, in the registry."""
    return registry.push(zoo.build(tmp_path_factory.mktemp("zoo")), "test/zoo")


@pytest.fixture(scope="module")
def bay(image: str) -> Iterator[EngineProcess]:
    process = EngineProcess()
    process.start()
    process.pull(image)
    yield process
    process.purge()


@pytest.fixture(scope="module")
def second() -> Iterator[EngineProcess]:
    process = EngineProcess()
    process.start()
    yield process
    process.purge()


@pytest.fixture
def other(second: EngineProcess) -> Iterator[EngineProcess]:
    """A second engine of ours, without images."""
    yield second
    second.bay("image", "prune", "-a", "-f", check=True)
    assert not any((second.root / "layers").iterdir())


def ours(engine: EngineProcess, image: str) -> AbstractContextManager[Path]:
    """Our layers of the image, mounted."""
    layers = engine.api("GET", f"/images/{image}/json").json()["RootFS"]["Layers"]
    places = [engine.root / "layers" / one.removeprefix("sha256:") / "fs" for one in layers]
    return overlay(places[::-1])


def identity(engine: EngineProcess, image: str) -> str:
    return str(engine.api("GET", f"/images/{image}/json").json()["Id"])


def assert_same(one: AbstractContextManager[Path], two: AbstractContextManager[Path]) -> None:
    with one as place:
        left = zoo.census(place)
    with two as place:
        right = zoo.census(place)
    differing = {
        name: (left.get(name), right.get(name))
        for name in left.keys() | right.keys()
        if left.get(name) != right.get(name)
    }
    assert not differing
    assert len(left) > 50


def pull(peer: Peer, image: str) -> None:
    peer("pull", *(["--tls-verify=false"] if isinstance(peer, Podman) else []), image)


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_a_pulled_tree_is_theirs(
    name: str, request: pytest.FixtureRequest, bay: EngineProcess, image: str
) -> None:
    """One image from one registry, unpacked by each."""
    peer: Peer = request.getfixturevalue(name)
    pull(peer, image)
    assert peer.id(image) == identity(bay, image)
    assert_same(ours(bay, image), peer.tree(image))


def test_a_sparse_file_takes_no_room(bay: EngineProcess, image: str) -> None:
    with ours(bay, image) as place:
        assert (place / "zoo/sparse").stat().st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_what_we_save_they_load_and_run(
    name: str, request: pytest.FixtureRequest, bay: EngineProcess, image: str, tmp_path: Path
) -> None:
    peer: Peer = request.getfixturevalue(name)
    bay.bay("tag", image, f"saved/{name}:one", check=True)
    bay.bay("save", "-o", tmp_path / "saved.tar", f"saved/{name}:one", check=True)
    peer("load", "-i", tmp_path / "saved.tar")
    shown = f"saved/{name}:one" if name == "docker" else f"docker.io/saved/{name}:one"
    assert peer.id(shown) == identity(bay, image)
    assert_same(ours(bay, image), peer.tree(shown))
    assert peer.run(shown, "cat", "/zoo/plain") == "changed\n"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("docker", ()),
        ("podman", ("--format", "docker-archive")),
        ("podman", ("--format", "oci-archive")),
    ],
    ids=["docker", "podman docker-archive", "podman oci-archive"],
)
def test_what_they_save_we_load_and_run(
    name: str,
    form: tuple[str, ...],
    request: pytest.FixtureRequest,
    bay: EngineProcess,
    other: EngineProcess,
    image: str,
    tmp_path: Path,
) -> None:
    peer: Peer = request.getfixturevalue(name)
    pull(peer, image)
    peer("save", *form, "-o", tmp_path / "theirs.tar", image)
    told = other.bay("load", "-q", "-i", tmp_path / "theirs.tar", check=True).stdout
    loaded = told.split(": ", 1)[1].strip()
    # Into an OCI archive podman writes the configuration anew.
    assert "oci-archive" in form or identity(other, loaded) == identity(bay, image)
    assert_same(ours(bay, image), ours(other, loaded))
    ran = other.bay("run", "--rm", "--network", "none", loaded, "cat", "/zoo/plain", check=True)
    assert ran.stdout == "changed\n"


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_skopeo_carries_images_both_ways(
    kind: str, bay: EngineProcess, other: EngineProcess, image: str, tmp_path: Path
) -> None:
    archive = tmp_path / "archive.tar"
    source = ["--src-tls-verify=false", f"docker://{image}"]
    run("skopeo", "copy", "-q", *source, f"{kind}:{archive}:carried:one")
    told = other.bay("load", "-q", "-i", archive, check=True).stdout
    assert_same(ours(bay, image), ours(other, told.split(": ", 1)[1].strip()))
    bay.bay("save", "-o", tmp_path / "ours.tar", image, check=True)
    place = f"docker-archive:{tmp_path}/ours.tar"
    run("skopeo", "copy", "-q", place, f"oci:{tmp_path}/layout:back")
    config = json.loads(run("skopeo", "inspect", "--config", f"oci:{tmp_path}/layout:back"))
    layers = bay.api("GET", f"/images/{image}/json").json()["RootFS"]["Layers"]
    assert config["rootfs"]["diff_ids"] == layers


def write(engine: EngineProcess, container: str) -> None:
    """Change all kinds of things in a container that does not run."""
    tar = zoo.Tar()
    tar.add("zoo/added", data=b"new", mode=0o4711, uid=9, mtime=1_700_000_000.75,
            xattrs={"user.mine": "yes"})  # fmt: skip
    tar.add("zoo/added-too", tarfile.LNKTYPE, linkname="zoo/added")
    tar.add("zoo/added-link", zoo.SYMLINK, linkname="added")
    tar.add("zoo/opaque/more", data=b"more")
    answer = engine.api("PUT", f"/containers/{container}/archive?path=/", tar.raw())
    assert answer.status == 200, answer.body


@pytest.fixture(scope="module")
def committed(bay: EngineProcess, image: str, registry: Registry) -> str:
    """An image that we committed and pushed: things added, removed, replaced."""
    reference = f"{registry.address}/test/committed:one"
    script = (
        "rm /zoo/one; rm -r /zoo/opaque; mkdir /zoo/opaque; echo hi >/zoo/opaque/hi; chmod 700 /tmp"
    )
    bay.bay("run", "--name", "changed", "--network", "none", image, "sh", "-c", script, check=True)
    write(bay, "changed")
    words = ["--author", "A. Uthor", "--message", "as told", "--change", 'CMD ["cat","/zoo/added"]']
    bay.bay("commit", *words, "changed", reference, check=True)
    bay.bay("push", reference, check=True)
    return reference


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_what_we_commit_and_push_they_pull_and_run(
    name: str, request: pytest.FixtureRequest, bay: EngineProcess, committed: str
) -> None:
    peer: Peer = request.getfixturevalue(name)
    pull(peer, committed)
    assert peer.id(committed) == identity(bay, committed)
    assert_same(ours(bay, committed), peer.tree(committed))
    with ours(bay, committed) as place:
        found = zoo.census(place)
    assert b"zoo/one" not in found and b"zoo/opaque/new" not in found
    assert found[b"zoo/added"][-1] == (b"zoo/added", b"zoo/added-too")
    assert peer.run(committed) == "new"
    told = peer("history", "--no-trunc", "--format", "{{.Comment}}", committed)
    assert "as told" in told


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_what_they_commit_and_push_we_pull_and_run(
    name: str,
    request: pytest.FixtureRequest,
    bay: EngineProcess,
    image: str,
    registry: Registry,
    tmp_path: Path,
) -> None:
    peer: Peer = request.getfixturevalue(name)
    pull(peer, image)
    reference = f"{registry.address}/test/by-{name}:one"
    made = peer("create", "--network", "none", image, "sh").split()[-1]
    (tmp_path / "file").write_text("theirs")
    peer("cp", tmp_path / "file", f"{made}:/zoo/file")
    peer("commit", made, reference)
    peer("rm", made)
    peer("push", *(["--tls-verify=false"] if name == "podman" else []), reference)
    bay.pull(reference)
    assert_same(ours(bay, reference), peer.tree(reference))
    ran = bay.bay("run", "--rm", "--network", "none", reference, "cat", "/zoo/file", check=True)
    assert ran.stdout == "theirs"


def exported(archive: Path) -> dict[str, tuple[object, ...]]:
    """Every member of an export: what Docker's says too. Its times are whole seconds, and of what
    the engine or the container made just now they differ."""
    found: dict[str, tuple[object, ...]] = {}
    with tarfile.open(archive, errors="surrogateescape") as tar:
        for one in tar:
            data = tar.extractfile(one) if one.isreg() else None
            xattrs = {key: value for key, value in one.pax_headers.items() if "xattr" in key}
            found[one.name] = (
                *(one.type, oct(one.mode & 0o7777), one.uid, one.gid, one.linkname, one.devmajor),
                *(one.devminor, data.read() if data else b"", xattrs),
                int(one.mtime) if one.mtime < 1_700_000_000 else 0,
            )
    return found


@pytest.mark.parametrize("verb", ["create", "run"])
def test_an_export_is_dockers(
    verb: str, docker: Docker, bay: EngineProcess, image: str, tmp_path: Path
) -> None:
    """Modes of mount points and of the working folder, owners, links, capabilities: one container
    of each, exported. Attributes of users (`user.*`) are in ours alone: Docker loses them."""
    pull(docker, image)
    script = "chmod 4711 /zoo/plain; mkdir -m 1755 /made; rm -r /zoo/opaque; ln /zoo/one /zoo/two"
    mounts = ["/new/mount", "/zoo/sticky", f"{tmp_path}:/bound/at", f"{__file__}:/file/at"]
    words = [verb, "--network", "none", "-w", "/work/dir", "--tmpfs", "/zoo/tmpfs"]
    words += [word for one in mounts for word in ("-v", one)]
    for peer, command in (("docker", docker), ("bay", lambda *w: bay.bay(*w, check=True))):
        command(*words, "--name", f"exported-{verb}", image, "sh", "-c", script)
        command("export", "-o", tmp_path / peer, f"exported-{verb}")
        command("rm", "-v", f"exported-{verb}")
    ours, theirs = exported(tmp_path / "bay"), exported(tmp_path / "docker")
    kept = {name: entry[-2] for name, entry in ours.items() if "user." in str(entry[-2])}
    assert kept == {"zoo/noted": {"SCHILY.xattr.user.note": "kept"}}
    ours["zoo/noted"] = theirs["zoo/noted"]
    names = ours.keys() | theirs.keys()
    assert not {
        name: (ours.get(name), theirs.get(name))
        for name in names
        if ours.get(name) != theirs.get(name)
    }
    assert "SCHILY.xattr.security.capability" in str(ours["zoo/capable"])
    assert ours["work/dir"][1] == "0o755" and ("new/mount" in ours) == (verb == "run")
