"""Registries that want to know who asks: passwords, tokens, and helpers that keep the secrets."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from support.engine import BAY, EngineProcess
from support.registry import Registry
from support.wayward import Reply, Request, Wayward

USER, PASSWORD = "me", "secret"
HTPASSWD = "me:$2b$04$3efn7qooX27K.9SiUM58NuD0dGmHhogn32c8RmJD7FrPY5cRgyrn2\n"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
HELPER = """#!/usr/bin/env python3
import json, pathlib, sys
keep = pathlib.Path({keep!r})
known = json.loads(keep.read_text()) if keep.exists() else {{}}
sent = sys.stdin.read()
with open({keep!r} + ".log", "a") as log:
    log.write(sys.argv[1] + "\\n")
if sys.argv[1] == "store":
    entry = json.loads(sent)
    known[entry["ServerURL"]] = entry
elif sys.argv[1] == "list":
    print(json.dumps({{key: one["Username"] for key, one in known.items()}}))
elif sent not in known:
    print("credentials not found in native keychain")
    sys.exit(1)
elif sys.argv[1] == "erase":
    del known[sent]
else:
    print(json.dumps(known[sent]))
keep.write_text(json.dumps(known))
"""


class User:
    """Somebody with settings of their own, and helpers in their PATH."""

    def __init__(self, engine: EngineProcess, home: Path) -> None:
        self.engine = engine
        self.home = home
        self.settings = home / "bay" / "config.json"
        self.docker = home / "docker" / "config.json"
        self.keep = home / "keep"
        for file in (self.settings, self.docker):
            file.parent.mkdir()
        self.script("testing", HELPER.format(keep=str(self.keep)))

    def script(self, name: str, text: str) -> None:
        """Have a helper of that name."""
        file = self.home / f"docker-credential-{name}"
        file.write_text(text)
        file.chmod(0o755)

    def set(self, file: Path, **values: object) -> None:
        """Have these settings."""
        file.write_text(json.dumps(values))

    def bay(self, *words: str | Path, input: str = "") -> subprocess.CompletedProcess[str]:
        """Run `bay`."""
        environment = {
            **self.engine.environment,
            "BAY_CONFIG": str(self.settings.parent),
            "DOCKER_CONFIG": str(self.docker.parent),
        }
        environment["PATH"] = f"{self.home}:{environment['PATH']}"
        return subprocess.run(
            [BAY, *words], input=input, capture_output=True, text=True, env=environment,
            check=False, timeout=240,
        )  # fmt: skip

    def kept(self) -> dict[str, dict[str, str]]:
        """What the helper has."""
        return dict(json.loads(self.keep.read_text()))

    def asked(self) -> list[str]:
        """The verbs the helper was asked."""
        return (self.home / "keep.log").read_text().split()


@pytest.fixture
def user(engine: EngineProcess, tmp_path: Path) -> User:
    return User(engine, tmp_path)


@pytest.fixture(scope="module")
def private() -> Iterator[Registry]:
    """Debian's registry with a password."""
    running = Registry(HTPASSWD)
    yield running
    running.stop()


