"""The joint transformer: one sequence of video and audio tokens per chunk, causal over chunks.

Attention is bidirectional inside a chunk, across both modalities, and reaches back over a window of earlier
chunks and a sink. Keys are kept without rotation: rotary positions (Su et al. 2021, RoFormer) are applied
when they are read, from the *age* of a chunk, so that nothing grows with the length of a stream. Text enters
by cross-attention and, pooled, through the shared modulation (adaLN with one projection for all layers and a
bias per layer; Chen et al. 2023, PixArt-alpha, section 2.3). Training is flow matching (Lipman et al. 2022):
x_t = (1 - s) x_0 + s eps, and the velocity eps - x_0 is predicted.

Shapes: G groups (a group is one chunk with everything that shares its text), P copies of the chunk inside a
group (1 when streaming; clean context and noisy target in training), N tokens of a chunk, D width, H heads,
Dh width of a head, T text tokens, W width of the text.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.config import PocketConfig

MASKED = -1.0e4
"""Additive bias of a key that may not be seen: large, and finite in every float type."""
TIME_SPAN = 24.0
"""Longest period of the rotary angles over time, in chunks."""

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, query, key, value), each [G, P, H, N, Dh] and not rotated -> [G, P, H, N, Dh]."""


def axial_frequencies(head_dim: int, space_periods: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Angular frequencies over time (chunks) and over space (cells), together head_dim / 2 of them."""
    half = head_dim // 2
    shortest, longest = space_periods
    over_time = half // 4
    over_space = half - over_time
    time = 2 * math.pi / torch.logspace(math.log10(2.5), math.log10(TIME_SPAN), over_time)
    space = 2 * math.pi / torch.logspace(math.log10(shortest), math.log10(longest), over_space)
    return time, space


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the two halves of the last axis against each other. x [..., n, Dh]; cos, sin [..., n, Dh / 2]."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """Scaled dot-product attention with an additive bias that broadcasts, or with none.

    Written out, not fused: on a CPU the fused kernel's backward pass takes twice as long, and ONNX Runtime's
    `Attention` does not broadcast a mask over the queries.
    """
    scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(-1, -2))
    if bias is not None:
        scores += bias.to(scores.dtype)  # in place: the scores are the largest tensors of training
    return torch.matmul(torch.softmax(scores, dim=-1), value)


class Text:
    """The distinct texts of a batch and which of them each group follows.

    context [U, T, W]; bias [U, T] (0 = attend, `MASKED` = padding); pooled [U, W]; index int64 [G], or None when
    the texts already stand in the order of the groups.
    """

    def __init__(self, context: Tensor, bias: Tensor, pooled: Tensor, index: Tensor | None = None) -> None:
        self.context, self.bias, self.pooled, self.index = context, bias, pooled, index

    def per_group(self, x: Tensor) -> Tensor:
        """[U, ...] -> [G, ...]."""
        return x if self.index is None else x[self.index]


def normalised(x: Tensor) -> Tensor:
    """RMS normalisation of the last axis (Zhang and Sennrich 2019)."""
    return F.rms_norm(x, x.shape[-1:], eps=1e-6)


class Norm(nn.Module):
    """`normalised` with a learned gain; unlike `nn.RMSNorm` it stays in the type of its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape ending in `width`."""
        return normalised(x) * self.weight.to(x.dtype)


class Layer(nn.Module):
    """Self-attention over chunks, cross-attention to the text, SwiGLU; each modulated or gated."""

    def __init__(self, config: PocketConfig, index: int) -> None:
        super().__init__()
        d = config.dim
        self.index = index
        self.heads = config.heads
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.query_norm = Norm(config.head_dim)
        self.key_norm = Norm(config.head_dim)
        self.out = nn.Linear(d, d, bias=False)
        self.text_norm = Norm(d)
        self.text_query = nn.Linear(d, d, bias=False)
        self.text_kv = nn.Linear(config.text_narrow, 2 * d, bias=False)
        self.text_out = nn.Linear(d, d, bias=False)
        hidden = int(d * 8 / 3 / 32) * 32
        self.up = nn.Linear(d, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, d, bias=False)
        self.bias = nn.Parameter(torch.zeros(6, d))

    def heads_first(self, x: Tensor) -> Tensor:
        """[..., n, D] -> [..., H, n, Dh]."""
        split: Tensor = x.unflatten(-1, (self.heads, -1))
        return split.transpose(-3, -2)

    def forward(self, x: Tensor, modulation: Tensor, context: Tensor, text: Text, attend: Attend) -> Tensor:
        """One layer. x [G, P, N, D]; modulation [G, P, 1, 6, D]; context [U, T, narrow width]."""
        m = modulation + self.bias
        shift_a, scale_a, gate_a, shift_b, scale_b, gate_b = m.unbind(-2)
        h = normalised(x) * (1 + scale_a) + shift_a
        q, k, v = self.qkv(h).chunk(3, dim=-1)
        q, k, v = self.query_norm(self.heads_first(q)), self.key_norm(self.heads_first(k)), self.heads_first(v)
        y = attend(self.index, q, k, v)
        x = x + gate_a * self.out(y.transpose(-3, -2).flatten(-2))

        copies = x.shape[1]
        tk, tv = (text.per_group(self.heads_first(part)) for part in self.text_kv(context).chunk(2, dim=-1))
        tq = self.heads_first(self.text_query(self.text_norm(x.flatten(1, 2))))
        y = attention(tq, tk, tv, text.per_group(text.bias)[:, None, None])
        x = x + self.text_out(y.transpose(-3, -2).flatten(-2)).unflatten(1, (copies, -1))

        h = normalised(x) * (1 + scale_b) + shift_b
        gate, value = self.up(h).chunk(2, dim=-1)
        out: Tensor = x + gate_b * self.down(F.silu(gate) * value)
        return out


class JointTransformer(nn.Module):
    """Velocity of the video and audio latents of a chunk, given the chunks before it and the text."""

    space: Tensor
    time_frequencies: Tensor
    sigma_frequencies: Tensor

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        self.config = config
        d = config.dim
        self.video_in = nn.Linear(config.token_channels, d)
        self.audio_in = nn.Linear(config.audio_channels * config.audio_merge, d)
        self.place = nn.Parameter(torch.randn(config.tokens, d) * 0.02)
        self.sigma_in = nn.Sequential(nn.Linear(64, d), nn.SiLU(), nn.Linear(d, d))
        self.pooled_in = nn.Linear(config.text_width, d)
        # One narrowing for all layers: a quarter of the weights that each layer's own view of the text would take.
        self.text_in = nn.Linear(config.text_width, config.text_narrow, bias=False)
        self.modulation = nn.Linear(d, 6 * d)
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config.layers))
        self.final_modulation = nn.Linear(d, 2 * d)
        self.video_out = nn.Linear(d, config.token_channels)
        self.audio_out = nn.Linear(d, config.audio_channels * config.audio_merge)
        for module in (self.modulation, self.final_modulation, self.video_out, self.audio_out):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
        time, space = axial_frequencies(config.head_dim, config.space_periods)
        self.register_buffer("time_frequencies", time)
        self.register_buffer("space", self._space_angles(space))
        self.register_buffer("sigma_frequencies", torch.logspace(0, 2.5, 32))

    def _space_angles(self, frequencies: Tensor) -> Tensor:
        """Angles of each token's place, [N, Fs]: half the frequencies see the row, half the column.

        Audio tokens sit on a diagonal of their own below the picture, so that their order in time is seen too.
        """
        c = self.config
        steps = torch.arange(c.audio_tokens)
        rows, columns = torch.arange(0, c.rows, c.merge_rows), torch.arange(0, c.columns, c.merge)
        y = torch.cat((rows.repeat_interleave(c.token_columns), c.rows + 1 + steps))
        x = torch.cat((columns.repeat(c.token_rows), c.columns + steps))
        split = len(frequencies) // 2
        return torch.cat((y[:, None] * frequencies[:split], x[:, None] * frequencies[split:]), dim=-1).float()

    def rotation(self, age: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin, [C * N, Dh / 2], of every token of chunks of these ages [C] (0 = now, larger = older)."""
        n = self.config.tokens
        time = -age.clamp(min=0)[:, None, None] * self.time_frequencies
        time = time.expand(-1, n, -1)
        space = self.space.expand(age.shape[0], -1, -1)
        angles = torch.cat((time, space), dim=-1).flatten(0, 1)
        return angles.cos(), angles.sin()

    def tokens(self, video: Tensor, audio: Tensor) -> Tensor:
        """Latents [B, Cv, h, w] and [B, Ca, L] -> tokens [B, N, D]."""
        c = self.config
        cells = video.unflatten(-1, (-1, c.merge)).unflatten(-3, (-1, c.merge_rows))
        v = cells.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
        a = audio.unflatten(-1, (-1, c.audio_merge)).permute(0, 2, 1, 3).flatten(2)
        return torch.cat((self.video_in(v), self.audio_in(a)), dim=1) + self.place

    def latents(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [B, N, D] -> latents, the inverse arrangement of `tokens`."""
        c = self.config
        cell = (c.video_channels, c.merge_rows, c.merge)
        v = self.video_out(x[:, : c.video_tokens]).unflatten(1, (c.token_rows, -1)).unflatten(-1, cell)
        a = self.audio_out(x[:, c.video_tokens :]).unflatten(-1, (c.audio_channels, c.audio_merge))
        video = v.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
        return video, a.permute(0, 2, 1, 3).flatten(2)

    def condition(self, sigma: Tensor, pooled: Tensor) -> Tensor:
        """Noise level [G, P] and pooled text [G, W] -> [G, P, D]."""
        angles = sigma[..., None] * self.sigma_frequencies
        features = torch.cat((angles.cos(), angles.sin()), dim=-1)
        # Unit length over W components is tiny per component: scaled to unit variance.
        told = self.pooled_in(pooled[:, None] * pooled.shape[-1] ** 0.5)
        condition: Tensor = F.silu(self.sigma_in(features) + told)
        return condition

    def run(self, x: Tensor, sigma: Tensor, text: Text, attend: Attend) -> Tensor:
        """Tokens [G, P, N, D] at noise levels [G, P] through all layers, normalised and modulated, same shape."""
        condition = self.condition(sigma, text.per_group(text.pooled))
        modulation = self.modulation(condition).unflatten(-1, (6, -1))[:, :, None]
        context = self.text_in(text.context)
        for layer in self.layers:
            x = layer(x, modulation, context, text, attend)
        shift, scale = self.final_modulation(condition)[:, :, None].chunk(2, dim=-1)
        out: Tensor = normalised(x) * (1 + scale) + shift
        return out

    def alone_forward(self, noisy: tuple[Tensor, Tensor], sigma: Tensor, text: Text) -> tuple[Tensor, Tensor]:
        """Velocities of chunks without a past; video [G, Cv, h, w], audio [G, Ca, L], sigma [G]."""
        out = self.run(self.tokens(*noisy)[:, None], sigma[:, None], text, Alone(self))
        return self.latents(out[:, 0])

    def train_forward(
        self,
        clean: tuple[Tensor, Tensor],
        noisy: tuple[Tensor, Tensor],
        sigma: Tensor,
        text: Text,
        sink: Tensor,
        start: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Velocities of every chunk of whole clips at once, each given the lightly noised chunks before it.

        Args:
            clean: context latents, video [B, C, Cv, h, w] and audio [B, C, Ca, L], already lightly noised.
            noisy: latents to denoise, same shapes.
            sigma: [B, C, 2], noise level of the context copy and of the noisy copy.
            text: of the B * C groups.
            sink: bool [B], whether chunks beyond the window see the first chunk.
            start: int64 [B, C], the first chunk that each chunk may see: 0, or where a new beginning hides the past.

        Returns:
            video and audio velocity of the noisy copy, shapes as the inputs.
        """
        b, c = sigma.shape[:2]
        x = torch.stack([self.tokens(v.flatten(0, 1), a.flatten(0, 1)) for v, a in (clean, noisy)], dim=1)
        attend = TeacherForcing(self, b, c, sink, start)
        out = self.run(x, sigma.flatten(0, 1), text, attend)
        video, audio = self.latents(out[:, 1])
        return video.unflatten(0, (b, c)), audio.unflatten(0, (b, c))


class Alone:
    """Attention of chunks that have no past, as the first chunk of a stream has none: one copy, its own keys."""

    def __init__(self, model: JointTransformer) -> None:
        self.now = model.rotation(torch.zeros(1, device=model.place.device))

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend inside chunks; see `Attend`."""
        del layer
        turn = tuple(x.to(query.dtype) for x in self.now)
        return attention(rotate(query, *turn), rotate(key, *turn), value, None)


class TeacherForcing:
    """Attention of whole clips: chunk i sees the context copies of its window and its sink, and its own copy.

    The same function as attention over the ring, by other means. When streaming a key is turned by its age. Here keys
    and queries are turned once, by how long before the end of the clip they are: scores see only the difference. Only
    the sink, which always counts as one chunk older than the window, is turned for each chunk anew.
    """

    def __init__(self, model: JointTransformer, clips: int, chunks: int, sink: Tensor, start: Tensor) -> None:
        c = model.config
        self.window, self.shape = c.window, (clips, chunks)
        device = model.place.device
        before_end = torch.arange(chunks - 1, -1, -1, device=device, dtype=torch.float32)
        # [1, C, 1, 1, N, Dh / 2]
        self.now = self._turns(model, before_end)
        self.sink = self._turns(model, before_end + c.window + 1)
        i = torch.arange(chunks, device=device)
        ages = torch.arange(1, c.window + 1, device=device)
        exists = i[:, None] - ages >= start[..., None]
        sees_sink = (i > c.window)[None] & sink[:, None] & (start == 0)
        slots = torch.cat((exists, sees_sink[..., None]), dim=-1)
        past = slots.repeat_interleave(c.tokens, dim=-1)[:, :, None].expand(-1, -1, 2, -1)
        own = torch.eye(2, dtype=torch.bool, device=device).repeat_interleave(c.tokens, dim=-1)
        seen = torch.cat((past, own.expand(clips, chunks, -1, -1)), dim=-1)
        bias = torch.zeros(seen.shape, device=device).masked_fill(~seen, MASKED)
        self.bias = bias.repeat_interleave(c.tokens, dim=2).flatten(0, 1)[:, None]  # [G, 1, 2 N, keys]

    @staticmethod
    def _turns(model: JointTransformer, ages: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = (x.unflatten(0, (len(ages), 1, 1, -1))[None] for x in model.rotation(ages))
        return cos, sin

    def _keys(self, x: Tensor, sink: Tensor) -> Tensor:
        """Both copies [B, C, 2, H, N, Dh] and the sink [B, C, H, N, Dh] -> what each chunk attends to [G, H, keys, Dh].

        In order: context copies from age 1 to the window's end, the sink, the chunk's own context and noisy copies.
        """
        chunks = x.shape[1]
        padded = F.pad(x[:, :, 0], (0, 0, 0, 0, 0, 0, self.window, 0))
        aged = [padded[:, self.window - age : self.window - age + chunks] for age in range(1, self.window + 1)]
        return torch.stack([*aged, sink, x[:, :, 0], x[:, :, 1]], dim=3).flatten(3, 4).flatten(0, 1)

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend inside and across chunks; see `Attend`."""
        del layer
        self.bias = self.bias.to(query.dtype)
        now, sink = (tuple(x.to(query.dtype) for x in turn) for turn in (self.now, self.sink))
        query, key, value = (x.unflatten(0, self.shape) for x in (query, key, value))
        oldest = rotate(key[:, :1, 0], *(x[:, :, 0] for x in sink))
        k = self._keys(rotate(key, *now), oldest)
        v = self._keys(value, value[:, :1, 0].expand_as(oldest))
        q = rotate(query, *now).flatten(0, 1).transpose(1, 2).flatten(2, 3)
        y: Tensor = attention(q, k, v, self.bias).unflatten(2, (2, -1))
        return y.transpose(1, 2)
