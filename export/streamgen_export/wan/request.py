"""What an export is asked for: values only, no file is looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, get_args

from streamgen_export.wan.config import TINY, RingShape, WanConfig
from streamgen_export.wan.precision import PARTS, Parts, Precision
from streamgen_export.wan.taehv import TAEW2_1, TaehvConfig
from streamgen_export.wan.umt5_graphs import Variant as TextPrecision
from streamgen_export.wan.vae_config import WAN_VAE, VaeConfig
from streamgen_export.wan.vae_streaming import cells
from streamgen_export.wan.variants import Variant

TEXT_PRECISIONS: Final = get_args(TextPrecision)
Decoder = Literal["wan", "taehv"]
DECODERS: Final = get_args(Decoder)
SIZE: Final = (832, 480)
"""Pixels of the pictures that these models were trained on."""


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Sizes of all networks but the text encoder, whose file tells them.

    Attributes:
        transformer: None takes that of the variant.
        vae: Wan's decoder.
        taehv: the fast decoder.
    """

    transformer: WanConfig | None
    vae: VaeConfig
    taehv: TaehvConfig


DIMENSIONS: Final = {
    "published": Dimensions(None, WAN_VAE, TAEW2_1),
    # For tests: every layer and state, few channels.
    "tiny": Dimensions(TINY, VaeConfig(base=8), TaehvConfig(widths=(32, 16, 8, 8))),
}
"""By the name that commands take."""


@dataclass(frozen=True, slots=True)
class Request:
    """One bundle.

    Attributes:
        variant: whose weights they are; its window may be another than the published one.
        checkpoint: the transformer's weights: a file, an index of shards, or a folder.
        lora: added to them; None where there is none.
        decoder: which of the two.
        decoder_file: its weights.
        text: the text encoder's weights.
        tokenizer: `tokenizer.json`, `spiece.model` or a folder with one of them.
        out: folder of the bundle, which must not be there yet.
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.
        precision: of the transformer; that of the decoder follows (`parts`).
        text_precision: of the text encoder.
        dimensions: of the networks.
        sound: bundle beside this one, or bundled with streamgen, whose audio side makes the sound; None = silence.
    """

    variant: Variant
    checkpoint: Path
    decoder: Decoder
    decoder_file: Path
    text: Path
    tokenizer: Path
    out: Path
    width: int
    height: int
    precision: Precision
    text_precision: TextPrecision
    lora: Path | None = None
    dimensions: Dimensions = DIMENSIONS["published"]
    sound: str | None = None

    def __post_init__(self) -> None:
        cells(self.width, self.height)  # each raises where the size does not divide
        self.ring  # noqa: B018

    @property
    def config(self) -> WanConfig:
        """The transformer's sizes."""
        return self.dimensions.transformer or self.variant.config

    @property
    def ring(self) -> RingShape:
        """What the stream keeps of its past."""
        rows, columns = cells(self.width, self.height)
        return self.variant.ring(rows, columns)

    @property
    def parts(self) -> Parts:
        """What each part is in."""
        return PARTS[self.precision]

    @property
    def name(self) -> str:
        """Of the bundle."""
        return f"wan-{self.variant.name}-{self.width}x{self.height}"


def with_window(variant: Variant, window: int | None) -> Variant:
    """The variant with another window, in latent frames besides the sink; None leaves it as published.

    Raises:
        ValueError: it is no whole number of chunks.
    """
    return variant if window is None else replace(variant, window=window)


def read_size(text: str) -> tuple[int, int]:
    """Width and height in pixels from a text such as 832x480.

    Raises:
        ValueError: it is none, or not made of whole tokens.
    """
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise ValueError(f"size is {text!r}; write width and height in pixels, such as 832x480")
    if not int(width) or not int(height) or int(width) % 16 or int(height) % 16:
        raise ValueError(f"size is {text}; width and height must be multiples of 16 pixels")
    return int(width), int(height)
