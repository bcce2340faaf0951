"""Timelines as JSON: reading a document or an entry, with errors that name the field. The values are the protocol's."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from streamgen.protocol import Entry, Tempo, TimelineDocument
from streamgen.timeline.errors import TimelineError, TimelineReason

VERSION: Final = 1
MAX_DOCUMENT_BYTES: Final = 1024 * 1024

_Value = TypeVar("_Value")

_DOCUMENT: Final = TypeAdapter(TimelineDocument)
_ENTRY: Final = TypeAdapter(Entry)
_TEMPO: Final = TypeAdapter(Tempo)
_TAGS: Final = frozenset({"prompt", "transition", "config", "cut", "hold", "slate", "black", "resume"})
_REASONS: Final[Mapping[str, TimelineReason]] = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "union_tag_invalid": "unknown_type",
    "union_tag_not_found": "missing",
    "string_too_short": "empty",
    "string_too_long": "too_long",
    "greater_than_equal": "out_of_range",
    "greater_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "finite_number": "out_of_range",
    "empty": "empty",
    "too_long": "too_long",
    "invalid": "invalid",
    "json_invalid": "not_json",
    "literal_error": "invalid",
}


def parse_timeline(text: str | bytes) -> TimelineDocument:
    """Read a timeline's JSON.

    Raises:
        TimelineError: not JSON, too long, of a newer version, or a field is wrong (named in the error).
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > MAX_DOCUMENT_BYTES:
        raise TimelineError("the whole", "too_long", f"a timeline has at most {MAX_DOCUMENT_BYTES} bytes; split it")
    try:
        return _DOCUMENT.validate_json(data)
    except ValidationError as error:
        details = error.errors(include_url=False)
    version = next((each["input"] for each in details if each["loc"] == ("version",)), VERSION)
    if isinstance(version, int) and version > VERSION:
        raise TimelineError(
            "version", "unsupported_version", f"this streamgen reads timelines up to version {VERSION}; upgrade it"
        )
    raise _translated(details)


def entry_of(raw: object) -> Entry:
    """Read one entry from a JSON object, as a message carries it.

    Raises:
        TimelineError: a field is wrong (named in the error).
    """
    return _checked(_ENTRY, raw)


def read_entry(text: str) -> Entry:
    """Read one entry from the JSON that `Entry.model_dump_json` writes.

    Raises:
        TimelineError: a field is wrong (named in the error).
    """
    try:
        return _ENTRY.validate_json(text)
    except ValidationError as error:
        raise _translated(error.errors(include_url=False)) from None


def tempo_of(bpm: float, from_s: float, phase: float | None = None, beat: float | None = None) -> Tempo:
    """A tempo from times that were computed.

    Raises:
        TimelineError: one is out of range (named in the error).
    """
    return _checked(_TEMPO, {"bpm": bpm, "from_s": from_s, "phase": phase, "beat": beat})


def moved(document: TimelineDocument, *, by_s: float = 0.0, by_chunks: int = 0) -> TimelineDocument:
    """The same, later: what a channel needs that is already playing. Beats move with the tempo.

    Raises:
        TimelineError: a time would be out of range.
    """

    def later(at: dict[str, Any]) -> dict[str, Any]:
        offsets = {"media_time": by_s, "chunk": by_chunks}
        return {unit: value + offsets.get(unit, 0) for unit, value in at.items()}

    raw = document.model_dump(exclude_none=True)
    raw["entries"] = [{**entry, "at": later(entry["at"])} for entry in raw["entries"]]
    raw["tempo"] = [{**tempo, "from_s": tempo["from_s"] + by_s} for tempo in raw["tempo"]]
    return _checked(_DOCUMENT, raw)


def _checked(adapter: TypeAdapter[_Value], raw: object) -> _Value:
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        raise _translated(error.errors(include_url=False)) from None


def _translated(details: Sequence[ErrorDetails]) -> TimelineError:
    """pydantic's first error in our words: one field, one reason, one sentence."""
    first = details[0]
    kind, steps = first["type"], first["loc"]
    # The tag of a union is a step of its location, and not a field.
    named = [str(step) for i, step in enumerate(steps) if not (step in _TAGS and i and steps[i - 1] == "action")]
    reason = _REASONS.get(kind, "wrong_type")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        named.append("type")
        message = f"give one of {', '.join(sorted(_TAGS))}"
    elif kind == "missing":
        message = "this field is missing"
    elif kind == "extra_forbidden":
        message = "there is no such field; leave it out"
    elif first["loc"] and kind == "too_long" and "actual_length" in first.get("ctx", {}):
        reason, message = "too_many", f"at most {first['ctx']['max_length']} fit; leave some out"
    else:
        message = first["msg"][0].lower() + first["msg"][1:]
    return TimelineError(".".join(named) or "the whole", reason, message)
