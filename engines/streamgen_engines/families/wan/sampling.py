"""Few-step sampling of a distilled flow model. Pure functions, float32 throughout.

Convention: `x = (1 - sigma) clean + sigma noise`, and a model predicts the velocity `noise - clean`. Each step predicts
the clean chunk, which is made noisy again for the next lower level: with fresh noise, as models are trained that were
distilled by distribution matching (DMD2, Yin et al. 2024, section 4.4; Self-Forcing, Huang et al. 2025, algorithm 1),
or with the noise that was predicted, which is an Euler step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from streamgen_engines.chunk import Float32Array

Velocity: TypeAlias = Callable[[Float32Array, float], Float32Array]
"""(noisy latents, sigma) -> velocity, same shape."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Latents as the model was given them, and their noise level; float32 `[1, C, F, h, w]`."""

    latent: Float32Array
    sigma: float


def sample(
    draw: Callable[[], Float32Array], sigmas: Sequence[float], velocity: Velocity, *, fresh: bool
) -> tuple[Float32Array, Seen]:
    """From noise to a clean chunk.

    Args:
        draw: standard normal latents, others with every call.
        sigmas: falling noise levels from 1 to 0; one call of `velocity` for each but the last.
        velocity: the model.
        fresh: draw the noise of each level; False takes the predicted one.

    Returns:
        The clean chunk, and what the model saw in the last step.
    """
    x = draw()
    clean, seen = x, Seen(x, sigmas[0])
    for sigma, lower in pairwise(sigmas):
        seen = Seen(x, sigma)
        predicted = velocity(x, sigma)
        clean = x - sigma * predicted
        if lower > 0:
            noise = draw() if fresh else clean + predicted
            x = (1 - lower) * clean + lower * noise
    return clean, seen
