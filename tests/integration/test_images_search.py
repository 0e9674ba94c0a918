"""Searching registries: an index where there is one, the catalog of a real registry elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.engine import EngineProcess
from support.wayward import Reply, Request, Wayward

Json = dict[str, Any]
RESULTS = [
    {"name": "team/few", "description": "few\nstars", "star_count": 2, "is_official": False},
    {"name": "many", "description": "d" * 60, "star_count": 90, "is_official": True},
]


@pytest.fixture
def index() -> Iterator[Wayward]:
    """A registry with the old index's search."""
    running = Wayward()
    running.on("/v2/", Reply(200, b"{}"))
    running.on("/v1/search", Reply(200, json.dumps({"results": RESULTS}).encode()))
    yield running
    running.stop()


def test_an_index_is_asked_and_its_results_filtered(engine: EngineProcess, index: Wayward) -> None:
    found = engine.api("GET", f"/images/search?term={index.address}/web%20app&limit=7").json()
    assert [one["name"] for one in found] == [f"{index.address}/{r['name']}" for r in RESULTS]
    assert found[1]["is_official"] is True and found[0]["is_automated"] is False
    assert index.asked("/v1/search")[0].path == "/v1/search?q=web%20app&n=7"
    stars = engine.api("GET", f'/images/search?term={index.address}/x&filters={{"stars":["3"]}}')
    assert [one["star_count"] for one in stars.json()] == [90]
    shown = engine.bay("search", f"{index.address}/x", check=True).stdout.splitlines()
    assert shown[0].split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
    assert shown[1].split()[0].endswith("/many") and shown[1].split()[-2:] == ["90", "[OK]"]
    assert "few stars" in shown[2] and "…" in shown[1]
    docker = engine.docker("search", "--filter", "is-official=true", f"{index.address}/x")
    assert docker.returncode == 0 and "many" in docker.stdout and "few" not in docker.stdout


def test_a_registry_without_an_index_is_searched_by_its_catalog(
    engine: EngineProcess, busybox_image: str, debian_image: str
) -> None:
    host = busybox_image.partition("/")[0]
    shown = engine.bay("search", "--format", "{{.Name}}", f"{host}/BUSY", check=True).stdout
    assert shown.splitlines() == [busybox_image.rpartition(":")[0]]
    both = engine.api("GET", f"/images/search?term={host}/test&limit=1").json()
    assert len(both) == 1 and both[0]["name"].startswith(f"{host}/test/")
    assert engine.api("GET", f"/images/search?term={host}/nothing-like-it").json() == []


def test_the_catalog_may_come_in_pages_and_want_a_token(engine: EngineProcess) -> None:
    pages = Wayward()

    def catalog(request: Request) -> Reply:
        if request.headers.get("authorization") != "Bearer right":
            return Reply(401, b"", challenge)
        if "last=" in request.path:
            return Reply(200, b'{"repositories": ["z/app"]}')
        more = {"Link": '</v2/_catalog?n=1000&last=a>; rel="next"'}
        return Reply(200, b'{"repositories": ["a/app", "b"]}', more)

    scope = f'realm="{pages.url}/token",service="s",scope="registry:catalog:*"'
    challenge = {"WWW-Authenticate": f"Bearer {scope}"}
    pages.on("/v2/", Reply(401, b"", challenge))
    pages.on("/token", Reply(200, b'{"token": "right"}'))
    pages.on("/v2/_catalog", catalog)
    try:
        found = engine.api("GET", f"/images/search?term={pages.address}/app").json()
        assert [one["name"] for one in found] == [
            f"{pages.address}/{n}" for n in ("a/app", "z/app")
        ]
        assert any("scope=registry" in one.path for one in pages.asked("/token"))
    finally:
        pages.stop()


def test_what_cannot_be_searched_is_told(engine: EngineProcess) -> None:
    bare = Wayward()
    bare.on("/v2/", Reply(200, b"{}"))
    try:
        answer = engine.api("GET", f"/images/search?term={bare.address}/x")
        assert answer.status == 404 and "no search and no catalog" in answer.json()["message"]
    finally:
        bare.stop()
    for query, words in (
        ("term=x&limit=101", "outside the range of [1, 100]"),
        ("term=", "no term"),
        ('term=x&filters={"colour":["red"]}', "invalid filter 'colour'"),
        (f"term={bare.address}/", "the term is empty"),
    ):
        answer = engine.api("GET", f"/images/search?{query}")
        assert answer.status == 400 and words in answer.json()["message"]
    gone = engine.bay("search", "127.0.0.1:1/x")
    assert gone.returncode == 1 and "connection refused" in gone.stderr.lower()
