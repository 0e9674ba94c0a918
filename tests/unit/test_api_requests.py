"""Paths, versions and headers, read as Docker reads them."""

from __future__ import annotations

import base64
import json

import pytest
from bayplan.api import versions
from bayplan.api.call import decode_auth
from bayplan.api.router import Router, split_version
from bayplan.core import filters
from bayplan.host import jsontext
from bayplan.host.errors import InvalidError


def test_the_version_is_cut_from_the_path() -> None:
    assert split_version("/v1.41/info") == ("1.41", "/info")
    assert split_version("/info") == (None, "/info")
    assert split_version("/volumes/v1.41/x") == (None, "/volumes/v1.41/x")


def test_versions_between_oldest_and_current_are_spoken() -> None:
    assert versions.negotiate(None) == versions.negotiate("1.51") == (1, 51)
    assert versions.negotiate("1.24") == (1, 24)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.52", "client version 1.52 is too new. Maximum supported API version is 1.51"),
        ("1.23", "client version 1.23 is too old. Minimum supported API version is 1.24"),
        ("1..2", "invalid API version"),
    ],
)
def test_other_versions_are_refused_in_dockers_words(version: str, words: str) -> None:
    with pytest.raises(InvalidError, match=words):
        versions.negotiate(version)


def test_routes_find_names_with_slashes() -> None:
    table = Router()

    @table.add("GET", "/images/json")
    async def every(call: object) -> None: ...

    @table.add("GET", "/images/{name:path}/json")
    async def one(call: object) -> None: ...

    @table.add("POST", "/exec/{id}/start")
    async def start(call: object) -> None: ...

    found = table.find("GET", "/images/localhost:5000/a/b:1/json")
    assert found is not None
    assert found[0].handler is one  # type: ignore[comparison-overlap]  # a handler of a test
    assert found[1] == {"name": "localhost:5000/a/b:1"}
    listing = table.find("GET", "/images/json")
    assert listing is not None and listing[1] == {}
    assert table.find("POST", "/exec/a/b/start") is None
    assert table.find("GET", "/exec/a/start") is None
    assert table.find("GET", "/") is None


def test_json_that_would_hold_the_engine_up_is_refused() -> None:
    """`json.loads` stops all else: neither depth nor number of values is without a limit."""
    assert jsontext.loads(b'{"a": "' + b"x" * (1 << 20) + b'"}')
    with pytest.raises(ValueError, match="over 500000 values"):
        jsontext.loads(b"[" + b"{}," * 600_000 + b"{}]")
    with pytest.raises(ValueError, match="nested too deep"):
        jsontext.loads("[" * 100_000)
    deep = base64.b64encode(b"[" * 6000).decode()
    with pytest.raises(InvalidError, match="X-Registry-Auth"):
        decode_auth(deep)
    with pytest.raises(InvalidError, match="is not JSON"):
        filters.parse("[" * 6000)


def test_registry_credentials_come_in_either_alphabet() -> None:
    value = {"username": "a", "password": "ÿþ?>"}
    raw = json.dumps(value, ensure_ascii=False).encode()
    assert decode_auth(base64.b64encode(raw).decode()) == value
    assert decode_auth(base64.urlsafe_b64encode(raw).decode().rstrip("=")) == value
    assert decode_auth("") is None
    assert decode_auth(base64.b64encode(b"{}").decode()) is None
    with pytest.raises(InvalidError):
        decode_auth("%%%")
