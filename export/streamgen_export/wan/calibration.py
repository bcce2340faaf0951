"""How large the activations of the big linears become in a stream: what fp8 has to hold of them.

A short stream is made as a server makes it: the steps of a chunk from noise to clean latents, each from the prediction
of the one before, then the pass that leaves it in the ring, and the next chunk sees it. The largest absolute value of
what each linear reads is kept, over all passes and texts. With one scale for an activation that is what E4M3 wants: its
steps grow with the number, so that a scale that is too large costs little, and one that is too small cuts off.

Latents are small, for a pass of full size takes minutes on a CPU. It is assumed, and was not measured, that activations
depend on weights, texts and noise levels and hardly on how many tokens there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.quantised_linear import replace_linears
from streamgen_export.wan.config import RingShape
from streamgen_export.wan.feeds import pass_inputs
from streamgen_export.wan.precision import fp8_names
from streamgen_export.wan.streaming import Denoise, PromptKv
from streamgen_export.wan.transformer import CausalWan
from streamgen_export.wan.variants import Variant

TEXTS: Final = (
    "A fisherman mends a net on a wooden pier at dawn, gulls in the air, soft light on still water, handheld camera.",
    "Night in a crowded city street, neon signs in the rain, people with umbrellas, reflections, slow tracking shot.",
)
"""What the streams are about: one quiet and bright, one busy and dark."""
CHUNKS: Final = 3
"""Of each stream: the first sees nothing, the second one chunk, the third two."""
ROWS, COLUMNS = 16, 28
"""Latents are no larger than this."""


class CalibrationError(ValueError):
    """The activations cannot be measured; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a stream is made.

    Attributes:
        sigmas: noise level of each step of a chunk, from 1 down.
        clean_pass: whether a pass without noise leaves the chunk in the ring.
        chunks: of each stream.
        seed: of its noise.
    """

    sigmas: tuple[float, ...]
    clean_pass: bool
    chunks: int = CHUNKS
    seed: int = 0

    @classmethod
    def of(cls, variant: Variant) -> Recipe:
        """That of a published model."""
        return cls(variant.sigmas, variant.clean_pass)


def small(shape: RingShape) -> RingShape:
    """The ring for latents of at most `ROWS` by `COLUMNS`."""
    return replace(shape, height=min(shape.height, ROWS), width=min(shape.width, COLUMNS))


def measure(model: CausalWan, shape: RingShape, contexts: Sequence[Tensor], recipe: Recipe) -> dict[str, float]:
    """The largest absolute value that each linear of `fp8_names` reads.

    Args:
        model: in float32 or float16; products are computed in float32.
        shape: of the ring and latents; see `small`.
        contexts: encoded texts, float32 [1, text tokens, text width]; a stream is made of each.
        recipe: how.

    Raises:
        CalibrationError: there is no text, or an activation is not finite.
    """
    if not contexts:
        raise CalibrationError("a calibration needs at least one text")
    with _watched(model) as found, torch.no_grad():
        for context in contexts:
            for _ in _stream(model, shape, context, recipe):
                pass
    wrong = [name for name, largest in found.items() if not 0.0 < largest < float("inf")]
    if wrong:
        raise CalibrationError(
            f"{wrong[0]} and {len(wrong) - 1} others read numbers up to {found[wrong[0]]}: these are not the weights "
            f"of a model that works; export in bf16 and look at its pictures"
        )
    return found


def _stream(model: CausalWan, shape: RingShape, context: Tensor, recipe: Recipe) -> Iterator[Tensor]:
    """The clean latents of each chunk."""
    module = Denoise(model, shape)
    prompt = PromptKv(model)(context)
    rings = [torch.zeros(size, dtype=model.held) for size in module.states().values()]
    noise = np.random.default_rng(recipe.seed)
    size = (1, model.config.channels, shape.chunk, shape.height, shape.width)

    def velocity(chunk: int, latent: Tensor, sigma: float) -> Tensor:
        feed = pass_inputs(model.config, shape, chunk, latent.numpy(), sigma)
        made, *new = module(*(torch.from_numpy(np.asarray(each)) for each in feed.values()), *prompt, *rings)
        rings[:] = new
        return cast(Tensor, made)

    for chunk in range(recipe.chunks):
        clean = torch.zeros(size)
        for sigma in recipe.sigmas:
            fresh = torch.from_numpy(noise.standard_normal(size, np.float32))
            noisy = (1.0 - sigma) * clean + sigma * fresh
            clean = noisy - sigma * velocity(chunk, noisy, sigma)
        if recipe.clean_pass:
            velocity(chunk, clean, 0.0)
        yield clean


class _Watched(nn.Module):
    """A linear that remembers the largest number that it read."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.largest = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """As the linear, summed in float32, which a CPU does several times as fast as in float16."""
        # A number that is none stays one.
        self.largest = float(torch.maximum(torch.tensor(self.largest), x.abs().amax().float()))
        weight, bias = self.linear.weight, self.linear.bias
        return F.linear(x.float(), weight.float(), bias.float()).to(x.dtype)


@contextmanager
def _watched(model: CausalWan) -> Iterator[dict[str, float]]:
    """While it is open the linears are watched; when it is closed the model is as it was."""
    found: dict[str, float] = {}
    watched: dict[str, _Watched] = {}

    def watch(name: str, linear: nn.Linear) -> nn.Module:
        watched[name] = _Watched(linear)
        return watched[name]

    replace_linears(model, list(fp8_names(model)), watch)
    try:
        yield found
    finally:
        _put_back(model, watched.items())
        found.update({name: each.largest for name, each in watched.items()})


def _put_back(model: CausalWan, watched: Iterable[tuple[str, _Watched]]) -> None:
    for name, each in watched:
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, each.linear)
