"""The same contexts, built by docker's own classic builder and by ours: equal images."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dockerd import dockerd
from support.engine import EngineProcess
from support.twins import Side, differences

NAME = "twins/busybox:1"
IN_A_NAMESPACE = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")

CASES = {
    "settings": """ENV A=1 B="x y" C=$A
ENV D $C text
LABEL l=1 "m n"='o p'
EXPOSE 80 90-91/udp
VOLUME /v
VOLUME ["/w"]
USER 7:8
WORKDIR /made/here
WORKDIR deeper
STOPSIGNAL 9
HEALTHCHECK --interval=3s CMD ["true"]
ONBUILD RUN x
SHELL ["/bin/sh", "-e", "-c"]
ENTRYPOINT echo $A
CMD ["b"]
""",
    "copies": """COPY a /one
COPY a b /two/
COPY dir /three
COPY dir /three/again/
COPY --chown=3:4 dir /owned
COPY dir/sub/ /flat/
COPY *.txt /globbed/
COPY link /through
COPY links /links
""",
    "over what is there": """RUN mkdir -p /old/sub /target && chmod 700 /old
RUN ln -s /target /lnk && echo x > /old/f
COPY dir /old
COPY a /lnk/
COPY dir/sub /lnk/
COPY a /old/f
""",
    "archives": """ADD t.tar /plain/
ADD t.tgz /packed
ADD a /file
COPY t.tar /kept
""",
    "commands": """ARG X=1
ARG Y
RUN echo "$X $Y" > /args && mkdir /d && chmod 1777 /d
RUN ["sh", "-c", "rm -r /etc/group; echo hi > /d/hi; ln -s nowhere /d/l; ln /d/hi /d/hard"]
USER nobody
WORKDIR /w
RUN touch /tmp/mine
""",
    "stages": """RUN mkdir /d && touch /d/f && chown -R 5:6 /d && chmod 700 /d
FROM scratch
COPY --from=0 /d /kept
COPY --from=0 --chown=7:8 /d/f /given
COPY --from=0 / /all/
COPY a nothing* /some/
""",
    "refused": "COPY missing /x\n",
    "refused a pattern": "COPY nothing* /x/\n",
    "refused too": "COPY a b /x\n",
    "no command": "RUN exit 3\n",
}


@pytest.fixture(scope="module")
def sides(engine: EngineProcess) -> Iterator[tuple[Side, Side]]:
    """Ours and docker's, each with the same base image under one name."""
    with dockerd(IN_A_NAMESPACE, NAME) as docker:
        tar = docker.folder / "image.tar"
        docker.docker("save", "-o", str(tar), NAME)
        ours = Side(engine.socket)
        assert ours.run("load", "-i", str(tar)).returncode == 0
        yield ours, Side(docker.socket)
        ours.run("rmi", "-f", NAME)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with every kind of file."""
    (tmp_path / "dir/sub/deep").mkdir(parents=True)
    for name in ("a", "b", "x.txt", "y.txt", "dir/f", "dir/sub/g", "dir/sub/deep/h"):
        (tmp_path / name).write_text(name)
    (tmp_path / "a").chmod(0o711)
    (tmp_path / "dir").chmod(0o750)
    (tmp_path / "dir/sub").chmod(0o711)
    (tmp_path / "link").symlink_to("dir/f")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/to").symlink_to("../a")
    (tmp_path / "links/nowhere").symlink_to("/no/where")
    for name, mode in (("t.tar", "w"), ("t.tgz", "w:gz")):
        with tarfile.open(tmp_path / name, mode) as archive:  # type: ignore[call-overload]
            entry = tarfile.TarInfo("in/file")
            entry.size, entry.uid, entry.gid, entry.mode = 4, 5, 6, 0o640
            archive.addfile(entry, io.BytesIO(b"data"))
            entry = tarfile.TarInfo("in/link")
            entry.type, entry.linkname = tarfile.SYMTYPE, "file"
            archive.addfile(entry)
    (tmp_path / ".dockerignore").write_text("Dockerfile\n")
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_equal_images(sides: tuple[Side, Side], context: Path, name: str) -> None:
    """Settings and file tree (kind, mode, owner, content) are the same, or both refuse."""
    (context / "Dockerfile").write_text(f"FROM {NAME}\n{CASES[name]}")
    flags = ("--build-arg", "Y=2", "--network", "none")
    found = differences(*sides, context, flags)
    assert not found, "\n".join(found)
