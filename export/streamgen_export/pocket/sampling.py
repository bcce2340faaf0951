"""How the trained transformer is sampled: what export writes into a bundle and what the few-step stage learns from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sampling:
    """One way to sample.

    Attributes:
        sigmas: noise levels of a chunk, from 1 to 0.
        least_steps: fewer make noise, and what follows continues it.
        guidance: classifier-free guidance; 1 = one pass per step.
        change: what happens when the prompt changes: chunks of the past that stay visible, and the guidance of the
            first chunks after it. A model of this size trusts its past more than a new text: without this, a change
            took over a dozen chunks.
        context_noise: level at which finished chunks are remembered.
    """

    sigmas: tuple[float, ...]
    least_steps: int
    guidance: float
    change: dict[str, Any] = field(default_factory=dict)
    context_noise: float = 0.05


GUIDED = Sampling((1.0, 0.9375, 0.8333, 0.625, 0.0), 2, 2.5, {"keep": 0, "guidance": 3.0, "chunks": 2})
"""Four even steps, shifted by 5 towards noise (Esser et al. 2024, section 5.3.2): there a picture is decided."""
FEW_STEPS = Sampling(GUIDED.sigmas[::2], 2, 1.0, {"keep": 0, "guidance": 1.2, "chunks": 2})
"""What the few-step stage trains for: each step stands for two guided ones, so a chunk takes three passes, not nine."""
