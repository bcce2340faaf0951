"""The chunk loop of the `wan` family: noise to clean latents, each chunk seen by those after it through the ring.

What a new prompt does to the past is chosen per request (`switch`). To read the past again (LongLive, Yang et al. 2025,
section 3.2) what is visible of it is passed under the new prompt, chunk by chunk and oldest first, so that the ring
says what it would say had the past been told so. That costs a pass for every chunk that is read, once; the latents
for it are kept in the host's memory, as many as the ring has slots. Once a stream is longer than the ring, its sink
stands as it is, as in the published inference of LongLive, unless the bundle asks for more (`sampler.recache_sink`).
"""

from typing import Final

import numpy as np

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Float32Array, LatentChunk
from streamgen_engines.condition import Condition, check_seed
from streamgen_engines.errors import ConditionError, NonFiniteError
from streamgen_engines.families.wan.positions import TemporalRotary, sinusoid
from streamgen_engines.families.wan.prompt_kv import PromptKv
from streamgen_engines.families.wan.sampling import Seen, Velocity, sample
from streamgen_engines.families.wan.signatures import denoise_signature
from streamgen_engines.families.wan.switch import PromptSwitch
from streamgen_engines.frame_ring import FrameRing
from streamgen_engines.manifest import WanManifest
from streamgen_engines.prompt import Prompt
from streamgen_engines.runtimes.interface import Runtime
from streamgen_engines.sampler import schedule

_LATENT_STREAM: Final = 0  # second number of every seed, as in the pocket family


