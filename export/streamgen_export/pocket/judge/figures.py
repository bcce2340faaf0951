"""Pictures for people: a contact sheet of takes with their prompts, and spectrograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from streamgen_export.pocket.judge.ear import HOP, bands_of
from streamgen_export.pocket.judge.takes import Take
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK, SAMPLE_RATE_HZ

SHEET_ROWS: Final = 12
_COLUMNS: Final = 8


def draw_samples(takes: Sequence[Take], path: Path) -> None:
    """A contact sheet of the first 12 takes: one per row, evenly spaced in time, prompts above where they begin."""
    shown = takes[:SHEET_ROWS]
    figure = Figure(figsize=(1.8 * _COLUMNS, 1.35 * len(shown)))
    # No automatic layout: it would make room for the long prompts beside the first picture.
    grid = figure.subplots(
        len(shown), _COLUMNS, squeeze=False, gridspec_kw={"wspace": 0.03, "hspace": 0.28, "left": 0.005, "right": 0.995}
    )
    figure.subplots_adjust(bottom=0.01, top=1 - 0.25 / (1.35 * len(shown)))
    for row, take in zip(grid, shown, strict=True):
        frames = np.linspace(PICTURES_PER_CHUNK - 1, len(take.video) - 1, _COLUMNS).astype(int)
        prompts = [take.prompts[frame // PICTURES_PER_CHUNK] for frame in frames]
        for column, (axes, frame) in enumerate(zip(row, frames, strict=True)):
            axes.imshow(take.video[frame])
            axes.set_axis_off()
            if column == 0 or prompts[column] != prompts[column - 1]:
                axes.set_title(prompts[column], fontsize=8, loc="left")
    _save(figure, path)


def draw_sound(takes: Mapping[str, tuple[Take, Sequence[float]]], path: Path) -> None:
    """Spectrograms, one per row: name to (take, times of impacts seen in its picture)."""
    figure = Figure(figsize=(12, 2.4 * len(takes)), layout="constrained")
    grid = figure.subplots(len(takes), 1, squeeze=False)
    for axes, (name, (take, seen)) in zip(grid[:, 0], takes.items(), strict=True):
        bands = bands_of(take.audio)
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
