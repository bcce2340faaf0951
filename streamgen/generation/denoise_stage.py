"""The first stage: what has been asked for becomes latents.

It belongs to one thread at a time, and computes: never call it on the event loop.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamgen.generation.afresh import once_afresh
from streamgen.generation.prompt_flow import PromptFlow
from streamgen.generation.prompts import Taken
from streamgen.generation.rtp_timeline import Timeline
from streamgen.generation.timings import ms_since
from streamgen.packets import ChunkRecord, Occurred, SetPrompt
from streamgen_engines.chunk import Float32Array, LatentChunk, picture_name
from streamgen_engines.families import Condition, Generator
from streamgen_engines.manifest import Manifest
from streamgen_engines.prompt import Prompt

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Denoised:
    """A chunk between denoising and decoding."""

    latents: LatentChunk
    record: ChunkRecord
    per_step: int = 1
    """Passes of the transformer that each step took."""
    passes: int | None = None
    """All of them, where the generator counts; see `LatentChunk.passes`."""
    upscale: bool = True
    """Whether there is time to enlarge its pictures by a graph, where that `may_rest`."""


class DenoiseStage:
    """Makes latents; keeps what stays the same from chunk to chunk: prompts, guidance and seed."""

    def __init__(
        self, generator: Generator, manifest: Manifest, null: Prompt, picture: Float32Array | None = None
    ) -> None:
        """`null` is the prompt while nobody has asked for anything, `picture` what the first chunk continues."""
        self._generator = generator
        self._timeline = Timeline.of(manifest)
        self._sampler = manifest.sampler
        self._abilities = manifest.abilities
        self._rereading_passes, self._rereads = manifest.rereading_passes, manifest.rereads
        self._request: SetPrompt | None = None
        self._flow = PromptFlow(null, 1000 * float(manifest.chunk_duration), hides_past=self._abilities.hides_past)
        self._picture = picture
        self._guidance: float | None = None
        self._refused: float | None = None  # the guidance that was last left out and logged
        self._seed: int | None = None
        self._chunk = 0

    def make(
        self,
        taken: Sequence[Taken[Prompt]] = (),
        superseded: tuple[str, ...] = (),
        *,
        guidance: float | None = None,
        seed: int | None = None,
        steps: int | None = None,
        cut: bool = False,
        resets: tuple[str, ...] = (),
        scheduled: tuple[Occurred, ...] = (),
        chunks_before: int = 0,
    ) -> Denoised:
        """Make the next chunk.

        Args:
            taken: its new prompts, oldest first; without one the last ones stay.
            superseded, resets, scheduled, chunks_before: for the record.
            guidance, seed: new values from this chunk on; None keeps the last ones.
            steps: for this chunk alone; None takes the bundle's own.
            cut: it sees nothing of the chunks before, whatever the prompts ask for.
        """
        started = time.perf_counter_ns()
        for each in taken:
            self._request = each.request
            self._flow.take(each)
        self._guide(guidance)
        self._seed = self._seed if seed is None else seed
        told = self._flow.next()
        if cut:
            told = replace(told, cut=True, keep=None, recache=None)
        picture, self._picture = self._picture, None
        condition = Condition(
            prompt=told.prompt,
            guidance=self._guidance,
            seed=self._seed,
            steps=steps,
            cut=told.cut,
            picture=picture,
            keep=None if picture is not None else told.keep,
            alone_above=told.alone_above,
            sound=told.sound,
            recache=told.recache,
        )
        fresh = False

        def begin_anew() -> None:
            nonlocal fresh
            fresh = True
            self._generator.reset()

        latents = once_afresh(lambda: self._generator.step(condition), begin_anew)
        request = self._request
        record = ChunkRecord(
            chunk=self._chunk,
            first_frame=self._chunk * self._timeline.pictures,
            fps=self._timeline.fps,
            pts=self._chunk * self._timeline.chunk_ticks,
            prompt_id=None if request is None else request.id,
            prompt="" if request is None else request.text,
            seed=latents.seed,
            guidance=self._sampler.guidance if self._guidance is None else self._guidance,
            steps=self._sampler.steps if steps is None else steps,
            knobs={} if request is None else request.knobs,
            applied=(*resets, *(each.request.id for each in taken)),
            superseded=superseded,
            told=condition.prompt.shares,
            sound=() if told.sound is None else told.sound.shares,
            cut=told.cut,
            keep=condition.keep,
            alone_above=told.alone_above,
            recache=told.recache,
            picture=None if picture is None else picture_name(picture),
            fresh=fresh,
            scheduled=scheduled,
            chunks_before=chunks_before,
            timings_ms={"denoise": ms_since(started)},
        )
        self._chunk += 1
        per_step = condition.passes_per_step(guided=record.guidance != 1, joint=self._abilities.joint)
        return Denoised(latents, record, per_step, latents.passes)

    def extra_passes(self, waiting: Sequence[SetPrompt]) -> int:
        """Passes at most by which the next chunk takes longer if these prompts come with it, oldest first."""
        rereads = self._rereading_passes and self._flow.rereads(waiting, by_itself=self._rereads)
        return self._rereading_passes if rereads else 0

    def _guide(self, guidance: float | None) -> None:
        """Take another guidance, where the model follows one."""
        if guidance is None or guidance == self._guidance:
            return
        if not self._abilities.guided:
            if guidance != self._refused:
                logger.warning(
                    "guidance %g is left out: this model is distilled, and has one pass per step without it", guidance
                )
            self._refused = guidance
            return
        self._guidance = guidance
