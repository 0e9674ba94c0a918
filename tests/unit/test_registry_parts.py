"""The registry client's decisions: challenges, refusals, retries, platforms, endpoints."""

from __future__ import annotations

import email.utils
import json
import time
from pathlib import Path

import pytest
from bayplan.core.registry import challenge, credentials
from bayplan.core.registry.configshape import misshaped
from bayplan.core.registry.endpoints import Registries
from bayplan.core.registry.manifests import OCI_INDEX, Descriptor, Manifest, Platform
from bayplan.core.registry.refusals import RateLimitedError, Refusal
from bayplan.core.registry.retry import Retry, seconds
from bayplan.host.errors import BayError, InvalidError, NotFoundError, UnauthorizedError


def test_challenge_reads_a_bearer_with_commas_inside_quotes() -> None:
    found = challenge.parse(
        ['Bearer realm="https://a/token",service="reg",scope="repository:x:pull,push"']
    )
    assert found == [
        challenge.Challenge(
            "bearer",
            {"realm": "https://a/token", "service": "reg", "scope": "repository:x:pull,push"},
        )
    ]


def test_challenge_prefers_bearer_over_basic_in_one_or_two_headers() -> None:
    both = ['Basic realm="x", Bearer realm="https://a/token", service=plain']
    assert [one.scheme for one in challenge.parse(both)] == ["basic", "bearer"]
    chosen = challenge.best(challenge.parse(["Basic realm=x", 'BEARER realm="https://t"']))
    assert chosen is not None and chosen.scheme == "bearer"
    assert challenge.best(challenge.parse(["Negotiate", "Digest nonce=1"])) is None


@pytest.mark.parametrize("manifests", ["text", ["text"], [{"platform": "linux/amd64"}], {"a": 1}])
def test_a_malformed_index_is_refused(manifests: object) -> None:
    raw = json.dumps({"mediaType": OCI_INDEX, "manifests": manifests}).encode()
    with pytest.raises(InvalidError, match="malformed index"):
        Manifest.read(raw, OCI_INDEX).pick(Platform("linux", "amd64"))


def test_a_manifest_without_end_of_brackets_is_refused() -> None:
    with pytest.raises(BayError, match="no JSON"):
        Manifest.read(b"[" * 100_000, OCI_INDEX)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"config": {"Env": ["A=b"], "Cmd": None, "Labels": {}, "StopTimeout": 3}}, ""),
        ({"config": {"Cmd": "sh", "Entrypoint": ["a"]}, "history": [{"created_by": "x"}]}, ""),
        ({"config": {"ExposedPorts": 5}}, "ExposedPorts"),
        ({"config": {"StopTimeout": 1e999}}, "StopTimeout"),
        ({"config": {"Env": [5]}}, "Env"),
        ({"history": [{"created": 1e999}]}, "created"),
        ({"history": ["x"]}, "history"),
    ],
)
def test_a_configuration_of_wrong_kinds_is_seen(config: dict[str, object], field: str) -> None:
    assert misshaped(config) == field


@pytest.mark.parametrize("size", [True, -1, 1 << 63, 1.5, "1"])
def test_a_size_that_is_none_is_refused(size: object) -> None:
    with pytest.raises(InvalidError, match="malformed descriptor"):
        Descriptor.of({"mediaType": "x", "digest": "sha256:" + "0" * 64, "size": size})


