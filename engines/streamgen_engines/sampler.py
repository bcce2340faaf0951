"""Few-step flow matching in numpy: from noise to a clean latent chunk. Pure functions, float32 throughout.

Convention: `x = (1 - sigma) clean + sigma noise`, and a model predicts the velocity `noise - clean` (rectified flow,
Liu et al. 2022, section 2.1; Lipman et al. 2022). A step is one Euler step of that ordinary differential equation.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from streamgen_engines.chunk import Float32Array, Latents
from streamgen_engines.errors import ConditionError

Velocity: TypeAlias = Callable[[Latents, float], Latents]
"""(noisy latents, sigma) -> velocity, same shapes."""


def schedule(sigmas: Sequence[float], steps: int | None = None) -> tuple[float, ...]:
    """The noise levels of a chunk when it is made in `steps` steps.

    Fewer (or more) steps than the model's own follow the same curve: its levels are read at evenly spaced places, with
    straight lines between them.

    Args:
        sigmas: the model's own levels, from 1 down to 0.
        steps: steps to take; None takes the model's own.

    Raises:
        ConditionError: steps is not positive.
    """
    own = len(sigmas) - 1
    if steps is None or steps == own:
        return tuple(sigmas)
    if steps < 1:
        raise ConditionError(f"steps is {steps}; give at least 1, or leave it out for the model's own {own}")
    places = np.linspace(0, own, steps + 1)
    return tuple(float(level) for level in np.interp(places, np.arange(own + 1), sigmas))


def sample(noise: Latents, sigmas: Sequence[float], velocity: Velocity, *, limit: float | None = None) -> Latents:
    """Follow the flow from pure noise to a clean chunk.

    Args:
        noise: standard normal latents.
        sigmas: falling noise levels from 1 to 0; one call of `velocity` for each but the last.
        velocity: the model.
        limit: when given, every predicted clean element is held within [-limit, limit] on the way.
    """
    x = noise
    for sigma, lower in pairwise(sigmas):
        v = velocity(x, sigma)
        x = Latents(
            _euler(x.video, v.video, sigma, lower, limit),
            _euler(x.audio, v.audio, sigma, lower, limit),
        )
    return x


def noised(clean: Latents, noise: Latents, sigma: float) -> Latents:
    """Clean latents with the noise of level `sigma`."""
    return Latents(
        (1 - sigma) * clean.video + sigma * noise.video,
        (1 - sigma) * clean.audio + sigma * noise.audio,
    )


def guided(null: Latents, told: Latents, guidance: float) -> Latents:
    """Classifier-free guidance (Ho and Salimans 2022): past the velocity without text towards the one with it."""
    return Latents(
        null.video + guidance * (told.video - null.video),
        null.audio + guidance * (told.audio - null.audio),
    )


def weighted(velocities: Sequence[tuple[Latents, float]]) -> Latents:
    """The sum of velocities by share (Liu et al. 2022, composable diffusion, section 3); one alone is itself."""
    (first, share), *rest = velocities
    if not rest:
        return first
    video, audio = share * first.video, share * first.audio
    for velocity, share in rest:
        video, audio = video + share * velocity.video, audio + share * velocity.audio
    return Latents(video, audio)


def _euler(x: Float32Array, velocity: Float32Array, sigma: float, lower: float, limit: float | None) -> Float32Array:
    clean = x - sigma * velocity
    if limit is not None:
        clean = np.clip(clean, -limit, limit)
    # Equal to x + (lower - sigma) velocity, written so that the last step is exactly the clean prediction.
    return clean if lower == 0 else clean + (lower / sigma) * (x - clean)
