"""Tars are read as Python's tarfile reads them, and written so that it can."""

from __future__ import annotations

import io
import tarfile

import pytest
from bayplan.host.errors import InvalidError
from bayplan.storage import tarheader as tar
from bayplan.storage.rootfd import clean
from bayplan.storage.tarheader import Entry, number, pax_records, seconds_to_ns
from bayplan.storage.tarstream import TarStream
from bayplan.storage.tarwriter import END, header, padding
from hypothesis import given, settings
from hypothesis import strategies as st

names = st.binary(min_size=1, max_size=300).filter(
    lambda raw: b"\0" not in raw and raw.strip(b"/") and not raw.endswith(b"/")
)
entries = st.builds(
    Entry,
    name=names,
    kind=st.sampled_from([tar.REGULAR, tar.SYMLINK, tar.HARDLINK, tar.FIFO, tar.CHAR]),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 1 << 32),
    gid=st.integers(0, 1 << 21),
    size=st.just(0),
    mtime=st.integers(-(10**18), 10**19),
    link=names,
    major=st.integers(0, 0o7777777),
    minor=st.integers(0, 0o7777777),
    xattrs=st.dictionaries(
        st.from_regex(r"user\.[a-zé.]{1,40}", fullmatch=True), st.binary(max_size=300), max_size=3
    ),
)


def stream(data: bytes, step: int = 700) -> TarStream:
    return TarStream(iter([data[at : at + step] for at in range(0, len(data), step)]))


class Kept:
    """A sink of raw bytes."""

    def __init__(self) -> None:
        self.data = b""

    def raw(self, data: bytes) -> None:
        self.data += data


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(entries, st.binary(max_size=2000)), max_size=4), st.integers(1, 1500))
def test_what_is_written_is_read_again(members: list[tuple[Entry, bytes]], step: int) -> None:
    data = b""
    for entry, content in members:
        if entry.kind != tar.REGULAR:
            content = b""
        if entry.kind not in (tar.CHAR,):
            entry.major = entry.minor = 0
        if entry.kind not in (tar.SYMLINK, tar.HARDLINK):
            entry.link = b""
        entry.size = entry.real_size = len(content)
        data += header(entry) + content + padding(len(content))
    found = []
    kept = Kept()
    reader = TarStream(
        iter([(data + END)[i : i + step] for i in range(0, len(data) + 1024, step)]), kept
    )
    for entry in reader:
        found.append((entry, b"".join(map(bytes, reader.payload()))))
    assert [entry for entry, _ in found] == [entry for entry, _ in members]
    contents = [c if e.kind == tar.REGULAR else b"" for e, c in members]
    assert [content for _, content in found] == contents
    # All but the payload went to the sink.
    assert len(kept.data) == len(data) + 1024 - sum(map(len, contents))


@settings(max_examples=100, deadline=None)
@given(entries)
def test_tarfile_reads_what_is_written(entry: Entry) -> None:
    entry.size = 0
    file = io.BytesIO(header(entry) + END)
    with tarfile.open(fileobj=file, encoding="utf-8") as archive:
        (info,) = archive.getmembers()
    assert info.name.encode("utf-8", "surrogateescape").rstrip(b"/") == entry.name.rstrip(b"/")
    assert (info.mode, info.uid, info.gid) == (entry.mode, entry.uid, entry.gid)
    assert abs(info.mtime - entry.mtime / 1e9) < 1e4


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_what_tarfile_writes_is_read(form: int) -> None:
    buffer = io.BytesIO()
    wanted = []
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name in ("short", "d/" * 60 + "long", "é" * 90, "x" * 99, "y" * 100, "z" * 101):
            info = tarfile.TarInfo(name)
            info.size, info.uid, info.mtime, info.linkname = 1000, 3_000_000, 2**34, ""
            archive.addfile(info, io.BytesIO(b"c" * 1000))
            link = tarfile.TarInfo("l" + name)
            link.type, link.linkname = tarfile.SYMTYPE, name
            archive.addfile(link)
            wanted += [
                (name.encode(), 3_000_000, 1000, b""),
                (b"l" + name.encode(), 0, 0, name.encode()),
            ]
    found = [(e.name, e.uid, e.size, e.link) for e in stream(buffer.getvalue())]
    assert found == wanted


