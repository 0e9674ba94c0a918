"""Large layers are unpacked by processes of their own: what they do, and what becomes of them."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import itertools
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.host.errors import BayError, InvalidError
from bayplan.storage import unpackers
from bayplan.storage.store import Store
from bayplan.storage.unpackers import WORTH
from support.waiting import wait_until


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    # On a busy machine five seconds are nothing.
    monkeypatch.setattr(unpackers, "_IDLE", 300.0)
    store = Store.open(tmp_path / "root")
    yield store
    store.trash.drain()
    store.close()


def archive(files: int = 12) -> bytes:
    """A tar whose compressed form is well over `WORTH`."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for number in range(files):
            info = tarfile.TarInfo(f"folder/file{number}")
            info.size = WORTH // 4
            tar.addfile(info, io.BytesIO(os.urandom(info.size)))
    return made.getvalue()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def children(pid: int | str = "self") -> set[int]:
    """The processes that a process has started and not waited for."""
    found: set[int] = set()
    # It may have ended, or a thread of it.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found.update(map(int, (task / "children").read_text().split()))
    return found


def command(pid: int) -> bytes:
    """Its arguments; nothing for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def parents() -> set[int]:
    """The process of this one that forks those that unpack."""
    return {one for one in children() if b"unpackworker" in command(one)}


def workers() -> set[int]:
    """The processes that unpack for this one."""
    return {child for parent in parents() for child in children(parent)}


class Slow:
    """A growing file that gets its bytes when the test says."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.file = path.open("w+b", buffering=0)
        self.steps: list[int] = []
        self.failure: Exception | None = None

    def reach(self, place: int) -> int:
        """Half of it at once, the rest when it is asked for; or the failure."""
        self.steps.append(place)
        if place and self.failure is not None:
            raise self.failure
        end = self.size if place else self.size // 2
        self.file.write(self.data[self.file.tell() : end])
        return end

    def check(self) -> None:
        """Nothing is wrong."""

    def fileno(self) -> int:
        """Of the file."""
        return self.file.fileno()


