"""Training clips: rendered from their seeds by worker processes, kept only as long as they are needed.

Pictures are large (16 MB a clip of `pocket`) and quick to make again, so only the set on which the autoencoders train
is held in memory; what the transformer trains on is rendered, encoded and stored as latents (0.5 MB).
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from streamgen_export.pocket.config import PocketConfig
from streamgen_export.pocket.world.clip import Clip, render_clip
from streamgen_export.pocket.world.formats import Format
from streamgen_export.pocket.world.motion import contacts
from streamgen_export.pocket.world.timeline import sky_events
from streamgen_export.pocket.world.world import sample_world

CLIP_CHUNKS = 12
"""Length of a training clip."""
IMPACT_FRAMES = 16
"""Control frames of 10 ms after a contact in which the sound of the impact lives."""

Array: TypeAlias = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class ClipArrays:
    """The arrays of one clip.

    Attributes:
        rgb: uint8 [T, H, W, 3].
        subject: uint8 [T, H, W], coverage of the subjects.
        controls: float32 [F, 91]: every 10 ms amplitudes of 73 tones and 16 bands of noise, and where the tones and
            the noise come from, -1 (left) to 1.
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
    heard = clip.controls
    controls = np.concatenate((heard.tones, heard.noise, heard.balance), axis=1)
    onsets = [event.picture for event in (*contacts(clip.world), *sky_events(clip.world))]
    impact = _near(onsets, len(controls), clip.world.format.frames_per_picture)
    return ClipArrays(clip.pictures.rgb, clip.pictures.subject, controls.astype(np.float32), impact, clip.captions)


def _near(onsets: Sequence[int], frames: int, frames_per_picture: int) -> NDArray[np.bool_]:
    """Whether a control frame lies just after a picture in which something strikes."""
    impact = np.zeros(frames, bool)
    for picture in onsets:
        onset = picture * frames_per_picture
        impact[max(onset - 1, 0) : onset + IMPACT_FRAMES] = True
    return impact


@dataclass(frozen=True, slots=True)
class Order:
    """Which clip to render for which member of the family."""

    config: PocketConfig
    seed: int
    heldout: bool
    chunks: int
    seen: bool = False
    """Whether at the size that the encoder sees, not at full size."""

    @property
    def form(self) -> Format:
        """What the clip is drawn and heard as."""
        width, height = self.config.seen if self.seen else (self.config.width, self.config.height)
        return Format(width, height, Fraction(*self.config.fps), self.config.sample_rate)


def render(order: Order) -> ClipArrays:
    """Render one clip; a pure function of its argument."""
    return arrays_of(render_clip(order.seed, order.form, heldout=order.heldout, chunks=order.chunks))


def by_place(orders: Sequence[Order]) -> list[Order]:
    """The same orders, those of a place and its light one after the other.

    What belongs to a place is kept while it is drawn again, so clips of one chunk take much less time.
    """
    return sorted(orders, key=_place)


def _place(order: Order) -> tuple[str, int, str, str]:
    world = sample_world(order.seed, order.form, heldout=order.heldout, chunks=order.chunks)
    return (world.attributes[0].place, world.variant, world.attributes[0].time, world.attributes[0].weather)


def _worker(niceness: int) -> None:
    os.nice(niceness)


def rendered(orders: Sequence[Order], *, processes: int = 2, niceness: int = 0) -> Iterator[ClipArrays]:
    """The clips that were ordered, in order; rendered ahead by `processes` workers."""
    # Spawned, not forked: a fork after torch has started its threads can hang.
    with multiprocessing.get_context("spawn").Pool(processes, _worker, (niceness,)) as pool:
        yield from pool.imap(render, orders, chunksize=4)


def orders_of(
    config: PocketConfig, seeds: Sequence[int], *, heldout: bool = False, chunks: int = 0, seen: bool = False
) -> list[Order]:
    """One order per seed; 0 chunks means the usual length."""
    return [Order(config, seed, heldout, chunks or CLIP_CHUNKS, seen) for seed in seeds]


def collect(orders: Sequence[Order], *, processes: int = 2) -> list[ClipArrays]:
    """All of `rendered` in memory, with a progress bar."""
    return list(tqdm(rendered(orders, processes=processes), total=len(orders), desc="rendering clips", unit="clip"))
