"""OpenVINO on the CPU, an optional runtime.

Carried states are OpenVINO's own tensors, allocated once and bound once. In place, one tensor is a state's input and
its output, under the rule of `onnxruntime_cpu`. Otherwise a state has two tensors and the graph two requests, the
second of which reads what the first one writes and the other way round; runs alternate between them, so nothing is
bound again. Inputs are copied into tensors of the request: they are small, the states are not.

OpenVINO reads ONNX by itself, and what its reader does not know is refused. `openvino_operators` teaches it the
operator of the ring. A graph that is refused all the same runs on ONNX Runtime, and the log says which and why: both
compute on the same processor with the same arrays, so the stream plays, only not faster.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import numpy as np

from streamgen_engines.errors import GraphLoadError, RuntimeUnavailableError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes.failures import load_error, run_error
from streamgen_engines.runtimes.interface import Array, Engine, Signature, TensorSpec
from streamgen_engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from streamgen_engines.runtimes.signal_stack import kept_signal_stack
from streamgen_engines.runtimes.tensors import (
    checked_held,
    checked_inputs,
    copy_states,
    require_held,
    static_spec,
    without_states,
)

logger = logging.getLogger(__name__)

INSTALL: Final = 'pip install "streamgen[openvino]"'

_NUMPY_NAMES: Final = {
    "f32": "float32",
    "f16": "float16",
    "i64": "int64",
    "i32": "int32",
    "u8": "uint8",
    "boolean": "bool",
}
_UNKNOWN_OPERATORS: Final = re.compile(r"No conversion rule found for operations: *([^\n]+)")


class OpenVino:
    """Loads graphs with OpenVINO's CPU plugin.

    Attributes:
        refused: why a graph runs on ONNX Runtime instead, by the name of its file.

    Args:
        fall_back: False raises instead where a graph is refused.
    """

    refused: dict[str, str]

    def __init__(self, *, fall_back: bool = True) -> None:
        """Start OpenVINO.

        Raises:
            RuntimeUnavailableError: it is not installed or has no CPU plugin here.
        """
        try:
            import openvino

            from streamgen_engines.runtimes.openvino_operators import conversions
        except ImportError as error:
            raise RuntimeUnavailableError(
                f"the runtime openvino is not installed here ({error}); install it with `{INSTALL}`"
            ) from error
        self._openvino: Any = openvino
        self._core = openvino.Core()
        with kept_signal_stack():
            devices = self._core.available_devices
        if "CPU" not in devices:
            raise RuntimeUnavailableError(
                f"OpenVINO {openvino.__version__} has no CPU plugin here; "
                f"install it again with `pip install --force-reinstall openvino`"
            )
        for conversion in conversions():
            self._core.add_extension(conversion)
        self._substitute = OnnxRuntimeCpu() if fall_back else None
        self.refused = {}

    @property
    def name(self) -> str:
        """Short name, as `streamgen doctor` prints it."""
        return "openvino"

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> Engine:
        """Load one graph.

        Args:
            path: the ONNX file; all its inputs and outputs have static shapes.
            states: the tensors that it carries from call to call.
            threads: compute threads of this graph.
            in_place: one tensor per state; the graph must satisfy the rule of `onnxruntime_cpu`.
            held: inputs that are given with `hold`; they are read where they lie, without a copy.

        Raises:
            GraphLoadError: OpenVINO refuses the graph, and so does ONNX Runtime or there is no falling back.
            GraphMismatchError: a state is not an input and an output of the stated shape and type, or a
                tensor has no static shape.
            OutOfMemoryError: the graph does not fit into memory.
        """
        try:
            return self._load(path, states, threads, in_place=in_place, held=held)
        except GraphLoadError as error:
            if self._substitute is None:
                raise
            engine = self._substitute.load(path, states, threads=threads, in_place=in_place, held=held)
            self.refused[path.name] = str(error)
            logger.warning("%s runs on ONNX Runtime instead: %s", path.name, error)
            return engine

    def _load(
        self, path: Path, states: Sequence[State], threads: int, *, in_place: bool, held: Sequence[str]
    ) -> "OpenVinoEngine":
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": "1",
            # Each graph would pin its thread to the same first core as every other graph.
            "ENABLE_CPU_PINNING": False,
            # Not bfloat16, and no quantising of what the graph does not quantise: the graph's numbers, as elsewhere.
            "INFERENCE_PRECISION_HINT": "f32",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
        }
        try:
            with kept_signal_stack():
                model = self._core.read_model(str(path))
                compiled = self._core.compile_model(model, "CPU", settings)
                return OpenVinoEngine(self._openvino, model, compiled, path, states, in_place=in_place, held=held)
        except (RuntimeError, MemoryError) as error:
            unknown = _UNKNOWN_OPERATORS.search(str(error))
            if unknown is not None:
                raise GraphLoadError(
                    f"{path}: OpenVINO {self._version} knows no {unknown[1].strip()}; upgrade with "
                    f"`pip install --upgrade openvino`, or choose the runtime onnxruntime-cpu"
                ) from error
            raise load_error(
                path, f"OpenVINO {self._version}", error, upgrade="pip install --upgrade openvino"
            ) from error

    @property
    def _version(self) -> str:
        return str(self._openvino.__version__).split("-", 1)[0]


class OpenVinoEngine:
    """One graph with its states. One thread at a time may call it."""

    def __init__(
        self,
        openvino: Any,
        model: Any,
        compiled: Any,
        path: Path,
        states: Sequence[State],
        *,
        in_place: bool,
        held: Sequence[str] = (),
    ) -> None:
        self._path = path
        self._openvino = openvino
        # Of the model as it was read: compiled, a tensor that several operators merely pass on has all of their names.
        inputs, outputs = _specs(model.inputs, path), _specs(model.outputs, path)
        self._signature = without_states(states, inputs, outputs, path, held)
        self._held: dict[str, tuple[Array, Any]] = {}  # the array, and the tensor that reads it
        self._inputs = {name: _tensor(openvino, spec) for name, spec in self._signature.inputs.items()}
        self._outputs = {name: _tensor(openvino, spec) for name, spec in self._signature.outputs.items()}
        # Tensors of each state: what the first request reads, and what it writes; the same one when in place.
        self._states: dict[str, tuple[Any, Any]] = {}
        for state in states:
            read = _tensor(openvino, TensorSpec(state.shape, state.dtype))
            written = read if in_place else _tensor(openvino, TensorSpec(state.shape, state.dtype))
            self._states[state.name] = (read, written)
        alternate = bool(states) and not in_place
        self._requests = [self._request(compiled, back=False)]
        if alternate:
            self._requests.append(self._request(compiled, back=True))
        self._turns = cycle(range(len(self._requests)))
        self._turn = next(self._turns)
        self.reset()

    @property
    def signature(self) -> Signature:
        """Inputs, outputs and held inputs, without the carried states."""
        return self._signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph once; the carried states advance.

        Args:
            inputs: every input that is neither a state nor held, of exactly the signature's shape and type; copied.

        Returns:
            Every output that is not a state, as fresh arrays that belong to the caller.

        Raises:
            GraphMismatchError: an input is missing, unknown, or of the wrong shape or type.
            GraphRunError: the graph failed; call `reset()` before the next run.
        """
        require_held(self._signature, self._held, self._path.name)
        for name, array in checked_inputs(self._signature, inputs, self._path):
            np.copyto(self._inputs[name].data, array)
        request = self._requests[self._turn]
        try:
            # With one thread, `infer` swallows what a node raises and leaves the outputs as they were (2026.4.1).
            request.start_async()
            request.wait()
        except (RuntimeError, MemoryError) as error:
            raise run_error(self._path, error) from error
        self._turn = next(self._turns)
        return {name: tensor.data.copy() for name, tensor in self._outputs.items()}

    def hold(self, arrays: Mapping[str, Array]) -> None:
        """Give held inputs. A contiguous array that may be written to is read where it lies, so that it must not change
        any more; OpenVINO shares no others, and they are copied.

        Raises:
            GraphMismatchError: one is unknown or of the wrong shape or type; nothing is held then.
        """
        for name, array in checked_held(self._signature, arrays, self._path.name).items():
            kept = np.ascontiguousarray(array)
            tensor = self._openvino.Tensor(kept, shared_memory=kept.flags.writeable)
            self._held[name] = (kept, tensor)
            for request in self._requests:
                request.set_tensor(name, tensor)

    def state(self, name: str) -> Array:
        """The carried state itself: a writable view, valid until the next `run`."""
        view: Array = self._states[name][self._turn].data
        return view

    def take_states(self, other: Engine) -> None:
        """Go on from the states of another engine, which are copied.

        Raises:
            GraphMismatchError: it lacks one, or has it in another shape or type; nothing is taken then.
        """
        copy_states(self, self._states, other, self._path.name)

    def reset(self) -> None:
        """Set every carried state to zero."""
        for tensors in self._states.values():
            for tensor in tensors:
                tensor.data.fill(0)

    def _request(self, compiled: Any, *, back: bool) -> Any:
        """A request with everything bound; `back` reads what the other request writes."""
        request = compiled.create_infer_request()
        for name, tensor in (*self._inputs.items(), *self._outputs.items()):
            request.set_tensor(name, tensor)
        for name, (read, written) in self._states.items():
            request.set_tensor(name, written if back else read)
            request.set_tensor(f"{name}_out", read if back else written)
        return request


def _tensor(openvino: Any, spec: TensorSpec) -> Any:
    return openvino.Tensor(openvino.Type(np.dtype(spec.dtype)), openvino.Shape(list(spec.shape)))


def _specs(ports: Sequence[Any], path: Path) -> dict[str, TensorSpec]:
    specs = {}
    for port in ports:
        sizes = [size.get_length() if size.is_static else str(size) for size in port.get_partial_shape()]
        name = _NUMPY_NAMES.get(port.get_element_type().get_type_name())
        specs[port.get_any_name()] = static_spec(port.get_any_name(), sizes, name, path)
    return specs
