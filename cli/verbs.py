"""All verbs, and where each is: a verb's module is imported when it is used, not before."""

from __future__ import annotations

from .command import Command

# verb -> "module:NAME" below cli/commands
_CONTAINERS = {
    "attach": "attach:ATTACH",
    "commit": "images:COMMIT",
    "cp": "cp:CP",
    "create": "run:CREATE",
    "diff": "containers:DIFF",
    "exec": "exec:EXEC",
    "export": "archives:EXPORT",
    "kill": "lifecycle:KILL",
    "logs": "logs:LOGS",
    "pause": "lifecycle:PAUSE",
    "port": "containers:PORT",
    "rename": "containers:RENAME",
    "restart": "lifecycle:RESTART",
    "rm": "remove:RM",
    "run": "run:RUN",
    "start": "start:START",
    "stats": "stats:STATS",
    "stop": "lifecycle:STOP",
    "top": "containers:TOP",
    "unpause": "lifecycle:UNPAUSE",
    "update": "containers:UPDATE",
    "wait": "lifecycle:WAIT",
}
_IMAGES = {
    "build": "build:BUILD",
    "history": "images:HISTORY",
    "import": "archives:IMPORT",
    "layers": "layers:LAYERS",
    "load": "archives:LOAD",
    "pull": "pull:PULL",
    "push": "archives:PUSH",
    "save": "archives:SAVE",
    "tag": "images:TAG",
}

VERBS: dict[str, str] = {
    **_CONTAINERS,
    **_IMAGES,
    "completion": "completion:COMPLETION",
    "doctor": "doctor:DOCTOR",
    "engine": "engine:ENGINE",
    "events": "events:EVENTS",
    "images": "imagelist:IMAGES",
    "info": "system:INFO",
    "inspect": "inspect:INSPECT",
    "login": "login:LOGIN",
    "logout": "login:LOGOUT",
    "ps": "ps:PS",
    "rmi": "images:RMI",
    "search": "search:SEARCH",
    "version": "system:VERSION_COMMAND",
}

# group -> (what it is for, verb -> place)
GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "container": (
        "Manage containers",
        {
            **_CONTAINERS,
            "inspect": "inspect:CONTAINER",
            "ls": "ps:PS",
            "list": "ps:PS",
            "ps": "ps:PS",
            "prune": "prune:CONTAINER",
            "remove": "remove:RM",
        },
    ),
    "builder": (
        "Manage builds",
        {"build": "build:BUILD", "du": "builder:DU", "prune": "builder:PRUNE"},
    ),
    "context": (
        "Manage contexts: engines by name",
        {
            "create": "context:CREATE",
            "export": "contextfiles:EXPORT",
            "import": "contextfiles:IMPORT",
            "inspect": "context:INSPECT",
            "list": "context:LS",
            "ls": "context:LS",
            "remove": "context:RM",
            "rm": "context:RM",
            "show": "context:SHOW",
            "update": "context:UPDATE",
            "use": "context:USE",
        },
    ),
    "image": (
        "Manage images",
        {
            **_IMAGES,
            "inspect": "inspect:IMAGE",
            "list": "imagelist:IMAGES",
            "ls": "imagelist:IMAGES",
            "prune": "prune:IMAGE",
            "remove": "images:RMI",
            "rm": "images:RMI",
        },
    ),
    "network": (
        "Manage networks",
        {
            "connect": "networks:CONNECT",
            "create": "networks:CREATE",
            "disconnect": "networks:DISCONNECT",
            "inspect": "inspect:NETWORK",
            "list": "networks:LS",
            "ls": "networks:LS",
            "prune": "prune:NETWORK",
            "remove": "networks:RM",
            "rm": "networks:RM",
        },
    ),
    "snapshot": (
        "Manage snapshots of what containers wrote",
        {
            "branch": "snapshots:BRANCH",
            "create": "snapshots:CREATE",
            "list": "snapshots:LS",
            "ls": "snapshots:LS",
            "remove": "snapshots:RM",
            "rm": "snapshots:RM",
            "rollback": "snapshots:ROLLBACK",
        },
    ),
    "system": (
        "Manage the engine's host",
        {
            "check": "check:CHECK",
            "df": "df:DF",
            "dial-stdio": "engine:DIAL",
            "events": "events:EVENTS",
            "info": "system:INFO",
            "prune": "prune:SYSTEM",
        },
    ),
    "volume": (
        "Manage volumes",
        {
            "create": "volumes:CREATE",
            "inspect": "inspect:VOLUME",
            "list": "volumes:LS",
            "ls": "volumes:LS",
            "prune": "prune:VOLUME",
            "remove": "volumes:RM",
            "rm": "volumes:RM",
        },
    ),
}

# Second names in groups, which help does not list.
ALIASES = {"list", "remove", "ps", "dial-stdio"}


def load(place: str) -> Command:
    """The command at `place` ("module:NAME")."""
    module, _, name = place.partition(":")
    # As importlib.import_module, which a third of a short verb's start would go to.
    found = __import__(f"{__package__}.commands.{module}", fromlist=[name])
    command = getattr(found, name)
    assert isinstance(command, Command)
    return command


def find(argv: list[str]) -> tuple[Command, list[str]] | None:
    """The command that `argv` names and the words after its name; None when there is none."""
    if argv[0] in VERBS:
        return load(VERBS[argv[0]]), argv[1:]
    if argv[0] in GROUPS and len(argv) > 1:
        place = GROUPS[argv[0]][1].get(argv[1])
        if place is not None:
            return load(place), argv[2:]
    return None
