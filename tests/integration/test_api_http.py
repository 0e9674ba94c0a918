"""The engine's HTTP, byte by byte: headers, errors, streams, taken-over connections."""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import os
import socket
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.engine import BAY, EngineProcess
from support.http import UnixConnection
from support.waiting import wait_until


@pytest.fixture
def box(engine: EngineProcess) -> Iterator[Callable[..., str]]:
    """`box("sh", "-c", …, Tty=True)` creates a container of the starter image; removed later."""
    made: list[str] = []

    def create(*command: str, **more: Any) -> str:
        answer = engine.api(
            "POST", "/containers/create", {"Image": "starter", "Cmd": list(command), **more}
        )
        assert answer.status == 201, answer.body
        made.append(str(answer.json()["Id"]))
        return made[-1]

    yield create
    for key in made:
        engine.api("DELETE", f"/containers/{key}?force=1")


def start(engine: EngineProcess, key: str) -> None:
    answer = engine.api("POST", f"/containers/{key}/start")
    assert answer.status == 204, answer.body


@contextmanager
def streaming(engine: EngineProcess, method: str, path: str) -> Iterator[http.client.HTTPResponse]:
    """A request whose headers have come and whose body is still on its way."""
    connection = UnixConnection(engine.socket)
    try:
        connection.request(method, path)
        yield connection.getresponse()
    finally:
        connection.close()


@contextmanager
def hijacked(engine: EngineProcess, path: str, body: str = "") -> Iterator[socket.socket]:
    """A connection taken over by `POST path`, its answer's headers already read."""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(120)
        raw.connect(str(engine.socket))
        head = f"POST /v1.47{path} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        raw.sendall(head.encode() + body.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += raw.recv(1) or pytest.fail(f"no answer but {answer!r}")
        assert answer.startswith(b"HTTP/1.1 101 UPGRADED\r\n"), answer
        yield raw


def rest(raw: socket.socket) -> bytes:
    """Everything until the engine closes the connection."""
    data = b""
    while more := raw.recv(65536):
        data += more
    return data


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Docker's frames as (stream, bytes)."""
    found = []
    while data:
        length = int.from_bytes(data[4:8], "big")
        found.append((data[0], data[8 : 8 + length]))
        data = data[8 + length :]
    return found


def test_a_ping_says_who_answers(engine: EngineProcess) -> None:
    for path in ("/_ping", "/v1.24/_ping", "/v1.51/_ping"):
        answer = engine.api("GET", path)
        assert (answer.status, answer.body) == (200, b"OK")
        assert answer.headers["Api-Version"] == "1.51"
        assert answer.headers["Ostype"] == "linux"
        assert answer.headers["Docker-Experimental"] == "false"
        assert answer.headers["Server"].startswith("Bayplan/")
        head = engine.api("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Api-Version"] == "1.51"


def test_lines_as_long_as_go_takes_them(engine: EngineProcess) -> None:
    """The credentials of a build are one header, of many registries; `save` names in the path."""
    long = "a" * 100_000
    assert engine.api("GET", "/_ping", headers={"X-Registry-Config": long}).status == 200
    assert engine.api("GET", f"/_ping?names={long}").status == 200
    many = {f"X-{number}": "y" for number in range(300)}
    assert engine.api("GET", "/_ping", headers=many).status == 200


