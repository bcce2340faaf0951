"""What every family offers, whatever its graphs are."""

from typing import Protocol

from streamgen_engines.chunk import Chunk, LatentChunk
from streamgen_engines.condition import Condition


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
