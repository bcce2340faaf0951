"""What values inside a graph are over a real stream, and the range that eight bits should cover of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray

from streamgen_engines.manifest import State
from streamgen_engines.runtimes.interface import Array, Engine, Runtime, Signature

PER_CALL: Final = 256
"""Numbers of a value that are kept of one call, drawn by chance."""
LEVELS: Final = 255
"""Steps between the smallest and the largest code of eight bits."""
_NARROWER: Final = np.linspace(1.0, 0.3, 29)
"""Shares of the whole range that are tried."""


@dataclass(frozen=True, slots=True)
class Range:
    """Where an activation lies; zero always does.

    Attributes:
        low, high: what the smallest and the largest code stand for; what lies outside is clipped.
    """

    low: float
    high: float


def best_range(values: NDArray[np.float32], *, levels: int = LEVELS) -> Range:
    """The range in which rounding to `levels` steps and clipping together cost least, as a mean of squares.

    A few large numbers would make all steps coarse. Source: Nagel et al. 2021, "A White Paper on Neural Network
    Quantization", section 3.1 (MSE based range setting), here with zero on a step.

    Args:
        values: a sample of the activation, of any shape.
        levels: steps.

    Raises:
        ValueError: there are no values, or one is not finite.
    """
    flat = np.asarray(values, np.float32).reshape(-1)
    if not flat.size or not np.isfinite(flat).all():
        raise ValueError(f"a range needs finite values, not {flat.size} of which some may not be finite")
    least, most = min(float(flat.min()), 0.0), max(float(flat.max()), 0.0)
    if least == most:
        return Range(0.0, 1.0)
    found = [Range(least * share, most * share) for share in _NARROWER.tolist()]
    return min(found, key=lambda each: _cost(flat, each, levels))


def _cost(values: NDArray[np.float32], span: Range, levels: int) -> float:
    step = (span.high - span.low) / levels
    zero = round(-span.low / step)
    back = (np.clip(np.rint(values / step) + zero, 0, levels) - zero) * step
    return float(np.mean(np.square(back - values)))


class WatchingRuntime:
    """A runtime that tells what some values inside one graph are while a model runs on it.

    Attributes:
        seen: sample of each value, one float32 array per call.
    """

    def __init__(self, inner: Runtime, path: Path, names: Sequence[str], *, seed: int = 0) -> None:
        self._inner = inner
        self._path = path
        self._names = tuple(names)
        self._random = np.random.default_rng(seed)
        self.seen: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}

    @property
    def name(self) -> str:
        """That of the runtime inside."""
        return self._inner.name

    def samples(self) -> dict[str, NDArray[np.float32]]:
        """All that was seen of each value."""
        return {name: np.concatenate(parts) if parts else np.empty(0, np.float32) for name, parts in self.seen.items()}

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> Engine:
        """Load one graph; see `Runtime`."""
        if path != self._path:
            return self._inner.load(path, states, threads=threads, in_place=in_place, held=held)
        with TemporaryDirectory() as folder:
            told = Path(folder) / path.name
            told.write_bytes(telling(path.read_bytes(), self._names))
            return _WatchedEngine(self._inner.load(told, states, threads=threads, in_place=in_place, held=held), self)

    def watch(self, inputs: Mapping[str, Array], outputs: dict[str, Array]) -> None:
        """Keep a sample of each watched value of a call; those that were only made for it leave its outputs."""
        for name, seen in self.seen.items():
            found = inputs[name] if name in inputs else outputs.pop(name)
            values = np.asarray(found, np.float32).reshape(-1)
            some = self._random.integers(values.size, size=min(PER_CALL, values.size))
            seen.append(values[some])


class _WatchedEngine:
    def __init__(self, inner: Engine, runtime: WatchingRuntime) -> None:
        self._inner, self._runtime = inner, runtime
        signature = inner.signature
        self._signature = Signature(
            signature.inputs, {name: spec for name, spec in signature.outputs.items() if name not in runtime.seen}
        )

    @property
    def signature(self) -> Signature:
        """That of the graph without the watched values."""
        return self._signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run, and let the runtime see the watched values."""
        outputs = self._inner.run(inputs)
        self._runtime.watch(inputs, outputs)
        return outputs

    def hold(self, arrays: Mapping[str, Array]) -> None:
        """Give held inputs. What is watched is never one of them."""
        self._inner.hold(arrays)

    def take_states(self, other: Engine) -> None:
        """Go on from the states of another engine, which may be watched as well."""
        self._inner.take_states(other._inner if isinstance(other, _WatchedEngine) else other)

    def state(self, name: str) -> Array:
        """The carried state itself."""
        return self._inner.state(name)

    def reset(self) -> None:
        """Set every carried state to zero."""
        self._inner.reset()


def telling(source: bytes, names: Sequence[str]) -> bytes:
    """A graph with some of its values as further outputs; its inputs are left out, whoever calls it has them.

    Raises:
        ValueError: it has no such value, or its shape is not known.
    """
    model = onnx.load_from_string(source)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    known = {value.name: value for value in inferred.graph.value_info}
    outputs = {value.name for value in model.graph.output}
    inside = [name for name in names if name not in {value.name for value in model.graph.input}]
    unknown = [name for name in inside if name not in known or name in outputs]
    if unknown:
        raise ValueError(f"there is nothing to watch inside the graph under the name {', '.join(unknown)}")
    model.graph.output.extend(known[name] for name in inside)
    told: bytes = model.SerializeToString(deterministic=True)
    return told
