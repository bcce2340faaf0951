"""The steering protocol: every message that travels between a client and a channel, typed and versioned.

One JSON object per text frame; `type` says which message it is. A client gives each request an `id` of its own,
and the server answers with that `id` while the request walks its life:

    received -> held -> accepted | rejected -> queued -> applied | superseded

Nothing is held where nothing is moderated. *Applied* means that the first packet of a chunk made with it has left for
the viewers. The whole protocol is described in `docs/protocol.md`.

This module imports pydantic and the standard library only, because clients import it too. What a client sends is
checked strictly (an unknown field is an error that names the field); what a server sends is read leniently (an
unknown field is ignored), so an old client understands a newer server.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError, from_json

from streamgen.prompt_text import MAX_TEXT_CHARS as MAX_TEXT_CHARS
from streamgen.prompt_text import PromptText as PromptText
from streamgen.prompt_text import normalise_text as normalise_text

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
    "unavailable",
]
Permission: TypeAlias = Literal["watch", "propose", "vote", "prompt", "config", "moderate", "panic", "schedule"]
Stage: TypeAlias = Literal["received", "held", "accepted", "queued", "applied", "superseded", "rejected"]
Status: TypeAlias = Literal["starting", "live", "buffering", "slate"]
PanicAction: TypeAlias = Literal["hold", "slate", "black", "mute", "off"]
Cover: TypeAlias = Literal["none", "hold", "slate", "black"]
Target: TypeAlias = Literal["av", "video", "audio"]


class ProtocolError(ValueError):
    """A frame that is not a valid message.

    `reason` is for programs, `message` for people, `field` names the offending field ("frame" when the frame as a
    whole is at fault) and `id` is the request's id when one could still be read.
    """

    def __init__(self, field: str, reason: Reason, message: str, *, id: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.reason: Reason = reason
        self.message = message
        self.id = id

    def rejected(self) -> "Rejected":
        """The answer that tells the client."""
        return Rejected(id=self.id, reason=self.reason, field=self.field, message=self.message)


def _printable(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("invalid", "an id holds printable characters only")
    return value


RequestId = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS), AfterValidator(_printable)]
KnobWord = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS)]
Knobs = Annotated[dict[KnobWord, KnobWord], Field(max_length=MAX_KNOBS)]
Guidance = Annotated[float, Field(ge=0.0, le=MAX_GUIDANCE, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


def _as_tuple(value: object) -> object:
    """JSON has lists only, and strict checking takes no list for a tuple."""
    return tuple(value) if isinstance(value, list) else value


class _FromClient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _FromServer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


# Client to server ---------------------------------------------------------------------------------------------------


class Weighted(_FromClient):
    """One text of a blend; weights are relative to one another."""

    text: PromptText
    weight: Annotated[float, Field(gt=0.0, le=MAX_WEIGHT, allow_inf_nan=False)] = 1.0


class PromptSet(_FromClient):
    """Play `text`, or the texts of `blend` together, from the next chunk that can still take it.

    `cut` also drops what the model remembers, `keep` all of it but the last so many chunks. `knobs` turn what the
    channel offers in `state.choices`, for as long as this prompt plays. `target` says whether it is for the picture,
    the sound or both. `transition_ms` is how long the way from what plays takes.
    """

    type: Literal["prompt.set"] = "prompt.set"
    id: RequestId
    text: PromptText | None = None
    blend: Annotated[tuple[Weighted, ...], Field(max_length=MAX_BLENDED), BeforeValidator(_as_tuple)] = ()
    cut: bool = False
    keep: Annotated[int, Field(ge=0, le=MAX_KEEP)] | None = None
    knobs: Knobs = {}
    target: Target = "av"
    transition_ms: Annotated[int, Field(ge=0, le=MAX_TRANSITION_MS)] = 0

    @property
    def shown(self) -> str:
        """The text, or the texts of the blend with their shares, to be read."""
        if self.text is not None:
            return self.text
        if len(self.blend) == 1:
            return self.blend[0].text
        total = sum(part.weight for part in self.blend)
        words = " + ".join(f"{100 * part.weight / total:.0f} % {part.text}" for part in self.blend)
        return words if len(words) <= MAX_TEXT_CHARS else f"{words[: MAX_TEXT_CHARS - 1]}…"


class ConfigUpdate(_FromClient):
    """Change the settings that are given and leave the others as they are."""

    type: Literal["config.update"] = "config.update"
    id: RequestId
    guidance: Guidance | None = None
    seed: Seed | None = None


class Panic(_FromClient):
    """Cover the programme at once, whatever the generator does.

    `hold` keeps the last picture, in silence, `slate` and `black` show those; each replaces the one before. `mute`
    takes the sound away, whatever is shown. `off` takes all of it back.
    """

    type: Literal["panic"] = "panic"
    id: RequestId
    action: PanicAction


class Approve(_FromClient):
    """Let a prompt through that is held (`state.held`)."""

    type: Literal["approve"] = "approve"
    id: RequestId
    target: RequestId


class Reject(_FromClient):
    """Refuse a prompt that is held; `message` is told to the one who asked."""

    type: Literal["reject"] = "reject"
    id: RequestId
    target: RequestId
    message: Annotated[str, Field(max_length=MAX_TEXT_CHARS)] = ""


class Ping(_FromClient):
    """Ask for a `pong`; `t` is the client's own clock and comes back unchanged."""

    type: Literal["ping"] = "ping"
    id: RequestId
    t: Annotated[float, Field(allow_inf_nan=False)]


