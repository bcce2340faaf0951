"""What the judge's instruments learn from: pictures and spectra of renders, with the truth about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.attributes import Attributes


@dataclass(frozen=True, eq=False)
class PictureLesson:
    """One picture of a world.

    Attributes:
        picture: uint8 [128, 224, 3].
        mask: how much of each cell subjects cover, 0 to 255, uint8 [16, 28].
        centre: middle of the largest subject, as shares of height and width.
        subject_seen: whether there is enough of it to learn from.
        shown: what it shows.
    """

    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    centre: tuple[float, float]
    subject_seen: bool
    shown: Attributes


@dataclass(frozen=True, eq=False)
class ClipLesson:
    """Successive pictures of one world in grey.

    Attributes:
        grey: uint8 [T, 64, 112].
        colour: the last of them, uint8 [64, 112, 3].
        flow: movement between every second of them, float32 [T / 2 - 1, 2, 4, 7], see `flow.flow_of`.
        events: (kind, picture) of what is seen and heard.
        shown: what they show.
    """

    grey: NDArray[np.uint8]
    colour: NDArray[np.uint8]
    flow: NDArray[np.float32]
    events: tuple[tuple[str, int], ...]
    shown: Attributes


@dataclass(frozen=True, eq=False)
class SoundLesson:
    """Sound of one world.

    Attributes:
        bands: float32 [F, 40], see `ear.bands_of`.
        notes: float32 [N, 73], see `music.notes_of`.
        events: (kind, time in seconds) of what is seen and heard.
        shown: what it is the sound of.
    """

    bands: NDArray[np.float32]
    notes: NDArray[np.float32]
    events: tuple[tuple[str, float], ...]
    shown: Attributes
