"""Training clips: rendered from their seeds by worker processes, kept only as long as they are needed.

Pictures are large (1.8 MB a clip) and quick to make again, so only the set on which the autoencoders train is held
in memory; what the transformer trains on is rendered, encoded and stored as latents (60 kB a clip).
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from streamgen_export.pocket.scenes.clip import Clip, render_clip
from streamgen_export.pocket.scenes.motion import contacts
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK

CLIP_CHUNKS = 10
IMPACT_FRAMES = 16
"""Control frames of 10 ms after a contact in which the sound of the impact lives."""

Array: TypeAlias = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class ClipArrays:
    """The arrays of one clip.

    Attributes:
        rgb: uint8 [T, H, W, 3].
        subject: uint8 [T, H, W], coverage of the subjects.
        controls: float32 [F, 89], amplitudes of 73 tones and 16 bands of noise every 10 ms.
        impact: bool [F], whether a frame lies just after a contact.
        captions: one for each chunk.
    """

    rgb: NDArray[np.uint8]
    subject: NDArray[np.uint8]
    controls: NDArray[np.float32]
    impact: NDArray[np.bool_]
    captions: tuple[str, ...]


def arrays_of(clip: Clip) -> ClipArrays:
    """What training needs of a rendered clip."""
    controls = np.concatenate((clip.controls.tones, clip.controls.noise), axis=1)
    impact = np.zeros(len(controls), bool)
    frames_per_picture = len(controls) // (clip.world.chunks * PICTURES_PER_CHUNK)
    for picture in contacts(clip.world):
        onset = picture * frames_per_picture
        impact[max(onset - 1, 0) : onset + IMPACT_FRAMES] = True
    return ClipArrays(
        clip.pictures.rgb, clip.pictures.subject, controls.astype(np.float32), impact, tuple(clip.captions)
    )


def _one(job: tuple[int, bool, int]) -> ClipArrays:
    seed, heldout, chunks = job
    return arrays_of(render_clip(seed, heldout=heldout, chunks=chunks))


def _worker(niceness: int) -> None:
    os.nice(niceness)


def rendered(
    seeds: Sequence[int], *, heldout: bool = False, chunks: int = CLIP_CHUNKS, processes: int = 2, niceness: int = 0
) -> Iterator[ClipArrays]:
    """The clips of these seeds, in order; rendered ahead by `processes` workers."""
    jobs = [(seed, heldout, chunks) for seed in seeds]
    # Spawned, not forked: a fork after torch has started its threads can hang.
    with multiprocessing.get_context("spawn").Pool(processes, _worker, (niceness,)) as pool:
        yield from pool.imap(_one, jobs, chunksize=4)


def collect(seeds: Sequence[int], *, heldout: bool = False, processes: int = 2) -> list[ClipArrays]:
    """All of `rendered` in memory, with a progress bar."""
    clips = rendered(seeds, heldout=heldout, processes=processes)
    return list(tqdm(clips, total=len(seeds), desc="rendering clips", unit="clip"))
