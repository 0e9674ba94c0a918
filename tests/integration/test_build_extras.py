"""What buildx has beside the classic builder: named contexts, files as output, failing checks."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from support.building import Kitchen, lines_of
from support.engine import BAY, EngineProcess
from support.origins import repository, web_server
from support.registry import Registry


@pytest.fixture
def kitchen(engine: EngineProcess, busybox_image: str, tmp_path: Path) -> Kitchen:
    """A context of its own, on busybox; beside it there is room for others."""
    engine.pull(busybox_image)
    (tmp_path / "main").mkdir()
    return Kitchen(engine, busybox_image, tmp_path / "main")


def refused(kitchen: Kitchen, text: str, *flags: str) -> str:
    """What is said of a build that fails."""
    done = kitchen.run(text, *flags)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


NAMED = """FROM thebase
COPY --from=other f /copied
COPY --from=web f /web
COPY --from=repo sub/f /repo
COPY --from=image /etc/mark /mark
RUN --mount=from=other,target=/o cat /o/f > /mounted; ls /o > /list
"""


def test_named_contexts(kitchen: Kitchen, tmp_path: Path) -> None:
    """A folder, an archive and a repository by URL, an image; FROM takes an image by that name."""
    other, served = tmp_path / "other", tmp_path / "served"
    other.mkdir()
    served.mkdir()
    for name, text in (("f", "other"), ("ignored", ""), (".dockerignore", "ignored\n")):
        (other / name).write_text(text)
    with tarfile.open(served / "c.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("f")
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b"web"))
    repository(served / "r.git", {"sub/f": "repo"})
    image = kitchen.image("FROM base\nRUN echo mark > /etc/mark\n", "-t", "named/image:2")
    with web_server(served) as web:
        flags = (
            *("--build-context", f"other={other}", "--build-context", f"web={web.url}/c.tar.gz"),
            *("--build-context", f"repo={web.url}/smart/r.git#main"),
            *("--build-context", "image=docker-image://named/image:2"),
            *("--build-context", f"thebase:latest=docker-image://{kitchen.base}"),
        )
        made = kitchen.image(NAMED, *flags)
        told = kitchen.sh(made, "cat /copied /web /repo /mark /mounted /list")
        assert told == "otherwebrepomark\notherf\n"
        cached = kitchen.run(NAMED, *flags)
        assert not lines_of(cached, "not cached"), cached.stderr
        (other / "f").write_text("changed")
        assert "not cached: copied changed" in kitchen.run(NAMED, *flags).stderr
    assert image


def test_a_named_context_takes_a_stage_s_place(kitchen: Kitchen, tmp_path: Path) -> None:
    """The stage of that name is not even built."""
    (tmp_path / "f").write_text("instead")
    text = "FROM base AS made\nRUN exit 1\nFROM base\nCOPY --from=made /f /f\n"
    image = kitchen.image(text, "--build-context", f"made={tmp_path}")
    assert kitchen.sh(image, "cat /f") == "instead"
    text = "FROM base AS made\nRUN exit 1\nFROM made\nRUN echo on > /on\n"
    image = kitchen.image(text, "--build-context", f"made=docker-image://{kitchen.base}")
    assert kitchen.sh(image, "cat /on") == "on\n"


def test_named_folders_are_sent_to_an_engine_that_does_not_see_them(
    kitchen: Kitchen, tmp_path: Path
) -> None:
    """Over a namespace of other mounts: both contexts in one archive, each with what it ignores."""
    other = tmp_path / "other"
    (other / "deep").mkdir(parents=True)
    for name in ("deep/f", "ignored"):
        (other / name).write_text(name)
    (other / ".dockerignore").write_text("ignored\n")
    kitchen.files({"main": "main"})
    text = f"FROM {kitchen.base}\nCOPY . /m\nCOPY --from=o . /o\n"
    (kitchen.folder / "Dockerfile").write_text(text)
    import subprocess

    argv = ["unshare", "--mount", str(BAY), "build", "-q", "--build-context", f"o={other}"]
    done = subprocess.run(
        [*argv, str(kitchen.folder)],
        env=kitchen.engine.environment, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = kitchen.sh(done.stdout.strip(), "cd /; find m o -type f | sort")
    assert told == "m/Dockerfile\nm/main\no/.dockerignore\no/deep/f\n"


def test_a_sent_context_cannot_be_a_link(kitchen: Kitchen) -> None:
    """Its place in the archive could lead anywhere on the engine's host."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        text = f"FROM {kitchen.base}\nCOPY --from=o hostname /x\n".encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
        entry = tarfile.TarInfo(".bayplan-contexts/0")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(entry)
    query = 'bay-contexts={"o":{"sent":"0"}}'
    answer = kitchen.engine.api("POST", f"/build?{query}", out.getvalue())
    assert "its files were not sent" in answer.body.decode()


