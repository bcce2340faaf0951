"""Compares ways to sample: the same development prompts and noise for each, looked at by a trained eye.

python -m streamgen_export.pocket.judge.sweep --trials bench/judge/trials.json

Prompts and eye are not those of the judge's report, see `development`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from pydantic import ValidationError

from streamgen_engines.bundle import Bundle, bundle_at
from streamgen_engines.errors import EngineError
from streamgen_engines.families import load
from streamgen_export.pocket.judge.development import (
    DEVELOPMENT_SEED,
    QUICK,
    SCHOOLING,
    SmallEye,
    classes_of,
    development_briefs,
    development_eye,
)
from streamgen_export.pocket.judge.instruments import default_cache
from streamgen_export.pocket.judge.joints import joints, seams
from streamgen_export.pocket.judge.looks import LOOKS, SAME, difference
from streamgen_export.pocket.judge.provenance import provenance_of
from streamgen_export.pocket.judge.recognition import follow
from streamgen_export.pocket.judge.streams import ModelStream, side_by_side, take_of
from streamgen_export.pocket.judge.takes import Take
from streamgen_export.pocket.judge.trials import EARLY, LATE, Score, Tally, Trial, read_trials, score, tally
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK

TAKES: Final = 48
CHUNKS: Final = 10
"""Under each of a take's two prompts."""
COMMAND: Final = "python -m streamgen_export.pocket.judge.sweep"


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        sampler: fields that differ from the bundle's own.
        passes: runs of the transformer per chunk, where the prompt has not just changed.
        all, early, late: how the words fared, over all chunks, and in the two halves of what each prompt lasts.
        in_time: mean over the attributes of the share of changes that show within a second.
        looks: means of `looks.measure_look` over the last chunks of the takes.
        frozen: share of the chunks that nearly equal the one before.
        joint: change of the picture across joints over that inside chunks.
    """

    sampler: dict[str, Any]
    passes: int
    all: Score
    early: Score
    late: Score
    in_time: float
    looks: dict[str, float]
    frozen: float
    joint: float | None


def outcome(
    trial: Trial, bundle: Bundle, eye: SmallEye, takes: Sequence[Take], own: dict[str, Tally] | None
) -> tuple[Outcome, dict[str, Tally]]:
    """Judges the takes of a trial, and tallies them by part for others to be compared with.

    Args:
        trial: how they were made.
        bundle: with the trial's sampler.
        eye: looks at them.
        takes: one for each brief.
        own: tallies of the trial to compare with; None for that one itself.
    """
    briefs = [take.brief for take in takes]
    seen = [classes_of(eye, take.near) for take in takes]
    tallies = {part: tally(briefs, seen, part or None) for part in ("", EARLY, LATE)}
    scores = {part: score(found, own[part] if own is not None else None) for part, found in tallies.items()}
    timely = [found.within_limit for found in follow(briefs, seen, takes[0].form.chunk_s).values()]
    found = Outcome(
        sampler=dict(trial.sampler),
        passes=bundle.manifest.sampler.passes,
        all=scores[""],
        early=scores[EARLY],
        late=scores[LATE],
        in_time=float(np.mean([share for share in timely if share is not None])),
        looks={name: float(np.mean([take.look[name] for take in takes])) for name in LOOKS},
        frozen=float(np.mean([frozen for take in takes for frozen in _frozen(take)])),
        joint=joints([seams(take) for take in takes]).picture,
    )
    return found, tallies


def _frozen(take: Take) -> Iterator[bool]:
    """Whether each chunk nearly equals the one before, as `drift` counts it."""
    parts = np.split(take.small, len(take.small) // PICTURES_PER_CHUNK)
    return (difference(chunk, last) < SAME for last, chunk in pairwise(parts))


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    options = argparse.ArgumentParser(
        prog=COMMAND, description="Compare ways to sample on development prompts. Writes OUT."
    )
    options.add_argument(
        "--bundle",
        type=Path,
        default=Path("pocket-small"),
        help="bundle folder or name (default pocket-small: the same transformer, and all that the eye looks at)",
    )
    options.add_argument("--trials", type=Path, default=Path("bench/judge/trials.json"), help="what to compare")
    options.add_argument("--takes", type=_several, default=TAKES, help=f"with two prompts each (default {TAKES})")
    options.add_argument("--chunks", type=_several, default=CHUNKS, help=f"under each prompt (default {CHUNKS})")
    options.add_argument("--seed", type=int, default=DEVELOPMENT_SEED, help="of prompts and noise")
    options.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="to work with")
    options.add_argument("--out", type=Path, default=Path("bench/judge/sweep.json"), help="report")
    options.add_argument("--quick", action="store_true", help="an eye that knows nothing: shows that it runs")
    return options


def _several(text: str) -> int:
    number = int(text)
    if number < 2:
        raise argparse.ArgumentTypeError(
            f"{text} is too few: takes and halves of prompts are compared, give at least 2"
        )
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    try:
        bundle = bundle_at(options.bundle)
        trials = [(trial, trial.of(bundle)) for trial in read_trials(options.trials)]
    except (EngineError, OSError, ValidationError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    torch.set_num_threads(options.threads)
    eye = development_eye(QUICK if options.quick else SCHOOLING, options.threads, default_cache())
    briefs = development_briefs(options.takes, options.chunks, options.seed)
    report: dict[str, Any] = {
        "command": " ".join([COMMAND, *given]),
        "provenance": asdict(provenance_of(bundle)),
        "takes": len(briefs),
        "chunks": options.chunks,
        "trials": {},
    }
    own: dict[str, Tally] | None = None
    for trial, varied in trials:
        streams = [ModelStream(load(varied)) for _ in range(options.threads)]
        found, tallies = outcome(trial, varied, eye, list(side_by_side(streams, briefs, take_of)), own)
        own = own or tallies
        report["trials"][trial.name] = asdict(found)
        print(line(trial.name, found), flush=True)
        # After each trial: a long sweep that is stopped has not been for nothing.
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def line(name: str, found: Outcome) -> str:
    """An outcome in one line for people."""
    gain = "" if found.all.gain is None else f" ({100 * found.all.gain:+.1f} ± {100 * (found.all.margin or 0):.1f})"
    words = " ".join(f"{attribute} {100 * share:.0f}" for attribute, share in found.all.by_attribute.items())
    return (
        f"{name}: {found.passes} passes, {100 * found.all.share:.1f} %{gain}, late {100 * found.late.share:.1f} %; "
        f"{words}; in time {100 * found.in_time:.0f} %, saturation {found.looks['saturation']:.3f}, "
        f"motion {found.looks['motion']:.4f}, frozen {100 * found.frozen:.0f} %"
    )


if __name__ == "__main__":
    sys.exit(main())