def test_who_ends_its_half_gets_its_answers(engine: EngineProcess) -> None:
    """`printf … | nc -NU`, as scripts have it; a body cut short is one that never comes."""
    ping, cut = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n", b"Content-Length: 99\r\n\r\n{"
    create = b"POST /containers/create HTTP/1.1\r\nHost: d\r\n" + cut
    for sent, answers in ((ping, [200]), (ping * 3, [200] * 3), (create, [400]), (b"", [])):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(30)
            raw.connect(str(engine.socket))
            raw.sendall(sent)
            raw.shutdown(socket.SHUT_WR)
            heads = rest(raw).split(b"HTTP/1.1 ")[1:]
        assert [int(head[:3]) for head in heads] == answers


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/nope", 404, "page not found"),
        ("PATCH", "/info", 404, "page not found"),
        ("GET", "/v1.99/info", 400, "client version 1.99 is too new"),
        ("GET", "/v1.10/info", 400, "client version 1.10 is too old"),
        ("GET", "/containers/nope/json", 404, "No such container: nope"),
        ("GET", "/containers/json?filters={", 400, "invalid filter"),
        ("GET", "/containers/json?limit=x", 400, "limit"),
        ("GET", "/containers/nope/archive", 400, "path cannot be empty"),
        ("GET", "/images/no/such/image/json", 404, "No such image: no/such/image"),
        ("GET", "/volumes/nope", 404, "nope"),
        ("GET", "/networks/nope", 404, "network nope not found"),
        ("GET", "/exec/nope/json", 404, "No such exec instance: nope"),
        ("POST", "/containers/create", 400, "config cannot be empty"),
        ("GET", "/nodes", 503, "not a swarm manager"),
        ("POST", "/plugins/pull", 501, "plugins"),
        ("GET", "/containers/nope/checkpoints", 501, "experimental feature is disabled"),
        ("GET", "/system/df?type=nope", 400, "unknown object type: nope"),
        ("GET", "/events?since=10&until=5", 400, "cannot be after `until` time"),
        ("POST", "/images/starter/tag", 400, "invalid reference format"),
        ("GET", "/images/starter/json?platform=linux/none", 404, "the specified platform"),
        ("GET", "/images/starter/json?manifests=1&platform=linux", 400, "conflicting options"),
        ("GET", "/images/starter/history?platform=%7B%22os%22:1%7D", 400, "OS and Architecture"),
        ("POST", "/images/load?platform=linux/none", 400, "cannot load images of linux/none"),
        ("GET", "/images/search?term=x&limit=0", 400, "outside the range"),
        ("GET", "/events?filters=%7B%22colour%22%3A%5B%22red%22%5D%7D", 400, "colour"),
    ],
)
def test_errors_are_sentences(
    engine: EngineProcess, method: str, path: str, status: int, words: str
) -> None:
    answer = engine.api(method, path)
    assert answer.status == status, answer.body
    assert words in answer.message
    assert "Traceback" not in answer.message
    assert answer.headers["Content-Type"].startswith("application/json")


def test_a_body_that_is_no_json_is_refused(engine: EngineProcess) -> None:
    for body in (b"{", b"[1]", b'"x"'):
        answer = engine.api("POST", "/containers/create", body)
        assert answer.status == 400
        assert "invalid JSON" in answer.message


def test_a_client_that_speaks_no_http_is_turned_away(engine: EngineProcess) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(120)
        raw.connect(str(engine.socket))
        raw.sendall(b"\x16\x03\x01 not http\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.")
    assert engine.api("GET", "/_ping").status == 200


def test_the_socket_is_for_root_and_its_group(engine: EngineProcess) -> None:
    found = os.stat(engine.socket)
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert found.st_uid == 0


