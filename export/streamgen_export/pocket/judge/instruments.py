"""The judge's five instruments, trained on renders once and kept in a cache."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from streamgen_export.pocket.judge.ear import Ear, heard_impacts, train_ear
from streamgen_export.pocket.judge.eye import NAMED, Eye, look, train_eye
from streamgen_export.pocket.judge.gait import Gait, train_gait, watch
from streamgen_export.pocket.judge.glimpse import Glimpse, glance, train_glimpse
from streamgen_export.pocket.judge.impacts import heights, seen_impacts
from streamgen_export.pocket.judge.lessons import PictureLesson, SoundLesson
from streamgen_export.pocket.judge.mood import MoodEar, listen, train_mood
from streamgen_export.pocket.judge.renders import in_parallel, picture_lesson, sound_lesson
from streamgen_export.pocket.judge.takes import JUDGED, Take

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Schooling:
    """How the instruments are trained.

    Attributes:
        picture_clips: renders that the eyes learn from.
        sound_clips: renders that the ears learn from.
        eye_steps: batches for scene, light, colour and place of the subject.
        glimpse_steps: batches for the subject.
        gait_steps: batches for motion.
        ear_steps: batches for impacts.
        mood_steps: batches for mood.
        seed: of weights, order and disturbances.
    """

    picture_clips: int = 1600
    sound_clips: int = 600
    eye_steps: int = 1400
    glimpse_steps: int = 700
    gait_steps: int = 700
    ear_steps: int = 500
    mood_steps: int = 500
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Instruments:
    """What the judge measures with."""

    eye: Eye
    glimpse: Glimpse
    gait: Gait
    ear: Ear
    mood: MoodEar


@dataclass(frozen=True, eq=False)
class Opinion:
    """What the instruments make of a take.

    Attributes:
        classes: int64 [chunks, 6], the likeliest class of each of `JUDGED`; -1 where there is too little to judge by.
        features: what the eye tells content by, float32 [chunks, 256].
        seen_s: times of impacts in the picture.
        heard_s: times of impacts in the sound.
    """

    classes: NDArray[np.int64]
    features: NDArray[np.float32]
    seen_s: list[float]
    heard_s: list[float]


def judge_take(tools: Instruments, take: Take) -> Opinion:
    """Looks at a take and listens to it."""
    sight = look(tools.eye, take.video)
    found = dict(zip(NAMED, sight.classes.T, strict=True))
    found["subject"] = glance(tools.glimpse, take.video, sight.masks)
    found["motion"] = watch(tools.gait, take.video)
    found["mood"] = listen(tools.mood, take.audio)
    return Opinion(
        classes=np.column_stack([found[name] for name in JUDGED]),
        features=sight.features,
        seen_s=seen_impacts(heights(sight.masks)),
        heard_s=heard_impacts(tools.ear, take.audio),
    )


def train(schooling: Schooling, pictures: Sequence[PictureLesson], sounds: Sequence[SoundLesson]) -> Instruments:
    """Trains all five from scratch; the same arguments give the same instruments on the same machine."""
    return Instruments(
        eye=train_eye(pictures, schooling.eye_steps, schooling.seed),
        glimpse=train_glimpse(pictures, schooling.glimpse_steps, schooling.seed),
        gait=train_gait(pictures, schooling.gait_steps, schooling.seed),
        ear=train_ear(sounds, schooling.ear_steps, schooling.seed),
        mood=train_mood(sounds, schooling.mood_steps, schooling.seed),
    )


def school(schooling: Schooling, processes: int) -> Instruments:
    """Renders the lessons and trains."""
    pictures = range(schooling.picture_clips)
    sounds = range(schooling.sound_clips)
    return train(
        schooling,
        list(in_parallel(picture_lesson, pictures, processes, "judge: rendering pictures to learn from")),
        list(in_parallel(sound_lesson, sounds, processes, "judge: rendering sound to learn from")),
    )


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
        found = Instruments(Eye(), Glimpse(), Gait(), Ear(), MoodEar())
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
    names = ("ear", "eye", "gait", "glimpse", "learning", "lessons", "mood", "renders")
    sources = [package / "judge" / f"{name}.py" for name in names]
    sources += sorted(_python_files(package / "scenes"), key=lambda file: file.name)
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


def _python_files(folder: Traversable) -> list[Traversable]:
    return [file for file in folder.iterdir() if file.name.endswith(".py")]
