"""What every runtime checks of the tensors that go into a graph and come out of it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from streamgen_engines.errors import GraphMismatchError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes.interface import Array, Engine, Signature, TensorSpec

_NAMED: Final = 3  # held inputs in one message; a model may have dozens


def without_states(
    states: Sequence[State],
    inputs: Mapping[str, TensorSpec],
    outputs: Mapping[str, TensorSpec],
    path: Path,
    held: Sequence[str] = (),
) -> Signature:
    """The signature of a graph: its tensors without the carried states, and the held inputs apart.

    Raises:
        GraphMismatchError: a state is not an input and an output of the stated shape and type, or a held input is none.
    """
    plain_inputs, plain_outputs = dict(inputs), dict(outputs)
    for state in states:
        wanted = TensorSpec(state.shape, state.dtype)
        for kind, name, specs in (("input", state.name, plain_inputs), ("output", state.output, plain_outputs)):
            found = specs.pop(name, None)
            if found != wanted:
                raise GraphMismatchError(
                    f"{path}: state {state.name} should be {kind} {name} of {wanted}, "
                    f"the graph has {found or 'none'}; export the bundle again"
                )
    return Signature(plain_inputs, plain_outputs, take_held(held, plain_inputs, str(path)))


def take_held(held: Sequence[str], inputs: dict[str, TensorSpec], graph: str) -> dict[str, TensorSpec]:
    """Move held inputs out of the plain ones.

    Raises:
        GraphMismatchError: the graph has no such input.
    """
    missing = [name for name in held if name not in inputs]
    if missing:
        raise GraphMismatchError(f"{graph}: there is no input {_some(missing)} to hold; export the bundle again")
    return {name: inputs.pop(name) for name in held}


def static_spec(name: str, shape: Sequence[object], dtype: str | None, path: Path) -> TensorSpec:
    """The spec of a tensor as a runtime reports it; `dtype` None is a type that no bundle has.

    Raises:
        GraphMismatchError: a dimension is not a number, or the type is not supported.
    """
    sizes = tuple(size for size in shape if isinstance(size, int))
    if len(sizes) != len(shape):
        raise GraphMismatchError(
            f"{path}: tensor {name} has the dynamic shape {list(shape)}; export the graph with static shapes"
        )
    if dtype is None:
        raise GraphMismatchError(f"{path}: tensor {name} has an unsupported type; export the bundle again")
    return TensorSpec(sizes, dtype)


def checked_inputs(signature: Signature, inputs: Mapping[str, Array], path: Path) -> Iterator[tuple[str, Array]]:
    """Every input by name, in the order of the signature, checked before it is handed on.

    Raises:
        GraphMismatchError: an input is missing, unknown, held, or of the wrong shape or type.
    """
    refuse_held(signature, inputs, path.name)
    unknown = ", ".join(sorted(inputs.keys() - signature.inputs.keys()))
    if unknown:
        raise GraphMismatchError(f"{path.name} has no input {unknown}")
    for name, spec in signature.inputs.items():
        if name not in inputs:
            raise GraphMismatchError(f"{path.name} needs input {name} ({spec})")
        array = inputs[name]
        check_array(name, array, spec, path.name)
        yield name, array


def checked_held(signature: Signature, arrays: Mapping[str, Array], graph: str) -> Mapping[str, Array]:
    """Arrays for held inputs, all of them checked before any is handed on.

    Raises:
        GraphMismatchError: one is no held input, or of the wrong shape or type.
    """
    for name, array in arrays.items():
        spec = signature.held.get(name)
        if spec is None:
            raise GraphMismatchError(f"{graph} has no held input {name}")
        check_array(name, array, spec, graph)
    return arrays


def require_held(signature: Signature, given: Collection[str], graph: str) -> None:
    """Nothing may run before every held input was given.

    Raises:
        GraphMismatchError: naming what is missing.
    """
    missing = [name for name in signature.held if name not in given]
    if missing:
        raise GraphMismatchError(
            f"{graph} needs the held input {_some(missing)}; give it with `hold` before the first run"
        )


def refuse_held(signature: Signature, inputs: Mapping[str, Array], graph: str) -> None:
    """A run takes no held inputs.

    Raises:
        GraphMismatchError: naming those that were given.
    """
    wrong = [name for name in inputs if name in signature.held]
    if wrong:
        raise GraphMismatchError(f"{graph}: input {_some(wrong)} is held; give it with `hold`, not with a run")


def require_states(wanted: Mapping[str, TensorSpec], found: Mapping[str, TensorSpec], graph: str) -> None:
    """An engine goes on from states that are all of its own.

    Raises:
        GraphMismatchError: one is missing, or of another shape or type.
    """
    for name, spec in wanted.items():
        if found.get(name) != spec:
            raise GraphMismatchError(
                f"{graph} cannot go on from an engine whose state {name} is {found.get(name) or 'missing'}, "
                f"it should be {spec}; export the bundle again"
            )


def copy_states(engine: Engine, names: Iterable[str], other: Engine, graph: str) -> None:
    """Go on from another engine's states over the host's memory, whatever runtime it is of.

    Raises:
        GraphMismatchError: it lacks one, or has it in another shape or type; nothing is copied then.
    """
    pairs = {}
    for name in names:
        try:
            pairs[name] = engine.state(name), other.state(name)
        except KeyError:
            raise GraphMismatchError(
                f"{graph} cannot go on from an engine whose state {name} is missing; export the bundle again"
            ) from None
    wanted, found = (
        {name: TensorSpec(pair[side].shape, pair[side].dtype.name) for name, pair in pairs.items()} for side in (0, 1)
    )
    require_states(wanted, found, graph)
    for target, source in pairs.values():
        np.copyto(target, source)


def check_array(name: str, array: Array, spec: TensorSpec, graph: str) -> None:
    """Shape and type of one array.

    Raises:
        GraphMismatchError: they are others.
    """
    if array.shape != spec.shape or array.dtype.name != spec.dtype:
        found = TensorSpec(array.shape, array.dtype.name)
        raise GraphMismatchError(f"{graph}: input {name} is {found}, should be {spec}")


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
