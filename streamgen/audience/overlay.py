"""What everybody sees of the vote: a small frozen snapshot, and when the next one may be published.

A snapshot is bounded: at most `MAX_OPTIONS` options, texts and names cut to what a screen can show. Publishing is
paced: after a snapshot the next waits for `1 / overlay_hz` seconds. Full-policy: coalesce, the latest wins. Seconds
that pass are no change; whoever shows the overlay counts `seconds_left` down.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

MAX_OPTIONS: Final = 32
MAX_SHOWN_CHARS: Final = 120
MAX_SHOWN_NAME_CHARS: Final = 40
MAX_SHOWN_NAMES: Final = 3
MAX_OVERLAY_BYTES: Final = 64 * 1024  # of its JSON in UTF-8; a test builds the largest one

Mode: TypeAlias = Literal["single", "cascade", "continuous"]
Phase: TypeAlias = Literal["idle", "collect", "vote", "result"]
Rule: TypeAlias = Literal["votes", "earliest", "random", "blend", "keep", "next_proposal"]


@dataclass(frozen=True, slots=True)
class OverlayOption:
    """One option. `share` is its part of all votes, 0 to 1; while proposals are collected `votes` are supporters."""

    id: str
    text: str
    votes: int
    share: float
    names: tuple[str, ...] = ()
    playing: float = 0.0  # its weight in the blend that plays (continuous mode)


@dataclass(frozen=True, slots=True)
class Overlay:
    """The vote as it stands. A higher `revision` replaces a lower one."""

    mode: Mode
    phase: Phase = "idle"
    paused: bool = False
    round_id: str = ""
    ballot: str | None = None  # what a vote has to name; None while there is nothing to vote on
    stage: str = ""
    stages: tuple[str, ...] = ()
    options: tuple[OverlayOption, ...] = ()
    voters: int = 0
    proposals: int = 0  # that are open and wait for a ballot
    seconds_left: float | None = None
    winners: tuple[str, ...] = ()  # ids of options, in the phase `result`
    decided_by: Rule | None = None
    revision: int = 0


def shown(text: str, limit: int = MAX_SHOWN_CHARS) -> str:
    """The text, cut to what a screen can show."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def shown_option(
    id: str, text: str, votes: int, share: float, names: tuple[str, ...], playing: float = 0.0
) -> OverlayOption:
    """An option within the bounds of a snapshot."""
    few = tuple(shown(name, MAX_SHOWN_NAME_CHARS) for name in names[:MAX_SHOWN_NAMES])
    return OverlayOption(id, shown(text), votes, round(share, 3), few, round(playing, 3))


class OverlayPace:
    """When to publish: at once after a quiet time, and then at most `rate_hz` times a second."""

    def __init__(self, rate_hz: float) -> None:
        self.coalesced = 0  # changes that were published together with a later one
        self.least_interval_s = 0.0  # of whoever publishes, where that is longer than the rate's own
        self._interval_s = 1.0 / rate_hz
        self._free_s = -math.inf
        self._changes = 0

    @property
    def due_s(self) -> float | None:
        """When the next snapshot is to be published; None while nothing has changed."""
        return self._free_s if self._changes else None

    def touch(self) -> None:
        """Something that the overlay shows has changed."""
        self._changes += 1

    def take(self, now_s: float) -> bool:
        """Whether to publish now; then what has changed so far counts as published."""
        if not self._changes or now_s < self._free_s:
            return False
        self.coalesced += self._changes - 1
        self._changes = 0
        self._free_s = now_s + max(self._interval_s, self.least_interval_s)
        return True
