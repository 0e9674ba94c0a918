"""Every instruction, built for real: what the image holds, and what is said when it can't be."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest
from support.building import Kitchen, lines_of
from support.engine import EngineProcess


@pytest.fixture
def kitchen(engine: EngineProcess, busybox_image: str, tmp_path: Path) -> Kitchen:
    """A context of its own, on busybox."""
    engine.pull(busybox_image)
    return Kitchen(engine, busybox_image, tmp_path)


def test_settings_end_up_in_the_image(kitchen: Kitchen) -> None:
    image = kitchen.image("""FROM base
ENV A=1 B="two words" C=$PATH
ENV OLD form of it
LABEL a=b "c d"="e f"
EXPOSE 80 1000-1001/udp $A
VOLUME /data ["/x"]
VOLUME ["/y z"]
USER nobody:nogroup
WORKDIR /w
WORKDIR sub/$A
STOPSIGNAL SIGINT
SHELL ["/bin/sh", "-ec"]
HEALTHCHECK --interval=5s --retries=2 CMD true && true
ONBUILD RUN echo hi
ENTRYPOINT ["echo", "$A"]
CMD echo x
""")
    config = kitchen.config(image)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert config["Env"] == [f"PATH={path}", "A=1", "B=two words", f"C={path}", "OLD=form of it"]
    assert config["Labels"] == {"a": "b", "c d": "e f"}
    assert set(config["ExposedPorts"]) == {"80/tcp", "1000/udp", "1001/udp", "1/tcp"}
    assert set(config["Volumes"]) == {"/data", "[/x]", "/y z"}
    assert config["User"] == "nobody:nogroup" and config["WorkingDir"] == "/w/sub/1"
    assert config["StopSignal"] == "SIGINT" and config["Shell"] == ["/bin/sh", "-ec"]
    assert config["Healthcheck"]["Test"] == ["CMD-SHELL", "true && true"]
    assert config["Healthcheck"]["Interval"] == 5_000_000_000
    assert config["OnBuild"] == ["RUN echo hi"]
    assert config["Entrypoint"] == ["echo", "$A"]
    assert config["Cmd"] == ["/bin/sh", "-ec", "echo x"]


def test_arguments_and_their_scope(kitchen: Kitchen) -> None:
    text = """ARG TAG=unused
ARG GLOBAL=g
FROM base
ARG GLOBAL
ARG A=1
ARG B=${A}2
ENV B=env
ARG TARGETARCH
RUN echo "$GLOBAL $A $B [$TAG] $TARGETARCH ${HTTP_PROXY}" > /out
"""
    image = kitchen.image(text, "--build-arg", "A=x", "--build-arg", "HTTP_PROXY=p")
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    assert kitchen.sh(image, "cat /out") == f"g x env [] {arch} p\n"
    done = kitchen.run(text, "--build-arg", "NONE=1")
    assert "One or more build-args [NONE] were not consumed" in done.stderr


def test_copies_their_places_owners_and_modes(kitchen: Kitchen) -> None:
    kitchen.files({"a.txt": "a", "b.md": "b", "dir/x": "x", "dir/deep/y": "y", "with space": "s"})
    (kitchen.folder / "dir/link").symlink_to("x")
    (kitchen.folder / "a.txt").chmod(0o640)
    image = kitchen.image("""FROM base
WORKDIR /w
RUN mkdir -p /real && ln -s /real /linked
COPY a.txt b.md ./
COPY dir /new
COPY dir/ /linked/
COPY a.txt /renamed
COPY --chown=nobody --chmod=4755 a.txt /owned/
COPY --chown=7:8 --chmod=u=rw,go=r dir /modes
COPY ["with space", "/spaced"]
COPY *.md d?r/x /globbed/
COPY --parents ./dir/deep/y /p/
COPY --parents dir/./deep /q/
COPY --exclude=*.md --exclude=dir/deep . /most/
COPY --link a.txt /link/ed
""")
    script = """cd /
stat -c '%n %a %u %g' w/a.txt w/b.md new/x new/deep/y new/link real/x renamed \
    owned/a.txt modes/x modes/deep
