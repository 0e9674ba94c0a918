"""The registry client against a server that misbehaves, on real sockets."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from bayplan.core.registry import pace
from bayplan.core.registry.cancel import Cancel, CancelledByUserError
from bayplan.core.registry.credentials import Credentials
from bayplan.core.registry.crew import each, outlast_failed
from bayplan.core.registry.download import Download
from bayplan.core.registry.endpoints import Endpoint
from bayplan.core.registry.manifests import OCI_MANIFEST, Descriptor
from bayplan.core.registry.proxies import Proxies
from bayplan.core.registry.refusals import RateLimitedError
from bayplan.core.registry.repository import Repository, Wire
from bayplan.core.registry.retry import Retry
from bayplan.core.registry.transport import Transport, TransportError
from bayplan.host.errors import BayError, NotFoundError, UnauthorizedError
from support.wayward import Reply, Request, Wayward

MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST}).encode()
DIGEST = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()
BLOB = bytes(range(256)) * 1024


@pytest.fixture
def server() -> Iterator[Wayward]:
    running = Wayward()
    yield running
    running.stop()


@pytest.fixture
def other() -> Iterator[Wayward]:
    running = Wayward()
    yield running
    running.stop()


def _wire(**proxies: str) -> Wire:
    return Wire(Transport(Proxies(proxies)), Retry(tries=4, base=0.001), Cancel())


def _repository(server: Wayward, who: Credentials | None = None) -> Repository:
    endpoint = Endpoint("http", server.address, False)
    name = f"{server.address}/a/b"
    return Repository(_wire(), endpoint, "a/b", name, who or Credentials())


def _sequence(*replies: Reply) -> Callable[[Request], Reply]:
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def test_a_429_and_a_503_are_waited_out(server: Wayward) -> None:
    busy = Reply(429, headers={"Retry-After": "0"})
    server.on("/v2/a/b/manifests/x", _sequence(busy, Reply(503), Reply(200, MANIFEST)))
    assert _repository(server).manifest("x").digest == DIGEST
    assert len(server.asked("/v2/a/b/manifests/x")) == 3


def test_a_long_rate_limit_is_not_waited_out(server: Wayward) -> None:
    server.on("/v2/a/b/manifests/x", Reply(429, headers={"Retry-After": "3600"}))
    with pytest.raises(RateLimitedError, match="try again in 60 minutes"):
        _repository(server).manifest("x")
    assert len(server.asked("/v2/a/b/manifests/x")) == 1


def test_all_manifest_types_are_asked_for_and_the_digest_is_checked(server: Wayward) -> None:
    server.on("/v2/a/b/manifests/x", Reply(200, MANIFEST))
    _repository(server).manifest("x")
    accept = server.seen[0].headers["accept"]
    assert accept.count("vnd.oci.image") == 2 and accept.count("vnd.docker.distribution") == 2
    lie = Reply(200, MANIFEST, {"Docker-Content-Digest": "sha256:" + "1" * 64})
    server.on("/v2/a/b/manifests/x", lie)
    with pytest.raises(BayError, match="manifest verification failed"):
        _repository(server).manifest("x")


def test_a_huge_manifest_is_refused(server: Wayward) -> None:
    server.on("/v2/a/b/manifests/x", Reply(200, b" " * (5 << 20)))
    with pytest.raises(BayError, match="larger than"):
        _repository(server).manifest("x")


@pytest.mark.parametrize("part", ["head", "body"])
def test_an_answer_that_dribbles_is_given_up(
    part: str, server: Wayward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though each of its bytes comes in time: it would never end."""
    monkeypatch.setattr(pace, "PATIENCE", 0.1)
    server.on("/v2/a/b/manifests/x", Reply(200, b" " * 1000, drip=part))
    with pytest.raises(TransportError, match='manifests/x": i/o timeout'):
        _repository(server).manifest("x")


@pytest.mark.parametrize(
    "token",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"token": "x", "expires_in": 1' + b"0" * 400 + b"}",
        b'{"token": "x\\r\\nX-Evil: 1"}',
        '{"token": "é☃"}'.encode(),
        b'{"token": ["x"]}',
    ],
    ids=["deep", "number", "lines", "letters", "list"],
)
def test_a_hostile_token_is_none(token: bytes, server: Wayward) -> None:
    server.on("/v2/a/b/manifests/x", _guard(server, lambda: "never", Reply(200, MANIFEST)))
    server.on("/token", Reply(200, token))
    with pytest.raises(BayError, match="answered no token"):
        _repository(server).manifest("x")


