"""The steering protocol: every message that travels between a client and a channel, typed and versioned.

One JSON object per text frame; `type` says which message it is. A client gives each request an `id` of its own,
and the server answers with that `id` while the request walks its life:

    received -> held -> accepted | rejected -> queued -> applied | superseded

Nothing is held where nothing is moderated. *Applied* means that the first packet of a chunk made with it has left for
the viewers. The whole protocol is described in `docs/protocol.md`.

This package imports pydantic and the standard library only, because clients import it too.
"""

from streamgen.prompt_text import MAX_TEXT_CHARS, PromptText, normalise_text
from streamgen.protocol.answers import (
    Accepted,
    Applied,
    Buffering,
    Chunk,
    Config,
    Held,
    HeldPrompt,
    Pending,
    Pong,
    Queued,
    Received,
    Rejected,
    ServerMessage,
    State,
    Superseded,
)
from streamgen.protocol.health import Health, PromptTimes, QueueDepths
from streamgen.protocol.reading import CLIENT_TYPES, ProtocolError, encode, parse_client, parse_server
from streamgen.protocol.requests import Approve, ClientMessage, ConfigUpdate, Panic, Ping, PromptSet, Reject, Weighted
from streamgen.protocol.terms import (
    MAX_BLENDED,
    MAX_FRAME_BYTES,
    MAX_GUIDANCE,
    MAX_ID_CHARS,
    MAX_KEEP,
    MAX_KNOBS,
    MAX_SEED,
    MAX_TRANSITION_MS,
    MAX_TRANSPORT_BYTES,
    MAX_WEIGHT,
    PROTOCOL_VERSION,
    Cover,
    Guidance,
    Knobs,
    KnobWord,
    PanicAction,
    Permission,
    Reason,
    RequestId,
    Seed,
    Stage,
    Status,
    Target,
)

__all__ = [
    "CLIENT_TYPES",
    "MAX_BLENDED",
    "MAX_FRAME_BYTES",
    "MAX_GUIDANCE",
    "MAX_ID_CHARS",
    "MAX_KEEP",
    "MAX_KNOBS",
    "MAX_SEED",
    "MAX_TEXT_CHARS",
    "MAX_TRANSITION_MS",
    "MAX_TRANSPORT_BYTES",
    "MAX_WEIGHT",
    "PROTOCOL_VERSION",
    "Accepted",
    "Applied",
    "Approve",
    "Buffering",
    "Chunk",
    "ClientMessage",
    "Config",
    "ConfigUpdate",
    "Cover",
    "Guidance",
    "Health",
    "Held",
    "HeldPrompt",
    "KnobWord",
    "Knobs",
    "Panic",
    "PanicAction",
    "Pending",
    "Permission",
    "Ping",
    "Pong",
    "PromptSet",
    "PromptText",
    "PromptTimes",
    "ProtocolError",
    "QueueDepths",
    "Queued",
    "Reason",
    "Received",
    "Reject",
    "Rejected",
    "RequestId",
    "Seed",
    "ServerMessage",
    "Stage",
    "State",
    "Status",
    "Superseded",
    "Target",
    "Weighted",
    "encode",
    "normalise_text",
    "parse_client",
    "parse_server",
]
