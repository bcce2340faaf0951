"""What a place repeats every two bars: birds, crickets, a bell far away, bubbles, crackles, drones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from streamgen_export.pocket.world.attributes import Attributes
from streamgen_export.pocket.world.sound.loops import BELL, FLUTE, LOOP_BEATS, PAD, PURE, WARM, Loop, Timbre, spectrum

_AWAKE: Final = frozenset({"clear", "cloudy", "misty"})
"""Weathers in which animals are heard."""
_BY_TIME: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "meadow": {"dawn": ("dawn_chorus",), "day": ("finches",), "sunset": ("blackbird",), "night": ("crickets",)},
    "forest": {
        "dawn": ("dawn_chorus", "cuckoo"),
        "day": ("finches", "cuckoo"),
        "sunset": ("blackbird",),
        "night": ("owl", "crickets"),
    },
    "mountains": {"dawn": ("finches",), "day": ("cowbells",), "sunset": ("cowbells",), "night": ()},
    "desert": {"dawn": (), "day": (), "sunset": ("cicada",), "night": ("cicada",)},
    "sea": {"dawn": ("gulls",), "day": ("gulls",), "sunset": (), "night": ()},
    "coast": {"dawn": ("gulls",), "day": ("gulls",), "sunset": ("gulls",), "night": ()},
    "river": {"dawn": ("dawn_chorus",), "day": ("finches",), "sunset": ("blackbird",), "night": ("crickets",)},
    "village": {"dawn": ("dawn_chorus",), "day": ("finches",), "sunset": ("blackbird",), "night": ("crickets", "owl")},
}
_ALWAYS: Final[dict[str, tuple[str, ...]]] = {
    "river": ("babble",),
    "village": ("church_bell",),
    "city": ("hum",),
    "underwater": ("bubbles",),
    "ice": ("creaks",),
    "space": ("drone",),
    "fire": ("crackle",),
}
_CLOCK: Final = Timbre(((0, 1.0, 1.0), (3, 0.35, 0.6), (12, 0.5, 0.7), (19, 0.25, 0.4), (24, 0.2, 0.4)), 1.6)
_POP: Final = Timbre(((0, 1.0, 1.0), (12, 0.15, 0.6)), 0.09)
_COW: Final = Timbre(((0, 1.0, 1.0), (7, 0.5, 0.7), (16, 0.3, 0.5)), 0.3)
_CRACKLES: Final = (0, 3, 5, 8, 10, 11, 15, 18, 21, 22, 26, 29)
"""Sixteenths of the loop on which a fire crackles."""
_CRACKLE_GAINS: Final = (1.0, 0.5, 0.8, 0.5, 0.9, 0.4, 0.8, 0.6, 1.0, 0.5, 0.7, 0.6)


def patterns_of(attributes: Attributes) -> tuple[str, ...]:
    """Names of the patterns that are heard in a place at a time in a weather."""
    a = attributes
    found = list(_ALWAYS.get(a.place, ()))
    if a.weather in _AWAKE:
        found.extend(_BY_TIME.get(a.place, {}).get(a.time, ()))
    if a.weather in ("rain", "storm") and a.place != "clouds":
        found.append("drops")
    if a.happening == "aurora":
        found.append("aurora")
    return tuple(found)


@cache
def pattern(name: str, beat: int) -> Loop:
    """Two bars of a pattern; `beat` is the beat's length in control frames."""
    loop = Loop(beat)
    _WRITERS[name](loop)
    return loop.sealed()


def _dawn_chorus(loop: Loop) -> None:
    """A warbler on the left, a thrush on the right that answers it, a wren above both."""
    loop.chirp(0.5, (100, 103, 100, 103, 100, 103, 98), 0.052, balance=-0.6)
    loop.chirp(2.5, (96, 98, 100, 0, 96, 93), 0.054, step=8, balance=0.6)
    loop.chirp(4.5, (100, 103, 100, 103, 100, 103, 98), 0.052, balance=-0.6)
    loop.chirp(6.0, (105, 107, 105, 107, 105), 0.03, step=4, balance=0.1)
    loop.chirp(6.75, (96, 98, 103, 0, 100, 96), 0.054, step=8, balance=0.6)


def _finches(loop: Loop) -> None:
    loop.chirp(1.5, (103, 105, 100), 0.036, balance=-0.5)
    loop.chirp(5.5, (98, 100, 98, 96), 0.036, step=7, balance=0.5)


def _cuckoo(loop: Loop) -> None:
    for at in (3.0, 7.0):
        loop.hold(at, 12 / loop.beat, 79, 0.034, FLUTE, fade=5, balance=0.4)
        loop.hold(at + 0.5, 16 / loop.beat, 76, 0.034, FLUTE, fade=6, balance=0.4)


def _blackbird(loop: Loop) -> None:
    """An evening song: long clear notes."""
    loop.chirp(1.0, (88, 91, 93, 91), 0.042, step=12, balance=-0.4)
    loop.chirp(5.0, (93, 91, 88, 0, 98), 0.038, step=10, balance=-0.4)


