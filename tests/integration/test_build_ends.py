"""Builds that end early or badly: nothing of them is left, and the next one works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.building import Kitchen
from support.engine import BAY, EngineProcess
from support.http import UnixConnection
from support.registry import Registry
from support.waiting import wait_until


@pytest.fixture
def kitchen(engine: EngineProcess, busybox_image: str, tmp_path: Path) -> Kitchen:
    """A context of its own, on busybox."""
    engine.pull(busybox_image)
    return Kitchen(engine, busybox_image, tmp_path)


def running(engine: EngineProcess, marker: str) -> list[str]:
    """The build containers that run a command with `marker`."""
    rows = engine.api("GET", "/containers/json?all=1").json()
    return [row["Id"] for row in rows if marker in row["Command"]]


def left(engine: EngineProcess) -> list[str]:
    """Files of builds under way, and their snapshots."""
    found = [str(path) for path in (engine.root / "build/jobs").glob("*")]
    return found + [str(path) for path in (engine.root / "snapshots").glob("build-*")]


def start(kitchen: Kitchen, dockerfile: str, *flags: str) -> subprocess.Popen[bytes]:
    """A build in the background."""
    (kitchen.folder / "Dockerfile").write_text(
        dockerfile.replace("FROM base", f"FROM {kitchen.base}")
    )
    return subprocess.Popen(
        [BAY, "build", *flags, str(kitchen.folder)],
        env=kitchen.engine.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_client_that_goes_away_ends_its_build(kitchen: Kitchen) -> None:
    """Parallel stages, one with a mounted image: the containers die and all is taken away."""
    marker = f"m{os.urandom(4).hex()}"
    client = start(
        kitchen,
        f"FROM base AS a\nRUN sleep 1000 # {marker}\nFROM base AS b\n"
        f"RUN --mount=from={kitchen.base},target=/i sleep 1001 # {marker}\n"
        "FROM base\nCOPY --from=a / /x\nCOPY --from=b / /y\n".replace("\\\n", "\n"),
    )
    wait_until(lambda: len(running(kitchen.engine, marker)) == 2, "both steps run")
    client.send_signal(signal.SIGINT)
    client.wait(timeout=240)
    wait_until(lambda: not running(kitchen.engine, marker), "the steps are gone")
    wait_until(lambda: not left(kitchen.engine), "files are gone")


def test_cancel_by_id(kitchen: Kitchen) -> None:
    """`POST /build/cancel` ends the build that was started with this id."""
    marker = f"m{os.urandom(4).hex()}"
    (kitchen.folder / "Dockerfile").write_text(f"FROM {kitchen.base}\nRUN sleep 1000 # {marker}\n")
    with tarfile.open(kitchen.folder.with_suffix(".tar"), "w") as archive:
        archive.add(kitchen.folder, ".")
    body = kitchen.folder.with_suffix(".tar").read_bytes()
    connection = UnixConnection(kitchen.engine.socket)
    connection.request("POST", f"/build?buildid={marker}", body)
    wait_until(lambda: running(kitchen.engine, marker), "the step runs")
    assert kitchen.engine.api("POST", f"/build/cancel?id={marker}").status == 204
    assert not running(kitchen.engine, marker) and not left(kitchen.engine)
    assert "the build was cancelled" in connection.getresponse().read().decode()
    connection.close()
    assert kitchen.engine.api("POST", f"/build/cancel?id={marker}").status == 404


def test_kill_9_in_mid_build(
    fresh_engine: Callable[..., EngineProcess],
    registry: Registry,
    busybox_image: str,
    tmp_path: Path,
) -> None:
    """The next engine finds the step running, ends it, and builds on with what was done."""
    engine = fresh_engine()
    engine.pull(busybox_image)
    kitchen = Kitchen(engine, busybox_image, tmp_path)
    (tmp_path / "secret").write_text("s3cr3t")
    mounts = f"--mount=from={busybox_image},target=/i,rw --mount=type=secret,id=s"
    client = start(
        kitchen,
        f"FROM base\nRUN echo done > /done\nRUN {mounts} --mount=type=cache,target=/c sleep 1000\n",
        *("--secret", f"id=s,src={tmp_path}/secret"),
    )
    wait_until(lambda: running(engine, "sleep 1000"), "the step runs")
    assert list(engine.run_root.glob("build/*/*"))
    engine.kill9()
    client.wait(timeout=240)
    engine.start()
    assert not running(engine, "sleep") and not left(engine)
    assert not list((engine.run_root).glob("build/*"))
    done = kitchen.run("FROM base\nRUN echo done > /done\nRUN true\n")
    assert done.returncode == 0 and done.stderr.count("CACHED") == 1, done.stderr


def test_one_leftover_that_stays_keeps_neither_the_others_nor_the_engine(
    fresh_engine: Callable[[], EngineProcess],
) -> None:
    """What is mounted in a dead build's folder can't be deleted; the next start does it."""
    it = fresh_engine()
    it.kill9()
    stuck, other = it.run_root / "build" / "dead", it.root / "build" / "jobs" / "dead"
    stuck.mkdir(parents=True)
    other.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", stuck], check=True)
    try:
        it.start()
        assert not other.exists()
        assert "a build that died left its secrets" in it.log.read_text()
    finally:
        subprocess.run(["umount", stuck], check=True)
    it.stop()
    it.start()
    assert not stuck.exists()


def test_kill_9_while_a_layer_is_written(
    fresh_engine: Callable[..., EngineProcess], busybox_image: str, tmp_path: Path
) -> None:
    """At any moment of a large COPY: nothing half is left or found, and the next build is whole."""
    engine = fresh_engine()
    engine.pull(busybox_image)
    kitchen = Kitchen(engine, busybox_image, tmp_path)
    for number in range(3000):
        kitchen.files({f"many/{number % 50}/f{number}": os.urandom(2048)})
    layers = {path.name for path in (engine.root / "layers").iterdir()}
    fresh = lambda: {path.name for path in (engine.root / "layers").iterdir()} - layers  # noqa: E731
    client = start(kitchen, "FROM base\nCOPY many /many\n")
    pid = engine.pid
    wait_until(lambda: fresh() or client.poll() is not None, "a layer begun", every=0.001)
    engine.kill9(pid)
    client.wait(timeout=240)
    engine.start()
    assert not left(engine)
    done = kitchen.run("FROM base\nCOPY many /many\nRUN find /many -type f | wc -l\n")
    assert done.returncode == 0 and "\n#3 3000\n" in done.stderr, done.stderr
    sound = engine.bay("system", "check")
    assert sound.returncode == 0, sound.stdout + sound.stderr


@contextmanager
def engine_on(point: Path, *mount: str) -> Iterator[EngineProcess]:
    """An engine whose root is a file system of its own, made by mount(8) with these words."""
    point.mkdir()
    subprocess.run(["mount", *mount, str(point)], check=True)
    engine = EngineProcess()
    try:
        engine.root.symlink_to(point)
        engine.start()
        yield engine
    finally:
        engine.purge()
        subprocess.run(["umount", "-l", str(point)], check=True)


def fill(path: Path) -> None:
    """Take every block that is left."""
    with open(path, "wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_is_told(kitchen: Kitchen, tmp_path: Path) -> None:
    """An engine on a file system of 24 MB: the sentence says so, and the space comes back."""
    with engine_on(tmp_path / "disk", "-t", "tmpfs", "-o", "size=24m", "tmpfs") as engine:
        engine.pull(kitchen.base)
        other = Kitchen(engine, kitchen.base, tmp_path / "context")
        other.folder.mkdir()
        other.files({"big": os.urandom(30 << 20)})
        done = other.run("FROM base\nCOPY big /big\n")
        assert done.returncode == 1 and "no space left" in done.stderr, done.stderr
        done = other.run("FROM base\nCOPY big /big\n", with_docker=True)
        assert done.returncode == 1 and "no space left" in done.stderr, done.stderr
        wait_until(lambda: not left(engine), "the context is gone")
        done = other.run("FROM base\nRUN dd if=/dev/zero of=/big bs=1M count=40\n")
        # The supervisor may find no room for the code itself.
        assert done.returncode != 0 and "No space left" in done.stderr, done.stderr
        wait_until(lambda: not left(engine), "files are gone")
        (other.folder / "big").unlink()
        done = other.run("FROM base\nRUN echo small > /small\n")
        assert done.returncode == 0, done.stderr
        starter = "starter:latest"
        script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done"
        engine.bay("run", "-d", "--name", "ends", starter, "sh", "-c", script, check=True)
        wait_until(lambda: engine.bay("logs", "ends").stdout == "ready\n", "its trap is set")
        fill(engine.root / "filling")
        # conmon lost the exit code where it could not write it to this disk as well.
        engine.bay("stop", "ends", check=True)
        state = json.loads(engine.bay("inspect", "ends", "-f", "{{json .State}}").stdout)
        assert (state["ExitCode"], state["Error"]) == (3, "")
        fill(engine.root / "more")
        done = engine.bay("run", "-d", starter, "true")
        assert done.returncode == 125 and "No space left on device" in done.stderr, done.stderr
        assert "Errno" not in done.stderr and "/v1." not in done.stderr


def test_a_context_of_ten_thousand_files(kitchen: Kitchen, tmp_path: Path) -> None:
    """Named in place, and sent as a tar by docker: the same layer, the second time from the cache.

    In memory: a disk that has just lost that many files is slow to make new ones.
    """
    with engine_on(tmp_path / "disk", "-t", "tmpfs", "tmpfs") as engine:
        engine.pull(kitchen.base)
        other = Kitchen(engine, kitchen.base, engine.root / "context")
        for folder in range(10):
            path = other.folder / f"many/{folder}"
            path.mkdir(parents=True)
            for number in range(1000):
                (path / f"f{number}").write_bytes(b"%d" % number)
        text = "FROM base\nCOPY many /many\n"
        image = other.image(text)
        assert other.sh(image, "find /many -type f | wc -l") == "10000\n"
        done = other.run(text, with_docker=True)
        assert "Using cache" in done.stdout, done.stderr
        assert not left(engine)


def hostile(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    return entry


@pytest.mark.parametrize(
    ("entries", "step"),
    [
        ([hostile("out", tarfile.SYMTYPE, "/etc")], "COPY out/hostname /x"),
        ([hostile("out", tarfile.SYMTYPE, "../../../../etc/hostname")], "COPY out /x"),
        ([hostile("d", tarfile.SYMTYPE, "/"), hostile("d/etc/owned")], "COPY d/etc/passwd /x"),
        ([hostile("out", tarfile.SYMTYPE, "/proc/self/root")], "COPY out/etc/hostname /x"),
        ([hostile("out", tarfile.SYMTYPE, "/etc")], "RUN --mount=source=out,target=/x true"),
        ([hostile("../../escaped")], "COPY . /x"),
    ],
)
def test_a_context_cannot_lead_out_of_itself(
    kitchen: Kitchen, entries: list[tarfile.TarInfo], step: str, tmp_path: Path
) -> None:
    """Links to the host's files find nothing, whatever they are written like."""
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        text = f"FROM {kitchen.base}\n{step}\n".encode()
        file = hostile("Dockerfile")
        file.size = len(text)
        import io

        archive.addfile(file, io.BytesIO(text))
        for entry in entries:
            archive.addfile(entry)
    answer = kitchen.engine.api("POST", "/build", (tmp_path / "c.tar").read_bytes())
    told = answer.body.decode()
    assert '"error"' in told or answer.status >= 400, told
    assert not left(kitchen.engine)
    assert not (kitchen.engine.root / "build/escaped").exists()
    assert not Path("/etc/owned").exists()


