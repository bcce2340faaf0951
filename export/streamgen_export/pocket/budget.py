"""How long a stage of training goes on: for a number of steps, or for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Budget:
    """What a stage may spend. Rates of learning follow the share that is spent, so either kind of end is a soft one.

    Attributes:
        steps: after which it ends, where no time is given.
        seconds: after which it ends instead.
        spent_s: by earlier runs of the same stage.
        clock: tells the time.
    """

    steps: int
    seconds: float | None = None
    spent_s: float = 0.0
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def elapsed_s(self) -> float:
        """Time spent by all runs."""
        return self.spent_s + self.clock() - self._began

    def share(self, step: int) -> float:
        """Share that is spent when `step` steps are done, 0 to 1."""
        done = step / self.steps if self.seconds is None else self.elapsed_s / self.seconds
        return min(1.0, done)

    def over(self, step: int) -> bool:
        """Whether `step` steps were enough."""
        return self.share(step) >= 1.0
