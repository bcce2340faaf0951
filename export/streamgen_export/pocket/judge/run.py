"""One run of the judge: generate, render the same, measure both in the same way."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from streamgen_export.pocket.judge.briefs import Brief, bounce_briefs, change_briefs, long_briefs
from streamgen_export.pocket.judge.drift import (
    LOOKS,
    Drift,
    departures,
    drift,
    measure_look,
    spread_of,
    typical_distance,
)
from streamgen_export.pocket.judge.eye import Eye, look
from streamgen_export.pocket.judge.figures import draw_samples, draw_sound
from streamgen_export.pocket.judge.impacts import Detection, Sync, check_detector, synchrony
from streamgen_export.pocket.judge.instruments import Instruments, Opinion, Schooling, judge_take
from streamgen_export.pocket.judge.joints import joints
from streamgen_export.pocket.judge.provenance import Provenance
from streamgen_export.pocket.judge.recognition import accuracy, follow
from streamgen_export.pocket.judge.renders import in_parallel, render
from streamgen_export.pocket.judge.report import GENERATED, RENDERS, Report
from streamgen_export.pocket.judge.streams import Footage, Stream, shoot, side_by_side, take_of
from streamgen_export.pocket.judge.takes import CHUNK_S, Take
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK, SAMPLES_PER_CHUNK

SHUFFLED: Final = "shuffled sound"
_LOOKED_AT_ONCE: Final = 32
"""Chunks of a long stream that are in memory at a time."""


@dataclass(frozen=True)
class Settings:
    """How much is looked at.

    Attributes:
        samples: takes with a change of prompt.
        bounces: takes in which something bounces.
        streams: long streams.
        drift_minutes: length of each.
        seed: of prompts, noise and schooling.
        before: chunks with the first prompt of a change.
        after: chunks with the second.
        bounce_chunks: length of a bouncing take.
        schooling: how the judge's own networks are trained.
    """

    samples: int = 96
    bounces: int = 32
    streams: int = 2
    drift_minutes: float = 5.0
    seed: int = 0
    before: int = 10
    after: int = 10
    bounce_chunks: int = 20
    schooling: Schooling = field(default_factory=Schooling)

    @property
    def long_chunks(self) -> int:
        """Length of a long stream."""
        return max(1, round(60 * self.drift_minutes / CHUNK_S))


QUICK: Final = Settings(
    samples=4,
    bounces=2,
    streams=1,
    drift_minutes=0.05,
    before=8,
    after=8,
    bounce_chunks=8,
    schooling=Schooling(
        picture_clips=6, sound_clips=6, eye_steps=3, glimpse_steps=3, gait_steps=3, ear_steps=3, mood_steps=3
    ),
)
"""Sizes with which everything runs within seconds and nothing means anything: for tests and for a first try."""


@dataclass(frozen=True)
class Session:
    """What a run works with.

    Attributes:
        command: makes the report again.
        provenance: where it comes from.
        streams: one per thread, all of the same bundle.
        tools: trained instruments.
        processes: that render side by side.
        seconds: what was spent before, by part; `judge` adds to it.
    """

    command: str
    provenance: Provenance
    streams: Sequence[Stream]
    tools: Instruments
    processes: int
    seconds: dict[str, float] = field(default_factory=dict)


def judge(session: Session, settings: Settings, pictures: Path) -> Report:
    """Generates, renders, measures; draws `samples.png` and `sound.png` into the folder `pictures`."""
    changes = change_briefs(settings.seed, settings.samples, settings.before, settings.after)
    bounces = bounce_briefs(settings.seed, settings.bounces, settings.bounce_chunks)
    long = long_briefs(settings.seed, settings.streams, settings.long_chunks)
    both, count = [*changes, *bounces], len(changes)
    with timed(session.seconds, "generating"):
        made = list(_bar(side_by_side(session.streams, both, take_of), len(both), "generating"))
    with timed(session.seconds, "rendering"):
        true = list(in_parallel(render, both, session.processes, "judge: rendering the same"))
    with timed(session.seconds, "looking and listening"):
        seen = [judge_take(session.tools, take) for take in _bar(made, len(made), "looking at generated")]
        truly = [judge_take(session.tools, take) for take in _bar(true, len(true), "looking at renders")]
    with timed(session.seconds, "long streams"):
        drifts = _drifts(session, long, true[:count], truly[:count])
    draw_samples(made[:count], pictures / "samples.png")
    shown = {f"{RENDERS[:-1]}": (true[count], truly[count].seen_s), GENERATED: (made[count], seen[count].seen_s)}
    draw_sound(shown, pictures / "sound.png")
    return Report(
        command=session.command,
        provenance=session.provenance,
        settings=asdict(settings),
        recognition={
            GENERATED: accuracy(made, [opinion.classes for opinion in seen]),
            RENDERS: accuracy(true, [opinion.classes for opinion in truly]),
        },
        following={
            GENERATED: follow(made[:count], [opinion.classes for opinion in seen[:count]]),
            RENDERS: follow(true[:count], [opinion.classes for opinion in truly[:count]]),
        },
        detectors={
            # Orbiting and floating subjects have lowest points too, so the picture is checked where something bounces.
            "picture, where something bounces": _detector(true[count:], [o.seen_s for o in truly[count:]]),
            "sound, everywhere": _detector(true, [o.heard_s for o in truly]),
        },
        sync={
            GENERATED: _sync(made[count:], seen[count:], 0),
            f"{GENERATED}, {SHUFFLED}": _sync(made[count:], seen[count:], 1),
            RENDERS: _sync(true[count:], truly[count:], 0),
            f"{RENDERS}, {SHUFFLED}": _sync(true[count:], truly[count:], 1),
        },
        joints={GENERATED: joints(made), RENDERS: joints(true)},
        drift=drifts,
        seconds=session.seconds,
    )


@contextmanager
def timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    """Notes under `part` what the block takes."""
    started = time.monotonic()
    yield
    seconds[part] = time.monotonic() - started


def _bar(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    return tqdm(items, total=total, desc=f"judge: {what}", unit="take")


def _detector(takes: Sequence[Take], found: Sequence[Sequence[float]]) -> Detection:
    return check_detector([take.impacts_s for take in takes], found)


def _sync(takes: Sequence[Take], opinions: Sequence[Opinion], shift: int) -> Sync:
    """Pictures against their own sound (shift 0) or that of a neighbour."""
    heard = [opinions[(index + shift) % len(opinions)].heard_s for index in range(len(opinions))]
    return synchrony([opinion.seen_s for opinion in opinions], heard, sum(take.duration_s for take in takes))


def _drifts(
    session: Session, briefs: Sequence[Brief], renders: Sequence[Take], opinions: Sequence[Opinion]
) -> dict[str, list[Drift]]:
    unit = typical_distance([opinion.features for opinion in opinions])
    spread = spread_of([measure_look(take.video, take.audio) for take in renders])

    def generated(stream: Stream, brief: Brief) -> Drift:
        return _drift(brief, shoot(stream, brief), session.tools.eye, unit, spread)

    made = list(_bar(side_by_side(session.streams, briefs, generated), len(briefs), "long streams"))
    true = [
        _drift(brief, _chunks(take), session.tools.eye, unit, spread)
        for brief, take in zip(
            briefs, in_parallel(render, briefs, session.processes, "judge: long renders"), strict=True
        )
    ]
    return {GENERATED: made, RENDERS: true}


def _drift(brief: Brief, footage: Iterator[Footage], eye: Eye, unit: float, spread: dict[str, float]) -> Drift:
    """Measures a long stream chunk by chunk; never holds more than a few seconds of it."""
    looks: list[dict[str, float]] = []
    features: list[NDArray[np.float32]] = []
    for first in footage:
        part = [first, *islice(footage, _LOOKED_AT_ONCE - 1)]
        looks.extend(measure_look(video, audio) for video, audio in part)
        features.append(look(eye, np.concatenate([video for video, _ in part])).features)
    curves = {name: np.array([measured[name] for measured in looks]) for name in LOOKS}
    away = departures(np.concatenate(features), unit)
    return drift(brief.prompts[0], curves | {"departure": away}, spread)


def _chunks(take: Take) -> Iterator[Footage]:
    for chunk in range(take.chunks):
        video = take.video[chunk * PICTURES_PER_CHUNK : (chunk + 1) * PICTURES_PER_CHUNK]
        yield video, take.audio[:, chunk * SAMPLES_PER_CHUNK : (chunk + 1) * SAMPLES_PER_CHUNK]
