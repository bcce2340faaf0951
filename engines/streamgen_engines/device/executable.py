"""A graph that a runtime has loaded onto a device, as far as an engine needs it: tensors, addresses, one call."""

from typing import Protocol

from streamgen_engines.runtimes.interface import TensorSpec


class Executable(Protocol):
    """A graph on the device. Shapes are static. One thread at a time uses it."""

    @property
    def inputs(self) -> dict[str, TensorSpec]:
        """Every input, states among them."""
        ...

    @property
    def outputs(self) -> dict[str, TensorSpec]:
        """Every output, states among them."""
        ...

    def aliased(self, output: str) -> str | None:
        """The input whose memory this output has to share; None when it has memory of its own."""
        ...

    def bind(self, name: str, address: int) -> None:
        """Tell where an input or output lies."""
        ...

    def enqueue(self, stream: int) -> None:
        """Run once, in the order of the stream.

        Raises:
            GraphRunError: the runtime refuses.
        """
        ...

    def capturable(self, stream: int) -> bool:
        """Whether a call can be recorded; only after the first one."""
        ...

    def close(self) -> None:
        """Give it back. Idempotent; nothing else may be called afterwards."""
        ...