ClientMessage: TypeAlias = PromptSet | ConfigUpdate | Panic | Approve | Reject | Ping

# Server to client ---------------------------------------------------------------------------------------------------


class Config(_FromServer):
    """The settings in force: those of the last request that was accepted."""

    guidance: float | None = None
    seed: int | None = None


class Pending(_FromServer):
    """A prompt that is on its way into the media."""

    id: str
    text: str
    stage: Stage
    eta_ms: int | None = None


class HeldPrompt(_FromServer):
    """A prompt that waits for an operator. `category` is what it may be about, null where everything is held."""

    id: str
    text: str
    category: str | None = None


class State(_FromServer):
    """The whole situation: sent on joining and after each change. A higher `revision` replaces a lower one."""

    type: Literal["state"] = "state"
    version: int = PROTOCOL_VERSION
    revision: int
    channel: str
    status: Status
    prompt: str
    prompt_id: str | None = None
    sound: str | None = None  # what the sound was told where that is not `prompt`
    pending: tuple[Pending, ...] = ()
    held: tuple[HeldPrompt, ...] = ()  # only for those who may decide about them
    knobs: dict[str, str] = {}  # of the prompt that plays
    choices: dict[str, tuple[str, ...]] = {}  # knobs that a prompt can turn, and to what
    config: Config = Config()
    cover: Cover = "none"  # what is shown in the programme's place
    muted: bool = False
    media_time: float = 0.0  # seconds: of the first picture of `chunk`
    chunk: int | None = None  # the chunk that is playing, None before the first
    viewers: int = 0
    can: tuple[Permission, ...] = ()


class Received(_FromServer):
    """The request was read and understood."""

    type: Literal["received"] = "received"
    id: str


class Held(_FromServer):
    """An operator has to look at the request first; `message` says so in words."""

    type: Literal["held"] = "held"
    id: str
    message: str


class Accepted(_FromServer):
    """The request is allowed and is on its way to the generator."""

    type: Literal["accepted"] = "accepted"
    id: str


class Rejected(_FromServer):
    """The request has no effect. `field` names what is wrong, `message` says what to do instead."""

    type: Literal["rejected"] = "rejected"
    id: str | None = None
    reason: Reason
    field: str | None = None
    message: str
    retry_after_s: float | None = None


class Queued(_FromServer):
    """The generator holds the prompt; it is expected in the media `eta_ms` from now."""

    type: Literal["queued"] = "queued"
    id: str
    eta_ms: int


class Applied(_FromServer):
    """The first chunk made with it starts now; `media_time` (seconds) is that of its first picture.

    `rtp_video` is the pts of that picture in 90 kHz ticks: an RTP timestamp less the viewer's own offset. For a `panic`
    it is the media time that leaves now, and `chunk` the one that is covered, None before the first.
    """

    type: Literal["applied"] = "applied"
    id: str
    chunk: int | None
    media_time: float
    rtp_video: int | None = None


class Superseded(_FromServer):
    """A later request (`by`) took its place before it could be applied."""

    type: Literal["superseded"] = "superseded"
    id: str
    by: str


class Buffering(_FromServer):
    """The media stands still (`active`) or goes on again, and why."""

    type: Literal["buffering"] = "buffering"
    active: bool
    reason: Literal["underrun", "starting", "restarting"] | None = None
    media_time: float = 0.0


class Chunk(_FromServer):
    """A chunk begins to play. `rtp_video` is the pts of its first picture in 90 kHz ticks."""

    type: Literal["chunk"] = "chunk"
    index: int
    media_time: float
    prompt: str
    prompt_id: str | None = None
    rtp_video: int


class Pong(_FromServer):
    """The answer to `ping`: the client's own `t`, and the media time (seconds) that leaves the server now."""

    type: Literal["pong"] = "pong"
    id: str
    t: float
    server_media_time: float


ServerMessage: TypeAlias = (
    State | Received | Held | Accepted | Rejected | Queued | Applied | Superseded | Buffering | Chunk | Pong
)

_CLIENT: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])
_SERVER: TypeAdapter[ServerMessage] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])

CLIENT_TYPES: Final = ("prompt.set", "config.update", "panic", "approve", "reject", "ping")

