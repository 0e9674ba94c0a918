"""What kind of link a name is: asked of the kernel, as /sys shows one namespace's links only."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Any

from . import messages as m
from .netlink import Netlink

_IFLA_INFO_KIND = "IFLA_INFO_KIND"


@dataclass(frozen=True)
class LinkFacts:
    """A link's name, index, kind ("bridge", "veth"; "" for hardware) and MTU in bytes.

    `master` is the index of the bridge it is a port of, 0 for none.
    """

    name: str
    index: int
    kind: str
    mtu: int
    master: int = 0


def facts(host: Netlink, name: str) -> LinkFacts | None:
    """The link of that name; None when there is none. Raises OSError."""
    try:
        answer = host.ask(m.message(m.ifinfmsg, m.RTM_GETLINK, 0, [("IFLA_IFNAME", name)], index=0))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    attrs = dict(answer["attrs"])
    info = dict(attrs["IFLA_LINKINFO"]["attrs"]) if "IFLA_LINKINFO" in attrs else {}
    return LinkFacts(
        name=name,
        index=answer["index"],
        kind=str(info.get(_IFLA_INFO_KIND, "")),
        mtu=attrs["IFLA_MTU"],
        master=attrs.get("IFLA_MASTER", 0),
    )


def supports(host: Netlink, kind: str) -> bool:
    """Whether this kernel has links of that kind, one that needs a parent (macvlan, ipvlan).

    Asked by a request without a parent, which can make none.
    """
    try:
        host.request(new_link(m.NLM_F_CREATE, kind, [("IFLA_IFNAME", "?")]))
    except OSError as error:
        return error.errno != errno.EOPNOTSUPP
    return True


def new_link(
    options: int,
    kind: str,
    attrs: list[tuple[str, Any]],
    data: list[tuple[str, Any]] | None = None,
    **fields: Any,
) -> Any:
    """The message that makes a link of `kind`: its attributes, and the `data` of its kind."""
    info: list[tuple[str, Any]] = [(_IFLA_INFO_KIND, kind)]
    if data is not None:
        info.append(("IFLA_INFO_DATA", {"attrs": data}))
    linkinfo = ("IFLA_LINKINFO", {"attrs": info})
    return m.message(m.ifinfmsg, m.RTM_NEWLINK, options, [*attrs, linkinfo], **fields)
