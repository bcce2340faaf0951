"""The denoise plan, run again and again on one stream, each time with other addresses."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamgen_engines.device.allocations import Allocations
from streamgen_engines.device.chunk_block import Pair
from streamgen_engines.device.executable import Executable
from streamgen_engines.device.interface import Device
from streamgen_engines.device.prompt_slots import PromptPlace
from streamgen_engines.errors import GraphMismatchError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes.interface import Signature
from streamgen_engines.runtimes.tensors import without_states


@dataclass(frozen=True, slots=True)
class _Ring:
    """One tensor of the ring: where it is read, and where its new value is written (the same place when in place)."""

    read: int
    written: int
    shape: tuple[int, ...]
    item: int  # bytes of a number

    @property
    def size(self) -> int:
        return int(np.prod(self.shape)) * self.item


class Passes:
    """The plan with its ring.

    Args:
        executable: the plan.
        device: where it was loaded.
        held: what allocates the ring, and gives it back.
        states: the ring's tensors, `[1, heads, rows, width]` each.
        write_index: where the first row to be written is told.
        name: how error messages name it.

    Raises:
        GraphMismatchError: a state is not an input and an output of the stated shape and type.
    """

    def __init__(
        self,
        executable: Executable,
        device: Device,
        held: Allocations,
        states: Sequence[State],
        *,
        write_index: int,
        name: str,
    ) -> None:
        self._executable, self._device = executable, device
        self._signature = without_states(states, executable.inputs, executable.outputs, Path(name))
        self._rings: list[_Ring] = []
        for state in states:
            item = np.dtype(state.dtype).itemsize
            size = int(np.prod(state.shape)) * item
            shared = executable.aliased(state.output)
            if shared is not None and shared != state.name:
                raise GraphMismatchError(
                    f"{name}: {state.output} has to share the memory of {shared}, and not of its state {state.name}; "
                    f"export the bundle again"
                )
            read = held.allocate(size)
            written = read if shared is not None else held.allocate(size)
            executable.bind(state.name, read)
            executable.bind(state.output, written)
            self._rings.append(_Ring(read, written, state.shape, item))
        executable.bind("write_index", write_index)

    @property
    def signature(self) -> Signature:
        """Inputs and outputs, without the ring."""
        return self._signature

    def run(self, x: Pair, sigma: int, age: int, prompt: PromptPlace, out: Pair) -> None:
        """Enqueue one pass: the velocity of `x` goes to `out`, its keys and values go into the ring."""
        bind = self._executable.bind
        bind("video", x.video)
        bind("audio", x.audio)
        bind("sigma", sigma)
        bind("age", age)
        bind("context", prompt.context)
        bind("context_bias", prompt.context_bias)
        bind("pooled", prompt.pooled)
        bind("video_velocity", out.video)
        bind("audio_velocity", out.audio)
        self._executable.enqueue(self._device.stream)
        for ring in self._rings:
            if ring.written != ring.read:
                self._device.copy(ring.read, ring.written, ring.size)

    def copy_rows(self, source: slice, target: slice) -> None:
        """Enqueue the copy of rows of the ring over others."""
        for ring in self._rings:
            heads, rows, width = ring.shape[1:]
            row = width * ring.item
            self._device.copy_rows(
                ring.read + target.start * row,
                ring.read + source.start * row,
                width=(source.stop - source.start) * row,
                pitch=rows * row,
                count=ring.shape[0] * heads,
            )

    def clear(self) -> None:
        """Enqueue setting the ring to zero."""
        for ring in self._rings:
            self._device.zero(ring.read, ring.size)
            if ring.written != ring.read:
                self._device.zero(ring.written, ring.size)
