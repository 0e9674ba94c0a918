"""Accepting connections while the process has no descriptor left for them."""

from __future__ import annotations

import asyncio
import socket

import pytest
from bayplan.host import acceptor
from bayplan.host.acceptor import Acceptor
from support.scarcity import no_descriptors


class _Counted(Acceptor):
    tries = 0

    def _again(self) -> None:
        self.tries += 1
        super()._again()


def test_without_descriptors_connections_wait_and_it_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Between two tries the loop does not watch the socket, which stays readable all the time."""
    monkeypatch.setattr(acceptor, "RETRY", 0.01)

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[socket.socket] = loop.create_future()
        with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
            door = _Counted(listening, arrived.set_result, "the test")
            client.connect(listening.getsockname())
            with no_descriptors():
                while door.tries < 5:
                    await asyncio.sleep(0)
                    assert door._pause is None or not loop.remove_reader(listening)
            (await arrived).close()
            door.close()
            assert not loop.remove_reader(listening)
        waits = [one for one in caplog.records if "have to wait" in one.message]
        assert len(waits) == 1

    asyncio.run(scene())


def test_one_closed_while_it_waits_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The retry's timer would watch a descriptor that is another's by then."""
    monkeypatch.setattr(acceptor, "RETRY", 0.01)

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
            door = _Counted(listening, socket.socket.close, "the test")
            client.connect(listening.getsockname())
            with no_descriptors():
                door._ready()
                pause = door._pause
                door.close()
            assert pause is not None
            assert pause.cancelled()
            assert not loop.remove_reader(listening)

    asyncio.run(scene())
