"""The engine over TCP with mutual TLS: who gets in, who does not, and the streams through it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.certificates import Authority, flags
from support.engine import BAY, EngineProcess
from support.terminal import Terminal


@dataclass
class Remote:
    """An engine that is reached over TCP only: `bay` and `docker` know nothing of its socket."""

    engine: EngineProcess
    address: str
    client: Path
    stranger: Path
    image: str

    @property
    def environment(self) -> dict[str, str]:
        kept = self.engine.environment
        return {**kept, "BAY_RUN_ROOT": "/nonexistent"}

    def run(
        self, *words: str, program: str | Path = BAY, input: bytes = b"", certificates: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        tls = flags(self.client) if certificates else []
        argv = [str(program), *tls, "-H", self.address, *words]
        return subprocess.run(
            argv, input=input, capture_output=True, env=self.environment, check=False, timeout=240
        )


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory, busybox_image: str) -> Iterator[Remote]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    client = authority.issue("client", "clientAuth")
    stranger = Authority(folder, "other").issue("client", "clientAuth")
    (stranger / "ca.pem").write_bytes((client / "ca.pem").read_bytes())
    server = authority.issue("server", "serverAuth")
    engine = EngineProcess(["--host", "tcp://127.0.0.1:0", *flags(server)])
    try:
        engine.start()
        engine.pull(busybox_image)
        (address,) = engine.api("GET", "/bay/engine").json()["addresses"]
        yield Remote(engine, address, client, stranger, busybox_image)
    finally:
        engine.purge()


@pytest.mark.parametrize("program", [BAY, "docker"])
def test_a_verb_over_tls(remote: Remote, program: str | Path) -> None:
    done = remote.run("run", "--rm", remote.image, "sh", "-c", "echo out; exit 7", program=program)
    assert (done.returncode, done.stdout) == (7, b"out\n"), done.stderr


@pytest.mark.parametrize("program", [BAY, "docker"])
def test_a_megabyte_through_half_closed_stdin(remote: Remote, program: str | Path) -> None:
    """The end of stdin reaches the process over TLS, and its answer after that comes back."""
    data = os.urandom(1 << 20)
    done = remote.run("run", "-i", "--rm", remote.image, "cat", program=program, input=data)
    assert done.returncode == 0, done.stderr
    assert done.stdout == data
    script = "sha256sum; echo apart >&2"
    done = remote.run(
        "run", "-i", "--rm", remote.image, "sh", "-c", script, program=program, input=data
    )
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert done.stderr == b"apart\n"


@pytest.mark.parametrize("program", [BAY, "docker"])
def test_attach_and_exec_on_a_terminal(remote: Remote, program: str | Path) -> None:
    before = [str(program), *flags(remote.client), "-H", remote.address]
    name = f"term-{Path(program).name}"
    with Terminal(
        [*before, "run", "-it", "--name", name, remote.image, "sh"], remote.environment
    ) as shell:
        # An older docker tells the size after the start.
        shell.line("until stty size | grep '^24'; do :; done; echo $((40 + 2))")
        shell.wait_for("24 80\r\n")
        shell.wait_for("42")
        done = remote.run("exec", "-i", name, "cat", program=program, input=b"through exec")
        assert done.stdout == b"through exec", done.stderr
        shell.send("\x10\x11")
        assert shell.wait() == 0
    with Terminal([*before, "attach", name], remote.environment) as shell:
        shell.line("exit 5")
        assert shell.wait() == 5
    assert remote.run("rm", name).returncode == 0


def test_an_output_larger_than_every_buffer(remote: Remote) -> None:
    done = remote.run("run", "--rm", remote.image, "head", "-c", "20000000", "/dev/zero")
    assert (len(done.stdout), done.returncode, done.stderr) == (20_000_000, 0, b"")
    assert done.stdout == bytes(20_000_000)


def test_a_context_and_the_environment_name_certificates(remote: Remote) -> None:
    """`bay context create` keeps them; `BAY_TLS_VERIFY` and `BAY_CERT_PATH` are docker's two."""
    files = {name: remote.client / f"{name}.pem" for name in ("ca", "cert", "key")}
    endpoint = ",".join([f"host={remote.address}", *(f"{k}={v}" for k, v in files.items())])
    environment = dict(remote.environment)

    def bay(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [str(BAY), *words]
        return subprocess.run(
            argv, capture_output=True, text=True, env=environment, check=False, timeout=240
        )

    assert bay("context", "create", "far", "--docker", endpoint).returncode == 0
    root = str(remote.engine.root)
    done = bay("--context", "far", "info", "-f", "{{.DockerRootDir}}")
    assert done.stdout.strip() == root, done.stderr
    environment |= {
        "BAY_HOST": remote.address,
        "BAY_TLS_VERIFY": "1",
        "BAY_CERT_PATH": str(remote.client),
    }
    done = bay("info", "-f", "{{.DockerRootDir}}")
    assert done.stdout.strip() == root, done.stderr


def test_who_shows_no_certificate_of_the_ca_gets_nothing(remote: Remote) -> None:
    """Neither plain HTTP, nor TLS without a certificate, nor with one of another CA."""
    host, _, port = remote.address.removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), 60) as plain:
        plain.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            answer = plain.recv(1000)
        except ConnectionResetError:
            answer = b""
    assert b"HTTP" not in answer
    for folder in (None, remote.stranger):
        context = ssl.create_default_context(cafile=str(remote.client / "ca.pem"))
        if folder is not None:
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        with (
            pytest.raises(OSError),
            socket.create_connection((host, int(port)), 60) as outer,
            context.wrap_socket(outer, server_hostname=host) as tls,
        ):
            tls.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
            if not tls.recv(1000):
                raise ConnectionResetError
    stranger = subprocess.run(
        [str(BAY), *flags(remote.stranger), "-H", remote.address, "ps"],
        capture_output=True, text=True, env=remote.environment, check=False, timeout=240,
    )  # fmt: skip
    assert stranger.returncode == 1 and "the engine trusts another CA" in stranger.stderr
    assert "Traceback" not in stranger.stderr
    for words, sentence in (
        (("--tls",), "the engine wants a certificate"),
        ((), "it may want TLS"),
    ):
        done = remote.engine.bay(*words, "-H", remote.address, "ps")
        assert done.returncode == 1 and sentence in done.stderr, done.stderr
    assert remote.run("ps").returncode == 0


