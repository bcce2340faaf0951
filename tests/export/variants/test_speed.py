"""Ratios of time, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.runtimes.interface import Array, Engine, Signature
from streamgen_export.variants.speed import graph_calls, relative_speeds


class Clock:
    """Stands still unless an engine runs."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class TimedEngine:
    """Each call takes so long; the list says who ran when."""

    def __init__(self, clock: Clock, name: str, takes_s: list[float], order: list[str]) -> None:
        self._clock, self._name, self._takes_s, self._order = clock, name, takes_s, order
        self._calls = 0

    @property
    def signature(self) -> Signature:
        return Signature({}, {})

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self._clock.now_s += self._takes_s[self._calls % len(self._takes_s)]
        self._calls += 1
        self._order.append(self._name)
        return {}

    def hold(self, arrays: Mapping[str, Array]) -> None:
        raise KeyError(*arrays)

    def take_states(self, other: Engine) -> None:
        raise NotImplementedError("nothing here carries states")

    def state(self, name: str) -> Array:
        raise KeyError(name)

    def reset(self) -> None:
        self._calls = 0


def test_ratios_are_those_of_the_same_round() -> None:
    clock = Clock()
    order: list[str] = []
    # The first call of each is not counted. The machine is half as fast in the second of three rounds.
    plain = TimedEngine(clock, "plain", [9.0, 0.010, 0.010, 0.020, 0.020, 0.010, 0.010], order)
    fast = TimedEngine(clock, "fast", [9.0, 0.005, 0.005, 0.010, 0.010, 0.004, 0.004], order)
    found = relative_speeds({"plain": plain, "fast": fast}, "plain", [{}, {}], rounds=3, clock=clock)
    assert found["plain"].ratio == found["plain"].lowest == found["plain"].highest == 1
    assert found["fast"].ratio == pytest.approx(2)
    assert found["fast"].lowest == pytest.approx(2)
    assert found["fast"].highest == pytest.approx(2.5)
    assert found["fast"].call_ms == pytest.approx(5)
    assert found["fast"].rounds == 3
    # Call by call in turns, and each round begins with another one.
    assert order[2:] == ["plain", "fast"] * 2 + ["fast", "plain"] * 2 + ["plain", "fast"] * 2


def test_calls_are_those_of_a_stream(variants: dict[str, Bundle]) -> None:
    plain = variants["float32"]
    calls = graph_calls(plain, "denoise", ["waves", "snow"], chunks=2, seed=1)
    assert len(calls) == 4 * plain.manifest.sampler.passes
    assert not {state.name for state in plain.manifest.graphs["denoise"].states} & calls[0].keys()
    assert not np.array_equal(calls[0]["pooled"], calls[-1]["pooled"])
