"""Sizes of the pocket family: one frozen object that the model, the training and the export all read."""

from __future__ import annotations

from dataclasses import dataclass, replace

SAMPLES_PER_CONTROL = 240
"""Samples that one control frame of the synthesiser lasts: 10 ms at 24 kHz."""
FRAMES_PER_LATENT = 4
"""Control frames that one sound latent stands for."""
AMPLITUDES = 89
"""Controls of a frame that are amplitudes: 73 tones, then 16 bands of noise."""
BALANCES = 2
"""Controls of a frame that say where a sound comes from, -1 (left) to 1: of the tones, then of the noise."""


@dataclass(frozen=True)
class PocketConfig:
    """Sizes of one member, by default the large one; lengths in pixels, samples, latent cells or chunks, as named."""

    name: str = "pocket"
    width: int = 448
    height: int = 256
    fps: tuple[int, int] = (50, 3)
    frames_per_chunk: int = 4
    sample_rate: int = 24_000
    samples_per_chunk: int = 5_760
    patch: int = 32
    """Edge of the square of pixels that one latent cell stands for."""
    upscale: int = 2
    """How many times larger the decoder's pictures are than those that the encoder sees."""
    video_channels: int = 48
    audio_channels: int = 16
    audio_latents: int = 6
    merge: int = 2
    """Neighbouring cells of a row that make one token."""
    merge_rows: int = 2
    """Rows of cells that make one token."""
    audio_merge: int = 2
    """Successive audio latents that make one token."""
    dim: int = 384
    layers: int = 8
    heads: int = 6
    text_width: int = 384
    text_tokens: int = 32
    text_narrow: int = 192
    """Width to which the text is brought once, for all layers."""
    window: int = 5
    sink: int = 1
    decoder_widths: tuple[int, ...] = (256, 160, 96, 64, 32)
    """Of the picture decoder from one point per cell on, each twice as fine as the one before, down to half size."""
    decoder_depths: tuple[int, ...] = (4, 3, 2, 1, 1)
    """Residual blocks of the picture decoder at each of these sizes."""
    smaller: str = "pocket-small"
    """Name of the sibling that takes over on machines that are too slow."""
    space_periods: tuple[float, float] = (2.5, 32.0)
    """Shortest and longest period of the rotary angles over a picture, in cells."""

    def __post_init__(self) -> None:
        if self.width % (self.patch * self.merge) or self.height % (self.patch * self.merge_rows):
            raise ValueError(f"{self.width}x{self.height} is not a whole number of tokens")
        if self.audio_latents % self.audio_merge or self.dim % self.heads:
            raise ValueError(f"the sizes of {self.name} do not divide")
        if self.upscale not in (1, 2) or len(self.decoder_widths) != 3 + self.upscale:
            raise ValueError(f"a decoder of {self.name} has four stages, and one more to double the size")
        if 2 ** len(self.decoder_widths) != self.patch or len(self.decoder_depths) != len(self.decoder_widths):
            raise ValueError(f"the decoder of {self.name} does not end at {self.width}x{self.height}")
        if self.samples_per_chunk != self.control_frames * SAMPLES_PER_CONTROL:
            raise ValueError(f"{self.audio_latents} sound latents are not {self.samples_per_chunk} samples")

    @property
    def seen(self) -> tuple[int, int]:
        """Width and height of the pictures that the encoder sees."""
        return self.width // self.upscale, self.height // self.upscale

    @property
    def sketched(self) -> PocketConfig:
        """The member whose pictures are as large as what the encoder sees: without the decoder's last stage."""
        if self.upscale == 1:
            return self
        width, height = self.seen
        widths, depths = self.decoder_widths[:-1], self.decoder_depths[:-1]
        edge = self.patch // self.upscale
        return replace(
            self, width=width, height=height, patch=edge, upscale=1, decoder_widths=widths, decoder_depths=depths
        )

    @property
    def rows(self) -> int:
        """Latent rows of a picture."""
        return self.height // self.patch

    @property
    def columns(self) -> int:
        """Latent columns of a picture."""
        return self.width // self.patch

    @property
    def token_rows(self) -> int:
        """Rows of video tokens."""
        return self.rows // self.merge_rows

    @property
    def token_columns(self) -> int:
        """Columns of video tokens."""
        return self.columns // self.merge

    @property
    def video_tokens(self) -> int:
        """Video tokens of a chunk."""
        return self.token_rows * self.token_columns

    @property
    def token_channels(self) -> int:
        """Numbers that one video token stands for."""
        return self.video_channels * self.merge_rows * self.merge

    @property
    def audio_tokens(self) -> int:
        """Audio tokens of a chunk."""
        return self.audio_latents // self.audio_merge

    @property
    def tokens(self) -> int:
        """All tokens of a chunk: video first, then audio."""
        return self.video_tokens + self.audio_tokens

    @property
    def controls(self) -> int:
        """Controls of a frame: amplitudes, then balances."""
        return AMPLITUDES + BALANCES

    @property
    def control_frames(self) -> int:
        """Control frames of a chunk."""
        return self.audio_latents * FRAMES_PER_LATENT

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads

    @property
    def slots(self) -> int:
        """Chunks that the ring holds: sink, window and the one being made."""
        return self.sink + self.window + 1


POCKET = PocketConfig()
POCKET_SMALL = replace(
    POCKET,
    name="pocket-small",
    width=224,
    height=128,
    patch=16,
    upscale=1,
    decoder_widths=POCKET.decoder_widths[:-1],
    decoder_depths=POCKET.decoder_depths[:-1],
    smaller="",
)
"""The same model without the decoder's last stage: what slow machines run."""
SMOKE = replace(
    POCKET,
    name="smoke",
    dim=48,
    layers=2,
    heads=2,
    text_narrow=16,
    decoder_widths=(16, 16, 16, 8, 8),
    decoder_depths=(1, 1, 1, 1, 1),
    smaller="",
)
"""Pictures, sound and latents of `POCKET` with next to nothing between them: to see that everything runs."""
CONFIGS = {"pocket-small": POCKET_SMALL, "pocket": POCKET}
"""The members of the family by the name that commands know them by."""
