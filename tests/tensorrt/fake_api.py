"""TensorRT's Python module as far as a plan is loaded and run, written by hand: who outlives whom is checked.

An engine must not outlive the runtime that made it, nor a context its engine: the objects of TensorRT are freed when
Python drops them, in whatever order it drops them.
"""

from types import SimpleNamespace
from typing import Any

from streamgen_engines.tensorrt.flavour import Flavour, FlavourName

ACTIVATIONS = 1_000
WEIGHTS = 5_000


class FakeApi:
    """The module, and what has happened.

    Attributes:
        ended: what has been freed, in order.
        refuses: which step returns nothing: "engine", "context" or "run".
        says: what TensorRT reports when it refuses.
        tells_weights: whether it has the statistic of an engine's weights.
    """

    __version__ = "9.9"
    DataType = SimpleNamespace(FLOAT=0, HALF=1, INT64=2, INT32=3, UINT8=4, BOOL=5)
    TensorIOMode = SimpleNamespace(INPUT="in", OUTPUT="out")
    LayerInformationFormat = SimpleNamespace(JSON="json")
    EngineStat = SimpleNamespace(TOTAL_WEIGHTS_SIZE="weights")

    def __init__(self, *, refuses: str = "", says: tuple[str, ...] = (), tells_weights: bool = True) -> None:
        self.ended: list[str] = []
        self.refuses, self.says, self.tells_weights = refuses, says, tells_weights
        self.logger = SimpleNamespace(messages=[])

    def flavour(self, name: FlavourName = "tensorrt-rtx") -> Flavour:
        return Flavour(name, self, self.logger)

    def refused(self, step: str) -> bool:
        if self.refuses == step:
            self.logger.messages += self.says
            return True
        return False

    def Runtime(self, logger: object) -> Any:  # noqa: N802 - as TensorRT names it
        assert logger is self.logger
        return _Runtime(self)


class _Part:
    kind = ""

    def __init__(self, api: FakeApi) -> None:
        self.api = api

    def __del__(self) -> None:
        self.api.ended.append(self.kind)


class _Runtime(_Part):
    kind = "runtime"

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        return None if self.api.refused("engine") else _Engine(self.api)


class _Engine(_Part):
    kind = "engine"
    num_io_tensors = 2
    device_memory_size_v2 = ACTIVATIONS

    def __getattr__(self, name: str) -> Any:
        if name == "get_engine_stat" and self.api.tells_weights:
            return lambda stat: WEIGHTS
        raise AttributeError(name)

    def get_tensor_name(self, place: int) -> str:
        return "xy"[place]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (4,)

    def get_tensor_dtype(self, name: str) -> int:
        return 0  # FLOAT

    def get_tensor_mode(self, name: str) -> str:
        return "in" if name == "x" else "out"

    def get_aliased_input_tensor(self, name: str) -> str:
        return ""

    def create_runtime_config(self) -> Any:
        return SimpleNamespace(create_runtime_cache=lambda: _Cache(self.api), set_runtime_cache=lambda cache: None)

    def create_engine_inspector(self) -> Any:
        document = '{"Layers": [{"Name": "mha", "Outputs": [{"Format/Datatype": "Half"}]}]}'
        return SimpleNamespace(get_engine_information=lambda kind: document)

    def create_execution_context(self, config: object = None) -> Any:
        return None if self.api.refused("context") else _Context(self.api)


class _Cache(_Part):
    kind = "cache"

    def deserialize(self, kernels: bytes) -> bool:
        return True

    def serialize(self) -> bytes:
        return b"compiled"


class _Context(_Part):
    kind = "context"

    def set_tensor_address(self, name: str, address: int) -> bool:
        return True

    def execute_async_v3(self, stream: int) -> bool:
        return not self.api.refused("run")
