"""Chunks on the host: numpy between the passes of an engine. The reference for every other way to make them."""

import numpy as np

from streamgen_engines.chunk import Float32Array, Latents
from streamgen_engines.errors import NonFiniteError
from streamgen_engines.guard import StatisticsGuard
from streamgen_engines.manifest import PocketManifest
from streamgen_engines.prompt import Prompt, null_prompt
from streamgen_engines.recipe import Made, Parts, Recipe
from streamgen_engines.runtimes.interface import Engine, Signature
from streamgen_engines.sampler import Velocity, guided, noised, sample, weighted


class HostSampler:
    """`ChunkSampler` over any runtime's engine.

    Args:
        engine: the denoise graph with its ring.
        manifest: of its bundle.

    Attributes:
        engine: the same.
    """

    def __init__(self, engine: Engine, manifest: PocketManifest) -> None:
        self.engine = engine
        guard = manifest.sampler.guard
        self._limit = guard.limit if guard is not None else None
        self._steady = StatisticsGuard(guard) if guard is not None else None
        self._context_noise = manifest.sampler.context_noise
        self._null = null_prompt(manifest.text)
        self._ring_names = tuple(state.name for state in manifest.graphs["denoise"].states)

    @property
    def signature(self) -> Signature:
        """Inputs and outputs of the denoise graph, without the ring."""
        return self.engine.signature

    def make(self, recipe: Recipe, start: Latents, echo: Latents) -> Made:
        """Make a chunk, and write it into the ring; see `ChunkSampler`."""
        velocity = self._velocity(recipe, start)
        if recipe.given is not None:
            velocity = _towards(recipe.given, start.video, velocity)
        clean = sample(start, recipe.sigmas, velocity, limit=self._limit)
        clean = self._steady(clean) if self._steady is not None else clean
        require_finite(clean)
        context = noised(clean, echo, self._context_noise)
        self.write(context, recipe.remembered, recipe.ages, recipe.write_index)
        return Made(clean)

    def write(self, context: Latents, prompt: Prompt, ages: Float32Array, write_index: int) -> None:
        """Write latents, noised already, into the ring."""
        self._pass(context, self._context_noise, prompt, ages, write_index)

    def copy_slot(self, source: slice, target: slice) -> None:
        """Copy rows of the ring over others."""
        for name in self._ring_names:
            ring = self.engine.state(name)
            ring[:, :, target] = ring[:, :, source]

    def reset(self) -> None:
        """Set the ring to zero, after a failure too."""
        self.engine.reset()

    def _velocity(self, recipe: Recipe, start: Latents) -> Velocity:
        """The guided velocity of the chunk being made.

        Where pictures are given, guidance leads away from no text beside an average picture (zero, with the noise of
        the level), so that the sound goes further towards what is seen, too.

        Every pass writes its own keys and values into the chunk's slot before it attends, so the pass without text
        disturbs nothing: the slots before this one hold clean, conditioned chunks, and this one is overwritten by
        each pass, last by the clean conditioned pass of `write`.
        """
        if not recipe.guided:
            return lambda x, sigma: self._told(x, sigma, recipe)

        def velocity(x: Latents, sigma: float) -> Latents:
            plain = x if recipe.given is None else Latents(np.float32(sigma) * start.video, x.audio)
            null = self._pass(plain, sigma, self._null, recipe.ages_at(sigma), recipe.write_index)
            return guided(null, self._told(x, sigma, recipe), recipe.guidance)

        return velocity

    def _told(self, x: Latents, sigma: float, recipe: Recipe) -> Latents:
        """The velocity with text; that of the sound from a pass of its own where it follows another prompt.

        Attention over a chunk joins both sides, so each pass takes the noisy state of the other side as it is: a
        picture still moves with the sound that it gets, whatever that was told.
        """
        shown = self._mixed(x, sigma, recipe.shown, recipe)
        if not recipe.heard:
            return shown
        return Latents(shown.video, self._mixed(x, sigma, recipe.heard, recipe).audio)

    def _mixed(self, x: Latents, sigma: float, parts: Parts, recipe: Recipe) -> Latents:
        ages = recipe.ages_at(sigma)
        return weighted([(self._pass(x, sigma, part, ages, recipe.write_index), share) for part, share in parts])

    def _pass(self, x: Latents, sigma: float, prompt: Prompt, ages: Float32Array, write_index: int) -> Latents:
        """One run of the graph: velocity, and the keys and values of `x` in the current slot."""
        out = self.engine.run(
            {
                "video": x.video,
                "audio": x.audio,
                "sigma": np.array([sigma], np.float32),
                "context": prompt.context,
                "context_bias": prompt.context_bias,
                "pooled": prompt.pooled,
                "age": ages,
                "write_index": np.array([write_index], np.int64),
            }
        )
        return Latents(out["video_velocity"], out["audio_velocity"])


def _towards(given: Float32Array, noise: Float32Array, velocity: Velocity) -> Velocity:
    """The velocity of the sound, beside one that leads the picture to what is given, whatever the model says of it.

    So at every level the picture is the given one with that level's noise, as in inpainting with diffusion models
    (Lugmayr et al. 2022, RePaint, section 4.1); the path is straight, so one noise serves all levels.
    """
    straight = noise - given
    return lambda x, sigma: Latents(straight, velocity(x, sigma).audio)


def require_finite(latents: Latents) -> None:
    """Raise `NonFiniteError` when latents are not numbers."""
    if not all(np.isfinite(part).all() for part in (latents.video, latents.audio)):
        raise NonFiniteError("the latents are not numbers any more; reset the generator, and check the bundle's graphs")
