"""Where something is: a place with its prepositions, and the sky over it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np

from streamgen_export.pocket.world.attributes import ABSTRACT, NONE, OUTDOORS, UNDER_WATER, WATER_SURFACE, Attributes
from streamgen_export.pocket.world.captions import places, skies, words
from streamgen_export.pocket.world.captions.english import bare, joined, pick

_DEFINITE_SHARE: Final = 0.25
"""Share of places called "the" instead of "a"."""
_SELF_LOCATED: Final = {"space": 0.45, "clouds": 1.0}
"""Share of places that stand without a preposition of ours, where some can."""
_WAKING_SHARE: Final = 0.2
_PASSED: Final = frozenset({"coast", "village", "city"})
STYLE_ADJECTIVES: Final = {"neon": "neon", "watercolour": "watercolour", "pixel": "pixel art"}
"""Styles that can stand before a place, "a neon city"."""


def noun_phrase(noun: str, rng: np.random.Generator, *adjectives: str) -> str:
    """A place with article and adjectives."""
    described = joined(*adjectives, bare(noun))
    if noun.startswith("~"):
        return f"the {described}" if rng.random() < _DEFINITE_SHARE and not any(adjectives) else described
    if noun.startswith("the "):
        return f"{'a' if any(adjectives) and noun in ('the sea', 'the ocean') else 'the'} {described}"
    if noun.startswith(("a ", "an ")):
        return f"{'the' if rng.random() < _DEFINITE_SHARE else 'a'} {described}"
    return described


def sky(a: Attributes, told: AbstractSet[str], rng: np.random.Generator, noun: str = "") -> tuple[str, str]:
    """(adjective, tail) for time and weather as far as they are told; no adjective without a noun that takes one."""
    described = noun != "" and noun not in places.UNDESCRIBED
    if a.place in UNDER_WATER:
        return "", pick(rng, skies.SUBMERGED_TAILS[a.time]) if "time" in told else ""
    timed, weathered = "time" in told and a.time != NONE, "weather" in told and a.weather != NONE
    if not weathered:
        if not timed:
            return "", ""
        sunny = a.weather == "clear" and rng.random() < 0.3
        return "", pick(rng, (skies.SUNNY_TAILS if sunny else skies.TIME_TAILS)[a.time])
    adjective = weather_adjective(a, timed, rng)
    if not timed:
        return (
            (adjective, "")
            if described and adjective not in ("", "clear") and rng.random() < 0.5
            else ("", weather_tail(a, rng))
        )
    draw = rng.random()
    # A clear morning is good English, clear dunes are not.
    if described and adjective not in ("", "clear") and draw < 0.35:
        return adjective, pick(rng, skies.TIME_TAILS[a.time])
    if draw < 0.55 and adjective and "-" not in adjective:
        return "", f"on a {adjective} {skies.TIME_NOUNS[a.time]}"
    weather, time = weather_tail(a, rng), pick(rng, skies.TIME_TAILS[a.time])
    if "night" in weather:
        return "", weather
    return "", f"{weather} {time}" if rng.random() < 0.6 else f"{time} {weather}"


def weather_adjective(a: Attributes, timed: bool, rng: np.random.Generator) -> str:
    """An adjective for the weather of a place, "" where none is right; `timed` where the time is told too."""
    if a.place == "clouds":
        return ""
    if a.weather != "clear":
        return pick(rng, skies.WEATHER_ADJECTIVES[a.weather])
    # "Clear" says little of a city, much of a morning.
    return pick(rng, skies.CLEAR_ADJECTIVES[a.time]) if timed or a.time in ("day", "night") else ""


def weather_tail(a: Attributes, rng: np.random.Generator) -> str:
    """What follows a place to tell its weather."""
    if a.weather == "clear":
        return pick(rng, skies.CLEAR_TAILS[a.time])
    own = skies.ABOVE_CLOUDS_TAILS if a.place == "clouds" else skies.WEATHER_TAILS
    return pick(rng, own[a.weather])


def headed(a: Attributes, told: AbstractSet[str], rng: np.random.Generator) -> str:
    """A place told from its weather or its time, "rain on a city at night"; "" where that is not possible."""
    if a.place not in OUTDOORS or a.place == "clouds" or "place" not in told:
        return ""
    noun = pick(rng, places.PLACE_NOUNS[a.place])
    if "weather" in told:
        heads = skies.CLEAR_HEADS[a.time] if a.weather == "clear" else skies.WEATHER_HEADS[a.weather]
        tail = pick(rng, skies.TIME_TAILS[a.time]) if "time" in told else ""
        return joined(pick(rng, heads), noun_phrase(noun, rng), tail)
    if "time" in told and a.time in skies.TIME_HEADS:
        return joined(pick(rng, skies.TIME_HEADS[a.time]), noun_phrase(noun, rng))
    return ""


def scene(a: Attributes, told: AbstractSet[str], rng: np.random.Generator, *, noun_only: bool = False) -> str:
    """The place alone with its sky; begins with a preposition in some cases unless `noun_only`."""
    if rng.random() < 0.22 and (found := headed(a, told, rng)):
        return found
    if a.place in places.PLACES_WHERE and not noun_only and rng.random() < 0.5:
        return joined(pick(rng, places.PLACES_WHERE[a.place]), sky(a, told, rng)[1])
    noun = pick(rng, places.PLACE_NOUNS[a.place])
    adjective, tail = sky(a, told, rng, noun)
    if a.place in ABSTRACT and a.subject == NONE and "colour" in told:
        colour = pick(rng, words.COLOUR_WORDS[a.colour])
        if "flight" in noun or rng.random() < 0.2:
            tail = joined(tail, pick(rng, (f"in {colour}", f"in {colour} light")))
        else:
            adjective = joined(adjective, colour)
    if tail in skies.TIME_TAILS["dawn"] and a.place not in ("clouds", "coast") and rng.random() < _WAKING_SHARE:
        tail = "waking at dawn"
    return joined(noun_phrase(noun, rng, adjective, _style_adjective(a, told, noun)), tail)


def _style_adjective(a: Attributes, told: AbstractSet[str], noun: str) -> str:
    if "style adjective" not in told or noun in places.UNDESCRIBED or noun.startswith("the "):
        return ""
    return STYLE_ADJECTIVES[a.style]


def where(a: Attributes, told: AbstractSet[str], rng: np.random.Generator) -> str:
    """Where the subject is and under which sky, "over the sea at sunset"; "" if nothing of it is told."""
    if "place" not in told:
        return sky(a, told, rng)[1]
    if a.place in places.PLACES_WHERE and rng.random() < _SELF_LOCATED.get(a.place, 0.75):
        return joined(pick(rng, places.PLACES_WHERE[a.place]), sky(a, told, rng)[1])
    noun = pick(rng, tuple(noun for noun in places.PLACE_NOUNS[a.place] if "flight" not in noun))
    adjective, tail = sky(a, told, rng, noun)
    return joined(_preposition(a, noun, told, rng), noun_phrase(noun, rng, adjective), tail)


def _preposition(a: Attributes, noun: str, told: AbstractSet[str], rng: np.random.Generator) -> str:
    inner = places.OWN_INNER.get(noun, places.INNER[a.place])
    kind, place, crosses = words.KINDS[a.subject], a.place, a.motion == "drifts"
    if kind == "train":
        enters = inner == ("in",) and place not in ("meadow", "desert")
        return pick(rng, ("through",) if enters else ("across", "through") if inner == ("in",) else ("past",))
    if kind == "boat" and place in ("sea", "river"):
        return pick(rng, ("on", "on", "across") if crosses and "motion" in told else ("on",))
    if kind == "swimmer" and place in ("sea", "river"):
        return pick(rng, ("out of", "out of", "in")) if "motion" in told else "in"
    if place == "space" and "planet" in noun:
        return pick(rng, ("past", "past", *inner) if crosses else inner)
    if crosses and place in _PASSED and rng.random() < 0.3:
        return "past"
    if kind in ("shape", "air") and (place in OUTDOORS or place == "fire") and a.motion not in ("bounces", "rolls"):
        if place in WATER_SURFACE and place != "coast":
            return pick(rng, ("over", "over", "above"))
        return pick(rng, ("over", "over", "above", "above", *inner)) if "" not in inner else "over"
    return pick(rng, inner)
