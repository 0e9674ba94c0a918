"""pyroute2's message classes, and only those.

`import pyroute2` runs the package's `__init__`, which costs 60-100 ms on top of the engine's own
imports; under a stub package its message modules load in 16 ms. The stub is taken away again, so
that anybody else's `import pyroute2` gets the whole package.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

__all__ = ["ifaddrmsg", "ifinfmsg", "rtmsg"]


def _stub() -> bool:
    spec = importlib.util.find_spec("pyroute2")
    if "pyroute2" in sys.modules or spec is None or spec.submodule_search_locations is None:
        return False
    package = ModuleType("pyroute2")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["pyroute2"] = package
    return True


_stubbed = _stub()
try:
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg
finally:
    if _stubbed:
        del sys.modules["pyroute2"]

# linux/netlink.h and linux/rtnetlink.h
NLM_F_REQUEST = 1
NLM_F_ACK = 4
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_REPLACE = 0x100
NLM_F_DUMP = 0x300
NLMSG_ERROR = 2
NLMSG_DONE = 3
RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
RTM_SETLINK = 19
RTM_NEWADDR = 20
RTM_DELADDR = 21
RTM_GETADDR = 22
RTM_NEWROUTE = 24
RTM_DELROUTE = 25
RTM_GETROUTE = 26
IFF_UP = 1
IFA_F_NODAD = 2
AF_BRIDGE = 7


def message(kind: Any, code: int, options: int, attrs: list[tuple[str, Any]], **fields: Any) -> Any:
    """A netlink message of class `kind`: NLM_F `options`, fields, attributes."""
    result = kind()
    result["header"] = {"type": code, "flags": NLM_F_REQUEST | options}
    for name, value in fields.items():
        result[name] = value
    result["attrs"] = attrs
    return result
