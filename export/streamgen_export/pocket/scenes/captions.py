"""Varied plain English for the attributes of a chunk."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

from streamgen_export.pocket.scenes.attributes import NONE, Attributes

COLOUR_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "red": ("red", "red", "crimson", "scarlet"),
    "orange": ("orange", "orange", "amber"),
    "yellow": ("yellow", "yellow", "golden yellow"),
    "green": ("green", "green", "emerald"),
    "cyan": ("cyan", "turquoise", "teal"),
    "blue": ("blue", "blue", "azure"),
    "purple": ("purple", "purple", "violet"),
    "pink": ("pink", "pink", "rose"),
    "white": ("white", "white", "pale white"),
}
SUBJECT_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "ball": ("ball", "ball", "sphere"),
    "cube": ("cube", "cube", "box", "square"),
    "star": ("star", "star", "five-pointed star"),
    "triangle": ("triangle", "triangle", "pyramid"),
    "heart": ("heart",),
    "ring": ("ring", "ring", "hoop"),
    "boat": ("boat", "sailing boat", "sailboat"),
    "balloon": ("balloon", "hot air balloon"),
    "bird": ("bird", "bird", "gull"),
    "fish": ("fish",),
}
MOTION_WORDS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "bounces": (("bouncing", "bounces"), ("bouncing", "bounces"), ("jumping", "jumps"), ("hopping", "hops")),
    "orbits": (("circling", "circles"), ("orbiting", "orbits"), ("going round", "goes round")),
    "drifts": (("drifting", "drifts"), ("gliding", "glides"), ("moving sideways", "moves sideways")),
    "floats": (
        ("floating", "floats"),
        ("hovering", "hovers"),
        ("floating up and down", "floats up and down"),
    ),
    "pulses": (
        ("pulsing", "pulses"),
        ("throbbing", "throbs"),
        ("growing and shrinking", "grows and shrinks"),
    ),
    "rolls": (("rolling", "rolls"),),
    "spins": (("spinning", "spins"), ("turning", "turns"), ("rotating slowly", "rotates slowly")),
}
_OWN_MOTION_WORDS: Final[dict[tuple[str, str], tuple[tuple[str, str], ...]]] = {
    ("bird", "drifts"): (("flying", "flies"), ("gliding", "glides")),
    ("bird", "orbits"): (("flying in circles", "flies in circles"), ("circling", "circles")),
    ("bird", "floats"): (("hovering", "hovers"), ("flapping", "flaps")),
    ("boat", "drifts"): (("sailing", "sails"), ("drifting", "drifts")),
    ("boat", "floats"): (("bobbing", "bobs"), ("rocking", "rocks")),
    ("fish", "bounces"): (("jumping", "jumps"), ("leaping", "leaps"), ("bouncing", "bounces")),
    ("fish", "drifts"): (("swimming", "swims"), ("drifting", "drifts")),
}
SCENE_WORDS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("meadow", "clear"): (
        "a green meadow",
        "a sunny meadow with hills",
        "green hills under a blue sky",
        "grassland on a clear day",
    ),
    ("meadow", "cloudy"): ("a cloudy meadow", "green hills under clouds", "a meadow on an overcast day"),
    ("meadow", "golden"): (
        "a meadow in golden light",
        "green hills in the late afternoon",
        "a golden meadow",
    ),
    ("night_hills", "clear"): (
        "hills at night",
        "night hills with moon and stars",
        "dark hills under a full moon",
        "a moonlit night",
    ),
    ("night_hills", "misty"): ("misty hills at night", "a foggy night in the hills", "night hills in mist"),
    ("sea", "clear"): (
        "a calm sea",
        "a blue ocean on a clear day",
        "calm blue sea",
        "gentle waves under a blue sky",
    ),
    ("sea", "stormy"): (
        "a stormy sea",
        "stormy ocean under grey sky",
        "rough sea with big waves",
        "a storm at sea",
    ),
    ("sea", "night"): (
        "the sea at night",
        "a calm sea at night",
        "night ocean under the moon",
        "moonlit sea",
    ),
    ("sunset", "golden"): (
        "a sea at sunset",
        "sunset over the ocean",
        "a golden sunset at the sea",
        "the sun setting over the water",
    ),
    ("sunset", "cloudy"): (
        "a cloudy sunset at the sea",
        "purple sunset over the ocean",
        "a dark pink sunset sea",
    ),
    ("city", "clear"): (
        "a city at night",
        "city skyline with lit windows",
        "night skyline with skyscrapers",
        "a big city in the night",
    ),
    ("city", "misty"): ("a misty city at night", "city skyline in fog", "foggy night in the city"),
    ("rain", "cloudy"): ("rain over hills", "rainy hills", "light rain on grey hills", "a rainy day"),
    ("rain", "stormy"): ("heavy rain over dark hills", "pouring rain", "a rain storm over the hills"),
    ("snow", "cloudy"): (
        "snow falling on white hills",
        "a snowy landscape",
        "winter hills in snow",
        "snowfall",
    ),
    ("snow", "night"): ("snow at night", "a snowy night", "snowfall on a winter night"),
    ("fire", "bright"): ("a bright fire", "burning flames", "big flames of a fire", "a blazing fire"),
    ("fire", "dim"): ("glowing embers", "a dying fire with embers", "the dim glow of embers"),
    ("aurora", "clear"): (
        "northern lights",
        "aurora in a starry sky",
        "green aurora over snowy mountains",
        "polar lights at night",
    ),
    ("aurora", "bright"): ("bright purple northern lights", "a bright violet aurora", "strong pink aurora"),
    ("space", "clear"): (
        "outer space with a planet",
        "a ringed planet among stars",
        "deep space",
        "planet and stars",
    ),
    ("space", "misty"): (
        "a purple nebula in space",
        "space with a glowing nebula",
        "a planet in a cosmic cloud",
    ),
    ("desert", "clear"): ("desert dunes", "a sunny desert", "sand dunes under a blue sky", "the hot desert"),
    ("desert", "golden"): ("desert dunes at sunset", "golden sand dunes", "a desert in the evening sun"),
    ("desert", "night"): ("a desert at night", "dark dunes under stars", "night in the desert"),
    ("pulses", "bright"): ("abstract pulses", "pulsing rings of light", "abstract waves on the beat"),
    ("pulses", "dim"): ("dim abstract pulses", "soft dark rings of light", "slow dark abstract waves"),
}
_COLOURED_PULSES: Final[dict[str, tuple[str, ...]]] = {
    "bright": ("pulsing {} rings", "{} abstract waves on the beat", "bright {} light pulses"),
    "dim": ("dim {} rings pulsing", "dark {} abstract waves", "soft dim {} pulses"),
}
MOOD_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "calm": ("calm music", "gentle piano-like chords", "peaceful sound", "quiet calm chords"),
    "joyful": ("happy music", "cheerful melody", "joyful lively music", "bright lively plucks"),
    "melancholy": ("sad music", "melancholy chords", "slow sad minor chords"),
    "dreamy": ("dreamy music", "dreamy floating chords", "soft dreamlike sound"),
    "tense": ("tense music", "dark driving music", "nervous minor music", "suspenseful sound"),
}
_PREPOSITIONS: Final[dict[str, tuple[str, ...]]] = {
    "sea": ("over", "on", "above"),
    "sunset": ("over", "above", "in front of"),
    "city": ("in front of", "over", "above"),
    "rain": ("in", "in front of"),
    "snow": ("in", "in front of"),
    "fire": ("in front of", "above"),
    "aurora": ("under", "in front of"),
    "space": ("in", "in front of"),
    "pulses": ("in front of", "with"),
}
_ARTICLES = ("a ", "an ", "the ")


def caption(attributes: Attributes, rng: np.random.Generator, mention: Collection[str] = ()) -> str:
    """Describe `attributes` in at most about 25 words.

    Wording, word order and length vary with `rng`, and attributes are sometimes left out, except those
    named in `mention` (field names of `Attributes`).
    """
    scene = _scene(attributes, rng)
    mood = _pick(rng, MOOD_WORDS[attributes.mood]) if "mood" in mention or rng.random() < 0.45 else ""
    if attributes.subject == NONE:
        return _join(rng, [scene, mood])
    named = bool({"scene", "light"} & set(mention)) or rng.random() > 0.07
    if rng.random() < 0.12:
        return _tags(attributes, rng, scene if named else "", mood)
    told = _subject_phrase(attributes, rng, motion="motion" in mention or rng.random() < 0.85)
    if not named:
        return _join(rng, [told, mood])
    form = rng.random()
    if form < 0.5:
        preposition = _pick(rng, _PREPOSITIONS.get(attributes.scene, ("over", "in front of", "in")))
        told, scene = f"{told} {preposition} {scene}", ""
    elif form < 0.65:
        told, scene = f"{scene} with {told}", ""
    return _join(rng, [told, scene, mood])


def _pick(rng: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(rng.integers(len(words)))]


def _bare(phrase: str) -> str:
    for article in _ARTICLES:
        phrase = phrase.removeprefix(article)
    return phrase


def _with_article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _scene(attributes: Attributes, rng: np.random.Generator) -> str:
    if attributes.scene == "pulses" and attributes.subject == NONE and attributes.colour != NONE:
        template = _pick(rng, _COLOURED_PULSES[attributes.light])
        return template.format(_pick(rng, COLOUR_WORDS[attributes.colour]))
    return _pick(rng, SCENE_WORDS[attributes.scene, attributes.light])


def _motion_words(attributes: Attributes, rng: np.random.Generator) -> tuple[str, str]:
    own = _OWN_MOTION_WORDS.get((attributes.subject, attributes.motion)) if attributes.second == NONE else None
    words = own or MOTION_WORDS[attributes.motion]
    return words[int(rng.integers(len(words)))]


def _thing(subject: str, colour: str, rng: np.random.Generator) -> str:
    return f"{_pick(rng, COLOUR_WORDS[colour])} {_pick(rng, SUBJECT_WORDS[subject])}"


def _subject_phrase(attributes: Attributes, rng: np.random.Generator, *, motion: bool) -> str:
    thing = _thing(attributes.subject, attributes.colour, rng)
    doing, does = _motion_words(attributes, rng)
    if attributes.second != NONE:
        both = f"{_with_article(thing)} and {_with_article(_thing(attributes.second, attributes.second_colour, rng))}"
        return f"{both} {doing}" if motion else both
    size = "big " if rng.random() < 0.1 else ""
    place = ""
    if attributes.place != "centre" and rng.random() < 0.3:
        place = f" on the {attributes.place}"
    if not motion:
        return _with_article(size + thing) + place
    form = rng.random()
    if form < 0.5:
        return f"{_with_article(size + thing)} {doing}{place}"
    if form < 0.75 and " " not in doing:
        return f"{_with_article(f'{doing} {size}{thing}')}{place}"
    return f"{_with_article(size + thing)} {does}{place}"


def _tags(attributes: Attributes, rng: np.random.Generator, scene: str, mood: str) -> str:
    tags = [_thing(attributes.subject, attributes.colour, rng), _motion_words(attributes, rng)[0]]
    if attributes.second != NONE:
        tags.insert(1, _thing(attributes.second, attributes.second_colour, rng))
    return _join(rng, [_bare(scene), ", ".join(tags), mood])


def _join(rng: np.random.Generator, parts: list[str]) -> str:
    told = [part for part in parts if part]
    order = rng.permutation(len(told)) if rng.random() < 0.5 else np.arange(len(told))
    text = ", ".join(told[int(i)] for i in order)
    style = rng.random()
    if style < 0.15:
        text = _bare(text)
    elif style < 0.3:
        text = text[0].upper() + text[1:] + ("." if style < 0.22 else "")
    return text
