"""Sizes of the pocket family: one frozen object that the model, the training and the export all read."""

from __future__ import annotations

from dataclasses import dataclass, replace

SAMPLES_PER_CONTROL = 240
"""Samples that one control frame of the synthesiser lasts: 10 ms at 24 kHz."""
FRAMES_PER_LATENT = 4
"""Control frames that one sound latent stands for."""
AMPLITUDES = 89
"""Controls of a frame that are amplitudes: 73 tones, then 16 bands of noise."""


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
    upscale: int = 1
    """How many times larger the decoder's pictures are than those that the encoder sees."""
    video_channels: int = 48
    audio_channels: int = 16
    audio_latents: int = 8
    balances: int = 0
    """Controls of a frame that say where a sound comes from, -1 (left) to 1: of the tones and of the noise, or none."""
    merge: int = 2
    """Neighbouring cells of a row that make one token."""
    merge_rows: int = 1
    """Rows of cells that make one token."""
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
    encoder_widths: tuple[int, int, int] = (128, 160, 192)
    """Of the picture encoder at 1/4, 1/8 and 1/16 of the picture's size."""
    decoder_widths: tuple[int, ...] = (144, 112, 96, 48)
    """Of the picture decoder from one point per cell on, each twice as fine as the one before, down to half size."""
    decoder_depths: tuple[int, ...] = (1, 1, 2, 2)
    """Residual blocks of the picture decoder at each of these sizes."""
    smaller: str = ""
    """Name of the sibling that takes over on machines that are too slow."""
    stills: bool = False
    """Whether it learns to start from a picture that stands still."""
    space_periods: tuple[float, float] = (2.5, 24.0)
    """Shortest and longest period of the rotary angles over a picture, in cells."""
    crop: int = 0
    """Edge of the squares on which the picture autoencoder trains, whole latent cells; 0 = whole pictures.

    With squares it goes without normalisation over the picture: its statistics would be other ones when serving.
    """

    def __post_init__(self) -> None:
        if self.width % (self.patch * self.merge) or self.height % (self.patch * self.merge_rows):
            raise ValueError(f"{self.width}x{self.height} is not a whole number of tokens")
        if self.audio_latents % self.audio_merge or self.dim % self.heads or self.crop % self.patch:
            raise ValueError(f"the sizes of {self.name} do not divide")
        if 2 ** len(self.decoder_widths) != self.patch or len(self.decoder_depths) != len(self.decoder_widths):
            raise ValueError(f"the decoder of {self.name} does not end at {self.width}x{self.height}")
        if self.samples_per_chunk != self.control_frames * SAMPLES_PER_CONTROL:
            raise ValueError(f"{self.audio_latents} sound latents are not {self.samples_per_chunk} samples")

    @property
    def seen(self) -> tuple[int, int]:
        """Width and height of the pictures that the encoder sees."""
        return self.width // self.upscale, self.height // self.upscale

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
        return AMPLITUDES + self.balances

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


NANO = PocketConfig()
POCKET = PocketConfig(
    name="pocket",
    width=448,
    height=256,
    fps=(50, 3),
    samples_per_chunk=5_760,
    audio_latents=6,
    balances=2,
    patch=32,
    upscale=2,
    merge_rows=2,
    dim=384,
    layers=8,
    heads=6,
    text_narrow=192,
    window=5,
    encoder_widths=(96, 160, 256),
    decoder_widths=(256, 160, 96, 64, 32),
    decoder_depths=(2, 2, 2, 1, 1),
    space_periods=(2.5, 32.0),
    crop=192,
    smaller="pocket-small",
    stills=True,
)
POCKET_SMALL = replace(
    POCKET,
    name="pocket-small",
    width=224,
    height=128,
    patch=16,
    upscale=1,
    decoder_widths=(192, 128, 64, 32),
    decoder_depths=(1, 1, 1, 1),
    crop=96,
    smaller="",
)
"""The same latents through a smaller decoder: what slow machines run."""
CONFIGS = {"nano": NANO, "pocket-small": POCKET_SMALL, "pocket": POCKET}
"""The members of the family by the name that commands know them by."""
