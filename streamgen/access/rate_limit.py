"""How often something may be done, as it is written in the settings. Free of I/O."""

import re
from dataclasses import dataclass
from typing import Final

MAX_TIMES: Final = 10_000
MAX_PERIOD_S: Final = 3_600.0

_TEXT: Final = re.compile(r"\s*([0-9]{1,5})\s*/\s*([0-9]{0,4}(?:\.[0-9]{1,3})?)\s*s\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`times` at once, and as many per `period_s` on average."""

    times: int
    period_s: float

    @classmethod
    def read(cls, text: str) -> "RateLimit":
        """A limit such as `10/2s`. Raises `ValueError` with what is wrong with it."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError('write how often in how many seconds, such as "10/2s" or "1/5s"')
        times, period_s = int(match[1]), float(match[2] or 1)
        if not (1 <= times <= MAX_TIMES and 0.0 < period_s <= MAX_PERIOD_S):
            raise ValueError(f"use 1 to {MAX_TIMES} times in at most {MAX_PERIOD_S:.0f} s")
        return cls(times, period_s)

    @property
    def interval_s(self) -> float:
        """Time between two on average."""
        return self.period_s / self.times

    def of(self, many: int) -> "RateLimit":
        """The limit of so many together."""
        return RateLimit(self.times * many, self.period_s)

    def __str__(self) -> str:
        return f"{self.times}/{self.period_s:g}s"
