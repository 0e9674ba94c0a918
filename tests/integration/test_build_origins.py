"""Contexts from elsewhere: git in all its ways, archives and Dockerfiles by URL."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.building import Kitchen
from support.engine import EngineProcess
from support.origins import WebServer, commit, git, git_daemon, repository, web_server
from support.sshd import Sshd, agent_command, ssh_agent


@pytest.fixture
def kitchen(engine: EngineProcess, busybox_image: str, tmp_path: Path) -> Kitchen:
    """An engine and a base image; its folder is nobody's context."""
    engine.pull(busybox_image)
    return Kitchen(engine, busybox_image, tmp_path)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    """A web server for the folder `origin`."""
    (tmp_path / "origin").mkdir()
    with web_server(tmp_path / "origin") as server:
        yield server


def built(kitchen: Kitchen, address: str, *flags: str) -> str:
    """The image of a context that is an address."""
    done = kitchen.engine.bay("build", "-q", *flags, address)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def refused(kitchen: Kitchen, address: str, *flags: str) -> str:
    """What is said of a context that cannot be had; nothing of it is left."""
    done = kitchen.engine.bay("build", *flags, address)
    assert done.returncode == 1, done.stdout + done.stderr
    assert not list((kitchen.engine.root / "build/jobs").glob("*"))
    return done.stderr


def source(kitchen: Kitchen, folder: Path) -> Path:
    """A repository: a Dockerfile at its top and one in `sub`, a branch, a tag."""
    text = f"FROM {kitchen.base}\nCOPY . /c\n"
    files = {"Dockerfile": text, "file": "main", "sub/Dockerfile": text, "sub/file": "sub"}
    made = repository(folder, files)
    git(made, "checkout", "-q", "-b", "side")
    commit(made, {"file": "side", "sub/file": "side sub"})
    git(made, "tag", "v1")
    git(made, "checkout", "-q", "main")
    git(made, "update-server-info")
    return made


def test_git_over_its_own_protocol_and_http(kitchen: Kitchen, web: WebServer) -> None:
    """Branch, tag, commit and folder after `#`; a server that only has files will do, too."""
    made = source(kitchen, web.folder / "r.git")
    old = git(made, "rev-parse", "main")
    commit(made, {"file": "newer"})
    with git_daemon(web.folder) as daemon:
        for base in (daemon, f"{web.url}/smart", web.url):
            url = f"{base}/r.git{'/.git' if base == web.url else ''}"
            for fragment, said in (
                ("", "newer"), ("#side", "side"), ("#v1:sub", "side sub"), ("#:sub", "sub"),
                (f"#{old}", "main"), ("#refs/heads/side", "side"),
            ):  # fmt: skip
                image = built(kitchen, url + fragment)
                told = kitchen.sh(image, "cat /c/file; ls -d /c/.git 2>/dev/null; true")
                assert told == said, (url, fragment)
        kept = built(kitchen, f"{daemon}/r.git", "--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1")
        assert kitchen.sh(kept, "ls -d /c/.git") == "/c/.git\n"


def test_git_that_cannot_be_had_is_told(kitchen: Kitchen, web: WebServer) -> None:
    source(kitchen, web.folder / "r.git")
    url = f"{web.url}/smart/r.git"
    assert "couldn't find remote ref nobranch" in refused(kitchen, f"{url}#nobranch")
    assert "nothere is no folder of" in refused(kitchen, f"{url}#main:nothere")
    assert "is no folder of" in refused(kitchen, f"{url}#main:../../..")
    assert "not found" in refused(kitchen, f"{web.url}/smart/none.git")
    assert "Cannot locate specified Dockerfile" in refused(kitchen, url, "-f", "None")


