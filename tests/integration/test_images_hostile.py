"""The hostile layers once more, each as an image: pulled from a registry, and loaded from a tar."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from storage_hostile import CASES, KEPT, REFUSED, WAITS, Case, member
from support.engine import EngineProcess
from support.ledger import Ledger
from support.waiting import wait_until

# Layers above this expand to gigabytes: once, by the applier's own test, is enough.
LARGE = ("zstd bomb",)


@pytest.fixture
def engine(fresh_engine: Callable[..., EngineProcess]) -> EngineProcess:
    """An engine of the test's own, without images."""
    process = fresh_engine()
    for image in process.api("GET", "/images/json?all=1").json():
        assert process.api("DELETE", f"/images/{image['Id']}?force=1").status == 200
    return process


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    running = Ledger()
    yield running
    running.stop()


def config_of(layer: bytes) -> bytes:
    """An image's configuration; the diff id of what can't be inflated is not to be had."""
    try:
        raw = gzip.decompress(layer) if layer.startswith(b"\x1f\x8b") else layer
    except (EOFError, OSError):
        raw = layer
    rootfs = {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(raw).hexdigest()]}
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()


def archive(config: bytes, layer: bytes) -> bytes:
    """As `docker save` wrote it."""
    raw = io.BytesIO()
    manifest = [{"Config": "config.json", "RepoTags": ["hostile:one"], "Layers": ["layer.tar"]}]
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in (
            ("layer.tar", layer),
            ("config.json", config),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def errors(body: bytes) -> list[str]:
    lines = [json.loads(line) for line in body.splitlines() if line.strip()]
    return [line["error"] for line in lines if "error" in line]


def snapshot(*roots: Path) -> dict[str, object]:
    """All that can be seen of the trees."""
    found: dict[str, object] = {}
    for root in roots:
        for place in (root, *root.rglob("*")):
            status = os.lstat(place)
            found[str(place)] = (status.st_mode, status.st_uid, status.st_size, status.st_ctime_ns)
    return found


def test_a_hostile_image_is_refused_or_harmless(
    engine: EngineProcess, ledger: Ledger, tmp_path: Path
) -> None:
    """By pull and by load: one clear sentence, no write outside, nothing left, the engine lives."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "secret").write_text("secret")
    before = snapshot(out)
    tried = 0
    for case in CASES:
        if case.name in LARGE:
            continue
        layer = case.build(str(out))
        _judge(case, "pull", engine, pull(engine, ledger, f"hostile{tried}", layer))
        _judge(case, "load", engine, load(engine, layer))
        assert snapshot(out) == before, f"{case}: SOMETHING OUTSIDE OF THE LAYER CHANGED"
        tried += 1
    assert tried >= 60
    assert engine.api("GET", "/images/json?all=1").json() == []
    told = engine.api("GET", "/bay/system/check").lines()
    assert told[-1]["Summary"]["Problems"] == 0, told
    left = [p for p in (engine.root / "layers").iterdir() if p.name.startswith("tmp-")]
    assert not left
    wait_until(lambda: not any((engine.root / "trash").iterdir()), "an empty trash", timeout=240)
    assert not any(os.path.lexists(place) for place in ("/evil", "/tmp/evil", "/etc/evil"))


def pull(engine: EngineProcess, ledger: Ledger, name: str, layer: bytes) -> list[str]:
    reference = ledger.add(name, config_of(layer), [layer])
    answer = engine.api("POST", f"/images/create?fromImage={reference}")
    assert answer.status == 200, answer.body
    return errors(answer.body)


def load(engine: EngineProcess, layer: bytes) -> list[str]:
    answer = engine.api("POST", "/images/load", archive(config_of(layer), layer))
    return errors(answer.body) if answer.status == 200 else [answer.message]


def _judge(case: Case, way: str, engine: EngineProcess, wrong: list[str]) -> None:
    what = f"{case} by {way}: {wrong}"
    images = engine.api("GET", "/images/json?all=1").json()
    if case.outcome in (REFUSED, WAITS):
        assert wrong, what
    elif case.outcome == KEPT:
        # An empty stream, or bare zeros, is no layer that an archive could be told to hold.
        assert not wrong or (way == "load" and case.name == "nothing at all"), what
    assert all("\n" not in text and "Traceback" not in text for text in wrong), what
    assert bool(images) == (not wrong), what
    for image in images:
        answer = engine.api("DELETE", f"/images/{image['Id']}?force=1")
        assert answer.status == 200, answer.body


def test_a_wrong_digest_or_diff_id_leaves_nothing(engine: EngineProcess, ledger: Ledger) -> None:
    """Both are verified before anything can be seen."""
    good = gzip.compress(member("a") + bytes(1024))
    other = config_of(gzip.compress(member("b") + bytes(1024)))
    (wrong,) = pull_with(engine, ledger, "diff", other, good)
    assert "wrong diff id calculated on extraction" in wrong
    reference = ledger.add("blob", config_of(good), [good])
    ledger.corrupt(good)
    answer = engine.api("POST", f"/images/create?fromImage={reference}")
    assert len(errors(answer.body)) == 1
    assert engine.api("GET", "/images/json?all=1").json() == []
    assert not any((engine.root / "layers").iterdir())
    assert not any((engine.root / "blobs/partial").iterdir())


def pull_with(
    engine: EngineProcess, ledger: Ledger, name: str, config: bytes, layer: bytes
) -> list[str]:
    reference = ledger.add(name, config, [layer])
    return errors(engine.api("POST", f"/images/create?fromImage={reference}").body)


def test_many_members_and_many_frames_are_one_layer(engine: EngineProcess, ledger: Ledger) -> None:
    """eStargz is gzip of many members, zstd:chunked is zstd of many frames."""
    tar = b"".join(member(f"f{n}", data=b"x" * 3000) for n in range(20)) + bytes(1024)
    halves = (tar[:20_000], tar[20_000:40_000], tar[40_000:])
    for name, layer in (
        ("members", b"".join(map(gzip.compress, halves))),
        ("frames", b"".join(map(zstandard.compress, halves))),
    ):
        reference = ledger.add(name, config_of(tar), [layer])
        answer = engine.api("POST", f"/images/create?fromImage={reference}")
        assert not errors(answer.body), answer.body
        answer = engine.api("DELETE", f"/images/{reference}")
        assert answer.status == 200, answer.body
