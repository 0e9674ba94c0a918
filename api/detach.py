"""The keys that leave a terminal's session without ending what runs in it."""

from __future__ import annotations

from ..host.errors import InvalidError

DEFAULT = "ctrl-p,ctrl-q"
_CONTROL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse(text: str) -> bytes:
    """`ctrl-p,ctrl-q` as the bytes a terminal sends (moby, term.ToBytes). Raises InvalidError."""
    keys = bytearray()
    for key in text.split(","):
        if len(key) == 1 and key.isascii():
            keys.append(ord(key))
            continue
        prefix, _, name = key.partition("ctrl-")
        if prefix or len(name) != 1:
            raise InvalidError(f"Invalid detach keys ({text}) provided")
        if "a" <= name.lower() <= "z":
            keys.append(ord(name.lower()) - ord("a") + 1)
        elif name in _CONTROL:
            keys.append(_CONTROL[name])
        else:
            raise InvalidError(f"Invalid detach keys ({text}) provided")
    return bytes(keys)


class Detacher:
    """Looks for the detach keys in what a client types, also when they come one at a time.

    A start of the sequence is held back until the next byte tells: what is no detach goes on whole.
    """

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What goes on to the process, and whether the client detached (the rest is dropped)."""
        if not self._keys:
            return data, False
        passed = bytearray()
        for byte in data:
            if byte == self._keys[self._held]:
                self._held += 1
                if self._held == len(self._keys):
                    return bytes(passed), True
                continue
            passed += self._keys[: self._held]
            self._held = 0
            if byte == self._keys[0]:
                self._held = 1
            else:
                passed.append(byte)
        return bytes(passed), False
