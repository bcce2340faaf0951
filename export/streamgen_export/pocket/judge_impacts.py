"""When does something hit the ground: in the picture, in the sound, and how far apart are the two?

In the picture, an impact is a lowest point of the path of the mask that the critic sees. In the sound, it is what a
In the sound, it is what a small network learned from renders to tell from music, rain and waves.
Both detectors are checked on held-out renders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.judge_takes import Take
from streamgen_export.pocket.scenes.world import PICTURE_RATE_HZ, SAMPLE_RATE_HZ

HOP: Final = 240
"""Samples per frame of the sound detector: 10 ms."""
_WINDOW = 512
BANDS: Final = 40
_PROMINENCE = 0.06
"""How far the subject must rise on both sides of a lowest point, as a share of the picture's height."""
_MIN_GAP_S = 0.25
_MIN_COVER = 0.006
"""Share of the picture that the subject must cover to have a path at all."""
REACH_S: Final = 0.4
"""A sound further from a visual impact than this does not belong to it; half a bounce is 0.64 to 0.8 s / 2."""


def spectrum(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log energy in 40 bands, even on the mel scale: float32 [channels, S] -> float32 [S / 240, 40]."""
    mono = torch.from_numpy(np.ascontiguousarray(audio.mean(axis=0)))
    padded = F.pad(mono, (_WINDOW // 2, _WINDOW // 2))
    frames = padded.unfold(0, _WINDOW, HOP)[: len(mono) // HOP]
    power = torch.fft.rfft(frames * torch.hann_window(_WINDOW), dim=1).abs() ** 2
    bands: NDArray[np.float32] = torch.log10(power @ _band_matrix() + 1e-5).numpy()
    return bands


def _band_matrix() -> Tensor:
    top = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    bins = np.linspace(0, SAMPLE_RATE_HZ / 2, _WINDOW // 2 + 1)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return torch.from_numpy(np.clip(np.minimum(rising, falling), 0, None).astype(np.float32))


class Ear(nn.Module):
    """Scores every 10 ms of sound for the start of an impact; sees 140 ms to either side."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(BANDS, 32, 5, padding=2),
            nn.SiLU(),
            nn.Conv1d(32, 32, 5, padding=4, dilation=2),
            nn.SiLU(),
            nn.Conv1d(32, 32, 5, padding=8, dilation=4),
            nn.SiLU(),
            nn.Conv1d(32, 1, 1),
        )

    def forward(self, bands: Tensor) -> Tensor:
        """float32 [B, frames, 40] -> float32 [B, frames]."""
        scores: Tensor = self.layers(bands.transpose(1, 2))[:, 0]
        return scores


