"""Getting past a FORWARD chain that drops: iptables rules of others that our table cannot undo.

An accept in one table does not override a drop in another. Docker sets FORWARD to DROP and offers
the chain DOCKER-USER for such exceptions, so where it is there, two rules for all our bridges are
put into it. firewalld is asked to trust our bridges, as it is by Docker and podman. No other chain
of anybody is touched.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable

from ..host import process

# The bridges of Docker and podman.
_OTHERS = re.compile(r"(docker0|docker_gwbridge|br-[0-9a-f]{12}|(cni-)?podman\d+)$")
_FIREWALLD = "firewall-cmd"
_PROGRAMS = ("iptables", "ip6tables")


def allow(patterns: Iterable[str]) -> str | None:
    """Let the links that match (`by+` is a prefix) through DOCKER-USER, if there is such a chain.

    Blocks some 10 ms. Returns a warning for the user when FORWARD drops and no such chain is there.
    """
    patterns = list(patterns)
    warning = None
    for program in _PROGRAMS:
        listed = process.run([program, "-w", "-S", "DOCKER-USER"])
        if listed.code == 0:
            for rule in _rules(patterns):
                if "-A DOCKER-USER " + " ".join(rule) not in listed.stdout:
                    process.run([program, "-w", "-I", "DOCKER-USER", *rule])
        elif program == "iptables" and (cures := _cures(patterns)):
            warning = (
                "iptables' FORWARD policy is DROP: containers cannot reach the outside, nor each "
                "other where it sees bridged packets, until it lets their bridges through, as with "
                f"{' and '.join(cures)}"
            )
    return warning


def trust(links: Iterable[str]) -> None:
    """Have firewalld let these bridges through: into its zone `trusted`, as podman's are.

    One that the user has put into another zone stays there. Blocks some 0.3 s for each; the caller
    knows that firewalld runs here.
    """
    for link in links:
        process.run([_FIREWALLD, "--zone=trusted", f"--add-interface={link}"])


def distrust(links: Iterable[str]) -> None:
    """Take away what `trust` did; what is gone already is no error."""
    for link in links:
        process.run([_FIREWALLD, "--zone=trusted", f"--remove-interface={link}"])


def is_other(link: str) -> bool:
    """Whether a link of that name is the bridge of another engine.

    What `allow` lets through would reach its containers past its own rules, were it not kept away.
    """
    return _OTHERS.match(link) is not None


def others() -> list[str]:
    """All such bridges there are now."""
    return [name for _, name in socket.if_nameindex() if is_other(name)]


def forget(patterns: Iterable[str]) -> None:
    """Take away what `allow` put there."""
    for program in _PROGRAMS:
        if process.run([program, "-w", "-S", "DOCKER-USER"]).code == 0:
            for rule in _rules(list(patterns)):
                process.run([program, "-w", "-D", "DOCKER-USER", *rule])


def _cures(patterns: list[str]) -> list[str]:
    """The commands that let our bridges through a FORWARD chain that drops; none if they are.

    There are two such chains: of nf_tables, and of the older tables when somebody uses them.
    """
    cures = []
    for program in ["iptables", *(["iptables-legacy"] if has_legacy() else [])]:
        listed = process.run([program, "-w", "-S", "FORWARD"]).stdout
        if "-P FORWARD DROP" in listed:
            rules = (" ".join(rule) for rule in _rules(patterns))
            cures += [
                f"`{program} -I FORWARD {rule}`"
                for rule in rules
                if f"FORWARD {rule}" not in listed
            ]
    return cures


def has_legacy() -> bool:
    """Whether somebody has a table of iptables-legacy here: no event tells of its changes."""
    try:
        with open("/proc/thread-self/net/ip_tables_names", encoding="ascii") as file:
            return "filter" in file.read().split()
    except OSError:  # the kernel's module was never asked for
        return False


def _rules(patterns: list[str]) -> list[list[str]]:
    return [
        [direction, pattern, "-j", "ACCEPT"] for pattern in patterns for direction in ("-i", "-o")
    ]
