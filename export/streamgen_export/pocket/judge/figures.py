"""Pictures for people: a contact sheet of takes with their prompts, spectrograms, and the curves of long streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from streamgen_export.pocket.judge.drift import MEASURES, MINUTES, Drift
from streamgen_export.pocket.judge.ear import FRAME_S, bands_of
from streamgen_export.pocket.judge.takes import Take

SHEET_ROWS: Final = 12
_COLUMNS: Final = 8
_LINES: Final = ("-", "--", ":", "-.")


def draw_samples(takes: Sequence[Take], path: Path) -> None:
    """A contact sheet of the first 12 takes: one per row, evenly spaced in time, prompts above where they begin."""
    shown = takes[:SHEET_ROWS]
    figure = Figure(figsize=(1.8 * _COLUMNS, 1.28 * len(shown)))
    # No automatic layout: it would make room for the long prompts beside the first picture.
    grid = figure.subplots(
        len(shown), _COLUMNS, squeeze=False, gridspec_kw={"wspace": 0.03, "hspace": 0.28, "left": 0.005, "right": 0.995}
    )
    figure.subplots_adjust(bottom=0.01, top=1 - 0.25 / (1.28 * len(shown)))
    for row, take in zip(grid, shown, strict=True):
        chunks = np.linspace(0, len(take.near) - 1, _COLUMNS).astype(int)
        prompts = [take.brief.prompts[chunk] for chunk in chunks]
        for column, (axes, chunk) in enumerate(zip(row, chunks, strict=True)):
            axes.imshow(take.near[chunk])
            axes.set_axis_off()
            if column == 0 or prompts[column] != prompts[column - 1]:
                axes.set_title(prompts[column], fontsize=7, loc="left")
    save(figure, path)


def draw_sound(takes: Sequence[tuple[str, Take, Mapping[str, Sequence[float]]]], path: Path) -> None:
    """Spectrograms, one per row: (name, take, kind to times of what is seen in its picture)."""
    figure = Figure(figsize=(12, 2.2 * len(takes)), layout="constrained")
    grid = figure.subplots(len(takes), 1, squeeze=False)
    for axes, (name, take, seen) in zip(grid[:, 0], takes, strict=True):
        draw_spectrogram(axes, take.audio)
        for time in (time for times in seen.values() for time in times):
            axes.axvline(time, color="white", linestyle="--", linewidth=0.8)
        axes.set_title(f"{name}: {take.brief.prompts[0]} (dashed: seen)", fontsize=8, loc="left")
        axes.set_ylabel("mel band")
    grid[-1, 0].set_xlabel("s")
    save(figure, path)


def draw_spectrogram(axes: Any, audio: NDArray[np.float32]) -> None:
    """The mel spectrogram of float32 [channels, S] into the axes of a figure, in seconds."""
    bands = bands_of(audio)
    extent = (0, len(bands) * FRAME_S, 0, bands.shape[1])
    axes.imshow(bands.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-4.5, vmax=3.5)


def draw_drift(streams: Mapping[str, Sequence[Drift]], path: Path) -> None:
    """Each measure over time, a row of its own; one colour per prompt, one kind of line per source."""
    figure = Figure(figsize=(11, 1.7 * len(MEASURES)), layout="constrained")
    grid = figure.subplots(len(MEASURES), 1, squeeze=False, sharex=True)
    for measure, axes in zip(MEASURES, grid[:, 0], strict=True):
        for (source, drifts), line in zip(streams.items(), _LINES, strict=False):
            for number, drift in enumerate(drifts):
                values = [section[measure] for section in drift.sections]
                minutes = [section[MINUTES] for section in drift.sections]
                axes.plot(minutes, values, line, color=f"C{number}", label=f"{source}: {drift.prompt}", linewidth=1.2)
        axes.set_ylabel(measure, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
    grid[-1, 0].set_xlabel("minutes")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", fontsize=7)
    save(figure, path)


def save(figure: Figure, path: Path, dpi: int = 110) -> None:
    """Writes a figure; dollars in prompts are dollars."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"text.parse_math": False}):
        figure.savefig(path, dpi=dpi)