def test_a_dockerfile_cannot_be_a_file_of_the_host(kitchen: Kitchen, tmp_path: Path) -> None:
    """Neither it nor an ignore file is read through a link out of a context that is sent."""
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        archive.addfile(hostile("Dockerfile", tarfile.SYMTYPE, "/etc/shadow"))
        archive.addfile(hostile(".dockerignore", tarfile.SYMTYPE, "/etc/shadow"))
    answer = kitchen.engine.api("POST", "/build", (tmp_path / "c.tar").read_bytes())
    assert answer.status == 404 and "root:" not in answer.body.decode(), answer.body
    answer = kitchen.engine.api(
        "POST", "/build?dockerfile=../../../etc/shadow", (tmp_path / "c.tar").read_bytes()
    )
    assert answer.status == 404 and not left(kitchen.engine)


def test_a_dockerfile_from_elsewhere_has_its_own_name_in_errors(
    kitchen: Kitchen, tmp_path: Path
) -> None:
    """Not that of the file as which it is sent along."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("FROM base\nWRONG\n")
    (tmp_path / "context").mkdir()
    done = kitchen.engine.bay("build", "-f", str(elsewhere), str(tmp_path / "context"))
    assert f"{elsewhere}:2:1\n" in done.stderr, done.stderr


def test_a_link_out_of_the_context_is_copied_as_a_link(kitchen: Kitchen) -> None:
    """Inside a folder a link is only a name: nothing of the host comes with it."""
    (kitchen.folder / "d").mkdir()
    (kitchen.folder / "d/passwd").symlink_to("/etc/shadow")
    (kitchen.folder / "d/up").symlink_to("../../../..")
    image = kitchen.image("FROM base\nCOPY d /d\n")
    assert kitchen.sh(image, "readlink /d/passwd; readlink /d/up") == "/etc/shadow\n../../../..\n"


def test_stages_run_at_once(kitchen: Kitchen) -> None:
    """Two stages that wait for each other through a cache mount: only at once do they end."""
    key = f"k{time.monotonic_ns()}"
    wait = "while [ ! -e /c/{} ]; do sleep 0.05; done"
    text = f"""FROM base AS a
RUN --mount=type=cache,id={key},target=/c touch /c/a; {wait.format("b")}; touch /a
FROM base AS b
RUN --mount=type=cache,id={key},target=/c touch /c/b; {wait.format("a")}; touch /b
FROM base
COPY --from=a /a /
COPY --from=b /b /
"""
    assert kitchen.sh(kitchen.image(text), "ls /a /b") == "/a\n/b\n"
