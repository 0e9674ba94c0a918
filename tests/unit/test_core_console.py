"""A console's end: what the process said last is not lost."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from pathlib import Path

from bayplan.core.console import Console


def test_what_was_sent_before_the_end_is_read_after_it() -> None:
    """A process's exit may be seen, and its console closed, before its output was looked at."""

    async def work(folder: Path) -> list[tuple[int, bytes] | None]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
            door.bind(str(folder / "attach"))
            door.listen(1)
            console = await Console.open(folder, tty=False)
            session = console.session(stdin=False)
            with door.accept()[0] as conmon:
                # More than one turn of the event loop would read, and none is taken.
                for number in range(100):
                    conmon.sendall(b"\x02" + b"%d " % number)
                conmon.sendall(b"\x03last")
                console.close()
            return [await session.read(), await session.read(), await session.read()]

    with tempfile.TemporaryDirectory(prefix="bt-", dir="/tmp") as folder:
        found = asyncio.run(work(Path(folder)))
    said = b"".join(b"%d " % number for number in range(100))
    assert found == [(1, said), (2, b"last"), None]
