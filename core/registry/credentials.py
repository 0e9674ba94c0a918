"""Who we are to a registry: the API's header, Docker's and Podman's files, and their helpers."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...host.errors import BayError
from ...host.process import PATH, run
from ..types import Json
from .endpoints import credential_keys

# A credential helper answers this user when the secret is an identity token, not a password.
_TOKEN_USER = "<token>"


@dataclass(frozen=True)
class Credentials:
    """What a registry may be told: name and password, or a token that stands for them.

    `identity_token` is an OAuth2 refresh token, `registry_token` a ready bearer token.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token or self.registry_token)

    @property
    def basic(self) -> str:
        """The value of a Basic Authorization header."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


ANONYMOUS = Credentials()


def from_auth(auth: Json | None) -> Credentials:
    """Credentials of the API's `X-Registry-Auth` (Docker's AuthConfig), or of an `auths` entry."""
    if not auth:
        return ANONYMOUS
    username, password = str(auth.get("username") or ""), str(auth.get("password") or "")
    if auth.get("auth") and not username:
        username, password = _decode(str(auth["auth"]))
    token = str(auth.get("identitytoken") or "")
    if username == _TOKEN_USER:
        username, password, token = "", "", token or password
    return Credentials(username, password, token, str(auth.get("registrytoken") or ""))


def stored(domain: str, path: str = "", files: Iterable[Path] | None = None) -> Credentials:
    """What this user's files hold for the repository `path` at `domain`; anonymous when nothing.

    Looks in each of `files`, by default Docker's and then Podman's, first in `credHelpers`, then
    in `auths`, then in the `credsStore`. Raises BayError when a file can't be read.
    """
    keys = credential_keys(domain, path)
    for file in _default_files() if files is None else files:
        config = _read(file)
        found = _helped(config, keys) or _plain(config, keys) or _store(config, keys)
        if found:
            return found
    return ANONYMOUS


def _default_files() -> list[Path]:
    home = Path(os.environ.get("HOME") or "/root")
    docker = Path(os.environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    podman = os.environ.get("REGISTRY_AUTH_FILE") or f"{runtime}/containers/auth.json"
    return [docker, Path(podman), home / ".config/containers/auth.json"]


def _read(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_bytes() or b"{}")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise BayError(f"cannot read the credentials in {file}: {error}") from error
    if not isinstance(config, dict):
        return {}
    # Written by hand, or by many programs: what has not the form holds nothing.
    auths, helpers = (_dict(config.get(key)) for key in ("auths", "credHelpers"))
    return {**config, "auths": {k: _dict(v) for k, v in auths.items()}, "credHelpers": helpers}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _helped(config: dict[str, Any], keys: list[str]) -> Credentials:
    helpers = config.get("credHelpers") or {}
    for key in keys:
        if helpers.get(key):
            return _ask(str(helpers[key]), [key])
    return ANONYMOUS


def _plain(config: dict[str, Any], keys: list[str]) -> Credentials:
    auths = config.get("auths") or {}
    for key in keys:
        found = from_auth(auths.get(key) or auths.get(f"{key}/"))
        if found:
            return found
    return ANONYMOUS


def _store(config: dict[str, Any], keys: list[str]) -> Credentials:
    helper = config.get("credsStore")
    return _ask(str(helper), keys) if helper else ANONYMOUS


def _ask(helper: str, keys: list[str]) -> Credentials:
    """Ask `docker-credential-HELPER get` for each of `keys`; the key goes to its stdin."""
    env = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{PATH}"}
    for key in keys:
        done = run([f"docker-credential-{helper}", "get"], stdin=key.encode(), timeout=30, env=env)
        if done.code == 127:
            raise BayError(f"the credential helper docker-credential-{helper} is not installed")
        if done.code:
            # Helpers say "credentials not found in native keychain" on stdout, each in its words.
            if "not found" in (done.stdout + done.stderr).lower():
                continue
            why = (done.stdout or done.stderr).strip()
            raise BayError(f"docker-credential-{helper} failed for {key}: {why}")
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise BayError(f"docker-credential-{helper} answered no JSON object for {key}")
        found = from_auth({"username": answer.get("Username"), "password": answer.get("Secret")})
        if found:
            return found
    return ANONYMOUS


def _decode(auth: str) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(auth).decode().partition(":")
    except ValueError:  # no base64, or no text in it
        return "", ""
    return name, password.rstrip("\0")
