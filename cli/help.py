"""The help of the program and of its groups: lists of verbs."""

from __future__ import annotations

from ..host.light import Mapping, Sequence
from . import verbs
from .command import PROGRAM, flag_table
from .flags import Flag


def overview(group: str | None, flags: Sequence[Flag]) -> str:
    """Help of `bay`, or of one group of verbs such as `bay volume`."""
    if group in verbs.GROUPS:
        summary, members = verbs.GROUPS[group]
        return (
            f"Usage:  {PROGRAM} {group} COMMAND\n\n{summary}\n\n{_table('Commands', members)}\n"
            f"Run '{PROGRAM} {group} COMMAND --help' for more information on a command.\n"
        )
    groups = "\n".join(f"  {name:<12}{about}" for name, (about, _) in sorted(verbs.GROUPS.items()))
    return (
        f"Usage:  {PROGRAM} [OPTIONS] COMMAND\n\n"
        "Containers of this host, from the keyboard. Without a command: the screen.\n\n"
        f"Management Commands:\n{groups}\n\n{_table('Commands', verbs.VERBS)}"
        f"{flag_table(flags, 'Global Options')}\n"
        f"Run '{PROGRAM} COMMAND --help' for more information on a command.\n"
    )


def _table(title: str, members: Mapping[str, str]) -> str:
    rows = [
        f"  {name:<12}{verbs.load(place).summary.splitlines()[0]}\n"
        for name, place in sorted(members.items())
        if name not in verbs.ALIASES or members is verbs.VERBS
    ]
    return f"{title}:\n{''.join(rows)}"
