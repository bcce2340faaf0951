"""Encoded texts on the GPU: each place in a chunk's passes has a slot, which is filled when its text changes."""

from dataclasses import dataclass

import numpy as np

from streamgen_engines.device.allocations import Allocations, Layout
from streamgen_engines.device.interface import Device
from streamgen_engines.manifest import Text
from streamgen_engines.prompt import Prompt


@dataclass(frozen=True, slots=True)
class PromptPlace:
    """Addresses of one encoded text."""

    context: int
    context_bias: int
    pooled: int


class SlotLayout(Layout):
    """Where the arrays of an encoded text begin in a slot: context, its bias, and the pooled text.

    Attributes:
        shapes: of each.
        offsets: of each.
    """

    def __init__(self, text: Text) -> None:
        super().__init__()
        self.shapes = ((1, text.max_tokens, text.width), (1, text.max_tokens), (1, text.width))
        self.offsets = [self.add(4 * int(np.prod(shape))) for shape in self.shapes]


class PromptSlots:
    """A fixed number of slots.

    Args:
        device: where.
        held: what allocates them, and gives them back.
        text: shapes of an encoded text.
        slots: how many.
    """

    def __init__(self, device: Device, held: Allocations, text: Text, slots: int) -> None:
        self._device = device
        layout = SlotLayout(text)
        shapes, offsets = layout.shapes, layout.offsets
        self._memories = [held.staging(layout.size) for _ in range(slots)]
        self._addresses = [held.allocate(layout.size) for _ in range(slots)]
        self._arrays = [
            [
                memory.view(np.float32)[at // 4 :][: int(np.prod(shape))].reshape(shape)
                for at, shape in zip(offsets, shapes, strict=True)
            ]
            for memory in self._memories
        ]
        self._places = [PromptPlace(*(address + at for at in offsets)) for address in self._addresses]
        self._held: list[Prompt | None] = [None] * slots

    def place(self, slot: int) -> PromptPlace:
        """Where the text of a slot lies."""
        return self._places[slot]

    def put(self, slot: int, prompt: Prompt) -> None:
        """Enqueue the copy of a text into a slot, unless it is there. The slot's last copy must be over."""
        held = self._held[slot]
        if held is not None and _alike(held, prompt):
            return
        for array, source in zip(self._arrays[slot], (prompt.context, prompt.context_bias, prompt.pooled), strict=True):
            array[...] = source
        self._device.upload(self._addresses[slot], self._memories[slot])
        self._held[slot] = prompt

    def forget(self) -> None:
        """Fill every slot anew, whatever it holds."""
        self._held = [None] * len(self._held)


def _alike(one: Prompt, other: Prompt) -> bool:
    """Whether two prompts are the same arrays, or blends of the same arrays; their names alone prove nothing."""
    if one is other:
        return True
    return (
        bool(one.parts)
        and len(one.parts) == len(other.parts)
        and all(a is b and s == t for (a, s), (b, t) in zip(one.parts, other.parts, strict=True))
    )
