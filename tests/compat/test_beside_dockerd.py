"""The same commands of the docker client to dockerd and to this engine: the same answers."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.dockerd import Dockerd, dockerd
from support.engine import EngineProcess
from support.http import request

IMAGE = "test/beside"
# Links, routes and iptables of dockerd live and die with this namespace.
APART = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
NAMES = ("bsd-a", "bsd-b", "bsd-c")


@pytest.fixture(scope="module")
def theirs(engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    """dockerd, and this engine with the same image."""
    with dockerd(APART, IMAGE) as made:
        archive = tmp_path_factory.mktemp("beside") / "image.tar"
        made.docker("save", "-o", str(archive), IMAGE)
        engine.docker("load", "-i", archive, check=True)
        yield made


@pytest.fixture(autouse=True)
def clean(engine: EngineProcess, theirs: Dockerd) -> Iterator[None]:
    """No test leaves a container or a volume, here or there."""
    yield
    for host in (engine.host, f"unix://{theirs.socket}"):
        for verb in (("rm", "-fv", *NAMES), ("volume", "rm", "-f", "bsd-vol")):
            subprocess.run(["docker", "-H", host, *verb], capture_output=True, check=False)


def differences(docker: Any, bay: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, there, here) of everything that is not equal: null, [] and {} are three things."""
    if isinstance(docker, dict) and isinstance(bay, dict):
        for key in sorted(docker.keys() | bay.keys()):
            yield from differences(docker.get(key, ...), bay.get(key, ...), f"{path}.{key}")
    elif docker != bay or type(docker) is not type(bay):
        yield path.lstrip("."), docker, bay


# Values that are each engine's own; their types are compared all the same.
OWN = re.compile(
    r"Id|Created|.*Path|State\.(Pid|StartedAt)|Config\.Hostname|GraphDriver\.Data\.\w+|Driver|"
    r"NetworkSettings\.(Sandbox\w+|EndpointID|Gateway|IPAddress|IPPrefixLen|MacAddress|Ports)|"
    r"NetworkSettings\.Networks\.\w+\.(NetworkID|EndpointID|Gateway|IPAddress|IPPrefixLen|"
    r"MacAddress)"
)
# Docker since 26 writes "bridge" for "default", and since 27 masks two more; the runtime is the one
# there is; the others came with API 1.44 and 1.48.
KNOWN = re.compile(
    r"HostConfig\.(NetworkMode|Runtime|MaskedPaths)|"
    r"NetworkSettings\.Networks\.\w+\.(DNSNames|GwPriority)"
)
FLAGS = (
    *("--env", "B=2", "--env", "A=1", "--label", "k=v", "--expose", "81", "--init", "--workdir"),
    *("/tmp", "--user", "0:0", "--hostname", "told", "--memory", "64m", "--cpus", "0.5"),
    *("--pids-limit", "50", "--restart", "on-failure:3", "--ulimit", "nofile=100:200"),
    *("--cap-drop", "CHOWN", "--dns", "192.0.2.1", "--add-host", "q:192.0.2.2"),
    *("--log-opt", "max-size=1m", "--log-opt", "max-file=3", "--device", "/dev/null:/dev/xx"),
    *("--security-opt", "no-new-privileges", "--shm-size", "10m", "--stop-timeout", "5"),
    *("--stop-signal", "INT", "--group-add", "10", "--read-only", "--tmpfs", "/t:size=1m"),
    *("--health-cmd", "true", "--health-interval", "1h", "--sysctl", "net.ipv4.ip_forward=1"),
    *("--cpu-shares", "512", "--cpuset-cpus", "0", "--publish", "127.0.0.1::80"),
)


@pytest.mark.parametrize(
    "flags",
    [(), FLAGS, ("--network", "host", "--privileged")],
    ids=["plain", "many", "privileged"],
)
def test_inspect_field_by_field(
    engine: EngineProcess, theirs: Dockerd, flags: tuple[str, ...]
) -> None:
    """Names, types and values of what the same `docker create` makes are the same."""
    argv = ("create", "--name", "bsd-a", *flags, IMAGE, "sleep", "600")
    theirs.docker(*argv)
    engine.docker(*argv, check=True)
    path = "/v1.41/containers/bsd-a/json"
    there = request(theirs.socket, "GET", path).json()
    here = engine.api("GET", path).json()
    for one in (there, here):  # dockerd merges them in a map: their order is chance there
        (one["Config"]["Env"] or []).sort()
    wrong = [
        (where, docker, bay)
        for where, docker, bay in differences(there, here)
        if not KNOWN.fullmatch(where) and not (OWN.fullmatch(where) and type(docker) is type(bay))
    ]
    assert not wrong, json.dumps(wrong, default=str, indent=1)


