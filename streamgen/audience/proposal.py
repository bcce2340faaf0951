"""One proposal: as it is kept, as others see it, and as it is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from pydantic import BaseModel, ConfigDict

from streamgen.audience.effects import ProposalStatus
from streamgen.audience.texts import fold


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal as others see it. `made_s` is on the caller's clock."""

    id: str
    stage: str
    text: str
    status: ProposalStatus
    supporters: int
    names: tuple[str, ...]
    made_s: float
    listed: bool  # on the ballot that runs
    reason: str
    category: str | None = None  # what a held one may be about


@dataclass(frozen=True, slots=True)
class Request:
    """What a voter sent, to know it again."""

    text: str  # as it was sent, normalised
    name: str
    stage: str
    proposal: str


class SupporterState(BaseModel):
    """One who proposed it, as stored: the request as it was sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    voter: str
    id: str
    text: str
    name: str


class ProposalState(BaseModel):
    """A proposal as it is stored. `age_s` is how long ago it was made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    stage: str
    text: str
    status: ProposalStatus
    age_s: float
    reason: str
    listed: bool
    ballots: int
    by_operator: bool
    supporters: tuple[SupporterState, ...]
    names: tuple[str, ...]
    category: str | None = None


class ProposalsState(BaseModel):
    """The queue as it is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    made: int
    active: tuple[ProposalState, ...]
    finished: tuple[ProposalState, ...]


@dataclass(slots=True)
class Entry:
    """A proposal as the queue keeps it."""

    id: str
    stage: str
    text: str
    status: ProposalStatus
    made_s: float
    reason: str = ""
    listed: bool = False
    ballots: int = 0  # how many it has been on
    by_operator: bool = False  # who rejected it
    category: str | None = None  # what it may be about, while it is held
    supporters: dict[str, str] = field(default_factory=dict)  # voter -> id of the request, the first one first
    names: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        """What makes two proposals the same."""
        return self.stage, fold(self.text)

    @property
    def waits(self) -> bool:
        """Whether it could come on a ballot."""
        return self.status == "open" and not self.listed

    def view(self) -> Proposal:
        """As others see it."""
        return Proposal(
            self.id,
            self.stage,
            self.text,
            self.status,
            len(self.supporters),
            tuple(self.names),
            self.made_s,
            self.listed,
            self.reason,
            self.category,
        )

    def stored(self, requests: Mapping[tuple[str, str], Request], now_s: float) -> ProposalState:
        """As it is stored, with the requests that made it."""
        supporters = []
        for voter, id in self.supporters.items():
            sent = requests[voter, id]
            supporters.append(SupporterState(voter=voter, id=id, text=sent.text, name=sent.name))
        return ProposalState(
            id=self.id,
            stage=self.stage,
            text=self.text,
            status=self.status,
            age_s=now_s - self.made_s,
            reason=self.reason,
            listed=self.listed,
            ballots=self.ballots,
            by_operator=self.by_operator,
            supporters=tuple(supporters),
            names=tuple(self.names),
            category=self.category,
        )

    @classmethod
    def restored(cls, state: ProposalState, now_s: float) -> Self:
        """From what was stored, without its supporters."""
        return cls(
            id=state.id,
            stage=state.stage,
            text=state.text,
            status=state.status,
            made_s=now_s - state.age_s,
            reason=state.reason,
            listed=state.listed,
            ballots=state.ballots,
            by_operator=state.by_operator,
            names=list(state.names),
            category=state.category,
        )
