"""Sizes of Wan 2.1's text-to-video transformer, and of the ring of keys and values that a stream keeps.

Sources: the published `config.json` of Wan2.1-T2V-1.3B and -14B, and Wan Team 2025 ("Wan: Open and Advanced Large-Scale
Video Generative Models"), section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PATCH: Final = 2
"""Rows and columns of a latent that become one token; in time a patch is one latent frame."""
STRIDE: Final = 8
"""Pixels of a picture to one cell of a latent, along each side."""
MASKED: Final = -1.0e4
"""Bias of a key that may not be seen: large, and finite in float16."""


@dataclass(frozen=True, slots=True)
class WanConfig:
    """Dimensions of one transformer.

    Attributes:
        name: how messages and commands call it.
        layers: transformer blocks.
        width: of a token (C).
        heads: of every attention (H); each has `head_dim` numbers (D).
        feed_forward: width between the two linears of a block.
        channels: of a latent, in and out.
        text_tokens: tokens of a text. All of them are attended, padding too: so these models were trained.
        text_width: of a token of the text encoder.
        time_width: of the sinusoid of the noise level.
        epsilon: of every normalisation.
    """

    name: str
    layers: int
    width: int
    heads: int
    feed_forward: int
    channels: int = 16
    text_tokens: int = 512
    text_width: int = 4096
    time_width: int = 256
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        if self.width % self.heads or self.head_dim % 2:
            raise ValueError(
                f"{self.name}: width {self.width} must be {self.heads} heads of an even number of channels"
            )
        if self.time_width % 2:
            raise ValueError(f"{self.name}: the sinusoid has pairs, so time_width {self.time_width} must be even")

    @property
    def head_dim(self) -> int:
        """D."""
        return self.width // self.heads

    @property
    def spatial_pairs(self) -> int:
        """Rotary pairs of a head that tell the row; as many tell the column."""
        return self.head_dim // 6

    @property
    def temporal_pairs(self) -> int:
        """Rotary pairs of a head that tell the latent frame: what rows and columns leave."""
        return self.head_dim // 2 - 2 * self.spatial_pairs


WAN_1_3B: Final = WanConfig("1.3B", layers=30, width=1536, heads=12, feed_forward=8960)
WAN_14B: Final = WanConfig("14B", layers=40, width=5120, heads=40, feed_forward=13824)
SIZES: Final = {config.name: config for config in (WAN_1_3B, WAN_14B)}
"""Every published size by its name."""
TINY: Final = WanConfig("tiny", layers=2, width=96, heads=2, feed_forward=192, text_width=64)
"""For tests: the same structure, and random weights that fit into a megabyte."""


@dataclass(frozen=True, slots=True)
class RingShape:
    """What a stream keeps of its past, and how large its latents are.

    Rows lie by latent frame: first the sink, then window and chunk, which rotate. Everything is a whole number of
    chunks, so that a chunk is written as one piece.

    Attributes:
        chunk: latent frames that are made together (F).
        window: earlier latent frames that are seen besides the sink.
        sink: latent frames of the stream's beginning that are never written over.
        height: rows of a latent (h), an eighth of the picture's.
        width: columns of a latent (w).
    """

    chunk: int
    window: int
    sink: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.chunk < 1 or self.window < 0 or self.sink < 0:
            raise ValueError(f"a ring needs a chunk, and no part of it is negative: {self}")
        if self.window % self.chunk or self.sink % self.chunk:
            raise ValueError(f"window {self.window} and sink {self.sink} must be whole chunks of {self.chunk} frames")
        if min(self.height, self.width) < PATCH or self.height % PATCH or self.width % PATCH:
            raise ValueError(
                f"latents of {self.width}x{self.height} do not divide into tokens of {PATCH}x{PATCH}: sides of the "
                f"picture must be multiples of {PATCH * STRIDE}"
            )

    @property
    def frames(self) -> int:
        """Latent frames of the ring (R): sink, window and the chunk being made."""
        return self.sink + self.window + self.chunk

    @property
    def rows(self) -> int:
        """Rows of tokens of a latent frame."""
        return self.height // PATCH

    @property
    def columns(self) -> int:
        """Columns of tokens of a latent frame."""
        return self.width // PATCH

    @property
    def frame_tokens(self) -> int:
        """Tokens of a latent frame (m)."""
        return self.rows * self.columns

    @property
    def chunk_tokens(self) -> int:
        """Tokens of a chunk (n)."""
        return self.chunk * self.frame_tokens

    @property
    def slots(self) -> int:
        """Tokens of the ring (S)."""
        return self.frames * self.frame_tokens

    def bytes(self, config: WanConfig, item_bytes: int) -> int:
        """Bytes of the keys and values of all layers."""
        return 2 * config.layers * config.width * self.slots * item_bytes