def _body(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def test_refusals_are_docker_sentences() -> None:
    unknown = Refusal.of(404, _body("MANIFEST_UNKNOWN", "manifest unknown"))
    error = unknown.error("manifest for x:y", name="x")
    assert isinstance(error, NotFoundError)
    assert str(error) == "manifest for x:y not found: manifest unknown: manifest unknown"

    denied = Refusal.of(401, _body("DENIED", "requested access to the resource is denied"))
    error = denied.error("manifest for x:y", name="x")
    assert isinstance(error, NotFoundError)
    assert str(error) == (
        "pull access denied for x, repository does not exist or may require 'docker login':"
        " denied: requested access to the resource is denied"
    )
    error = denied.error("manifest for x:y", name="x", writing=True)
    assert isinstance(error, UnauthorizedError)
    assert str(error) == "denied: requested access to the resource is denied"


def test_a_rate_limit_says_when_to_try_again() -> None:
    error = Refusal.of(429, _body("TOOMANYREQUESTS", "slow down"), "21600").error("x")
    assert isinstance(error, RateLimitedError) and error.status == 429
    assert str(error) == "toomanyrequests: slow down; try again in 6 hours"


def test_a_refusal_without_json_still_says_something() -> None:
    assert str(Refusal.of(502, b"<html>").error("x")) == (
        "x: the registry failed with HTTP 502: received unexpected HTTP status: 502"
    )
    assert "not found" in str(Refusal.of(404, b"").error("x"))
    assert "HTTP 500" in str(Refusal.of(500, b"[" * 100_000).error("x"))


def test_what_a_registry_says_is_a_line_to_read() -> None:
    text = str(Refusal.of(400, _body("X", "\x1b[2J\nEvil\r" + "m" * 9000)).error("y"))
    assert text.startswith("y: x: [2J Evil mmm") and text.isprintable() and len(text) < 600


def test_retry_doubles_obeys_the_server_and_gives_up() -> None:
    retry = Retry(tries=4, base=2, cap=5)
    assert 1.5 <= (retry.pause(1) or 0) <= 2.5
    assert 3.75 <= (retry.pause(3) or 0) <= 6.25
    assert retry.pause(4) is None
    assert retry.pause(1, "3") == 3
    assert retry.pause(1, "3600") is None
    later = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 90 < (seconds(later) or 0) <= 101
    assert seconds("soon") is None


def test_platforms_parse_as_docker_does() -> None:
    assert Platform.parse("linux/arm64") == Platform("linux", "arm64", "v8")
    assert Platform.parse("aarch64") == Platform("linux", "arm64", "v8")
    assert Platform.parse("linux/arm") == Platform.parse("armhf") == Platform("linux", "arm", "v7")
    assert (
        Platform.parse("linux/arm/6") == Platform.parse("armel") == Platform("linux", "arm", "v6")
    )
    assert Platform.parse("linux/arm64/8") == Platform("linux", "arm64", "v8")
    assert Platform.parse("linux/amd64/v1") == Platform("linux", "amd64")
    assert Platform.parse("Linux/x86_64") == Platform("linux", "amd64")
    assert Platform.parse(None) == Platform.parse("linux") == Platform.host()
    assert Platform.parse("windows").os == "windows"
    with pytest.raises(InvalidError, match='"zz": unknown operating system or architecture'):
        Platform.parse("zz")
    with pytest.raises(InvalidError, match="invalid OS or platform"):
        Platform.parse("linux/../x")
    with pytest.raises(InvalidError, match="several platforms: an image here has one"):
        Platform.parse("linux/amd64,linux/arm64")


def _index(*platforms: tuple[str, str, str]) -> Manifest:
    entries = [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": f"sha256:{number:064x}",
            "size": 1,
            "platform": {"os": os, "architecture": architecture, "variant": variant},
        }
        for number, (os, architecture, variant) in enumerate(platforms)
    ]
    raw = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    return Manifest.read(raw, OCI_INDEX)


def test_the_best_platform_of_an_index_is_picked() -> None:
    index = _index(("unknown", "unknown", ""), ("linux", "arm", "v6"), ("linux", "arm", "v7"))
    assert index.pick(Platform("linux", "arm", "v7")).digest.endswith("2")
    assert index.pick(Platform("linux", "arm", "v6")).digest.endswith("1")
    five = _index(("linux", "arm", "v5"), ("linux", "arm", "v6"))
    assert five.pick(Platform("linux", "arm", "v7")).digest.endswith("1")
    assert five.pick(Platform.parse("linux/arm")).digest.endswith("1")
    eight = _index(("linux", "arm64", ""), ("linux", "arm64", "v8"))
    assert eight.pick(Platform.parse("linux/arm64/v8")).digest.endswith("0")
    odd = _index(("linux", "arm", "odd"), ("linux", "arm", "v9x"), ("linux", "arm", "v5"))
    assert odd.pick(Platform("linux", "arm", "v7")).digest.endswith("2")
    with pytest.raises(NotFoundError, match=r"no matching manifest for linux/amd64 in the manif"):
        index.pick(Platform("linux", "amd64"))


def test_a_manifest_with_other_bytes_is_refused() -> None:
    with pytest.raises(BayError, match="manifest verification failed"):
        Manifest.read(b"{}", "", expected="sha256:" + "0" * 64)


