"""A generator that only notes what it is asked for."""

import numpy as np

from streamgen_engines.chunk import LatentChunk
from streamgen_engines.errors import NonFiniteError
from streamgen_engines.families import Condition


class ScriptedGenerator:
    """Returns empty latents and notes every condition; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.conditions: list[Condition] = []
        self.resets = 0
        self._failures = failures
        self._seed = 5

    def step(self, condition: Condition) -> LatentChunk:
        self.conditions.append(condition)
        if self._failures:
            self._failures -= 1
            raise NonFiniteError("ran away")
        self._seed = self._seed if condition.seed is None else condition.seed
        return LatentChunk(
            len(self.conditions), np.zeros((1, 48, 6, 10), np.float32), np.zeros((1, 16, 8), np.float32), self._seed
        )

    def reset(self, seed: int | None = None) -> None:
        self.resets += 1
