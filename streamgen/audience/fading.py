"""Votes that fade: each counts 2^(-age / half-life), and each voter has one.

The sums are kept, not computed (forward decay: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay: A Practical Time
Decay Model for Streaming Systems", ICDE 2009, section 3). A vote cast at t adds 2^((t - origin) / half-life) to its
option's sum once, and what the sum is worth now is the sum times 2^(-(now - origin) / half-life). Numbers that grow
for hours would overflow, so the origin moves along.

A vote that is older than `LIFE_HALF_LIVES` is forgotten: it counts less than a thousandth. Memory is bounded by
`max_voters`; full-policy: newcomers are refused and counted.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Final, Self

from pydantic import BaseModel, ConfigDict

from streamgen.audience.effects import AudienceStateError, Refusal, RefusedError

LIFE_HALF_LIVES: Final = 10.0
_REBASE_HALF_LIVES: Final = 500  # a float holds powers of two up to 1023


class FadingState(BaseModel):
    """Fading votes as they are stored. `age_s` is that of the origin; a vote is an option and when it was cast."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    age_s: float
    votes: dict[str, tuple[str, float]]
    sums: dict[str, float]


class FadingVotes:
    """Who voted for what, worth less as time passes. Options come and go."""

    def __init__(self, half_life_s: float, *, max_voters: int, change: bool, now_s: float) -> None:
        self.refused: Counter[Refusal] = Counter()
        self._half_life_s = half_life_s
        self._max_voters = max_voters
        self._change = change
        self._origin_s = now_s
        # Option and half-lives after the origin, the vote that was cast longest ago first.
        self._votes: dict[str, tuple[str, float]] = {}
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    @property
    def voters(self) -> int:
        """How many votes are remembered."""
        return len(self._votes)

    def votes(self, option: str) -> int:
        """How many voters this option has, whatever their votes are still worth."""
        return self._counts[option]

    def vote_of(self, voter: str) -> str | None:
        """What this voter's vote stands for."""
        vote = self._votes.get(voter)
        return None if vote is None else vote[0]

    def add(self, option: str) -> None:
        """Votes for this option are taken from now on."""
        self._sums.setdefault(option, 0.0)
        self._counts.setdefault(option, 0)

    def remove(self, option: str) -> None:
        """Take an option away. Its votes are void, and those voters may vote again."""
        if self._sums.pop(option, None) is None:
            return
        if self._counts.pop(option):
            self._votes = {voter: vote for voter, vote in self._votes.items() if vote[0] != option}

    def cast(self, voter: str, option: str, now_s: float) -> None:
        """Count a vote, fresh, in the place of the voter's one before. Raises `RefusedError`."""
        if option not in self._sums:
            self._refuse("unknown_option", "this is no option of the vote; choose one that is shown")
        self.forget(now_s)
        before = self._votes.get(voter)
        if before is None:
            if len(self._votes) >= self._max_voters:
                self._refuse("full", "as many have voted as this server can count; try again later")
        else:
            if before[0] != option and not self._change:
                self._refuse("standing", "you have voted, and votes cannot be changed here until they have faded")
            self._drop(voter)
        at = (now_s - self._origin_s) / self._half_life_s
        self._votes[voter] = (option, at)
        self._sums[option] += 2.0**at
        self._counts[option] += 1

    def weights(self, now_s: float) -> dict[str, float]:
        """What the votes for each option are worth now; a fresh one is worth 1."""
        factor = 2.0 ** ((self._origin_s - now_s) / self._half_life_s)
        return {option: total * factor for option, total in self._sums.items()}

    def forget(self, now_s: float) -> None:
        """Drop the votes that have faded away."""
        passed = (now_s - self._origin_s) / self._half_life_s
        while self._votes:
            voter, (_, at) = next(iter(self._votes.items()))
            if passed - at < LIFE_HALF_LIVES:
                break
            self._drop(voter)
        if passed > _REBASE_HALF_LIVES:
            self._rebase(math.floor(passed))

    def shift(self, seconds: float) -> None:
        """So much time has passed that does not count (a pause)."""
        self._origin_s += seconds

    def _drop(self, voter: str) -> None:
        option, at = self._votes.pop(voter)
        self._counts[option] -= 1
        # What adding and subtracting leaves over is rounding, and it fades like the votes; none is none.
        self._sums[option] = max(0.0, self._sums[option] - 2.0**at) if self._counts[option] else 0.0

    def _rebase(self, half_lives: int) -> None:
        self._origin_s += half_lives * self._half_life_s
        self._votes = {voter: (option, at - half_lives) for voter, (option, at) in self._votes.items()}
        self._sums = {option: math.ldexp(total, -half_lives) for option, total in self._sums.items()}

    def _refuse(self, reason: Refusal, message: str) -> None:
        self.refused[reason] += 1
        raise RefusedError(reason, message)

    def dump(self, now_s: float) -> FadingState:
        """The state to be stored."""
        return FadingState(age_s=now_s - self._origin_s, votes=dict(self._votes), sums=dict(self._sums))

    @classmethod
    def load(
        cls,
        state: FadingState,
        options: Iterable[str],
        half_life_s: float,
        *,
        max_voters: int,
        change: bool,
        now_s: float,
    ) -> Self:
        """The votes of a stored state. Raises `AudienceStateError`."""
        fading = cls(half_life_s, max_voters=max_voters, change=change, now_s=now_s - state.age_s)
        for option in options:
            fading.add(option)
        counts = Counter(option for option, _ in state.votes.values())
        if state.sums.keys() != fading._sums.keys() or counts.keys() - fading._sums.keys():
            raise AudienceStateError("the stored votes name options that are not there; start without them")
        fading._votes = dict(state.votes)
        fading._sums = dict(state.sums)
        fading._counts.update(counts)
        return fading
