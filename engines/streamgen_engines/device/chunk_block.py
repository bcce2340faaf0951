"""All that changes from chunk to chunk, in one piece of memory that is copied to the GPU once per chunk.

    start, echo | write index | of the context pass: sigma, ages | shares | of each step: sigma, coefficients, ages

Each number or vector has a cell of its own, because a tensor must begin on a boundary. Cells of the steps come last, so
that fewer steps copy less.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from streamgen_engines.chunk import Float32Array, Latents
from streamgen_engines.device.allocations import ALIGNMENT, Allocations, Layout, aligned
from streamgen_engines.device.interface import Device
from streamgen_engines.device.sampler_graphs import COEFFICIENTS
from streamgen_engines.errors import ConditionError
from streamgen_engines.manifest import PocketManifest
from streamgen_engines.prompt import MAX_BLENDED
from streamgen_engines.recipe import Recipe

MAX_STEPS: Final = 64
"""Denoising steps that there is room for; models take 4, and more than some tens change nothing any more."""
_FLOAT: Final = 4
_CELL: Final = ALIGNMENT // _FLOAT


@dataclass(frozen=True, slots=True)
class Pair:
    """Addresses of one latent, or velocity, of each side."""

    video: int
    audio: int


class BlockLayout(Layout):
    """Where each part of the block begins.

    Attributes:
        noise: of start and echo, picture and sound each.
        index: of the write index.
        sigma: of the noise level of the context pass.
        age: of its ages.
        shares: of the first share.
        row: bytes of the cells of one step.
        steps: of the cells of the first step.
    """

    def __init__(self, manifest: PocketManifest) -> None:
        super().__init__()
        shapes = 2 * ((1, *manifest.video.latent), (1, *manifest.audio.latent))
        age_size = aligned(_FLOAT * manifest.attention.slots)
        self.noise = [self.add(_FLOAT * int(np.prod(shape))) for shape in shapes]
        self.index, self.sigma, self.age = self.add(8), self.add(_FLOAT), self.add(age_size)
        self.shares = self.add(2 * MAX_BLENDED * ALIGNMENT)
        self.row = 2 * ALIGNMENT + age_size
        self.steps = self.add(MAX_STEPS * self.row)


class ChunkBlock:
    """The block on both sides.

    Args:
        device: where.
        held: what allocates it, and gives it back.
        manifest: of the bundle.

    Attributes:
        start: noise that the chunk is made from.
        echo: noise with which it is written into the ring.
        write_index: where in the ring, int64 `[1]`.
        context_sigma: noise level of the pass that writes it.
        context_age: ages for that pass.
    """

    def __init__(self, device: Device, held: Allocations, manifest: PocketManifest) -> None:
        self._device = device
        video, audio = (1, *manifest.video.latent), (1, *manifest.audio.latent)
        self._slots = manifest.attention.slots
        layout = BlockLayout(manifest)
        noise, index, sigma, age = layout.noise, layout.index, layout.sigma, layout.age
        self._shares_at, self._row, self._steps_at = layout.shares, layout.row, layout.steps
        self._memory = held.staging(layout.size)
        self._address = held.allocate(layout.size)

        floats = self._memory.view(np.float32)
        parts = [
            floats[at // _FLOAT :][: int(np.prod(shape))].reshape(shape)
            for at, shape in zip(noise, (video, audio, video, audio), strict=True)
        ]
        self._start, self._echo = Latents(parts[0], parts[1]), Latents(parts[2], parts[3])
        self._index = self._memory[index : index + 8].view(np.int64)
        self._context_age = floats[age // _FLOAT :][: self._slots]
        self._shares = floats[self._shares_at // _FLOAT :][: 2 * MAX_BLENDED * _CELL].reshape(-1, _CELL)
        self._steps = floats[self._steps_at // _FLOAT :][: MAX_STEPS * self._row // _FLOAT].reshape(MAX_STEPS, -1)
        floats[sigma // _FLOAT] = manifest.sampler.context_noise

        self.start = Pair(self._address + noise[0], self._address + noise[1])
        self.echo = Pair(self._address + noise[2], self._address + noise[3])
        self.write_index = self._address + index
        self.context_sigma = self._address + sigma
        self.context_age = self._address + age

    def sigma(self, step: int) -> int:
        """Where the noise level of a step lies, float32 `[1]`."""
        return self._address + self._steps_at + step * self._row

    def coefficients(self, step: int) -> int:
        """Where its coefficients lie, float32 `[COEFFICIENTS]`."""
        return self.sigma(step) + ALIGNMENT

    def age(self, step: int) -> int:
        """Where its ages lie, float32 `[slots]`."""
        return self.sigma(step) + 2 * ALIGNMENT

    def share(self, part: int) -> int:
        """Where the share of a text lies, float32 `[1]`; texts of the picture come first, of the sound last."""
        return self._address + self._shares_at + part * ALIGNMENT

    def require_room(self, recipe: Recipe) -> None:
        """Check that a recipe fits.

        Raises:
            ConditionError: too many steps or texts.
        """
        if recipe.steps > MAX_STEPS:
            raise ConditionError(f"steps is {recipe.steps}; there is room for {MAX_STEPS}, take fewer")
        if max(len(recipe.shown), len(recipe.heard)) > MAX_BLENDED:
            raise ConditionError(f"a blend has more than {MAX_BLENDED} texts; leave some of them out")

    def fill(self, recipe: Recipe, start: Latents, echo: Latents) -> None:
        """Write a chunk's numbers on the host. The last upload must be over."""
        for target, source in ((self._start, start), (self._echo, echo)):
            target.video[...], target.audio[...] = source.video, source.audio
        self._index[0] = recipe.write_index
        self._context_age[:] = recipe.ages
        for part, (_, share) in enumerate((*recipe.shown, *recipe.heard)):
            self._shares[part, 0] = share
        for step, sigma in enumerate(recipe.sigmas[:-1]):
            row = self._steps[step]
            row[0] = sigma
            row[_CELL : _CELL + COEFFICIENTS] = (recipe.guidance, sigma, recipe.sigmas[step + 1] / sigma)
            row[2 * _CELL : 2 * _CELL + self._slots] = recipe.ages_at(sigma)

    def fill_context(self, context: Latents, ages: Float32Array, write_index: int) -> None:
        """Write what a pass for the ring alone needs; `context` takes the place of the noise `start`."""
        self._start.video[...], self._start.audio[...] = context.video, context.audio
        self._index[0] = write_index
        self._context_age[:] = ages

    def upload(self, steps: int) -> None:
        """Enqueue the copy to the GPU, with the cells of so many steps."""
        self._device.upload(self._address, self._memory[: self._steps_at + steps * self._row])
