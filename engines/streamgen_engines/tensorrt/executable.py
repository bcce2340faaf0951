"""A plan that TensorRT has loaded, as far as an engine needs it: tensors, addresses, one call."""

from typing import Any

from streamgen_engines.device.cuda import gpu_count
from streamgen_engines.errors import GraphLoadError, GraphRunError
from streamgen_engines.runtimes.failures import call_error, plan_error
from streamgen_engines.runtimes.interface import TensorSpec
from streamgen_engines.tensorrt.flavour import Flavour
from streamgen_engines.tensorrt.inspection import EngineReport, engine_report
from streamgen_engines.tensorrt.plans import PlanMemory


class TensorRtExecutable:
    """`Executable` of the real TensorRT.

    Args:
        flavour: which TensorRT.
        plan: a serialised engine of the same version, for this GPU.
        name: how error messages name the graph.
        kernels: what TensorRT-RTX compiled in an earlier process, empty at first.
    """

    def __init__(self, flavour: Flavour, plan: bytes, name: str, *, kernels: bytes = b"") -> None:
        """Load it.

        Raises:
            GraphLoadError: it is cut short, of another version, or for another GPU.
            OutOfMemoryError: the GPU has no room for it, which says nothing against the plan.
            DeviceLostError: the GPU or its driver is gone.
        """
        if not gpu_count():  # TensorRT's runtime does not return from here: it ends the process
            raise GraphLoadError(f"{name}: no GPU can be used here, so its plan cannot be loaded")
        api = flavour.api
        self._flavour, self._name, self._plan_bytes = flavour, name, len(plan)
        self._cache: Any = None
        self._context: Any = None
        self._engine: Any = None
        flavour.logger.messages.clear()
        self._runtime: Any = api.Runtime(flavour.logger)
        try:
            self._engine = self._runtime.deserialize_cuda_engine(plan)
            if self._engine is not None:
                self._context = self._make_context(kernels)
            if self._context is None:
                raise plan_error(name, f"{flavour.name} {flavour.version}", flavour.errors())
            self.inputs, self.outputs = self._tensors()
        except BaseException:
            self.close()
            raise

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]

    def aliased(self, output: str) -> str | None:
        """The input whose memory this output has to share; None when it has memory of its own."""
        found = self._engine.get_aliased_input_tensor(output)
        return str(found) if found else None

    def bind(self, name: str, address: int) -> None:
        """Tell where an input or output lies."""
        self._require_open()
        if not self._context.set_tensor_address(name, address):
            raise GraphLoadError(f"{self._name}: tensor {name} cannot be bound ({self._flavour.errors()})")

    def enqueue(self, stream: int) -> None:
        """Run once, in the order of the stream."""
        self._require_open()
        if not self._context.execute_async_v3(stream):
            raise call_error(self._name, self._flavour.errors())

    def capturable(self, stream: int) -> bool:
        """Whether a call can be recorded; TensorRT-RTX knows, the full TensorRT has no such question and finds out."""
        self._require_open()
        if not hasattr(self._context, "is_stream_capturable"):
            return True
        return bool(self._context.is_stream_capturable(stream))

    def kernels(self) -> bytes:
        """What TensorRT-RTX has compiled so far, for the next process; empty with the full TensorRT, or once closed."""
        made = None if self._cache is None else self._cache.serialize()
        return b"" if made is None else bytes(memoryview(made))

    def report(self) -> EngineReport:
        """What TensorRT made of the network."""
        self._require_open()
        api = self._flavour.api
        text = self._engine.create_engine_inspector().get_engine_information(api.LayerInformationFormat.JSON)
        memory = self.memory()
        return engine_report(text, memory.activations, memory.weights)

    def memory(self) -> PlanMemory:
        """What it takes of the GPU."""
        self._require_open()
        weights = self._plan_bytes  # weights are nearly all of a plan, and older versions do not tell
        if hasattr(self._engine, "get_engine_stat"):
            told = int(self._engine.get_engine_stat(self._flavour.api.EngineStat.TOTAL_WEIGHTS_SIZE))
            weights = told if told >= 0 else weights
        return PlanMemory(weights, int(self._engine.device_memory_size_v2))

    def close(self) -> None:
        """Give back the context, then the engine, then the runtime: each lives on the next. Idempotent."""
        self._context = None
        self._cache = None
        self._engine = None
        self._runtime = None

    def _require_open(self) -> None:
        if self._context is None:
            raise GraphRunError(f"{self._name} has been closed; load it again")

    def _make_context(self, kernels: bytes) -> Any:
        if not self._flavour.portable:
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        self._cache = config.create_runtime_cache()
        if kernels:
            self._cache.deserialize(kernels)  # of another driver: it begins anew
        config.set_runtime_cache(self._cache)
        return self._engine.create_execution_context(config)

    def _tensors(self) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
        api = self._flavour.api
        names = {
            api.DataType.FLOAT: "float32",
            api.DataType.HALF: "float16",
            api.DataType.INT64: "int64",
            api.DataType.INT32: "int32",
            api.DataType.UINT8: "uint8",
            api.DataType.BOOL: "bool",
        }
        inputs: dict[str, TensorSpec] = {}
        outputs: dict[str, TensorSpec] = {}
        for place in range(self._engine.num_io_tensors):
            tensor = self._engine.get_tensor_name(place)
            shape = tuple(int(size) for size in self._engine.get_tensor_shape(tensor))
            kind = self._engine.get_tensor_dtype(tensor)
            if -1 in shape or kind not in names:
                raise GraphLoadError(f"{self._name}: tensor {tensor} is {kind} {list(shape)}; export static shapes")
            side = inputs if self._engine.get_tensor_mode(tensor) == api.TensorIOMode.INPUT else outputs
            side[tensor] = TensorSpec(shape, names[kind])
        return inputs, outputs