def test_a_token_opens_a_repository_and_is_seen_nowhere(
    kitchen: Kitchen, web: WebServer, tmp_path: Path
) -> None:
    """As context and by ADD; neither processes, logs, history, the database nor files have it."""
    word = f"ghp{os.urandom(12).hex()}"
    basic = base64.b64encode(f"x-access-token:{word}".encode()).decode()
    made = repository(web.folder / "r.git", {"file": "private"})
    url, token = f"{web.url}/smart/r.git", tmp_path / "token"
    text = f"FROM {kitchen.base}\nCOPY file /c\nADD {url} /added\nRUN cat /c\n"
    commit(made, {"Dockerfile": text})
    web.authorization = f"basic {basic}"
    token.write_text(f"{word}\n")
    secret = ("--secret", f"id=GIT_AUTH_TOKEN,src={token}")
    done = kitchen.engine.bay("build", "--progress", "rawjson", *secret, url)
    assert done.returncode == 0, done.stderr
    image = json.loads(done.stderr.splitlines()[-1])["aux"]["ID"]
    said = done.stdout + done.stderr + refused(kitchen, url, "--secret", f"id=other,src={token}")
    said += refused(kitchen, f"{url}#main:none", *secret)
    said += kitchen.engine.bay("history", "--no-trunc", image, check=True).stdout
    said += kitchen.engine.bay("inspect", image, check=True).stdout
    said += kitchen.sh(image, "cd /; env; cat c; find added -type f -exec cat {} +")
    kept = [*kitchen.engine.root.glob("bay.db*"), kitchen.engine.log]
    seen = [said.encode(), *web.seen, *(path.read_bytes() for path in kept)]
    assert len(web.seen) > 1 and b"private" in seen[0]
    assert not [one for one in seen if word.encode() in one or basic.encode() in one]
    host = web.url.removeprefix("http://")
    for name in ("GIT_AUTH_TOKEN.127.0.0.1", f"GIT_AUTH_TOKEN.{host}"):
        assert built(kitchen, url, "--secret", f"id={name},src={token}") == image
    web.authorization = word
    assert built(kitchen, url, "--secret", f"id=GIT_AUTH_HEADER,src={token}") == image
    assert "failed" in refused(kitchen, url, *secret)


def test_passwords_of_an_address_are_not_told(kitchen: Kitchen, web: WebServer) -> None:
    source(kitchen, web.folder / "r.git")
    address = web.url.replace("//", "//me:hidden@") + "/smart/r.git"
    told = refused(kitchen, f"{address}#main:none") + refused(kitchen, f"{address}#none")
    web.authorization = "other"
    told += refused(kitchen, address)
    assert "hidden" not in told and "none is no folder of http://me:xxxxx@" in told


def test_submodules_come_along_and_none_of_this_host(kitchen: Kitchen, web: WebServer) -> None:
    """Those by URL are checked out; one that names a folder of the engine's host is refused."""
    repository(web.folder / "lib.git", {"lib": "of the submodule"})
    made = repository(
        web.folder / "r.git", {"Dockerfile": f"FROM {kitchen.base}\nCOPY deps/lib/lib /lib\n"}
    )
    url = f"{web.url}/smart"
    git(made, "submodule", "add", "-q", f"{url}/lib.git", "deps/lib")
    commit(made, {})
    assert kitchen.sh(built(kitchen, f"{url}/r.git"), "cat /lib") == "of the submodule"
    (made / ".gitmodules").write_text(
        f'[submodule "deps/lib"]\npath = deps/lib\nurl = file://{web.folder}/lib.git\n'
    )
    commit(made, {})
    assert "transport 'file' not allowed" in refused(kitchen, f"{url}/r.git")


def test_a_link_in_a_repository_leads_nowhere_else(kitchen: Kitchen, web: WebServer) -> None:
    made = repository(web.folder / "r.git", {"Dockerfile": "FROM scratch\n"})
    (made / "out").symlink_to("/etc")
    commit(made, {})
    assert "is no folder of" in refused(kitchen, f"{web.url}/smart/r.git#main:out")


def test_git_over_ssh_with_an_agent(
    fresh_engine: Callable[..., EngineProcess], busybox_image: str, tmp_path: Path, web: WebServer
) -> None:
    """The client's agent opens the repository for the engine."""
    server = Sshd(tmp_path, os.environ["PATH"])
    with closing(server), ssh_agent(tmp_path / "agent") as agent:
        # The engine's own ssh knows the server, and has no key.
        words = f"ssh -F none -o UserKnownHostsFile={tmp_path}/known_hosts -o BatchMode=yes"
        engine = fresh_engine()
        engine.prefix = ["env", f"GIT_SSH_COMMAND={words}"]
        engine.restart()
        engine.pull(busybox_image)
        kitchen = Kitchen(engine, busybox_image, tmp_path)
        source(kitchen, web.folder / "r.git")
        url = f"ssh://root@127.0.0.1:{server.port}{web.folder}/r.git#main:sub"
        assert "Permission denied" in refused(kitchen, url)
        assert agent_command(agent, "-q", str(tmp_path / "user")) == 0
        image = built(kitchen, url, "--ssh", f"default={agent}")
        assert kitchen.sh(image, "cat /c/file") == "sub"


