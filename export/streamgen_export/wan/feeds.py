"""Inputs of `denoise` as a stream has them: noise levels, positions and rows from the plan, latents drawn at random.

They are what checks and measurements run on. Whoever serves a bundle computes the same things from its manifest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamgen_export.onnx_export import Array
from streamgen_export.wan.config import RingShape, WanConfig
from streamgen_export.wan.ring_plan import plan_chunk
from streamgen_export.wan.rotary import temporal_table

TIME_SCALE: Final = 1000.0
"""Noise level 1 is time step 1000."""
SLOWEST: Final = 10_000.0
"""Longest period of the sinusoid of a time step, over 2 pi."""


def sinusoid(sigma: ArrayLike, width: int) -> NDArray[np.float32]:
    """Of noise levels [...]: cosines, then sines (Vaswani et al. 2017, section 3.5) -> float32 [..., width]."""
    half = width // 2
    frequencies = SLOWEST ** (-np.arange(half, dtype=np.float64) / half)
    angles = TIME_SCALE * np.asarray(sigma, np.float64)[..., None] * frequencies
    return np.concatenate((np.cos(angles), np.sin(angles)), axis=-1).astype(np.float32)


def pass_inputs(
    config: WanConfig, shape: RingShape, chunk: int, latent: NDArray[np.float32], sigma: float
) -> dict[str, Array]:
    """Inputs of one pass, without what is held and carried. latent float32 [1, channels, F, h, w]."""
    plan = plan_chunk(shape, chunk)
    query_cos, query_sin = temporal_table(config, plan.query_positions)
    key_cos, key_sin = temporal_table(config, plan.key_positions)
    return {
        "latent": latent,
        "time": sinusoid([sigma], config.time_width),
        "query_cos": query_cos,
        "query_sin": query_sin,
        "key_cos": key_cos,
        "key_sin": key_sin,
        "bias": plan.bias,
        "write_index": np.array([plan.write_index], np.int64),
    }


def random_context(config: WanConfig, seed: int = 0, length: int | None = None) -> NDArray[np.float32]:
    """A text as the encoder gives it: zero where there is no token. float32 [1, text tokens, text width]."""
    context = np.random.default_rng(seed).standard_normal((1, config.text_tokens, config.text_width))
    context[:, config.text_tokens // 4 if length is None else length :] = 0.0
    return context.astype(np.float32)


def random_passes(
    config: WanConfig,
    shape: RingShape,
    prompt: Mapping[str, Array],
    chunks: int,
    sigmas: Sequence[float] = (1.0, 0.625, 0.0),
    seed: int = 0,
) -> Iterator[dict[str, Array]]:
    """The passes of a stream of so many chunks, one after the other, at each of the noise levels.

    Args:
        config: of the transformer.
        shape: of the ring.
        prompt: what is held, by name.
        chunks: how many.
        sigmas: noise levels of the passes of each chunk; the last one stays in the ring.
        seed: of the latents.
    """
    rng = np.random.default_rng(seed)
    size = (1, config.channels, shape.chunk, shape.height, shape.width)
    for chunk in range(chunks):
        for sigma in sigmas:
            latent = rng.standard_normal(size).astype(np.float32)
            yield {**pass_inputs(config, shape, chunk, latent, sigma), **prompt}
