"""The judge's score of variants: the quick scorer that ways to sample are compared with (`judge.sweep`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamgen_engines.bundle import Bundle
from streamgen_engines.families import load
from streamgen_export.pocket.judge.briefs import Brief
from streamgen_export.pocket.judge.development import SmallEye
from streamgen_export.pocket.judge.streams import ModelStream, side_by_side, take_of
from streamgen_export.pocket.judge.sweep import Outcome, outcome
from streamgen_export.pocket.judge.trials import Score, Tally, Trial, score
from streamgen_export.variants.verdict import Judged


@dataclass(frozen=True, slots=True)
class Look:
    """What else the scorer saw.

    Attributes:
        by_attribute: share of each attribute.
        late: gain over float32 in the second half of each prompt, where words that fade would show; None for float32.
        in_time: share of the changes that show within a second, mean over the attributes.
        frozen: share of the chunks that nearly equal the one before.
        saturation, motion, sharpness: of the last chunks, means over the takes.
    """

    by_attribute: dict[str, float]
    late: float | None
    in_time: float
    frozen: float
    saturation: float
    motion: float
    sharpness: float


def judged_variants(
    bundles: Mapping[str, Bundle], eye: SmallEye, briefs: Sequence[Brief], threads: int
) -> Iterator[tuple[str, Judged, Look]]:
    """Scores each bundle on the same prompts and noise.

    Args:
        bundles: by name; all others are compared with the first one.
        eye: looks at the pictures.
        briefs: prompts and seeds.
        threads: streams side by side; scores do not depend on it.
    """
    own: dict[str, Tally] | None = None
    for name, bundle in bundles.items():
        streams = [ModelStream(load(bundle)) for _ in range(threads)]
        takes = list(side_by_side(streams, briefs, take_of))
        found, tallies = outcome(Trial(name), bundle, eye, takes, own)
        own = own or tallies
        yield name, _judged(found.all, tallies[""], briefs), _look(found)


def _judged(found: Score, tallied: Tally, briefs: Sequence[Brief]) -> Judged:
    # Against nothing seen at all, the gain is the share itself, and its margin that of the share.
    alone = score(tallied, Tally(np.zeros_like(tallied.hits), tallied.asked))
    return Judged(
        share=found.share,
        spread=alone.margin or 0.0,
        gain=found.gain,
        margin=found.margin,
        takes=len(briefs),
        chunks=briefs[0].chunks,
    )


def _look(found: Outcome) -> Look:
    return Look(
        by_attribute=found.all.by_attribute,
        late=found.late.gain,
        in_time=found.in_time,
        frozen=found.frozen,
        saturation=found.looks["saturation"],
        motion=found.looks["motion"],
        sharpness=found.looks["sharpness"],
    )
