"""An engine for tests that counts how often it runs."""

from collections.abc import Mapping

from streamgen_engines.runtimes import Array, Engine, Signature


class CountingEngine:
    """Counts the runs of another engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.runs = 0

    @property
    def signature(self) -> Signature:
        return self.engine.signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self.runs += 1
        return self.engine.run(inputs)

    def hold(self, arrays: Mapping[str, Array]) -> None:
        self.engine.hold(arrays)

    def take_states(self, other: Engine) -> None:
        self.engine.take_states(other.engine if isinstance(other, CountingEngine) else other)

    def state(self, name: str) -> Array:
        return self.engine.state(name)

    def reset(self) -> None:
        self.engine.reset()
