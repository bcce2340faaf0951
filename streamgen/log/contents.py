"""What the log says: one type per kind of record. A line is one of these with its times (`Logged`).

Reading is lenient about fields that a newer streamgen added; a line whose type is not known is skipped by the reader.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import from_json

from streamgen.packets import ChunkRecord, Shares
from streamgen_engines.gpu_options import Precision
from streamgen_engines.runtime_name import DEFAULT_RUNTIME
from streamgen_engines.text_placement import TextSide


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Requested(_Content):
    """Somebody asked for something: the message as it was sent, and only its type where they may not ask for it.

    `client` is a name that anybody can choose; `voter` is who they are by their token, as far as that says it.
    """

    type: Literal["request"] = "request"
    id: str
    client: str | None = None
    voter: str | None = None
    role: str = ""
    message: dict[str, JsonValue]


class Decided(_Content):
    """What became of a request, and by whose or which decision."""

    type: Literal["decision"] = "decision"
    id: str
    client: str | None = None
    voter: str | None = None  # whose proposal it is
    decision: str  # held, accepted, rejected, superseded, applied, ...
    by: str = ""
    reason: str = ""


class GeneratorStarted(_Content):
    """A generator begins; chunks with this `life` are its own, counted from 0. What a replay begins with."""

    type: Literal["generator"] = "generator"
    life: int
    bundle: str
    fingerprint: str  # `streamgen.log.fingerprint` of the bundle
    seed: int
    threads: int = 1
    runtime: str = DEFAULT_RUNTIME
    precision: Precision | None = None  # that was asked for
    texts: TextSide = "model"  # where they were encoded
    version: str = ""  # of streamgen


class ChunkMade(_Content):
    """A chunk was made, shown or not: all that is needed to make its latents again."""

    type: Literal["chunk"] = "chunk"
    life: int
    chunk: int
    prompt_id: str | None = None
    prompt: str
    knobs: dict[str, str] = {}
    seed: int
    guidance: float
    steps: int
    applied: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()
    told: Shares = ()  # empty: `prompt` with `knobs`, in the bundle's words
    sound: Shares = ()  # empty: as the picture
    exact: bool = False
    keep: int | None = None
    alone_above: float | None = None
    recache: bool | None = None
    cut: bool = False
    picture: str | None = None  # `picture_name` of the latent that it continues
    fresh: bool = False  # the generator had run away, and began anew with this chunk

    @classmethod
    def of(cls, record: ChunkRecord, life: int) -> Self:
        """From the record that the generator sent. Timings are left out: they are metrics."""
        return cls(
            life=life,
            chunk=record.chunk,
            prompt_id=record.prompt_id,
            prompt=record.prompt,
            knobs=dict(record.knobs),
            seed=record.seed,
            guidance=record.guidance,
            steps=record.steps,
            applied=record.applied,
            superseded=record.superseded,
            told=record.told,
            sound=record.sound,
            keep=record.keep,
            alone_above=record.alone_above,
            recache=record.recache,
            cut=record.cut,
            picture=record.picture,
            fresh=record.fresh,
        )


class ChunkShown(_Content):
    """The first picture of a chunk left for the viewers. `pts` is in ticks of 90 kHz of media time."""

    type: Literal["shown"] = "shown"
    life: int
    chunk: int
    pts: int
    prompt_id: str | None = None


class Panicked(_Content):
    """Somebody covered the programme, or uncovered it."""

    type: Literal["panic"] = "panic"
    action: str  # hold, slate, black, mute, off
    by: str  # name that the client gave itself; empty where it gave none


class Voted(_Content):
    """A vote ended."""

    type: Literal["vote"] = "vote"
    id: str
    counts: dict[str, int]  # by option
    texts: dict[str, str] = {}  # of the options
    winner: str | None = None
    winners: tuple[str, ...] = ()  # several where what was level is blended
    decided_by: str = ""  # the rule


class Lost(_Content):
    """So many records before this one are missing, because they came faster than they could be written."""

    type: Literal["lost"] = "lost"
    records: int


Content: TypeAlias = Requested | Decided | GeneratorStarted | ChunkMade | ChunkShown | Panicked | Voted | Lost


@dataclass(frozen=True, slots=True)
class Logged:
    """A line of the log: wall time in UTC, media time (s), and what it says."""

    time: datetime
    media_time_s: float
    content: Content


@dataclass(frozen=True, slots=True)
class _Line:
    time: datetime
    media_time_s: float
    content: Annotated[Content, Field(discriminator="type")]


_LINE: Final = TypeAdapter(_Line)
_TIMES: Final = ("time", "media_time_s")


def to_line(logged: Logged) -> bytes:
    """One line of JSON with its end: times first, then the content's own fields."""
    times = {
        "time": logged.time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "media_time_s": logged.media_time_s,
    }
    text = json.dumps({**times, **logged.content.model_dump()}, ensure_ascii=False, separators=(",", ":"))
    # Half a surrogate pair, which text can hold and UTF-8 cannot, becomes a question mark.
    return text.encode("utf-8", "replace") + b"\n"


def from_line(line: bytes) -> Logged | None:
    """Read a line; None when it is torn, damaged or of a type that this version does not know."""
    try:
        raw = from_json(line)
        if not isinstance(raw, dict):
            return None
        content = {key: value for key, value in raw.items() if key not in _TIMES}
        read = _LINE.validate_python({**{key: raw.get(key) for key in _TIMES}, "content": content})
    except (ValueError, ValidationError):
        return None
    return Logged(read.time, read.media_time_s, read.content)
