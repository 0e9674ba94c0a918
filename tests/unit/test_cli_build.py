"""The client's side of a build: what is sent, and how progress is shown."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from bayplan.cli import buildcontext, buildprogress
from bayplan.cli.commands import build
from bayplan.cli.errors import CodedError
from bayplan.host.errors import InvalidError, NotFoundError


def packed(folder: Path, dockerfile: str = "") -> dict[str, tarfile.TarInfo]:
    sending = buildcontext.prepare(str(folder), dockerfile, in_place=False)
    body = sending.body if isinstance(sending.body, bytes) else b"".join(sending.body)
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return {entry.name: entry for entry in archive}


def test_what_is_ignored_stays_here_and_what_the_engine_needs_does_not(tmp_path: Path) -> None:
    for name in ("Dockerfile", "a", "d/kept", "d/gone", "e/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / ".dockerignore").write_text("*\n!a\n!d/kept\n")
    entries = packed(tmp_path)
    assert set(entries) == {".dockerignore", "Dockerfile", "a", "d/kept"}
    assert entries["a"].uid == 0 and entries["a"].uname == ""


def test_a_dockerfile_from_elsewhere_is_sent_along(tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (tmp_path / "Other").write_text("FROM x\n")
    sending = buildcontext.prepare(str(context), str(tmp_path / "Other"), in_place=True)
    assert "bay-local" not in sending.parameters
    name = sending.parameters["dockerfile"]
    assert set(packed(context, str(tmp_path / "Other"))) == {name}


def test_a_folder_is_only_named_to_an_engine_that_sees_it(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    sending = buildcontext.prepare(str(tmp_path), "", in_place=True)
    found = tmp_path.stat()
    assert sending.body == b"" and sending.parameters["bay-local"] == {
        "path": str(tmp_path),
        "dev": found.st_dev,
        "ino": found.st_ino,
    }


def test_contexts_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="not found"):
        buildcontext.prepare(str(tmp_path / "none"), "", in_place=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidError, match="must be a directory"):
        buildcontext.prepare(str(tmp_path / "file"), "", in_place=True)


MESSAGES: list[dict[str, Any]] = [
    {"aux": {"bay": event}}
    for event in (
        {"type": "step", "id": 1, "name": "s", "number": 1, "total": 2, "text": "RUN\n x"},
        {"type": "miss", "id": 1, "reason": "why"},
        {"type": "log", "id": 1, "data": "one\ntw"},
        {"type": "log", "id": 1, "data": "o\nthree"},
        {"type": "done", "id": 1, "cached": False, "ms": 1500},
        {"type": "step", "id": 2, "name": "s", "number": 2, "total": 2, "text": "CMD"},
        {"type": "done", "id": 2, "cached": True, "ms": 1},
    )
]


def test_plain_progress() -> None:
    out = io.StringIO()
    assert buildprogress.show([*MESSAGES, {"aux": {"ID": "sha256:1"}}], out, "plain") == "sha256:1"
    assert out.getvalue().splitlines() == [
        "#1 [s 1/2] RUN x", "#1 not cached: why", "#1 one", "#1 two", "#1 three", "#1 DONE 1.5s",
        "#2 [s 2/2] CMD", "#2 CACHED",
    ]  # fmt: skip


def test_progress_on_a_terminal_leaves_a_line_for_each_step() -> None:
    out = io.StringIO()
    buildprogress.show(MESSAGES, out, "tty")
    final = out.getvalue().split("\x1b[J")
    assert " ✓ [s 1/2] RUN x (1.5s, why)\n" in "".join(final)
    assert out.getvalue().endswith(" ✓ [s 2/2] CMD (cached)\n")


@pytest.mark.parametrize("style", ["plain", "tty", "quiet", "rawjson"])
def test_a_build_ends_with_the_linter_s_findings_in_short(style: str) -> None:
    """As BuildKit's clients do; not when nothing or JSON is to be shown, nor after a failure."""
    warning = {"type": "warning", "rule": "StageNameCasing", "message": "m", "line": 3, "column": 1}
    out = io.StringIO()
    buildprogress.show([{"aux": {"bay": warning}}, {"aux": {"ID": "sha256:1"}}], out, style)
    said = (
        "\n 1 warning found (bay build --check shows the lines):\n - StageNameCasing: m (line 3)\n"
    )
    assert (said in out.getvalue()) == (style in ("plain", "tty"))
    out = io.StringIO()
    with pytest.raises(CodedError):
        buildprogress.show([{"aux": {"bay": warning}}, {"error": "no"}], out, style)
    assert "found" not in out.getvalue()


def test_a_failure_has_the_code_of_the_step() -> None:
    failed = {"error": "no", "errorDetail": {"code": 7, "message": "no"}}
    with pytest.raises(CodedError) as caught:
        buildprogress.show([failed], io.StringIO(), "quiet")
    assert caught.value.code == 7


def test_raw_progress_is_json() -> None:
    out = io.StringIO()
    buildprogress.show(MESSAGES, out, "rawjson")
    assert [json.loads(line) for line in out.getvalue().splitlines()] == MESSAGES


def test_arguments_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIVEN", "v")
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert build._pairs(["GIVEN", "ABSENT", "A=b=c"], environment=True) == {
        "GIVEN": "v",
        "A": "b=c",
    }


def test_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s").write_text("x")
    monkeypatch.setenv("S", "y")
    assert build._secrets([f"id=a,src={tmp_path}/s", "id=b,env=S"]) == {"a": "eA==", "b": "eQ=="}
    with pytest.raises(NotFoundError, match="secret c"):
        build._secrets(["id=c,src=/no/where"])
