"""The words for times of day, weathers and what happens in the sky."""

from __future__ import annotations

from typing import Final

TIME_TAILS: Final[dict[str, tuple[str, ...]]] = {
    "dawn": (
        *("at dawn", "at dawn", "at dawn", "at sunrise", "in the early morning", "at daybreak", "at first light"),
        *("in the morning", "early in the morning", "in the morning light"),
    ),
    "day": (
        "by day",
        "in daylight",
        "in the daytime",
        "during the day",
        "at noon",
        "at midday",
        "in the middle of the day",
    ),
    "sunset": (
        "at sunset",
        "at sunset",
        "at sunset",
        "at dusk",
        "in the evening",
        "at sundown",
        "in the evening light",
    ),
    "night": (
        *("at night", "at night", "at night", "at night", "by night", "after dark", "in the night", "at midnight"),
        *("late at night", "in the dark of night"),
    ),
}
"""Time of day to what follows a place."""
SUNNY_TAILS: Final[dict[str, tuple[str, ...]]] = {
    "dawn": ("as the sun rises", "at sunrise", "in the morning sun", "while the sun comes up"),
    "day": ("in the sun", "in broad daylight", "on a sunny day"),
    "sunset": ("as the sun sets", "in the evening sun", "while the sun goes down", "in the setting sun"),
    "night": ("in the moonlight", "under the moon", "under the stars", "on a starry night"),
}
"""The same where the sky is clear, though nothing more is said of the weather."""
TIME_HEADS: Final[dict[str, tuple[str, ...]]] = {
    "dawn": ("dawn over", "sunrise over", "early morning over"),
    "sunset": ("sunset over", "dusk over", "evening over"),
    "night": ("night over",),
}
"""Time of day to what stands before a place."""
TIME_NOUNS: Final = {"dawn": "morning", "day": "day", "sunset": "evening", "night": "night"}
TIME_TAGS: Final[dict[str, tuple[str, ...]]] = {
    "dawn": ("dawn", "sunrise", "morning"),
    "day": ("daytime", "daylight"),
    "sunset": ("sunset", "dusk", "evening"),
    "night": ("night", "night"),
}
SUBMERGED_TAILS: Final[dict[str, tuple[str, ...]]] = {
    "day": ("in sunlight", "by day", "in daylight", "in beams of sunlight", "lit by the sun", "during the day"),
    "night": ("at night", "at night", "by night", "in the moonlight", "in the dark of night"),
}
"""Time of day to what follows a place under water."""

WEATHER_ADJECTIVES: Final[dict[str, tuple[str, ...]]] = {
    "cloudy": ("cloudy", "cloudy", "overcast"),
    "misty": ("misty", "misty", "foggy", "foggy", "hazy"),
    "rain": ("rainy", "rainy", "rainy", "wet and rainy"),
    "snow": ("snowy", "snowy", "snow-covered", "winter", "wintry"),
    "storm": ("stormy", "stormy", "stormy", "storm-swept"),
}
CLEAR_ADJECTIVES: Final[dict[str, tuple[str, ...]]] = {
    "dawn": ("clear",),
    "day": ("sunny", "sunny", "clear"),
    "sunset": ("clear",),
    "night": ("clear", "starry", "moonlit", "starlit"),
}
"""The same for the clear weather of a time of day."""
WEATHER_TAILS: Final[dict[str, tuple[str, ...]]] = {
    "cloudy": ("under a cloudy sky", "under grey clouds", "under clouds", "in cloudy weather", "under an overcast sky"),
    "misty": ("in the mist", "in fog", "in the fog", "in thick fog", "in a haze", "in mist"),
    "rain": ("in the rain", "in the rain", "in rain", "in heavy rain", "in pouring rain", "while it rains"),
    "snow": ("in the snow", "in falling snow", "in winter snow", "while it snows", "as snow falls", "in the snow"),
    "storm": ("in a storm", "in a storm", "during a storm", "in a thunderstorm", "in stormy weather", "with lightning"),
}
CLEAR_TAILS: Final[dict[str, tuple[str, ...]]] = {
    "dawn": ("under a clear sky", "in clear weather"),
    "day": ("under a blue sky", "under a clear sky", "in bright sunshine", "in the sunshine", "under a clear blue sky"),
    "sunset": ("under a clear sky", "in clear weather"),
    "night": ("under a starry sky", "under a clear sky", "under a clear night sky", "under the stars"),
}
ABOVE_CLOUDS_TAILS: Final[dict[str, tuple[str, ...]]] = {
    "cloudy": ("under a cloudy sky", "under more clouds", "with more clouds overhead"),
    "storm": ("in a storm", "in a thunderstorm", "with lightning", "in stormy weather"),
}
WEATHER_HEADS: Final[dict[str, tuple[str, ...]]] = {
    "cloudy": ("grey clouds over", "clouds over", "a cloudy sky over"),
    "misty": ("fog over", "mist over", "thick fog over"),
    "rain": ("rain on", "rain over", "rain falling on", "heavy rain over"),
    "snow": ("snow falling on", "snowfall over", "snow falling over", "snow on"),
    "storm": ("a storm over", "a thunderstorm over", "lightning over"),
}
"""Weather to what stands before a place."""
CLEAR_HEADS: Final[dict[str, tuple[str, ...]]] = {
    "dawn": ("a clear sky over",),
    "day": ("sunshine over", "a blue sky over", "a clear sky over"),
    "sunset": ("a clear sky over",),
    "night": ("a starry sky over", "a clear sky over", "moonlight over"),
}
WEATHER_TAGS: Final[dict[str, tuple[str, ...]]] = {
    "clear": ("clear sky",),
    "cloudy": ("cloudy", "clouds", "overcast"),
    "misty": ("mist", "fog", "misty", "foggy"),
    "rain": ("rain", "rainy"),
    "snow": ("snow", "snowy", "snowfall"),
    "storm": ("storm", "stormy", "thunderstorm"),
}

HAPPENING_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "fireworks": ("fireworks", "fireworks", "fireworks", "colourful fireworks", "bursting fireworks", "big fireworks"),
    "aurora": ("northern lights", "the northern lights", "an aurora", "polar lights", "glowing northern lights"),
    "shooting_stars": ("shooting stars", "shooting stars", "falling stars", "a meteor shower"),
}
HAPPENING_TAGS: Final[dict[str, tuple[str, ...]]] = {
    "fireworks": ("fireworks",),
    "aurora": ("aurora", "northern lights"),
    "shooting_stars": ("shooting stars", "falling stars"),
}
"""The same as keywords and in the negative ("no more fireworks")."""
