"""Messages about what shall play later, and about the programme as a whole: play, pause, reset, and a thin prompt."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from streamgen.prompt_text import MAX_TEXT_CHARS, PromptText
from streamgen.protocol.entries import (
    MAX_ENTRIES,
    MAX_TEMPO_BEAT,
    At,
    Bpm,
    Every,
    Loop,
    MediaTime,
    Phase,
    TimelineDocument,
    Times,
)
from streamgen.protocol.requests import PromptWords
from streamgen.protocol.terms import (
    FromClient,
    FromServer,
    RequestId,
    as_tuple,
)

MAX_NEXT: Final = 16  # times that a `timeline` lists as the next ones


class ScheduledPrompt(PromptWords):
    """What shall play: the fields of `prompt.set`."""


class Schedule(FromClient):
    """Play a prompt at a media time, a chunk or a beat, once or in a loop.

    The request's id names the entry. With `replace` it takes the place of the entry of that name.
    """

    type: Literal["schedule"] = "schedule"
    id: RequestId
    at: At
    prompt: ScheduledPrompt
    loop: Loop | None = None
    replace: bool = False


class Unschedule(FromClient):
    """Take an entry off the timeline, with all of its times that are still ahead."""

    type: Literal["unschedule"] = "unschedule"
    id: RequestId
    target: RequestId


class LoopEntries(FromClient):
    """Repeat a section: each of these entries comes again after `every`, in the unit of its own time."""

    type: Literal["loop"] = "loop"
    id: RequestId
    targets: Annotated[tuple[RequestId, ...], Field(min_length=1, max_length=MAX_ENTRIES), BeforeValidator(as_tuple)]
    every: Every
    times: Times | None = None


class SetTempo(FromClient):
    """`bpm` beats a minute from a media time (s) on; now, where it is left out.

    `phase` says how far into a beat that moment is, `beat` which beat it is; with neither, counting goes on.
    """

    type: Literal["tempo"] = "tempo"
    id: RequestId
    bpm: Bpm
    from_s: MediaTime | None = None
    phase: Phase | None = None
    beat: Annotated[float, Field(ge=0, le=MAX_TEMPO_BEAT, allow_inf_nan=False)] | None = None


class TimelineLoad(FromClient):
    """Put a whole document in the place of what is scheduled."""

    type: Literal["timeline.load"] = "timeline.load"
    id: RequestId
    document: TimelineDocument


class TimelineClear(FromClient):
    """Take everything off the timeline; the tempo stays."""

    type: Literal["timeline.clear"] = "timeline.clear"
    id: RequestId


class Play(FromClient):
    """Go on where a `pause` stopped."""

    type: Literal["play"] = "play"
    id: RequestId


class Pause(FromClient):
    """Make no more chunks: the last picture stays, in silence, until `play`."""

    type: Literal["pause"] = "pause"
    id: RequestId


class Reset(FromClient):
    """Drop what the model remembers with the next chunk, and keep the prompt."""

    type: Literal["reset"] = "reset"
    id: RequestId


class Prompt(FromClient):
    """Play this text, for both picture and sound: the thin form, answered by one `prompt_ack`."""

    type: Literal["prompt"] = "prompt"
    text: PromptText


class Coming(FromServer):
    """A time of an entry that is ahead; `media_time` (s) is where it will be if nothing stands still."""

    id: str
    media_time: float


class Timeline(FromServer):
    """All that is scheduled: sent on joining and after each change, to those who may schedule or moderate."""

    type: Literal["timeline"] = "timeline"
    document: TimelineDocument
    next: tuple[Coming, ...] = ()  # soonest first, at most `MAX_NEXT`


class PromptAck(FromServer):
    """What became of a `prompt`: `success` once it is in the media, else `error` says why it never will be."""

    type: Literal["prompt_ack"] = "prompt_ack"
    text: Annotated[str, Field(max_length=MAX_TEXT_CHARS)] | None = None  # None: it could not be read
    success: bool
    error: str | None = None
    chunk: int | None = None
    media_time: float | None = None
    retry_after_s: float | None = None


TimelineRequest: TypeAlias = (
    Schedule | Unschedule | LoopEntries | SetTempo | TimelineLoad | TimelineClear | Play | Pause | Reset
)
