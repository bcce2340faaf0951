"""Do chunks join without a seam? Change across the joints over change inside chunks, for picture and sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.judge.takes import Take
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK, SAMPLES_PER_CHUNK

_WINDOW: Final = 480
"""Samples of one spectrum: 20 ms, an exact share of a chunk, so that windows end where chunks end."""


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


def picture_changes(video: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean absolute difference of each picture to the next: uint8 [T, H, W, 3] -> float64 [T - 1], 0 to 255."""
    steps = (np.abs(b.astype(np.int16) - a) for a, b in pairwise(video))
    return np.array([step.mean() for step in steps], dtype=np.float64)


def spectral_flux(audio: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rise of the log spectrum from each 20 ms to the next: float32 [channels, S] -> float64 [S / 480 - 1]."""
    mono = audio.mean(axis=0)
    frames = mono[: len(mono) // _WINDOW * _WINDOW].reshape(-1, _WINDOW) * np.hanning(_WINDOW)
    level = np.log10(np.abs(np.fft.rfft(frames, axis=1)) + 1e-3)
    flux: NDArray[np.float64] = np.maximum(np.diff(level, axis=0), 0).mean(axis=1)
    return flux


def joints(takes: Sequence[Take]) -> Joints:
    """Looks at every joint of every take, except where the prompt changes there."""
    picture: tuple[list[float], list[float]] = ([], [])
    flux: tuple[list[float], list[float]] = ([], [])
    step: tuple[list[float], list[float]] = ([], [])
    for take in takes:
        steady = [a == b for a, b in zip(take.wanted[:-1], take.wanted[1:], strict=True)]
        changes = picture_changes(take.video)
        _sort(changes, PICTURES_PER_CHUNK, steady, picture)
        _sort(spectral_flux(take.audio), SAMPLES_PER_CHUNK // _WINDOW, steady, flux)
        sample_steps = np.abs(np.diff(take.audio, axis=1)).mean(axis=0).astype(np.float64)
        _sort(sample_steps, SAMPLES_PER_CHUNK, steady, step)
    return Joints(len(picture[0]), _ratio(picture), _ratio(flux), _ratio(step))


def _sort(
    changes: NDArray[np.float64], period: int, steady: Sequence[bool], into: tuple[list[float], list[float]]
) -> None:
    """Puts changes across joints into the first list, all others into the second; `changes[i]` is from i to i + 1."""
    positions = np.arange(1, len(changes) + 1)
    at_joint = positions % period == 0
    counted = np.array(steady, dtype=bool)[positions[at_joint] // period - 1]
    into[0].extend(changes[at_joint][counted].tolist())
    # One number per take and chunk is enough for the inside, and keeps memory small over minutes of samples.
    inside = changes[~at_joint]
    into[1].extend(part.mean() for part in np.array_split(inside, max(1, len(inside) // period)) if len(part))


def _ratio(sides: tuple[list[float], list[float]]) -> float | None:
    across, inside = sides
    if not across or not inside or np.mean(inside) <= 0:
        return None
    return float(np.mean(across) / np.mean(inside))
