"""What ways to sample are chosen by: prompts and an eye of their own, so that the judge's report stays held out.

The report's instruments would do as well, and then it would be no news that they like what was chosen with them. This
eye sees half the size, learns from other renders than the judge's and is trained within minutes: it is a worse judge of
subjects, and good enough to tell ways to sample apart.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.judge.briefs import Brief, change_briefs
from streamgen_export.pocket.judge.eye import NAMED, as_input
from streamgen_export.pocket.judge.instruments import Schooling, fingerprint
from streamgen_export.pocket.judge.labels import CHANGED, JUDGED, UNASKED, label
from streamgen_export.pocket.judge.learning import conv, cross_entropy, disturb, fit, pooled
from streamgen_export.pocket.judge.lessons import PictureLesson
from streamgen_export.pocket.judge.renders import in_parallel, picture_lesson, picture_worlds
from streamgen_export.pocket.judge.run import Settings
from streamgen_export.pocket.world.attributes import VOCABULARY, Attributes

DEVELOPMENT_SEED: Final = 5_000_000
"""Of prompts and noise: far from that of the judge's own."""
SCHOOLING: Final = Schooling(pictures=3200, eye_steps=1200, seed=3)
"""Of the eye, which is the only instrument."""
QUICK: Final = Schooling(pictures=8, eye_steps=2, seed=3)
"""An eye that knows nothing: shows that everything runs."""
FIRST_LESSON: Final = 1_000_000
"""Beyond the lessons of the judge's own eye."""
_BATCH = 32
_RATE = 2e-3
_AHEAD = 48
_FEATURES = 256


class SmallEye(nn.Module):
    """A picture of 112x64 to scores of each of `eye.NAMED`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 32, 5, 2)
        self.fine = nn.Sequential(conv(32, 64, 3, 2), conv(64, 64, 3))
        self.deep = nn.Sequential(conv(64, 96, 3, 2), conv(96, 128, 3), conv(128, 192, 3, 2), conv(192, 192, 3))
        self.known = nn.Sequential(nn.Linear(2 * (32 + 64 + 192), _FEATURES), nn.SiLU())
        self.heads = nn.ModuleList(nn.Linear(_FEATURES, len(VOCABULARY[name])) for name in NAMED)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Looks at pictures, float32 [B, 3, 64, 112] in [-1, 1]; scores per attribute, [B, classes] each."""
        stem = self.stem(x)
        fine = self.fine(stem)
        deep = self.deep(fine)
        features = self.known(torch.cat([pooled(stem), pooled(fine), pooled(deep)], dim=1))
        return [head(features) for head in self.heads]


def halved(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 [n, 128, 224, 3] -> uint8 [n, 64, 112, 3], means of four."""
    small = F.avg_pool2d(torch.from_numpy(pictures).permute(0, 3, 1, 2).float(), 2)
    return small.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def train_small_eye(lessons: Sequence[PictureLesson], steps: int, seed: int) -> SmallEye:
    """Trains from scratch; the same arguments give the same network on the same machine."""
    torch.manual_seed(seed)
    eye = SmallEye()
    eye.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pictures = torch.cat([halved(lesson.picture[None]) for lesson in lessons])
    labels = torch.tensor([label(lesson.shown) for lesson in lessons])[:, [JUDGED.index(name) for name in NAMED]]
    for row, lesson in enumerate(lessons):
        if not lesson.subject_seen:
            labels[row, NAMED.index("subject")] = UNASKED

    def loss_of(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(pictures), (_BATCH,), generator=generator)
        x = as_input(pictures[rows])
        if torch.rand(1, generator=generator) < 0.5:
            x = x.flip(3)
        x = disturb(x, generator).contiguous(memory_format=torch.channels_last)
        return cross_entropy(eye(x), labels[rows])

    fit(eye, loss_of, steps=steps, seed=seed, rate=_RATE, title="sweep: training the eye")
    return eye


@torch.no_grad()
def classes_of(eye: SmallEye, near: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The likeliest class of each attribute of `JUDGED`, int64 [n, attributes], -1 where the eye does not name it.

    Args:
        eye: trained.
        near: uint8 [n, 128, 224, 3].
    """
    found = np.full((len(near), len(JUDGED)), -1, dtype=np.int64)
    parts = [eye(as_input(part)) for part in torch.split(halved(near), _AHEAD)]
    for name, scores in zip(NAMED, zip(*parts, strict=True), strict=True):
        found[:, JUDGED.index(name)] = torch.cat(scores).argmax(dim=1).numpy()
    return found


def development_briefs(takes: int, chunks: int, seed: int = DEVELOPMENT_SEED) -> list[Brief]:
    """Held-out prompts, two in each take, of which none is in the judge's report as `run.Settings` makes it.

    Args:
        takes: how many.
        chunks: under each prompt.
        seed: of prompts and noise.
    """
    reported = change_briefs(Settings.seed, Settings.samples, Settings.before, Settings.after)
    taken = {_shown(wanted) for brief in reported for wanted in brief.wanted}
    drawn = change_briefs(seed, 2 * takes, chunks, chunks)
    return [brief for brief in drawn if taken.isdisjoint(map(_shown, brief.wanted))][:takes]


def _shown(wanted: Attributes) -> tuple[str, ...]:
    return tuple(getattr(wanted, name) for name in CHANGED)


def development_eye(schooling: Schooling, processes: int, cache: Path) -> SmallEye:
    """Reads the eye from the cache, or trains it and keeps it there.

    Args:
        schooling: how; only its `pictures`, `eye_steps` and `seed` matter.
        processes: that render side by side.
        cache: folder, see `instruments.default_cache`.
    """
    kept = cache / f"{_name(schooling)}.pt"
    if kept.is_file():
        eye = SmallEye()
        eye.load_state_dict(torch.load(kept, weights_only=True))
        return eye.eval()
    worlds = picture_worlds(schooling.pictures, FIRST_LESSON)
    lessons = list(in_parallel(picture_lesson, worlds, processes, "sweep: rendering pictures to learn from"))
    eye = train_small_eye(lessons, schooling.eye_steps, schooling.seed)
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = kept.with_suffix(f".{os.getpid()}")
    torch.save(eye.state_dict(), unfinished)
    unfinished.replace(kept)
    return eye


def _name(schooling: Schooling) -> str:
    """It changes with the code that makes the eye."""
    own = files("streamgen_export.pocket.judge").joinpath("development.py").read_bytes()
    return f"development-{hashlib.sha256(fingerprint(schooling).encode() + own).hexdigest()[:32]}"
