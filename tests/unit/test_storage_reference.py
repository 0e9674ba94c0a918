"""Names of images are read as Docker reads them."""

from __future__ import annotations

import pytest
from bayplan.host.errors import InvalidError
from bayplan.storage.reference import parse

D = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("debian", "docker.io/library/debian", "debian"),
        ("debian:12", "docker.io/library/debian:12", "debian:12"),
        ("library/debian", "docker.io/library/debian", "debian"),
        ("docker.io/debian", "docker.io/library/debian", "debian"),
        ("index.docker.io/library/debian:x", "docker.io/library/debian:x", "debian:x"),
        ("user/app", "docker.io/user/app", "user/app"),
        ("docker.io/user/app:1", "docker.io/user/app:1", "user/app:1"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("ghcr.io/a/b:1", "ghcr.io/a/b:1", "ghcr.io/a/b:1"),
        ("localhost/x", "localhost/x", "localhost/x"),
        ("localhost:5000/x", "localhost:5000/x", "localhost:5000/x"),
        ("127.0.0.1:5000/x/y:t", "127.0.0.1:5000/x/y:t", "127.0.0.1:5000/x/y:t"),
        ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
        ("host:5000/a/b@" + D, "host:5000/a/b@" + D, "host:5000/a/b@" + D),
        ("debian@" + D, "docker.io/library/debian@" + D, "debian@" + D),
        ("debian:12@" + D, "docker.io/library/debian:12@" + D, "debian:12@" + D),
        ("a__b-c/d.e--f", "docker.io/a__b-c/d.e--f", "a__b-c/d.e--f"),
        ("Host/app", "Host/app", "Host/app"),
        ("x:" + "t" * 128, "docker.io/library/x:" + "t" * 128, "x:" + "t" * 128),
    ],
)
def test_a_name_is_completed_and_shortened(text: str, full: str, familiar: str) -> None:
    ref = parse(text)
    assert (ref.full(), ref.familiar()) == (full, familiar)
    assert parse(ref.full()) == ref
    assert parse(ref.familiar()) == ref


@pytest.mark.parametrize(
    "text",
    ["", ":", "@", "/", "a:", "a:b:c", "-a", "a-", "a..b", "a___b", "a//b", "/a", "a/", "a b",
     "a\n", "http://x/y", "x@sha256:12", "x@md5:" + "a" * 32, "x@" + D + "0", "x:-t",
     "x:" + "t" * 129, "a.b/", "é", "x@" + D.upper(), "..", "a/../b", "x:t@", "host:port/x"],
)  # fmt: skip
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="invalid reference format"):
        parse(text)


def test_capitals_and_ids_get_their_own_sentence() -> None:
    with pytest.raises(InvalidError, match=r"repository name \(library/Debian\) must be lowercase"):
        parse("Debian")
    with pytest.raises(InvalidError, match="cannot specify 64-byte hexadecimal strings"):
        parse("ab" * 32)
    with pytest.raises(InvalidError, match="must not be more than 255"):
        parse("a/" + "b" * 250)


def test_latest_is_implied_only_without_tag_and_digest() -> None:
    assert parse("a").with_default_tag().tag == "latest"
    assert parse("a:1").with_default_tag().tag == "1"
    assert parse("a@" + D).with_default_tag().tag is None
