"""An engine that keeps what it is given."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from streamgen_engines.manifest import State
from streamgen_engines.runtimes import Array, Engine, OnnxRuntimeCpu, Signature


class WatchedEngine:
    """Keeps what every run was given, and the ring after it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.given: list[dict[str, Array]] = []

    @property
    def signature(self) -> Signature:
        return self.engine.signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self.given.append(dict(inputs))
        return self.engine.run(inputs)

    def hold(self, arrays: Mapping[str, Array]) -> None:
        self.engine.hold(arrays)

    def take_states(self, other: Engine) -> None:
        self.engine.take_states(other)

    def state(self, name: str) -> Array:
        return self.engine.state(name)

    def reset(self) -> None:
        self.engine.reset()


class WatchedRuntime:
    name = "watched"

    def __init__(self) -> None:
        self.engine: WatchedEngine

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> Engine:
        self.engine = WatchedEngine(OnnxRuntimeCpu().load(path, states, threads=threads, in_place=in_place, held=held))
        return self.engine
