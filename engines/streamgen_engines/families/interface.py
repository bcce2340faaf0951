"""What every family offers, whatever its graphs are."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from streamgen_engines.chunk import Chunk, LatentChunk
from streamgen_engines.condition import Condition
from streamgen_engines.families.upscaling import Upscaler
from streamgen_engines.prompt import Prompt


class PromptEncoder(Protocol):
    """Encodes prompts. Threads may share it."""

    def encode(self, text: str) -> Prompt:
        """Encode a text in any language and of any length; what the model does not know degrades, it does not fail."""
        ...

    def blend(self, weighted: Sequence[tuple[str, float]]) -> Prompt:
        """Mix texts, as `streamgen_engines.prompt` describes. One text alone gives exactly its own `encode`.

        Args:
            weighted: (text, weight) pairs; weights are relative, those of 0 drop out.

        Raises:
            PromptError: no positive weight, one that is negative or not finite, or more than `MAX_BLENDED` texts.
        """
        ...

    def close(self) -> None:
        """Give back what it holds, such as connections. Idempotent; nothing is encoded after it."""
        ...


class Generator(Protocol):
    """Makes latent chunks, one after the other, without end."""

    def step(self, condition: Condition) -> LatentChunk:
        """Make the next chunk."""
        ...

    def reset(self, seed: int | None = None) -> None:
        """Begin anew; `seed` None takes the seed in use again."""
        ...


class Decoder(Protocol):
    """Turns latent chunks into pictures and sound."""

    def decode(self, latents: LatentChunk) -> Chunk:
        """Decode the next chunk; chunks come in order, and none may be left out."""
        ...

    def reset(self, seed: int | None = None) -> None:
        """Begin anew; `seed` None takes the seed in use again."""
        ...


@runtime_checkable
class UpscalingDecoder(Protocol):
    """A decoder that may have pictures made larger on the way."""

    @property
    def upscaler(self) -> Upscaler | None:
        """What does it; None where nothing does."""
        ...