def test_endpoints_of_hub_mirrors_and_insecure(tmp_path: Path) -> None:
    file = tmp_path / "registries.toml"
    file.write_text(
        'insecure = ["reg.lan", "10.0.0.0/8"]\n[mirrors]\n'
        '"docker.io" = ["https://mirror.lan/hub", "10.1.2.3:5000"]\n'
    )
    registries = Registries.load(file)
    hub = registries.endpoints("docker.io")
    assert [one.url("library/debian", "tags/list") for one in hub] == [
        "https://mirror.lan/v2/hub/library/debian/tags/list",
        "https://10.1.2.3:5000/v2/library/debian/tags/list",
        "http://10.1.2.3:5000/v2/library/debian/tags/list",
        "https://registry-1.docker.io/v2/library/debian/tags/list",
    ]
    assert [one.verify for one in hub] == [True, False, False, True]
    assert [one.scheme for one in registries.own("127.0.0.1:5000")] == ["http", "https"]
    assert [one.scheme for one in registries.own("reg.lan:5000")] == ["https", "http"]
    assert [one.scheme for one in registries.own("[::1]:5000")] == ["http", "https"]
    assert [one.scheme for one in registries.own("quay.io")] == ["https"]


def test_a_wrong_registries_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "registries.toml"
    for text in ("insecure = 5", "mirror = {}", "[mirrors]\nx = 1", "="):
        file.write_text(text)
        with pytest.raises(InvalidError, match=str(file)):
            Registries.load(file)
    assert Registries.load(tmp_path / "none") == Registries()


def test_credentials_come_from_auths_by_every_spelling(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    auths = {
        "https://index.docker.io/v1/": {"auth": "dXNlcjpwYTpzcw=="},
        "quay.io": {"auth": "YTpi"},
        "quay.io/team": {"auth": "dGVhbTp0"},
        "ghcr.io": {"identitytoken": "refresh", "auth": "eDo="},
    }
    file.write_text(json.dumps({"auths": auths}))
    hub = credentials.stored("docker.io", "library/debian", [file])
    assert (hub.username, hub.password) == ("user", "pa:ss")
    assert credentials.stored("quay.io", "team/app", [file]).username == "team"
    assert credentials.stored("quay.io", "other/app", [file]).username == "a"
    assert credentials.stored("ghcr.io", "x", [file]).identity_token == "refresh"
    assert not credentials.stored("example.com", "x", [file, tmp_path / "none"])


def test_credential_helpers_are_asked_on_stdin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "docker-credential-testing"
    helper.write_text(
        "#!/bin/sh\nread host\n"
        'case $1$host in getexample.com) echo \'{"Username":"u","Secret":"s"}\';;\n'
        'gettoken.com) echo \'{"Username":"<token>","Secret":"t"}\';;\n'
        "getbroken.com) echo boom; exit 1;;\n"
        "*) echo credentials not found in native keychain; exit 1;; esac\n"
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"credsStore": "testing", "credHelpers": {"g.io": "absent"}}))
    assert credentials.stored("example.com", "a", [file]).password == "s"
    assert credentials.stored("token.com", "a", [file]).identity_token == "t"
    assert not credentials.stored("other.com", "a", [file])
    with pytest.raises(BayError, match=r"docker-credential-testing failed for broken.com: boom"):
        credentials.stored("broken.com", "", [file])
    with pytest.raises(BayError, match="docker-credential-absent is not installed"):
        credentials.stored("g.io", "a", [file])


def test_the_api_header_carries_all_kinds() -> None:
    assert credentials.from_auth({"username": "u", "password": "p"}).basic == "Basic dTpw"
    assert credentials.from_auth({"auth": "dTpw"}).username == "u"
    assert credentials.from_auth({"registrytoken": "r"}).registry_token == "r"
    assert not credentials.from_auth(None) and not credentials.from_auth({})


@pytest.mark.parametrize("said", ["[]", "null", "warning: x", '"text"'])
def test_a_helper_that_prints_odd_things_is_a_sentence(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "docker-credential-odd"
    helper.write_text(f"#!/bin/sh\necho '{said}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    config = tmp_path / "config.json"
    config.write_text('{"credsStore": "odd"}')
    with pytest.raises(BayError, match="docker-credential-odd answered no JSON object"):
        credentials.stored("registry.invalid", files=[config])


@pytest.mark.parametrize(
    "text", ['{"auths": []}', '{"auths": {"r.invalid": "x"}}', '{"credHelpers": 3}',
             '{"auths": {"r.invalid": {"auth": "\u00e9"}}}'],
)  # fmt: skip
def test_credentials_without_their_form_are_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    assert not credentials.stored("r.invalid", files=[tmp_path / "config.json"])
