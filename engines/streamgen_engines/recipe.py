"""What one chunk is computed from, and what computes it: decisions on one side, arithmetic on the other.

A generator decides: which texts, which seed, how many steps, what of the past is seen. What it has decided is a
`Recipe`, and a `ChunkSampler` turns it into latents, on the host with an engine that is called for every pass
(`HostSampler`), or on a GPU without coming back in between (`tensorrt.device_sampler.DeviceSampler`).
"""

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Float32Array, Latents, Resident
from streamgen_engines.prompt import Prompt
from streamgen_engines.runtimes.interface import Signature

Parts: TypeAlias = tuple[tuple[Prompt, float], ...]
"""Texts with a pass each, and the shares of their velocities; one alone counts as it is, whatever its share."""


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """All that a chunk needs besides its random numbers and what the bundle fixes.

    Attributes:
        sigmas: noise levels, falling from 1 to 0; one step between each and the next.
        guidance: how far past the velocity without text to go; 1 = no pass without text.
        shown: texts of the picture, and of the sound too where that has none of its own.
        heard: texts of the sound; empty = those of the picture, in the same passes.
        remembered: the text under which the finished chunk is written into the ring.
        ages: float32 `[slots]`, age of every slot of the ring.
        alone_ages: float32 `[slots]`, the same with everything hidden but the chunk itself.
        alone_above: steps at noise levels above this one take `alone_ages`; None = no step does.
        write_index: first row of the ring that the chunk is written to.
        given: latent of the picture, where it is known and only the sound is made; None = both are made.
    """

    sigmas: tuple[float, ...]
    guidance: float
    shown: Parts
    heard: Parts
    remembered: Prompt
    ages: Float32Array
    alone_ages: Float32Array
    alone_above: float | None
    write_index: int
    given: Float32Array | None = None

    @property
    def steps(self) -> int:
        """Denoising steps."""
        return len(self.sigmas) - 1

    @property
    def guided(self) -> bool:
        """Whether each step has a pass without text."""
        return self.guidance != 1

    def ages_at(self, sigma: float) -> Float32Array:
        """Ages of the step that starts from this noise level."""
        return self.alone_ages if self.alone_above is not None and sigma > self.alone_above else self.ages


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A chunk's clean latents, as arrays of the caller's own, and where they still lie on a device, if they do."""

    latents: Latents
    resident: Resident | None = None


class ChunkSampler(Protocol):
    """The arithmetic of chunks, with the ring. One thread at a time uses it.

    After any error but `ConditionError`, `reset()` comes before the next chunk.
    """

    @property
    def signature(self) -> Signature:
        """Inputs and outputs of its denoise graph, without the ring."""
        ...

    def make(self, recipe: Recipe, start: Latents, echo: Latents) -> Made:
        """Make a chunk, and write it into the ring.

        Args:
            recipe: how.
            start: standard normal noise that it is made from.
            echo: standard normal noise with which it is written.

        Raises:
            ConditionError: the recipe needs more than there is room for.
            NonFiniteError: the model ran away.
            GraphRunError: a graph failed.
        """
        ...

    def write(self, context: Latents, prompt: Prompt, ages: Float32Array, write_index: int) -> None:
        """Write latents that were not made here, noised already, into the ring.

        Raises:
            GraphRunError: the graph failed.
        """
        ...

    def copy_slot(self, source: slice, target: slice) -> None:
        """Copy rows of the ring over others.

        Raises:
            GraphRunError: the device refuses.
        """
        ...

    def reset(self) -> None:
        """Set the ring to zero, after a failure too."""
        ...


@runtime_checkable
class SamplingRuntime(Protocol):
    """A runtime that makes whole chunks where its graphs run."""

    def chunk_sampler(self, bundle: Bundle) -> ChunkSampler:
        """Load a bundle's denoise graph with all the arithmetic around it.

        Raises:
            BundleError: the graph does not load or does not fit the manifest.
            OutOfMemoryError: it does not fit into the memory of the device.
        """
        ...
