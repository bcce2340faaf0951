"""The second stage: latents become pictures and sound.

It belongs to one thread at a time, and computes: never call it on the event loop.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from streamgen.generation.afresh import once_afresh
from streamgen.generation.denoise_stage import Denoised
from streamgen.generation.timings import ms_since, with_timings
from streamgen.packets import ChunkRecord
from streamgen_engines.chunk import Chunk, LatentChunk
from streamgen_engines.families import Decoder, UpscalingDecoder


@runtime_checkable
class BesideDecoder(Protocol):
    """A decoder that may work while its caller does something else."""

    @property
    def works_beside(self) -> bool:
        """Whether it does."""
        ...

    def begin(self, latents: LatentChunk) -> Callable[[], Chunk]:
        """Begin to decode a chunk; what is returned waits for it."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Pictures and sound of a chunk with its record."""

    chunk: Chunk
    record: ChunkRecord


class DecodeStage:
    """Latents to pictures and sound."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._beside = decoder if isinstance(decoder, BesideDecoder) and decoder.works_beside else None
        upscaler = decoder.upscaler if isinstance(decoder, UpscalingDecoder) else None
        self._upscaler = upscaler if upscaler is not None and upscaler.may_rest else None

    @property
    def works_beside(self) -> bool:
        """Whether chunks can be decoded while the caller does something else."""
        return self._beside is not None

    @property
    def may_skip_upscaling(self) -> bool:
        """Whether pictures are enlarged by a graph, and a chunk can do without (`Denoised.upscale`)."""
        return self._upscaler is not None

    def decode(self, denoised: Denoised) -> Decoded:
        """Decode the next chunk; none may be left out."""
        started = time.perf_counter_ns()
        if self._upscaler is None:
            chunk = once_afresh(lambda: self._decoder.decode(denoised.latents), self._decoder.reset)
            return Decoded(chunk, with_timings(denoised.record, {"decode": ms_since(started)}))
        self._upscaler.on = denoised.upscale
        self._upscaler.take_spent_ns()
        chunk = once_afresh(lambda: self._decoder.decode(denoised.latents), self._decoder.reset)
        spent_ms = self._upscaler.take_spent_ns() / 1e6
        timings_ms = {"decode": ms_since(started), "upscale": spent_ms}  # the one among the other
        return Decoded(chunk, with_timings(denoised.record, timings_ms))

    def begin(self, denoised: Denoised) -> Callable[[], Decoded]:
        """Begin to decode the next chunk; the one before has been waited for. Only where it `works_beside`.

        What is returned waits for the chunk, and decodes it anew if that was in vain.
        """
        assert self._beside is not None, "this decoder does nothing beside its caller"
        decoder, beside, latents = self._decoder, self._beside, denoised.latents
        started = time.perf_counter_ns()
        fetch = once_afresh(lambda: beside.begin(latents), decoder.reset)
        begun_ms = ms_since(started)

        def finish() -> Decoded:
            resumed = time.perf_counter_ns()
            waiting = [fetch]
            chunk = once_afresh(lambda: waiting.pop()() if waiting else decoder.decode(latents), decoder.reset)
            return Decoded(chunk, with_timings(denoised.record, {"decode": begun_ms + ms_since(resumed)}))

        return finish
