"""The same commands of the docker client to dockerd and to this engine: the same answers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.dockerd import Dockerd, dockerd
from support.engine import EngineProcess
from support.http import request
from support.waiting import wait_until

IMAGE = "test/beside"
# Links, routes and iptables of dockerd live and die with this namespace.
APART = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
NAMES = ("bsd-a", "bsd-b", "bsd-c", "bsd-d", "bsd-e")
# Every docker command line there is: Debian's of 20.10, and a newer one before it on many hosts.
CLIENTS = sorted(
    {
        os.path.realpath(path)
        for folder in os.get_exec_path()
        if (path := shutil.which("docker", path=folder))
    },
    key=lambda path: path != os.path.realpath(shutil.which("docker") or ""),
)
# With the older clients these.
WITH_ALL = ("streams", "logs", "life", "links")


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
    compare_inspected(engine, theirs, KNOWN)


@pytest.mark.parametrize(
    "host",
    [None, {}, {"Dns": [], "Devices": [], "PortBindings": {}, "Ulimits": []},
     {"PortBindings": {"80/tcp": [{"HostPort": "0"}], "81/tcp": None}}],
    ids=["none", "empty", "empty lists", "ports"],
)  # fmt: skip
def test_what_a_program_leaves_out(
    engine: EngineProcess, theirs: Dockerd, host: dict[str, Any] | None
) -> None:
    """What was not said is null, and an empty list is one; the docker command says nearly all."""
    body = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": host}
    path = "/v1.41/containers/create?name=bsd-a"
    for answer in (request(theirs.socket, "POST", path, body), engine.api("POST", path, body)):
        assert answer.status == 201, answer.body
    known = rf"{KNOWN.pattern}|HostConfig\.RestartPolicy\.Name"  # Docker since 24: "no"
    compare_inspected(engine, theirs, re.compile(known))


def compare_inspected(engine: EngineProcess, theirs: Dockerd, known: re.Pattern[str]) -> None:
    """The container bsd-a of both, but for what is `known`."""
    path = "/v1.41/containers/bsd-a/json"
    there = request(theirs.socket, "GET", path).json()
    here = engine.api("GET", path).json()
    for one in (there, here):  # dockerd merges them in a map: their order is chance there
        (one["Config"]["Env"] or []).sort()
    wrong = [
        (where, docker, bay)
        for where, docker, bay in differences(there, here)
        if not known.fullmatch(where) and not (OWN.fullmatch(where) and type(docker) is type(bay))
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
    "life": """
        docker run -d --name bsd-a $IMAGE sleep 600; docker start bsd-a; docker pause bsd-a
        docker exec --detach-keys 'ctrl-?' bsd-a true; docker rename bsd-a 'b d'
        docker pause bsd-a; docker exec bsd-a true; docker attach bsd-a; docker unpause bsd-a
        docker kill -s NOPE bsd-a; docker stop -t 0 bsd-a; docker stop bsd-a; docker wait bsd-a
        docker rename bsd-a bsd-a; docker rename bsd-a bsd-b; docker rm bsd-b; docker rm bsd-b
        for verb in start stop kill restart pause unpause wait export; do docker $verb no-such; done
    """,
    "refused": """
        try() { docker create --name bsd-a "$@" $IMAGE true 2>&1 | head -1; }
        try -m 1m; try --cpus 100; try --cpuset-cpus 99; try -w relative
        try --mount type=bind,src=/none,dst=/x; try --cap-add NOPE
        try --log-opt a=b; try --isolation nope; try --stop-signal NOPE
        try --volumes-from no-such; try --memory-swap 10m; try --pid container:no-such
        try --ipc container:no-such; try --log-opt mode=x; try --security-opt a=b
    """,
    "links": """
        docker run -d --name bsd-a $IMAGE sleep 600
        docker run -d --name bsd-b --link bsd-a:db --link bsd-a $IMAGE sleep 600
        names() { docker ps --no-trunc --format '{{.Names}}' | tr ',' '\\n' | sort; }
        names; docker ps --format '{{.Names}}'; docker ps -f name=bsd-b/db --format '{{.Names}}'
        links() { docker inspect -f \\
             '{{range .HostConfig.Links}}{{println .}}{{end}}' bsd-b | sort; }
        links; docker rename bsd-a bsd-c; names; links
        docker inspect -f '{{.Name}}' bsd-b/db; docker inspect -f '{{.Name}}' bsd-b/none
        docker restart -t 0 bsd-b; docker exec bsd-b grep -cw db /etc/hosts
        docker rm --link bsd-b/db; names; links
    """,
    "configurations": """
        new() { docker network create "$@"; }
        show() { docker network inspect -f '{{.Driver}} {{.Internal}} {{.ConfigOnly}}
             {{.ConfigFrom.Network}} {{.Options}} {{.Labels}} {{json .IPAM.Driver}}
             {{range .IPAM.Config}}{{.Subnet}} {{.IPRange}} {{.AuxiliaryAddresses}}{{end}}' $1; }
        new --config-only --subnet 10.217.7.0/24 --ip-range 10.217.7.128/25 --label a=b \\
             -o com.docker.network.driver.mtu=1400 --aux-address r=10.217.7.3 bsd-cfg; show bsd-cfg
        for f in --internal --attachable '--config-from bsd-cfg' '--scope swarm'; do
             new --config-only $f bsd-no; done
        new --config-only bsd-cfg
        for f in '--subnet 10.1.0.0/24' '--label x=y' '-o x=y' '--ipv6'; do
             new --config-from bsd-cfg $f bsd-no; done
        new --config-from none bsd-no; new --config-from bsd-cfg --internal bsd-real; show bsd-real
        new --config-from bsd-real bsd-no; docker network rm bsd-cfg
        docker network ls --format '{{.Name}} {{.Driver}}' -f name=bsd-; docker network prune -f
        docker network rm bsd-cfg; docker network ls -q -f name=bsd-
        new --config-only --subnet 10.217.8.0/24 bsd-cfg
        docker create --name bsd-a --network none $IMAGE true
        docker create --name bsd-b --network bsd-cfg --ip 10.217.8.9 $IMAGE true; docker start bsd-b
        docker inspect -f '{{json .State.Error}} {{.State.ExitCode}}' bsd-b
        docker network disconnect bsd-cfg bsd-b; docker network connect bsd-cfg bsd-a
        docker network rm bsd-cfg
    """,
    "filters": """
        docker volume create bsd-vol; run="docker run -d --name"
        $run bsd-a -l k=v -l z --health-cmd true --health-interval 50ms $IMAGE sleep 600
        $run bsd-b -v bsd-vol:/v -p 127.0.0.1::80 --expose 90/udp $IMAGE sleep 600
        docker run --name bsd-c $IMAGE sh -c 'exit 3'; docker create --name bsd-d $IMAGE true
        until docker ps --format '{{.Status}}' | grep -q '(healthy)'; do :; done
        try() { echo "$*:" $(docker ps -a -f name=bsd- "$@" --format '{{.Names}}' | sort); }
        port=$(docker port bsd-b 80/tcp); port=${port##*:}
        for f in name=bsd-a name=^bsd-a$ name=/bsd-b label=k=v label=k=x label=z exited=3 \\
            exited=0 status=created status=running health=healthy health=none ancestor=$IMAGE \\
            ancestor=no before=bsd-c since=bsd-c expose=90 expose=90/udp expose=80-95/udp \\
            publish=80 network=bridge network=no volume=bsd-vol volume=/v volume=no \\
            is-task=true is-task=false isolation=default id=no; do try -f $f; done
        try -f label=k -f label=z; try -f name=bsd-a -f name=bsd-b; try -n 2; try -l
        docker ps -q -f publish=$port | wc -l; docker ps -q -f publish=1-$port | wc -l
        for f in nope=1 health=x exited=x is-task=x publish=x status=x before=no; do
            docker ps -f $f >/dev/null 2>&1; echo $f $?; done
        docker volume ls -q -f dangling=true -f name=bsd-
        docker volume ls -f dangling=x >/dev/null 2>&1; echo $?
        docker network ls -q -f driver=null | wc -l; docker network ls -f type=builtin -q | wc -l
        docker images -q -f reference=$IMAGE | wc -l
    """,
    "events": """
        since=$(date +%s.%N); docker volume create bsd-vol
        docker run -d --name bsd-a -l k=v -v bsd-vol:/v $IMAGE sleep 600; docker exec bsd-a true
        until docker events --since $since --until $(date +%s.%N) -f event=exec_die | grep -q .
        do :; done  # told a moment after the client has ended
        docker pause bsd-a; docker unpause bsd-a; docker rename bsd-a bsd-b
        docker kill -s HUP bsd-b
        docker update --cpu-shares 100 bsd-b; docker cp bsd-b:/bin/busybox . ; docker cp . bsd-b:/
        docker export bsd-b | wc -c | sed 's/.*/exported/'; docker restart -t 0 bsd-b
        docker commit -c 'LABEL il=iv' bsd-b bsd-im:1; docker tag bsd-im:1 bsd-im:2
        docker save bsd-im:1 >im.tar
        docker rm -f bsd-b; docker volume rm bsd-vol; docker rmi bsd-im:1 bsd-im:2 | sed 's/:.*//'
        docker load -i im.tar; docker rmi bsd-im:1 | sed 's/:.*//'
        tell() { docker events --since $since --until $(($(date +%s) + 1)) "$@"; }
        tell -f container=bsd-b -f event=destroy --format '{{.Action}}'
        tell -f type=container --format \\
            '{{.Action}} {{range $k, $v := .Actor.Attributes}}{{$k}} {{end}}' |
            sed 's/execDuration //; s/ *$//'
        tell -f type=image --format '{{.Action}} {{.Actor.Attributes}}'
        for f in volume=bsd-vol label=k label=k=v label=il event=start event=die event=mount; do
            echo $f $(tell -f $f --format '{{.Type}} {{.Action}}' | grep -v ^network | sort -u)
        done
    """,
    "copy rules in": """
        docker run -d --name bsd-a $IMAGE sleep 600; mkdir -p d/sub empty; echo 1 > d/f
        echo 2 > d/sub/g; ln -s f d/l; ln -s sub d/ls; echo x > f; ln -s d dl; ln -s f fl
        ln -s no dang; mkfifo fifo; chmod 741 f; chown 1234:55 f; chmod 4755 d/f
        docker exec bsd-a sh -c \\
            'ln -s /tmp /tl; ln -s /none /td; ln -s tmp/f /tf; ln -s ../../tmp/z /zz'
        c() { docker cp "$@" 2>&1; echo "$* $?"; }
        for to in t1 t1 t1/ tmp none/ none/x tl/ tl/nn td tf zz; do c f bsd-a:/$to; done
        for to in d1 d1 d4/ none/y t1; do c d bsd-a:/$to; done
        for to in d3 d3 none/z tl; do c d/. bsd-a:/$to; done
        c f/ bsd-a:/t2; c d/ bsd-a:/d2; c dl bsd-a:/l1; c dl/ bsd-a:/l2; c dl/. bsd-a:/l3
        c -L dl bsd-a:/l4; c fl bsd-a:/l5; c -L fl bsd-a:/l6; c -L dang bsd-a:/l7
        c dang bsd-a:/l8; c no bsd-a:/x; c empty bsd-a:/em; c -a f bsd-a:/own; c -a d bsd-a:/od
        c f bsd-a:rel; c f bsd-a:/tmp/../up; c fifo bsd-a:/fifo; c bsd-a:/t1 bsd-b:/
        docker exec bsd-a mkdir /tt
        for to in tt no; do tar c d | docker cp - bsd-a:/$to; done
        echo c > with:colon; c ./with:colon bsd-a:/wc; c with:colon bsd-a:/wc
        docker exec bsd-a find / -xdev -mindepth 1 ! -path '/bin*' ! -path '/etc*' \\
            -exec stat -c '%n %A %u %g %F' {} + | sort
        docker volume create bsd-vol
        docker run -d --name bsd-b --read-only -v bsd-vol:/v $IMAGE sleep 600
        c f bsd-b:/x; c f bsd-b:/v; docker exec bsd-b ls /v
        docker run -d --name bsd-c -v bsd-vol:/v:ro $IMAGE sleep 600; c f bsd-c:/v/y
    """,
    "copy rules out": """
        docker run --name bsd-a $IMAGE sh -c 'mkdir -p /d/sub /empty; echo 1 >/d/f; ln -s d /dl
            echo 2 >/d/sub/g; ln -s f /d/l; ln -s sub /d/ls; echo x >/f; ln -s f /fl; ln /f /hard
            ln -s nowhere /dang; chmod 741 /f; chown 1234:55 /f; chmod 750 /d; mkfifo /fifo
            ln -s /d/sub/g /deep; ln -s ../../../../../d/f /esc'
        mkdir dir; echo old > file; ln -s dir ldir; ln -s file lfile; ln -s no ldang
        c() { docker cp "$@" 2>&1; echo "$* $?"; }
        for to in a1 a1 dir/ no/ no/x file/ ldir lfile ldang .; do c bsd-a:/f $to; done
        for to in b1 b1 b4/ no/y file ldir; do c bsd-a:/d $to; done
        for to in b3 b3 no/z file; do c bsd-a:/d/. $to; done
        c bsd-a:/f/ a2; c bsd-a:/d/ b2; c bsd-a:/dl e1; c bsd-a:/dl/ e2; c bsd-a:/dl/. e3
        c -L bsd-a:/dl e4; c bsd-a:/fl e5; c -L bsd-a:/fl e6; c -L bsd-a:/dang e7
        c bsd-a:/dang e8; c bsd-a:/no x; c bsd-a:/empty em; c -L bsd-a:/deep dp
        c -L bsd-a:/esc es2; c bsd-a:/fifo ff; c bsd-a:/hard hd; c -a bsd-a:/f own
        c bsd-a:d/sub/g rel; c bsd-a:/d/../f up; c bsd-a:/d/ls/g via
        find . -exec stat -c '%n %A %u %g %F' {} + | sort; cat file a1 e6 hd via es2
        for p in d d/ d/. f dl dl/ empty; do docker cp bsd-a:/$p - | tar t; done
        docker cp bsd-a:/. root 2>&1; ls -a root; docker cp bsd-a:/. - | tar t | head -1
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
    # dockerd tells where it keeps the file; its sentence of a file that is not there is better.
    (r"lstat \S+/merged(\S+): not a dir.*", r"Could not find the file \1 in container bsd-a"),
]


@pytest.mark.parametrize(
    ("client", "name"),
    [(n, name) for n in range(len(CLIENTS)) for name in SCRIPTS if n == 0 or name in WITH_ALL],
)
def test_the_same_commands_the_same_output(
    engine: EngineProcess, theirs: Dockerd, client: int, name: str, tmp_path: Path
) -> None:
    """stdout, stderr and exit codes, but for ids and times; of each docker command there is."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/docker").symlink_to(CLIENTS[client])
    path = f"{tmp_path}/bin:{engine.environment['PATH']}"
    told = {}
    for place, host in (("docker", f"unix://{theirs.socket}"), ("bay", engine.host)):
        folder = tmp_path / place / "work"
        folder.mkdir(parents=True)
        done = subprocess.run(
            ["bash", "-c", SCRIPTS[name]],
            cwd=folder,
            env={
                **engine.environment,
                "PATH": path,
                "DOCKER_HOST": host,
                "IMAGE": IMAGE,
                "LC_ALL": "C",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        text = done.stdout.replace(str(folder), "<folder>").replace(os.fspath(theirs.socket), "")
        for pattern, instead in OURS:
            text = re.sub(pattern, instead, text)
        told[place] = text.splitlines()
    assert told["bay"] == told["docker"]


RAW = [
    *[("POST", f"/v1.41/containers/{name}/resize?h=10&w=20") for name in NAMES],
    ("POST", "/v1.41/containers/bsd-b/resize?h=0&w=20"),
    *[("GET", f"/v1.41/networks/bridge?scope={word}") for word in ("swarm", "global", "nope")],
    ("GET", "/v1.41/networks/bridge?verbose=nope"),
    ("GET", "/v1.41/networks/nope?verbose=1&scope=local"),
    ("GET", "//v1.41/info"),
    ("GET", "/v1.41/containers/../info"),
    ("GET", "/v1.41/containers//json?all=1&x=%2f"),
    ("GET", "/v1.41/containers/bsd-a/archive//?path=/"),
    ("GET", "/v1.41/images/a%20b//c/./json"),
    ("POST", "//v1.41/containers/create"),
    ("GET", "/a/.."),
    ("GET", "/v1.41/info/"),
]


def test_what_a_program_is_told(engine: EngineProcess, theirs: Dockerd) -> None:
    """Status, place and sentence of what only programs ask: the same but for ids."""
    for docker in (theirs.docker, engine.docker):
        docker("create", "--name", "bsd-a", "-t", IMAGE, "true")
        docker("run", "-d", "--name", "bsd-b", "-t", IMAGE, "sleep", "600")
        docker("run", "--name", "bsd-c", IMAGE, "true")
    told = []
    for socket in (theirs.socket, engine.socket):
        answers = [request(socket, method, path, None, None, 60) for method, path in RAW]
        told.append(
            [
                (*where, it.status, it.headers.get("Location"), re.sub(*OURS[0], it.body.decode()))
                for where, it in zip(RAW, answers, strict=True)
            ]
        )
    assert [(*row[:4], row[4].lower()) for row in told[1]] == [
        (*row[:4], row[4].lower()) for row in told[0]
    ]


def shape(value: Any) -> Any:
    """The names in an object and the kinds of its values; of lists the kind of the first one."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]]
    return type(value).__name__


@pytest.mark.parametrize("state", ["running", "stopped"])
@pytest.mark.parametrize("query", ["stream=0", "stream=0&one-shot=1"])
def test_stats_have_the_same_names_and_kinds(
    engine: EngineProcess, theirs: Dockerd, state: str, query: str
) -> None:
    """null, [] and {} told apart; of the kernel's memory.stat ours passes more lines on."""
    for docker in (theirs.docker, engine.docker):
        write = "dd if=/dev/zero of=/written bs=64k count=1 conv=fsync && exec sleep 600"
        docker("run", "-d", "--name", "bsd-a", IMAGE, "sh", "-c", write)
        if state == "stopped":
            docker("kill", "bsd-a")
            docker("wait", "bsd-a")

    def wrong() -> list[tuple[str, Any, Any]]:
        found = []
        for socket in (theirs.socket, engine.socket):
            value = request(socket, "GET", f"/v1.41/containers/bsd-a/stats?{query}").json()
            memory = value["memory_stats"]
            memory["stats"] = {k: v for k, v in memory.get("stats", {}).items() if k == "cache"}
            found.append(shape(value))
        return list(differences(*found))

    # The figures of a container's first moment are chance, there and here.
    try:
        wait_until(lambda: not wrong(), "the same names and kinds", timeout=240)
    except AssertionError as error:
        raise AssertionError(f"{error}: {wrong()}") from None
