"""One vote: who voted for what, counted as it comes in.

What holds:

- each voter counts once: the sum of all tallies is the number of voters whose vote stands;
- a ballot that closes at t takes votes before t; a vote at exactly t is late;
- tallies are kept, not computed: a vote costs the same however many there are;
- memory is bounded by `max_voters`. Full-policy: newcomers are refused and counted, known voters may still change.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict

from streamgen.audience.decision import Standing
from streamgen.audience.effects import AudienceStateError, Refusal, RefusedError


@dataclass(frozen=True, slots=True)
class Option:
    """What can be voted for. `proposal` tells one of the audience's from one that the operator fixed."""

    id: str
    text: str
    proposal: bool = False
    names: tuple[str, ...] = ()


class BallotState(BaseModel):
    """A ballot as it is stored. `rises` belongs to `options`, see `Ballot`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    options: tuple[Option, ...]
    votes: dict[str, str]
    rises: tuple[tuple[int, ...], ...]
    order: int
    closed: bool


class Ballot:
    """Open until `closes_s`, which its owner may move, or until `close`."""

    def __init__(
        self, id: str, options: Sequence[Option], *, closes_s: float, max_voters: int, change: bool = True
    ) -> None:
        self.id = id
        self.closes_s = closes_s
        self.refused: Counter[Refusal] = Counter()
        self._max_voters = max_voters
        self._change = change
        self._closed = False
        self._options = {option.id: option for option in options}
        self._votes: dict[str, str] = {}
        # Per option a stack: at which vote of this ballot its tally last rose to 1, to 2, ... A vote that leaves pops
        # the last one. So its length is the tally, and its end is when the option rose to that tally for good.
        self._rises: dict[str, list[int]] = {option.id: [] for option in options}
        self._order = 0

    @property
    def options(self) -> tuple[Option, ...]:
        """In the order in which they are shown."""
        return tuple(self._options.values())

    @property
    def voters(self) -> int:
        """How many votes stand."""
        return len(self._votes)

    def votes(self, option: str) -> int:
        """The tally of an option."""
        return len(self._rises[option])

    def vote_of(self, voter: str) -> str | None:
        """What this voter's vote stands for."""
        return self._votes.get(voter)

    def standings(self) -> tuple[Standing, ...]:
        """The tallies, in the order of the options."""
        return tuple(Standing(id, len(rises), rises[-1] if rises else 0) for id, rises in self._rises.items())

    def cast(self, voter: str, option: str, now_s: float) -> bool:
        """Count a vote in the place of the one before. False when it stood already. Raises `RefusedError`."""
        if self._closed or now_s >= self.closes_s:
            raise self._refusal("closed", "the vote is over; wait for the next one")
        if option not in self._options:
            raise self._refusal("unknown_option", "this is no option of the vote; choose one that is shown")
        before = self._votes.get(voter)
        if before == option:
            return False
        if before is None:
            if len(self._votes) >= self._max_voters:
                raise self._refusal("full", "as many have voted as this server can count; try the next vote")
        elif not self._change:
            raise self._refusal("standing", "you have voted, and votes cannot be changed here")
        else:
            self._rises[before].pop()
        self._order += 1
        self._votes[voter] = option
        self._rises[option].append(self._order)
        return True

    def strike(self, option: str) -> bool:
        """Take an option off the ballot. Its votes are void, and those voters may vote again. False if not on it."""
        if self._options.pop(option, None) is None:
            return False
        del self._rises[option]
        self._votes = {voter: choice for voter, choice in self._votes.items() if choice != option}
        return True

    def close(self) -> None:
        """No more votes. Idempotent."""
        self._closed = True

    def _refusal(self, reason: Refusal, message: str) -> RefusedError:
        self.refused[reason] += 1
        return RefusedError(reason, message)

    def dump(self) -> BallotState:
        """The state to be stored, without the time at which it closes, which its owner keeps."""
        return BallotState(
            id=self.id,
            options=self.options,
            votes=dict(self._votes),
            rises=tuple(tuple(rises) for rises in self._rises.values()),
            order=self._order,
            closed=self._closed,
        )

    @classmethod
    def load(cls, state: BallotState, *, closes_s: float, max_voters: int, change: bool) -> Self:
        """The ballot of a stored state. Raises `AudienceStateError`."""
        ballot = cls(state.id, state.options, closes_s=closes_s, max_voters=max_voters, change=change)
        tallies = Counter(state.votes.values())
        expected = [tallies[option.id] for option in state.options]
        if tallies.keys() - ballot._options.keys() or [len(rises) for rises in state.rises] != expected:
            raise AudienceStateError(f"the stored votes of ballot {state.id} do not add up; start without them")
        ballot._votes = dict(state.votes)
        ballot._rises = {option.id: list(rises) for option, rises in zip(state.options, state.rises, strict=True)}
        ballot._order = state.order
        ballot._closed = state.closed
        return ballot