readlink new/link; ls -d p/* q/* globbed/* spaced link/ed; ls most"""
    out = kitchen.sh(image, script).splitlines()
    assert out[:10] == [
        "w/a.txt 640 0 0", "w/b.md 644 0 0", "new/x 644 0 0", "new/deep/y 644 0 0",
        "new/link 777 0 0", "real/x 644 0 0", "renamed 640 0 0", "owned/a.txt 4755 65534 65534",
        "modes/x 644 7 8", "modes/deep 644 7 8",
    ]  # fmt: skip
    assert out[10:17] == [
        "x", "globbed/b.md", "globbed/x", "link/ed", "p/dir", "q/deep", "spaced",
    ]  # fmt: skip
    assert sorted(out[17:]) == ["Dockerfile", "a.txt", "dir", "with space"]


def test_add_unpacks_archives_and_downloads_urls(kitchen: Kitchen, tmp_path: Path) -> None:
    import http.server
    import threading

    kitchen.files({"tree/in/file": "packed"})
    with tarfile.open(kitchen.folder / "t.tar.gz", "w:gz") as archive:
        archive.add(kitchen.folder / "tree", ".")
    served = tmp_path / "tree/in"
    handler = type(
        "Quiet",
        (http.server.SimpleHTTPRequestHandler,),
        {
            "log_message": lambda *_: None,
            "__init__": lambda self, *a, **k: http.server.SimpleHTTPRequestHandler.__init__(
                self, *a, directory=str(served), **k
            ),
        },
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/file"
        image = kitchen.image(
            f"""FROM base
ADD t.tar.gz /unpacked/
COPY t.tar.gz /copied/
ADD {url} /got/
ADD --checksum=sha256:{"0" * 64} {url} /never
""".replace(f"ADD --checksum=sha256:{'0' * 64} {url} /never\n", "")
        )
        script = "cat /unpacked/in/file /got/file; ls /copied; stat -c %a /got/file"
        assert kitchen.sh(image, script) == "packedpackedt.tar.gz\n600\n"
        done = kitchen.run(f"FROM base\nADD --checksum=sha256:{'0' * 64} {url} /x\n")
        assert done.returncode == 1 and "digest mismatch" in done.stderr
    finally:
        server.shutdown()
        server.server_close()


def test_equal_copies_give_one_layer_twice(kitchen: Kitchen) -> None:
    """overlayfs refuses a layer that is named twice: a step, and a container, need it once."""
    kitchen.files({"a": "x"})
    image = kitchen.image("FROM base\nCOPY a /\nCOPY a /\nRUN cat /a > /b\n")
    assert kitchen.sh(image, "cat /a /b") == "xx"


def test_an_archive_s_own_links_stay_in_its_destination(
    kitchen: Kitchen,
) -> None:
    """What lies below them goes where they lead in the destination, as under chroot(2) there."""
    with tarfile.open(kitchen.folder / "t.tar", "w") as archive:
        for name, link in (("up", ".."), ("far", "/etc"), ("up/a/f", ""), ("far/passwd", "")):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = (tarfile.SYMTYPE, link) if link else (tarfile.REGTYPE, "")
            archive.addfile(entry)
    image = kitchen.image("FROM base\nADD t.tar /to/\n")
    assert kitchen.sh(image, "cd /to; find . -type f | sort") == "./a/f\n./etc/passwd\n"
    told = kitchen.sh(image, "readlink /to/up; readlink /to/far; test -s /etc/passwd && echo kept")
    assert told == "..\n/etc\nkept\n"


def test_dockerignore(kitchen: Kitchen) -> None:
    kitchen.files({
        "keep/a": "", "keep/b.log": "", "drop/a": "", "drop/kept": "", "x.log": "",
        ".dockerignore": "# comment\n*.log\n**/*.log\ndrop\n!drop/kept\nDockerfile\n",
    })  # fmt: skip
    image = kitchen.image("FROM base\nCOPY . /all\n")
    assert kitchen.sh(image, "cd /all; find . -type f | sort").split() == [
        "./.dockerignore", "./drop/kept", "./keep/a",
    ]  # fmt: skip
    done = kitchen.run("FROM base\nCOPY x.log /\n")
    assert done.returncode == 1
    assert "file not found in build context or excluded by .dockerignore" in done.stderr
    kitchen.files({"Dockerfile.dockerignore": "keep\n"})
    image = kitchen.image("FROM base\nCOPY . /all\n")
    assert "x.log" in kitchen.sh(image, "ls /all")


def test_stages_by_name_number_and_image(kitchen: Kitchen) -> None:
    kitchen.files({"f": "context"})
    image = kitchen.image(f"""FROM base AS one
RUN echo one > /one
FROM one AS two
RUN echo two > /two
FROM base AS never
RUN exit 1
FROM scratch
COPY --from=one /one /
COPY --from=1 /two /
COPY --from={kitchen.base} /bin/busybox /bin/sh /bin/
COPY f /
""")
    script = "for f in one two f; do /bin/busybox cat /$f; echo; done; /bin/busybox ls /"
    assert kitchen.sh(image, script).split() == [
        *("one", "two", "context", "bin", "dev", "etc", "f", "one", "proc", "sys", "two")
    ]
    target = kitchen.image("FROM base AS a\nRUN echo a > /a\nFROM a\nRUN exit 1\n", "--target", "a")
    assert kitchen.sh(target, "cat /a") == "a\n"


