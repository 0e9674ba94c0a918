"""libnftables through ctypes: a command costs 0.1 ms, where the nft program costs 5-16 ms.

The library talks to the network namespace of the thread that made the context, for ever. See
libnftables(3).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import re
import threading

from ..host.errors import BayError

# The kernel's word, and the library's when it knows what a set holds.
_MISSING = ("No such file or directory", "does not exist")
_EXISTS = "File exists"


class NftError(BayError):
    """The kernel or the parser refused a command; nothing of it was done."""

    @property
    def missing(self) -> bool:
        """It named a thing that is not there."""
        return any(word in str(self) for word in _MISSING)

    @property
    def exists(self) -> bool:
        """It would have made a thing that is there already."""
        return _EXISTS in str(self)


@functools.cache
def _library() -> ctypes.CDLL:
    # find_library runs ldconfig or a compiler, so it is only the second try.
    for name in ("libnftables.so.1", ctypes.util.find_library("nftables") or ""):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None:
            break
    else:
        raise BayError("libnftables is not installed: networking needs the package libnftables1")
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
        getattr(library, name).restype = ctypes.c_char_p
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    return library


class Nft:
    """One context, for the namespace of the thread that makes it; any thread may call `run`."""

    def __init__(self) -> None:
        self._library = _library()
        context = self._library.nft_ctx_new(0)
        if not context:
            raise BayError("libnftables gave no context: out of memory")
        self._context: int | None = context
        self._lock = threading.Lock()
        self._library.nft_ctx_buffer_output(context)
        self._library.nft_ctx_buffer_error(context)
        # NUMERIC_ALL: ports and protocols are printed as numbers, not looked up in /etc.
        self._library.nft_ctx_output_set_flags(context, 0x780)

    def run(self, commands: str) -> str:
        """Run the commands, in nft's language, as one transaction; returns what they print.

        Raises NftError with nft's own complaint.
        """
        with self._lock:
            if self._context is None:
                raise BayError("the firewall connection is closed")
            code = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
            output = self._library.nft_ctx_get_output_buffer(self._context)
            complaint = self._library.nft_ctx_get_error_buffer(self._context)
        if code:
            text = complaint.decode(errors="replace") if complaint else "unknown error"
            raise NftError(_first_sentence(text))
        return output.decode(errors="replace") if output else ""

    def close(self) -> None:
        """Free the context."""
        with self._lock:
            if self._context is not None:
                self._library.nft_ctx_free(self._context)
                self._context = None


def _first_sentence(text: str) -> str:
    match = re.search(r"Error: ([^\n]+)(?:\n([^\n]*))?", text)
    if match is None:
        return f"nftables: {text.strip() or 'refused without a word'}"
    return f"nftables: {match.group(1).strip()} ({(match.group(2) or '').strip()[:200]})"
