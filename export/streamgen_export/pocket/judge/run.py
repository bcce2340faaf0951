"""One run of the judge: generate, render the same, measure both in the same way."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from tqdm import tqdm

from streamgen_export.pocket.judge.briefs import Brief, change_briefs, event_briefs, long_briefs
from streamgen_export.pocket.judge.drift import Drift, Watcher, drift, spread_of, typical_distance
from streamgen_export.pocket.judge.figures import SHEET_ROWS, draw_drift, draw_samples, draw_sound
from streamgen_export.pocket.judge.findings import Finding, examine
from streamgen_export.pocket.judge.instruments import Instruments, Schooling
from streamgen_export.pocket.judge.joints import joints
from streamgen_export.pocket.judge.labels import WINDOW
from streamgen_export.pocket.judge.provenance import Provenance
from streamgen_export.pocket.judge.recognition import SETTLING_CHUNKS, accuracy, follow, stay
from streamgen_export.pocket.judge.renders import in_parallel, render, render_glance
from streamgen_export.pocket.judge.report import GENERATED, RENDERS, SHUFFLED, Report
from streamgen_export.pocket.judge.streams import Stream, shoot, side_by_side, take_of
from streamgen_export.pocket.judge.sync import Sync, check_detector, synchrony
from streamgen_export.pocket.judge.takes import Footage, Take
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK, Format

LEAST_CHUNKS: Final = SETTLING_CHUNKS + max(WINDOW.values())
"""For which a prompt must last so that every attribute can be asked for."""
GLANCES: Final = 60
"""At the most, times at which the render of a long stream is looked at: all of it would take as long as to make it."""
_SHOWN_EVENTS: Final = 4
_TURNS: Final = 6
"""Of `event_briefs`: so many takes later there is the same kind of event again."""


@dataclass(frozen=True)
class Settings:
    """How much is looked at.

    Attributes:
        samples: takes with a change of prompt.
        events: takes in which something happens again and again.
        streams: long streams.
        drift_minutes: length of each.
        seed: of prompts, noise and schooling.
        before: chunks with the first prompt of a change.
        after: chunks with the second.
        event_chunks: length of an eventful take.
        schooling: how the judge's own networks are trained.
    """

    samples: int = 144
    events: int = 48
    streams: int = 2
    drift_minutes: float = 10.0
    seed: int = 0
    before: int = 15
    after: int = 15
    event_chunks: int = 20
    schooling: Schooling = field(default_factory=Schooling)

    def __post_init__(self) -> None:
        if min(self.before, self.after, self.event_chunks) < LEAST_CHUNKS:
            raise ValueError(f"a prompt must last {LEAST_CHUNKS} chunks to be judged")


QUICK: Final = Settings(
    samples=6,
    events=2,
    streams=1,
    drift_minutes=0.05,
    before=14,
    after=14,
    event_chunks=14,
    schooling=Schooling(
        pictures=8,
        clips=8,
        sounds=8,
        eye_steps=2,
        glimpse_steps=2,
        gait_steps=2,
        spotter_steps=2,
        ear_steps=2,
        music_steps=2,
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
        window: chunks that the model sees of its past.
        tools: trained instruments.
        processes: that render side by side.
        seconds: what was spent before, by part; `judge` adds to it.
    """

    command: str
    provenance: Provenance
    streams: Sequence[Stream]
    window: int
    tools: Instruments
    processes: int
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def form(self) -> Format:
        """Sizes and rates of what is judged."""
        return self.streams[0].form


