"""A user's credentials for registries: in Docker's form of settings, or with a credential helper.

A helper is a program `docker-credential-NAME` that keeps secrets elsewhere, and answers `get`,
`store`, `erase` and `list` (docker/docker-credential-helpers). Settings name it for one registry
in `credHelpers`, for all in `credsStore`.
"""

from __future__ import annotations

import os

from ..host import quickjson
from ..host.errors import BayError
from ..host.light import Any, Iterable, Mapping

Json = dict[str, Any]

# The key of Docker Hub, the address of an index that is long gone.
HUB = "https://index.docker.io/v1/"
# The user of an entry whose secret is an identity token.
_TOKEN_USER = "<token>"
_ABSENT = "credentials not found"


def registry_of(reference: str) -> str:
    """The key of `auths` for the registry that an image reference names."""
    first, slash, _ = reference.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        return HUB
    return HUB if first in ("docker.io", "index.docker.io") else first


def docker_folder(environment: Mapping[str, str] = os.environ) -> str:
    """Where Docker's command line keeps its settings, `config.json`."""
    home = environment.get("HOME") or os.path.expanduser("~")
    return environment.get("DOCKER_CONFIG") or os.path.join(home, ".docker")


def helper_for(settings: Json, registry: str) -> str:
    """The name of the helper that keeps what is known of `registry`; empty for none."""
    return str(
        (settings.get("credHelpers") or {}).get(registry) or settings.get("credsStore") or ""
    )


def find(all_settings: Iterable[Json], registry: str) -> Json:
    """What the first of the settings has for `registry`, as the API's AuthConfig; or empty.

    Raises BayError when a helper fails.
    """
    for settings in all_settings:
        name = (settings.get("credHelpers") or {}).get(registry)
        found = Helper(name).get(registry) if name else _plain(settings, registry)
        if not found and not name and settings.get("credsStore"):
            found = Helper(settings["credsStore"]).get(registry)
        if found:
            return found
    return {}


def registries(all_settings: Iterable[Json]) -> list[str]:
    """All registries that something is known of, for a build, which may ask any of them."""
    found: dict[str, None] = {}
    for settings in all_settings:
        found |= dict.fromkeys(
            [*(settings.get("auths") or {}), *(settings.get("credHelpers") or {})]
        )
        if settings.get("credsStore"):
            found |= dict.fromkeys(Helper(settings["credsStore"]).list())
    return list(found)


def encode(value: Json) -> str:
    """JSON in URL-safe base64, as the API's auth headers want it."""
    import base64

    return base64.urlsafe_b64encode(quickjson.dumps(value).encode()).decode()


def _plain(settings: Json, registry: str) -> Json:
    auths = settings.get("auths") or {}
    entry = auths.get(registry) or auths.get(f"https://{registry}") or {}
    found: Json = {}
    if entry.get("auth"):
        import base64

        try:
            plain = base64.b64decode(entry["auth"]).decode()
        except ValueError:
            raise BayError(
                f"the credentials for {registry} in the settings are damaged: log in again"
            ) from None
        found["username"], _, found["password"] = plain.rstrip("\0").partition(":")
    if entry.get("identitytoken"):
        found["identitytoken"] = entry["identitytoken"]
    return {"serveraddress": registry, **found} if found else {}


class Helper:
    """The program `docker-credential-NAME`. Every method raises BayError when it fails."""

    def __init__(self, name: str) -> None:
        self.program = f"docker-credential-{name}"

    def get(self, registry: str) -> Json:
        """What it has for `registry`, as the API's AuthConfig; empty when nothing."""
        text = self._run("get", registry, registry)
        if not text:
            return {}
        answer = self._parse("get", text)
        user, secret = str(answer.get("Username") or ""), str(answer.get("Secret") or "")
        if user == _TOKEN_USER:
            return {"serveraddress": registry, "identitytoken": secret}
        return {"serveraddress": registry, "username": user, "password": secret}

    def store(self, registry: str, user: str, secret: str, token: str = "") -> None:
        """Have it keep a name and a password, or a token in their place."""
        kept = {"ServerURL": registry, "Username": user, "Secret": secret}
        if token:
            kept |= {"Username": _TOKEN_USER, "Secret": token}
        self._run("store", quickjson.dumps(kept), registry)

    def erase(self, registry: str) -> None:
        """Have it forget `registry`; fine when it knew nothing."""
        self._run("erase", registry, registry)

    def list(self) -> list[str]:
        """The registries it has something for."""
        text = self._run("list", "", "all registries")
        return list(self._parse("list", text)) if text else []

    def _run(self, verb: str, sent: str, what: str) -> str:
        import subprocess

        try:
            done = subprocess.run(
                [self.program, verb], input=sent, stdout=subprocess.PIPE, text=True, check=False
            )
        except OSError as error:
            why = "is not installed" if isinstance(error, FileNotFoundError) else error.strerror
            raise BayError(
                f"cannot {verb} the credentials for {what}: {self.program}, which credsStore or"
                f" credHelpers names, {why}"
            ) from None
        answer = done.stdout.strip()
        if done.returncode == 0:
            return answer
        # Helpers say it on standard output, some with more words around it.
        if verb != "store" and _ABSENT in answer.lower():
            return ""
        why = answer or f"it exited with {done.returncode}"
        raise BayError(f"cannot {verb} the credentials for {what}: {self.program}: {why}")

    def _parse(self, verb: str, text: str) -> Json:
        try:
            answer = quickjson.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise BayError(f"cannot {verb} credentials: {self.program} answered no JSON object")
        return answer