def test_a_circle_of_redirects_is_walked_once(server: Wayward) -> None:
    server.on("/v2/a/b/manifests/x", Reply(307, headers={"Location": "/v2/a/b/manifests/x"}))
    with pytest.raises(TransportError, match="stopped after 10 redirects"):
        _repository(server).manifest("x")
    assert len(server.asked("/v2/a/b/manifests/x")) == 10


def _guard(server: Wayward, valid: Callable[[], str], reply: Reply) -> Callable[[Request], Reply]:
    challenge = f'Bearer realm="{server.url}/token",service="reg"'

    def script(request: Request) -> Reply:
        if request.headers.get("authorization") == f"Bearer {valid()}":
            return reply
        return Reply(401, headers={"WWW-Authenticate": challenge})

    return script


def test_a_token_is_fetched_once_and_renewed_when_refused(server: Wayward) -> None:
    tokens = ["one", "two"]
    given: list[str] = []

    def token(request: Request) -> Reply:
        given.append(tokens[len(given)])
        return Reply(200, json.dumps({"token": given[-1]}).encode())

    current = ["one"]
    server.on("/token", token)
    server.on(
        "/v2/", Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{server.url}/token"'})
    )
    server.on("/v2/a/b/manifests/x", _guard(server, lambda: current[0], Reply(200, MANIFEST)))
    repository = _repository(server, Credentials("me", "secret"))
    repository.open()
    repository.manifest("x")
    repository.manifest("x")
    assert given == ["one"]
    query = parse_qs(urlsplit(server.asked("/token")[0].path).query)
    assert query == {"scope": ["repository:a/b:pull"], "account": ["me"]}
    sent = server.asked("/token")[0].headers["authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"me:secret"
    current[0] = "two"
    repository.manifest("x")
    assert given == ["one", "two"]


def test_a_refresh_token_is_posted(server: Wayward) -> None:
    server.on("/token", Reply(200, b'{"access_token":"t"}'))
    server.on("/v2/a/b/manifests/x", _guard(server, lambda: "t", Reply(200, MANIFEST)))
    _repository(server, Credentials(identity_token="rt")).manifest("x")
    asked = server.asked("/token")[0]
    form = parse_qs(asked.body.decode())
    assert asked.method == "POST"
    assert form["grant_type"] == ["refresh_token"] and form["refresh_token"] == ["rt"]
    assert form["scope"] == ["repository:a/b:pull"] and form["service"] == ["reg"]


def test_wrong_passwords_and_missing_ones_are_told(server: Wayward) -> None:
    server.on("/token", Reply(401))
    server.on("/v2/a/b/manifests/x", _guard(server, lambda: "never", Reply()))
    with pytest.raises(UnauthorizedError, match="incorrect username or password"):
        _repository(server, Credentials("me", "wrong")).manifest("x")
    server.on("/v2/a/b/manifests/x", Reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'}))
    with pytest.raises(NotFoundError, match=r"pull access denied for .*/a/b, repository does not"):
        _repository(server).manifest("x")


def test_authorization_does_not_follow_a_redirect_to_another_host(
    server: Wayward, other: Wayward
) -> None:
    basic = Reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})
    away = Reply(307, headers={"Location": f"{other.url}/store?signature=1"})

    def script(request: Request) -> Reply:
        return away if "authorization" in request.headers else basic

    descriptor = Descriptor("", "sha256:" + hashlib.sha256(BLOB).hexdigest(), len(BLOB))
    server.on(f"/v2/a/b/blobs/{descriptor.digest}", script)
    other.on("/store", Reply(200, BLOB))
    assert _repository(server, Credentials("me", "pw")).small(descriptor) == BLOB
    assert "authorization" not in other.seen[0].headers
    assert other.seen[0].headers["host"] == other.address


def test_a_proxy_gets_the_whole_address(server: Wayward) -> None:
    wire = _wire(http=f"http://u:p@{server.address}")
    endpoint = Endpoint("http", "registry.invalid:5000")
    server.on("http://registry.invalid:5000/v2/a/b/manifests/x", Reply(200, MANIFEST))
    Repository(wire, endpoint, "a/b", "a/b", Credentials()).manifest("x")
    assert server.seen[0].headers["proxy-authorization"] == "Basic dTpw"