def _crickets(loop: Loop) -> None:
    for beat in range(LOOP_BEATS):
        side = 0.5 if beat % 2 else -0.5
        loop.chirp(beat, (107, 0, 107, 0, 107), 0.02, step=5, balance=side)


def _cicada(loop: Loop) -> None:
    for beat in range(0, LOOP_BEATS, 2):
        loop.chirp(beat, (104,) * 3, 0.018, step=6, balance=0.3)


def _owl(loop: Loop) -> None:
    loop.hold(1.0, 22 / loop.beat, 64, 0.055, WARM, fade=10, balance=0.5)
    loop.hold(1.0 + 45 / loop.beat, 40 / loop.beat, 62, 0.06, WARM, fade=14, balance=0.5)


def _gulls(loop: Loop) -> None:
    """Cries that fall, one near, one far."""
    for at, gain, side in ((1.0, 0.036, -0.5), (5.5, 0.022, 0.6)):
        loop.chirp(at, (91, 93, 91, 89, 88), gain, step=7, balance=side)
        loop.chirp(at, (79, 81, 79, 77, 76), 0.4 * gain, step=7, balance=side)


def _cowbells(loop: Loop) -> None:
    for at, note, side in ((0.5, 81, -0.5), (1.75, 84, 0.3), (3.5, 81, -0.5), (4.75, 84, 0.3), (6.5, 79, 0.6)):
        loop.strike(at, note, 0.028, _COW, side)


def _church_bell(loop: Loop) -> None:
    """One stroke a loop, from behind the hills."""
    loop.strike(0.0, 60, 0.06, _CLOCK, 0.3)


def _babble(loop: Loop) -> None:
    for at, note, side in ((0.25, 76, -0.4), (1.5, 81, 0.3), (2.75, 79, -0.2), (4.25, 84, 0.4), (5.5, 76, 0.0)):
        loop.strike(at, note, 0.026, _POP, side)
        loop.strike(at + 6 / loop.beat, note + 3, 0.02, _POP, side)


def _hum(loop: Loop) -> None:
    for note, gain in ((43, 0.022), (55, 0.011)):
        loop.tones[:, note - 36] += gain


def _drops(loop: Loop) -> None:
    for at, side in ((0.5, -0.5), (1.75, 0.4), (3.0, 0.0), (4.25, 0.6), (5.5, -0.3), (7.0, 0.2)):
        loop.burst(at, spectrum(12.0, 1.2), 0.022, 0.035, side)


def _bubbles(loop: Loop) -> None:
    """Strings of bubbles: each pops a little higher than the one before."""
    for at, low, side in ((1.0, 67, -0.5), (4.5, 72, 0.4)):
        for place, step in enumerate((0, 3, 5, 8, 12)):
            loop.strike(at + 7 * place / loop.beat, low + step, 0.03, _POP, side)


def _creaks(loop: Loop) -> None:
    """The ice groans once, cracks once, and rings."""
    for place in range(9):
        loop.burst(2.0 + 4 * place / loop.beat, spectrum(6.5, 0.8), 0.012 + 0.003 * place, 0.012, -0.5)
        loop.strike(2.0 + 4 * place / loop.beat, 50 + place // 3, 0.02, _POP, -0.5)
    loop.burst(5.5, spectrum(10.5, 1.2), 0.05, 0.02, 0.5)
    loop.strike(5.5, 91, 0.03, BELL, 0.5)
    loop.strike(6.0, 86, 0.018, BELL, 0.2)


def _drone(loop: Loop) -> None:
    loop.tones[:, 0] += 0.036
    loop.tones[:, 7] += 0.026
    for at, note in ((0, 79), (4, 76)):
        loop.hold(at, 4, note, 0.012, PAD, fade=loop.beat)


def _crackle(loop: Loop) -> None:
    for step, gain in zip(_CRACKLES, _CRACKLE_GAINS, strict=True):
        loop.burst(step / 4, spectrum(12.0, 1.1), 0.05 * gain, 0.018, 0.3 if step % 2 else -0.3)


def _aurora(loop: Loop) -> None:
    for at, note in ((0, 84), (2, 91), (4, 88), (6, 93)):
        loop.hold(at, 2, note, 0.018, PURE, fade=loop.beat)


_WRITERS: Final[dict[str, Callable[[Loop], None]]] = {
    "dawn_chorus": _dawn_chorus,
    "finches": _finches,
    "cuckoo": _cuckoo,
    "blackbird": _blackbird,
    "crickets": _crickets,
    "cicada": _cicada,
    "owl": _owl,
    "gulls": _gulls,
    "cowbells": _cowbells,
    "church_bell": _church_bell,
    "babble": _babble,
    "hum": _hum,
    "drops": _drops,
    "bubbles": _bubbles,
    "creaks": _creaks,
    "drone": _drone,
    "crackle": _crackle,
    "aurora": _aurora,
}
