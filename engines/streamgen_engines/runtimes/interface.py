"""What every runtime offers: load a graph with its carried states, run it, look at the states."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from numpy.typing import NDArray

from streamgen_engines.errors import GraphMismatchError
from streamgen_engines.manifest import State

Array: TypeAlias = NDArray[Any]
Placed: TypeAlias = Callable[[Any, int], bool]
"""(device, address) -> whether a copy of an input to that address of the device was enqueued; see `chunk.Resident`."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape (static) and numpy type name of one graph input or output."""

    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs, outputs and held inputs of a graph by name, carried states left out."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    held: Mapping[str, TensorSpec] = field(default_factory=dict)

    def require(self, expected: "Signature", *, graph: str) -> None:
        """Check that a loaded graph is the one that the manifest describes.

        Raises:
            GraphMismatchError: naming every tensor that differs.
        """
        faults = [
            *_differences("input", self.inputs, expected.inputs),
            *_differences("output", self.outputs, expected.outputs),
            *_differences("held input", self.held, expected.held),
        ]
        if faults:
            raise GraphMismatchError(
                f"graphs.{graph} does not fit the manifest: {'; '.join(faults)}. Export the bundle again."
            )


class Engine(Protocol):
    """One graph, loaded and ready. Not thread-safe: one thread at a time calls it."""

    @property
    def signature(self) -> Signature:
        """Inputs, outputs and held inputs, without the carried states."""
        ...

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph once; states advance. The returned arrays belong to the caller.

        `inputs` are all that are neither states nor held.
        """
        ...

    def hold(self, arrays: Mapping[str, Array]) -> None:
        """Give held inputs, which stay until others of the same name take their place; `reset` leaves them.

        An array may be read where it lies, in any later run: the caller does not change it any more. All of `arrays` is
        checked first, so that a wrong one changes nothing. Before each held input was given once, `run` is an error.
        """
        ...

    def state(self, name: str) -> Array:
        """The carried state itself: a writable view, valid until the next `run`."""
        ...

    def take_states(self, other: "Engine") -> None:
        """Go on from the states of another engine, which has all of this one's and keeps them as they are.

        Raises:
            GraphMismatchError: it lacks one, or has it in another shape or type; nothing is taken then.
        """
        ...

    def reset(self) -> None:
        """Set every carried state to zero."""
        ...


@runtime_checkable
class PlacingEngine(Protocol):
    """An engine that can take inputs from where they already lie on its device."""

    def run_placed(self, inputs: Mapping[str, Array], placed: Mapping[str, Placed]) -> dict[str, Array]:
        """Run once, as `Engine.run` does.

        Args:
            inputs: all of them, for what cannot be taken from the device; what is sure to lie there may be left out.
            placed: those that may be, by name.
        """
        ...


class Left(Protocol):
    """What one run has left on the device, until the engine that made it runs again."""

    def place(self, name: str, order: Sequence[int] | None = None) -> Placed:
        """What copies a result to an input of another engine of the device, once the run is done; nobody waits here.

        Args:
            name: of the result.
            order: which pieces of its first axis, one after the other; None is all of them as they lie.
        """
        ...

    def fetch(self) -> dict[str, Array]:
        """Wait for the run, and give those results that come to the host as well, as arrays of the caller's own."""
        ...


@runtime_checkable
class Leaving(Protocol):
    """An engine whose results lie on the device for another one there, which reads them on a stream of its own."""

    def leave(self, inputs: Mapping[str, Array], placed: Mapping[str, Placed] | None = None) -> Left:
        """Begin what `PlacingEngine.run_placed` does, and leave the results where they are; states advance."""
        ...


class Runtime(Protocol):
    """Loads graphs onto one kind of device."""

    @property
    def name(self) -> str:
        """Short name, as `streamgen doctor` prints it."""
        ...

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> Engine:
        """Load one graph; `threads` compute threads are its own.

        `in_place` binds each state's input and output to one buffer, which only a graph made for it stands: no node
        may read a state after its new value could have been written.

        `held` names inputs that are given with `Engine.hold` instead of with every run: large ones that seldom change.
        """
        ...


@runtime_checkable
class LeavingRuntime(Protocol):
    """A runtime with a device of its own, where results of one graph can be inputs of the next without a detour."""

    def load_leaving(
        self, path: Path, states: Sequence[State] = (), *, threads: int = 1, fetches: bool = False
    ) -> Engine:
        """Load a graph whose engine is `Leaving`; with `fetches`, its results come to the host as well."""
        ...


@runtime_checkable
class ClosableRuntime(Protocol):
    """A runtime that owns memory of a device."""

    def close(self) -> None:
        """Give it back, with every engine that was loaded here. Idempotent."""
        ...


def _differences(kind: str, found: Mapping[str, TensorSpec], expected: Mapping[str, TensorSpec]) -> list[str]:
    faults = []
    for name, spec in expected.items():
        if name not in found:
            faults.append(f"{kind} {name} is missing (should be {spec})")
        elif found[name] != spec:
            faults.append(f"{kind} {name} is {found[name]}, should be {spec}")
    faults += [f"{kind} {name} is unexpected" for name in found if name not in expected]
    return faults
