"""Builds containers/buildah's conformance cases with our engine and docker's classic builder.

    PYTHONPATH=tests .venv/bin/python dev/conformance.py /path/to/buildah

As root. A case passes when both images are equal (settings and files) or both refuse; where the
case asks docker for BuildKit, which this docker has not, when ours builds. With names after the
checkout's path only those cases are run. Cases whose context is
made by Go code are counted apart. Base images are all a busybox of this host, with the few files
that the cases look for. The cases are the other project's: read where they lie, never copied here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from support.dockerd import Dockerd, dockerd
from support.engine import EngineProcess
from support.twins import Side, differences

BASE = "conformance/busybox:1"
NAMESPACE = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
_IMAGES = re.compile(
    r"(?:mirror\.gcr\.io|quay\.io)/[^\s\"'}]+|(?<=FROM )(?:busybox|alpine|centos)\S*"
)


@dataclass
class Case:
    """One case: its `context` (a folder or nothing), the `text` of its Dockerfile."""

    name: str
    context: Path | None
    text: str
    buildkit: bool
    coded: bool


def cases(root: Path) -> list[Case]:
    """What can be read of the table in the Go file."""
    source = (root / "tests/conformance/conformance_test.go").read_text()
    data = root / "tests/conformance/testdata"
    table = source[source.index("var internalTestCases") :]
    found = []
    for block in re.split(r"\n\t\{\n", table)[1:]:
        block = block.split("\n\t},")[0]
        name = re.search(r'\bname:\s+"([^"]+)"', block)
        if name is None:
            continue
        folder = re.search(r'contextDir:\s+"([^"]+)"', block)
        file = re.search(r'dockerfile:\s+"([^"]+)"', block)
        context = data / folder[1] if folder else None
        text = _inline(block)
        if text is None:
            place = (context or data) / (file[1] if file else "Dockerfile")
            text = place.read_text() if place.is_file() else ""
        found.append(
            Case(
                name[1],
                context or (None if _inline(block) is not None else data),
                _IMAGES.sub(BASE, text),
                "dockerUseBuildKit" in block or "BuilderBuildKit" in block,
                "tweakContextDir" in block,
            )
        )
    return found


def _inline(block: str) -> str | None:
    joined = re.search(
        r"dockerfileContents:\s+strings\.Join\(\[\]string\{(.*?)\n?\s*\}, \"\\n\"\)", block, re.S
    )
    if joined:
        lines = re.findall(r'"((?:[^"\\]|\\.)*)"|`([^`]*)`', joined[1])
        return "\n".join(_go(quoted) if quoted else raw for quoted, raw in lines) + "\n"
    raw = re.search(r"dockerfileContents:\s+`([^`]*)`", block, re.S)
    return raw[1] if raw else None


def _go(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), text)


def run(case: Case, ours: Side, theirs: Side) -> list[str]:
    """What differs, or why ours did not build."""
    with tempfile.TemporaryDirectory(prefix="cf-") as folder:
        context = Path(folder) / "context"
        if case.context is not None and case.context.is_dir():
            shutil.copytree(case.context, context, symlinks=True)
        else:
            context.mkdir()
        (context / "Dockerfile").write_text(case.text)
        if "COPY true " in case.text:
            # Compiled from Go there: any static program that ends with 0.
            shutil.copy(shutil.which("busybox") or "/bin/busybox", context / "true")
        try:
            if not case.buildkit:
                return differences(ours, theirs, context, ("--network", "none"))
            image, words = ours.build(context, ("--network", "none"))
            return [] if image else words.strip().splitlines()[-8:] or ["failed"]
        except (AssertionError, subprocess.TimeoutExpired, OSError) as error:
            return [str(error).splitlines()[0][:300]]


def make_base(docker: Dockerd) -> None:
    """Put what the cases look for in their base images."""
    with tempfile.TemporaryDirectory(prefix="cf-") as folder:
        (Path(folder) / "Dockerfile").write_text(
            f"FROM {BASE}\nRUN echo NAME=base > /etc/os-release; cp /etc/os-release"
            " /etc/nsswitch.conf; echo daemon:x:1:1::/:/bin/sh >> /etc/passwd;"
            " echo daemon:x:1: >> /etc/group\n"
        )
        docker.docker("build", "-q", "--network", "none", "-t", BASE, folder)


def main() -> None:
    """Run all, print what fails and the share that passes."""
    table = cases(Path(sys.argv[1]))
    coded = [case for case in table if case.coded]
    readable = [case for case in table if not case.coded and case.text]
    if names := sys.argv[2:]:
        readable = [case for case in readable if case.name in names]
    good = 0
    engine = EngineProcess()
    engine.start()
    try:
        with dockerd(NAMESPACE, BASE) as docker:
            make_base(docker)
            tar = docker.folder / "base.tar"
            docker.docker("save", "-o", str(tar), BASE)
            ours, theirs = Side(engine.socket), Side(docker.socket)
            ours.run("load", "-i", str(tar))
            for case in readable:
                found = run(case, ours, theirs)
                good += not found
                print(("ok   " if not found else "FAIL ") + case.name, flush=True)
                for line in found[:4]:
                    print(f"       {line[:300]}", flush=True)
    finally:
        engine.purge()
    print(
        f"{good} of {len(readable)} equal; {len(coded)} of {len(table)} need Go code for their"
        " context"
    )


if __name__ == "__main__":
    main()
