"""Renders: what a brief really looks and sounds like, and the clips that the judge's instruments learn from."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from streamgen_export.pocket.judge.briefs import Brief
from streamgen_export.pocket.judge.ear import bands_of
from streamgen_export.pocket.judge.eye import shrink, shrink_mask
from streamgen_export.pocket.judge.glimpse import cuts_of
from streamgen_export.pocket.judge.lessons import PictureLesson, SoundLesson
from streamgen_export.pocket.judge.mood import notes_of
from streamgen_export.pocket.judge.takes import Take
from streamgen_export.pocket.scenes.loops import FRAMES_PER_CHUNK
from streamgen_export.pocket.scenes.motion import contacts
from streamgen_export.pocket.scenes.picture import render_pictures
from streamgen_export.pocket.scenes.sound import Controls, sound_controls
from streamgen_export.pocket.scenes.synth import CHANNELS, HOP, Synth
from streamgen_export.pocket.scenes.world import PICTURE_RATE_HZ, World, sample_world

LESSON_SEED: Final = 700_000_000
"""Far from the seeds with which a model is trained, so that the judge knows no clip by heart that the model saw."""

Job = TypeVar("Job")
Result = TypeVar("Result")


def picture_lesson(number: int) -> PictureLesson:
    """The pictures of lesson `number`; a pure function."""
    world = sample_world(LESSON_SEED + number)
    drawn = render_pictures(world)
    cuts, seen = cuts_of(drawn.rgb, drawn.subject)
    return PictureLesson(shrink(drawn.rgb), shrink_mask(drawn.subject), cuts, seen, world.attributes)


def sound_lesson(number: int) -> SoundLesson:
    """The sound of lesson `number`; a pure function."""
    world = sample_world(LESSON_SEED + number)
    audio = sounded(sound_controls(world), world.seed)
    return SoundLesson(bands_of(audio), notes_of(audio), impacts_of(world), world.attributes)


def render(brief: Brief) -> Take:
    """What the brief asks for, as the training world shows it; a pure function."""
    world = replace(sample_world(brief.seed, heldout=True), attributes=brief.wanted)
    video = render_pictures(world).rgb
    return Take(video, sounded(sound_controls(world), brief.seed), brief.wanted, brief.prompts, impacts_of(world))


def impacts_of(world: World) -> tuple[float, ...]:
    """Seconds at which something hits the ground."""
    return tuple(picture / PICTURE_RATE_HZ for picture in contacts(world))


def sounded(controls: Controls, seed: int) -> NDArray[np.float32]:
    """Plays controls: float32 [2, S]. Chunk by chunk, so that long clips need no more memory than their sound."""
    synth = Synth()
    rng = np.random.default_rng([seed, 0x50D])
    parts = []
    for first in range(0, len(controls.tones), FRAMES_PER_CHUNK):
        tones = controls.tones[first : first + FRAMES_PER_CHUNK]
        noise = rng.standard_normal((CHANNELS, len(tones) * HOP), dtype=np.float32)
        parts.append(synth.render(tones, controls.noise[first : first + FRAMES_PER_CHUNK], noise))
    return np.concatenate(parts, axis=1)


def in_parallel(work: Callable[[Job], Result], jobs: Sequence[Job], processes: int, title: str) -> Iterator[Result]:
    """Results in the order of the jobs, with a progress bar; with one process in this one.

    The worker processes end when the iterator is exhausted or closed.
    """
    if processes == 1:
        yield from tqdm(map(work, jobs), total=len(jobs), desc=title)
        return
    # Spawned, not forked: a fork after torch has started its threads can hang.
    with multiprocessing.get_context("spawn").Pool(processes, torch.set_num_threads, (1,)) as pool:
        yield from tqdm(pool.imap(work, jobs, chunksize=2), total=len(jobs), desc=title)
