"""What the audience's core says, in the words of the protocol. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from streamgen.audience.effects import Answer, Chosen, Refusal, Tally
from streamgen.audience.overlay import Overlay
from streamgen.audience.proposal import Proposal
from streamgen.log.contents import Voted
from streamgen.protocol import (
    Accepted,
    AudienceOption,
    AudienceOverlay,
    Held,
    PromptSet,
    QueuedProposal,
    Reason,
    Rejected,
    ServerMessage,
    Weighted,
)

MAX_QUEUE_SHOWN: Final = 64  # proposals in `audience.queue`: the held ones first, then the oldest
HELD: Final = "This waits for an operator, who looks at it first."
REJECTED: Final = "an operator turned this proposal away"
EXPIRED: Final = "it waited too long, or lost its vote; propose it again, or something else"

# What is refused, and which field is wrong.
_REASON_OF: Final[Mapping[Refusal, tuple[Reason, str | None]]] = {
    "closed": ("closed", "ballot"),
    "decided": ("unknown_target", "target"),
    "duplicate": ("duplicate", "text"),
    "empty": ("empty", "text"),
    "full": ("unavailable", None),
    "id_reused": ("id_reused", "id"),
    "limit": ("limit", None),
    "on_ballot": ("closed", None),
    "out_of_range": ("out_of_range", "seconds"),
    "paused": ("closed", None),
    "standing": ("standing", "option"),
    "stopped": ("closed", None),
    "too_long": ("too_long", "text"),
    "unknown_option": ("unknown_target", "option"),
    "unknown_proposal": ("unknown_target", "target"),
    "unknown_stage": ("invalid", "stage"),
}


def refused(answer: Answer) -> Rejected:
    """The answer to a request without effect."""
    assert answer.reason is not None
    reason, field = _REASON_OF[answer.reason]
    return Rejected(id=answer.id, reason=reason, field=field, message=answer.message)


def of_proposal(answer: Answer) -> ServerMessage | None:
    """What the one who proposed is told of a status; None for what they are told by what follows."""
    match answer.status:
        case "held":
            return Held(id=answer.id, message=answer.message or HELD)
        case "open":
            return Accepted(id=answer.id)
        case "rejected":
            return Rejected(id=answer.id, reason="moderation", field="text", message=answer.message or REJECTED)
        case "expired":
            return Rejected(id=answer.id, reason="expired", message=EXPIRED)
        case _:
            return None


def overlay_message(overlay: Overlay, queue: Sequence[Proposal], mine: str | None = None) -> AudienceOverlay:
    """The vote as it stands, with the operator's list."""
    return AudienceOverlay(
        revision=overlay.revision,
        mode=overlay.mode,
        phase=overlay.phase,
        paused=overlay.paused,
        round=overlay.round_id,
        ballot=overlay.ballot,
        stage=overlay.stage,
        stages=overlay.stages,
        options=tuple(
            AudienceOption(
                id=each.id,
                text=each.text,
                votes=each.votes,
                share=each.share,
                names=each.names,
                playing=each.playing,
            )
            for each in overlay.options
        ),
        voters=overlay.voters,
        proposals=overlay.proposals,
        remaining_s=None if overlay.seconds_left is None else round(overlay.seconds_left, 2),
        winners=overlay.winners,
        decided_by=overlay.decided_by,
        mine=mine,
        queue=tuple(_queued(each) for each in queue[:MAX_QUEUE_SHOWN]),
    )


def _queued(proposal: Proposal) -> QueuedProposal:
    return QueuedProposal(
        id=proposal.id,
        stage=proposal.stage,
        text=proposal.text,
        status="held" if proposal.status == "held" else "open",
        supporters=proposal.supporters,
        names=proposal.names,
        listed=proposal.listed,
        category=proposal.category,
    )


def prompt(chosen: Chosen, id: str, transition_s: float) -> PromptSet:
    """What was chosen, as a prompt of the channel."""
    transition_ms = round(1000 * transition_s)
    if len(chosen.prompts) == 1:
        return PromptSet(id=id, text=chosen.prompts[0][0], transition_ms=transition_ms)
    blend = tuple(Weighted(text=text, weight=weight) for text, weight in chosen.prompts)
    return PromptSet(id=id, blend=blend, transition_ms=transition_ms)


def voted(tally: Tally) -> Voted:
    """What the log says of a vote that was counted out."""
    return Voted(
        id=tally.ballot,
        counts={standing.id: standing.votes for standing in tally.options},
        texts={standing.id: standing.text for standing in tally.options},
        winner=tally.winners[0] if tally.winners else None,
        winners=tally.winners,
        decided_by=tally.by,
    )
