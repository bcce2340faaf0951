"""ONNX Runtime on an NVIDIA GPU.

Inputs, states and outputs are allocated on the device once and bound once; their addresses never change, which CUDA
graphs need as well. A step copies its inputs to the device and its outputs back, once each; states stay where they
are computed. In place, a state is one buffer under the rule of `onnxruntime_cpu`. Otherwise it has two, and there are
two bindings that are used in turn: the second reads what the first writes and the other way round.

`state` hands out a copy in the host's memory. It is written back before the next run, so it is the writable view that
the contract promises, at the price of two copies; the chunk loop asks for one only when the ring's sink moves.

This has not run on a GPU yet: its order of calls is tested on the host's memory, where ONNX Runtime offers the same
ones, and its errors with a stand-in. `tests/engines/test_onnxruntime_cuda_device.py` is for a machine that has one.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

from streamgen_engines.errors import GraphLoadError, RuntimeUnavailableError
from streamgen_engines.manifest import State
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.runtimes.failures import load_error, run_error
from streamgen_engines.runtimes.interface import Array, Engine, Signature, TensorSpec
from streamgen_engines.runtimes.onnxruntime_session import ORT_ERRORS, session_options, tensor_specs
from streamgen_engines.runtimes.tensors import (
    checked_held,
    checked_inputs,
    copy_states,
    require_held,
    require_states,
    without_states,
)

logger = logging.getLogger(__name__)

INSTALL: Final = (
    'pip install "streamgen[cuda]"; pip uninstall -y onnxruntime; '
    "pip install --force-reinstall --no-deps onnxruntime-gpu"
)
"""The packages onnxruntime and onnxruntime-gpu bring the same files, so the one for CPUs has to go."""
PROVIDER: Final = "CUDAExecutionProvider"
_HOST_PROVIDER: Final = "CPUExecutionProvider"
_ASSIGNMENT: Final = "session.record_ep_graph_assignment_info"
_HOST: Final = "cpu"  # ONNX Runtime's name for the host's memory, which it has no copier for
_GRAPH_ID: Final = "gpu_graph_id"  # run option: which captured CUDA graph a run records or replays
_NAMED_OPERATORS: Final = 4


class OnnxRuntimeCuda:
    """Loads graphs with ONNX Runtime's CUDA kernels.

    Args:
        device_id: number of the GPU.
        cuda_graph: record each graph's kernels once and replay them with one launch. Only for graphs all of whose
            operators run on the GPU; others are refused.
        ort: ONNX Runtime's Python module; tests give another.
    """

    def __init__(self, *, device_id: int = 0, cuda_graph: bool = False, ort: Any = onnxruntime) -> None:
        """Look for the provider; the device itself is asked for by the first `load`.

        Raises:
            RuntimeUnavailableError: this ONNX Runtime was built without CUDA.
        """
        if PROVIDER not in ort.get_available_providers():
            raise RuntimeUnavailableError(
                f"the runtime onnxruntime-cuda is not installed here: ONNX Runtime {ort.__version__} has no "
                f"{PROVIDER}; install it with `{INSTALL}`"
            )
        # Finds CUDA and cuDNN where pip has put them; the system's own are found without it.
        ort.preload_dlls()
        self._ort = ort
        self._device_id = device_id
        self._cuda_graph = cuda_graph

    @property
    def name(self) -> str:
        """Short name, as `streamgen doctor` prints it."""
        return "onnxruntime-cuda"

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> "DeviceEngine":
        """Load one graph.

        Args:
            path: the ONNX file; all its inputs and outputs have static shapes.
            states: the tensors that it carries from call to call.
            threads: threads for those operators that have no kernel for the GPU.
            in_place: one buffer per state; the graph must satisfy the rule of `onnxruntime_cpu`.
            held: inputs that are given with `hold`, and copied to the device then.

        Raises:
            RuntimeUnavailableError: there is no device, or its driver or CUDA's libraries are missing.
            GraphLoadError: ONNX Runtime refuses the file, or it cannot be captured as a CUDA graph.
            GraphMismatchError: a state is not an input and an output of the stated shape and type, or a
                tensor has no static shape.
            OutOfMemoryError: graph and states do not fit into the device's memory.
        """
        return self._loaded(str(path), path, states, threads, in_place=in_place, held=held)

    def load_planes(
        self, path: Path, states: Sequence[State], request: PlaneRequest, *, threads: int = 1
    ) -> "DeviceEngine":
        """Load a graph that makes pictures, with planes of them as outputs; results belong to the caller.

        Raises:
            RuntimeUnavailableError: the package `onnx` is not installed; or as `load`.
            GraphLoadError: the graph makes no pictures; or as `load`.
            GraphMismatchError, OutOfMemoryError: as `load`.
        """
        try:
            from streamgen_engines.planes.model import with_planes
        except ImportError as error:
            raise RuntimeUnavailableError(
                f"onnx is not installed ({error}), and without it the GPU cannot make pictures as encoders take them; "
                f"add it with `pip install onnx`"
            ) from error
        return self._loaded(with_planes(path, request), path, states, threads, in_place=False)

    def _loaded(
        self,
        source: str | bytes,
        path: Path,
        states: Sequence[State],
        threads: int,
        *,
        in_place: bool,
        held: Sequence[str] = (),
    ) -> "DeviceEngine":
        """An engine of a file, or of what a file was made into."""
        options = session_options(threads)
        options.add_session_config_entry(_ASSIGNMENT, "1")
        settings = {"device_id": str(self._device_id), "enable_cuda_graph": str(int(self._cuda_graph))}
        name = f"ONNX Runtime {self._ort.__version__} for CUDA"
        try:
            session = self._ort.InferenceSession(
                source, sess_options=options, providers=[(PROVIDER, settings), _HOST_PROVIDER], enable_fallback=0
            )
            # Without a device, driver or library ONNX Runtime takes the CPU and says so in its own log only.
            if PROVIDER not in session.get_providers():
                raise RuntimeUnavailableError(
                    f"{name} finds no GPU {self._device_id} that it can use; `nvidia-smi` must list it, and CUDA and "
                    f'cuDNN must be there: `pip install "onnxruntime-gpu[cuda,cudnn]"`. '
                    f"The runtime onnxruntime-cpu works meanwhile"
                )
            _tell_where(session, path)
            return DeviceEngine(
                self._ort,
                session,
                path,
                states,
                in_place=in_place,
                device="cuda",
                device_id=self._device_id,
                held=held,
            )
        except ORT_ERRORS as error:
            if self._cuda_graph and "graph capture" in str(error).lower():
                raise GraphLoadError(
                    f"{path}: not all of this graph runs on the GPU, so it cannot be a CUDA graph ({error}); "
                    f"load it without cuda_graph"
                ) from error
            raise load_error(
                path, name, error, upgrade='pip install --upgrade "onnxruntime-gpu[cuda,cudnn]"'
            ) from error


@dataclass(frozen=True, slots=True)
class _Turn:
    """One binding: of each state, which buffer is read (0 or 1), and the options of its runs."""

    binding: Any
    options: Any
    reads: int


class DeviceEngine:
    """One graph whose tensors live where it computes. One thread at a time may call it.

    Args:
        ort: ONNX Runtime's Python module.
        session: the loaded graph.
        path: its file, for messages.
        states: the tensors that it carries from call to call.
        in_place: one buffer per state.
        device: ONNX Runtime's name for the kind of memory, `cuda` or, in tests, `cpu`.
        device_id: number of the device.
        held: inputs that stay from run to run.
    """

    def __init__(
        self,
        ort: Any,
        session: Any,
        path: Path,
        states: Sequence[State],
        *,
        in_place: bool,
        device: str,
        device_id: int = 0,
        held: Sequence[str] = (),
    ) -> None:
        self._ort = ort
        self._session = session
        self._path = path
        self._place = (device, device_id)
        self._specs = {state.name: TensorSpec(state.shape, state.dtype) for state in states}
        self._signature = without_states(
            states, tensor_specs(session.get_inputs(), path), tensor_specs(session.get_outputs(), path), path, held
        )

        def buffer(spec: TensorSpec) -> Any:
            return ort.OrtValue.ortvalue_from_shape_and_type(spec.shape, np.dtype(spec.dtype).type, device, device_id)

        self._inputs = {name: buffer(spec) for name, spec in self._signature.inputs.items()}
        self._held = {name: buffer(spec) for name, spec in self._signature.held.items()}
        self._given: set[str] = set()  # held inputs that have been given
        self._outputs = {name: buffer(spec) for name, spec in self._signature.outputs.items()}
        # Buffers of each state: one in place, else two that are read and written in turn.
        self._states: dict[str, tuple[Any, ...]] = {}
        self._zeros: dict[str, Array] = {}
        for name, spec in self._specs.items():
            self._states[name] = (buffer(spec),) if in_place else (buffer(spec), buffer(spec))
            self._zeros[name] = np.zeros(spec.shape, np.dtype(spec.dtype))
        swaps = bool(states) and not in_place
        self._turns = [self._turn(ort, reads) for reads in range(2 if swaps else 1)]
        self._next = 0
        # Copies of states that were handed out and may have been written to.
        self._lent: dict[str, Array] = {}
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
            Every output that is not a state, as fresh arrays in the host's memory that belong to the caller.

        Raises:
            GraphMismatchError: an input is missing, unknown, or of the wrong shape or type.
            GraphRunError: the graph failed; call `reset()` before the next run.
            DeviceLostError: the device is gone, and `reset()` does not bring it back.
        """
        require_held(self._signature, self._given, self._path.name)
        every = list(checked_inputs(self._signature, inputs, self._path))
        turn = self._turns[self._next]
        try:
            self._take_back()
            for name, array in every:
                self._inputs[name].update_inplace(np.ascontiguousarray(array))
            turn.binding.synchronize_inputs()
            self._session.run_with_iobinding(turn.binding, turn.options)
            turn.binding.synchronize_outputs()
            outputs = {name: _fetched(value) for name, value in self._outputs.items()}
        except ORT_ERRORS as error:
            raise run_error(self._path, error) from error
        self._next = (self._next + 1) % len(self._turns)
        return outputs

    def hold(self, arrays: Mapping[str, Array]) -> None:
        """Copy held inputs to the device, where they stay.

        Raises:
            GraphMismatchError: one is unknown or of the wrong shape or type; nothing is held then.
            GraphRunError: they cannot be copied; give them all again.
        """
        every = checked_held(self._signature, arrays, self._path.name)
        self._given -= every.keys()
        try:
            for name, array in every.items():
                self._held[name].update_inplace(np.ascontiguousarray(array))
        except ORT_ERRORS as error:
            raise run_error(self._path, error) from error
        self._given |= every.keys()

    def state(self, name: str) -> Array:
        """The carried state: a copy in the host's memory, written back before the next `run` or lost by a `reset`.

        Raises:
            GraphRunError: it cannot be fetched.
        """
        if name not in self._lent:
            try:
                self._lent[name] = _fetched(self._current(name))
            except ORT_ERRORS as error:
                raise run_error(self._path, error) from error
        return self._lent[name]

    def take_states(self, other: Engine) -> None:
        """Go on from the states of another engine: inside the device where both live there, else over the host.

        Raises:
            GraphMismatchError: it lacks one, or has it in another shape or type; nothing is taken then.
            GraphRunError: they cannot be copied.
        """
        if not isinstance(other, DeviceEngine) or other._place != self._place or self._place[0] == _HOST:
            copy_states(self, self._states, other, self._path.name)
            return
        require_states(self._specs, other._specs, self._path.name)
        try:
            other._take_back()
            self._lent.clear()
            sources = [other._current(name) for name in self._states]
            self._ort.copy_tensors(sources, [self._current(name) for name in self._states])
        except ORT_ERRORS as error:
            # Without a copier for this device, ONNX Runtime refuses; the way over the host tells if the device is gone.
            logger.warning("%s: states go over the host, because they cannot be copied: %s", self._path.name, error)
            copy_states(self, self._states, other, self._path.name)

    def reset(self) -> None:
        """Set every carried state to zero.

        Raises:
            GraphRunError: the device does not answer.
        """
        self._lent.clear()
        self._next = 0
        try:
            for name, buffers in self._states.items():
                for each in buffers:
                    each.update_inplace(self._zeros[name])
        except ORT_ERRORS as error:
            raise run_error(self._path, error) from error

    def _turn(self, ort: Any, reads: int) -> _Turn:
        binding = self._session.io_binding()
        for name, value in (*self._inputs.items(), *self._held.items()):
            binding.bind_ortvalue_input(name, value)
        for name, value in self._outputs.items():
            binding.bind_ortvalue_output(name, value)
        for name, buffers in self._states.items():
            binding.bind_ortvalue_input(name, buffers[reads])
            binding.bind_ortvalue_output(f"{name}_out", buffers[(reads + 1) % len(buffers)])
        options = ort.RunOptions()
        # A captured CUDA graph holds the addresses of its binding, so each has one of its own.
        options.add_run_config_entry(_GRAPH_ID, str(reads + 1))
        return _Turn(binding, options, reads)

    def _current(self, name: str) -> Any:
        return self._states[name][self._turns[self._next].reads]

    def _take_back(self) -> None:
        for name, array in self._lent.items():
            self._current(name).update_inplace(array)
        self._lent.clear()


def _fetched(value: Any) -> Array:
    """A copy of a tensor in the host's memory; of a tensor that lies there already, `numpy` gives a view."""
    array: Array = value.numpy()
    return array if array.flags.owndata else array.copy()


def _tell_where(session: Any, path: Path) -> None:
    """Log which operators of a graph run on the CPU: each costs copies from and to the device in every run."""
    nodes: dict[str, Counter[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        nodes.setdefault(part.ep_name, Counter()).update(node.op_type for node in part.get_nodes())
    left = nodes.get(_HOST_PROVIDER, Counter())
    total = sum(count.total() for count in nodes.values())
    if left:
        named = ", ".join(f"{count} {name}" for name, count in left.most_common(_NAMED_OPERATORS))
        logger.warning(
            "%s: %d of %d operators have no kernel for the GPU and run on the CPU (%s); "
            "graphs in float16 or float32 run there whole",
            path.name,
            left.total(),
            total,
            named,
        )
