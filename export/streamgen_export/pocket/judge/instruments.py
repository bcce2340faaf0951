"""The judge's six instruments, trained on renders once and kept in a cache."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from streamgen_export.pocket.judge.ear import Ear, heard_events, train_ear
from streamgen_export.pocket.judge.eye import Eye, look, train_eye
from streamgen_export.pocket.judge.gait import Gait, train_gait, watch
from streamgen_export.pocket.judge.glimpse import Glimpse, glance, train_glimpse
from streamgen_export.pocket.judge.labels import JUDGED
from streamgen_export.pocket.judge.lessons import ClipLesson, PictureLesson, SoundLesson
from streamgen_export.pocket.judge.music import MusicEar, listen, train_music
from streamgen_export.pocket.judge.renders import (
    clip_lesson,
    clip_worlds,
    in_parallel,
    picture_lesson,
    picture_worlds,
    sound_lesson,
    sound_worlds,
)
from streamgen_export.pocket.judge.spotter import Spotter, seen_events, train_spotter
from streamgen_export.pocket.judge.takes import Take

log = logging.getLogger(__name__)

_SUBJECT_SEEN = 0.3
"""Probability in some cell of the mask from which on the second look has something to look at."""


@dataclass(frozen=True)
class Schooling:
    """How the instruments are trained.

    Attributes:
        pictures: worlds of which single chunks are rendered.
        clips: worlds of which 8 chunks are rendered.
        sounds: worlds of which 13 chunks are sounded.
        eye_steps: batches for what single pictures show.
        glimpse_steps: batches for the subject.
        gait_steps: batches for motion, camera and happening.
        spotter_steps: batches for events that are seen.
        ear_steps: batches for events that are heard.
        music_steps: batches for mood and tempo.
        seed: of weights, order and disturbances.
    """

    pictures: int = 5500
    clips: int = 1300
    sounds: int = 1600
    eye_steps: int = 1600
    glimpse_steps: int = 1500
    gait_steps: int = 900
    spotter_steps: int = 600
    ear_steps: int = 1500
    music_steps: int = 1400
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Instruments:
    """What the judge measures with."""

    eye: Eye
    glimpse: Glimpse
    gait: Gait
    spotter: Spotter
    ear: Ear
    music: MusicEar


@dataclass(frozen=True, eq=False)
class Opinion:
    """What the instruments make of a take.

    Attributes:
        classes: int64 [chunks, attributes of `JUDGED`], the likeliest class; -1 where there is too little to judge by.
        features: what the eye tells content by, float32 [chunks, 256].
        seen_s: kind to times at which something begins in the picture.
        heard_s: kind to times at which something begins in the sound.
    """

    classes: NDArray[np.int64]
    features: NDArray[np.float32]
    seen_s: dict[str, list[float]]
    heard_s: dict[str, list[float]]


def judge_take(tools: Instruments, take: Take) -> Opinion:
    """Looks at a take and listens to it."""
    sight = look(tools.eye, take.near)
    scores = dict(sight.scores)
    near = glance(tools.glimpse, take.near, sight.masks)
    # Where there is no subject, the colour is that of the light, which only the eye sees.
    there = sight.masks.max(axis=(1, 2)) > _SUBJECT_SEEN
    for name in near:
        scores[name] = scores[name] + np.where(there[:, None], near[name], 0)
    found = {name: score.argmax(axis=1) for name, score in scores.items()}
    found |= watch(tools.gait, take.small)
    found |= listen(tools.music, take.audio, take.form.samples_per_chunk)
    return Opinion(
        classes=np.column_stack([found[name] for name in JUDGED]),
        features=sight.features,
        seen_s=seen_events(tools.spotter, take.small, 1 / float(take.form.picture_rate)),
        heard_s=heard_events(tools.ear, take.audio),
    )


def train(
    schooling: Schooling,
    pictures: Sequence[PictureLesson],
    clips: Sequence[ClipLesson],
    sounds: Sequence[SoundLesson],
) -> Instruments:
    """Trains all six from scratch; the same arguments give the same instruments on the same machine."""
    return Instruments(
        eye=train_eye(pictures, schooling.eye_steps, schooling.seed),
        glimpse=train_glimpse(pictures, schooling.glimpse_steps, schooling.seed),
        gait=train_gait(clips, schooling.gait_steps, schooling.seed),
        spotter=train_spotter(clips, schooling.spotter_steps, schooling.seed),
        ear=train_ear(sounds, schooling.ear_steps, schooling.seed),
        music=train_music(sounds, schooling.music_steps, schooling.seed),
    )


def school(schooling: Schooling, processes: int) -> Instruments:
    """Renders the lessons and trains."""
    still = in_parallel(
        picture_lesson, picture_worlds(schooling.pictures), processes, "judge: rendering pictures to learn from"
    )
    pictures = list(still)
    moving = in_parallel(clip_lesson, clip_worlds(schooling.clips), processes, "judge: rendering clips to learn from")
    clips = []
    for clip, parts in moving:
        clips.append(clip)
        pictures.extend(parts)
    sounds = list(
        in_parallel(sound_lesson, sound_worlds(schooling.sounds), processes, "judge: sounding what to learn from")
    )
    return train(schooling, pictures, clips, sounds)


def default_cache() -> Path:
    """Where trained instruments are kept: the user's cache folder."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "streamgen" / "judge"


def instruments(schooling: Schooling, processes: int, cache: Path) -> Instruments:
    """Reads the instruments from the cache, or trains them and keeps them there.

    The name of the file covers the schooling and every source file that shapes the result.
    """
    kept = cache / f"{fingerprint(schooling)}.pt"
    if kept.is_file():
        states = torch.load(kept, weights_only=True)
        found = Instruments(Eye(), Glimpse(), Gait(), Spotter(), Ear(), MusicEar())
        for name, network in vars(found).items():
            network.load_state_dict(states[name])
            network.eval()
        return found
    trained = school(schooling, processes)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(f".{os.getpid()}")
        torch.save({name: network.state_dict() for name, network in vars(trained).items()}, unfinished)
        unfinished.replace(kept)
    except OSError as error:
        log.warning("the instruments are not kept for the next run: %s; set XDG_CACHE_HOME to a writable folder", error)
    return trained


def fingerprint(schooling: Schooling) -> str:
    """A name for what `school` makes of `schooling`; it changes with the code that makes it."""
    digest = hashlib.sha256(repr(schooling).encode())
    package = files("streamgen_export.pocket")
    here = package.joinpath(*(__name__.split(".")[2:-1]))
    names = (
        "ear",
        "eye",
        "flow",
        "gait",
        "glimpse",
        "labels",
        "learning",
        "lessons",
        "looks",
        "music",
        "renders",
        "spotter",
        "takes",
    )
    sources = [here / f"{name}.py" for name in names]
    sources += sorted(_python_files(package / "world"), key=str)
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


def _python_files(folder: Traversable) -> Iterator[Traversable]:
    """Every source file of a package and of those in it."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _python_files(entry)
        elif entry.name.endswith(".py"):
            yield entry
