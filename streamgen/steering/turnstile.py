"""Spreads what goes to many connections at once, so that the slots of the media (20 ms) come between. Free of I/O.

Sending costs the event loop about 50 us a message: one to 2,000 connections would otherwise stop everything for 100 ms.
"""

from typing import Final

AT_ONCE: Final = 64
PER_S: Final = 12_500.0


class Turnstile:
    """Lets `at_once` through at once and `per_s` on average; each is told how long to wait. Nobody is turned away."""

    def __init__(self, at_once: int = AT_ONCE, per_s: float = PER_S) -> None:
        self._interval_s = 1.0 / per_s
        self._slack_s = at_once / per_s
        self._next_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Take the next turn: seconds until it comes, 0 for now. `now_s` is any monotonic clock."""
        turn_s = max(self._next_s, now_s)
        self._next_s = turn_s + self._interval_s
        wait_s = turn_s - now_s
        return wait_s if wait_s >= self._slack_s else 0.0