def test_who_knocks_and_says_nothing_keeps_nobody_out(remote: Remote) -> None:
    """More connections than the engine has places for, none with a certificate: others get in."""
    host, _, port = remote.address.removeprefix("tcp://").rpartition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection((host.strip("[]"), int(port))))
        done = remote.run("ps")
        assert done.returncode == 0, done.stderr


def test_a_client_checks_the_engine_too(remote: Remote, tmp_path: Path) -> None:
    """An engine whose certificate is of another CA is not spoken to."""
    other = Authority(tmp_path).folder / "ca.pem"
    argv = [str(BAY), *flags(remote.client), "--tlscacert", str(other), "-H", remote.address, "ps"]
    done = subprocess.run(
        argv, capture_output=True, text=True, env=remote.environment, check=False, timeout=240
    )
    assert done.returncode == 1
    assert "failed: certificate verify failed: " in done.stderr and "_ssl" not in done.stderr


def test_plain_tcp_is_refused(remote: Remote, tmp_path: Path) -> None:
    """One sentence, before anything is made; the same for files that can't be used."""
    folders = ["--root", str(tmp_path / "root"), "--run-root", str(tmp_path / "run")]
    for words, sentence in (
        ((), "cannot listen on tcp://0.0.0.0:2375 without mutual TLS"),
        (("--tlsverify",), "--tlsverify needs a file for --tlscacert"),
        (flags(tmp_path), f"cannot use the CA certificate {tmp_path}/ca.pem: No such file"),
    ):
        done = remote.engine.bay("engine", *folders, "--host", "tcp://:2375", *words)
        assert done.returncode == 1 and sentence in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "root").exists()
    done = remote.engine.bay("engine", *folders, "--host", "http://x")
    assert done.returncode == 1 and "cannot listen on http://x" in done.stderr
