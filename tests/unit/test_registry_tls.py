"""TLS to a registry: unknown authorities are refused, those of certs.d are not."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.core.registry.cancel import Cancel
from bayplan.core.registry.credentials import Credentials
from bayplan.core.registry.endpoints import Endpoint, Registries
from bayplan.core.registry.lookup import Target, visit
from bayplan.core.registry.proxies import Proxies
from bayplan.core.registry.repository import Repository, Wire
from bayplan.core.registry.retry import Retry
from bayplan.core.registry.transport import Transport, TransportError
from support.wayward import Reply, Wayward


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(made)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return made, key


@pytest.fixture
def server(certificate: tuple[Path, Path]) -> Iterator[Wayward]:
    running = Wayward(certificate)
    running.on("/v2/", Reply(200))
    yield running
    running.stop()


def _open(server: Wayward, verify: bool, folders: tuple[Path, ...] = ()) -> None:
    wire = Wire(Transport(Proxies({}), folders), Retry(tries=2, base=0.001), Cancel())
    endpoint = Endpoint("https", server.address, verify)
    Repository(wire, endpoint, "a", "a", Credentials()).open()


def test_an_unknown_authority_is_refused_unless_insecure(server: Wayward) -> None:
    with pytest.raises(TransportError, match="tls: failed to verify certificate: self-signed"):
        _open(server, verify=True)
    assert server.seen == []
    _open(server, verify=False)


def test_certs_d_names_an_authority_for_one_host(
    server: Wayward, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / server.address).mkdir()
    (tmp_path / server.address / "ca.crt").write_bytes(certificate[0].read_bytes())
    _open(server, verify=True, folders=(tmp_path,))
    assert len(server.seen) == 1


def test_a_loopback_registry_with_tls_is_found_after_plain_http_failed(server: Wayward) -> None:
    wire = Wire(Transport(Proxies({}), ()), Retry(tries=2, base=0.001), Cancel())
    target = Target(server.address, "a", "a", {"username": "u", "password": "p"})
    scheme = visit(wire, Registries(), target, lambda found: found.endpoint.scheme)
    assert scheme == "https"


def test_plain_http_where_tls_was_meant_is_said() -> None:
    plain = Wayward()
    try:
        with pytest.raises(TransportError, match="server gave HTTP response to HTTPS client"):
            _open(plain, verify=True)
    finally:
        plain.stop()


def test_tls_goes_through_a_proxy_in_a_tunnel(server: Wayward) -> None:
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def copy(source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(1 << 16):
            target.sendall(data)
        with contextlib.suppress(OSError):  # the other side may be gone by now
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        client, _ = listener.accept()
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        asked.append(head)
        with client, socket.create_connection(("127.0.0.1", server.port)) as target:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            upward = threading.Thread(target=copy, args=(client, target))
            upward.start()
            copy(target, client)
            upward.join()

    proxy = threading.Thread(target=serve)
    proxy.start()
    address = f"http://me:pw@127.0.0.1:{listener.getsockname()[1]}"
    transport = Transport(Proxies({"https": address}), ())
    wire = Wire(transport, Retry(), Cancel())
    endpoint = Endpoint("https", f"registry.invalid:{server.port}", verify=False)
    Repository(wire, endpoint, "a", "a", Credentials()).open()
    transport.close()
    proxy.join(120)
    listener.close()
    assert asked[0].startswith(f"CONNECT registry.invalid:{server.port} HTTP".encode())
    assert b"Proxy-Authorization: Basic bWU6cHc=" in asked[0]
    assert server.seen[0].headers["host"] == f"registry.invalid:{server.port}"
