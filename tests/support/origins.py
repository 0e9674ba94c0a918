"""Where builds take contexts from: a web server, and git by its own protocols."""

from __future__ import annotations

import http.server
import os
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

_GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@t",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@t",
}


def git(folder: Path, *words: str) -> str:
    """Run git in a folder, without any settings of this host; what it prints."""
    # The tests' own folders, whoever they belong to, and submodules from them.
    allowed = ("-c", "safe.directory=*", "-c", "protocol.file.allow=always")
    done = subprocess.run(
        ["git", *allowed, *words], cwd=folder, env={**os.environ, **_GIT},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def repository(folder: Path, files: dict[str, str]) -> Path:
    """A repository with these files committed to `main`."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    commit(folder, files)
    return folder


def commit(folder: Path, files: dict[str, str]) -> str:
    """Commit these files too; the commit's number."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "x")
    # For the dumb protocol, which only reads files.
    git(folder, "update-server-info")
    return git(folder, "rev-parse", "HEAD")


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of the server's folder; `/smart/…` by git's own CGI program. `asked` keeps headers.

    With an `authorization`, git is for who sends it; `seen` is what every process of the host shows
    meanwhile to everybody.
    """

    server: WebServer

    def __init__(self, *args: object) -> None:
        super().__init__(*args, directory=str(args[2].folder))  # type: ignore[arg-type, attr-defined] # as socketserver calls it

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        if self.path.startswith("/smart/"):
            self._git()
        else:
            super().do_GET()

    def do_POST(self) -> None:
        self._git()

    def _git(self) -> None:
        if self.server.authorization:
            self.server.seen |= _command_lines()
            if self.headers.get("Authorization") != self.server.authorization:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=False,
            env={
                **os.environ, **_GIT,
                "GIT_PROJECT_ROOT": str(self.server.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "PATH_INFO": parts.path.removeprefix("/smart"),
                "QUERY_STRING": parts.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            },
        )  # fmt: skip
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _command_lines() -> set[bytes]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.add(path.read_bytes())
    return found


class WebServer(http.server.ThreadingHTTPServer):
    """Serves `folder`; `asked` are the paths and headers of what was got."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.authorization = ""
        self.seen: set[bytes] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def web_server(folder: Path) -> Iterator[WebServer]:
    """A web server for a folder."""
    with WebServer(folder) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


class _GitHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        folder: Path = self.server.folder  # type: ignore[attr-defined] # set by git_daemon
        with self.request.makefile("rwb", buffering=0) as stream:
            subprocess.run(
                ["git", "-c", "safe.directory=*", "daemon", "--inetd", "--export-all",
                 f"--base-path={folder}", str(folder)],
                stdin=stream, stdout=stream, stderr=subprocess.DEVNULL,
                env={**os.environ, **_GIT, "GIT_CONFIG_COUNT": "1",
                     "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"},
                check=False,
            )  # fmt: skip


@contextmanager
def git_daemon(folder: Path) -> Iterator[str]:
    """git's own daemon for the repositories of a folder; its address, `git://…`."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _GitHandler)
    server.daemon_threads = True
    server.folder = folder  # type: ignore[attr-defined] # for the handler
    with server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"git://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
