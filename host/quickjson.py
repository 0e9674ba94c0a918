"""JSON by the standard library's own C code, without the start of its Python part.

`import json` brings re with it, to find the end of white space: a fifth of the start of a `bay ps`.
Where the C code is missing or has changed its form, json itself does it all.
"""

from __future__ import annotations

from .light import Any, Callable

_parse: Callable[[str, int], tuple[Any, int]] | None = None
_write: Callable[[Any, int], tuple[str, ...]] | None = None
try:
    import _json
except ImportError:  # another Python than CPython
    pass
else:

    class _Reading:
        """What `json.JSONDecoder` tells the C code, with its defaults."""

        strict = True
        object_hook = object_pairs_hook = None
        parse_float = float
        parse_int = int
        parse_constant = {
            "-Infinity": float("-inf"),
            "Infinity": float("inf"),
            "NaN": float("nan"),
        }.__getitem__

    def _refuse(value: object) -> Any:
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")

    try:
        _parse = _json.make_scanner(_Reading)  # type: ignore[arg-type] # only read from
        _write = _json.make_encoder(
            *(None, _refuse, _json.encode_basestring_ascii, None, ": ", ", ", False, False, True)
        )
        if _parse('{"a": [1]}', 0) != ({"a": [1]}, 10) or "".join(_write([1, {}], 0)) != "[1, {}]":
            _parse = _write = None
    except (AttributeError, TypeError):
        _parse = _write = None

_BLANK = " \t\n\r"


def loads(data: str | bytes) -> Any:
    """The value of a JSON text (bytes: in UTF-8). Raises ValueError, as `json.loads` does."""
    text = data if isinstance(data, str) else data.decode()
    if _parse is not None:
        start = len(text) - len(text.lstrip(_BLANK))
        try:
            value, end = _parse(text, start)
        except (StopIteration, SystemError):
            # json says what is wrong, and where: the scanner alone cannot (SystemError).
            pass
        else:
            if not text[end:].strip(_BLANK):
                return value
    import json

    return json.loads(text)


def dumps(value: Any) -> str:
    """The JSON text of a value, as `json.dumps` writes it by default. Raises TypeError."""
    if _write is not None:
        return "".join(_write(value, 0))
    import json

    return json.dumps(value)
