"""The graphs `prompt_kv` and `denoise` as torch modules: one call, with every state an input and an output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from streamgen_export.onnx_export import ring_write
from streamgen_export.wan.config import RingShape
from streamgen_export.wan.rotary import spatial_table
from streamgen_export.wan.transformer import CausalWan, attention, rotate

Shapes = dict[str, tuple[int, ...]]
"""Names of inputs, outputs or states with their shapes, in the order of the arguments."""


class PromptKv(nn.Module):
    """`prompt_kv.onnx`: an encoded text to what cross-attention of every layer needs of it."""

    def __init__(self, model: CausalWan) -> None:
        super().__init__()
        self.model = model

    def forward(self, context: Tensor) -> tuple[Tensor, ...]:
        """context float32 [1, text tokens, text width] -> prompt_key_0, prompt_value_0, prompt_key_1, ..."""
        return tuple(part for pair in self.model.prompt(context) for part in pair)

    def outputs(self) -> Shapes:
        """Names and shapes of what `forward` returns; `denoise` holds them as inputs."""
        c = self.model.config
        shape = (1, c.heads, c.text_tokens, c.head_dim)
        return {f"prompt_{kind}_{layer}": shape for layer in range(c.layers) for kind in ("key", "value")}


class RingAttention:
    """Attention of one chunk over the ring; the chunk's own keys and values are written first.

    Keys lie in the ring without rotation and are turned when they are read, by positions that the caller chooses: so
    positions stay small for ever, and nothing in the ring has to be changed when they move.
    """

    def __init__(
        self,
        query_turn: tuple[Tensor, Tensor],
        key_turn: tuple[Tensor, Tensor],
        bias: Tensor,
        index: Tensor,
        rings: tuple[Tensor, ...],
    ) -> None:
        self.query_turn, self.key_turn = query_turn, key_turn
        self.bias, self.index = bias, index
        self.rings = list(rings)

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `transformer.Attend`."""
        rings, kind = self.rings, value.dtype
        rings[2 * layer] = ring_write(rings[2 * layer], key.to(kind), self.index)
        rings[2 * layer + 1] = ring_write(rings[2 * layer + 1], value, self.index)
        turned = rotate(rings[2 * layer].float(), *self.key_turn)
        return attention(rotate(query, *self.query_turn), turned, rings[2 * layer + 1], self.bias)


class Denoise(nn.Module):
    """`denoise.onnx`: the velocity of one chunk at one noise level, and the ring with this chunk written."""

    place_cos: Tensor
    place_sin: Tensor

    def __init__(self, model: CausalWan, shape: RingShape) -> None:
        super().__init__()
        self.model, self.shape = model, shape
        cos, sin = spatial_table(model.config, shape)
        self.register_buffer("place_cos", torch.from_numpy(cos))
        self.register_buffer("place_sin", torch.from_numpy(sin))

    def forward(
        self,
        latent: Tensor,
        time: Tensor,
        query_cos: Tensor,
        query_sin: Tensor,
        key_cos: Tensor,
        key_sin: Tensor,
        bias: Tensor,
        write_index: Tensor,
        *held: Tensor,
    ) -> tuple[Tensor, ...]:
        """One pass over one chunk.

        Args:
            latent: float32 [1, channels, F, h, w].
            time: float32 [1, time width], the sinusoid of 1000 times the noise level.
            query_cos: float32 [F, temporal pairs], of the positions of the chunk's own latent frames.
            query_sin: likewise.
            key_cos: float32 [R, temporal pairs], of the positions of the ring's latent frames.
            key_sin: likewise.
            bias: float32 [R], 0 where a latent frame of the ring is seen and -1e4 where it is not.
            write_index: int64 [1], the row of the ring at which the chunk is written.
            held: prompt_key_0, prompt_value_0, ... and then key_0, value_0, ...: the text and the ring.

        Returns:
            velocity float32, shaped like `latent`, then the ring.
        """
        s, pairs = self.shape, 2 * self.model.config.layers
        prompt = [(held[i], held[i + 1]) for i in range(0, pairs, 2)]
        # Every query has the same bias; it is spread over them because ONNX Runtime does not do it itself.
        each = bias.to(self.model.held)[:, None].expand(-1, s.frame_tokens).reshape(1, 1, 1, -1)
        attend = RingAttention(
            self._turn(query_cos, query_sin),
            self._turn(key_cos, key_sin),
            each.expand(-1, -1, s.chunk_tokens, -1),
            write_index,
            held[pairs:],
        )
        velocity = self.model.run(latent, time, prompt, attend)
        return (velocity, *attend.rings)

    def _turn(self, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """Tables of latent frames [frames, temporal pairs] to tables of their tokens [frames * m, D / 2]."""
        return self._spread(cos, self.place_cos), self._spread(sin, self.place_sin)

    @staticmethod
    def _spread(frames: Tensor, places: Tensor) -> Tensor:
        f, m = frames.shape[0], places.shape[0]
        both = (frames[:, None].expand(-1, m, -1), places[None].expand(f, -1, -1))
        return torch.cat(both, dim=-1).flatten(0, 1)

    def inputs(self) -> Shapes:
        """Names and shapes of the inputs of a pass, without what is held and carried."""
        c, s = self.model.config, self.shape
        return {
            "latent": (1, c.channels, s.chunk, s.height, s.width),
            "time": (1, c.time_width),
            "query_cos": (s.chunk, c.temporal_pairs),
            "query_sin": (s.chunk, c.temporal_pairs),
            "key_cos": (s.frames, c.temporal_pairs),
            "key_sin": (s.frames, c.temporal_pairs),
            "bias": (s.frames,),
            "write_index": (1,),
        }

    def held(self) -> Shapes:
        """Names and shapes of the inputs that stay until the text changes."""
        return PromptKv(self.model).outputs()

    def states(self) -> Shapes:
        """Names and shapes of the rings, in the order of `forward`."""
        c = self.model.config
        shape = (1, c.heads, self.shape.slots, c.head_dim)
        return {f"{kind}_{layer}": shape for layer in range(c.layers) for kind in ("key", "value")}
