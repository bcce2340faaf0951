"""Renders: what a brief really looks and sounds like, and what the judge's instruments learn from."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, TypeVar

import cv2
import torch
from tqdm import tqdm

from streamgen_export.pocket.judge.briefs import Brief
from streamgen_export.pocket.judge.ear import bands_of
from streamgen_export.pocket.judge.eye import shrink_mask
from streamgen_export.pocket.judge.flow import flow_of
from streamgen_export.pocket.judge.gait import EVERY, grey_of
from streamgen_export.pocket.judge.glimpse import centre_of, worth_learning
from streamgen_export.pocket.judge.labels import EVENTS, WINDOW_CHUNKS
from streamgen_export.pocket.judge.lessons import ClipLesson, PictureLesson, SoundLesson
from streamgen_export.pocket.judge.music import notes_of
from streamgen_export.pocket.judge.takes import LESSON_FORM, SMALL, Footage, Take, resized, taken
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK, Format
from streamgen_export.pocket.world.motion import contacts
from streamgen_export.pocket.world.picture import Pictures, render_pictures
from streamgen_export.pocket.world.sound import sound_controls
from streamgen_export.pocket.world.sound.stereo import stereo
from streamgen_export.pocket.world.timeline import sky_events
from streamgen_export.pocket.world.world import World, sample_world

LESSON_SEED: Final = 700_000_000
"""Far from the seeds with which a model is trained, so that the judge knows no clip by heart that the model saw."""
CLIP_SEED: Final = 710_000_000
SOUND_SEED: Final = 720_000_000
SOUND_CHUNKS: Final = 13
_EVENTFUL: Final = 2
"""One lesson in this many is one in which something happens that is both seen and heard."""

Job = TypeVar("Job")
Result = TypeVar("Result")


def picture_worlds(count: int, first: int = 0) -> list[World]:
    """Worlds of one chunk to learn pictures from, in an order in which neighbours share their place and its light."""
    return _by_place([sample_world(LESSON_SEED + first + n, LESSON_FORM, chunks=1) for n in range(count)])


def clip_worlds(count: int, first: int = 0) -> list[World]:
    """Worlds of `WINDOW_CHUNKS` chunks in which nothing changes, half of them eventful; in the same order."""
    return _by_place(_steady_worlds(CLIP_SEED + 1000 * first, count, WINDOW_CHUNKS))


def sound_worlds(count: int, first: int = 0) -> list[World]:
    """Worlds to learn sound from in which nothing changes, half of them eventful."""
    return _steady_worlds(SOUND_SEED + 1000 * first, count, SOUND_CHUNKS)


def _steady_worlds(seed: int, count: int, chunks: int) -> list[World]:
    """Every other one has an event of each kind in turns; others are as they come."""
    wanted: tuple[Callable[[World], bool], ...] = (
        lambda world: world.attributes[0].motion == "bounces",
        lambda world: world.attributes[0].motion == "leaps",
        lambda world: world.attributes[0].happening == "fireworks",
        lambda world: world.attributes[0].weather == "storm",
    )
    found: list[World] = []
    number = 0
    while len(found) < count:
        world = sample_world(seed + number, LESSON_FORM, chunks=1)
        number += 1
        turn, rest = divmod(len(found), _EVENTFUL)
        if rest or wanted[turn % len(wanted)](world):
            found.append(replace(world, attributes=world.attributes * chunks))
    return found


def _by_place(worlds: list[World]) -> list[World]:
    """What belongs to a place and its light is kept while it is drawn again: neighbours are quick."""
    return sorted(
        worlds, key=lambda w: (w.attributes[0].place, w.variant, w.attributes[0].time, w.attributes[0].weather)
    )


def picture_lesson(world: World) -> PictureLesson:
    """A picture of a world; a pure function."""
    return _pictured(world, render_pictures(world), 0)


def _pictured(world: World, drawn: Pictures, chunk: int) -> PictureLesson:
    """The last picture of a chunk."""
    picture = (chunk + 1) * PICTURES_PER_CHUNK - 1
    cover = drawn.subject[picture]
    centre = centre_of(cover)
    return PictureLesson(drawn.rgb[picture], shrink_mask(cover), centre, worth_learning(cover), world.attributes[chunk])


def clip_lesson(world: World) -> tuple[ClipLesson, tuple[PictureLesson, PictureLesson]]:
    """The pictures of a world as a clip, and its first and last chunk as single pictures; a pure function."""
    drawn = render_pictures(world)
    small = resized(drawn.rgb, SMALL)
    grey = grey_of(small)
    flow = flow_of(grey[EVERY - 1 :: EVERY])
    clip = ClipLesson(grey, small[-1], flow, _events(world), world.attributes[0])
    return clip, (_pictured(world, drawn, 0), _pictured(world, drawn, world.chunks - 1))


def sound_lesson(world: World) -> SoundLesson:
    """The sound of a world; a pure function."""
    audio = stereo(sound_controls(world), world.seed)
    return SoundLesson(bands_of(audio), notes_of(audio), timed_events(world), world.attributes[0])


def world_of(brief: Brief, form: Format) -> World:
    """The world that shows what the brief asks for."""
    return replace(sample_world(brief.seed, form, heldout=True), attributes=brief.wanted)


def render(job: tuple[Brief, Format]) -> Take:
    """What a brief asks for, as the training world shows it; a pure function."""
    brief, form = job
    world = world_of(brief, form)
    footage = (render_pictures(world).rgb, stereo(sound_controls(world), brief.seed))
    return taken(form, brief, [footage], timed_events(world))


def render_glance(job: tuple[Brief, Format, int, int]) -> Footage:
    """A few chunks of a long brief from `first` on, as the training world shows them; a pure function.

    Everything that is stationary in the world is where time has brought it; only moving subjects start anew.
    """
    brief, form, first, chunks = job
    world = world_of(brief, form)
    world = replace(
        world,
        attributes=brief.wanted[first : first + chunks],
        offset_s=world.offset_s + first * form.chunk_s,
        cycle=(world.cycle + 0.618 * first) % 1.0,
        contact_phase=world.contact_phase - first * PICTURES_PER_CHUNK,
        beat_phase=world.beat_phase - first,
    )
    return render_pictures(world).rgb, stereo(sound_controls(world), brief.seed + first)


def _events(world: World) -> tuple[tuple[str, int], ...]:
    """(kind, picture) of everything that is seen and heard, once per picture and kind."""
    found = [(event.kind, event.picture) for event in (*contacts(world), *sky_events(world)) if event.kind in EVENTS]
    return tuple(sorted(set(found), key=lambda pair: pair[1]))


def timed_events(world: World) -> tuple[tuple[str, float], ...]:
    """(kind, time in seconds) of everything that is seen and heard."""
    return tuple((kind, picture / float(world.format.picture_rate)) for kind, picture in _events(world))


def in_parallel(work: Callable[[Job], Result], jobs: Sequence[Job], processes: int, title: str) -> Iterator[Result]:
    """Results in the order of the jobs, with a progress bar; with one process in this one.

    The worker processes end when the iterator is exhausted or closed.
    """
    if processes == 1:
        yield from tqdm(map(work, jobs), total=len(jobs), desc=title)
        return
    # Spawned, not forked: a fork after torch has started its threads can hang.
    with _one_thread_each(), multiprocessing.get_context("spawn").Pool(processes, _alone) as pool:
        # In runs of neighbours, so that each process keeps what they share.
        chunk = max(1, min(24, len(jobs) // (4 * processes)))
        yield from tqdm(pool.imap(work, jobs, chunksize=chunk), total=len(jobs), desc=title)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that are started in the block do not share the processors among threads of their own as well."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _alone() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
