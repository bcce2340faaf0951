"""Writes what the judge found: `report.json`, `report.md`, a contact sheet and a pair of spectrograms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from streamgen_export.pocket.judge_drift import SECTION_S, Drift
from streamgen_export.pocket.judge_impacts import HOP, REACH_S, Detection, Sync, spectrum
from streamgen_export.pocket.judge_joints import Joints
from streamgen_export.pocket.judge_recognition import CHANGE_LIMIT_S, Accuracy, ChangeResult
from streamgen_export.pocket.judge_takes import Take
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK, SAMPLE_RATE_HZ

_SHEET_ROWS: Final = 12
_SHEET_COLUMNS: Final = 7


@dataclass(frozen=True)
class Report:
    """Everything that is reported; the keys of `report.json`.

    "renders" are true pictures and sounds of the same kind, judged in the same way, and show what is reachable.
    """

    bundle: str
    training: Mapping[str, Any]
    settings: Mapping[str, Any]
    recognition: Mapping[str, Mapping[str, Accuracy]]
    autoencoder: str
    changes: Mapping[str, Mapping[str, ChangeResult]]
    detectors: Mapping[str, Detection]
    sync: Mapping[str, Sync]
    joints: Mapping[str, Joints]
    drift: Drift
    seconds: float

    def to_json(self) -> str:
        """The report as indented JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"


