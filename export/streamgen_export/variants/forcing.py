"""Teacher forcing: what graphs of variants compute when they are given the very inputs and states of the float32 ones.

A stream feeds what it makes back into itself, so the distance of two streams says how the model goes on from a
difference as well as how large the difference was. Here nothing is fed back: the float32 stream goes on, and before
every call each variant gets a copy of its states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from streamgen_engines.bundle import Bundle
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator
from streamgen_engines.families.pocket import PICTURE_GRAPH, PictureEncoder
from streamgen_engines.manifest import State
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.interface import Array, Engine, Runtime, Signature
from streamgen_engines.text import TextEncoder

STATES: Final = "states"
"""Under which the error of what a graph writes into all its states together is told."""
Errors = dict[str, dict[str, float]]
"""Graph to output to the norm of the difference over the norm of what is right, over all calls."""


@dataclass(slots=True)
class _Sums:
    """Sums of squares of one output."""

    off: float = 0.0
    norm: float = 0.0

    def add(self, found: Array, right: Array) -> None:
        exact = np.asarray(right, np.float64)
        gap = np.asarray(found, np.float64) - exact
        self.off += float(np.sum(gap**2)) if np.isfinite(gap).all() else float("inf")
        self.norm += float(np.sum(exact**2))

    @property
    def error(self) -> float:
        return float(np.sqrt(self.off / max(self.norm, 1e-30)))


@dataclass(slots=True)
class _Tally:
    sums: dict[str, dict[str, dict[str, _Sums]]] = field(default_factory=dict)

    def of(self, variant: str, graph: str, output: str) -> _Sums:
        return self.sums.setdefault(variant, {}).setdefault(graph, {}).setdefault(output, _Sums())


class ForcedRuntime:
    """A runtime on which a float32 bundle runs, and beside it its variants on the same inputs and states.

    What its engines return is what float32 computes.
    """

    def __init__(self, inner: Runtime, reference: Bundle, variants: Mapping[str, Bundle]) -> None:
        self._inner = inner
        self._names = {reference.path(name): name for name in reference.manifest.graphs}
        self._variants = dict(variants)
        self._tally = _Tally()

    @property
    def name(self) -> str:
        """That of the runtime inside."""
        return self._inner.name

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> Engine:
        """Load a graph of the float32 bundle, and that of each variant."""
        graph = self._names[path]
        engine = self._inner.load(path, states, threads=threads, in_place=in_place, held=held)
        others = {
            variant: self._inner.load(bundle.path(graph), states, threads=threads, in_place=in_place, held=held)
            for variant, bundle in self._variants.items()
        }
        return _ForcedEngine(engine, others, graph, tuple(state.name for state in states), self._tally)

    def errors(self) -> dict[str, Errors]:
        """Errors of each variant, of all calls so far."""
        return {
            variant: {
                graph: {output: sums.error for output, sums in outputs.items()} for graph, outputs in graphs.items()
            }
            for variant, graphs in self._tally.sums.items()
        }


class _ForcedEngine:
    def __init__(
        self, reference: Engine, variants: Mapping[str, Engine], graph: str, states: Sequence[str], tally: _Tally
    ) -> None:
        self._reference, self._variants = reference, variants
        self._graph, self._states, self._tally = graph, states, tally

    @property
    def signature(self) -> Signature:
        """That of the float32 graph."""
        return self._reference.signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run all of them from the same states; the float32 result."""
        before = {name: self._reference.state(name).copy() for name in self._states}
        right = self._reference.run(inputs)
        after = {name: self._reference.state(name) for name in self._states}
        # Most of a cache is what it was before: only what this call wrote says anything.
        written = {name: after[name] != before[name] for name in self._states}
        for variant, engine in self._variants.items():
            for name, value in before.items():
                engine.state(name)[...] = value
            found = engine.run(inputs)
            for output, value in right.items():
                self._tally.of(variant, self._graph, output).add(found[output], value)
            for name, where in written.items():
                self._tally.of(variant, self._graph, STATES).add(engine.state(name)[where], after[name][where])
        return right

    def hold(self, arrays: Mapping[str, Array]) -> None:
        """Give held inputs to all of them."""
        for engine in (self._reference, *self._variants.values()):
            engine.hold(arrays)

    def take_states(self, other: Engine) -> None:
        """Go on from the states of another engine; the variants get them with the next call."""
        self._reference.take_states(other._reference if isinstance(other, _ForcedEngine) else other)

    def state(self, name: str) -> Array:
        """The float32 graph's state, which is that of all of them before the next call."""
        return self._reference.state(name)

    def reset(self) -> None:
        """Set every carried state of the float32 graph to zero."""
        self._reference.reset()


def forced_errors(
    reference: Bundle, variants: Mapping[str, Bundle], prompts: Sequence[str], *, chunks: int, seed: int
) -> dict[str, Errors]:
    """Errors of every graph of every variant along float32 streams, one for each prompt.

    Args:
        reference: the bundle in float32.
        variants: by name.
        prompts: of the streams.
        chunks: in each of them.
        seed: of the first stream's noise; each further one takes the next number.
    """
    runtime = ForcedRuntime(OnnxRuntimeCpu(), reference, variants)
    text = TextEncoder(reference, runtime)
    generator, decoder = PocketGenerator(reference, runtime), PocketDecoder(reference, runtime)
    pictures = PictureEncoder(reference, runtime) if PICTURE_GRAPH in reference.manifest.graphs else None
    for number, prompt in enumerate(prompts):
        generator.reset(seed + number)
        decoder.reset(seed + number)
        condition = Condition(text.encode(prompt))
        for _ in range(chunks):
            shown = decoder.decode(generator.step(condition))
        if pictures is not None:
            pictures.encode(shown.video[-1])
    return runtime.errors()