def test_run_with_mounts(kitchen: Kitchen, tmp_path: Path) -> None:
    kitchen.files({"src/file": "bound"})
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    image = kitchen.image(
        """FROM base AS tools
RUN echo tool > /tool
FROM base
RUN --mount=type=bind,source=src,target=/in \\
  cat /in/file > /one; touch /in/x 2>/dev/null || echo ro >> /one
RUN --mount=from=tools,target=/t cat /t/tool > /two
RUN --mount=type=bind,target=/ctx,rw touch /ctx/new && ls /ctx > /ctxlist
RUN --mount=type=tmpfs,target=/tmpfs,size=1m touch /tmpfs/a && grep -q ' /tmpfs tmpfs' /proc/mounts
RUN --mount=type=secret,id=s,required --mount=type=secret,id=s,env=SECRET \\
  cat /run/secrets/s > /three; echo " $SECRET" >> /three; stat -c %a /run/secrets/s >> /three
RUN --mount=type=cache,target=/cache,id=test-mounts echo cached >> /cache/file
RUN --mount=type=cache,target=/other,id=test-mounts cat /other/file > /four
RUN --network=none ip link | grep -c ': ' > /five
""",
        "--secret",
        f"id=s,src={secret}",
    )
    out = kitchen.sh(
        image, "cat /one; echo; cat /two /three /four /five; ls /run /cache /in /t 2>&1; true"
    )
    lines = out.splitlines()
    assert lines[0] == "boundro" and lines[2] == "tool"
    assert lines[3:5] == ["s3cret s3cret", "400"] and "cached" in lines[5]
    assert out.count("No such file") == 4, "what was made to mount on is gone again"
    assert not (kitchen.folder / "new").exists()


def test_a_missing_secret_is_told(kitchen: Kitchen) -> None:
    done = kitchen.run("FROM base\nRUN --mount=type=secret,id=no,required true\n")
    assert done.returncode == 1 and "secret no: not found" in done.stderr
    done = kitchen.run("FROM base\nRUN --security=insecure true\n")
    assert done.returncode == 1 and "not allowed" in done.stderr


def test_heredocs_run_and_copy(kitchen: Kitchen) -> None:
    image = kitchen.image("""FROM base
ARG X=val
RUN <<E
echo a > /a
echo b >> /a
E
RUN <<S
#!/bin/cat
printed
S
RUN cat <<A > /c && cat <<B >> /c
first
A
second
B
COPY <<one <<"two" /h/
x is $X
one
x is $X
two
""")
    assert kitchen.sh(image, "cat /a /c /h/one /h/two").split("\n") == [
        "a", "b", "first", "second", "x is val", "x is $X", "",
    ]  # fmt: skip


def test_triggers_run_in_the_next_build(kitchen: Kitchen) -> None:
    kitchen.files({"f": "1"})
    kitchen.image("FROM base\nONBUILD COPY f /f\nONBUILD RUN cat /f > /g\n", "-t", "trigger:1")
    image = kitchen.image("FROM trigger:1\nRUN cat /g > /h\n")
    assert kitchen.sh(image, "cat /h") == "1" and "OnBuild" not in {
        key for key, value in kitchen.config(image).items() if value
    }
    kitchen.engine.bay("rmi", "-f", "trigger:1", check=True)


@pytest.mark.parametrize(
    ("text", "part", "place"),
    [
        ("RUN exit 3", "returned a non-zero code: 3", ":2:1"),
        ("COPY nothing /x", "COPY failed: file not found", ":2:6"),
        ("COPY a b /x", "the destination must be a directory", ":2:"),
        ("COPY --nope a /x", "unknown flag: --nope", ":2:6"),
        ("COPY --chown=who a /x", "can't find user for user who", ":2:"),
        ("COPY --from=7 a /x", "invalid from flag value 7", ":2:"),
        ("ENV X", "ENV must have two arguments", ":2:1"),
        ("EXPOSE what", "invalid containerPort: what", ":2:8"),
        ("ADD .. /etc/passwd", "cannot copy to non-directory", ":2:"),
        ("USER ${X:?is needed}", "X: is needed", ":2:"),
        ("HEALTHCHECK FOO", "Unknown type", ":2:"),
    ],
)
def test_errors_point_at_the_line(kitchen: Kitchen, text: str, part: str, place: str) -> None:
    kitchen.files({"a": "", "b": ""})
    done = kitchen.run(f"FROM base\n{text}\n")
    assert part in done.stderr and f"Dockerfile{place}" in done.stderr, done.stderr
    assert f"> 2 | {text}" in done.stderr
    assert done.returncode == (3 if "exit 3" in text else 1)


