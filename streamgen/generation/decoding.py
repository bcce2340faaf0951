"""The stage between denoising and encoding: latents to pictures and sound. It belongs to one thread at a time."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar, runtime_checkable

from streamgen.packets import ChunkRecord
from streamgen_engines.chunk import Chunk, LatentChunk
from streamgen_engines.errors import DeviceLostError, GraphRunError, NonFiniteError
from streamgen_engines.families import Decoder, UpscalingDecoder

logger = logging.getLogger(__name__)

_NS_PER_MS: Final = 1_000_000
_Result = TypeVar("_Result")


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
            chunk = twice(lambda: self._decoder.decode(denoised.latents), self._decoder.reset)
            return Decoded(chunk, with_timings(denoised.record, {"decode": ms_since(started)}))
        self._upscaler.on = denoised.upscale
        self._upscaler.take_spent_ns()
        chunk = twice(lambda: self._decoder.decode(denoised.latents), self._decoder.reset)
        spent_ms = self._upscaler.take_spent_ns() / _NS_PER_MS
        timings_ms = {"decode": ms_since(started), "upscale": spent_ms}  # the one among the other
        return Decoded(chunk, with_timings(denoised.record, timings_ms))

    def begin(self, denoised: Denoised) -> Callable[[], Decoded]:
        """Begin to decode the next chunk; the one before has been waited for. Only where it `works_beside`.

        What is returned waits for the chunk, and decodes it anew if that was in vain.
        """
        assert self._beside is not None, "this decoder does nothing beside its caller"
        decoder, beside, latents = self._decoder, self._beside, denoised.latents
        started = time.perf_counter_ns()
        fetch = twice(lambda: beside.begin(latents), decoder.reset)
        begun_ms = ms_since(started)

        def finish() -> Decoded:
            resumed = time.perf_counter_ns()
            waiting = [fetch]
            chunk = twice(lambda: waiting.pop()() if waiting else decoder.decode(latents), decoder.reset)
            return Decoded(chunk, with_timings(denoised.record, {"decode": begun_ms + ms_since(resumed)}))

        return finish


def with_timings(record: ChunkRecord, timings_ms: Mapping[str, float]) -> ChunkRecord:
    """The record with more timings."""
    return replace(record, timings_ms={**record.timings_ms, **timings_ms})


def twice(attempt: Callable[[], _Result], reset: Callable[[], None]) -> _Result:
    """A model that ran away starts afresh: a cut in the picture is better than the end of the stream."""
    try:
        return attempt()
    except DeviceLostError:  # nothing of this process can start afresh
        raise
    except (NonFiniteError, GraphRunError) as error:
        logger.warning("starting afresh after: %s", error)
        reset()
        return attempt()


def ms_since(started_ns: int) -> float:
    """Milliseconds since a reading of `time.perf_counter_ns`."""
    return (time.perf_counter_ns() - started_ns) / _NS_PER_MS
