"""From what was read off the test card in a browser to figures. Free of I/O.

Times are ms of the browser's clock, media times ticks of 90 kHz.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from bench.figures import VIDEO_CLOCK_HZ, Asked
from streamgen_client.rtp import RtpTimeline

PICTURE_TICKS: Final = 3600
COUNTED: Final = 1 << 20
"""The number starts again after so many pictures."""
EVENT_MS: Final = 960.0
"""Between two flashes."""
SAME_COLOUR: Final = 24.0
"""Two readings of one colour differ by less in every channel; those of two prompts by more, or the prompt is no use."""
TICKS_PER_MS: Final = VIDEO_CLOCK_HZ / 1000


@dataclass(frozen=True, slots=True)
class Read:
    """A picture that was presented."""

    pts: int
    at_ms: float
    number: int | None  # None: it could not be read
    colour: tuple[float, float, float]
    lit: bool


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Which media time left the server at a time of the browser."""

    at_ms: float
    off_ms: float  # at most
    media_s: float

    @property
    def zero_ms(self) -> float:
        """When media time 0 would have left."""
        return self.at_ms - 1000 * self.media_s


@dataclass
class Card:
    """Everything that was read off one page."""

    read: list[Read] = field(default_factory=list)
    beeps_ms: list[float] = field(default_factory=list)
    clocks: list[ClockReading] = field(default_factory=list)
    lost: int = 0

    def take(self, log: dict[str, Any], timeline: RtpTimeline) -> None:
        """Add what `takeRead()` returned; `timeline` is that of the session."""
        for timestamp, at_ms, number, colour, lit in log["read"]:
            if timestamp is not None:
                self.read.append(Read(timeline.pts(timestamp), at_ms, number, tuple(colour), lit))
        self.beeps_ms += log["beeps"]
        for sent_ms, came_ms, media_s in log["clocks"]:
            self.clocks.append(ClockReading((sent_ms + came_ms) / 2, (came_ms - sent_ms) / 2, media_s))
        self.lost = log["lost"]


def misread(read: Sequence[Read]) -> int:
    """Pictures whose number could not be read."""
    return sum(each.number is None for each in read)


@dataclass(frozen=True, slots=True)
class Sequel:
    """How the numbers that were shown follow each other.

    Attributes:
        repeated: pictures that show the number of the one before.
        missing: numbers that were never shown.
        backwards: pictures that show an earlier number; a generator that starts again does.
        off_clock: pictures whose number and media time have moved on by different amounts since the one before.
    """

    repeated: int
    missing: int
    backwards: int
    off_clock: int


def sequel(read: Sequence[Read]) -> Sequel:
    """Looks at neighbouring pictures that could be read."""
    known = [each for each in read if each.number is not None]
    repeated = missing = backwards = off_clock = 0
    for before, after in pairwise(known):
        assert before.number is not None
        assert after.number is not None
        step = (after.number - before.number) % COUNTED
        if step == 0:
            repeated += 1
        elif step > COUNTED // 2:
            backwards += 1
        else:
            missing += step - 1
            off_clock += after.pts - before.pts != step * PICTURE_TICKS
    return Sequel(repeated, missing, backwards, off_clock)


def glass_ms(read: Sequence[Read], clocks: Sequence[ClockReading]) -> list[float]:
    """From the time at which each picture was due to leave the server until it was presented.

    Args:
        read: pictures.
        clocks: in the order of time; the nearest one counts, since a standstill moves media time.
    """
    if not clocks:
        return []
    times = [each.at_ms for each in clocks]
    found = []
    for picture in read:
        place = bisect_left(times, picture.at_ms)
        near = clocks[max(0, place - 1) : place + 1]
        nearest = min(near, key=lambda each: abs(each.at_ms - picture.at_ms))
        found.append(picture.at_ms - nearest.zero_ms - picture.pts / TICKS_PER_MS)
    return found


def flashes_ms(read: Sequence[Read]) -> list[float]:
    """When each flash began: its first picture, where the one before was dark and followed directly."""
    found = []
    for before, after in pairwise(read):
        if after.lit and not before.lit and after.pts - before.pts == PICTURE_TICKS:
            found.append(after.at_ms)
    return found


def lip_sync_ms(read: Sequence[Read], beeps_ms: Sequence[float]) -> list[tuple[float, float]]:
    """For each flash with a beep nearer than half a period: its time, and how much later than the beep it was seen."""
    pairs = []
    for at_ms in flashes_ms(read):
        place = bisect_left(beeps_ms, at_ms)
        near = beeps_ms[max(0, place - 1) : place + 1]
        if near:
            beep_ms = min(near, key=lambda each: abs(each - at_ms))
            if abs(at_ms - beep_ms) < EVENT_MS / 2:
                pairs.append((at_ms, at_ms - beep_ms))
    return pairs


@dataclass(frozen=True, slots=True)
class Seen:
    """A prompt whose colour appeared.

    Attributes:
        id: of the prompt.
        after_ms: from Enter to the first picture in another colour.
        off_pictures: how many pictures later than `applied` named.
    """

    id: str
    after_ms: float
    off_pictures: float


def colours_seen(asked: Sequence[Asked], read: Sequence[Read]) -> list[Seen]:
    """For each prompt the first picture after it whose colour is not that of the picture at Enter."""
    times = [each.at_ms for each in read]
    found = []
    for number, prompt in enumerate(asked):
        begin = bisect_left(times, prompt.entered_ms)
        until = bisect_left(times, asked[number + 1].entered_ms) if number + 1 < len(asked) else len(read)
        if begin == 0 or prompt.pts is None:
            continue
        before = read[begin - 1].colour
        changed = next((each for each in read[begin:until] if not _same(each.colour, before)), None)
        if changed is not None:
            off = (changed.pts - prompt.pts) / PICTURE_TICKS
            found.append(Seen(prompt.id, changed.at_ms - prompt.entered_ms, off))
    return found


def covered_ms(panics_ms: Sequence[float], read: Sequence[Read], *, covered: bool) -> list[float]:
    """From each panic to the first picture that is no test card (`covered`), or to the first that is one again.

    One of which nothing was seen before the next has no time.
    """
    found = []
    for at_ms, until_ms in zip(panics_ms, (*panics_ms[1:], math.inf), strict=True):
        seen = (each for each in read if at_ms < each.at_ms < until_ms and (each.number is None) == covered)
        if (first := next(seen, None)) is not None:
            found.append(first.at_ms - at_ms)
    return found


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(a - b) < SAME_COLOUR for a, b in zip(one, other, strict=True))
