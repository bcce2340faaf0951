"""ONNX Runtime on the CPU: the default runtime.

Carried states are allocated once, and no step copies them. By default a state has two buffers, read and written,
which are swapped after every run. That is always right, but a cache of which a run changes only a part would be
copied whole. In place, one buffer is bound as the state's input and as its output: a 64 MiB cache write costs
microseconds instead of milliseconds. ONNX Runtime does not know that the two are the same memory, so a graph
that is loaded in place must satisfy one rule, by construction:

    every node that reads state `x` runs before the node that writes `x_out`, because `x_out` is computed
    from that node's result; and the node that writes `x_out` reads `x` itself only if it is element-wise
    or a TensorScatter.

A cache satisfies it when attention reads `k_out` (never `k`) after the scatter. A decoder whose new state is simply
its newest input does not: the new state may be written before the old one is read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from streamgen_engines.manifest import State
from streamgen_engines.runtimes.failures import load_error, run_error
from streamgen_engines.runtimes.interface import Array, Engine, Signature, TensorSpec
from streamgen_engines.runtimes.onnxruntime_session import ORT_ERRORS, session_options, tensor_specs
from streamgen_engines.runtimes.tensors import checked_held, checked_inputs, copy_states, require_held, without_states


class OnnxRuntimeCpu:
    """Loads graphs with ONNX Runtime's CPU kernels.

    Args:
        in_place: False never binds in place, whatever `load` asks for: the reference in tests.
    """

    def __init__(self, *, in_place: bool = True) -> None:
        self._in_place = in_place

    @property
    def name(self) -> str:
        """Short name, as `streamgen doctor` prints it."""
        return "onnxruntime-cpu"

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> "OnnxRuntimeEngine":
        """Load one graph.

        Args:
            path: the ONNX file; all its inputs and outputs have static shapes.
            states: the tensors that it carries from call to call.
            threads: compute threads of this graph; 1 means that it runs on the caller's thread alone.
            in_place: one buffer per state; the graph must satisfy the rule at the top of this file.
            held: inputs that are given with `hold`; they are read where they lie, without a copy.

        Raises:
            GraphLoadError: ONNX Runtime refuses the file.
            GraphMismatchError: a state is not an input and an output of the stated shape and type, or a
                tensor has no static shape.
            OutOfMemoryError: graph and states do not fit into memory.
        """
        try:
            session = ort.InferenceSession(
                str(path), sess_options=session_options(threads), providers=["CPUExecutionProvider"]
            )
            return OnnxRuntimeEngine(session, path, states, in_place=in_place and self._in_place, held=held)
        except ORT_ERRORS as error:
            raise load_error(
                path, f"ONNX Runtime {ort.__version__}", error, upgrade="pip install --upgrade onnxruntime"
            ) from error


class OnnxRuntimeEngine:
    """One graph on the CPU with its states. One thread at a time may call it."""

    def __init__(
        self, session: Any, path: Path, states: Sequence[State], *, in_place: bool, held: Sequence[str] = ()
    ) -> None:
        self._session = session
        self._path = path
        self._binding = session.io_binding()
        self._signature = without_states(
            states, tensor_specs(session.get_inputs(), path), tensor_specs(session.get_outputs(), path), path, held
        )
        self._held: dict[str, Array] = {}

        # Read and written buffer of each state; the same one when in place.
        self._states: dict[str, tuple[_Buffer, _Buffer]] = {}
        for state in states:
            spec = TensorSpec(state.shape, state.dtype)
            read = _Buffer(spec)
            self._states[state.name] = (read, read if in_place else _Buffer(spec))
        self._in_place = in_place
        self._bind_states()
        # Outputs are written here by every run and handed out as copies, so that no result changes later.
        self._outputs = {name: _Buffer(spec) for name, spec in self._signature.outputs.items()}
        for name, buffer in self._outputs.items():
            self._binding.bind_ortvalue_output(name, buffer.value)

    @property
    def signature(self) -> Signature:
        """Inputs, outputs and held inputs, without the carried states."""
        return self._signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph once; the carried states advance.

        Args:
            inputs: every input that is neither a state nor held, with exactly the shape and type of the signature.
                A contiguous array is read where it lies, without a copy, until the call returns.

        Returns:
            Every output that is not a state, as fresh arrays that belong to the caller.

        Raises:
            GraphMismatchError: an input is missing, unknown, or of the wrong shape or type.
            GraphRunError: the graph failed; call `reset()` before the next run.
        """
        require_held(self._signature, self._held, self._path.name)
        # The binding keeps a contiguous array alive until another one takes its place.
        for name, array in checked_inputs(self._signature, inputs, self._path):
            self._binding.bind_cpu_input(name, np.ascontiguousarray(array))
        try:
            self._session.run_with_iobinding(self._binding)
        except ORT_ERRORS as error:
            raise run_error(self._path, error) from error
        if not self._in_place:
            self._states = {name: (new, old) for name, (old, new) in self._states.items()}
            self._bind_states()
        return {name: buffer.array.copy() for name, buffer in self._outputs.items()}

    def hold(self, arrays: Mapping[str, Array]) -> None:
        """Give held inputs. A contiguous array is read where it lies, so that it must not change any more.

        Raises:
            GraphMismatchError: one is unknown or of the wrong shape or type; nothing is held then.
        """
        for name, array in checked_held(self._signature, arrays, self._path.name).items():
            self._held[name] = np.ascontiguousarray(array)
            self._binding.bind_cpu_input(name, self._held[name])

    def state(self, name: str) -> Array:
        """The carried state itself: a writable view, valid until the next `run`."""
        return self._states[name][0].array

    def take_states(self, other: Engine) -> None:
        """Go on from the states of another engine, which are copied.

        Raises:
            GraphMismatchError: it lacks one, or has it in another shape or type; nothing is taken then.
        """
        copy_states(self, self._states, other, self._path.name)

    def reset(self) -> None:
        """Set every carried state to zero."""
        for read, written in self._states.values():
            read.array.fill(0)
            written.array.fill(0)

    def _bind_states(self) -> None:
        for name, (read, written) in self._states.items():
            self._binding.bind_ortvalue_input(name, read.value)
            self._binding.bind_ortvalue_output(f"{name}_out", written.value)


class _Buffer:
    """Zeroed memory seen as a numpy array and as an OrtValue at once."""

    def __init__(self, spec: TensorSpec) -> None:
        self.array: Array = np.zeros(spec.shape, np.dtype(spec.dtype))
        self.value = ort.OrtValue.ortvalue_from_numpy(self.array)
