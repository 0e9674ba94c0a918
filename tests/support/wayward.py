"""A small HTTP server on real sockets that misbehaves as the test says: one script per path."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Request:
    """What the server was asked; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What it answers. `cut` sends only so many bytes of the body and hangs up; with `drip` the
    status line's, or the body's, come one by one."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    drip: str = ""


Script = Callable[[Request], Reply]


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up in the middle is what some tests do."""


class Wayward:
    """`on(path, script)` says what a path answers; `seen` are all requests so far.

    `certificate` (its file and its key's) makes it speak TLS.
    """

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self._scripts: dict[str, Script] = {}
        self._fallback: Script = lambda _: Reply(404)
        # A script that waits for it holds its request until the test lets go.
        self.gate = threading.Event()
        self.seen: list[Request] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {key.lower(): value for key, value in self.headers.items()}
                request = Request(self.command, self.path, headers, self.rfile.read(length))
                outer.seen.append(request)
                script = outer._scripts.get(self.path.partition("?")[0], outer._fallback)
                reply = script(request)
                if reply.drip == "head":
                    self._drip(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 90)
                self.send_response(reply.status)
                for key, value in reply.headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if reply.drip == "body":
                    self._drip(reply.body)
                elif self.command != "HEAD":
                    self.wfile.write(reply.body[: reply.cut])
                if reply.cut is not None:
                    self.close_connection = True

            def _drip(self, data: bytes) -> None:
                for number in range(len(data)):
                    self.wfile.write(data[number : number + 1])
                    outer.gate.wait(0.005)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            # The handshake belongs to the connection's thread: here it would stop all others.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def on(self, path: str, script: Script | Reply) -> None:
        """Answer `path` (without query) by `script`, or always by one reply."""
        self._scripts[path] = script if callable(script) else lambda _: script

    def otherwise(self, script: Script) -> None:
        """Answer by `script` whatever has none of its own."""
        self._fallback = script

    def asked(self, path: str) -> list[Request]:
        """The requests for `path`, queries and all."""
        return [one for one in self.seen if one.path.partition("?")[0] == path]

    def stop(self) -> None:
        """Close the port and wait for the thread."""
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