@pytest.mark.parametrize(
    ("no", "host", "direct"),
    [
        (".invalid", "registry.invalid:5000", True),
        (".invalid", "invalid:5000", False),
        ("invalid", "registry.invalid", True),
        ("a, *.invalid", "registry.invalid", True),
        ("valid", "registry.invalid", False),
        ("registry.invalid:5000", "registry.invalid:5000", True),
        ("registry.invalid:5000", "registry.invalid:5001", False),
        ("10.0.0.0/8", "10.1.2.3:5000", True),
        ("10.0.0.0/8,odd/net", "11.1.2.3:5000", False),
        ("fd00::/8", "[fd00::1]:5000", True),
        ("11.1.2.3", "11.1.2.3:5000", True),
        ("*", "registry.invalid", True),
        ("", "localhost:5000", True),
        ("", "127.0.0.2:5000", True),
        ("", "[::1]:5000", True),
        ("", "registry.invalid", False),
    ],
)
def test_who_is_reached_without_the_proxy(no: str, host: str, direct: bool) -> None:
    """As Docker reads NO_PROXY; this machine is never reached through one."""
    assert (Proxies({"http": "p", "no": no}).pick("http", host) is None) == direct


@pytest.mark.parametrize(
    "place", ["http://[::1", "http://h:99999/x", "ftp://h/x", "data:x", "http://h:0"]
)
def test_a_place_that_is_none_is_a_sentence(place: str, server: Wayward) -> None:
    """Of a redirect, and of a token server."""
    server.on("/v2/a/b/manifests/x", Reply(307, headers={"Location": place}))
    with pytest.raises(TransportError, match=r"no http or https address"):
        _repository(server).manifest("x")
    ask = {"WWW-Authenticate": f'Bearer realm="{place}",service="s"'}
    server.on("/v2/a/b/manifests/y", Reply(401, headers=ask))
    with pytest.raises(TransportError, match=r"no http or https address"):
        _repository(server).manifest("y")


def test_a_redirect_may_have_letters_beyond_ascii(server: Wayward) -> None:
    server.on("/v2/a/b/manifests/x", Reply(307, headers={"Location": "/caf\xe9"}))
    server.on("/caf%E9", Reply(200, MANIFEST))
    assert _repository(server).manifest("x").digest == DIGEST


def test_an_upload_follows_a_redirect_that_keeps_the_method(server: Wayward) -> None:
    """As of a registry that has moved behind another name."""
    server.on("/v2/a/b/manifests/x", Reply(308, headers={"Location": "/v2/c/b/manifests/x"}))
    server.on("/v2/c/b/manifests/x", Reply(201))
    _repository(server).put_manifest("x", MANIFEST, "t")
    assert [one.method for one in server.seen[-2:]] == ["PUT", "PUT"]


def test_an_idle_connection_closed_by_the_server_is_replaced(server: Wayward) -> None:
    server.on("/v2/a/b/manifests/x", Reply(200, MANIFEST, cut=len(MANIFEST)))
    repository = _repository(server)
    repository.manifest("x")
    assert repository.manifest("x").digest == DIGEST


def test_a_list_of_tags_may_come_in_pages(server: Wayward) -> None:
    def script(request: Request) -> Reply:
        if "last=b" in request.path:
            return Reply(200, b'{"tags":["b","c"]}')
        link = {"Link": '</v2/a/b/tags/list?n=1000&last=b>; rel="next"'}
        return Reply(200, b'{"tags":["a","b"]}', link)

    server.on("/v2/a/b/tags/list", script)
    assert _repository(server).tags() == ["a", "b", "c"]


def test_a_place_that_the_registry_names_gets_no_authorization(
    server: Wayward, other: Wayward
) -> None:
    link = {"Link": f'<{other.url}/more>; rel="next"'}
    server.on(
        "/v2/a/b/tags/list",
        lambda request: (
            Reply(200, b'{"tags":["a"]}', link)
            if "authorization" in request.headers
            else Reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        ),
    )
    other.on("/more", Reply(200, b'{"tags":["b"]}'))
    repository = _repository(server, Credentials("me", "pw"))
    assert repository.tags() == ["a", "b"]
    assert "authorization" not in other.seen[0].headers
    link["Link"] = '<http://[/more>; rel="next"'
    with pytest.raises(BayError, match="named a bad address"):
        repository.tags()


def test_no_listener_is_told_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = Endpoint("http", f"127.0.0.1:{port}")
    with pytest.raises(TransportError, match="connection refused") as caught:
        Repository(_wire(), endpoint, "a", "a", Credentials()).open()
    assert caught.value.refused


# --- downloads ---


def _ranged(request: Request, cut: int | None = None) -> Reply:
    asked = request.headers.get("range")
    if asked is None:
        return Reply(200, BLOB, cut=cut)
    start = int(asked.removeprefix("bytes=").rstrip("-"))
    headers = {"Content-Range": f"bytes {start}-{len(BLOB) - 1}/{len(BLOB)}"}
    return Reply(206, BLOB[start:], headers, cut)


