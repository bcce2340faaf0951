"""What ways to sample are chosen by: an eye and prompts of their own, so that the judge's report stays held out.

The report's instruments would do as well, and then it would be no news that they like what was chosen with them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import torch

from streamgen_export.pocket.judge.briefs import Brief, change_briefs
from streamgen_export.pocket.judge.eye import Eye, train_eye
from streamgen_export.pocket.judge.instruments import Schooling, fingerprint
from streamgen_export.pocket.judge.labels import CHANGED
from streamgen_export.pocket.judge.renders import in_parallel, picture_lesson, picture_worlds
from streamgen_export.pocket.judge.run import Settings
from streamgen_export.pocket.world.attributes import Attributes

DEVELOPMENT_SEED: Final = 5_000_000
"""Of prompts and noise: far from that of the judge's own."""
SCHOOLING: Final = Schooling(pictures=3200, eye_steps=700, seed=1)
"""Of the eye, which is the only instrument: enough to tell ways to sample apart, in a few minutes."""
QUICK: Final = Schooling(pictures=8, eye_steps=2, seed=1)
"""An eye that knows nothing: shows that everything runs."""
FIRST_LESSON: Final = 1_000_000
"""Beyond the lessons of the judge's own eye."""


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


def development_eye(schooling: Schooling, processes: int, cache: Path) -> Eye:
    """Reads the eye from the cache, or trains it on renders of its own and keeps it there.

    Args:
        schooling: how; only its `pictures`, `eye_steps` and `seed` matter.
        processes: that render side by side.
        cache: folder, see `instruments.default_cache`.
    """
    kept = cache / f"development-{fingerprint(schooling)}.pt"
    if kept.is_file():
        eye = Eye()
        eye.load_state_dict(torch.load(kept, weights_only=True))
        return eye.eval()
    worlds = picture_worlds(schooling.pictures, FIRST_LESSON)
    lessons = list(in_parallel(picture_lesson, worlds, processes, "sweep: rendering pictures to learn from"))
    eye = train_eye(lessons, schooling.eye_steps, schooling.seed)
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = kept.with_suffix(f".{os.getpid()}")
    torch.save(eye.state_dict(), unfinished)
    unfinished.replace(kept)
    return eye
