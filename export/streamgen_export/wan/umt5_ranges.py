"""How large numbers inside an encoder can become, from its weights alone, for any text.

T5 encoders are known to overflow in float16: sums in the feed-forward part's last product, and the residual stream,
leave its range of 65504. Which parts do is a matter of the weights, so it is bounded from them:

- After an RMS norm a token is a vector of length sqrt(width) at most, times a gain for each number. A product with it
  is at most sqrt(width) * |gain * column| (Cauchy-Schwarz).
- Attention returns weighted means of values, with weights that add up to 1: no number is larger than the largest value.
- |gelu(x)| <= |x|, so the product of gate and widened is at most the product of their bounds.

The bounds hold for whatever is encoded. They are not tight: a sum of n terms is bounded by n times what a term can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

LARGEST_HALF: Final = 65_504.0
"""The largest number of float16."""
LARGEST_SCORE: Final = 30_000.0
"""Scores in float16 stay below, so that one with the padding's bias is still a number."""


@dataclass(frozen=True)
class LayerRanges:
    """Bounds of one layer: no absolute value is larger, whatever the text.

    Attributes:
        operands: of what goes into each product, by the weight's name.
        results: of what comes out of each product, by the weight's name.
        scores: of the products of queries and keys, with the position biases.
    """

    operands: dict[str, float]
    results: dict[str, float]
    scores: float

    def unsafe(self) -> set[str]:
        """Products that may leave float16, by the weight's name, and "attention" when its scores may."""
        found = {name for name in self.results if max(self.operands[name], self.results[name]) > LARGEST_HALF}
        return found | ({"attention"} if self.scores > LARGEST_SCORE else set())


def layer_ranges(weight: Callable[[str], Tensor], heads: int) -> LayerRanges:
    """Bounds of one layer.

    Args:
        weight: a weight of the layer by its name (`LINEARS`, "attention_gain", "feed_gain", "positions"), float32.
        heads: of the attention.
    """
    operands: dict[str, float] = {}
    results: dict[str, float] = {}

    def normed(gain: Tensor, name: str) -> Tensor:
        """A product with a normed token: the bound of each number."""
        operands[name] = gain.shape[0] ** 0.5 * float(gain.abs().max())
        lengths: Tensor = torch.linalg.vector_norm(gain[:, None] * weight(name), dim=0)
        bound: Tensor = gain.shape[0] ** 0.5 * lengths
        results[name] = float(bound.max())
        return bound

    def summed(operand: Tensor, name: str) -> None:
        """A product with numbers of which each has a bound of its own."""
        operands[name] = float(operand.max())
        results[name] = float((operand[:, None] * weight(name).abs()).sum(dim=0).max())

    gain = weight("attention_gain")
    query = normed(gain, "query")
    key = normed(gain, "key")
    value = normed(gain, "value")
    summed(value, "output")
    # The length of a head's query is at most that of the bounds of its numbers; so is the key's.
    lengths = [torch.linalg.vector_norm(each.reshape(heads, -1), dim=1) for each in (query, key)]
    scores = float((lengths[0] * lengths[1]).max() + weight("positions")[:, :-1].abs().max())
    gain = weight("feed_gain")
    gate = normed(gain, "gate")
    widened = normed(gain, "widen")
    summed(gate * widened, "narrow")
    return LayerRanges(operands, results, scores)
