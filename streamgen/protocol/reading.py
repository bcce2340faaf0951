"""Frames to messages and back, and what is said about a frame that is none."""

import contextlib
from typing import Annotated, Any, Final, cast, get_args

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from streamgen.protocol.answers import Rejected
from streamgen.protocol.audience import AudienceControl
from streamgen.protocol.messages import ClientMessage, ServerMessage
from streamgen.protocol.requests import ConfigUpdate, PromptSet
from streamgen.protocol.terms import MAX_FRAME_BYTES, MAX_ID_CHARS, MAX_TRANSPORT_BYTES, Reason
from streamgen.protocol.timeline import PromptAck, Schedule, ScheduledPrompt, SetTempo, TimelineLoad


class ProtocolError(ValueError):
    """A frame that is not a valid message.

    `reason` is for programs, `message` for people, `field` names the offending field ("frame" when the frame as a
    whole is at fault) and `id` is the request's id when one could still be read. `thin`: it was a `prompt`.
    """

    def __init__(self, field: str, reason: Reason, message: str, *, id: str | None = None, thin: bool = False) -> None:
        super().__init__(message)
        self.field = field
        self.reason: Reason = reason
        self.message = message
        self.id = id
        self.thin = thin

    def rejected(self) -> "Rejected":
        """The answer that tells the client."""
        return Rejected(id=self.id, reason=self.reason, field=self.field, message=self.message)

    def answer(self, retry_after_s: float | None = None) -> Rejected | PromptAck:
        """`rejected`, or what takes its place for a `prompt`."""
        if self.thin:
            return PromptAck(success=False, error=self.message, retry_after_s=retry_after_s)
        return self.rejected().model_copy(update={"retry_after_s": retry_after_s})


# A whole timeline is longer than any other request.
_LIMIT_OF: Final[dict[type, int]] = {TimelineLoad: MAX_TRANSPORT_BYTES}

_CLIENT: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])
_SERVER: TypeAdapter[ServerMessage] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])

CLIENT_TYPES: Final = tuple(str(model.model_fields["type"].default) for model in get_args(ClientMessage))

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


def parse_client(frame: str | bytes, *, whole_timelines: bool = True) -> ClientMessage:
    """Read what a client sent.

    Without `whole_timelines` only requests of the usual length are read: a timeline of a thousand texts costs time.

    Raises `ProtocolError`, whose `rejected()` is the answer, for anything that is not a valid message: binary, not
    JSON, no object, an unknown type or field, a wrong type or value, a text or frame that is too long.
    """
    if isinstance(frame, bytes):
        raise ProtocolError("frame", "not_text", "this is a binary frame; send the JSON as a text frame")
    document = _read_object(frame)
    request_id = _readable_id(document)
    if not whole_timelines and len(frame) > MAX_FRAME_BYTES and document.get("type") == "timeline.load":
        raise _frame_too_long(request_id)
    try:
        message = _CLIENT.validate_python(document)
    except ValidationError as error:
        raise _translate(error.errors(include_url=False)[0], document, request_id) from None
    # Only after the fields: an over-long prompt is then told so by name, whatever the length of its frame.
    limit = _LIMIT_OF.get(type(message), MAX_FRAME_BYTES)
    if len(frame) > limit or len(frame.encode()) > limit:
        raise _frame_too_long(request_id)
    if isinstance(message, ConfigUpdate) and message.guidance is None and message.seed is None:
        raise ProtocolError("guidance", "missing", "give guidance, seed or both", id=message.id)
    if isinstance(message, AudienceControl) and (message.seconds is None) != (message.action != "extend"):
        if message.seconds is None:
            raise ProtocolError("seconds", "missing", "say by how many seconds to extend", id=message.id)
        raise ProtocolError("seconds", "invalid", f"{message.action} takes no seconds; leave them out", id=message.id)
    if isinstance(message, PromptSet):
        _check_prompt(message, message.id)
    if isinstance(message, Schedule):
        _check_prompt(message.prompt, message.id, "prompt.")
        every = None if message.loop is None else message.loop.every
        if message.at.chunk is not None and every is not None and every != int(every):
            told = "give a whole number where the time is a chunk"
            raise ProtocolError("loop.every", "invalid", told, id=message.id)
    if isinstance(message, SetTempo) and message.phase is not None and message.beat is not None:
        raise ProtocolError("beat", "invalid", "give either phase or beat", id=message.id)
    return message


def refuse_unread(frame: str | bytes, reason: Reason, message: str) -> ProtocolError:
    """The answer to a frame that is refused whatever it says: of a short one the id is read, and nothing else."""
    document: dict[str, Any] = {}
    if isinstance(frame, str) and len(frame) <= MAX_FRAME_BYTES:
        with contextlib.suppress(ProtocolError):
            document = _read_object(frame)
    thin = document.get("type") == "prompt"
    return ProtocolError("frame", reason, message, id=None if thin else _readable_id(document), thin=thin)


def _check_prompt(asked: PromptSet | ScheduledPrompt, id: str, place: str = "") -> None:
    """What cannot be said field by field."""
    if asked.text is None and not asked.blend:
        raise ProtocolError(f"{place}text", "missing", "give a text, or a blend of several", id=id)
    if asked.text is not None and asked.blend:
        raise ProtocolError(f"{place}blend", "invalid", "give a text or a blend, not both", id=id)
    if asked.cut and asked.keep is not None:
        raise ProtocolError(f"{place}keep", "invalid", "cut drops everything; leave out cut or keep", id=id)
    if asked.cut and asked.recache:
        raise ProtocolError(f"{place}recache", "invalid", "cut drops everything; leave out cut or recache", id=id)
    if asked.cut and asked.transition_ms > 0:
        raise ProtocolError(f"{place}transition_ms", "invalid", "a cut has no way; leave out one of the two", id=id)


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
    thin = document.get("type") == "prompt"
    if kind in {"union_tag_invalid", "union_tag_not_found"} and not details["loc"]:
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
    return ProtocolError(field, reason, message, id=request_id, thin=thin)


def _shorten(value: object, limit: int = 40) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
