"""What a runtime offers that makes planes where it decodes, and an engine whose run can be begun and fetched later."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from streamgen_engines.manifest import State
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.runtimes.interface import Array, Engine, Placed, PlacingEngine

Fetch = Callable[[], dict[str, Array]]
"""Waits for the results of one run and gives them; to be called once."""


@runtime_checkable
class PlanesRuntime(Protocol):
    """A runtime on whose device colours and sizes cost little. Those of CPUs are none: libswscale is faster there."""

    def load_planes(self, path: Path, states: Sequence[State], request: PlaneRequest, *, threads: int = 1) -> Engine:
        """Load a graph that makes `frames`, with the outputs of the request in their place or beside them.

        Results of the engine need not belong to the caller: they may change with the call after the next.

        Raises:
            GraphLoadError: the graph makes no pictures, or is rejected.
        """
        ...


@runtime_checkable
class Beginning(Protocol):
    """An engine that works while its caller does something else."""

    def start(self, inputs: Mapping[str, Array], placed: Mapping[str, Placed]) -> Fetch:
        """Begin what `PlacingEngine.run_placed` does; states advance. Results are given by what is returned."""
        ...

    def advance(self, inputs: Mapping[str, Array], placed: Mapping[str, Placed] | None = None) -> None:
        """Run for the sake of the states; results of earlier runs stay what they are."""
        ...


def begin(engine: Engine, inputs: Mapping[str, Array], placed: Mapping[str, Placed] | None = None) -> Fetch:
    """Begin a run where the engine can, and do it whole where it cannot; with inputs from where they lie, if it can."""
    if isinstance(engine, Beginning):
        return engine.start(inputs, placed or {})
    made = engine.run_placed(inputs, placed) if placed and isinstance(engine, PlacingEngine) else engine.run(inputs)
    return lambda: made


def advance(engine: Engine, inputs: Mapping[str, Array], placed: Mapping[str, Placed] | None = None) -> None:
    """Run for the sake of the states alone; with inputs from where they lie, if it can."""
    if isinstance(engine, Beginning):
        engine.advance(inputs, placed)
    else:
        begin(engine, inputs, placed)()
