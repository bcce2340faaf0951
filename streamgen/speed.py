"""How fast a bundle generates on this machine: the stages of the live loop, one after the other, on a few chunks."""

import contextlib
import statistics
from dataclasses import dataclass
from typing import Final

from streamgen.generation.encode_stage import wanted_planes
from streamgen.generation.pipeline import Pipeline
from streamgen.media.video_encoder import usual_scale
from streamgen.packets import Layer, SetPrompt
from streamgen_engines.bundle import Bundle
from streamgen_engines.families import load
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RuntimeName
from streamgen_engines.runtimes import OpenRuntimes
from streamgen_engines.text_placement import IN_PLACE, TextPlacement

CHUNKS: Final = 6
_WARM_UP: Final = 2  # the first runs of a graph plan its memory


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians over some chunks; denoising and the rest have a thread each when serving."""

    steps: int
    denoise_ms: float
    rest_ms: float  # decoding, VP8 in full size and Opus
    chunk_ms: float  # media time

    @property
    def realtime_ratio(self) -> float:
        """Media time made per time that the slower thread works."""
        return self.chunk_ms / max(self.denoise_ms, self.rest_ms)


def measure(
    bundle: Bundle,
    *,
    steps: int | None = None,
    chunks: int = CHUNKS,
    runtime: RuntimeName = DEFAULT_RUNTIME,
    gpu: GpuOptions | None = None,
    texts: TextPlacement = IN_PLACE,
    upscale: bool = False,
) -> Speed:
    """Generate a few chunks; takes a few seconds of one core.

    Args:
        bundle: an opened bundle.
        steps: of the sampler; None takes the bundle's own.
        chunks: that are measured.
        runtime: what the bundle's graphs run on.
        gpu: what it is told if it is one on a GPU.
        texts: where texts are encoded.
        upscale: whether pictures are enlarged by the bundle's graph `upscale`.

    Raises:
        EngineError: the bundle cannot be run, or not on that runtime.
    """
    manifest = bundle.manifest
    layers = frozenset({Layer("vp8", 0)})
    scale = usual_scale(manifest.shown_size(upscale=upscale)[1])
    with OpenRuntimes(runtime, gpu) as runtimes:
        planes = wanted_planes(manifest, scale, upscale=upscale)
        runtimes.admit(bundle, planes, texts, upscale=upscale)
        model = load(bundle, runtime=runtimes.make, planes=planes, texts=texts, upscale=upscale)
        with contextlib.closing(model), Pipeline(model, scale=scale) as pipeline:
            pipeline.set_prompt(SetPrompt(id="speed", text="waves on a calm sea"))
            timings = [pipeline.next_encoded(layers, steps=steps).record.timings_ms for _ in range(_WARM_UP + chunks)]
    timings = timings[_WARM_UP:]
    return Speed(
        steps=manifest.sampler.steps if steps is None else steps,
        denoise_ms=statistics.median(each["denoise"] for each in timings),
        rest_ms=statistics.median(each["decode"] + each["encode"] for each in timings),
        chunk_ms=float(manifest.chunk_duration * 1000),
    )
