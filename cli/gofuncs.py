"""Functions of templates, and how Go prints values."""

from __future__ import annotations

import html
import json
import re

from ..host.light import Any, Callable

_VERB = re.compile(r"%([-+# 0]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])")


class Fields(dict[str, Any]):
    """A row of a list: a map as Docker writes it, sorted, and without the methods it has."""

    def plain(self) -> dict[str, Any]:
        """What is a value: methods such as `.Label "name"` are for templates to call."""
        return {name: self[name] for name in sorted(self) if not callable(self[name])}


# What Docker's objects leave out when it is empty: nothing there isn't a slip of the pen.
OPTIONAL = {
    "Annotations", "BindOptions", "ConsoleSize", "Entrypoint", "Error", "ExposedPorts",
    "Health", "Healthcheck", "IPAMConfig", "Init", "Labels", "MacAddress", "Mounts", "OnBuild",
    "Options", "Shell", "SizeRootFs", "SizeRw", "Status", "StopSignal", "StopTimeout",
    "StorageOpt", "Sysctls", "Tmpfs", "TmpfsOptions", "UsageData", "VolumeOptions", "Volumes",
}  # fmt: skip


def truth(value: Any) -> bool:
    """Go's truth: the zero value of any type is false."""
    return bool(value)


def show(value: Any) -> str:
    """A value as Go's %v prints it: [a b], map[k:v], <nil>."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Fields):
        value = value.plain()
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{show(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(show(one) for one in value) + "]"
    if isinstance(value, float):
        return _number(value)
    return str(value)


def _number(value: float) -> str:
    """A float as %v: %g with the shortest digits, an exponent from 1e21 on."""
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def printf(form: str, *values: Any) -> str:
    """fmt.Sprintf for the verbs v s d q t x X f g e c and %."""
    rest = list(values)

    def one(match: re.Match[str]) -> str:
        flags, wide, digits, verb = match.groups()
        if verb == "%":
            return "%"
        if not rest:
            return f"%!{verb}(MISSING)"
        return _pad(_verb(verb, digits, flags, rest.pop(0)), flags, int(wide or 0))

    return _VERB.sub(one, form)


def _verb(verb: str, digits: str | None, flags: str, value: Any) -> str:
    plus = "+" if "+" in flags else ""
    if verb in "vs":
        text = show(value)
        return text[: int(digits)] if digits and verb == "s" else text
    if verb == "q":
        return json.dumps(show(value), ensure_ascii=False)
    if verb == "t":
        return show(bool(value))
    try:
        if verb == "d":
            return format(int(value), plus + "d")
        if verb in "xX":
            return value.encode().hex() if isinstance(value, str) else format(int(value), verb)
        if verb in "fge":
            return format(float(value), f"{plus}.{digits or 6}{verb}")
        if verb == "c":
            return chr(int(value))
    except (TypeError, ValueError):
        pass
    return f"%!{verb}({show(value)})"


def _pad(text: str, flags: str, wide: int) -> str:
    if "-" in flags:
        return text.ljust(wide)
    return text.zfill(wide) if "0" in flags else text.rjust(wide)


def _index(value: Any, *keys: Any) -> Any:
    """The element of a map or list; nothing for a key a map doesn't have."""
    for key in keys:
        if value is None:
            raise ValueError("index of untyped nil")
        value = value.get(key) if isinstance(value, dict) else value[_position(value, key)]
    return value


def _position(value: Any, key: Any) -> int:
    if not isinstance(key, int) or not 0 <= key < len(value):
        raise ValueError(f"index out of range: {show(key)}")
    return key


def _slice(value: Any, *bounds: int) -> Any:
    return value[bounds[0] if bounds else 0 : bounds[1] if len(bounds) > 1 else None]


def _json(value: Any) -> str:
    if isinstance(value, Fields):
        value = value.plain()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _join(values: Any, separator: str) -> str:
    return separator.join(show(one) for one in values or ())


def _truncate(text: str, length: int) -> str:
    return str(text)[: max(length, 0)]


def _pad_around(text: str, left: int, right: int) -> str:
    return " " * left + text + " " * right if text else text


def _print(*values: Any) -> str:
    """fmt.Sprint: a blank between two values of which neither is a text."""
    out = ""
    for i, value in enumerate(values):
        if i and not isinstance(value, str) and not isinstance(values[i - 1], str):
            out += " "
        out += show(value)
    return out


def _equal(first: Any, *others: Any) -> bool:
    return any(first == other for other in others)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": lambda *values: next((v for v in values if not truth(v)), values[-1]),
    "or": lambda *values: next((v for v in values if truth(v)), values[-1]),
    "not": lambda value: not truth(value),
    "eq": _equal,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "len": len,
    "index": _index,
    "slice": _slice,
    "print": _print,
    "println": lambda *values: " ".join(map(show, values)) + "\n",
    "printf": printf,
    "html": lambda text: html.escape(show(text)).replace("&quot;", "&#34;"),
    "json": _json,
    "join": _join,
    "split": lambda text, separator: text.split(separator),
    "lower": lambda text: str(text).lower(),
    "upper": lambda text: str(text).upper(),
    "title": lambda text: re.sub(r"\b\w", lambda m: m.group().upper(), str(text)),
    "pad": _pad_around,
    "truncate": _truncate,
}


def call(name: str, values: list[Any]) -> Any:
    """What a function makes of its arguments. Raises ValueError and its like."""
    try:
        return FUNCTIONS[name](*values)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise
        # The call itself was refused: Python's sentence would name what no user has written.
        raise ValueError(f"{name} does not take these {len(values)} arguments") from error