def train_ear(
    takes: Sequence[tuple[NDArray[np.float32], tuple[float, ...]]],
    epochs: int,
    seed: int,
    report: Callable[[float], None] = lambda loss: None,
) -> Ear:
    """Trains the sound detector.

    Args:
        takes: (spectrum [frames, 40], impact times in seconds) of renders of one length.
        epochs: passes over them.
        seed: of weights and order.
        report: called with the loss after every batch.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    bands = torch.from_numpy(np.stack([bands for bands, _ in takes]))
    target = torch.zeros(bands.shape[:2])
    for row, (_, impacts) in enumerate(takes):
        for impact in impacts:
            frame = round(impact * SAMPLE_RATE_HZ / HOP)
            target[row, max(0, frame - 1) : frame + 2] = 1.0
    ear = Ear().train()
    optimiser = torch.optim.AdamW(ear.parameters(), lr=2e-3, weight_decay=0.01)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(bands), generator=generator), 16):
            # Loudness must not decide: generated sound may be quieter.
            gain = 0.6 * torch.randn((len(rows), 1, 1), generator=generator)
            scores = ear(bands[rows] + gain)
            loss = F.binary_cross_entropy_with_logits(scores, target[rows], pos_weight=torch.tensor(6.0))
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            report(loss.item())
    return ear.eval()


def heard_impacts(ear: Ear, audio: NDArray[np.float32]) -> list[float]:
    """Times in seconds at which an impact is heard, at least 0.25 s apart."""
    with torch.no_grad():
        likely = torch.sigmoid(ear(torch.from_numpy(spectrum(audio))[None]))[0].numpy()
    gap = round(_MIN_GAP_S * SAMPLE_RATE_HZ / HOP)
    times: list[float] = []
    left = likely.copy()
    while left.size and left.max() > 0.5:
        frame = int(left.argmax())
        around = slice(max(0, frame - 1), frame + 2)
        centre = float(np.average(np.arange(len(likely))[around], weights=likely[around]))
        times.append(centre * HOP / SAMPLE_RATE_HZ)
        left[max(0, frame - gap) : frame + gap + 1] = 0
    return sorted(times)


def heights(masks: NDArray[np.float32]) -> NDArray[np.float64]:
    """The subject's height over the bottom in each picture, as a share of the picture; NaN where there is none.

    Args:
        masks: float32 [T, h, w], probability of the subject.
    """
    weights = np.where(masks > 0.3, masks, 0.0).astype(np.float64)
    mass = weights.sum(axis=(1, 2))
    rows = (np.arange(masks.shape[1]) + 0.5) / masks.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (weights.sum(axis=2) * rows).sum(axis=1) / mass
    return np.where(mass > _MIN_COVER * masks.shape[1] * masks.shape[2], 1 - centre, np.nan)


def seen_impacts(path: NDArray[np.float64]) -> list[float]:
    """Times in seconds of the lowest points of a path, finer than one picture.

    A bounce is a corner between two falling curves, so its time is read off two lines of the steeper slope.

    Args:
        path: the height of the subject in each picture, NaN where it is not seen.
    """
    times: list[float] = []
    for index in range(1, len(path) - 1):
        left, here, right = path[index - 1 : index + 2]
        if not (here <= left and here < right) or np.isnan([left, here, right]).any():
            continue
        if min(_rise(path[: index + 1][::-1]), _rise(path[index:])) < _PROMINENCE:
            continue
        slope = max(left - here, right - here)
        time = (index + 0.5 * (left - right) / slope) / PICTURE_RATE_HZ
        if not times or time - times[-1] >= _MIN_GAP_S:
            times.append(float(time))
    return times


def _rise(path: NDArray[np.float64]) -> float:
    """How high a path climbs above its start before it comes back below it (or ends)."""
    start, top = path[0], 0.0
    for height in path[1:]:
        if np.isnan(height) or height < start:
            break
        top = max(top, float(height - start))
    return top


@dataclass(frozen=True)
class Detection:
    """A detector against the truth of renders.

    Attributes:
        impacts: how many there really are.
        recall: share of them that were found within 100 ms.
        precision: share of the found ones that are real.
        median_error_s: median distance of those that match.
    """

    impacts: int
    recall: float | None
    precision: float | None
    median_error_s: float | None


def check_detector(truth: Sequence[Sequence[float]], found: Sequence[Sequence[float]]) -> Detection:
    """Compares detections with the truth, take by take."""
    recalled = [nearest(time, got) for true, got in zip(truth, found, strict=True) for time in true]
    real = [nearest(time, true) for true, got in zip(truth, found, strict=True) for time in got]
    hits = [abs(error) for error in recalled if error is not None and abs(error) <= 0.1]
    correct = [error is not None and abs(error) <= 0.1 for error in real]
    return Detection(
        impacts=len(recalled),
        recall=len(hits) / len(recalled) if recalled else None,
        precision=float(np.mean(correct)) if correct else None,
        median_error_s=float(np.median(hits)) if hits else None,
    )


def nearest(time: float, others: Sequence[float]) -> float | None:
    """Signed distance from `time` to the nearest of `others`, or None when there is none."""
    return min((other - time for other in others), key=abs, default=None)


@dataclass(frozen=True)
class Sync:
    """How far impacts are heard from where they are seen.

    Attributes:
        seen: visual impacts.
        heard: impacts in the sound.
        seen_per_s: visual impacts per second of media.
        heard_per_s: the same for the sound.
        matched: share of visual impacts with a sound within 0.4 s.
        median_s: median |offset| of the matched.
        p95_s: 95th percentile of |offset| of the matched.
        lag_s: median signed offset; positive when the sound is late.
    """

    seen: int
    heard: int
    seen_per_s: float
    heard_per_s: float
    matched: float | None
    median_s: float | None
    p95_s: float | None
    lag_s: float | None


def synchrony(seen: Sequence[Sequence[float]], heard: Sequence[Sequence[float]], duration_s: float) -> Sync:
    """Compares the impacts of takes.

    Args:
        seen: times in the picture, per take.
        heard: times in the sound, per take.
        duration_s: length of all takes together.
    """
    distances = [nearest(time, sounds) for picture, sounds in zip(seen, heard, strict=True) for time in picture]
    offsets = np.array([d for d in distances if d is not None and abs(d) <= REACH_S])
    return Sync(
        seen=len(distances),
        heard=sum(map(len, heard)),
        seen_per_s=len(distances) / duration_s,
        heard_per_s=sum(map(len, heard)) / duration_s,
        matched=len(offsets) / len(distances) if distances else None,
        median_s=float(np.median(np.abs(offsets))) if len(offsets) else None,
        p95_s=float(np.percentile(np.abs(offsets), 95)) if len(offsets) else None,
        lag_s=float(np.median(offsets)) if len(offsets) else None,
    )


def has_bounce(take: Take) -> bool:
    """Whether the take was asked to bounce throughout."""
    return all(attributes.motion == "bounces" for attributes in take.wanted)
