"""Sizes of the pocket family: one frozen object that the model, the training and the export all read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PocketConfig:
    """Sizes of one member of the family. Lengths are in pixels, samples, latent cells or chunks, as named."""

    name: str = "pocket-nano"
    width: int = 160
    height: int = 96
    fps: tuple[int, int] = (25, 2)
    frames_per_chunk: int = 4
    sample_rate: int = 24_000
    samples_per_chunk: int = 7_680
    patch: int = 16
    """Edge of the square of pixels that one latent cell stands for."""
    video_channels: int = 48
    audio_channels: int = 16
    audio_latents: int = 8
    merge: int = 2
    """Neighbouring cells of a row that make one token."""
    audio_merge: int = 2
    """Successive audio latents that make one token."""
    dim: int = 224
    layers: int = 6
    heads: int = 4
    text_width: int = 384
    text_tokens: int = 32
    text_narrow: int = 160
    """Width to which the text is brought once, for all layers."""
    window: int = 6
    sink: int = 1

    @property
    def rows(self) -> int:
        """Latent rows of a picture."""
        return self.height // self.patch

    @property
    def columns(self) -> int:
        """Latent columns of a picture."""
        return self.width // self.patch

    @property
    def video_tokens(self) -> int:
        """Video tokens of a chunk."""
        return self.rows * self.columns // self.merge

    @property
    def audio_tokens(self) -> int:
        """Audio tokens of a chunk."""
        return self.audio_latents // self.audio_merge

    @property
    def tokens(self) -> int:
        """All tokens of a chunk: video first, then audio."""
        return self.video_tokens + self.audio_tokens

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads

    @property
    def slots(self) -> int:
        """Chunks that the ring holds: sink, window and the one being made."""
        return self.sink + self.window + 1


NANO = PocketConfig()
