"""`bay login` and `bay logout`: credentials for registries."""

from __future__ import annotations

import base64
import sys

from ...client.credentials import Helper, helper_for
from ...host.errors import InvalidError
from ...host.light import Any
from ..app import App
from ..auth import HUB, credentials, settings
from ..command import Command
from ..flags import Parsed, UsageError, switch, text

Json = dict[str, Any]


def server_of(args: list[str]) -> str:
    """The key of `auths` for the server named; Docker Hub when none is."""
    if not args or args[0] in ("docker.io", "index.docker.io", "registry-1.docker.io", HUB):
        return HUB
    return args[0].removeprefix("https://").removeprefix("http://").partition("/")[0]


def run_login(app: App, parsed: Parsed) -> None:
    """Ask for what is missing, have the engine try it, and keep it."""
    server = server_of(parsed.args)
    known = credentials(app.config, server)
    user = parsed["username"] or ""
    if parsed["password-stdin"]:
        if parsed["password"]:
            raise UsageError("--password and --password-stdin are mutually exclusive")
        if not user:
            raise UsageError("Must provide --username with --password-stdin")
        password = sys.stdin.read().rstrip("\r\n")
    elif parsed["password"]:
        app.err("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
        password = parsed["password"]
    elif known.get("password") and not user:
        app.err("Authenticating with existing credentials...")
        user, password = known["username"], known["password"]
    else:
        password = ""
    user = user or _ask("Username: ")
    password = password or _ask_secret()
    if not user or not password:
        raise InvalidError("Error: Username and password are both required")
    answer: Json = app.client.post(
        "/auth", {"username": user, "password": password, "serveraddress": server}
    )
    _keep(app, server, user, password, answer.get("IdentityToken") or "")
    app.out(answer.get("Status") or "Login Succeeded")


def _ask(question: str) -> str:
    if not sys.stdin.isatty():
        raise InvalidError("Error: Cannot perform an interactive login from a non TTY device")
    return input(question).strip()


def _ask_secret() -> str:
    if not sys.stdin.isatty():
        raise InvalidError("Error: Cannot perform an interactive login from a non TTY device")
    import getpass

    return getpass.getpass("Password: ")


def _keep(app: App, server: str, user: str, password: str, token: str) -> None:
    """Store the credentials; with a token of the registry's, that instead of the password.

    A helper that the settings name takes them; they go to a file only where there is none.
    """
    auths = app.config.values.setdefault("auths", {})
    helper = _helper(app, server)
    if helper:
        Helper(helper).store(server, user, password, token)
        # As Docker does: the settings say where there is something, and not what.
        auths[server] = {}
        app.config.save()
        return
    secret = f"{user}:" if token else f"{user}:{password}"
    entry = {"auth": base64.b64encode(secret.encode()).decode()}
    if token:
        entry["identitytoken"] = token
    auths[server] = entry
    app.config.save()
    app.err(f"WARNING! Your credentials are stored unencrypted in '{app.config.path}'.")


def _helper(app: App, server: str) -> str:
    """The helper for `server`: that of our settings, or else that of Docker's."""
    return next((name for one in settings(app.config) if (name := helper_for(one, server))), "")


def run_logout(app: App, parsed: Parsed) -> None:
    """Forget the credentials for a registry."""
    server = server_of(parsed.args)
    auths = app.config.values.get("auths", {})
    helper = _helper(app, server)
    if server not in auths and not (helper and Helper(helper).get(server)):
        app.out(f"Not logged in to {server}")
        if credentials(app.config, server):
            app.err(f"Docker's own settings know {server}: 'docker logout {server}' forgets it.")
        return
    app.out(f"Removing login credentials for {server}")
    if helper:
        Helper(helper).erase(server)
    if auths.pop(server, None) is not None:
        app.config.save()


LOGIN = Command(
    "login [OPTIONS] [SERVER]",
    "Log in to a registry (Docker Hub if none is named)",
    run_login,
    flags=(
        text("password", "Password or access token", "p"),
        switch("password-stdin", "Read the password from stdin"),
        text("username", "User name", "u"),
    ),
    most=1,
)
LOGOUT = Command("logout [SERVER]", "Log out from a registry", run_logout, most=1)
