"""A programme as it is written: entries with their times, tempo, and the document that holds them. Values only.

Everything is checked when it is made, strictly: an unknown field is an error that names it. Times are seconds of media
time, positions on the beat are counted from beat 0. `streamgen.timeline` plays what is written here.
"""

from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from streamgen.prompt_text import PromptText
from streamgen.protocol.requests import Weighted
from streamgen.protocol.terms import (
    MAX_BLENDED,
    MAX_KEEP,
    MAX_TRANSITION_MS,
    FromClient,
    Guidance,
    Knobs,
    RequestId,
    Seed,
    Target,
)

MAX_ENTRIES: Final = 256  # that still wait; one more is refused
MAX_TEMPOS: Final = 64  # that are ahead; one more is refused
# Far beyond what a channel reaches: it plays for years, and whatever is ahead of it must still be a value.
MAX_TIME_S: Final = 10 * 365 * 24 * 3600.0
MAX_CHUNK: Final = 2**40
MAX_BEAT: Final = 1e9  # 400 beats a minute for four years
MAX_TEMPO_BEAT: Final = 1e8  # that a `tempo` may count on from, so that years are left to count
MAX_EVERY: Final = 30 * 24 * 3600.0
LEAST_BPM: Final = 20.0
MOST_BPM: Final = 400.0
LEAST_EVERY: Final = 0.05  # seconds or beats: far less than a chunk lasts, so less would change nothing

Every: TypeAlias = Annotated[float, Field(ge=LEAST_EVERY, le=MAX_EVERY, allow_inf_nan=False)]
Times: TypeAlias = Annotated[int, Field(ge=1, le=2**31)]
MediaTime: TypeAlias = Annotated[float, Field(ge=0, le=MAX_TIME_S, allow_inf_nan=False)]
Beat: TypeAlias = Annotated[float, Field(ge=0, le=MAX_BEAT, allow_inf_nan=False)]
Phase: TypeAlias = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Bpm: TypeAlias = Annotated[float, Field(ge=LEAST_BPM, le=MOST_BPM, allow_inf_nan=False)]


class At(FromClient):
    """When: exactly one of a media time (s), a chunk (counted over the channel's life) or a beat."""

    media_time: MediaTime | None = None
    chunk: Annotated[int, Field(ge=0, le=MAX_CHUNK)] | None = None
    beat: Beat | None = None

    @model_validator(mode="after")
    def _is_one_time(self) -> Self:
        if sum(value is not None for value in (self.media_time, self.chunk, self.beat)) != 1:
            raise PydanticCustomError("invalid", "give exactly one of media_time, chunk and beat")
        return self


class Loop(FromClient):
    """Again and again: every so many seconds, chunks or beats, whichever the entry's time is given in."""

    every: Every
    times: Times | None = None
    """How often in all, the first time included; None = until it is taken off."""


class _Telling(FromClient):
    """What the model is told: one text, or a blend of several."""

    text: PromptText | None = None
    blend: Annotated[tuple[Weighted, ...], Field(strict=False, max_length=MAX_BLENDED)] = ()
    target: Target = "av"
    keep: Annotated[int, Field(ge=0, le=MAX_KEEP)] | None = None  # chunks that stay visible; None = the model's own
    recache: bool | None = None  # read them again under the new prompt; None = the model's own
    knobs: Knobs = Field(default={})

    @property
    def weighted(self) -> tuple[tuple[str, float], ...]:
        """Texts and weights, one pair for a single text."""
        return tuple((each.text, each.weight) for each in self.blend) or ((self.text or "", 1.0),)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.text is None) == (not self.blend):
            raise PydanticCustomError("invalid", "give either text or blend")
        return self


class PromptAction(_Telling):
    """Play this from the next chunk on; `cut` drops what the model remembers."""

    type: Literal["prompt"] = "prompt"
    cut: bool = False

    @model_validator(mode="after")
    def _keeps_or_cuts(self) -> Self:
        if self.cut and self.keep is not None:
            raise PydanticCustomError("invalid", "cut drops everything: leave out either cut or keep")
        if self.cut and self.recache:
            raise PydanticCustomError("invalid", "cut drops everything: leave out either cut or recache")
        return self


class TransitionAction(_Telling):
    """Go over to this evenly, from what plays, within `duration_ms` of media time."""

    type: Literal["transition"] = "transition"
    duration_ms: Annotated[int, Field(ge=1, le=MAX_TRANSITION_MS)]


class ConfigAction(FromClient):
    """Change the settings that are given."""

    type: Literal["config"] = "config"
    guidance: Guidance | None = None
    seed: Seed | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.guidance is None and self.seed is None:
            raise PydanticCustomError("invalid", "give guidance, seed or both")
        return self


class CutAction(FromClient):
    """Drop what the model remembers, and go on with the same prompt."""

    type: Literal["cut"] = "cut"


class CoverAction(FromClient):
    """Cover the programme (the last picture, the slate or black) or show it again; generation goes on meanwhile."""

    type: Literal["hold", "slate", "black", "resume"]


Action: TypeAlias = Annotated[
    PromptAction | TransitionAction | ConfigAction | CutAction | CoverAction, Field(discriminator="type")
]


class Entry(FromClient):
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


class Tempo(FromClient):
    """`bpm` beats a minute from `from_s` on.

    `phase` says how far into a beat that moment is (0 = on the beat), and `beat` which beat it is, counted from 0. With
    neither, counting goes on from the tempo before.
    """

    bpm: Bpm
    from_s: MediaTime = 0.0
    phase: Phase | None = None
    beat: Beat | None = None

    @model_validator(mode="after")
    def _counts_one_way(self) -> Self:
        if self.phase is not None and self.beat is not None:
            raise PydanticCustomError("invalid", "give either phase or beat")
        return self


class TimelineDocument(FromClient):
    """A whole timeline. Read one from a file with `streamgen.timeline.document.parse_timeline`."""

    format: Literal["streamgen-timeline"] = "streamgen-timeline"
    version: Literal[1] = 1
    tempo: Annotated[tuple[Tempo, ...], Field(strict=False, max_length=MAX_TEMPOS)] = ()
    entries: Annotated[tuple[Entry, ...], Field(strict=False, max_length=MAX_ENTRIES)] = ()

    def to_json(self) -> str:
        """The document as it is written to a file."""
        return self.model_dump_json(indent=1, exclude_none=True)
