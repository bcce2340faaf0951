"""An encoded text, and blends of several. Values only: nothing here runs a graph, so any thread may blend.

A denoise graph takes one context for all tokens of a chunk. Two ways lead from several texts to one chunk:

- **By velocities** (`Condition.exact`): one pass per text, and the chunk follows the weighted sum of what they say
  (Liu et al. 2022, "Compositional Visual Generation with Composable Diffusion Models", section 3). It is exact, and
  costs a pass per text and step.
- **By embeddings** (`blend`, the default): one pass, whatever the number of texts. `pooled` is the weighted mean,
  brought back to the mean of the lengths. Token by token, `context` is the weighted mean of the hidden states of those
  texts that have a token there; a place that only some of them fill gets the logarithm of their shares as its bias,
  so that attention is divided by share: exp(score + log share) = share * exp(score).

With a share of 0 a text leaves no trace in either, and with a share of 1 it is alone, bit for bit. In between the path
is continuous. On the bundled model, blends by embeddings are about 0.2 to 0.35 from blends by velocities, where 1 is
how far the texts themselves are apart and where rounding to int8 alone makes 0.17. Texts side by side in the context
instead of one upon the other were tried: they are further off (0.4), and long ones do not fit into the places that
the graph has. `tests/engines/test_prompt.py` measures it again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamgen_engines.chunk import Float32Array
from streamgen_engines.errors import PromptError
from streamgen_engines.manifest import Text

PADDING_BIAS: Final = -1e4
"""Added to the attention score of a place without a token: no weight is left, and no float type overflows."""
MAX_BLENDED: Final = 8
"""Texts in one blend; of more, the largest shares stay (a transition that is turned again and again leaves them)."""
_ROUNDING: Final = 1e-9  # shares that add up to 1 this closely are taken as they are, so that a record gives them back


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """An encoded text, or a blend of several. Arrays are read-only and may be shared by all threads.

    Attributes:
        text: what was encoded, at most `MAX_CHARACTERS` of it; of a blend a description to read.
        context: float32 `[1, T, W]`, hidden state per token; zero where there is none. A blend of texts without
            `pooled` has none, `[1, 0, W]`: models of such text graphs (family `wan`) are told each text by itself, and
            mixing megabytes for every chunk would be in vain.
        context_bias: float32 `[1, T]`, added to attention scores: 0 = attend, `PADDING_BIAS` = no token here.
        pooled: float32 `[1, W]`, the whole text as one vector of length 1 (0 for the null prompt); `[1, 0]` where the
            text graph gives none.
        parts: of a blend, its texts and their shares, which add up to 1; empty for a text by itself.
    """

    text: str
    context: Float32Array
    context_bias: Float32Array
    pooled: Float32Array
    parts: "tuple[tuple[Prompt, float], ...]" = ()

    def __post_init__(self) -> None:
        for array in (self.context, self.context_bias, self.pooled):
            array.setflags(write=False)

    @property
    def alone(self) -> "tuple[tuple[Prompt, float], ...]":
        """Its texts, each encoded by itself, and their shares; one with a share of 1 when it is no blend."""
        return self.parts or ((self, 1.0),)

    @property
    def shares(self) -> tuple[tuple[str, float], ...]:
        """Its texts and their shares: what a record needs to make it again with `TextEncoder.blend`."""
        return tuple((prompt.text, share) for prompt, share in self.alone)


def null_prompt(text: Text) -> Prompt:
    """No text at all: what a model saw when its caption was dropped in training. Guidance starts from it."""
    bias = np.full((1, text.max_tokens), PADDING_BIAS, np.float32)
    bias[0, 0] = 0.0  # one place must stay open, or attention would have nothing to divide by
    return Prompt(
        "", np.zeros((1, text.max_tokens, text.width), np.float32), bias, np.zeros((1, text.width), np.float32)
    )


def blend(weighted: Sequence[tuple[Prompt, float]]) -> Prompt:
    """Mix prompts by embeddings; see this module's first lines for how.

    Blends are taken apart first, so that a blend of blends is the blend of all their texts, and a text that comes
    twice counts with both weights. One text alone is returned as it is.

    Args:
        weighted: (prompt, weight) pairs; weights are relative, those of 0 drop out.

    Raises:
        PromptError: no positive weight, or one that is negative or not finite.
    """
    if any(not math.isfinite(weight) or weight < 0 for _, weight in weighted):
        raise PromptError("a weight of a blend is negative or not finite; give numbers from 0 up")
    total = sum(weight for _, weight in weighted)
    if not 0 < total < math.inf:
        raise PromptError(f"the weights of a blend add up to {total}; give at least one text a weight above 0")
    found: dict[str, tuple[Prompt, float]] = {}
    for prompt, weight in weighted:
        for alone, share in prompt.alone:
            kept, before = found.get(alone.text, (alone, 0.0))
            found[alone.text] = (kept, before + weight * share)
    parts = _largest([part for part in found.values() if part[1] > 0])
    return parts[0][0] if len(parts) == 1 else _mixed(parts)


def transition(before: Prompt, after: Prompt, share: float) -> Prompt:
    """On the way from one prompt to another: `share` of the way, from 0 (exactly `before`) to 1 (exactly `after`).

    A caller who wants it to last some milliseconds raises the share evenly with each chunk. One that is turned
    elsewhere on its way goes on from the blend that it had reached.

    Raises:
        PromptError: the share is not a number.
    """
    if math.isnan(share):
        raise PromptError("the share of a transition is not a number; give one from 0 to 1")
    if share <= 0:
        return before
    return after if share >= 1 else blend([(before, 1 - share), (after, share)])


def moved(before: Prompt, after: Prompt) -> float:
    """How much of the shares another prompt gives to other texts: 0 = the same blend, 1 = nothing in common."""
    old = dict(before.shares)
    gone = 1.0 - sum(min(share, old.get(text, 0.0)) for text, share in after.shares)
    return gone if gone > _ROUNDING else 0.0


def same(one: Prompt, other: Prompt) -> bool:
    """Whether two prompts say the same, with the same shares."""
    return one is other or one.shares == other.shares


def _largest(parts: list[tuple[Prompt, float]]) -> list[tuple[Prompt, float]]:
    """The largest `MAX_BLENDED`, in the order in which they came, with shares that add up to 1."""
    if len(parts) > MAX_BLENDED:
        least = sorted(range(len(parts)), key=lambda i: parts[i][1])[: len(parts) - MAX_BLENDED]
        parts = [part for i, part in enumerate(parts) if i not in least]
    total = sum(share for _, share in parts)
    if abs(total - 1) <= _ROUNDING:
        return parts
    return [(prompt, share / total) for prompt, share in parts]


def _mixed(parts: list[tuple[Prompt, float]]) -> Prompt:
    shares = [share * (prompt.context_bias == 0) for prompt, share in parts]  # [1, T] each
    filled = sum(shares[1:], shares[0])
    if all(prompt.pooled.size == 0 for prompt, _ in parts):
        context = parts[0][0].context[:, :0]
    else:
        context = np.stack([s[..., None] * p.context for s, (p, _) in zip(shares, parts, strict=True)]).sum(axis=0)
        context /= np.maximum(filled, np.finfo(np.float32).tiny)[..., None]
    bias = np.where(filled > 0, np.log(filled, where=filled > 0, out=np.zeros_like(filled)), PADDING_BIAS)
    # Means of the directions and of the lengths apart: a text's vector has length 1, that of no text has 0.
    pooled = np.stack([share * prompt.pooled for prompt, share in parts]).sum(axis=0)
    wanted = sum(share * float(np.linalg.norm(prompt.pooled)) for prompt, share in parts)
    length = float(np.linalg.norm(pooled))
    return Prompt(
        " + ".join(f"{share:.2g} {prompt.text}" for prompt, share in parts),
        context.astype(np.float32),
        bias.astype(np.float32),
        (pooled * (wanted / length) if length > 0 else pooled).astype(np.float32),
        tuple(parts),
    )
