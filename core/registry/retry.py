"""When a failed request is sent again, and after how long."""

from __future__ import annotations

import email.utils
import random
import time
from dataclasses import dataclass

# What passes by itself: a timeout, too many requests, a server or gateway in trouble.
PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Retry:
    """Up to `tries` attempts, the pause between them doubling from `base` to `cap` seconds.

    A server's own Retry-After is obeyed up to `cap`; asked to wait longer, we give up and say so,
    since nobody watches a still progress bar for an hour.
    """

    tries: int = 5
    base: float = 1.0
    cap: float = 60.0

    def pause(self, attempt: int, retry_after: str | None = None) -> float | None:
        """Seconds to wait after failed `attempt` (from 1); None when it was the last."""
        if attempt >= self.tries:
            return None
        asked = seconds(retry_after)
        if asked is not None:
            return asked if asked <= self.cap else None
        limit = min(self.cap, self.base * float(2 ** (attempt - 1)))
        # Spread the clients that one outage has put in step with each other.
        return limit * (0.75 + random.random() / 2)


def seconds(retry_after: str | None) -> float | None:
    """The wait that a Retry-After header asks for: a number, or an HTTP date; None without one."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        moment = email.utils.parsedate_to_datetime(retry_after).timestamp()
    except (TypeError, ValueError, ArithmeticError):
        return None
    return max(0.0, moment - time.time())