class WanGenerator:
    """Makes latent chunks. One thread at a time calls it."""

    def __init__(
        self, bundle: Bundle, manifest: WanManifest, runtime: Runtime, seed: int = 0, *, threads: int = 1
    ) -> None:
        """Load the graphs.

        Args:
            bundle: an opened bundle.
            manifest: its own.
            runtime: what the graphs run on.
            seed: of the noise.
            threads: compute threads.

        Raises:
            BundleError: a graph does not load or does not fit the manifest.
        """
        self._sampler = manifest.sampler
        self._shape = (1, *manifest.video.latent)
        self._ring = FrameRing(
            window=manifest.attention.window,
            sink=manifest.attention.sink,
            chunk=manifest.chunk_frames,
            tokens=manifest.frame_tokens,
        )
        self._rotary = TemporalRotary(head_dim=manifest.attention.head_dim, places=self._ring.frames)
        # In place: each pass writes one chunk of the ring, and every node reads the ring after that write.
        self._engine = runtime.load(
            bundle.path("denoise"),
            manifest.graphs["denoise"].states,
            threads=threads,
            in_place=True,
            held=manifest.prompt_names,
        )
        self._engine.signature.require(denoise_signature(manifest), graph="denoise")
        self._told = PromptKv(bundle, manifest, runtime, self._engine, threads=threads)
        self._index = 0
        self._seen: dict[int, Seen] = {}  # what the keys and values of each visible slot were made from
        self._switch = PromptSwitch(self._sampler.switch, self._sampler.blend_chunks)
        self._fresh = True  # the next chunk continues no picture
        self._seed = check_seed(seed)
        self._drawn = 0  # chunks since the seed was set
        self._passes = 0  # since the last chunk was delivered: a schedule measures time by them

    def step(self, condition: Condition) -> LatentChunk:
        """Make the next chunk.

        Raises:
            ConditionError: the model cannot do what is asked (a start picture, guidance).
            NonFiniteError: the model ran away; `reset()` before the next step.
            GraphRunError: a graph failed; `reset()` before the next step.
        """
        _check(condition)
        prompt = self._follow(condition)
        clean, last = sample(
            self._noise(),
            schedule(self._sampler.levels, condition.steps),
            self._velocity(condition, prompt),
            fresh=self._sampler.renoise == "fresh",
        )
        if not np.isfinite(clean).all():
            raise NonFiniteError(
                "the latents are not numbers any more; reset the generator, and check the bundle's graphs"
            )
        self._remember(clean, last, prompt, exact=condition.exact)
        return self._deliver(clean, condition)

    def reset(self, seed: int | None = None) -> None:
        """Begin anew, without context and with fresh random numbers; what follows is what a new generator would make.

        Args:
            seed: None takes the seed in use again.
        """
        self._engine.reset()
        self._ring.cut()
        self._seen.clear()
        self._switch.reset()
        self._fresh = True
        self._reseed(self._seed if seed is None else check_seed(seed))

    def _follow(self, condition: Condition) -> Prompt:
        """Take over what differs from the last chunk's condition, before the chunk is computed; what it is told."""
        if condition.seed is not None and condition.seed != self._seed:
            self._reseed(condition.seed)
        switched = self._switch.follow(condition)
        if switched.cut:
            self._ring.cut()
            self._fresh = True
        elif condition.keep is not None:
            self._ring.forget(condition.keep)
        self._seen = {slot: self._seen[slot] for slot in self._ring.past}
        if switched.recache:
            self._recache(switched.prompt)
        return switched.prompt

    def _recache(self, prompt: Prompt) -> None:
        """Write what is visible of the past again, under this prompt."""
        ring = self._ring
        slots = ring.past if self._sampler.recache_sink else ring.past_behind_sink
        past = [self._seen.pop(slot) for slot in slots]
        ring.rewind(slots)
        for seen in past:
            self._pass(seen.latent, seen.sigma, prompt)
            self._advance(seen)

    def _reseed(self, seed: int) -> None:
        self._seed = seed
        self._drawn = 0

    def _noise(self) -> "_Noise":
        # Of each chunk from a beginning of its own, so that fewer steps in one do not change those after it.
        noise = _Noise(np.random.default_rng((self._seed, _LATENT_STREAM, self._drawn)), self._shape)
        self._drawn += 1
        return noise

    def _velocity(self, condition: Condition, told: Prompt) -> Velocity:
        parts = told.alone if condition.exact else ((told, 1.0),)

        def velocity(x: Float32Array, sigma: float) -> Float32Array:
            alone = condition.alone_above is not None and sigma > condition.alone_above
            (first, share), *rest = parts
            total = self._pass(x, sigma, first, alone=alone)
            if rest:
                total = np.float32(share) * total
                for prompt, share in rest:
                    total = total + np.float32(share) * self._pass(x, sigma, prompt, alone=alone)
            return total

        return velocity

    def _pass(self, x: Float32Array, sigma: float, prompt: Prompt, *, alone: bool = False) -> Float32Array:
        """One run of the graph: velocity, and the keys and values of `x` in the current slot."""
        self._told.hold(prompt)
        self._passes += 1
        ring = self._ring
        chunk, places = ring.chunk_places(), ring.places()
        return self._engine.run(
            {
                "latent": x,
                "time": sinusoid(sigma),
                "query_cos": self._rotary.cos(chunk),
                "query_sin": self._rotary.sin(chunk),
                "key_cos": self._rotary.cos(places),
                "key_sin": self._rotary.sin(places),
                "bias": ring.bias(alone=alone),
                "write_index": np.array([ring.write_index], np.int64),
            }
        )["velocity"]

    def _remember(self, clean: Float32Array, last: Seen, prompt: Prompt, *, exact: bool) -> None:
        """Leave the finished chunk in the ring as the model is used to see the past: clean, or as its last step saw it.

        Without a clean pass the last step has written it, unless that was several passes with a text each.
        """
        seen = Seen(clean, 0.0) if self._sampler.clean_pass else last
        if self._sampler.clean_pass or (exact and prompt.parts):
            self._pass(seen.latent, seen.sigma, prompt)
        self._advance(seen)

    def _advance(self, seen: Seen) -> None:
        self._seen[self._ring.slot] = seen
        self._ring.advance()
        self._seen = {slot: self._seen[slot] for slot in self._ring.past}

    def _deliver(self, clean: Float32Array, condition: Condition) -> LatentChunk:
        chunk = LatentChunk(
            self._index,
            clean,
            np.zeros((1, 0, 0), np.float32),
            seed=self._seed,
            cut=self._fresh,
            heard=condition.heard.shares,
            passes=self._passes,
        )
        self._passes = 0
        self._fresh = False
        self._index += 1
        return chunk


class _Noise:
    """Standard normal latents of one chunk, others with every call."""

    def __init__(self, random: np.random.Generator, shape: tuple[int, ...]) -> None:
        self._random, self._shape = random, shape

    def __call__(self) -> Float32Array:
        return self._random.standard_normal(self._shape, np.float32)


def _check(condition: Condition) -> None:
    if condition.picture is not None:
        raise ConditionError("models of the family wan start from a text, not from a picture; leave picture out")
    if condition.guidance not in (None, 1.0):
        raise ConditionError(
            f"guidance is {condition.guidance:g}, but models of the family wan are distilled for one pass per step; "
            f"leave guidance out"
        )
