"""A request under way, and what it becomes for the generator and for the one who asked. Values only."""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from streamgen.packets import ChunkRecord, SetPrompt
from streamgen.protocol import (
    Applied,
    Approve,
    ConfigUpdate,
    Panic,
    PromptAction,
    PromptSet,
    Reject,
    Schedule,
    ServerMessage,
    Stage,
    TimelineLoad,
    TimelineRequest,
    TransitionAction,
)
from streamgen.sides import Target

Request: TypeAlias = PromptSet | ConfigUpdate | Panic | Approve | Reject | TimelineRequest
Worded: TypeAlias = PromptSet | Schedule | TimelineLoad
"""Requests with texts in them, which are to be judged where there is moderation."""
FINAL: Final[frozenset[Stage]] = frozenset({"rejected", "applied", "superseded"})
"""Stages after which nothing more is said about a request."""


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
    assert isinstance(request.message, PromptSet | Schedule)
    asked = request.message.prompt if isinstance(request.message, Schedule) else request.message
    return SetPrompt(
        id=request.channel_id,
        text=asked.shown,
        cut=asked.cut,
        knobs=asked.knobs,
        blend=tuple((part.text, part.weight) for part in asked.blend),
        target=asked.target,
        transition_ms=asked.transition_ms,
        keep=asked.keep,
        recache=asked.recache,
    )


def texts_of(message: Worded) -> tuple[str, ...]:
    """All texts of a request, each once."""
    match message:
        case TimelineLoad():
            actions = (entry.action for entry in message.document.entries)
            told = [each for each in actions if isinstance(each, PromptAction | TransitionAction)]
            return tuple(dict.fromkeys(text for each in told for text, _ in each.weighted))
        case Schedule():
            asked = message.prompt
            return (asked.text,) if asked.text is not None else tuple(part.text for part in asked.blend)
        case PromptSet():
            return (message.text,) if message.text is not None else tuple(part.text for part in message.blend)


def knobs_of(message: Worded) -> tuple[tuple[str, str, str], ...]:
    """Where, which and how the knobs of a request are turned."""
    match message:
        case TimelineLoad():
            return tuple(
                (f"document.entries.{place}.action.knobs.{name}", name, value)
                for place, entry in enumerate(message.document.entries)
                if isinstance(entry.action, PromptAction | TransitionAction)
                for name, value in entry.action.knobs.items()
            )
        case Schedule():
            return tuple((f"prompt.knobs.{name}", name, value) for name, value in message.prompt.knobs.items())
        case PromptSet():
            return tuple((f"knobs.{name}", name, value) for name, value in message.knobs.items())


def recaches_of(message: Worded) -> tuple[tuple[str, Target], ...]:
    """The fields in which a request wants the past to be read again, and what for."""
    match message:
        case TimelineLoad():
            return tuple(
                (f"document.entries.{place}.action.recache", entry.action.target)
                for place, entry in enumerate(message.document.entries)
                if isinstance(entry.action, PromptAction | TransitionAction) and entry.action.recache
            )
        case Schedule():
            return (("prompt.recache", message.prompt.target),) if message.prompt.recache else ()
        case PromptSet():
            return (("recache", message.target),) if message.recache else ()


def applied(request: OpenRequest, record: ChunkRecord) -> Applied:
    """The answer that it is in the media from this chunk on."""
    return Applied(id=request.message.id, chunk=record.place, media_time=record.media_time_s, rtp_video=record.pts)
