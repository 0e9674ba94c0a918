"""docker-py, as it is, against the engine: every noun of its object API once."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound
from support.engine import EngineProcess
from support.registry import Registry
from support.waiting import wait_until

PREFIX = "py-"


@pytest.fixture(scope="module")
def client(engine: EngineProcess) -> Iterator[Any]:
    """A client that negotiates its version, as most programs make it."""
    made = docker.DockerClient(base_url=engine.host, timeout=240)
    yield made
    made.close()


@pytest.fixture
def image(engine: EngineProcess, busybox_image: str) -> str:
    engine.pull(busybox_image)
    return busybox_image


@pytest.fixture(autouse=True)
def clean(client: Any) -> Iterator[None]:
    yield
    for container in client.containers.list(all=True):
        if container.name.startswith(PREFIX):
            container.remove(force=True, v=True)
    for network in client.networks.list(names=[PREFIX]):
        network.remove()
    for volume in client.volumes.list(filters={"name": PREFIX}):
        volume.remove()


def tar_of(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_system(client: Any) -> None:
    assert client.ping() is True
    assert client.version()["ApiVersion"] == "1.51"
    info = client.info()
    assert info["OSType"] == "linux"
    assert info["Swarm"]["LocalNodeState"] == "inactive"
    assert {"Images", "Containers", "Volumes", "LayersSize"} <= set(client.df())


def test_run_gives_output_or_its_error(client: Any, image: str) -> None:
    assert client.containers.run(image, ["echo", "hello"], remove=True) == b"hello\n"
    with pytest.raises(ContainerError) as failed:
        client.containers.run(image, ["sh", "-c", "echo why >&2; exit 3"], remove=True)
    assert failed.value.exit_status == 3
    assert b"why" in failed.value.stderr
    with pytest.raises(ImageNotFound):
        client.api.create_container("no-such-image-here", "true")


def test_a_container_from_create_to_remove(client: Any, image: str) -> None:
    made = client.containers.create(
        image, ["sleep", "1000"], name=f"{PREFIX}life", labels={"who": "py"}, environment={"A": "b"}
    )
    assert made.status == "created"
    made.start()
    made.reload()
    assert made.status == "running"
    assert "A=b" in made.attrs["Config"]["Env"]
    assert [c.name for c in client.containers.list(filters={"label": "who=py"})] == [made.name]
    made.pause()
    made.reload()
    assert made.status == "paused"
    made.unpause()
    # A start is answered before the runtime has become the program.
    wait_until(lambda: any("sleep" in " ".join(row) for row in made.top()["Processes"]), "sleep")
    made.update(mem_limit="64m", memswap_limit="64m")
    made.rename(f"{PREFIX}other")
    made.restart(timeout=0)
    made.kill()
    assert made.wait()["StatusCode"] == 137
    made.remove()
    with pytest.raises(NotFound, match="No such container"):
        client.containers.get(made.id)


def test_logs_whole_followed_and_of_one_stream(client: Any, image: str) -> None:
    made = client.containers.run(
        image,
        ["sh", "-c", "echo a; echo b >&2; sleep 0.2; echo c"],
        name=f"{PREFIX}logs",
        detach=True,
    )
    assert b"".join(made.logs(stream=True, follow=True, stderr=False)) == b"a\nc\n"
    assert made.logs(stdout=False) == b"b\n"
    assert made.logs(tail=1, stderr=False) == b"c\n"
    assert made.logs(timestamps=True, stdout=False).endswith(b"Z b\n")


def test_attach_gives_both_streams_and_takes_input(client: Any, image: str) -> None:
    made = client.containers.create(
        image, ["sh", "-c", "cat; echo bad >&2"], name=f"{PREFIX}attach", stdin_open=True
    )
    # docker-py's create has StdinOnce only with stdin_open and no detach, as `docker run -i`.
    assert made.attrs["Config"]["OpenStdin"] is True
    params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    attached = made.attach_socket(params=params)
    made.start()
    raw = attached._sock
    raw.sendall(b"typed\n")
    seen = b""
    while len(seen) < 14:
        seen += raw.recv(100)
    assert seen == b"\x01\0\0\0\0\0\0\x06typed\n"
    attached.close()


def test_attach_iterates_until_the_end(client: Any, image: str) -> None:
    made = client.containers.create(image, ["sh", "-c", "echo x; echo y >&2"], name=f"{PREFIX}it")
    pieces = made.attach(stream=True, demux=True, stdout=True, stderr=True)
    made.start()
    out, err = b"", b""
    for stdout, stderr in pieces:
        out, err = out + (stdout or b""), err + (stderr or b"")
    assert (out, err) == (b"x\n", b"y\n")


def test_exec_in_every_form(client: Any, image: str) -> None:
    made = client.containers.run(image, ["sleep", "1000"], name=f"{PREFIX}exec", detach=True)
    assert made.exec_run(["echo", "hi"]) == (0, b"hi\n")
    code, (out, err) = made.exec_run(["sh", "-c", "echo o; echo e >&2; exit 5"], demux=True)
    assert (code, out, err) == (5, b"o\n", b"e\n")
    assert made.exec_run("pwd", workdir="/tmp").output == b"/tmp\n"
    assert made.exec_run(["sh", "-c", "echo $A"], environment={"A": "b"}).output == b"b\n"
    assert made.exec_run("tty", tty=True).output.startswith(b"/dev/")
    assert b"".join(made.exec_run(["seq", "3"], stream=True).output) == b"1\n2\n3\n"
    made.exec_run(["touch", "/tmp/there"], detach=True)
    wait_until(lambda: made.exec_run(["ls", "/tmp/there"]).exit_code == 0, "detached exec ran")
    connection = made.exec_run(["cat"], stdin=True, socket=True).output
    connection._sock.sendall(b"typed\n")
    answer = b""
    while len(answer) < 14:
        answer += connection._sock.recv(100)
    assert answer == b"\x01\0\0\0\0\0\0\x06typed\n"
    connection.close()
    code, output = made.exec_run(["no-such-command"])
    assert code == 127, output


def test_stats_once_and_streamed(client: Any, image: str) -> None:
    made = client.containers.run(image, ["sleep", "1000"], name=f"{PREFIX}stats", detach=True)
    once = made.stats(stream=False)
    assert once["memory_stats"]["usage"] > 0
    assert once["pids_stats"]["current"] == 1
    assert {"cpu_stats", "precpu_stats", "blkio_stats", "networks"} <= set(once)
    stream = made.stats(stream=True, decode=True)
    first, second = next(stream), next(stream)
    assert second["read"] > first["read"]
    assert second["cpu_stats"]["cpu_usage"]["total_usage"] >= 0
    made.kill()
    made.wait()
    assert made.stats(stream=False)["pids_stats"] == {}


def test_archives_in_and_out(client: Any, image: str) -> None:
    made = client.containers.run(image, ["sleep", "1000"], name=f"{PREFIX}cp", detach=True)
    assert made.put_archive("/tmp", tar_of("file", b"content"))
    chunks, found = made.get_archive("/tmp/file")
    assert (found["name"], found["size"]) == ("file", 7)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert tar.extractfile("file").read() == b"content"  # type: ignore[union-attr] # a file
    assert {"Path": "/tmp/file", "Kind": 1} in made.diff()
    with pytest.raises(NotFound, match="Could not find the file /nope"):
        made.get_archive("/nope")
    exported = b"".join(made.export())
    with tarfile.open(fileobj=io.BytesIO(exported)) as tar:
        assert "tmp/file" in tar.getnames()


def test_commit_makes_an_image_with_the_changes(client: Any, image: str) -> None:
    made = client.containers.run(image, ["touch", "/mark"], name=f"{PREFIX}commit", detach=True)
    made.wait()
    committed = made.commit("py-committed", "v1", changes="CMD ls /mark")
    try:
        assert committed.tags == ["py-committed:v1"]
        assert client.containers.run("py-committed:v1", remove=True) == b"/mark\n"
    finally:
        client.images.remove("py-committed:v1", force=True)


def test_images_from_pull_to_remove(client: Any, registry: Registry, image: str) -> None:
    pulled = client.images.pull(image)
    assert image in pulled.tags
    assert pulled.history()[0]["Size"] >= 0
    assert pulled.tag("py-tagged", "v1")
    (listed,) = client.images.list(name="py-tagged")
    assert listed.id == pulled.id
    saved = b"".join(client.images.get("py-tagged:v1").save(named="py-tagged:v1"))
    client.images.remove("py-tagged:v1")
    with pytest.raises(ImageNotFound):
        client.images.get("py-tagged:v1")
    (loaded,) = client.images.load(saved)
    assert loaded.id == pulled.id
    client.images.remove("py-tagged:v1")
    with pytest.raises(NotFound):
        client.images.pull(f"{registry.address}/no/such", tag="x")
    assert client.images.get_registry_data(image).id.startswith("sha256:")


def test_push_and_its_progress(client: Any, registry: Registry, image: str) -> None:
    name = f"{registry.address}/py/pushed"
    assert client.images.get(image).tag(name, "v2")
    lines = list(client.images.push(name, tag="v2", stream=True, decode=True))
    assert not [line for line in lines if "error" in line]
    assert any("digest: sha256:" in line.get("status", "") for line in lines)
    client.images.remove(f"{name}:v2")
    assert f"{name}:v2" in client.images.pull(name, tag="v2").tags
    client.images.remove(f"{name}:v2")


def test_import_of_a_plain_tar(client: Any) -> None:
    answer = client.api.import_image_from_data(tar_of("mark", b"x"), repository="py-imported")
    assert json.loads(answer.splitlines()[-1])["status"].startswith("sha256:")
    assert client.images.get("py-imported:latest").attrs["RootFS"]["Layers"]
    client.images.remove("py-imported:latest")


def test_networks(client: Any, image: str) -> None:
    network = client.networks.create(f"{PREFIX}net", labels={"who": "py"})
    assert network.attrs["Driver"] == "bridge"
    made = client.containers.run(
        image, ["sleep", "1000"], name=f"{PREFIX}member", detach=True, network=network.name
    )
    made.reload()
    assert made.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
    network.reload()
    assert [c.id for c in network.containers] == [made.id]
    second = client.networks.create(f"{PREFIX}second")
    second.connect(made, aliases=["alias"])
    made.reload()
    assert set(made.attrs["NetworkSettings"]["Networks"]) == {network.name, second.name}
    second.disconnect(made)
    with pytest.raises(APIError, match="has active endpoints"):
        network.remove()
    made.remove(force=True)
    network.remove()
    assert second.name in {n.name for n in client.networks.list()}
    with pytest.raises(NotFound):
        client.networks.get(network.id)


def test_volumes(client: Any, image: str) -> None:
    volume = client.volumes.create(f"{PREFIX}vol", labels={"who": "py"})
    binds = {volume.name: {"bind": "/data", "mode": "rw"}}
    client.containers.run(image, ["touch", "/data/x"], volumes=binds, remove=True)
    assert client.containers.run(image, ["ls", "/data"], volumes=binds, remove=True) == b"x\n"
    assert [v.name for v in client.volumes.list(filters={"label": "who=py"})] == [volume.name]
    volume.remove()
    with pytest.raises(NotFound):
        client.volumes.get(volume.name)


def test_events_as_they_happen(client: Any, image: str) -> None:
    stream = client.events(decode=True, filters={"type": "container", "event": ["die", "start"]})
    seen: list[str] = []

    def listen() -> None:
        for event in stream:
            if event["Actor"]["Attributes"].get("name") == f"{PREFIX}events":
                seen.append(event["Action"])
            if "die" in seen:
                return

    listener = threading.Thread(target=listen)
    listener.start()
    client.containers.run(image, ["true"], name=f"{PREFIX}events")
    listener.join(timeout=240)
    stream.close()
    assert seen == ["start", "die"]


def test_prune(client: Any, image: str) -> None:
    made = client.containers.run(
        image, ["true"], name=f"{PREFIX}gone", detach=True, labels={"prune": "py"}
    )
    made.wait()
    label = {"label": "prune=py"}
    assert client.containers.prune(filters=label)["ContainersDeleted"] == [made.id]
    client.volumes.create(f"{PREFIX}unused", labels={"prune": "py"})
    pruned = client.volumes.prune(filters={**label, "all": True})
    assert pruned["VolumesDeleted"] == [f"{PREFIX}unused"]
    network = client.networks.create(f"{PREFIX}unused", labels={"prune": "py"})
    assert client.networks.prune(filters=label)["NetworksDeleted"] == [network.name]
    assert client.images.prune(filters={"dangling": True, **label})["SpaceReclaimed"] >= 0


def test_what_is_not_there_is_said_as_docker_says_it(client: Any) -> None:
    with pytest.raises(APIError, match="not a swarm manager"):
        client.nodes.list()
    assert client.plugins.list() == []
