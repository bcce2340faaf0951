"""The two unions: all that a client may send, and all that a server does."""

from typing import TypeAlias

from streamgen.protocol.answers import (
    Accepted,
    Applied,
    Buffering,
    Chunk,
    Held,
    Pong,
    Queued,
    Received,
    Rejected,
    State,
    Superseded,
)
from streamgen.protocol.audience import AudienceControl, AudienceOverlay, Propose, Vote
from streamgen.protocol.health import Health
from streamgen.protocol.requests import Approve, ConfigUpdate, Panic, Ping, PromptSet, Reject
from streamgen.protocol.timeline import Prompt, PromptAck, Timeline, TimelineRequest

RequestMessage: TypeAlias = (
    PromptSet | ConfigUpdate | Panic | Approve | Reject | Ping | TimelineRequest | Propose | Vote | AudienceControl
)
"""Those with an `id`, by which their life is followed."""
ClientMessage: TypeAlias = RequestMessage | Prompt

ServerMessage: TypeAlias = (
    State
    | Received
    | Held
    | Accepted
    | Rejected
    | Queued
    | Applied
    | Superseded
    | Buffering
    | Chunk
    | Pong
    | Timeline
    | PromptAck
    | AudienceOverlay
    | Health
)