def _download(server: Wayward, path: Path, seen: list[int] | None = None) -> Download:
    repository = _repository(server)
    descriptor = Descriptor("", "sha256:" + hashlib.sha256(BLOB).hexdigest(), len(BLOB))
    seen = [] if seen is None else seen
    return Download(
        descriptor,
        path,
        lambda offset: repository.blob(descriptor, offset),
        retry=Retry(tries=3, base=0.001),
        cancel=repository._wire.cancel,
        progress=seen.append,
    )


def _route(server: Wayward, script: Callable[[Request], Reply]) -> str:
    path = f"/v2/a/b/blobs/sha256:{hashlib.sha256(BLOB).hexdigest()}"
    server.on(path, script)
    return path


def test_a_broken_download_goes_on_where_it_stopped(server: Wayward, tmp_path: Path) -> None:
    path = _route(server, lambda request: _ranged(request, 100_000))
    seen: list[int] = []
    download = _download(server, tmp_path / "blob", seen)
    download.run()
    assert b"".join(download.chunks()) == BLOB
    ranges = [one.headers.get("range") for one in server.asked(path)]
    assert ranges == [None, "bytes=100000-", "bytes=200000-"]
    assert seen == sorted(seen) and seen[-1] == len(BLOB)
    download.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_download_goes_on_from_an_earlier_file(server: Wayward, tmp_path: Path) -> None:
    path = _route(server, _ranged)
    (tmp_path / "blob").write_bytes(BLOB[:5000])
    download = _download(server, tmp_path / "blob")
    download.run()
    assert b"".join(download.chunks()) == BLOB and download.resumed
    assert server.asked(path)[0].headers["range"] == "bytes=5000-"
    server.seen.clear()
    _download(server, tmp_path / "blob").run()
    assert server.seen == []


def test_a_server_without_ranges_is_read_from_the_start(server: Wayward, tmp_path: Path) -> None:
    _route(server, lambda request: Reply(200, BLOB))
    (tmp_path / "blob").write_bytes(BLOB[:5000])
    download = _download(server, tmp_path / "blob")
    download.run()
    assert (tmp_path / "blob").read_bytes() == BLOB


def test_a_server_that_never_gets_further_fails_it(server: Wayward, tmp_path: Path) -> None:
    path = _route(server, lambda request: Reply(200, BLOB, cut=0))
    download = _download(server, tmp_path / "blob")
    with pytest.raises(TransportError, match="bytes missing"):
        download.run()
    assert len(server.asked(path)) == 3
    with pytest.raises(BayError, match="bytes missing"):
        list(download.chunks())


def test_more_bytes_than_promised_are_refused(server: Wayward, tmp_path: Path) -> None:
    _route(server, lambda request: Reply(200, BLOB + b"x"))
    with pytest.raises(BayError, match="serves more for"):
        _download(server, tmp_path / "blob").run()


def test_a_reader_follows_a_download_that_is_stopped(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    cancel = Cancel()
    wire = Wire(Transport(Proxies({})), Retry(), cancel)
    endpoint = Endpoint("http", f"127.0.0.1:{listener.getsockname()[1]}")
    repository = Repository(wire, endpoint, "a", "a", Credentials())
    descriptor = Descriptor("", "sha256:" + "0" * 64, 1000)
    download = Download(
        descriptor,
        tmp_path / "blob",
        lambda offset: repository.blob(descriptor, offset),
        retry=Retry(),
        cancel=cancel,
        progress=lambda _: None,
    )
    caught: list[BaseException] = []

    def run() -> None:
        try:
            download.run()
        except BayError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    peer, _ = listener.accept()
    peer.recv(4096)
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"a" * 300)
    reader = download.chunks()
    assert len(next(reader)) <= 300
    cancel.set()
    thread.join(120)
    assert isinstance(caught[0], CancelledByUserError)
    with pytest.raises(BayError, match="cancelled"):
        list(reader)
    assert (tmp_path / "blob").stat().st_size == 300
    peer.close()
    listener.close()


def test_the_first_cause_is_told_though_others_stop_first() -> None:
    """A full disk stops the other layers of a pull; their end is not what the user hears of."""

    async def pull() -> None:
        slow: Future[None] = Future()

        async def fails() -> None:
            error = BayError("no space left on device")
            stopped.set()
            await outlast_failed(error, [slow])
            raise error

        async def stops() -> None:
            await stopped.wait()
            asyncio.get_running_loop().call_later(0.01, slow.set_result, None)
            raise CancelledByUserError

        stopped = asyncio.Event()
        await each([fails(), stops()])

    with pytest.raises(BayError, match="no space left on device"):
        asyncio.run(pull())
