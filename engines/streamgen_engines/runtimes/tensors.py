"""What every runtime checks of the tensors that go into a graph and come out of it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from streamgen_engines.errors import GraphMismatchError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes.interface import Array, Signature, TensorSpec


def without_states(
    states: Sequence[State], inputs: Mapping[str, TensorSpec], outputs: Mapping[str, TensorSpec], path: Path
) -> Signature:
    """The signature of a graph: its tensors without the carried states.

    Raises:
        GraphMismatchError: a state is not an input and an output of the stated shape and type.
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
    return Signature(plain_inputs, plain_outputs)


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
        GraphMismatchError: an input is missing, unknown, or of the wrong shape or type.
    """
    unknown = ", ".join(sorted(inputs.keys() - signature.inputs.keys()))
    if unknown:
        raise GraphMismatchError(f"{path.name} has no input {unknown}")
    for name, spec in signature.inputs.items():
        if name not in inputs:
            raise GraphMismatchError(f"{path.name} needs input {name} ({spec})")
        array = inputs[name]
        if array.shape != spec.shape or array.dtype.name != spec.dtype:
            found = TensorSpec(array.shape, array.dtype.name)
            raise GraphMismatchError(f"{path.name}: input {name} is {found}, should be {spec}")
        yield name, array
