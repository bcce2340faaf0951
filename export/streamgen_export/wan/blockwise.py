"""Attention over whole clips, causal by chunks, written as plainly as it can be: what the ring is compared with.

There is no ring, no bias and no write here. For each chunk the latent frames that it sees are picked out, laid in a
row, turned by their place in this row, and attended to.
"""

from __future__ import annotations

import torch
from torch import Tensor

from streamgen_export.wan.config import RingShape, WanConfig
from streamgen_export.wan.rotary import spatial_table, temporal_table
from streamgen_export.wan.transformer import CausalWan, attention, rotate


class Blockwise:
    """`transformer.Attend` for a clip of several chunks."""

    def __init__(self, config: WanConfig, shape: RingShape) -> None:
        self.shape = shape
        place_cos, place_sin = (torch.from_numpy(part) for part in spatial_table(config, shape))
        cos, sin = (torch.from_numpy(part) for part in temporal_table(config, range(shape.frames)))
        m = shape.frame_tokens
        # [R * m, D / 2]: of a row of as many latent frames as can be seen.
        self.cos = torch.cat((cos.repeat_interleave(m, 0), place_cos.repeat(shape.frames, 1)), dim=1)
        self.sin = torch.cat((sin.repeat_interleave(m, 0), place_sin.repeat(shape.frames, 1)), dim=1)

    def seen(self, chunk: int) -> list[int]:
        """Latent frames of the clip that a chunk sees, itself among them, oldest first."""
        s = self.shape
        begin, end = chunk * s.chunk, (chunk + 1) * s.chunk
        return [frame for frame in range(end) if frame < s.sink or frame >= begin - s.window]

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `transformer.Attend`; N is a whole number of chunks."""
        del layer
        m, n = self.shape.frame_tokens, self.shape.chunk_tokens
        out = []
        for chunk in range(query.shape[2] // n):
            frames = self.seen(chunk)
            k, v = (torch.cat([x[:, :, f * m : (f + 1) * m] for f in frames], dim=2) for x in (key, value))
            cos, sin = self.cos[: len(frames) * m], self.sin[: len(frames) * m]
            q = rotate(query[:, :, chunk * n : (chunk + 1) * n], cos[-n:], sin[-n:])
            out.append(attention(q, rotate(k, cos, sin), v))
        return torch.cat(out, dim=2)


def clip_velocity(model: CausalWan, shape: RingShape, latents: Tensor, sinusoids: Tensor, context: Tensor) -> Tensor:
    """Velocity of every chunk of a clip, each given the chunks that it sees, as they stand in the clip.

    Args:
        model: in float32.
        shape: chunk, window and sink, and the size of the latents.
        latents: float32 [1, channels, T, h, w], T a whole number of chunks.
        sinusoids: float32 [T, time width], of the noise level of each latent frame.
        context: the encoded text, float32 [1, text tokens, text width].

    Returns:
        float32, shaped like `latents`.
    """
    with torch.no_grad():
        return model.run(latents, sinusoids, model.prompt(context), Blockwise(model.config, shape))
