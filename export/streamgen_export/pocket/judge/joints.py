"""Do chunks join without a seam? Change across the joints over change inside chunks, for picture and sound.

python -m streamgen_export.pocket.judge.joints     # this part of the judge alone, which needs no trained instrument
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.judge.takes import Take
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK

PICTURE_TARGET: Final = 1.1
_WINDOW: Final = 480
"""Samples of one spectrum: 20 ms, an exact share of a chunk, so that windows end where chunks end."""
_AROUND = 2
"""Chunks after a change of the prompt that are not looked at: the picture turns into another one."""

Sides = tuple[list[float], list[float]]
"""Changes across joints, and mean changes inside chunks."""


@dataclass(frozen=True)
class Joints:
    """Ratios of the mean change across joints to the mean change elsewhere; 1 means no seam.

    Attributes:
        joints: how many joints were looked at.
        picture: mean absolute difference of neighbouring pictures.
        sound_flux: rise of the spectrum from one 20 ms window to the next.
        sound_step: absolute difference of neighbouring samples.
    """

    joints: int
    picture: float | None
    sound_flux: float | None
    sound_step: float | None


def spectral_flux(audio: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rise of the log spectrum from each 20 ms to the next: float32 [channels, S] -> float64 [S / 480 - 1]."""
    mono = audio.mean(axis=0)
    frames = mono[: len(mono) // _WINDOW * _WINDOW].reshape(-1, _WINDOW) * np.hanning(_WINDOW)
    level = np.log10(np.abs(np.fft.rfft(frames, axis=1)) + 1e-3)
    flux: NDArray[np.float64] = np.maximum(np.diff(level, axis=0), 0).mean(axis=1)
    return flux


@dataclass(frozen=True, eq=False)
class Seams:
    """Changes of one take, sorted."""

    picture: Sides
    flux: Sides
    step: Sides


def seams(take: Take) -> Seams:
    """Looks at every joint of a take, except where what is asked for has just changed."""
    ages = np.array(take.brief.ages)
    changes_at = np.flatnonzero(ages[1:] == 0) + 1
    steady = np.ones(len(ages), dtype=bool)
    for chunk in changes_at:
        steady[chunk : chunk + _AROUND] = False
    samples = take.form.samples_per_chunk
    sample_steps = np.abs(np.diff(take.audio, axis=1)).mean(axis=0).astype(np.float64)
    return Seams(
        picture=_sorted(take.changes, PICTURES_PER_CHUNK, steady),
        flux=_sorted(spectral_flux(take.audio), samples // _WINDOW, steady),
        step=_sorted(sample_steps, samples, steady),
    )


def joints(parts: Sequence[Seams]) -> Joints:
    """The seams of all takes together."""
    picture = _together([part.picture for part in parts])
    flux = _together([part.flux for part in parts])
    step = _together([part.step for part in parts])
    return Joints(len(picture[0]), _ratio(picture), _ratio(flux), _ratio(step))


def _sorted(changes: NDArray[np.float64], period: int, steady: NDArray[np.bool_]) -> Sides:
    """Splits changes into those across joints and the mean inside each chunk; `changes[i]` is from i to i + 1."""
    positions = np.arange(1, len(changes) + 1)
    chunk_of = positions // period
    at_joint = positions % period == 0
    counted = steady[chunk_of]
    across = changes[at_joint & counted].tolist()
    inside = [
        float(changes[(chunk_of == chunk) & ~at_joint].mean())
        for chunk in np.flatnonzero(steady)
        if ((chunk_of == chunk) & ~at_joint).any()
    ]
    return across, inside


def _together(parts: Sequence[Sides]) -> Sides:
    return [value for across, _ in parts for value in across], [value for _, inside in parts for value in inside]


def _ratio(sides: Sides) -> float | None:
    across, inside = sides
    if not across or not inside or np.mean(inside) <= 0:
        return None
    return float(np.mean(across) / np.mean(inside))


def main() -> None:
    """Command line: seams of generated takes beside those of true renders of the same prompts."""
    from streamgen_engines.bundle import bundle_at
    from streamgen_engines.families import load
    from streamgen_export.pocket.judge.briefs import change_briefs
    from streamgen_export.pocket.judge.provenance import provenance_of
    from streamgen_export.pocket.judge.renders import in_parallel, render
    from streamgen_export.pocket.judge.run import Settings
    from streamgen_export.pocket.judge.streams import ModelStream, side_by_side, take_of

    parser = argparse.ArgumentParser(description="Measure how visible and audible the joints of chunks are.")
    parser.add_argument("--bundle", type=Path, help="bundle folder (default: the one that ships with streamgen)")
    parser.add_argument("--samples", type=int, default=32, help="takes, each with a change of prompt")
    parser.add_argument("--out", type=Path, default=Path("bench/judge/joints.json"))
    options = parser.parse_args()
    processes = len(os.sched_getaffinity(0))
    bundle = bundle_at(options.bundle)
    streams = [ModelStream(load(bundle)) for _ in range(processes)]
    briefs = change_briefs(Settings.seed, options.samples, Settings.before, Settings.after)
    made = joints([seams(take) for take in side_by_side(streams, briefs, take_of)])
    jobs = [(brief, streams[0].form) for brief in briefs]
    true = joints([seams(take) for take in in_parallel(render, jobs, processes, "renders of the same")])
    found = {
        "command": f"python -m streamgen_export.pocket.judge.joints --samples {options.samples}",
        "provenance": asdict(provenance_of(bundle)),
        "generated": asdict(made),
        "renders": asdict(true),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
