"""A request under way, and what it becomes for the generator and for the one who asked. Values only."""

from dataclasses import dataclass, field
from typing import TypeAlias

from streamgen.packets import ChunkRecord, SetPrompt
from streamgen.protocol import Applied, Approve, ConfigUpdate, Panic, PromptSet, Reject, ServerMessage, Stage

Request: TypeAlias = PromptSet | ConfigUpdate | Panic | Approve | Reject


@dataclass(slots=True)
class OpenRequest:
    """A request under way, or finished and remembered."""

    client: str
    message: Request
    channel_id: str  # unique on the channel, where `message.id` is unique only for its client
    order: int  # rises with every request of the channel
    stage: Stage
    allowed: bool = False  # it was accepted at some time, so that the generator may have been told
    eta_ms: int | None = None
    category: str | None = None  # of a verdict that holds it
    # What is still to be seen in a chunk: of a config.update, its fields that no later one has overridden.
    unseen: set[str] = field(default_factory=set)
    answers: list[ServerMessage] = field(default_factory=list)


def set_prompt(request: OpenRequest) -> SetPrompt:
    """What the generator is told of a prompt."""
    assert isinstance(request.message, PromptSet)
    asked = request.message
    return SetPrompt(
        id=request.channel_id,
        text=asked.shown,
        cut=asked.cut,
        knobs=asked.knobs,
        blend=tuple((part.text, part.weight) for part in asked.blend),
        target=asked.target,
        transition_ms=asked.transition_ms,
        keep=asked.keep,
    )


def applied(request: OpenRequest, record: ChunkRecord) -> Applied:
    """The answer that it is in the media from this chunk on."""
    return Applied(id=request.message.id, chunk=record.chunk, media_time=record.media_time_s, rtp_video=record.pts)
