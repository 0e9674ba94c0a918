"""Feeds bittty's parser as ECMA-48 and xterm want it where bittty alone would not.

- An escape character inside a sequence or a string ends that and begins anew; bittty would wait for
  the end of what was cut off, and swallow all that follows: a shell whose output was cut at an
  escape by ctrl+c would never be seen again.
- Control characters inside a control sequence are executed.
- A sequence that bittty's handlers raise on is passed over.
- What begins and never ends is not kept beyond `LONGEST`.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from bittty.parser import core

LONGEST = 1 << 20  # characters of one string (OSC, DCS and their like); tmux's limit, too
_log = logging.getLogger(__name__)

core.CSI_TERM_RE = re.compile(r"(?P<csi_final>[\x40-\x7E])|(?P<cancel>[\x18\x1A]|(?=\x1b))")
core.STR_TERM_RE = re.compile(
    r"(?P<st>\x1b\\|\x9C)|(?P<bel>\x07)|(?P<cancel>[\x18\x1A]|(?=\x1b[^\\]))"
)
# A control sequence up to where it stops being one, with a control character within.
_MIXED = re.compile(r"\x1b\[(?=[ -?]*[\x00-\x17\x19\x1c-\x1f\x7f])([\x00-\x17\x19\x1c-?\x7f]*)")


def feed(parser: Any, text: str) -> None:
    """Have `parser` (bittty's, with a board behind it) take `text`."""
    if parser.mode == "csi":  # what the last text ended in, and this one may go on with
        text, parser.buffer, parser.mode = parser.buffer + text, "", None
    text = _MIXED.sub(_controls_first, text)
    while True:
        try:
            parser.feed(text)
        except Exception as error:  # bittty's, on numbers it did not expect
            _log.debug("a sequence passed over: %r", error)
            _pass_over(parser)
            text = ""
            continue
        break
    if len(parser.buffer) > LONGEST:
        parser.buffer = parser.buffer[: parser._scan_from]


def _controls_first(found: re.Match[str]) -> str:
    inside = found[1]
    controls = "".join(one for one in inside if one < " ")
    if found.string[found.end() : found.end() + 1] in ("\x1b", "\x18", "\x1a"):  # cut off
        return controls
    return controls + "\x1b[" + "".join(one for one in inside if " " <= one < "\x7f")


def _pass_over(parser: Any) -> None:
    """Go on behind the token at which the parser stopped."""
    if parser.mode is None:
        found = core.GROUND_RE.search(parser.buffer, parser.pos)
    else:
        ends = core.CSI_TERM_RE if parser.mode == "csi" else core.STR_TERM_RE
        found = ends.search(parser.buffer, parser._scan_from)
    parser.pos = max(found.end(), parser.pos + 1) if found else len(parser.buffer)
    parser.mode = None
