"""What comes out of the audience's core: answers to people, prompts that were chosen, an overlay to publish."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from streamgen.audience.overlay import Overlay, OverlayOption, Rule
from streamgen.errors import StreamgenError

ProposalStatus: TypeAlias = Literal["held", "open", "rejected", "chosen", "expired", "withdrawn"]
Refusal: TypeAlias = Literal[
    "closed",  # a late vote, or one for another ballot than the one that runs
    "decided",  # the proposal has reached a final status
    "duplicate",
    "empty",
    "full",
    "id_reused",  # the same id with another content
    "limit",  # so many at a time are not allowed for one voter
    "on_ballot",
    "out_of_range",
    "paused",
    "standing",  # the vote stands; changing it is not allowed
    "stopped",
    "too_long",
    "unknown_option",
    "unknown_proposal",
    "unknown_stage",
]


class AudienceError(StreamgenError):
    """Root of what the audience's core raises."""


class AudienceStateError(AudienceError):
    """A stored state cannot be continued."""


class RefusedError(AudienceError):
    """A request has no effect. `Audience` turns it into an answer."""

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.reason: Refusal = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person is told about one of their requests.

    A vote is `counted`, an operator's command is `done`; a proposal goes through its statuses, and each is told.
    `refused` had no effect and is not remembered: what forbids it may be gone when it comes again.
    """

    to: str
    id: str
    status: ProposalStatus | Literal["counted", "done", "refused"]
    reason: Refusal | None = None
    message: str = ""
    proposal: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Play this: texts with their weights, which sum to 1."""

    prompts: tuple[tuple[str, float], ...]
    round_id: str
    votes: int
    credits: tuple[str, ...] = ()  # names of those who proposed it, as far as they gave one


@dataclass(frozen=True, slots=True)
class Tally:
    """A vote that was counted out, whatever came of it; in the mode `continuous`, a weighing that changed something."""

    ballot: str
    options: tuple[OverlayOption, ...]
    winners: tuple[str, ...]
    by: Rule


@dataclass(frozen=True, slots=True)
class Effects:
    """What the caller has to do: send the answers, play what was chosen, note the tallies, publish the overlay."""

    answers: tuple[Answer, ...] = ()
    chosen: tuple[Chosen, ...] = ()
    tallies: tuple[Tally, ...] = ()
    changed: bool = False  # something that the overlay shows
    queued: bool = False  # something that the operator's list of proposals shows
    overlay: Overlay | None = None  # set by `Audience` only, when it is time to publish one

    def __add__(self, other: "Effects") -> "Effects":
        return Effects(
            answers=self.answers + other.answers,
            chosen=self.chosen + other.chosen,
            tallies=self.tallies + other.tallies,
            changed=self.changed or other.changed,
            queued=self.queued or other.queued,
            overlay=other.overlay if other.overlay is not None else self.overlay,
        )
