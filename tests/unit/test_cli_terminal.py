"""Detach keys, and the pump between our streams and a container's."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable

import pytest
from bayplan.cli import streams
from bayplan.cli.foreground import start_error
from bayplan.cli.streams import Pump
from bayplan.cli.terminal import DetachKeys, parse_keys
from bayplan.client.http import Response
from bayplan.client.session import Session
from bayplan.client.transport import Link
from bayplan.host.errors import BayError, InvalidError
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "keys"),
    [("ctrl-p,ctrl-q", b"\x10\x11"), ("ctrl-a,d", b"\x01d"), ("ctrl-@", b"\0"),
     ("ctrl-\\", b"\x1c"),
     ("CTRL-A", b"\x01"), ("x", b"x")],
)  # fmt: skip
def test_keys(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["", "ctrl-", "ctrl-1", "ab", "ctrl-p,", "é"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(InvalidError):
        parse_keys(text)


def test_the_sequence_is_kept_from_the_container() -> None:
    keys = DetachKeys(b"\x10\x11")
    assert keys.feed(b"ab\x10") == (b"ab", False)
    assert keys.feed(b"\x11zz") == (b"", True)


def test_what_only_begins_like_it_is_passed_on() -> None:
    keys = DetachKeys(b"\x10\x11")
    assert keys.feed(b"\x10") == (b"", False)
    assert keys.feed(b"x") == (b"\x10x", False)
    assert keys.feed(b"\x10\x10") == (b"\x10", False)
    assert keys.feed(b"\x11") == (b"", True)


@given(st.lists(st.binary(max_size=5)))
def test_nothing_is_lost(pieces: list[bytes]) -> None:
    keys, out = DetachKeys(b"\xfe\xff"), b""
    for piece in pieces:
        passed, done = keys.feed(piece)
        out += passed
        if done:
            break
    typed = b"".join(pieces)
    assert typed.startswith(out)
    if b"\xfe\xff" not in typed:
        assert typed[len(out) :] in (b"", b"\xfe")


class Wire:
    """A pump between pipes for our stdio and a socket whose far end is the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tty: bool, keys: bytes = b"") -> None:
        near, self.far = socket.socketpair()
        self.stdin_read, self.stdin = os.pipe()
        self.written: dict[int, bytes] = {1: b"", 2: b""}
        monkeypatch.setattr(streams, "write_all", self._write)
        monkeypatch.setattr(streams.sys.stdin, "fileno", lambda: self.stdin_read, raising=False)
        response = Response(Link(near))
        self.pump = Pump(Session(response, tty), stdin=True, keys=keys)
        self.thread = threading.Thread(target=self.pump.run)
        self.thread.start()

    def _write(self, fd: int, data: bytes) -> None:
        self.written[fd] += data

    def end(self) -> None:
        self.far.close()
        self.thread.join(120)
        assert not self.thread.is_alive()
        for fd in (self.stdin, self.stdin_read):
            os.close(fd)


Make = Callable[..., Wire]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Make:
    return lambda *args, **more: Wire(monkeypatch, *args, **more)


def test_both_directions_and_both_streams(wire: Make) -> None:
    made = wire(tty=False)
    os.write(made.stdin, b"typed")
    assert made.far.recv(100) == b"typed"
    made.far.sendall(b"\1\0\0\0\0\0\0\3out\2\0\0\0\0\0\0\3err")
    made.end()
    assert made.written == {1: b"out", 2: b"err"}


def test_the_end_of_stdin_does_not_end_the_output(wire: Make) -> None:
    made = wire(tty=True)
    os.close(made.stdin)
    assert made.far.recv(100) == b""
    made.far.sendall(b"still here")
    made.stdin = os.open("/dev/null", os.O_RDONLY)
    made.end()
    assert made.written[1] == b"still here"


def test_a_process_that_does_not_read_can_still_write(wire: Make) -> None:
    """More input than all buffers hold, and output all the same: no deadlock."""
    made = wire(tty=True)
    feeder = threading.Thread(target=lambda: streams.os.write(made.stdin, bytes(4 << 20)))
    feeder.start()
    for _ in range(64):
        made.far.sendall(bytes(65536))
    taken = 0
    while taken < 4 << 20:
        taken += len(made.far.recv(1 << 20))
    feeder.join(120)
    made.end()
    assert len(made.written[1]) == 64 * 65536


def test_detaching_ends_the_pump_but_not_the_process(wire: Make) -> None:
    made = wire(tty=True, keys=b"\x10\x11")
    os.write(made.stdin, b"ls\x10\x11")
    made.thread.join(120)
    assert made.pump.detached
    assert made.far.recv(100) == b"ls"
    made.end()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "x": executable file not found in $PATH: unknown', 127),
        ('exec: "/x": stat /x: no such file or directory', 127),
        ('exec: "/etc": permission denied: unknown', 126),
        ('exec: "/etc": is a directory', 126),
        ("exec format error", 126),
        ("port is already allocated", 125),
    ],
)
def test_why_a_start_failed_is_in_the_exit_code(message: str, code: int) -> None:
    assert start_error(BayError(message)).code == code