def test_what_is_no_named_context_is_told(kitchen: Kitchen, tmp_path: Path) -> None:
    for flag, said in (
        ("x", "write name=FOLDER"),
        (f"x={tmp_path}/none", "is no folder"),
        ("x=oci-layout:///y", "not supported"),
        ("base=docker-image://127.0.0.1:1/none:1", "none"),
    ):
        words = refused(kitchen, "FROM base\nCOPY --from=x / /\n", "--build-context", flag)
        if not flag.startswith("base"):
            assert said in words, words


def test_some_stages_anew(kitchen: Kitchen) -> None:
    """--no-cache-filter does the steps of the named stages, and of no other, again."""
    text = "FROM base AS a\nRUN echo a > /a\nFROM base AS b\nRUN echo b > /b\nCOPY --from=a /a /\n"
    kitchen.image(text)
    done = kitchen.run(text, "--no-cache-filter", "A,none")
    assert done.stderr.count("not cached: --no-cache-filter was given") == 1, done.stderr
    assert "[a 2/2]" in "\n".join(lines_of(done, "RUN echo a"))


def test_a_file_may_ask_to_fail_on_what_the_checks_find(kitchen: Kitchen) -> None:
    """`# check=error=true`, or the argument: nothing is built, and the line is shown."""
    text = "FROM base as x\nRUN touch /never\n"
    words = refused(kitchen, f"# check=error=true\n{text}")
    assert "lint violation found for rules: FromAsCasing" in words and "Dockerfile:2:" in words
    assert "RUN touch" not in words.split("lint violation")[0]
    assert "FromAsCasing" in refused(
        kitchen, text, "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true"
    )
    assert kitchen.run(f"# check=skip=FromAsCasing;error=true\n{text}").returncode == 0
    assert kitchen.run(text).returncode == 0


