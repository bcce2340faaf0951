"""What an audience says and is told: proposals, votes, how an operator leads them, and the vote as it stands.

Requests are checked strictly and answers are read leniently, as everywhere in this protocol.
"""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from streamgen.prompt_text import PromptText
from streamgen.protocol.terms import FromClient, FromServer, RequestId

MAX_PHASE_S: Final = 86_400.0
MAX_CREDIT_CHARS: Final = 40
MAX_STAGE_CHARS: Final = 32

ControlAction: TypeAlias = Literal["start", "stop", "pause", "resume", "skip", "extend"]
AudienceMode: TypeAlias = Literal["single", "cascade", "continuous"]
AudiencePhase: TypeAlias = Literal["idle", "collect", "vote", "result"]
DecidedBy: TypeAlias = Literal["votes", "earliest", "random", "blend", "keep", "next_proposal"]

StageWord = Annotated[str, Field(min_length=1, max_length=MAX_STAGE_CHARS)]


class Propose(FromClient):
    """Propose a text that the audience can vote for.

    `stage` says for which vote of a cascade; without it, for the one under way. `name` is how the proposer wants to be
    credited.
    """

    type: Literal["propose"] = "propose"
    id: RequestId
    text: PromptText
    stage: StageWord | None = None
    name: Annotated[str, Field(max_length=MAX_CREDIT_CHARS)] = ""


class Vote(FromClient):
    """Vote for one of `audience.options`, in the place of one's vote before.

    `ballot` is the one that the voter saw (`audience.ballot`), so that a late vote does not count for the next one;
    without it, whatever is voted on when the vote arrives.
    """

    type: Literal["vote"] = "vote"
    id: RequestId
    option: RequestId
    ballot: RequestId | None = None


class AudienceControl(FromClient):
    """Lead the vote.

    `skip` ends the phase now, `extend` makes it `seconds` longer, `stop` breaks off without a result.
    """

    type: Literal["audience.control"] = "audience.control"
    id: RequestId
    action: ControlAction
    seconds: Annotated[float, Field(gt=0.0, le=MAX_PHASE_S, allow_inf_nan=False)] | None = None


class AudienceOption(FromServer):
    """One option. `share` is its part of all votes, 0 to 1; while proposals are collected `votes` are supporters."""

    id: str
    text: str
    votes: int = 0
    share: float = 0.0
    names: tuple[str, ...] = ()
    playing: float = 0.0  # its weight in the blend that plays (mode continuous)


class QueuedProposal(FromServer):
    """A proposal that waits, for those who decide about it. `category`: what a held one may be about."""

    id: str
    stage: str
    text: str
    status: Literal["held", "open"]
    supporters: int = 1
    names: tuple[str, ...] = ()
    listed: bool = False  # on the ballot that runs
    category: str | None = None


class AudienceOverlay(FromServer):
    """The vote as it stands. Sent on joining and after changes, a few times a second at most.

    A higher `revision` replaces a lower one. Seconds that pass are no change: count `remaining_s` down.
    """

    type: Literal["audience"] = "audience"
    revision: int
    mode: AudienceMode
    phase: AudiencePhase = "idle"
    paused: bool = False
    round: str = ""
    ballot: str | None = None  # what a vote names; null while there is nothing to vote on
    stage: str = ""  # under way
    stages: tuple[str, ...] = ()  # of one round
    options: tuple[AudienceOption, ...] = ()
    voters: int = 0
    proposals: int = 0  # that are open and wait for a ballot
    remaining_s: float | None = None
    winners: tuple[str, ...] = ()  # ids of options, in the phase `result`
    decided_by: DecidedBy | None = None
    mine: str | None = None  # on joining only: the option for which the reader's vote stands
    queue: tuple[QueuedProposal, ...] = ()  # only for those who may decide about them