def test_the_cache_hits_and_tells_why_it_does_not(kitchen: Kitchen) -> None:
    kitchen.files({"a": "1", "b": "1", ".dockerignore": "Dockerfile"})
    text = "FROM base\nARG X=1\nENV Y=1\nCOPY . /c\nRUN echo $X > /x # cache test\nCMD a\n"
    first = kitchen.image(text)
    assert kitchen.image(text) == first, "a build of nothing new is the same image"
    os.utime(kitchen.folder / "a", (1, 1))
    done = kitchen.run(text)
    assert len(lines_of(done, "CACHED")) == 5, "times alone change nothing"
    kitchen.files({"b": "2"})
    done = kitchen.run(text)
    assert [line.split(" ", 1)[1] for line in lines_of(done, "not cached")] == [
        "not cached: c/b changed", "not cached: an earlier step has changed",
    ]  # fmt: skip
    done = kitchen.run(text, "--build-arg", "X=2")
    assert [line.split(" ", 1)[1] for line in lines_of(done, "not cached")] == [
        "not cached: build argument X changed",
    ]  # fmt: skip
    done = kitchen.run(text.replace("Y=1", "Y=2"))
    assert "not cached: variable Y changed" in done.stderr
    done = kitchen.run(text, "--no-cache")
    assert not lines_of(done, "CACHED")


def test_source_date_epoch_makes_the_same_image_twice(kitchen: Kitchen) -> None:
    kitchen.files({"f": "x"})
    text = "FROM base\nCOPY f /d/f\nRUN echo y > /y && mkdir /z\nWORKDIR /new\n"
    epoch = ("--build-arg", "SOURCE_DATE_EPOCH=1000000000", "--no-cache")
    first = kitchen.image(text, *epoch)
    assert kitchen.image(text, *epoch) == first
    inspected = json.loads(kitchen.engine.bay("inspect", first, check=True).stdout)[0]
    assert inspected["Created"].startswith("2001-09-09T01:46:40")
    assert kitchen.sh(first, "stat -c %Y /y /d/f") == "1000000000\n1000000000\n"


def test_contexts_from_standard_input(kitchen: Kitchen) -> None:
    text = f"FROM {kitchen.base}\nRUN echo only > /only\n"
    done = kitchen.engine.bay("build", "-q", "-", input=text)
    assert kitchen.sh(done.stdout.strip(), "cat /only") == "only\n", done.stderr
    kitchen.files({"f": "file"})
    text = f"FROM {kitchen.base}\nCOPY f /f\n"
    done = kitchen.engine.bay("build", "-q", "-f", "-", str(kitchen.folder), input=text)
    assert kitchen.sh(done.stdout.strip(), "cat /f") == "file", done.stderr
    done = kitchen.engine.docker("build", "-q", "-f", "-", str(kitchen.folder), input=text)
    assert kitchen.sh(done.stdout.strip(), "cat /f") == "file", done.stderr


def test_the_cache_is_listed_and_pruned(kitchen: Kitchen) -> None:
    marker = kitchen.folder.name
    image = kitchen.image(
        f"FROM base\nRUN echo {marker} > /m\nRUN --mount=type=cache,target=/{marker} true\n"
    )
    listed = kitchen.engine.bay("builder", "du", "--format", "json", check=True).stdout
    rows = [json.loads(line) for line in listed.splitlines()]
    mine = [row for row in rows if marker in row["Description"]]
    assert {row["CacheType"] for row in mine} == {"regular", "exec.cachemount"}
    step = next(row for row in mine if row["Description"].startswith("RUN echo"))
    assert step["Shared"] == "true"
    kitchen.engine.bay("rmi", image, check=True)
    one = ("builder", "prune", "-f", "--filter", f"id={step['ID']}")
    done = kitchen.engine.bay(*one, "--dry-run", check=True)
    assert step["ID"] in done.stdout and "Would free" in done.stdout
    kitchen.engine.bay(*one, check=True)
    listed = kitchen.engine.bay("builder", "du", check=True).stdout
    assert step["ID"] not in listed
    done = kitchen.engine.bay(*one[:3], "--filter", "until=24h", check=True)
    assert "Total:\t0B" in done.stdout


def test_a_single_file_is_bound_read_only(kitchen: Kitchen, tmp_path: Path) -> None:
    """crun cannot make a file's mount recursively read-only: asked to, it refused to start."""
    (tmp_path / "one").write_text("bound\n")
    argv = ("run", "--rm", "-v", f"{tmp_path}/one:/run/x/one:ro", kitchen.base, "cat", "/run/x/one")
    assert kitchen.engine.bay(*argv, check=True).stdout == "bound\n"


def test_a_socket_is_bound_read_only(kitchen: Kitchen) -> None:
    """As monitoring containers have the engine's own."""
    words = ("-v", f"{kitchen.engine.socket}:/s:ro", "--network", "none", "--rm")
    done = kitchen.engine.bay("run", *words, kitchen.base, "test", "-S", "/s")
    assert done.returncode == 0, done.stderr
