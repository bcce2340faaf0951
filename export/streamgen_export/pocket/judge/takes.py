"""What the judge looks at: a stretch of picture and sound with what was asked for, rendered or generated.

Pictures are brought to fixed sizes as they come, so that a take is small whatever the bundle's size, and so that the
same instruments can look at all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.judge.briefs import Brief
from streamgen_export.pocket.judge.looks import measure_look, picture_changes
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK, POCKET, Format

SMALL: Final = (112, 64)
"""Width and height of every picture for the eyes that see motion."""
NEAR: Final = (224, 128)
"""Width and height of the last picture of each chunk for the eye that sees what is there."""
LESSON_FORM: Final = Format(*NEAR, POCKET.picture_rate, POCKET.sample_rate)
"""What the instruments learn from is rendered to this."""

Footage: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""Pictures uint8 [T, H, W, 3] and sound float32 [channels, S] of the same stretch."""


def resized(pictures: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Pictures of any size to (width, height): uint8 [T, H, W, ...] -> uint8 [T, height, width, ...]."""
    width, height = size
    if pictures.shape[1:3] == (height, width):
        return pictures
    smaller = pictures.shape[1] >= height and pictures.shape[2] >= width
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.stack([cv2.resize(picture, size, interpolation=how) for picture in pictures]).astype(np.uint8, copy=False)


@dataclass(frozen=True, eq=False)
class Take:
    """A whole number of chunks.

    Attributes:
        form: sizes and rates of the original.
        brief: what was asked for.
        small: every picture, uint8 [T, 64, 112, 3].
        near: the last picture of each chunk, uint8 [chunks, 128, 224, 3].
        audio: float32 [channels, S] in [-1, 1].
        changes: mean absolute difference of each picture to the next at full size, float64 [T - 1], 0 to 255.
        look: what its last chunk looks like at full size, see `looks.measure_look`.
        events: (kind, time in seconds) of what is seen and heard, for a render; empty for what was generated.
    """

    form: Format
    brief: Brief
    small: NDArray[np.uint8]
    near: NDArray[np.uint8]
    audio: NDArray[np.float32]
    changes: NDArray[np.float64]
    look: dict[str, float]
    events: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        chunks = self.brief.chunks
        if len(self.small) != chunks * PICTURES_PER_CHUNK or len(self.near) != chunks:
            raise ValueError(f"{len(self.small)} pictures do not make {chunks} chunks")
        if self.audio.shape[1] != chunks * self.form.samples_per_chunk:
            raise ValueError(f"{self.audio.shape[1]} samples do not make {chunks} chunks")
        if len(self.brief.prompts) != chunks:
            raise ValueError(f"{len(self.brief.prompts)} prompts for {chunks} chunks")

    @property
    def duration_s(self) -> float:
        """Length in seconds of media time."""
        return self.brief.chunks * self.form.chunk_s


def taken(form: Format, brief: Brief, footage: Iterable[Footage], events: tuple[tuple[str, float], ...] = ()) -> Take:
    """Gathers a take from its parts in order, each a whole number of chunks; keeps none at full size."""
    small, near, audio, changes = [], [], [], []
    look: dict[str, float] = {}
    last: NDArray[np.uint8] | None = None
    for video, sound in footage:
        small.append(resized(video, SMALL))
        near.append(resized(video[PICTURES_PER_CHUNK - 1 :: PICTURES_PER_CHUNK], NEAR))
        audio.append(sound)
        row = video if last is None else np.concatenate([last, video])
        changes.append(picture_changes(row))
        last = video[-1:]
        look = measure_look(video[-PICTURES_PER_CHUNK:], sound[:, -form.samples_per_chunk :])
    return Take(
        form,
        brief,
        np.concatenate(small),
        np.concatenate(near),
        np.concatenate(audio, axis=1),
        np.concatenate(changes),
        look,
        events,
    )