def test_a_stage_begins_as_a_folder(kitchen: Kitchen, tmp_path: Path) -> None:
    """FROM a named context that is no image: its files, owned by root, on nothing."""
    root = tmp_path / "root"
    for name, text in (
        ("etc/mark", "here"),
        ("bin/run", "#!x"),
        ("no", ""),
        (".dockerignore", "no"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "bin/run").chmod(0o755)
    (root / "link").symlink_to("etc/mark")
    os.chown(root / "etc", 1234, 1234)
    text = "FROM root$fs AS one\nENV A=b\nFROM base\nCOPY --from=one / /r\n"
    flags = ("--build-context", f"root={root}", "--build-arg", "fs=")
    image = kitchen.image(text, *flags)
    told = kitchen.sh(image, "cd /r; cat link; find . | sort; stat -c '%a %u' bin/run etc")
    assert (
        told
        == "here.\n./.dockerignore\n./bin\n./bin/run\n./etc\n./etc/mark\n./link\n755 0\n755 0\n"
    )
    assert not lines_of(kitchen.run(text, *flags), "not cached")
    (root / "etc/mark").write_text("there")
    assert kitchen.sh(kitchen.image(text, *flags), "cat /r/link") == "there"
    only = kitchen.image("FROM root\n", *flags)
    assert "Env" not in kitchen.config(only) or kitchen.config(only)["Env"][0].startswith("PATH=")


def test_an_oci_layout_as_output(kitchen: Kitchen, registry: Registry, tmp_path: Path) -> None:
    """As a tar, on stdout too, and as a folder; and what buildx tells in a file; --push."""
    text = f"FROM base\nRUN echo {os.urandom(4).hex()} > /f\n"
    name = f"{registry.address}/pushed/{os.urandom(4).hex()}"
    flags = ("-q", "-t", name, "--metadata-file", f"{tmp_path}/meta", "--push")
    image = kitchen.run(text, *flags).stdout.strip()
    told = json.loads((tmp_path / "meta").read_text())
    assert (told["containerimage.config.digest"], told["image.name"]) == (image, name)
    kitchen.engine.bay("rmi", "-f", image, check=True)
    assert kitchen.engine.bay("pull", "-q", name).stdout == f"{name}:latest\n"
    flags = ("-o", f"type=oci,dest={tmp_path}/o.tar", "-o", f"type=oci,tar=false,dest={tmp_path}/o")
    assert kitchen.run(text, *flags).returncode == 0
    with tarfile.open(tmp_path / "o.tar") as archive:
        files = {member.name for member in archive if member.isfile()}
    found = {str(p.relative_to(tmp_path / "o")) for p in (tmp_path / "o").rglob("*") if p.is_file()}
    assert files == found and {"oci-layout", "index.json"} < files
    index = json.loads((tmp_path / "o/index.json").read_text())
    digest = index["manifests"][0]["digest"].removeprefix("sha256:")
    assert (tmp_path / "o/blobs/sha256" / digest).is_file()


@pytest.mark.parametrize(
    "words",
    ["--provenance=false", "--sbom=false", "--builder=default", "--allow=network.host",
     "--cache-to=type=inline", "--attest=type=sbom,disabled=true"],
)  # fmt: skip
def test_flags_of_buildx_that_mean_nothing_here_are_taken(kitchen: Kitchen, words: str) -> None:
    assert kitchen.run("FROM base\n", words).returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--provenance=mode=max", "without attestations"), ("--builder=x", "one builder"),
        ("--cache-to=type=gha", "cache is the engine's"), ("--annotation=a=b", "use --label"),
        ("--allow=security.insecure", "not supported"),
    ],
)  # fmt: skip
def test_flags_of_buildx_that_mean_something_are_refused(
    kitchen: Kitchen, words: str, said: str
) -> None:
    assert said in refused(kitchen, "FROM base\n", words)


def test_files_instead_of_an_image(kitchen: Kitchen, tmp_path: Path) -> None:
    """-o FOLDER and a tar have the image's files and none of the engine's; no image is left."""
    text = f"FROM base AS b\nRUN mkdir /d && echo {os.urandom(4).hex()} > /d/f && chmod 4711 /d/f\n"
    text += "FROM scratch\nCOPY --from=b /d /out/\n"
    before = kitchen.engine.bay("images", "-aq", check=True).stdout
    done = kitchen.run(text, "-o", str(tmp_path / "to/here"))
    assert done.returncode == 0, done.stderr
    found = sorted(str(p.relative_to(tmp_path / "to/here")) for p in (tmp_path / "to").rglob("*"))
    assert found == [".", "out", "out/f"]
    # No program of the image becomes one that runs as this user.
    assert (tmp_path / "to/here/out/f").stat().st_mode & 0o7777 == 0o711
    done = kitchen.run(text, "--output", f"type=tar,dest={tmp_path}/o.tar")
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "o.tar") as archive:
        assert sorted(archive.getnames()) == [".", "out", "out/f"]
        assert archive.getmember("out/f").mode == 0o4711
    assert kitchen.engine.bay("images", "-aq", check=True).stdout == before
    done = kitchen.run(text, "-t", "out/kept:1", "-o", f"type=docker,dest={tmp_path}/d.tar")
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "d.tar") as archive:
        assert "manifest.json" in archive.getnames()
    assert "out/kept" in kitchen.engine.bay("images", check=True).stdout
    assert kitchen.run("FROM scratch\n", "-o", str(tmp_path / "none")).returncode == 0
    assert list((tmp_path / "none").iterdir()) == []
    for output, said in (
        ("type=registry", "give --tag"), ("type=local", "needs dest"),
        (f"{tmp_path}/o.tar", "File exists"), ("type=oci,tar=false", "needs dest"),
        ("type=docker,compression=zstd", "compression is not supported"),
        ("type=nix", "not supported"),
    ):  # fmt: skip
        assert said in refused(kitchen, text, "-o", output)
