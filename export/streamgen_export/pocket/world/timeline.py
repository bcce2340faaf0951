"""When things happen in a clip: the clock that picture and sound share.

All periods are whole numbers of chunks, so that a model that sees chunks sees the same few phases again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from streamgen_export.pocket.world.attributes import NONE, Attributes
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK
from streamgen_export.pocket.world.screen import stream_of
from streamgen_export.pocket.world.world import World

BEAT_CHUNKS: Final[dict[str, int]] = {"slow": 4, "medium": 3, "fast": 2}
"""Tempo to the chunks that a beat lasts: 62.5, 83 and 125 beats a minute at 0.24 s a chunk."""
BEATS_PER_BAR: Final = 4

FIREWORK_CHUNKS: Final = 5
"""From one burst of a firework to the next."""
FLASH_CHUNKS: Final = 9
"""From one flash of lightning to the next, in a storm."""
STREAK_CHUNKS: Final = 7
"""From one shooting star to the next."""
PAN_UNITS: Final = 1.5
"""Units that the nearest ground moves in one picture while the camera pans: 16 pixels a chunk at 256 rows."""


@dataclass(frozen=True)
class Event:
    """Something that is seen and heard in the same picture.

    Attributes:
        kind: "contact" with the ground, "splash", "burst" of a firework, "flash" of lightning, "streak" of a
            shooting star.
        picture: in which it starts.
        x: where, as a share of the picture's width.
        y: where, as a share of the picture's height.
        subject: what touches or splashes; "none" otherwise.
        number: counts the events of a kind; looks vary with it.
    """

    kind: str
    picture: int
    x: float
    y: float
    subject: str
    number: int


def beat_length(world: World, tempo: str) -> int:
    """Pictures from one beat to the next."""
    return BEAT_CHUNKS[tempo] * PICTURES_PER_CHUNK


def beat_position(world: World, tempo: str, picture: float) -> float:
    """Beats that have passed since the first bar began; whole at the start of a beat, may be negative."""
    return (picture - world.beat_phase * PICTURES_PER_CHUNK) / beat_length(world, tempo)


def sky_events(world: World) -> tuple[Event, ...]:
    """Bursts, flashes and streaks of a clip, in order. Storms have lightning by themselves."""
    found = [
        *_repeated(world, "burst", FIREWORK_CHUNKS, lambda a: a.happening == "fireworks", (0.18, 0.82), (0.14, 0.34)),
        *_repeated(world, "flash", FLASH_CHUNKS, lambda a: a.weather == "storm", (0.15, 0.85), (0.0, 0.0)),
        *_repeated(world, "streak", STREAK_CHUNKS, lambda a: a.happening == "shooting_stars", (0.3, 0.9), (0.05, 0.3)),
    ]
    return tuple(sorted(found, key=lambda event: event.picture))


def _repeated(
    world: World,
    kind: str,
    chunks: int,
    happens: Callable[[Attributes], bool],
    across: tuple[float, float],
    down: tuple[float, float],
) -> list[Event]:
    """One event every `chunks` chunks, in the first picture of a chunk, at places that are the number's own."""
    found = []
    phase = (world.contact_phase // PICTURES_PER_CHUNK) % chunks
    for number, chunk in enumerate(range(phase, world.chunks, chunks), start=world.contact_phase):
        if happens(world.attributes[chunk]):
            rng = stream_of(f"{kind} {number % 12}")
            x, y = float(rng.uniform(*across)), float(rng.uniform(*down))
            found.append(Event(kind, chunk * PICTURES_PER_CHUNK, x, y, NONE, number))
    return found


def pan(world: World, picture: int) -> float:
    """Units by which the nearest ground has moved to the left.

    A clip begins where its place was composed, unless its camera is moving already: then anywhere.
    """
    speeds = {"left": -PAN_UNITS, "right": PAN_UNITS}
    start = 7.0 * world.offset_s if world.attributes[0].camera in speeds else 0.0
    return start + sum(speeds.get(world.at(p).camera, 0.0) for p in range(picture))