def packed(files: dict[str, str], mode: str = "w") -> bytes:
    """A tar of these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload] # a str
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


def test_archives_and_dockerfiles_by_url(kitchen: Kitchen, web: WebServer) -> None:
    """A tar, packed or not, is the context; a text is the Dockerfile of an empty one."""
    text = f"FROM {kitchen.base}\nCOPY a /a\n"
    files = {"Dockerfile": text, "a": "from the archive", "other/D": text}
    for name, mode in (("c.tar", "w"), ("c.tar.gz", "w:gz"), ("c", "w:xz"), ("c.bz2", "w:bz2")):
        (web.folder / name).write_bytes(packed(files, mode))
        image = built(kitchen, f"{web.url}/{name}")
        assert kitchen.sh(image, "cat /a") == "from the archive"
    built(kitchen, f"{web.url}/c.tar", "-f", "other/D")
    (web.folder / "Dockerfile").write_text(f"FROM {kitchen.base}\nRUN echo text > /t\n")
    assert kitchen.sh(built(kitchen, f"{web.url}/Dockerfile"), "cat /t") == "text\n"
    assert "404" in refused(kitchen, f"{web.url}/none")
    # The docker command brings it itself.
    done = kitchen.engine.docker("build", "-q", f"{web.url}/c.tar.gz")
    assert done.returncode == 0, done.stderr
    # As a client without files asks for it.
    answer = kitchen.engine.api("POST", f"/build?remote={web.url}/c.tar.gz")
    assert "Successfully built" in answer.body.decode()
    (web.folder / "cut.tar.gz").write_bytes(packed(files, "w:gz")[:-40])
    assert "Traceback" not in refused(kitchen, f"{web.url}/cut.tar.gz")


def test_add_with_a_checksum_and_from_git(kitchen: Kitchen, web: WebServer) -> None:
    """What is downloaded is held to its digest; a repository is what it was at a commit."""
    (web.folder / "f").write_text("content")
    right = hashlib.sha256(b"content").hexdigest()
    image = kitchen.image(f"FROM base\nADD --checksum=sha256:{right} {web.url}/f /got/\n")
    assert kitchen.sh(image, "cat /got/f") == "content"
    for wrong, said in ((f"sha256:{'0' * 64}", "digest mismatch"), ("sha256:12", "invalid ch")):
        done = kitchen.run(f"FROM base\nADD --checksum={wrong} {web.url}/f /got/\n")
        assert done.returncode == 1 and said in done.stderr, done.stderr
        assert "Dockerfile:2:" in done.stderr
    done = kitchen.run("FROM base\nADD http://127.0.0.1:1/x /\n")
    assert "cannot download http://127.0.0.1:1/x: Connection refused\n" in done.stderr
    made = source(kitchen, web.folder / "r.git")
    number = git(made, "rev-parse", "side")
    url = f"{web.url}/smart/r.git#side:sub"
    image = kitchen.image(f"FROM base\nADD --checksum={number} {url} /sub\n")
    assert kitchen.sh(image, "cat /sub/file") == "side sub"
    done = kitchen.run(f"FROM base\nADD --checksum={'0' * 40} {url} /sub\n")
    assert done.returncode == 1 and "expected checksum to match" in done.stderr


def test_a_step_on_the_host_s_network_downloads(kitchen: Kitchen, web: WebServer) -> None:
    """`--network=host` reaches what only this host serves; `none` reaches nothing."""
    (web.folder / "f").write_text("downloaded")
    step = f"wget -q -O /got {web.url}/f"
    for text in (f"RUN --network=host {step}", f"RUN {step}"):
        image = kitchen.image(f"FROM base\n{text}\n", "--no-cache", "--network=host")
        assert kitchen.sh(image, "cat /got") == "downloaded"
    done = kitchen.run(f"FROM base\nRUN --network=none {step}\n", "--network=host")
    assert done.returncode == 1 and "returned a non-zero code" in done.stderr
