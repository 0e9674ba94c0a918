"""HTTP as the engine speaks it, against a server that says what the test wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bayplan.cli.main import main
from bayplan.client.client import Client
from bayplan.client.errors import ProtocolError, UnreachableError, is_from_engine
from bayplan.client.hosts import Host
from bayplan.host.errors import ConflictError, NotFoundError

PING = b"HTTP/1.1 200 OK\r\nApi-Version: 1.43\r\nContent-Length: 2\r\n\r\nOK"


class Scripted:
    """Answers the n-th request with the n-th script entry; keeps what was asked.

    A ping is answered by `ping`, whenever it comes.
    """

    def __init__(self, folder: Path, *answers: bytes, ping: bytes = PING) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._ping = ping
        self._answers = list(answers)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "s"))
        self._listener.listen()
        self.host = Host("unix", path=str(folder / "s"))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while self._answers:
            connection, _ = self._listener.accept()
            self.connections += 1
            with connection:
                while self._answers and (asked := self._read(connection)):
                    self.requests.append(asked)
                    is_ping = asked.startswith(b"GET /_ping ")
                    answer = self._ping if is_ping else self._answers.pop(0)
                    connection.sendall(answer)
                    if b"close" in answer or b"101 " in answer[:14]:
                        break

    def _read(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if b"transfer-encoding" in fields:
            while not body.endswith(b"0\r\n\r\n"):
                body += connection.recv(65536)
        while len(body) < int(fields.get(b"content-length", b"0")):
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[..., Scripted]]:
    made: list[Scripted] = []

    def make(*answers: bytes, ping: bytes = PING) -> Scripted:
        made.append(Scripted(tmp_path, *answers, ping=ping))
        return made[-1]

    yield make
    for one in made:
        one.close()


def reply(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def test_the_older_of_both_versions_is_spoken(scripted: Callable[..., Scripted]) -> None:
    refused = reply(b'{"message":"client version 1.47 is too new"}', "400 Bad Request")
    server = scripted(refused, reply(b'{"a":1}'), reply(b"2"))
    client = Client(server.host)
    assert client.get("/x y/json", all=True, none=None, filters={"name": ["é"]}) == {"a": 1}
    assert client.version == (1, 43)
    client.get("/z")
    query = b"all=1&filters=%7B%22name%22:%20%5B%22%5Cu00e9%22%5D%7D"
    assert [asked.split(b"\r\n")[0] for asked in server.requests] == [
        b"GET /v1.47/x%20y/json?" + query + b" HTTP/1.1",
        b"GET /_ping HTTP/1.1",
        b"GET /v1.43/x%20y/json?" + query + b" HTTP/1.1",
        b"GET /v1.43/z HTTP/1.1",
    ]


def test_an_engine_of_our_version_is_asked_nothing_before(
    scripted: Callable[..., Scripted],
) -> None:
    server = scripted(reply(b"1"))
    assert Client(server.host).get("/a") == 1
    assert [asked.split(b"\r\n")[0] for asked in server.requests] == [b"GET /v1.47/a HTTP/1.1"]


def test_one_connection_carries_many_requests(scripted: Callable[..., Scripted]) -> None:
    server = scripted(reply(b"1"), reply(b"2"))
    client = Client(server.host)
    client.ahead()
    client.ahead()
    assert [client.get("/a"), client.get("/b")] == [1, 2]
    assert server.connections == 1


def test_a_connection_the_engine_closed_is_replaced(scripted: Callable[..., Scripted]) -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1"
    server = scripted(closing, reply(b"2"))
    client = Client(server.host)
    assert [client.get("/a"), client.get("/b")] == [1, 2]
    assert server.connections == 2


def test_chunks_and_trailers(scripted: Callable[..., Scripted]) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b'5;x=y\r\n{"a":\r\n4\r\n1}\n{\r\n7\r\n"a": 2}\r\n0\r\nTrailer: x\r\n\r\n'
    server = scripted(head + body, reply(b"3"))
    client = Client(server.host)
    assert list(client.stream("GET", "/events")) == [{"a": 1}, {"a": 2}]
    assert client.get("/next") == 3
    assert server.connections == 1


def test_a_body_of_unknown_length_is_sent_in_chunks(scripted: Callable[..., Scripted]) -> None:
    server = scripted(reply(b""))
    client = Client(server.host)
    with client.open("PUT", "/archive", None, iter([b"abc", b"", b"de"])) as answer:
        answer.read()
    (sent,) = (asked for asked in server.requests if b"/_ping" not in asked)
    assert sent.endswith(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")


def test_errors_have_the_engines_words(scripted: Callable[..., Scripted]) -> None:
    server = scripted(
        reply(b'{"message":"No such container: x"}', "404 Not Found"),
        reply(b'{"message":"in use"}', "409 Conflict"),
        reply(b"", "304 Not Modified").replace(b"Content-Length: 0\r\n", b""),
    )
    client = Client(server.host)
    with pytest.raises(NotFoundError, match=r"^No such container: x$") as caught:
        client.get("/containers/x/json")
    assert is_from_engine(caught.value)
    with pytest.raises(ConflictError, match=r"^in use$"):
        client.delete("/containers/x")
    assert client.post("/containers/x/start") is None


def test_what_is_no_engine(scripted: Callable[..., Scripted]) -> None:
    server = scripted(b"SSH-2.0-OpenSSH_9.2\r\nclose")
    with pytest.raises(ProtocolError, match="no engine"):
        Client(server.host).get("/x")


def test_an_answer_that_breaks_off(scripted: Callable[..., Scripted]) -> None:
    server = scripted(b"HTTP/1.1 200 OK\r\nX: close\r\nContent-Length: 100\r\n\r\nabc")
    with pytest.raises(UnreachableError, match="middle of an answer"):
        Client(server.host).get("/x")


def test_no_engine_is_said_in_a_sentence(tmp_path: Path) -> None:
    client = Client(Host("unix", path=str(tmp_path / "none")))
    with pytest.raises(UnreachableError, match="Cannot connect to the engine at unix://"):
        client.get("/x")


def test_a_hijacked_stream_begins_with_what_came_with_the_header(
    scripted: Callable[..., Scripted],
) -> None:
    head = (
        b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        b"Content-Type: application/vnd.docker.multiplexed-stream\r\n\r\n"
    )
    server = scripted(head + b"\1\0\0\0\0\0\0\2hi" + b"\4\0\0\0\0\0\0\003137")
    # The type of the answer decides, not what the caller believes.
    with Client(server.host).hijack("/attach", tty=True, stream=True) as session:
        assert session.pending
        assert session.receive() == [(1, b"hi")]
        assert session.receive() is None
        assert session.exit_code == 137


def test_an_exec_in_an_engine_that_does_not_know_the_short_way(
    scripted: Callable[..., Scripted], capfd: pytest.CaptureFixture[str]
) -> None:
    """dockerd and podman: create, start, and ask for the code, as Docker's command does."""
    head = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    server = scripted(
        reply(b'{"message":"page not found"}', "404 Not Found"),
        reply(b'{"Id":"abc"}', "201 Created"),
        head + b"\1\0\0\0\0\0\0\2hi",
        reply(b'{"ExitCode":5}'),
    )
    assert main(["-H", str(server.host), "exec", "box", "true"]) == 5
    assert capfd.readouterr().out == "hi"
    asked = [one.split(b" ")[1].decode() for one in server.requests]
    assert asked == [
        "/bay/containers/box/exec",
        "/v1.47/containers/box/exec",
        "/v1.47/exec/abc/start",
        "/v1.47/exec/abc/json",
    ]
