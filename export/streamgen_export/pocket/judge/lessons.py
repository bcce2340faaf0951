"""What the judge's instruments learn from: small pictures and spectra of rendered clips, with the truth about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.scenes.attributes import Attributes


@dataclass(frozen=True, eq=False)
class PictureLesson:
    """Pictures of one clip.

    Attributes:
        pictures: uint8 [T, 48, 80, 3].
        masks: how much of each cell subjects cover, 0 to 255, uint8 [T, 24, 40].
        cuts: the subject in the last picture of each chunk at full size, uint8 [chunks, 56, 56, 3].
        subject_seen: whether there is enough of it to learn from, bool [chunks].
        shown: attributes of each chunk.
    """

    pictures: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    cuts: NDArray[np.uint8]
    subject_seen: NDArray[np.bool_]
    shown: tuple[Attributes, ...]


@dataclass(frozen=True, eq=False)
class SoundLesson:
    """Sound of one clip.

    Attributes:
        bands: float32 [F, 40], see `ear.bands_of`.
        notes: float32 [N, 73], see `mood.notes_of`.
        impacts_s: when something hits the ground.
        shown: attributes of each chunk.
    """

    bands: NDArray[np.float32]
    notes: NDArray[np.float32]
    impacts_s: tuple[float, ...]
    shown: tuple[Attributes, ...]
