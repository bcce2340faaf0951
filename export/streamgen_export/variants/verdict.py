"""Whether a variant may be shipped. Values in, values out: nothing here runs a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

LARGEST_LOSS: Final = 0.02
"""Of the judge's score (a share of 1) that a variant may be below float32 at the most, however sure that is."""
WIDEST_MARGIN: Final = 0.05
"""Half the interval of that loss with which nothing is decided yet: with few prompts every interval has room for 0."""
LARGEST_ERROR: Final = 0.5
"""Of an output of a graph given the same inputs, as a share of its norm. More is no rounding but a mistake."""

ForcedErrors = Mapping[str, Mapping[str, float | None]]
"""Graph to output to error; None stands for what is not a finite number."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The judge's score of a variant, on the same prompts and noise as that of float32.

    Attributes:
        share: mean over the attributes of the share of chunks in which the eye names what was asked for, 0 to 1.
        spread: half the 95 % interval of the share, prompts being drawn anew.
        gain: of the share over float32's; None for float32 itself.
        margin: half the 95 % interval of the gain, the same prompts being drawn anew for both.
        takes: prompts that change once each.
        chunks: in each take.
    """

    share: float
    spread: float
    gain: float | None
    margin: float | None
    takes: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows.

    Attributes:
        result: "holds": it may be shipped; "lost": it is worse; "undecided": too little was looked at.
        reason: in words.
    """

    result: Literal["holds", "lost", "undecided"]
    reason: str


def verdict(errors: ForcedErrors, judged: Judged | None) -> Verdict:
    """The rule.

    A variant holds when no graph makes a mistake, and either the interval of its gain over float32 reaches up to 0, or
    its loss is at most `LARGEST_LOSS`, and that interval is narrow enough to mean something. float32 itself has
    no gain, and holds when it has been judged.

    Args:
        errors: of each output, given the same inputs as float32; empty for float32 itself.
        judged: None when nobody has looked at it.
    """
    for graph, outputs in errors.items():
        for output, error in outputs.items():
            if error is None or not error <= LARGEST_ERROR:
                told = "not a finite number" if error is None else f"{error:.2f} off"
                return Verdict("lost", f"{output} of {graph} is {told}, where at most {LARGEST_ERROR:g} is rounding")
    if judged is None:
        return Verdict("undecided", "it has not been judged")
    if judged.gain is None or judged.margin is None:
        return Verdict("holds", "it is what the others are compared with")
    told = f"{100 * judged.gain:+.1f} ± {100 * judged.margin:.1f} points against float32"
    if judged.gain + judged.margin < -LARGEST_LOSS:
        return Verdict("lost", told)
    if not judged.margin <= WIDEST_MARGIN:
        return Verdict("undecided", f"{told}: more takes are needed")
    if judged.gain >= -LARGEST_LOSS or judged.gain + judged.margin >= 0:
        return Verdict("holds", told)
    return Verdict("lost", told)
