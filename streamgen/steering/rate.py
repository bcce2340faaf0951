"""A token bucket without a clock of its own."""

from typing import Final

MESSAGES_PER_S: Final = 10.0
BURST_MESSAGES: Final = 20
# Whoever runs the server is limited only so that a program that went wild does not keep it from others.
TRUSTED_MESSAGES_PER_S: Final = 200.0
TRUSTED_BURST_MESSAGES: Final = 400


class TokenBucket:
    """Allows `burst` at once and `rate_hz` on average. Times are seconds on any monotonic clock."""

    def __init__(self, rate_hz: float = MESSAGES_PER_S, burst: int = BURST_MESSAGES) -> None:
        self._rate_hz = rate_hz
        self._burst = float(burst)
        self._tokens = float(burst)
        self._filled_at_s: float | None = None

    def take(self, now_s: float) -> float | None:
        """Use one token: None, or how long to wait (s) for the next when there is none."""
        if self._filled_at_s is not None:
            self._tokens = min(self._burst, self._tokens + (now_s - self._filled_at_s) * self._rate_hz)
        self._filled_at_s = now_s
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / self._rate_hz
        self._tokens -= 1.0
        return None