def judge(session: Session, settings: Settings, pictures: Path) -> Report:
    """Generates, renders, measures; draws `samples.png`, `sound.png` and `drift.png` into the folder `pictures`."""
    form = session.form
    changes = change_briefs(settings.seed, settings.samples, settings.before, settings.after)
    eventful = event_briefs(settings.seed, settings.events, settings.event_chunks)
    both, count = [*changes, *eventful], len(changes)
    with timed(session.seconds, "generating"):
        made = _examined(session.tools, side_by_side(session.streams, both, take_of), count, "generating", len(both))
    with timed(session.seconds, "rendering"):
        jobs = [(brief, form) for brief in both]
        takes = in_parallel(render, jobs, session.processes, "judge: rendering the same")
        true = _examined(session.tools, takes, count, "", len(both))
    with timed(session.seconds, "long streams"):
        chunks = max(1, round(60 * settings.drift_minutes / form.chunk_s))
        drifts = _drifts(session, long_briefs(settings.seed, settings.streams, chunks), true[:count])
    _draw(made, true, count, pictures)
    draw_drift(drifts, pictures / "drift.png")
    sources = {GENERATED: made, RENDERS: true}
    stays = {source: stay(*_answers(found[:count])) for source, found in sources.items()}
    return Report(
        command=session.command,
        provenance=session.provenance,
        settings=asdict(settings),
        form={
            "width": form.width,
            "height": form.height,
            "pictures_per_s": float(form.picture_rate),
            "samples_per_s": form.sample_rate,
            "chunk_s": form.chunk_s,
        },
        recognition={source: accuracy(*_answers(found)) for source, found in sources.items()},
        following={source: follow(*_answers(found[:count]), form.chunk_s) for source, found in sources.items()},
        staying_by_change={source: by_change for source, (by_change, _) in stays.items()},
        staying_by_attribute={source: by_attribute for source, (_, by_attribute) in stays.items()},
        detectors={
            "picture": check_detector([f.truth for f in true], [f.opinion.seen_s for f in true]),
            "sound": check_detector([f.truth for f in true], [f.opinion.heard_s for f in true]),
        },
        sync={
            GENERATED: _sync(made[count:], 0),
            f"{GENERATED}, {SHUFFLED}": _sync(made[count:], _TURNS),
            RENDERS: _sync(true[count:], 0),
            f"{RENDERS}, {SHUFFLED}": _sync(true[count:], _TURNS),
        },
        joints={source: joints([found.seams for found in all_found]) for source, all_found in sources.items()},
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
    return tqdm(items, total=total, desc=f"judge: {what}", unit="take") if what else items


def _examined(tools: Instruments, takes: Iterator[Take], changes: int, what: str, total: int) -> list[Finding]:
    """Looks at takes as they come; keeps those that are drawn."""
    return [
        examine(tools, take, keep=number < SHEET_ROWS or changes <= number < changes + _SHOWN_EVENTS)
        for number, take in enumerate(_bar(takes, total, what))
    ]


def _answers(found: Sequence[Finding]) -> tuple[list[Brief], list[Any]]:
    return [finding.brief for finding in found], [finding.opinion.classes for finding in found]


def _sync(found: Sequence[Finding], shift: int) -> dict[str, Sync]:
    """Pictures against their own sound (shift 0) or that of a later take."""
    if len(found) <= shift:
        shift = 1
    heard = [found[(index + shift) % len(found)].opinion.heard_s for index in range(len(found))]
    return synchrony([f.opinion.seen_s for f in found], heard, sum(f.duration_s for f in found))


def _draw(made: Sequence[Finding], true: Sequence[Finding], count: int, pictures: Path) -> None:
    draw_samples([found.take for found in made[:count] if found.take is not None], pictures / "samples.png")
    rows = [
        (name, found.take, found.opinion.seen_s)
        for pair in zip(true[count:], made[count:], strict=True)
        for name, found in zip(("render", GENERATED), pair, strict=True)
        if found.take is not None
    ]
    draw_sound(rows, pictures / "sound.png")


def _drifts(session: Session, briefs: Sequence[Brief], renders: Sequence[Finding]) -> dict[str, list[Drift]]:
    unit = typical_distance([found.opinion.features for found in renders])
    spread = spread_of([found.look for found in renders])
    chunk_s = session.form.chunk_s

    def generated(stream: Stream, brief: Brief) -> Drift:
        watcher = Watcher(session.tools.eye, session.window)
        for chunk, footage in enumerate(tqdm(shoot(stream, brief), total=brief.chunks, desc="judge: a long stream")):
            watcher.measure(footage, (chunk + 0.5) * chunk_s)
        return drift(brief.prompts[0], brief.chunks * chunk_s, watcher, unit, spread)

    made = list(side_by_side(session.streams, briefs, generated))
    return {GENERATED: made, RENDERS: [_drift_of_render(session, brief, unit, spread) for brief in briefs]}


def _drift_of_render(session: Session, brief: Brief, unit: float, spread: dict[str, float]) -> Drift:
    """The same long stream as the world shows it, looked at now and then."""
    form, length = session.form, session.window + 1
    last = max(0, brief.chunks - length)
    firsts = sorted({round(first) for first in np.linspace(0, last, GLANCES)})
    watcher = Watcher(session.tools.eye, session.window)
    jobs = [(brief, form, first, min(length, brief.chunks - first)) for first in firsts]
    for (_, _, first, chunks), footage in zip(
        jobs, in_parallel(render_glance, jobs, session.processes, "judge: a long render"), strict=True
    ):
        parts = list(_chunks(form, footage))
        for part in parts[:-1]:
            watcher.pass_by(part)
        watcher.measure(parts[-1], (first + chunks - 0.5) * form.chunk_s)
    return drift(brief.prompts[0], brief.chunks * form.chunk_s, watcher, unit, spread)


def _chunks(form: Format, footage: Footage) -> Iterator[Footage]:
    video, audio = footage
    for chunk in range(len(video) // PICTURES_PER_CHUNK):
        pictures = video[chunk * PICTURES_PER_CHUNK : (chunk + 1) * PICTURES_PER_CHUNK]
        yield pictures, audio[:, chunk * form.samples_per_chunk : (chunk + 1) * form.samples_per_chunk]
