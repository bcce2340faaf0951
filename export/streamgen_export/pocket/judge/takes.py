"""What the judge looks at: a stretch of picture and sound with what was asked for, rendered or generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.scenes.attributes import NONE, VOCABULARY, Attributes
from streamgen_export.pocket.scenes.world import PICTURE_RATE_HZ, PICTURES_PER_CHUNK, SAMPLES_PER_CHUNK

CHUNK_S: Final = PICTURES_PER_CHUNK / PICTURE_RATE_HZ

PICTURED: Final = ("scene", "light", "subject", "colour")
"""Attributes that the pictures of one chunk show, and that prompts are changed in."""
JUDGED: Final = (*PICTURED, "motion", "mood")
"""All attributes that are recognised; the motion from several chunks of picture, the mood from several of sound."""


@dataclass(frozen=True, eq=False)
class Take:
    """A whole number of chunks.

    Attributes:
        video: uint8 [T, H, W, 3], RGB.
        audio: float32 [channels, S] in [-1, 1].
        wanted: what each chunk was asked to show.
        prompts: the prompt of each chunk.
        impacts_s: when something hits the ground, for a render; empty for what was generated.
    """

    video: NDArray[np.uint8]
    audio: NDArray[np.float32]
    wanted: tuple[Attributes, ...]
    prompts: tuple[str, ...]
    impacts_s: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        chunks = len(self.wanted)
        if self.video.shape[0] != chunks * PICTURES_PER_CHUNK:
            raise ValueError(f"{self.video.shape[0]} pictures do not make {chunks} chunks")
        if self.audio.shape[1] != chunks * SAMPLES_PER_CHUNK:
            raise ValueError(f"{self.audio.shape[1]} samples do not make {chunks} chunks")
        if len(self.prompts) != chunks:
            raise ValueError(f"{len(self.prompts)} prompts for {chunks} chunks")

    @property
    def chunks(self) -> int:
        """Length in chunks."""
        return len(self.wanted)

    @property
    def duration_s(self) -> float:
        """Length in seconds of media time."""
        return self.chunks * CHUNK_S

    @property
    def ages(self) -> tuple[int, ...]:
        """How many chunks ago what each chunk shows was asked for: 0 at the start and where something changes."""
        found: list[int] = []
        for chunk, wanted in enumerate(self.wanted):
            steady = chunk > 0 and wanted == self.wanted[chunk - 1]
            found.append(found[-1] + 1 if steady else 0)
        return tuple(found)


def label(attributes: Attributes) -> list[int]:
    """Class numbers of the judged attributes; -1 for subject and colour where two subjects make them ambiguous."""
    classes = [VOCABULARY[name].index(getattr(attributes, name)) for name in JUDGED]
    if attributes.second != NONE:
        classes[JUDGED.index("subject")] = classes[JUDGED.index("colour")] = -1
    return classes