SCRIPTS = {
    "streams": """
        head -c 1000000 /dev/urandom > in
        docker run --name bsd-a -i $IMAGE sh -c 'cat; echo apart >&2; exit 3' < in > out; echo $?
        cmp in out && echo unmangled; docker logs bsd-a 2>&1 >/dev/null
    """,
    "logs": """
        docker run --name bsd-a --label k=v --env E=1 --log-opt labels=k --log-opt env=E $IMAGE \\
            sh -c 'for i in 1 2 3; do echo line $i; done'
        docker logs --details bsd-a; docker logs -t --tail 1 bsd-a; docker logs --tail 0 bsd-a
        docker logs --since 1h bsd-a; docker logs --until 2001-01-01T00:00:00Z bsd-a
        docker logs -f --tail 2 bsd-a; docker logs no-such
    """,
    "copy out": """
        docker run --name bsd-a $IMAGE sh -c \\
            'mkdir -p /d/e; echo 1 > /d/f; echo 2 > /d/e/g; ln -s f /d/l; ln -s /d /dl'
        docker cp bsd-a:/d .; docker cp bsd-a:/d/. x; docker cp bsd-a:/d/f y
        docker cp bsd-a:/d/f none/; docker cp bsd-a:/d/f none/z; docker cp bsd-a:/d/ q
        docker cp bsd-a:/no-such .; docker cp bsd-a:/d/l .; docker cp -L bsd-a:/d/l ll; cat ll
        docker cp bsd-a:/dl k; docker cp bsd-a:/dl/ kk; docker cp bsd-a:/d x; find . | sort
        docker cp bsd-a:/d - | tar t | sort
    """,
    "copy in": """
        mkdir -p s/t; echo 1 > s/f; echo 2 > s/t/g; ln -s f s/l
        docker run -d --name bsd-a $IMAGE sleep 600
        for to in / /new /new /tmp /tmp/ /none/; do docker cp s bsd-a:$to; echo $to $?; done
        docker cp s/. bsd-a:/new2; docker cp s/f bsd-a:/tmp/ff; docker cp s/f bsd-a:/none/f; echo $?
        docker exec bsd-a mkdir /tt; tar c s | docker cp - bsd-a:/tt; docker cp -a s bsd-a:/own
        docker exec bsd-a find /s /new /new2 /tmp /tt /own | sort
    """,
    "life": """
        docker run -d --name bsd-a $IMAGE sleep 600; docker start bsd-a; docker pause bsd-a
        docker pause bsd-a; docker exec bsd-a true; docker attach bsd-a; docker unpause bsd-a
        docker kill -s NOPE bsd-a; docker stop -t 0 bsd-a; docker stop bsd-a; docker wait bsd-a
        docker rename bsd-a bsd-a; docker rename bsd-a bsd-b; docker rm bsd-b; docker rm bsd-b
        for verb in start stop kill restart pause unpause wait export; do docker $verb no-such; done
    """,
    "refused": """
        try() { docker create --name bsd-a "$@" $IMAGE true 2>&1 | head -1; }
        try -m 1m; try --cpus 100; try --cpuset-cpus 99; try -w relative
        try --mount type=bind,src=/none,dst=/x; try --cap-add NOPE
        try --log-opt a=b; try --log-driver nope; try --isolation nope; try --stop-signal NOPE
        try --volumes-from no-such; try --memory-swap 10m
    """,
    "inside": """
        docker run --name bsd-a --hostname told -e A=1 -e B -t $IMAGE env
        docker run --rm -e A=1 --ulimit nofile=100:200 --group-add 55 --tmpfs /t:size=1m \\
            --add-host q:192.0.2.2 --hostname told -w /new/dir $IMAGE sh -c 'id; pwd; ulimit -n
            ulimit -Hn; grep -c q /etc/hosts; cat /etc/hostname; grep -c " /t " /proc/mounts; env'
        docker diff bsd-a; docker volume create bsd-vol
        docker run --rm -v bsd-vol:/tmp $IMAGE ls -ld /tmp; docker volume rm bsd-vol
    """,
}
OURS = [
    (r"\b[0-9a-f]{64}\b", "<id>"),
    (r"\b[0-9a-f]{12}\b", "<short id>"),
    (r"20\d\d-\d\d-\d\dT[0-9:.]+Z", "<time>"),
    # Go's client tells of its broken pipe when it is refused early, now and then.
    (r"time=.*closed pipe.*\n", ""),
    # Both are Docker's, of different versions.
    (r"Container (<id>) is not", r"container \1 is not"),
]


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_same_commands_the_same_output(
    engine: EngineProcess, theirs: Dockerd, name: str, tmp_path: Path
) -> None:
    """stdout, stderr and exit codes, but for ids and times."""
    told = {}
    for place, host in (("docker", f"unix://{theirs.socket}"), ("bay", engine.host)):
        folder = tmp_path / place / "work"
        folder.mkdir(parents=True)
        done = subprocess.run(
            ["bash", "-c", SCRIPTS[name]],
            cwd=folder,
            env={**engine.environment, "DOCKER_HOST": host, "IMAGE": IMAGE, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        text = done.stdout.replace(str(folder), "<folder>").replace(os.fspath(theirs.socket), "")
        for pattern, instead in OURS:
            text = re.sub(pattern, instead, text)
        told[place] = text.splitlines()
    assert told["bay"] == told["docker"]