def test_a_growing_file_is_unpacked_as_it_comes(store: Store, tmp_path: Path) -> None:
    """What the process made has the digests and the sizes, and gives the archive back."""
    tar = archive()
    blob = gzip.compress(tar, 1)
    source = Slow(tmp_path / "blob", blob)
    counts: list[int] = []
    info = store.layers.apply(
        digest(tar), source, blob_digest=digest(blob), on_progress=counts.append
    )
    assert (info.diff_id, info.tar_size) == (digest(tar), len(tar))
    assert info.blob is not None
    assert (info.blob.digest, info.blob.size) == (digest(blob), len(blob))
    assert b"".join(store.layers.tar(info.diff_id)) == tar
    assert source.steps == [0, 0, source.size // 2]
    assert counts == sorted(counts)
    assert workers()


def test_chunks_go_through_a_pipe(store: Store) -> None:
    """So do layers that only this process can read; small ones are not worth it."""
    tar = archive()
    pieces = (tar[at : at + 100_000] for at in range(0, len(tar), 100_000))
    info = store.layers.apply(None, pieces)
    assert b"".join(store.layers.tar(info.diff_id)) == tar
    assert len(workers()) == 1
    store.layers.apply(None, io.BytesIO(archive()))
    assert len(workers()) == 1


def test_small_layers_start_no_process(store: Store) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    store.layers.apply(None, io.BytesIO(made.getvalue()))
    assert not workers()


@pytest.mark.parametrize("spoil", ["cut", "damaged", "hostile", "digest"])
def test_what_is_wrong_with_an_archive_is_said(store: Store, tmp_path: Path, spoil: str) -> None:
    """The same sentence from another process, and nothing is left of the layer."""
    tar = archive()
    blob = gzip.compress(tar, 1)
    wanted = None
    if spoil == "cut":
        blob, says = blob[: len(blob) // 2], "ends early"
    elif spoil == "damaged":
        middle = len(blob) // 2
        blob, says = blob[:middle] + bytes(4096) + blob[middle + 4096 :], "damaged"
    elif spoil == "hostile":
        evil = tarfile.TarInfo("../../outside").tobuf()
        tar = tar.rstrip(b"\0") + bytes(-len(tar.rstrip(b"\0")) % 512) + evil + bytes(1024)
        blob, says = gzip.compress(tar, 1), "outside of the root"
    else:
        wanted, says = digest(b"another"), "wrong diff id"
    for source in (Slow(tmp_path / "blob", blob), io.BytesIO(blob)):
        with pytest.raises(InvalidError, match=says):
            store.layers.apply(wanted, source)
    assert store.layers.all() == []
    assert store.layers.strays() == []
    assert not list((tmp_path / "root/layers").iterdir())


def test_a_download_that_fails_ends_its_process(store: Store, tmp_path: Path) -> None:
    """The reason is the download's, and nobody works on a layer that will never be whole."""
    blob = gzip.compress(archive(), 1)
    source = Slow(tmp_path / "blob", blob)
    source.failure = ConnectionResetError("the registry hung up")
    with pytest.raises(ConnectionResetError, match="hung up"):
        store.layers.apply(None, source)
    assert not workers()
    assert not list((tmp_path / "root/layers").iterdir())


def test_chunks_that_fail_are_not_taken_for_a_whole_archive(store: Store, tmp_path: Path) -> None:
    """An archive that stops at the end of a member looks whole to whoever sees the pipe's end."""
    tar = archive()

    def pieces() -> Iterator[bytes]:
        yield tar[: 10 * (512 + WORTH // 4)]
        raise ConnectionResetError("the client hung up")

    with pytest.raises(ConnectionResetError, match="the client hung up"):
        store.layers.apply(None, pieces())
    assert not workers()
    assert not list((tmp_path / "root/layers").iterdir())


def test_a_killed_process_is_an_error_and_not_the_end(store: Store, tmp_path: Path) -> None:
    """The kernel kills when memory is short: the layer fails with a sentence, the next is made."""
    tar = archive()

    class Murderous(Slow):
        def reach(self, place: int) -> int:
            """Kill it in the middle."""
            if place:
                # exec(2) has not given its parent the name yet, it may be.
                for one in wait_until(workers, "its process"):
                    os.kill(one, signal.SIGKILL)
            return super().reach(place)

    with pytest.raises(BayError, match=r"was killed \(SIGKILL\): try again"):
        store.layers.apply(None, Murderous(tmp_path / "blob", tar))
    assert not list((tmp_path / "root/layers").iterdir())
    store.layers.apply(None, io.BytesIO(tar))
    (idle,) = workers()
    os.kill(idle, signal.SIGKILL)
    wait_until(lambda: not workers(), "its end")
    assert store.layers.apply(None, io.BytesIO(archive(13))).diff_id in store.layers.all()
    (parent,) = parents()
    os.kill(parent, signal.SIGKILL)
    wait_until(lambda: not command(parent), "its end")
    assert store.layers.apply(None, io.BytesIO(archive(14))).diff_id in store.layers.all()
    assert store.layers.apply(None, io.BytesIO(archive(15))).diff_id in store.layers.all()


def test_a_want_of_descriptors_fails_the_layer_alone(store: Store) -> None:
    """The process that forks the others goes on, and forks again once there are some."""
    store.layers.apply(None, io.BytesIO(archive()))
    (parent,), (idle,) = parents(), workers()
    os.kill(idle, signal.SIGKILL)
    wait_until(lambda: not workers(), "its end")
    before = resource.prlimit(parent, resource.RLIMIT_NOFILE)
    used = {int(one) for one in os.listdir(f"/proc/{parent}/fd")}
    free = (number for number in itertools.count() if number not in used)
    for limit in itertools.islice(free, 3):  # with room for none, for one, for both it is given
        resource.prlimit(parent, resource.RLIMIT_NOFILE, (limit, before[1]))
        with pytest.raises(BayError, match="was not started"):
            store.layers.apply(None, io.BytesIO(archive()))
    resource.prlimit(parent, resource.RLIMIT_NOFILE, before)
    store.layers.apply(None, io.BytesIO(archive()))
    assert parents() == {parent}


def test_a_process_ends_with_an_engine_that_left_words_unread() -> None:
    """A socket closed with something unread is reset, not at its end: that must do, too."""
    line, parents_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    told, tell = os.pipe()
    argv = [sys.executable, "-P", "-m", "bayplan.storage.unpackworker"]
    parent = subprocess.Popen(argv, stdin=parents_end.fileno())
    parents_end.close()
    socket.send_fds(line, [b"+"], [theirs.fileno(), tell])
    theirs.close()
    os.close(tell)
    job = {"folder": "/nowhere", "size": 10, "ahead": False}
    with open("/dev/null", "rb") as nothing:
        socket.send_fds(ours, [json.dumps(job).encode()], [nothing.fileno()])
    assert select.select([ours], [], [], 60)[0]
    ours.close()
    assert os.read(told, 100) == b"0"
    assert os.read(told, 100) == b""
    os.close(told)
    line.close()
    assert parent.wait(120) == 0


_ENGINE = """
import sys
from pathlib import Path
from bayplan.storage.store import Store
store = Store.open(Path(sys.argv[1]))
def pieces():
    yield open(sys.argv[2], "rb").read()
    print("half", flush=True)
    sys.stdin.read()
store.layers.apply(None, pieces())
"""


def test_the_processes_of_a_dead_engine_end_before_the_next_one_sweeps(tmp_path: Path) -> None:
    """kill -9 in the middle of a layer: its process goes too, and so does what it made."""
    tar = tmp_path / "tar"
    tar.write_bytes(archive()[:-4096])
    root = tmp_path / "root"
    engine = subprocess.Popen(
        [sys.executable, "-c", _ENGINE, root, tar], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert engine.stdout is not None
    assert engine.stdin is not None
    assert engine.stdout.readline() == b"half\n"
    (parent,) = children(engine.pid)
    (child,) = wait_until(lambda: children(parent), "the process that unpacks")
    engine.kill()
    engine.wait()
    store = Store.open(root)
    try:
        # It held the lock that the store has now.
        for one in (parent, child):
            assert not command(one)
        assert not list((root / "layers").iterdir())
    finally:
        store.trash.drain()
        store.close()
        engine.stdin.close()
        engine.stdout.close()