def test_a_second_engine_on_the_same_root_says_who_has_it(engine: EngineProcess) -> None:
    done = subprocess.run(
        [BAY, "engine", "--root", engine.root, "--run-root", engine.folder / "other"],
        capture_output=True,
        text=True,
        env=engine.environment,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1
    assert f"another engine (process {engine.pid}) already runs on {engine.root}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wait_is_answered_before_the_end(engine: EngineProcess, box: Any) -> None:
    key = box("sh", "-c", "exit 4")
    with streaming(engine, "POST", f"/containers/{key}/wait?condition=next-exit") as answer:
        assert answer.status == 200  # while it has not even started
        start(engine, key)
        assert json.loads(answer.read()) == {"StatusCode": 4}


def test_logs_are_framed_stamped_and_cut(engine: EngineProcess, box: Any) -> None:
    key = box("sh", "-c", "echo one; echo two; echo bad >&2; printf end")
    start(engine, key)
    engine.api("POST", f"/containers/{key}/wait")
    base = f"/containers/{key}/logs"
    assert engine.api("GET", base).message == "Bad parameters: you must choose at least one stream"
    answer = engine.api("GET", f"{base}?stdout=1&stderr=1")
    assert answer.headers["Content-Type"] == "application/vnd.docker.multiplexed-stream"
    pieces = frames(answer.body)
    assert b"".join(data for stream, data in pieces if stream == 1) == b"one\ntwo\nend"
    assert b"".join(data for stream, data in pieces if stream == 2) == b"bad\n"
    old = engine.api("GET", f"/v1.41{base}?stdout=1")
    assert old.headers["Content-Type"] == "application/vnd.docker.raw-stream"
    assert frames(engine.api("GET", f"{base}?stdout=1&tail=1").body) == [(1, b"end")]
    (stamped,) = frames(engine.api("GET", f"{base}?stderr=1&timestamps=1").body)
    assert stamped[1].endswith(b"Z bad\n")
    future = engine.api("GET", f"{base}?stdout=1&stderr=1&since=9999999999")
    assert future.body == b""


def test_followed_logs_come_live_and_end_with_the_container(
    engine: EngineProcess, box: Any
) -> None:
    key = box("sh", "-c", "echo first; read x; echo second", OpenStdin=True, StdinOnce=True)
    with hijacked(engine, f"/containers/{key}/attach?stream=1&stdin=1") as raw:
        start(engine, key)
        with streaming(engine, "GET", f"/containers/{key}/logs?follow=1&stdout=1") as answer:
            assert answer.read(14) == b"\x01\0\0\0\0\0\0\x06first\n"
            raw.sendall(b"go\n")
            assert frames(answer.read()) == [(1, b"second\n")]


def test_an_attached_client_types_ends_its_input_and_reads_on(
    engine: EngineProcess, box: Any
) -> None:
    key = box("sh", "-c", "cat; echo done; echo bad >&2", OpenStdin=True, StdinOnce=True)
    path = f"/containers/{key}/attach?stream=1&stdin=1&stdout=1&stderr=1"
    with hijacked(engine, path) as raw:
        start(engine, key)
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
        raw.shutdown(socket.SHUT_WR)
        pieces = frames(rest(raw))
    assert b"".join(d for s, d in pieces if s == 1) == b"GET / HTTP/1.1\r\n\r\ndone\n"
    assert b"".join(d for s, d in pieces if s == 2) == b"bad\n"


def test_an_exec_in_one_request_tells_its_code_behind_its_output(
    engine: EngineProcess, box: Any
) -> None:
    """What could not be created is an answer with a status; all else is told in the stream."""
    key = box("sleep", "600")
    path = f"/bay/containers/{key}/exec"
    body = {"Cmd": ["sh", "-c", "cat; exit 3"], "AttachStdin": True}
    refused = engine.api("POST", path, body)
    assert refused.status == 409 and "is not running" in refused.json()["message"]
    start(engine, key)
    with hijacked(engine, path, json.dumps(body)) as raw:
        raw.sendall(b"in")
        raw.shutdown(socket.SHUT_WR)
        assert frames(rest(raw)) == [(1, b"in"), (4, b"3")]
    with hijacked(engine, path, json.dumps({"Cmd": ["nosuch"]})) as raw:
        message, code = frames(rest(raw))
    assert message[0] == 1 and b"executable file not found" in message[1] and code == (4, b"127")
    made = engine.api("POST", path, {"Cmd": ["true"], "Detach": True}).json()
    assert engine.api("GET", f"/exec/{made['Id']}/json").json()["ProcessConfig"]["entrypoint"]
    failed = engine.api("POST", path, {"Cmd": ["nosuch"], "Detach": True})
    assert failed.status == 200 and "executable file not found" in failed.json()["Error"]


def test_the_detach_keys_leave_a_terminal_running(engine: EngineProcess, box: Any) -> None:
    key = box("sh", Tty=True, OpenStdin=True)
    start(engine, key)
    with hijacked(engine, f"/containers/{key}/attach?stream=1&stdin=1&stdout=1") as raw:
        raw.sendall(b"echo a$((40+2))b\n")
        seen = b""
        while b"a42b" not in seen:
            seen += raw.recv(4096)
        raw.sendall(b"\x10\x11")
        rest(raw)
    assert engine.inspect(key)["State"]["Running"]


def test_a_client_that_reads_nothing_stops_nobody(engine: EngineProcess, box: Any) -> None:
    key = box("sh", "-c", "read x; yes | head -c 20000000; echo finished", OpenStdin=True)
    start(engine, key)
    stalled = hijacked(engine, f"/containers/{key}/attach?stream=1&stdout=1&stdin=1")
    with stalled as stuck:
        stuck.sendall(b"\n")
        answer = engine.api("POST", f"/containers/{key}/wait", timeout=240)
        assert answer.json() == {"StatusCode": 0}
        assert engine.api("GET", "/_ping").status == 200
    last = engine.api("GET", f"/containers/{key}/logs?stdout=1&tail=1")
    assert frames(last.body)[-1][1].endswith(b"finished\n")


def test_a_web_socket_attaches_too(engine: EngineProcess, box: Any) -> None:
    key = box("sh", "-c", "cat", OpenStdin=True, StdinOnce=True)
    start(engine, key)
    path = f"/containers/{key}/attach/ws?stream=1&stdin=1&stdout=1"
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(120)
        raw.connect(str(engine.socket))
        nonce = base64.b64encode(bytes(16)).decode()
        raw.sendall(
            f"GET {path} HTTP/1.1\r\nHost: d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += raw.recv(1)
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols"), head
        # A masked binary frame of "hello\n" (RFC 6455, 5.2), the mask all zeros.
        raw.sendall(b"\x82\x86\0\0\0\0hello\n")
        data = b""
        while len(data) < 8:
            data += raw.recv(8)
        assert data == b"\x82\x06hello\n"


def test_events_tell_a_life_in_order(engine: EngineProcess, box: Any) -> None:
    query = "filters=%7B%22type%22%3A%7B%22container%22%3Atrue%7D%7D"
    with streaming(engine, "GET", f"/events?{query}") as answer:
        key = box("true", Labels={"who": "me"})
        start(engine, key)
        engine.api("POST", f"/containers/{key}/wait")
        engine.api("DELETE", f"/containers/{key}")
        seen: list[str] = []
        while "destroy" not in seen:
            event = json.loads(answer.readline())
            if event["Actor"]["ID"] != key:
                continue
            seen.append(event["Action"])
            assert event["Actor"]["Attributes"]["who"] == "me"
            assert event["Actor"]["Attributes"]["image"] == "starter"
    assert seen == ["create", "start", "die", "destroy"]
    past = engine.api("GET", f"/events?since=1&until={time.time_ns() / 1e9:.9f}&{query}")
    assert [e["Action"] for e in past.lines() if e["Actor"]["ID"] == key] == seen


def test_a_followers_end_is_noticed(engine: EngineProcess) -> None:
    def listeners() -> int:
        return int(engine.api("GET", "/info").json()["NEventsListener"])

    wait_until(lambda: listeners() == 0, "the end of those of earlier tests")
    with streaming(engine, "GET", "/events"):
        wait_until(lambda: listeners() == 1, "a listener")
    wait_until(lambda: listeners() == 0, "the listener is gone")


def tar_of(**members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_archives_go_in_and_out_of_a_container_running_or_not(
    engine: EngineProcess, box: Any
) -> None:
    key = box("sleep", "1000", HostConfig={"Binds": ["api-copy:/data"]})
    base = f"/containers/{key}/archive"
    for state in ("created", "running", "exited"):
        if state == "running":
            start(engine, key)
        if state == "exited":
            engine.api("POST", f"/containers/{key}/kill")
            engine.api("POST", f"/containers/{key}/wait")
        for folder in ("/tmp", "/data"):
            put = engine.api(
                "PUT", f"{base}?path={folder}", tar_of(**{state: b"of " + folder.encode()})
            )
            assert put.status == 200, put.body
            head = engine.api("HEAD", f"{base}?path={folder}/{state}")
            found = json.loads(base64.b64decode(head.headers["X-Docker-Container-Path-Stat"]))
            assert (found["name"], found["size"]) == (state, 3 + len(folder))
            got = engine.api("GET", f"{base}?path={folder}")
            with tarfile.open(fileobj=io.BytesIO(got.body)) as tar:
                name = f"{folder[1:]}/{state}"
                assert tar.extractfile(name).read() == b"of " + folder.encode()  # type: ignore[union-attr] # a file
    assert engine.api("GET", f"{base}?path=/nope").status == 404
    assert engine.api("PUT", f"{base}?path=/etc/passwd", tar_of(a=b"")).status == 400
    assert f"{key}/merged" not in Path("/proc/self/mounts").read_text()
    engine.api("DELETE", f"/containers/{key}")
    assert engine.api("DELETE", "/volumes/api-copy").status == 204


def test_an_export_is_the_whole_tree(engine: EngineProcess, box: Any) -> None:
    key = box("true")
    engine.api("PUT", f"/containers/{key}/archive?path=/tmp", tar_of(mark=b"x"))
    with tarfile.open(
        fileobj=io.BytesIO(engine.api("GET", f"/containers/{key}/export").body)
    ) as tar:
        names = tar.getnames()
    assert "tmp/mark" in names
    assert "bin/sh" in names
    assert "." not in names and ".dockerenv" in names  # as Docker's
    assert engine.api("GET", "/containers/nope/export").status == 404


def test_the_engine_stops_when_told_and_its_containers_run_on(fresh_engine: Any) -> None:
    engine: EngineProcess = fresh_engine()
    body = {"Image": "starter", "Cmd": ["sleep", "1000"]}
    key = engine.api("POST", "/containers/create", body).json()["Id"]
    start(engine, key)
    pid = engine.inspect(key)["State"]["Pid"]
    about = engine.api("GET", "/bay/engine").json()
    assert about["root"] == str(engine.root)
    with streaming(engine, "GET", "/events") as followed:
        assert engine.api("POST", "/bay/engine/stop").status == 204
        # Cut short, as dockerd's: the end of the last chunk would say that nothing more can come.
        with contextlib.suppress(http.client.IncompleteRead):
            assert followed.read() == b""
    wait_until(lambda: not engine.socket.exists(), "the socket is gone")
    engine.reap()  # the root is its own until its end
    assert os.path.exists(f"/proc/{pid}")
    engine.start()
    assert engine.inspect(key)["State"]["Pid"] == pid
    # A killed engine leaves its socket's file: the next one takes its place.
    engine.kill9()
    assert engine.socket.exists()
    engine.start()
    assert engine.api("GET", "/_ping").status == 200


@pytest.fixture
def unstarted() -> Iterator[EngineProcess]:
    process = EngineProcess()
    yield process
    process.purge()


def test_systemd_hands_over_its_socket_and_is_told(unstarted: EngineProcess) -> None:
    """Socket activation and READY=1, with this test in systemd's place."""
    folder = unstarted.folder
    listening, told = (
        socket.socket(socket.AF_UNIX),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
    )
    with listening, told:
        listening.bind(str(folder / "s"))
        listening.listen()
        told.bind(str(folder / "n"))
        told.settimeout(120)
        code = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3);"
            "os.environ['LISTEN_PID'] = str(os.getpid());"
            "os.environ['LISTEN_FDS'] = '1'; os.execv(sys.argv[2], sys.argv[2:])"
        )
        argv = [BAY, "engine", "--root", unstarted.root, "--run-root", unstarted.run_root]
        with subprocess.Popen(
            [sys.executable, "-c", code, str(listening.fileno()), *map(str, argv)],
            env={**unstarted.environment, "NOTIFY_SOCKET": str(folder / "n")},
            pass_fds=(listening.fileno(),),
            stderr=subprocess.DEVNULL,
        ) as child:
            try:
                assert told.recv(100) == b"READY=1"
                connection = UnixConnection(folder / "s")
                connection.request("GET", "/_ping")
                assert connection.getresponse().read() == b"OK"
                connection.close()
                assert not unstarted.socket.exists()
            finally:
                child.terminate()
        assert child.returncode == 0


def test_clients_that_are_gone_fill_no_log(engine: EngineProcess, box: Callable[..., str]) -> None:
    """They hang up before they are answered: neither a trace of the code nor a descriptor stays."""
    target = box("true")

    def errors() -> int:
        return engine.tail(10_000).count("Error handling request")

    def held() -> list[str]:
        """What the engine has open, but for the figures of containers that run meanwhile."""
        links = []
        for fd in os.listdir(f"/proc/{engine.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                links.append(os.readlink(f"/proc/{engine.pid}/fd/{fd}"))
        return sorted(link for link in links if not link.startswith("/sys/fs/cgroup"))

    before, descriptors = errors(), held()
    paths = ("logs?follow=1&stdout=1", "attach?stream=1&stdout=1", "archive?path=/", "wait")
    for number in range(40):
        kind = "GET" if number % 4 in (0, 2) else "POST"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(engine.socket))
            path = f"/containers/{target}/{paths[number % 4]}"
            client.sendall(f"{kind} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    try:
        wait_until(lambda: len(held()) <= len(descriptors) + 3, "all are let go")
    except AssertionError as error:
        raise AssertionError(f"{error}\nbefore: {descriptors}\nnow: {held()}") from None
    assert errors() == before
