"""The key sequence that detaches a client (`ctrl-p,ctrl-q`), found in what it types."""

from __future__ import annotations

from ..host.errors import InvalidError

DEFAULT = "ctrl-p,ctrl-q"


def parse(text: str) -> bytes:
    """Docker's `--detach-keys` as bytes: single characters and `ctrl-` with a-z or @[\\]^_.

    Raises InvalidError for anything else.
    """
    result = bytearray()
    for key in text.split(","):
        letter = key.removeprefix("ctrl-")
        if len(key) == 1 and key.isascii():
            result.append(ord(key))
        elif key.startswith("ctrl-") and len(letter) == 1 and letter.lower() in _CONTROL:
            result.append(_CONTROL.index(letter.lower()))
        else:
            raise InvalidError(f"Unknown character: '{key}'")
    return bytes(result)


_CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"


class Detacher:
    """Takes input and gives it back without the sequence; `detached` once it was all typed.

    The beginning of a sequence is held back until the next byte tells: that is why ctrl-p has to
    be typed twice in a shell, as in Docker.
    """

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._typed = 0
        self.detached = False

    def feed(self, data: bytes) -> bytes:
        """The input to pass on; what comes after the sequence is dropped."""
        if not self._keys or self.detached:
            return b"" if self.detached else data
        result = bytearray()
        for byte in data:
            if byte == self._keys[self._typed]:
                self._typed += 1
                if self._typed == len(self._keys):
                    self.detached = True
                    break
                continue
            result += self._keys[: self._typed]
            self._typed = 1 if byte == self._keys[0] else 0
            if not self._typed:
                result.append(byte)
            elif len(self._keys) == 1:
                self.detached = True
                break
        return bytes(result)