# pydantic's error types, in this protocol's words. A custom error above already carries one of ours.
_REASONS: Final[dict[str, Reason]] = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "union_tag_invalid": "unknown_type",
    "union_tag_not_found": "missing",
    "string_too_short": "empty",
    "string_too_long": "too_long",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "finite_number": "out_of_range",
    "greater_than": "out_of_range",
    "literal_error": "invalid",
    "empty": "empty",
    "too_long": "too_long",
    "invalid": "invalid",
}


def encode(message: ClientMessage | ServerMessage) -> str:
    """The JSON text of a message, one line."""
    return message.model_dump_json()


def parse_client(frame: str | bytes) -> ClientMessage:
    """Read what a client sent.

    Raises `ProtocolError`, whose `rejected()` is the answer, for anything that is not a valid message: binary, not
    JSON, no object, an unknown type or field, a wrong type or value, a text or frame that is too long.
    """
    if isinstance(frame, bytes):
        raise ProtocolError("frame", "not_text", "this is a binary frame; send the JSON as a text frame")
    document = _read_object(frame)
    request_id = _readable_id(document)
    try:
        message = _CLIENT.validate_python(document)
    except ValidationError as error:
        raise _translate(error.errors(include_url=False)[0], document, request_id) from None
    # Only after the fields: an over-long prompt is then told so by name, whatever the length of its frame.
    if len(frame) > MAX_FRAME_BYTES or len(frame.encode()) > MAX_FRAME_BYTES:
        raise _frame_too_long(request_id)
    if isinstance(message, ConfigUpdate) and message.guidance is None and message.seed is None:
        raise ProtocolError("guidance", "missing", "give guidance, seed or both", id=message.id)
    if isinstance(message, PromptSet):
        _check_prompt(message)
    return message


def _check_prompt(message: PromptSet) -> None:
    """What cannot be said field by field."""
    if message.text is None and not message.blend:
        raise ProtocolError("text", "missing", "give a text, or a blend of several", id=message.id)
    if message.text is not None and message.blend:
        raise ProtocolError("blend", "invalid", "give a text or a blend, not both", id=message.id)
    if message.cut and message.keep is not None:
        raise ProtocolError("keep", "invalid", "cut drops everything; leave out cut or keep", id=message.id)
    if message.cut and message.transition_ms > 0:
        raise ProtocolError("transition_ms", "invalid", "a cut has no way; leave out one of the two", id=message.id)


def parse_server(frame: str | bytes) -> ServerMessage:
    """Read what a server sent. Raises `ProtocolError`; a client should skip an `unknown_type` and go on."""
    text = frame.decode("utf-8", "replace") if isinstance(frame, bytes) else frame
    document = _read_object(text)
    try:
        return _SERVER.validate_python(document)
    except ValidationError as error:
        raise _translate(error.errors(include_url=False)[0], document, _readable_id(document)) from None


def _read_object(frame: str) -> dict[str, Any]:
    if len(frame) > MAX_TRANSPORT_BYTES:
        raise _frame_too_long(None)
    try:
        # surrogatepass: a lone surrogate must reach the JSON parser's own error, not raise here.
        document: object = from_json(frame.encode("utf-8", "surrogatepass"), allow_inf_nan=False)
    except ValueError as error:
        raise ProtocolError("frame", "not_json", f"this is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ProtocolError("frame", "not_an_object", 'send one JSON object, such as {"type": "ping", ...}')
    return cast(dict[str, Any], document)


def _readable_id(document: dict[str, Any]) -> str | None:
    value = document.get("id")
    if isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable():
        return value
    return None


def _frame_too_long(request_id: str | None) -> ProtocolError:
    return ProtocolError("frame", "frame_too_long", f"a frame holds at most {MAX_FRAME_BYTES} bytes", id=request_id)


def _translate(details: ErrorDetails, document: dict[str, Any], request_id: str | None) -> ProtocolError:
    """Turn pydantic's first error into ours: one field, one reason, one sentence."""
    kind = details["type"]
    reason = _REASONS.get(kind, "wrong_type")
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        known = ", ".join(CLIENT_TYPES)
        if reason == "missing":
            message = f"the field type is missing; known types: {known}"
        else:
            message = f"unknown type {_shorten(document.get('type'))}; known types: {known}"
        return ProtocolError("type", reason, message, id=request_id)
    # The first step of the location is the union's tag, not a field.
    field = ".".join(str(step) for step in details["loc"][1:]) or "frame"
    field = field if len(field) <= MAX_ID_CHARS else f"{field[:MAX_ID_CHARS]}…"
    if reason == "missing":
        message = f"the field {field} is missing"
    elif reason == "unknown_field":
        message = f"there is no field {field} in {document.get('type')}; leave it out"
    else:
        sentence = details["msg"]
        message = f"{field}: {sentence[0].lower()}{sentence[1:]}"
    return ProtocolError(field, reason, message, id=request_id)


def _shorten(value: object, limit: int = 40) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
