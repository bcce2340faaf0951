"""The time that is left of a phase. It stands still while paused and is stored as seconds that remain."""


class Countdown:
    """Idle until `begin`. A phase that ends at t is over at t itself, so that a vote at t is late."""

    def __init__(self) -> None:
        self.paused = False
        self._ends_s: float | None = None  # while it runs
        self._left_s: float | None = None  # while it is paused

    @property
    def ends_s(self) -> float | None:
        """When the phase is over; None while idle or paused."""
        return self._ends_s

    def begin(self, length_s: float, now_s: float) -> None:
        """Start a phase; when paused, it starts paused."""
        if self.paused:
            self._left_s = length_s
        else:
            self._ends_s = now_s + length_s

    def clear(self) -> None:
        """Idle again, and no longer paused."""
        self.paused = False
        self._ends_s = self._left_s = None

    def pause(self, now_s: float) -> None:
        """Stand still. Idempotent; without effect while idle."""
        if self._ends_s is not None:
            self._left_s = max(0.0, self._ends_s - now_s)
            self._ends_s = None
            self.paused = True

    def resume(self, now_s: float) -> None:
        """Go on where it stood. Idempotent."""
        if self._left_s is not None:
            self._ends_s = now_s + self._left_s
            self._left_s = None
        self.paused = False

    def extend(self, seconds: float) -> None:
        """Make the phase longer. Without effect while idle."""
        if self._ends_s is not None:
            self._ends_s += seconds
        elif self._left_s is not None:
            self._left_s += seconds

    def over(self, now_s: float) -> bool:
        """Whether the phase has ended; never while idle or paused."""
        return self._ends_s is not None and now_s >= self._ends_s

    def left_s(self, now_s: float) -> float | None:
        """Seconds that are left; None while idle."""
        return self._left_s if self._ends_s is None else max(0.0, self._ends_s - now_s)