@pytest.fixture
def image(
    engine: EngineProcess, private: Registry, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A name in the private registry of an image that is here."""
    path = request.node.name.lower().replace("[", "-").rstrip("]")
    name = f"{private.address}/{path}:1"
    engine.bay("tag", "starter", name, check=True)
    yield name
    engine.bay("rmi", "-f", name)


def login(user: User, server: str) -> None:
    done = user.bay("login", "-u", USER, "--password-stdin", server, input=PASSWORD + "\n")
    assert (done.returncode, done.stdout) == (0, "Login Succeeded\n"), done.stderr


def test_a_password_opens_a_registry_and_a_logout_closes_it(
    user: User, private: Registry, image: str
) -> None:
    """Login, push, pull, logout, without a helper: Docker's words where it is refused."""
    words = ("login", "-u", USER, "--password-stdin", private.address)
    wrong = user.bay(*words, input="other\n")
    assert wrong.returncode == 1
    assert "unauthorized: authentication required" in wrong.stderr
    refused = user.bay("push", image)
    assert refused.returncode == 1
    assert "authentication required" in refused.stderr, refused.stderr
    login(user, private.address)
    assert user.bay("push", image).returncode == 0
    assert user.bay("pull", image).returncode == 0
    (entry,) = json.loads(user.settings.read_text())["auths"].values()
    assert base64.b64decode(entry["auth"]).decode() == f"{USER}:{PASSWORD}"
    assert user.bay("logout", private.address).returncode == 0
    refused = user.bay("pull", image)
    assert refused.returncode == 1
    assert "pull access denied" in refused.stderr


@pytest.mark.parametrize("where", ["credsStore", "credHelpers", "docker"])
def test_a_helper_keeps_the_password(
    user: User, private: Registry, image: str, where: str, tmp_path: Path
) -> None:
    """Nothing secret lies in the settings; pull, push and build ask the helper."""
    named: dict[str, object] = {"credsStore": "testing"}
    if where == "credHelpers":
        # Another store is not asked for a registry that has a helper of its own.
        named = {"credHelpers": {private.address: "testing"}}
    user.set(user.docker if where == "docker" else user.settings, **named)
    login(user, private.address)
    assert user.kept()[private.address]["Secret"] == PASSWORD
    assert json.loads(user.settings.read_text())["auths"] == {private.address: {}}
    pushed = user.bay("push", image)
    assert pushed.returncode == 0, pushed.stderr
    user.bay("rmi", "-f", image)
    pulled = user.bay("pull", image)
    assert pulled.returncode == 0, pulled.stderr
    user.bay("rmi", "-f", image)
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {image}\nLABEL a=b\n")
    built = user.bay("build", "-q", context)
    assert built.returncode == 0, built.stderr
    user.bay("rmi", built.stdout.strip())
    assert "Removing login credentials" in user.bay("logout", private.address).stdout
    assert user.kept() == {}
    assert "Not logged in" in user.bay("logout", private.address).stdout
    assert "get" in user.asked() and "erase" in user.asked()


def test_docker_login_is_enough(user: User, private: Registry, image: str) -> None:
    """What `docker login` left in Docker's own settings works, and stays Docker's to forget."""
    auth = BASIC.removeprefix("Basic ")
    user.set(user.docker, auths={private.address: {"auth": auth}})
    pushed = user.bay("push", image)
    assert pushed.returncode == 0, pushed.stderr
    done = user.bay("logout", private.address)
    assert "Not logged in" in done.stdout
    assert "docker logout" in done.stderr
    assert user.bay("pull", image).returncode == 0


def test_a_helper_that_fails_is_named(user: User, private: Registry, image: str) -> None:
    """Absent, broken or without sense: one sentence with the program and its own words."""
    user.script("broken", "#!/bin/sh\ncat >/dev/null\necho the keyring is locked\nexit 1\n")
    user.script("silly", "#!/bin/sh\ncat >/dev/null\necho hello\n")
    for name, says in (
        ("absent", "docker-credential-absent, which credsStore or credHelpers names, is not ins"),
        ("broken", "docker-credential-broken: the keyring is locked"),
        ("silly", "docker-credential-silly answered no JSON"),
    ):
        user.set(user.settings, credsStore=name)
        for words in (("pull", image), ("push", image), ("logout", private.address)):
            done = user.bay(*words)
            assert done.returncode == 1, done
            assert says in done.stderr, done.stderr
            assert "Traceback" not in done.stderr
    user.set(user.settings, credsStore="broken")
    words = ("login", "-u", USER, "--password-stdin", private.address)
    done = user.bay(*words, input=PASSWORD)
    assert done.returncode == 1
    assert "cannot get the credentials" in done.stderr


class TokenGate:
    """A real registry behind a server that wants the tokens it gives for a password."""

    def __init__(self, registry: Registry, gate: Wayward) -> None:
        self.registry = registry
        self.gate = gate
        self.address = gate.address
        self.scopes: list[str] = []
        gate.on("/token", self._token)
        gate.otherwise(self._pass)

    def _token(self, request: Request) -> Reply:
        query = parse_qs(urlsplit(request.path).query)
        if request.headers.get("authorization") != BASIC:
            return Reply(401, b'{"details":"incorrect username or password"}')
        self.scopes += query.get("scope", [])
        return Reply(200, json.dumps({"token": "good", "expires_in": 300}).encode())

    def _pass(self, request: Request) -> Reply:
        if request.headers.get("authorization") != "Bearer good":
            realm = f'Bearer realm="http://{self.address}/token",service="gate"'
            repository = "/".join(request.path.split("/")[2:4])
            scope = f',scope="repository:{repository}:pull,push"' if repository else ""
            return Reply(401, headers={"WWW-Authenticate": realm + scope})
        wanted = ("accept", "content-type", "content-range", "range")
        sent = {key: request.headers[key] for key in wanted if key in request.headers}
        sent["Host"] = self.address  # the registry's own locations lead through here, then
        body = request.body if request.method in ("PUT", "POST", "PATCH") else None
        status, headers, answer = self.registry.request(request.method, request.path, body, sent)
        dropped = ("content-length", "date", "connection")
        kept = {key: value for key, value in headers.items() if key not in dropped}
        if request.method == "HEAD":
            return Reply(status, b"", kept)
        return Reply(status, answer, kept)


def test_a_password_is_changed_for_tokens(
    user: User, engine: EngineProcess, registry: Registry
) -> None:
    """As Docker Hub does it: the password goes to the token server alone."""
    gate = Wayward()
    try:
        tokens = TokenGate(registry, gate)
        user.set(user.settings, credsStore="testing")
        wrong = user.bay("login", "-u", USER, "--password-stdin", gate.address, input="x\n")
        assert wrong.returncode == 1
        assert "incorrect username or password" in wrong.stderr
        login(user, gate.address)
        name = f"{gate.address}/private/tokens:1"
        engine.bay("tag", "starter", name, check=True)
        pushed = user.bay("push", name)
        assert pushed.returncode == 0, pushed.stderr
        engine.bay("rmi", name, check=True)
        pulled = user.bay("pull", name)
        assert pulled.returncode == 0, pulled.stderr
        engine.bay("rmi", name, check=True)
        assert any("repository:private/tokens" in scope for scope in tokens.scopes)
        # The password was sent to nobody but the token server.
        for request in gate.seen:
            if request.headers.get("authorization", "").startswith("Basic"):
                assert request.path.startswith("/token")
        user.bay("logout", gate.address)
        refused = user.bay("pull", name)
        assert refused.returncode == 1
        assert "incorrect username or password" in refused.stderr
    finally:
        gate.stop()
