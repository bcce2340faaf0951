"""Descriptions as people type them into a search box, "red balloon sea sunset"."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import numpy as np

from streamgen_export.pocket.world.attributes import ABSTRACT, NONE, Attributes, has_side
from streamgen_export.pocket.world.captions import phrases, places, skies, words
from streamgen_export.pocket.world.captions.english import bare, joined, participle, pick, plural
from streamgen_export.pocket.world.captions.pieces import pieces


def keywords(
    a: Attributes,
    told: AbstractSet[str],
    rng: np.random.Generator,
    must: AbstractSet[str],
    before: Attributes | None,
    *,
    shortest: bool = False,
) -> str:
    """The attributes that are told, one after the other; with `shortest` in as few words as there are."""

    def one(options: tuple[str, ...]) -> str:
        return min(options, key=pieces) if shortest else pick(rng, options)

    parts = []
    if a.subject != NONE and "subject" in told:
        parts.extend(_thing_keywords(a, told, rng, must, shortest))
    if a.place in ABSTRACT and a.subject == NONE and "colour" in told:
        parts.append(f"{one(words.COLOUR_WORDS[a.colour])} {one(places.PLACE_TAGS[a.place])}")
    elif "place" in told:
        parts.append(one(places.PLACE_TAGS[a.place]))
    if a.subject == NONE and "subject" in must:
        parts.append("nothing else")
    if "weather" in told:
        parts.append(one(skies.WEATHER_TAGS[a.weather]))
    if "time" in told:
        parts.append(one(skies.TIME_TAGS[a.time]))
    if "happening" in told:
        parts.append(
            one(phrases.no_happening(before)) if a.happening == NONE else one(skies.HAPPENING_TAGS[a.happening])
        )
    lists = (("style", words.STYLE_WORDS), ("palette", words.PALETTE_WORDS), ("camera", words.CAMERA_WORDS))
    parts.extend(one(table[getattr(a, name)]).removeprefix("in ") for name, table in lists if name in told)
    music = phrases.music_words(a, told, rng).removeprefix("a ")
    if shortest and music and a.mood != NONE:
        moods = [one(words.MOOD_WORDS[a.mood])] if "mood" in told else []
        music = joined(*([one(words.TEMPO_WORDS[a.tempo])] if "tempo" in told else []), *moods, "music")
    parts.extend([music] if music else [])
    spaced = shortest or (len(parts) <= 4 and rng.random() < 0.5)
    return (" " if spaced else ", ").join(parts)


def _thing_keywords(
    a: Attributes, told: AbstractSet[str], rng: np.random.Generator, must: AbstractSet[str], shortest: bool
) -> list[str]:
    def one(options: tuple[str, ...]) -> str:
        return min(options, key=pieces) if shortest else pick(rng, options)

    if not shortest:
        seen = phrases.thing(a, told, rng, must)
    else:
        many = a.count != "one"
        subject = one(words.SUBJECT_WORDS[a.subject])
        counted = one(words.COUNT_WORDS[a.count]) if (many and "count" in told) or "count" in must else ""
        subject = plural(subject) if many else subject
        seen = joined(counted, one(words.COLOUR_WORDS[a.colour]) if "colour" in told else "", subject)
    parts = [bare(seen)]
    if a.second == NONE and "second" in must:
        parts.append("alone")
    if a.second != NONE and "second" in told:
        colour = one(words.COLOUR_WORDS[a.second_colour]) if "second_colour" in told else ""
        relation = f"{a.side} of" if "side" in told else "and"
        parts = [joined(parts[0], relation, colour, one(words.SUBJECT_WORDS[a.second]))]
    elif "side" in told and has_side(a.motion):
        parts.append(one(words.SIDE_WORDS[a.side]))
    if "motion" in told:
        pace = one(words.PACE_WORDS[a.pace]) if "pace" in told else ""
        said = one(words.MOTION_WORDS[a.motion]) if shortest else phrases.verb(a, rng)
        parts.append(joined(participle(said, many=a.count != "one"), pace))
    return parts
