"""Who has won a ballot: the most votes, a rule for ties and a rule for too few votes. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from streamgen.audience.overlay import Rule

TieRule: TypeAlias = Literal["earliest", "random", "keep", "blend"]
NoVoteRule: TypeAlias = Literal["keep", "random", "next_proposal"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One option when the ballot closes. `reached` orders options by when they rose to their count for good."""

    option: str
    votes: int
    reached: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The winners, several only when they are blended, none when what plays stays; and the rule that decided."""

    winners: tuple[str, ...]
    by: Rule


def decide(
    standings: Sequence[Standing], *, tie: TieRule, no_vote: NoVoteRule, quorum: int, seed: str, max_blend: int
) -> Decision:
    """Decide a ballot. `standings` are in the ballot's order; the same `seed` makes the same random choice.

    Fewer votes than `quorum`, or none at all, come under the rule `no_vote`; `next_proposal` then takes the first
    option. At most `max_blend` options are blended, the earliest to reach the count.
    """
    if not standings:
        return Decision((), "keep")
    if sum(each.votes for each in standings) < max(1, quorum):
        if no_vote == "random":
            return Decision((_drawn(standings, seed),), "random")
        if no_vote == "next_proposal":
            return Decision((standings[0].option,), "next_proposal")
        return Decision((), "keep")
    most = max(each.votes for each in standings)
    tied = sorted((each for each in standings if each.votes == most), key=lambda each: each.reached)
    if len(tied) == 1:
        return Decision((tied[0].option,), "votes")
    if tie == "earliest":
        return Decision((tied[0].option,), "earliest")
    if tie == "random":
        return Decision((_drawn(tied, seed),), "random")
    if tie == "blend":
        return Decision(tuple(each.option for each in tied[:max_blend]), "blend")
    return Decision((), "keep")


def _drawn(standings: Sequence[Standing], seed: str) -> str:
    # Of the ids in one order, whatever the order of the votes was. A text seeds by its SHA-512, on every machine alike.
    return random.Random(seed).choice(sorted(each.option for each in standings))