def write_report(report: Report, folder: Path) -> None:
    """Writes `report.json` and `report.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(report.to_json(), encoding="utf-8")
    (folder / "report.md").write_text(markdown(report), encoding="utf-8")


def _share(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.0f} %"


def _ms(value: float | None) -> str:
    return "none" if value is None else f"{1000 * value:.0f} ms"


def _number(value: float | None, digits: int = 2) -> str:
    return "none" if value is None else f"{value:.{digits}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown(report: Report) -> str:
    """The report in plain words and tables."""
    settings = report.settings
    parts = [
        f"# What the judge found: {report.bundle}",
        "Made with `python -m streamgen_export.pocket.judge "
        f"--samples {settings['samples']} --minutes {settings['minutes']} --seed {settings['seed']}`"
        f" in {report.seconds / 60:.1f} minutes. Prompts are held out: none of their combinations of scene, "
        "subject, colour and motion was trained on. *Renders* are true pictures and sounds of such combinations, "
        "judged in the same way: they show what a perfect model would reach.",
        "## Is what was asked for in the picture?",
        "A small classifier, trained on renders only, names scene, subject and colour of each chunk. Counted are "
        "chunks from the fourth after a start or a change of prompt.",
        _recognition_table(report),
        f"Renders passed through the autoencoder: {report.autoencoder}.",
        "## How soon does a new prompt show?",
        f"The prompt changes one thing in mid-stream. *In time*: a chunk that ends within {CHANGE_LIMIT_S:.1f} s of "
        "media time shows the new value. *False alarm*: share of chunks before the change that already look like it.",
        _changes_table(report),
        "## Are impacts heard when they are seen?",
        "Seen: a lowest point of the subject's path. Heard: a detector trained on renders. First, both against the "
        "truth of renders:",
        _detector_table(report),
        f"Then the distance from each seen impact to the nearest heard one (matched: within {1000 * REACH_S:.0f} ms). "
        "With the sound of another sample the distance is what chance gives.",
        _sync_table(report),
        "## Do chunks join without a seam?",
        "Mean change across joints over mean change inside chunks; 1 is no seam.",
        _joints_table(report),
        f"## Does a stream drift in {report.drift.duration_s / 60:.1f} minutes?",
        "One prompt all the time. *Moved* is the trend over the whole stream in units of the spread between "
        "different renders; within about 1 it stayed where it was.",
        _drift_table(report.drift),
        f"Every {SECTION_S:.0f} s:",
        _sections_table(report.drift),
        "![samples](samples.png)",
        "![sound](sound.png)",
    ]
    return "\n\n".join(parts) + "\n"


def _recognition_table(report: Report) -> str:
    rows = []
    for name in next(iter(report.recognition.values())):
        columns = [found[name] for found in report.recognition.values()]
        cells = [f"{_share(column.share)} of {column.chunks}" for column in columns]
        rows.append([name, *cells, _share(columns[0].chance)])
    return _table(["", *report.recognition, "by chance"], rows)


def _changes_table(report: Report) -> str:
    rows = [
        [
            source,
            name,
            str(result.changes),
            _share(result.within_limit),
            _share(result.at_end),
            "none" if result.median_s is None else f"{result.median_s:.2f} s",
            _share(result.before),
        ]
        for source, results in report.changes.items()
        for name, result in results.items()
    ]
    return _table(["", "changed", "changes", "in time", "at the end", "median time", "false alarm"], rows)


def _detector_table(report: Report) -> str:
    rows = [
        [name, str(d.impacts), _share(d.recall), _share(d.precision), _ms(d.median_error_s)]
        for name, d in report.detectors.items()
    ]
    return _table(["detector", "true impacts", "found", "correct", "median error"], rows)


def _sync_table(report: Report) -> str:
    rows = [
        [
            name,
            f"{sync.seen} ({sync.seen_per_s:.2f}/s)",
            f"{sync.heard} ({sync.heard_per_s:.2f}/s)",
            _share(sync.matched),
            _ms(sync.median_s),
            _ms(sync.p95_s),
            _ms(sync.lag_s),
        ]
        for name, sync in report.sync.items()
    ]
    return _table(["", "seen", "heard", "matched", "median", "95th percentile", "sound late by"], rows)


def _joints_table(report: Report) -> str:
    rows = [
        [name, str(j.joints), _number(j.picture), _number(j.sound_flux), _number(j.sound_step)]
        for name, j in report.joints.items()
    ]
    return _table(["", "joints", "picture", "sound spectrum", "sound samples"], rows)


def _drift_table(drift: Drift) -> str:
    rows = [
        [
            name,
            _number(trend.first, 3),
            _number(trend.last, 3),
            _number(trend.slope_per_minute, 4),
            _number(trend.spread, 3),
            _number(trend.moved),
        ]
        for name, trend in drift.trends.items()
    ]
    return _table(["", "first 30 s", "last 30 s", "slope per minute", "spread of renders", "moved"], rows)


def _sections_table(drift: Drift) -> str:
    names = list(drift.trends)
    rows = [
        [f"{index * SECTION_S:.0f} s", *(_number(getattr(look, name), 3) for name in names)]
        for index, look in enumerate(drift.sections)
    ]
    return _table(["from", *names], rows)


def draw_samples(takes: Sequence[Take], path: Path) -> None:
    """A contact sheet: one take per row, pictures evenly spaced in time, the prompts above them."""
    shown = takes[:_SHEET_ROWS]
    figure = Figure(figsize=(2.0 * _SHEET_COLUMNS, 1.55 * len(shown)), layout="constrained")
    grid = figure.subplots(len(shown), _SHEET_COLUMNS, squeeze=False)
    for row, take in zip(grid, shown, strict=True):
        frames = np.linspace(PICTURES_PER_CHUNK, len(take.video) - 1, _SHEET_COLUMNS).astype(int)
        prompts = [take.prompts[frame // PICTURES_PER_CHUNK] for frame in frames]
        for column, (axes, frame) in enumerate(zip(row, frames, strict=True)):
            axes.imshow(take.video[frame])
            axes.set_axis_off()
            if column == 0 or prompts[column] != prompts[column - 1]:
                axes.set_title(prompts[column], fontsize=7, loc="left")
    _save(figure, path)


def draw_sound(takes: Mapping[str, tuple[Take, Sequence[float]]], path: Path) -> None:
    """Spectrograms, one per row: name to (take, times of impacts seen in its picture)."""
    figure = Figure(figsize=(12, 2.8 * len(takes)), layout="constrained")
    grid = figure.subplots(len(takes), 1, squeeze=False)
    for axes, (name, (take, seen)) in zip(grid[:, 0], takes.items(), strict=True):
        bands = spectrum(take.audio)
        length_s = len(bands) * HOP / SAMPLE_RATE_HZ
        axes.imshow(bands.T, origin="lower", aspect="auto", extent=(0, length_s, 0, bands.shape[1]), cmap="magma")
        for time in seen:
            axes.axvline(time, color="white", linestyle="--", linewidth=0.8)
        axes.set_title(f"{name}: {take.prompts[0]} (dashed: impact seen)", fontsize=8, loc="left")
        axes.set_ylabel("mel band")
    grid[-1, 0].set_xlabel("s")
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"text.parse_math": False}):
        figure.savefig(path, dpi=110)
