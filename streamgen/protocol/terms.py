"""Words, limits and field types that requests and answers share."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

PROTOCOL_VERSION: Final = 1

MAX_FRAME_BYTES: Final = 64 * 1024  # a longer frame is rejected; the connection stays open
MAX_TRANSPORT_BYTES: Final = 1024 * 1024  # a longer frame ends the connection (WebSocket close code 1009)
MAX_ID_CHARS: Final = 64
MAX_KNOBS: Final = 16  # of one prompt
MAX_BLENDED: Final = 8  # texts of one prompt
MAX_WEIGHT: Final = 1000.0
MAX_TRANSITION_MS: Final = 120_000
MAX_KEEP: Final = 64  # chunks
MAX_GUIDANCE: Final = 10.0
MAX_SEED: Final = 2**32 - 1

Reason: TypeAlias = Literal[
    "not_text",  # a binary frame
    "not_json",
    "not_an_object",
    "frame_too_long",
    "unknown_type",
    "unknown_field",
    "missing",
    "wrong_type",
    "empty",
    "too_long",
    "out_of_range",
    "invalid",
    "id_reused",  # the same id with another content
    "forbidden",
    "rate_limited",
    "moderation",  # the text is refused
    "unknown_target",
    "closed",  # that vote is over, paused or has not begun
    "standing",  # the vote stands and cannot be changed here
    "duplicate",  # proposed already
    "limit",  # so many of one person may not wait at a time
    "expired",  # a proposal waited too long
    "too_many",  # the timeline is full
    "no_tempo",  # a beat, and nothing says how fast they go
    "unavailable",
]
Permission: TypeAlias = Literal["watch", "propose", "vote", "prompt", "config", "moderate", "panic", "schedule"]
Stage: TypeAlias = Literal["received", "held", "accepted", "queued", "applied", "superseded", "rejected"]
Status: TypeAlias = Literal["starting", "live", "buffering", "slate"]
PanicAction: TypeAlias = Literal["hold", "slate", "black", "mute", "off"]
Cover: TypeAlias = Literal["none", "hold", "slate", "black"]
Target: TypeAlias = Literal["av", "video", "audio"]


def _printable(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("invalid", "an id holds printable characters only")
    return value


RequestId = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS), AfterValidator(_printable)]
KnobWord = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS)]
Knobs = Annotated[dict[KnobWord, KnobWord], Field(max_length=MAX_KNOBS)]
Guidance = Annotated[float, Field(ge=0.0, le=MAX_GUIDANCE, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


def as_tuple(value: object) -> object:
    """JSON has lists only, and strict checking takes no list for a tuple."""
    return tuple(value) if isinstance(value, list) else value


class FromClient(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FromServer(BaseModel):
    """What a server sends."""

    model_config = ConfigDict(frozen=True, extra="ignore")