def test_numbers_are_octal_or_base_256() -> None:
    assert number(b"0000644\0") == 0o644
    assert number(b"   644 \0") == 0o644
    assert number(b"\0" * 8) == 0
    assert number(b"\x80" + b"\0" * 3 + b"\1\0\0\0" + b"\0" * 4) == 1 << 56
    assert number(b"\xff" * 12) == -1
    for bad in (b"12x", b"0o7", b"1_0", b"-1", b"+1", b"8"):
        with pytest.raises(InvalidError):
            number(bad)


def test_pax_times_are_exact() -> None:
    assert seconds_to_ns(b"1.5") == 1_500_000_000
    assert seconds_to_ns(b"-1.5") == -1_500_000_000
    assert seconds_to_ns(b"1234567890.123456789123") == 1_234_567_890_123_456_789
    assert seconds_to_ns(b".25") == 250_000_000
    for bad in (b"", b"-", b"1e9", b"nan", b"1.x", b"0x1"):
        with pytest.raises(InvalidError):
            seconds_to_ns(bad)


def test_pax_records_hold_any_bytes() -> None:
    assert pax_records(b"11 a=b=\nc\0\n6 b=\n\n".replace(b"6 b=\n\n", b"6 b=\n\n")) == [
        (b"a", b"b=\nc\0"),
        (b"b", b"\n"),
    ]
    for bad in (b"5 a=b", b"99 a=b\n", b"a=b\n", b"0 a=b\n", b"5 ab\n\n", b"-6 a=b\n"):
        with pytest.raises(InvalidError):
            pax_records(bad)


def test_only_v7_tells_folders_by_a_slash() -> None:
    old = bytearray(tarfile.TarInfo("folder").tobuf())
    old[6:7] = b"/"
    old[156:157] = b"\0"
    old[257:265] = bytes(8)
    old[148:156] = b" " * 8
    old[148:156] = b"%06o\0 " % sum(old)
    assert [(e.name, e.kind) for e in stream(bytes(old) + END)] == [(b"folder/", tar.DIRECTORY)]


def test_global_records_hold_for_all_that_follow() -> None:
    glob = tarfile.TarInfo.create_pax_global_header({"mtime": "7", "uid": "9"})
    one, own = tarfile.TarInfo("a"), tarfile.TarInfo("b")
    own.pax_headers = {"mtime": "8"}
    data = glob + one.tobuf(tarfile.USTAR_FORMAT) + own.tobuf(tarfile.PAX_FORMAT) + END
    found = [(e.name, e.mtime // 10**9, e.uid) for e in stream(data)]
    assert found == [(b"a", 7, 9), (b"b", 8, 9)]


@pytest.mark.parametrize("tail", [b"", bytes(512), bytes(1024), bytes(10240), END + b"junk" * 9999])
def test_the_end_may_be_missing_short_or_long(tail: bytes) -> None:
    info = tarfile.TarInfo("a")
    kept = Kept()
    data = info.tobuf() + tail
    assert [e.name for e in TarStream(iter([data]), kept)] == [b"a"]
    assert kept.data == data


def test_content_that_is_not_taken_is_kept() -> None:
    info = tarfile.TarInfo("a")
    info.size = 3_000_000
    data = info.tobuf() + b"x" * 3_000_000 + padding(3_000_000) + END
    kept = Kept()
    assert [e.size for e in TarStream(iter([data]), kept)] == [3_000_000]
    assert kept.data == data


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (b"a/b", [b"a", b"b"]),
        (b"/a//b/./c/", [b"a", b"b", b"c"]),
        (b"./", []),
        (b"a/../b", [b"b"]),
        (b"...", [b"..."]),
    ],
)
def test_names_are_cleaned(name: bytes, parts: list[bytes]) -> None:
    assert clean(name) == parts


@pytest.mark.parametrize("name", [b"..", b"/..", b"a/../..", b"a\0", b"../a"])
def test_names_that_lead_out_are_refused(name: bytes) -> None:
    with pytest.raises(InvalidError):
        clean(name)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=600), max_size=8), st.data())
def test_no_bytes_make_the_reader_fail_otherwise(blocks: list[bytes], data: st.DataObject) -> None:
    """Random blocks, some with a right checksum: entries or InvalidError, nothing else."""
    parts = []
    for block in blocks:
        block = bytearray(block.ljust(512, b"\0")[:512])
        block[156:157] = data.draw(
            st.sampled_from([b"0", b"x", b"g", b"L", b"K", b"S", b"5", b"\0"])
        )
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        parts.append(bytes(block))
    try:
        for _ in stream(b"".join(parts)):
            pass
    except InvalidError:
        pass
