"""Docker's own clients build here: the docker command, old and new, docker-py, and BuildKit's."""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError, BuildError
from support.building import Kitchen
from support.engine import EngineProcess
from support.origins import git_daemon, repository
from support.sshd import ssh_agent

# Debian's docker.io speaks BuildKit's protocol by itself; newer ones want a plugin for it.
DEBIANS = "/usr/bin/docker"
REFUSED = "BuildKit's protocol is not served by this engine: set DOCKER_BUILDKIT=0"


@pytest.fixture
def kitchen(engine: EngineProcess, busybox_image: str, tmp_path: Path) -> Kitchen:
    """A context of its own, on busybox."""
    engine.pull(busybox_image)
    return Kitchen(engine, busybox_image, tmp_path)


@pytest.fixture
def py(engine: EngineProcess) -> Iterator[docker.DockerClient]:
    """docker-py."""
    client = docker.DockerClient(base_url=engine.host, timeout=240)
    yield client
    client.close()


def run(
    kitchen: Kitchen, program: str, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """One of the docker commands on this machine, with a context of one COPY."""
    kitchen.files({"Dockerfile": f"FROM {kitchen.base}\nCOPY a /a\n", "a": "x"})
    return subprocess.run(
        [program, "-H", kitchen.engine.host, "build", *words, str(kitchen.folder)],
        env={**kitchen.engine.environment, **environment},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


@pytest.mark.parametrize("program", [DEBIANS, shutil.which("docker") or DEBIANS])
def test_the_docker_command_takes_the_classic_builder_by_itself(
    kitchen: Kitchen, program: str
) -> None:
    """The engine says in its ping which builder it has; DOCKER_BUILDKIT=0 changes nothing."""
    for environment in ({}, {"DOCKER_BUILDKIT": "0"}):
        done = run(kitchen, program, **environment)
        assert done.returncode == 0 and "Successfully built" in done.stdout, done.stderr


def test_a_docker_that_insists_on_buildkit_is_told_what_to_do(kitchen: Kitchen) -> None:
    """It opens its session, and its build is refused in the engine's words."""
    done = run(kitchen, DEBIANS, DOCKER_BUILDKIT="1")
    assert done.returncode == 1 and REFUSED in done.stderr, done.stderr


def test_a_call_of_buildkit_s_is_refused_in_words(engine: EngineProcess) -> None:
    """What buildx does first: HTTP/2 on a taken-over connection; the answer is gRPC's."""

    def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
        head = bytes([kind, flags]) + stream.to_bytes(4, "big")
        return len(payload).to_bytes(3, "big") + head + payload

    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(120)
        link.connect(str(engine.socket))
        link.sendall(
            b"POST /grpc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        with link.makefile("rb") as stream:
            assert b" 101 " in stream.readline()
            while stream.readline() != b"\r\n":
                pass
            # Settings, a ping, and a call whose headers (:method POST) nobody needs to read.
            calls = frame(4, 0, 0) + frame(6, 0, 0, b"12345678") + frame(1, 4, 1, b"\x83")
            link.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + calls)
            answers = {}
            while 1 not in answers:
                head = stream.read(9)
                answers[head[3]] = stream.read(int.from_bytes(head[:3], "big"))
    assert b"grpc-status\x0212" in answers[1] and REFUSED.encode() in answers[1]
    assert answers[6] == b"12345678"
    for path in ("/grpc", "/session"):
        answer = engine.api("POST", path)
        assert answer.status == 501 and REFUSED in answer.json()["message"]


def test_every_flag_of_the_classic_command(kitchen: Kitchen) -> None:
    """All that `docker build --help` has without BuildKit, and what each of them does."""
    kitchen.files({"sub/file": "x", "sub/D": ""})
    (kitchen.folder / "sub/D").write_text(
        f"FROM {kitchen.base} AS one\nARG A\nARG B\n"
        "RUN echo $A $B > /args; grep there /etc/hosts > /hosts; ulimit -n > /files;"
        " df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2 > /shm\n"
        "FROM scratch\nCOPY none /\n"
    )
    ids = kitchen.folder / "id"
    done = kitchen.engine.docker(
        *("build", "-f", str(kitchen.folder / "sub/D"), "-t", "cl/one:1", "-t", "cl/two"),
        *("--build-arg", "A=1", "--build-arg=B=two words", "--label", "l=m", "--target", "one"),
        *("--iidfile", str(ids), "--no-cache", "--force-rm", "--rm", "--compress"),
        *("--add-host", "there:10.1.2.3", "--ulimit", "nofile=700:800", "--shm-size", "8m"),
        *("--memory", "200m", "--memory-swap", "300m", "--cpu-shares", "300", "--cpuset-cpus"),
        *("0", "--cpu-period", "50000", "--cpu-quota", "40000", "--network", "none"),
        *("--isolation", "", "--cache-from", kitchen.base, "--security-opt"),
        *("no-new-privileges", str(kitchen.folder / "sub")),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    image = ids.read_text()
    assert kitchen.sh(image, "cat /args /hosts /files /shm") == (
        "1 two words\n10.1.2.3\tthere\n700\n8192\n"
    )
    assert kitchen.config(image)["Labels"] == {"l": "m"}
    names = kitchen.engine.api("GET", f"/images/{image}/json").json()["RepoTags"]
    assert sorted(names) == ["cl/one:1", "cl/two:latest"]
    for words, said in (
        (("--squash",), "squash"),
        (("--platform", "linux/s390x"), "it emulates no other machine"),
        (("--target", "none"), 'target stage "none" could not be found'),
        (("--network", "nonet"), "nonet"),
    ):
        done = kitchen.run("FROM base\nRUN true\n", "--no-cache", *words, with_docker=True)
        assert done.returncode != 0 and said in done.stderr, (words, done.stdout, done.stderr)


def test_docker_py_builds_from_whatever_it_is_given(
    kitchen: Kitchen, py: docker.DockerClient
) -> None:
    """A Dockerfile's text, a folder, an archive, with arguments and tags: image and log."""
    text = f"FROM {kitchen.base}\nARG A=none\nRUN echo $A > /a\n"
    image, log = py.images.build(fileobj=io.BytesIO(text.encode()), rm=True)
    assert kitchen.sh(str(image.id), "cat /a") == "none\n"
    assert any("Step 1/3 : FROM" in line.get("stream", "") for line in log)
    kitchen.files({"Dockerfile": text, "other/D": text + "COPY x /x\n", "x": "1", "big": "2"})
    kitchen.files({".dockerignore": "big\n"})
    image, _ = py.images.build(
        path=str(kitchen.folder), dockerfile="other/D", tag="py/x:1", buildargs={"A": "given"},
        labels={"l": "m"}, nocache=True, forcerm=True, pull=False, network_mode="none",
        shmsize=1 << 23, extra_hosts={"h": "10.0.0.1"}, container_limits={"memory": 1 << 28},
    )  # fmt: skip
    assert image.tags == ["py/x:1"] and image.labels == {"l": "m"}
    assert kitchen.sh("py/x:1", "cat /a /x") == "given\n1"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.add(kitchen.folder, ".")
    out.seek(0)
    image, _ = py.images.build(fileobj=out, custom_context=True, encoding="gzip")
    assert kitchen.sh(str(image.id), "cat /a") == "none\n"


def test_docker_py_is_told_of_errors_with_the_log(
    kitchen: Kitchen, py: docker.DockerClient
) -> None:
    """A step that fails is a BuildError with what was printed; a bad file an APIError of 400."""

    def build(text: str, **more: Any) -> None:
        py.images.build(fileobj=io.BytesIO(text.encode()), **more)

    with pytest.raises(BuildError, match="returned a non-zero code: 3") as caught:
        build(f"FROM {kitchen.base}\nRUN echo said before; exit 3\n", nocache=True)
    assert "said before\n" in [line.get("stream") for line in caught.value.build_log]
    with pytest.raises((BuildError, APIError), match="unknown instruction: FORM"):
        build("FORM x\n")
    with pytest.raises((BuildError, APIError), match="emulates no other machine"):
        build(f"FROM {kitchen.base}\n", platform="linux/s390x")
    with pytest.raises((BuildError, APIError), match="could not be found"):
        build(f"FROM {kitchen.base}\n", target="none")


def test_docker_py_lets_the_engine_fetch_a_repository(
    kitchen: Kitchen, py: docker.DockerClient
) -> None:
    """`path` of a git address is sent on as `remote`."""
    repository(kitchen.folder / "r.git", {"Dockerfile": f"FROM {kitchen.base}\nCOPY . /c\n"})
    with git_daemon(kitchen.folder) as daemon:
        image, _ = py.images.build(path=f"{daemon}/r.git")
    assert kitchen.sh(str(image.id), "ls /c") == "Dockerfile\n"


def test_a_step_logs_in_with_the_client_s_agent(
    kitchen: Kitchen, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """RUN --mount=type=ssh: the agent answers in the step, and is not there in the next one."""
    folder = tmp_path_factory.mktemp("ssh")
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    kitchen.files({"key.pub": key.with_suffix(".pub").read_bytes()})
    with ssh_agent(folder / "agent", key) as agent:
        text = (
            "FROM base\n"
            'RUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo "$SSH_AUTH_SOCK" > /had\n'
            'RUN test -z "$SSH_AUTH_SOCK" && ! test -e "$(cat /had)"\n'
            "RUN --mount=type=ssh,id=deploy,target=/agent,required test -S /agent\n"
        )
        image = kitchen.image(text, "--ssh", f"default={agent}", "--ssh", f"deploy={agent}")
        assert kitchen.sh(image, "cat /had") == "/run/buildkit/ssh_agent.0\n"
    done = kitchen.run("FROM base\nRUN --mount=type=ssh,required true\n", "--no-cache")
    assert done.returncode == 1 and "ssh agent 'default' was not given" in done.stderr
    gone = kitchen.run("FROM base\nRUN --mount=type=ssh true\n", "--ssh", "default=/no/agent")
    assert gone.returncode == 1 and "/no/agent is not there" in gone.stderr
