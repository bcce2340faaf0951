"""Timelines as values: entries, tempo and the JSON document that they are imported from and exported to.

Everything is checked when it is made, strictly: an unknown field is an error that names it. Times are seconds of media
time, positions on the beat are counted from beat 0.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from streamgen.protocol import Guidance, Knobs, PromptText, RequestId, Seed
from streamgen.timeline.errors import TimelineError, TimelineReason

FORMAT: Final = "streamgen-timeline"
VERSION: Final = 1
MAX_DOCUMENT_BYTES: Final = 1024 * 1024
MAX_ENTRIES: Final = 256  # that still wait; one more is refused
MAX_TEMPOS: Final = 64  # that are ahead; one more is refused
MAX_TEXTS: Final = 8  # of one blend
MAX_KEEP: Final = 64  # chunks; more than any model's window
MAX_TIME_S: Final = 30 * 24 * 3600.0
MAX_CHUNK: Final = 2**40
MAX_BEAT: Final = 1e8
MAX_TRANSITION_MS: Final = 10 * 60 * 1000
LEAST_BPM: Final = 20.0
MOST_BPM: Final = 400.0
LEAST_EVERY: Final = 0.05  # seconds or beats: far less than a chunk lasts, so less would change nothing

Target: TypeAlias = Literal["av", "video", "audio"]
"""What a prompt is for: picture and sound, or one of them while the other keeps its own."""

_Value = TypeVar("_Value")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class At(_Part):
    """When: exactly one of a media time, a chunk (counted over the channel's life) or a beat."""

    media_time_s: Annotated[float, Field(ge=0, le=MAX_TIME_S)] | None = None
    chunk: Annotated[int, Field(ge=0, le=MAX_CHUNK)] | None = None
    beat: Annotated[float, Field(ge=0, le=MAX_BEAT)] | None = None

    @model_validator(mode="after")
    def _is_one_time(self) -> Self:
        if sum(value is not None for value in (self.media_time_s, self.chunk, self.beat)) != 1:
            raise PydanticCustomError("invalid", "give exactly one of media_time_s, chunk and beat")
        return self


class Loop(_Part):
    """Again and again: every so many seconds, chunks or beats, whichever the entry's time is given in."""

    every: Annotated[float, Field(ge=LEAST_EVERY, le=MAX_TIME_S)]
    times: Annotated[int, Field(ge=1, le=2**31)] | None = None
    """How often in all, the first time included; None = until it is taken off."""


class Weighted(_Part):
    """One text of a blend. Weights are relative."""

    text: PromptText
    weight: Annotated[float, Field(ge=0, le=1e6)]


class _Telling(_Part):
    """What the model is told: one text, or a blend of several."""

    text: PromptText | None = None
    blend: Annotated[tuple[Weighted, ...], Field(strict=False, max_length=MAX_TEXTS)] = ()
    target: Target = "av"
    keep: Annotated[int, Field(ge=0, le=MAX_KEEP)] | None = None  # chunks that stay visible; None = the model's own
    knobs: Knobs = {}

    @property
    def weighted(self) -> tuple[tuple[str, float], ...]:
        """Texts and weights, one pair for a single text."""
        return tuple((each.text, each.weight) for each in self.blend) or ((self.text or "", 1.0),)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.text is None) == (not self.blend):
            raise PydanticCustomError("invalid", "give either text or blend")
        if self.blend and not any(each.weight > 0 for each in self.blend):
            raise PydanticCustomError("invalid", "give at least one text of the blend a weight above 0")
        return self


class PromptAction(_Telling):
    """Play this from the next chunk on; `cut` drops what the model remembers."""

    type: Literal["prompt"] = "prompt"
    cut: bool = False

    @model_validator(mode="after")
    def _keeps_or_cuts(self) -> Self:
        if self.cut and self.keep is not None:
            raise PydanticCustomError("invalid", "cut drops everything: leave out either cut or keep")
        return self


class TransitionAction(_Telling):
    """Go over to this evenly, from what plays, within `duration_ms` of media time."""

    type: Literal["transition"] = "transition"
    duration_ms: Annotated[int, Field(ge=1, le=MAX_TRANSITION_MS)]


class ConfigAction(_Part):
    """Change the settings that are given."""

    type: Literal["config"] = "config"
    guidance: Guidance | None = None
    seed: Seed | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.guidance is None and self.seed is None:
            raise PydanticCustomError("invalid", "give guidance, seed or both")
        return self


class CutAction(_Part):
    """Drop what the model remembers, and go on with the same prompt."""

    type: Literal["cut"] = "cut"


class CoverAction(_Part):
    """Cover the programme (the last picture, the slate or black) or show it again; generation goes on meanwhile."""

    type: Literal["hold", "slate", "black", "resume"]


Action = Annotated[
    PromptAction | TransitionAction | ConfigAction | CutAction | CoverAction, Field(discriminator="type")
]


class Entry(_Part):
    """What shall happen when. `id` is unique on the channel's timeline."""

    id: RequestId
    at: At
    action: Action
    loop: Loop | None = None

    @model_validator(mode="after")
    def _repeats_whole_chunks(self) -> Self:
        if self.loop is not None and self.at.chunk is not None and self.loop.every != int(self.loop.every):
            raise PydanticCustomError("invalid", "loop.every must be a whole number where the time is a chunk")
        return self


class Tempo(_Part):
    """`bpm` beats a minute from `from_s` on.

    `phase` says how far into a beat that moment is (0 = on the beat), and `beat` which beat it is, counted from 0. With
    neither, counting goes on from the tempo before.
    """

    bpm: Annotated[float, Field(ge=LEAST_BPM, le=MOST_BPM)]
    from_s: Annotated[float, Field(ge=0, le=MAX_TIME_S)] = 0.0
    phase: Annotated[float, Field(ge=0, lt=1)] | None = None
    beat: Annotated[float, Field(ge=0, le=MAX_BEAT)] | None = None

    @model_validator(mode="after")
    def _counts_one_way(self) -> Self:
        if self.phase is not None and self.beat is not None:
            raise PydanticCustomError("invalid", "give either phase or beat")
        return self


class TimelineDocument(_Part):
    """A whole timeline. Read one with `parse_timeline`."""

    format: Literal["streamgen-timeline"] = "streamgen-timeline"
    version: Literal[1] = 1
    tempo: Annotated[tuple[Tempo, ...], Field(strict=False, max_length=MAX_TEMPOS)] = ()
    entries: Annotated[tuple[Entry, ...], Field(strict=False, max_length=MAX_ENTRIES)] = ()

    def to_json(self) -> str:
        """The document as it is written to a file."""
        return self.model_dump_json(indent=1, exclude_none=True)

    def moved(self, *, by_s: float = 0.0, by_chunks: int = 0) -> "TimelineDocument":
        """The same, later: what a channel needs that is already playing. Beats move with the tempo.

        Raises:
            TimelineError: a time would be out of range.
        """

        def later(at: dict[str, Any]) -> dict[str, Any]:
            offsets = {"media_time_s": by_s, "chunk": by_chunks}
            return {unit: value + offsets.get(unit, 0) for unit, value in at.items()}

        raw = self.model_dump(exclude_none=True)
        raw["entries"] = [{**entry, "at": later(entry["at"])} for entry in raw["entries"]]
        raw["tempo"] = [{**tempo, "from_s": tempo["from_s"] + by_s} for tempo in raw["tempo"]]
        return _checked(_DOCUMENT, raw)


_DOCUMENT: Final = TypeAdapter(TimelineDocument)
_ENTRY: Final = TypeAdapter(Entry)
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
