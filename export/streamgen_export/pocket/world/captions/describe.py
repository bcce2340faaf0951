"""Whole descriptions: what of the attributes is told, in which order, and short enough for the text encoder."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np

from streamgen_export.pocket.world.attributes import ABSTRACT, NONE, OUTDOORS, Attributes, has_side
from streamgen_export.pocket.world.captions import phrases, settings, skies, words
from streamgen_export.pocket.world.captions.english import bare, joined, pick, with_articles
from streamgen_export.pocket.world.captions.keywords import keywords
from streamgen_export.pocket.world.captions.pieces import MAX_PIECES, pieces

_SHARES: Final = {
    "place": 0.92,
    "time": 0.7,
    "weather": 0.75,
    "happening": 0.92,
    "subject": 0.97,
    "colour": 0.9,
    "motion": 0.55,
    "count": 0.92,
    "side": 0.6,
    "second": 0.92,
    "second_colour": 0.9,
    "pace": 0.75,
    "style": 0.92,
    "palette": 0.85,
    "camera": 0.75,
    "mood": 0.45,
    "tempo": 0.45,
}
"""Share of captions that tell an attribute which is not plain."""
_PLAIN_SHARES: Final = {
    ("weather", "clear"): 0.25,
    ("style", "natural"): 0.04,
    ("palette", "natural"): 0.02,
    ("camera", "still"): 0.04,
    ("pace", "normal"): 0.03,
    ("side", "centre"): 0.12,
    ("mood", NONE): 0.25,
}
"""Share of captions that tell a plain value."""
_COLOUR_SHARE_IN_GREY: Final = 0.4
_BARE_SHARE: Final = 0.03
_BARE_HAPPENING_SHARE: Final = 0.12
"""Share of captions that tell nothing but the subject, or without one nothing but what happens in the sky."""
_LEAST_FIRST: Final = (
    *("camera", "tempo", "mood", "pace", "motion", "side", "palette", "weather", "time", "style", "happening"),
    *("count", "second_colour", "second", "colour", "place"),
)
"""What is left out first where a caption gets too long."""
_KEYWORDS_SHARE: Final = 0.11
_FRAMED_SHARE: Final = 0.04
_FRAMES: Final = ("a picture of", "a video of", "a view of", "show me", "a scene with")
_TRIES: Final = 24


def sayable(a: Attributes, name: str) -> bool:
    """Whether an attribute has a value that words can tell."""
    match name:
        case "time" | "weather" | "second_colour" | "motion":
            return str(getattr(a, name)) != NONE
        case "colour":
            return a.colour != NONE
        case "side":
            return a.second != NONE or has_side(a.motion)
        case "count" | "second" | "pace":
            return a.subject != NONE
        case "tempo":
            return a.mood != NONE or a.place in ABSTRACT
    return True


def describe(a: Attributes, rng: np.random.Generator, mention: Collection[str], before: Attributes | None) -> str:
    """Describe a whole state; see `caption`."""
    must = frozenset(name for name in mention if sayable(a, name))
    must |= _needed(a, must)
    told = _told(a, rng, must)
    typed = rng.random() < _KEYWORDS_SHARE
    for _ in range(_TRIES):
        text = keywords(a, told, rng, must, before) if typed else _sentence(a, told, rng, must, before)
        text = with_articles(text)
        if pieces(text) <= MAX_PIECES:
            return text
        dropped = next((name for name in _LEAST_FIRST if name in told and name not in must), None)
        if dropped is None or (dropped == "place" and not told & {"subject", "happening"}):
            typed = True
        else:
            told -= {dropped} | ({"pace"} if dropped == "motion" else set())
    return with_articles(keywords(a, told, rng, must, before, shortest=True))


def _needed(a: Attributes, must: AbstractSet[str]) -> set[str]:
    """What has to be told for the sake of something else that has to be."""
    needed = {"motion"} if "pace" in must else set()
    if a.subject != NONE and must & {"colour", "second_colour", "motion", "side", "count", "second", "pace"}:
        needed.add("subject")
    if a.second != NONE and must & {"side", "second_colour"}:
        needed.add("second")
    return needed


def _told(a: Attributes, rng: np.random.Generator, must: frozenset[str]) -> set[str]:
    """Names of the attributes that are told."""
    told = set(must)
    for name, share in _SHARES.items():
        value = getattr(a, name)
        share = _PLAIN_SHARES.get((name, value), share)
        if name == "colour" and a.palette == "mono":
            share = _COLOUR_SHARE_IN_GREY
        if rng.random() < share and sayable(a, name):
            told.add(name)
    if a.mood == NONE or ("mood" not in told and rng.random() > (0.3 if a.place in ABSTRACT else 0.06)):
        told -= {"tempo"} - must
    if a.subject == NONE:
        told -= {"subject"} - must
    if a.happening == NONE:
        told -= {"happening"} - must
    for name, needed in (("pace", "motion"), ("second_colour", "second")):
        if needed not in told:
            told.discard(name)
    if a.subject != NONE and "subject" not in told:
        told -= {"colour", "motion", "pace", "side", "count", "second", "second_colour"}
    if rng.random() < (_BARE_SHARE if a.subject != NONE else _BARE_HAPPENING_SHARE):
        if a.subject != NONE and "subject" in told:
            told &= {"subject", "colour", "count", "second", "second_colour"} | must
        elif a.happening != NONE:
            told = {"happening"} | must
    seen = (a.subject != NONE and "subject" in told) or (a.happening != NONE and "happening" in told)
    outside = a.place in OUTDOORS and a.place != "clouds" and told & {"time", "weather"}
    if not seen and not outside:
        told.add("place")
    return told


def _sentence(
    a: Attributes, told: set[str], rng: np.random.Generator, must: frozenset[str], before: Attributes | None
) -> str:
    with_subject = a.subject != NONE and "subject" in told
    shown = set(told)
    adjective = settings.STYLE_ADJECTIVES.get(a.style, "")
    if adjective and {"style", "place"} <= told and not with_subject and rng.random() < 0.2:
        shown = shown - {"style"} | {"style adjective"}
    text, form = _with_subject(a, shown, rng, must) if with_subject else _without_subject(a, shown, rng, must)
    if "style adjective" in shown and adjective not in text:
        shown.add("style")
    if a.happening != NONE and "happening" in told and with_subject:
        text = _with_happening(a, text, rng)
    elif a.happening == NONE and "happening" in told:
        text += f", {pick(rng, phrases.no_happening(before))}"
    return _finished(a, text, form, shown, rng)


def _with_subject(a: Attributes, told: set[str], rng: np.random.Generator, must: frozenset[str]) -> tuple[str, str]:
    """(text, form): "noun" phrase, "clause", or "other" for what begins with a preposition."""
    seen = phrases.doing(a, told, rng, must)
    located = settings.where(a, told, rng)
    draw = rng.random()
    if "place" in told and draw < 0.3:
        if draw < 0.08 and not located.startswith("past"):
            if seen.does:
                return f"{located}, {seen.who} {seen.does}", "clause"
            return f"{located}, {seen.who}", "other"
        if draw < 0.16:
            scene = settings.scene(a, told, rng, noun_only=True)
            return f"{scene} with {joined(seen.who, seen.doing)}", "noun"
        if draw < 0.25:
            return f"{joined(seen.who, seen.doing)}, {settings.scene(a, told, rng)}", "noun"
        found = settings.headed(a, told, rng)
        if found:
            return f"{found}, {joined(seen.who, seen.doing)}", "noun"
    if seen.doing and located.startswith("past ") and "side" not in told and rng.random() < 0.5:
        pace = next((word for word in seen.doing.split(" ") if word.endswith("ly")), "")
        if pace or "pace" not in told:
            return joined(seen.who, pace, "passing", located.removeprefix("past ")), "noun"
    if seen.does and draw > 0.68:
        return joined(seen.who, seen.does, located), "clause"
    if draw > 0.64:
        be = "are" if a.count != "one" else "is"
        return joined(f"there {be}", seen.who, seen.doing, located), "clause"
    return joined(seen.who, seen.doing, located), "noun"


def _without_subject(a: Attributes, told: set[str], rng: np.random.Generator, must: frozenset[str]) -> tuple[str, str]:
    happens = a.happening != NONE and "happening" in told
    if "place" not in told:
        sky = settings.sky(a, told, rng)[1]
        if happens:
            return joined(phrases.happening_words(a, rng), sky), "noun"
        return _bare_sky(a, told, rng), "noun"
    if not happens:
        noun_only = "subject" in must or rng.random() < 0.3
        text = settings.scene(a, told, rng, noun_only=noun_only)
        if "subject" in must:
            text = pick(rng, ("just {}", "only {}", "{}, nothing else", "{} and nothing else")).format(text)
        return text, "other" if text.split(" ")[0] in _PREPOSITIONS or "subject" in must else "noun"
    said, scene = phrases.happening_words(a, rng), settings.scene(a, told, rng, noun_only=True)
    alone = ", nothing else" if "subject" in must else ""
    draw = rng.random()
    if a.place == "space":
        return f"{scene} {pick(rng, ('with', 'and'))} {said}{alone}", "noun"
    if draw < 0.5:
        return f"{said} {pick(rng, ('over', 'over', 'above'))} {scene}{alone}", "noun"
    if draw < 0.65 and a.happening == "aurora":
        return f"{scene} under {said}{alone}", "noun"
    return f"{scene}{pick(rng, (' with', ',', ' and'))} {said}{alone}", "noun"


_PREPOSITIONS: Final = frozenset(
    {"in", "under", "underwater", "above", "over", "high", "below", "beneath", "deep", "among", "far"}
)


def _bare_sky(a: Attributes, told: AbstractSet[str], rng: np.random.Generator) -> str:
    """Weather and time of no place at all, "rain at night"."""
    timed = "time" in told
    noun, tail = skies.TIME_NOUNS[a.time], pick(rng, skies.TIME_TAILS[a.time]) if timed else ""
    if "weather" not in told:
        return pick(rng, (*skies.TIME_TAGS[a.time], noun))
    adjective = settings.weather_adjective(a, timed, rng)
    if timed and adjective and "-" not in adjective and rng.random() < 0.5:
        return f"a {adjective} {noun}"
    heads = skies.CLEAR_HEADS[a.time] if a.weather == "clear" else skies.WEATHER_HEADS[a.weather]
    return joined(pick(rng, heads).removesuffix(" over").removesuffix(" on"), tail)


def _with_happening(a: Attributes, text: str, rng: np.random.Generator) -> str:
    said = phrases.happening_words(a, rng)
    if a.place != "space" and rng.random() < 0.4:
        return f"{text}{pick(rng, (' with', ',', ' and'))} {said} in the sky"
    if a.happening == "aurora" and rng.random() < 0.5:
        return f"{text} under {said}"
    return f"{text}{pick(rng, (' with', ',', ','))} {said}"


def _finished(a: Attributes, text: str, form: str, told: AbstractSet[str], rng: np.random.Generator) -> str:
    """Style, palette, camera and music around a description, and how it is written."""
    after: list[str] = []
    if form == "noun" and a.style == "natural" and rng.random() < _FRAMED_SHARE:
        text = f"{pick(rng, _FRAMES)} {text}"
    if "style" in told:
        if form == "noun" and rng.random() < 0.4:
            text = f"{pick(rng, words.STYLE_FRAMES[a.style])} {text}"
        else:
            after.append(pick(rng, words.STYLE_WORDS[a.style]))
    if "palette" in told:
        after.append(pick(rng, words.PALETTE_WORDS[a.palette]))
    if "camera" in told:
        after.append(pick(rng, words.CAMERA_WORDS[a.camera]))
    music = phrases.music_words(a, told, rng)
    if music:
        plain = music.startswith(("with", "to ", "no ", "pulsing")) or music.endswith("tempo")
        after.append(music if plain or rng.random() < 0.6 else f"with {music}")
    if len(after) > 1 and rng.random() < 0.4:
        after = [after[int(i)] for i in rng.permutation(len(after))]
    if after and form != "clause" and rng.random() < 0.1 and not after[0].startswith(("with", "to ")):
        return f"{after[0]}, {', '.join((text, *after[1:]))}"
    for number, part in enumerate(after):
        close = number == 0 and part.startswith(("in ", "as ", "with ", "to "))
        text += f" {part}" if close and rng.random() < 0.5 else f", {part}"
    return _written(text, form, rng)


def _written(text: str, form: str, rng: np.random.Generator) -> str:
    draw = rng.random()
    if form == "clause":
        draw *= 0.45
    if draw < 0.25:
        return f"{text[0].upper()}{text[1:]}{'.' if form == 'clause' or draw < 0.08 else ''}"
    if form == "noun" and draw > 0.9 and not text.startswith("~"):
        return bare(text)
    return text
