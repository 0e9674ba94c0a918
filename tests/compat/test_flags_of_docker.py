"""Every flag of the installed docker command line is one of `bay`'s, verb by verb."""

from __future__ import annotations

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from bayplan.cli import verbs
from bayplan.cli.flags import UsageError, parse

_FLAG = re.compile(r"^ {2,}(?:-(\w), )?--([\w-]+)(?: (\S+))?", re.M)
# What only this program has; `docker VERB --help` of these is docker's own overview, or an error.
OWN = frozenset(
    {
        *("completion", "doctor", "engine", "layers", "container layers", "image layers"),
        *("system check", "system dial-stdio"),
        *(f"snapshot {verb}" for verb in verbs.GROUPS["snapshot"][1]),
    }
)
# Verbs of docker's that are not here: docs/cli.md says why.
LEFT_OUT = frozenset(
    {
        *("swarm", "service", "stack", "node", "secret", "config"),  # one host
        *("plugin", "checkpoint", "trust", "manifest"),
        *("buildx", "compose"),  # programs of their own
        *("volume update",),  # of Swarm's volumes
    }
)
# Kubernetes flags of docker before 23.
GONE = frozenset({"--kubeconfig", "--kubernetes", "--default-stack-orchestrator"})
# Flags that are taken, and whose use is refused in words that say why; see cli/refused.py.
REFUSED = {
    **dict.fromkeys(
        ("cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"), "only of Windows"
    ),
    **dict.fromkeys(("checkpoint", "checkpoint-dir"), "no checkpoints"),
    **dict.fromkeys(
        (
            *("ingress", "availability", "group", "limit-bytes", "required-bytes", "scope"),
            *("secret", "sharing", "topology-preferred", "topology-required", "type"),
        ),
        "Swarm's",
    ),
}


# Of a build with buildx, which `docker build --help` does not name without it.
BUILDX = {"allow", "annotation", "attest", "builder", "cache-to", "provenance", "sbom"}


def docker_flags(verb: str) -> dict[str, str]:
    """The flags (with dashes) of docker's `verb` and the kind of their values, "" for a switch."""
    done = subprocess.run(
        ["docker", *verb.split(), "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        check=True,
    )
    found = {}
    for short, name, kind in _FLAG.findall(done.stdout.partition("Global Options:")[0]):
        found[f"--{name}"] = kind
        if short:
            found[f"-{short}"] = kind
    return found


def all_verbs() -> dict[str, str]:
    """Every verb, `ps` and `container ls`, and where it is."""
    found = dict(verbs.VERBS)
    for group, (_, members) in verbs.GROUPS.items():
        found |= {f"{group} {verb}": place for verb, place in members.items()}
    return found


def test_every_flag_of_docker_is_taken() -> None:
    """Long and short, of every verb that both have; a switch there is a switch here."""
    shared = {verb: place for verb, place in all_verbs().items() if verb not in OWN}
    with ThreadPoolExecutor(4) as pool:
        theirs = dict(zip(shared, pool.map(docker_flags, shared), strict=True))
    missing = []
    for verb, place in shared.items():
        flags = verbs.load(place).flags
        for flag, kind in theirs[verb].items():
            argv = [flag] if not kind else [flag, "\0"]
            try:
                parse(flags, argv)
            except UsageError as error:
                # A value that is no good is a flag that is known.
                if flag not in GONE and re.search("unknown|needs an argument", str(error)):
                    missing.append(f"{verb} {flag} {kind}: {error}")
    assert not missing, "\n".join(missing)
    assert sum(map(len, theirs.values())) > 300, "docker's help was not understood"


def commands(*group: str) -> set[str]:
    """The verbs that `docker [GROUP] --help` lists."""
    done = subprocess.run(["docker", *group, "--help"], capture_output=True, text=True, check=True)
    before = done.stdout.partition("Options:\n")[0] if not group else done.stdout
    return set(re.findall(r"^  ([a-z]+)\*? {2,}", before, re.M))


def test_every_verb_of_docker_is_here() -> None:
    """But for those named above."""
    missing = commands() - verbs.VERBS.keys() - verbs.GROUPS.keys() - LEFT_OUT
    for group, (_, members) in verbs.GROUPS.items():
        if group not in ("snapshot", "builder"):
            wanted = {f"{group} {verb}" for verb in commands(group) - members.keys()}
            missing |= wanted - LEFT_OUT
    assert not missing


def test_what_cannot_work_is_refused_with_its_reason() -> None:
    """The flags without a meaning here are known, say why, and are all named above."""
    refused = {}
    for verb, place in all_verbs().items():
        for flag in verbs.load(place).flags:
            if flag.hidden and flag.convert.__module__ == "bayplan.cli.refused":
                refused[flag.name] = (verb, flag)
    for name, (verb, flag) in refused.items():
        value = "true" if not flag.kind else "other"
        try:
            parse((flag,), [f"--{name}={value}"])
        except UsageError as error:
            assert flag.about in str(error), (verb, name)
        else:
            raise AssertionError(f"{verb} --{name} is not refused")
    assert refused.keys() - BUILDX - {"isolation", "security-opt"} == REFUSED.keys()
