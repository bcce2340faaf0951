"""The words for changes: clauses that need nothing added."""

from __future__ import annotations

from typing import Final

TIME_CLAUSES: Final[dict[str, tuple[str, ...]]] = {
    "dawn": ("dawn breaks", "the sun rises", "morning comes", "it becomes morning", "now at dawn", "the sun comes up"),
    "day": ("it becomes day", "the day begins", "now by day", "it is day now", "now in daylight", "now at noon"),
    "sunset": ("the sun sets", "the sun goes down", "evening comes", "it becomes evening", "now at sunset"),
    "night": ("night falls", "it gets dark", "it becomes night", "now at night", "it is night now", "it turns dark"),
}
SUBMERGED_CLAUSES: Final[dict[str, tuple[str, ...]]] = {
    "day": ("it becomes day", "it is day now", "now in sunlight", "sunlight shines into the water", "now by day"),
    "night": ("night falls", "it gets dark", "it becomes night", "now at night", "it is night now"),
}
WEATHER_CLAUSES: Final[dict[str, tuple[str, ...]]] = {
    "clear": ("the sky clears", "the weather clears up", "it clears up", "now under a clear sky"),
    "cloudy": (
        "clouds cover the sky",
        "it clouds over",
        "the sky becomes cloudy",
        "clouds come up",
        "now it is cloudy",
    ),
    "misty": (
        "fog rolls in",
        "mist comes up",
        "it becomes foggy",
        "it gets misty",
        "now in fog",
        "fog covers everything",
    ),
    "rain": (
        "it starts to rain",
        "it begins to rain",
        "rain begins to fall",
        "now it rains",
        "now with rain",
        "rain sets in",
    ),
    "snow": (
        *("it starts to snow", "it begins to snow", "snow begins to fall", "now it snows", "now with snow"),
        "it starts snowing",
    ),
    "storm": (
        *("a storm comes up", "a storm breaks out", "a thunderstorm begins", "it becomes stormy", "now in a storm"),
        "a storm begins",
    ),
}
HAPPENING_CLAUSES: Final[dict[str, tuple[str, ...]]] = {
    "fireworks": (
        *("suddenly fireworks", "fireworks begin", "fireworks light up the sky", "now fireworks", "with fireworks now"),
        "fireworks start",
    ),
    "aurora": (
        "northern lights appear",
        "now with northern lights",
        "an aurora lights up the sky",
        "polar lights appear",
    ),
    "shooting_stars": (
        "shooting stars appear",
        "shooting stars cross the sky",
        "now with falling stars",
        "stars begin to fall",
    ),
}
CAMERA_CLAUSES: Final[dict[str, tuple[str, ...]]] = {
    "still": ("the camera stops", "the camera stands still now", "now with a still camera", "the camera holds still"),
    "left": (
        "the camera starts to pan left",
        "now the camera pans left",
        "now panning left",
        "the camera moves left now",
    ),
    "right": (
        *("the camera starts to pan right", "now the camera pans right", "now panning right"),
        "the camera moves right now",
    ),
    "zoom": ("the camera starts to zoom in and out", "now slowly zooming in and out", "the camera begins to zoom"),
    "sway": (
        "now with a handheld camera",
        "the camera starts to sway",
        "the camera begins to shake",
        "handheld camera now",
    ),
}
STYLE_NOUNS: Final[dict[str, tuple[str, ...]]] = {
    "natural": ("a realistic picture", "a natural picture"),
    "watercolour": ("a watercolour", "a watercolour painting", "a watercolor painting"),
    "ink": ("an ink drawing", "an ink sketch"),
    "neon": ("a neon drawing", "a picture of neon light"),
    "pixel": ("pixel art", "an old video game"),
    "paper": ("a paper cut-out", "a paper collage"),
}
TEMPO_CLAUSES: Final[dict[str, tuple[str, ...]]] = {
    "slow": ("the music slows down", "the music becomes slow", "slow music now", "the music gets slower"),
    "medium": ("the music gets a medium tempo", "now at a medium tempo", "the beat becomes moderate"),
    "fast": ("the music gets faster", "the music becomes fast", "fast music now", "the beat becomes faster"),
}
PACE_CLAUSES: Final[dict[str, tuple[str, ...]]] = {
    "slow": ("{} slow<s> down", "{} move<s> slowly now", "now slowly"),
    "normal": ("{} move<s> at normal speed now", "back to normal speed", "now at normal speed"),
    "fast": ("{} speed<s> up", "{} move<s> fast now", "{} get<s> fast", "faster now"),
}
"""Pace to clauses about a subject; here and below "<s>", "<es>" and "<is>" belong to one and not to many."""
GONE: Final = ("{} disappear<s>", "{} <is> gone", "without {} now", "{} vanish<es>", "remove {}")
APPEARS: Final = ("{} appear<s>", "{} come<s> in", "now with {}", "there <is> {} now", "add {}", "now {}")
TURNS: Final = ("{} turn<s> into {}", "{} turn<s> into {}", "{} become<s> {}", "{} change<s> into {}")
RECOLOURED: Final = ("{} turn<s> {}", "{} turn<s> {}", "{} become<s> {}", "now {} <is> {}", "make {} {}")
LIGHT_COLOURS: Final = (
    "the light turns {}",
    "everything turns {}",
    "now in {}",
    "the light becomes {}",
    "now it is {}",
)
OVER: Final = ("the {} end<s>", "no more {}", "the {} fade<s> away", "the {} stop<s>")
PALETTE_CLAUSES: Final[dict[str, tuple[str, ...]]] = {
    "natural": ("back to natural colours", "the colours become natural", "now in natural colours"),
    "warm": ("the colours become warm", "the colours turn warm", "warmer colours now", "everything in warm colours"),
    "cool": ("the colours become cool", "the colours turn cold", "cooler colours now", "everything in cool colours"),
    "pastel": ("the colours become pastel", "the colours turn pastel", "everything in pastel colours"),
    "mono": ("the colours fade to black and white", "everything turns black and white", "in black and white now"),
}
MUSIC_STARTS: Final = ("{2}{0} {1} starts", "{2}{0} {1} begins", "now with {2}{0} {1}")
MUSIC_TURNS: Final = ("the {1} becomes {0}", "the {1} turns {0}", "now {2}{0} {1}", "the {1} gets {0}")
MUSIC_ENDS: Final = ("the music stops", "the music ends", "no more music", "now without music")
