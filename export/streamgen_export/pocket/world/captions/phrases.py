"""The parts of a description: the thing and what it does, what happens in the sky, the music."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamgen_export.pocket.world.attributes import NONE, OUTDOORS, Attributes, has_side
from streamgen_export.pocket.world.captions import skies, words
from streamgen_export.pocket.world.captions.english import finite, joined, participle, pick, plural

_SIZES: Final = frozenset({"little", "big", "glowing", "folded", "cute", "funny", "bright"})
"""First words of nouns behind which a colour goes: a big blue whale."""


@dataclass(frozen=True)
class Doing:
    """A thing and what it does.

    Attributes:
        who: noun phrase, "two red birds".
        doing: participle with its adverbs, "flying slowly", or "".
        does: finite verb with its adverbs, "fly slowly", or "".
    """

    who: str
    doing: str = ""
    does: str = ""


def kind_words(subject: str, colour: str, rng: np.random.Generator, *, many: bool = False) -> str:
    """A thing without article, "little red fish"; `colour` may be "none"."""
    noun = pick(rng, words.SUBJECT_WORDS[subject])
    if many:
        noun = plural(noun)
    if colour == NONE:
        return noun
    said = pick(rng, words.COLOUR_WORDS[colour])
    first, _, rest = noun.partition(" ")
    return f"{first} {said} {rest}" if first in _SIZES and rest else f"{said} {noun}"


def thing(
    a: Attributes, told: AbstractSet[str], rng: np.random.Generator, mention: AbstractSet[str] = frozenset()
) -> str:
    """The first subject as a noun phrase, with its colour and count."""
    many = a.count != "one"
    said = kind_words(a.subject, a.colour if "colour" in told else NONE, rng, many=many)
    if many:
        return joined(pick(rng, words.COUNT_WORDS[a.count]) if "count" in told else "", said)
    article = pick(rng, words.COUNT_WORDS["one"]) if "count" in mention else "a"
    return f"{article} {said}"


def partner(a: Attributes, told: AbstractSet[str], rng: np.random.Generator) -> str:
    """The second subject as a noun phrase."""
    return f"a {kind_words(a.second, a.second_colour if {'second_colour', 'colour'} & told else NONE, rng)}"


def verb(a: Attributes, rng: np.random.Generator) -> str:
    """A verb for the motion of the subject, or of both."""
    general = words.MOTION_WORDS[a.motion]
    fitting = general if a.second != NONE else words.OWN_MOTION_WORDS.get((a.subject, a.motion), general)
    if a.place not in OUTDOORS:
        fitting = tuple(said for said in fitting if not said.endswith((" air", " sky", " wind")))
    return pick(rng, fitting)


def doing(a: Attributes, told: AbstractSet[str], rng: np.random.Generator, mention: AbstractSet[str]) -> Doing:
    """What is seen, with motion, pace, count, side and second subject as far as they are told."""
    who = thing(a, told, rng, mention)
    if a.second == NONE and "second" in mention:
        who += " alone"
    sided = "side" in told and a.second == NONE and has_side(a.motion)
    side = pick(rng, words.SIDE_WORDS[a.side]) if sided else ""
    if a.second != NONE and "second" in told:
        return _both(a, who, told, rng)
    if "motion" not in told:
        return Doing(joined(who, side))
    many = a.count != "one"
    said = verb(a, rng)
    acting, acts = participle(said, many=many), finite(said, many=many)
    acting, acts = _paced(a, told, rng, acting, acts)
    if side and rng.random() < 0.4:
        return Doing(joined(who, side), acting, acts)
    return Doing(who, joined(acting, side), joined(acts, side))


def _paced(a: Attributes, told: AbstractSet[str], rng: np.random.Generator, acting: str, acts: str) -> tuple[str, str]:
    if "pace" not in told:
        return acting, acts
    pace = pick(rng, words.PACE_WORDS[a.pace])
    if pace.endswith("ly") and rng.random() < 0.4:
        return f"{pace} {acting}", f"{pace} {acts}"
    return f"{acting} {pace}", f"{acts} {pace}"


def _both(a: Attributes, who: str, told: AbstractSet[str], rng: np.random.Generator) -> Doing:
    other = partner(a, told, rng)
    across = "right" if a.side == "left" else "left"
    relation = pick(rng, ("beside", "next to"))
    if "side" in told:
        relation = pick(rng, (f"to the {a.side} of", f"to the {a.side} of", f"{a.side} of"))
        if rng.random() < 0.2:
            # The same seen from the other one.
            who, other, relation = other, who, f"to the {across} of"
    draw = rng.random()
    if "motion" not in told:
        if "side" in told and draw < 0.25:
            return Doing(f"{who} on the {_side_of(a, relation)} and {other} on the {_other_side(a, relation)}")
        return Doing(f"{who} and {other}" if "side" not in told and draw < 0.6 else f"{who} {relation} {other}")
    said = verb(a, rng)
    acting, acts = _paced(a, told, rng, participle(said, many=True), finite(said, many=True))
    if "side" not in told and draw < 0.65:
        return Doing(f"{who} and {other}", acting, acts)
    if draw < 0.85:
        one = finite(said, many=False)
        acting, one = _paced(a, told, rng, participle(said, many=False), one)
        return Doing(who, f"{acting} {relation} {other}", f"{one} {relation} {other}")
    return Doing(f"{who} {relation} {other}, both {acting}")


def _side_of(a: Attributes, relation: str) -> str:
    return "left" if "left" in relation else "right"


def _other_side(a: Attributes, relation: str) -> str:
    return "right" if "left" in relation else "left"


def happening_words(a: Attributes, rng: np.random.Generator) -> str:
    """What happens in the sky."""
    return pick(rng, skies.HAPPENING_WORDS[a.happening])


def no_happening(before: Attributes | None) -> tuple[str, ...]:
    """Phrases for nothing that happens in the sky, or for what no longer does."""
    if before is None or before.happening == NONE:
        return ("a quiet sky", "nothing happens in the sky")
    return tuple(
        f"{no} {gone}" for no in ("no", "no more", "without") for gone in skies.HAPPENING_TAGS[before.happening]
    )


def music_words(a: Attributes, told: AbstractSet[str], rng: np.random.Generator) -> str:
    """The music as a noun phrase or, for a tempo alone, also as "with a fast beat"; "" if nothing of it is told."""
    if a.mood == NONE:
        silent = pick(rng, words.NO_MUSIC_WORDS) if "mood" in told else ""
        pulse = pick(rng, words.PULSE_WORDS[a.tempo]) if "tempo" in told else ""
        return ", ".join(part for part in (silent, pulse) if part)
    noun = pick(rng, words.MUSIC_WORDS)
    article = "" if noun == "music" else "a"
    tempo = pick(rng, words.TEMPO_WORDS[a.tempo])
    if "mood" not in told:
        if "tempo" not in told:
            return ""
        return pick(rng, words.BEAT_WORDS[a.tempo]) if rng.random() < 0.5 else joined(article, tempo, noun)
    mood = pick(rng, words.MOOD_WORDS[a.mood])
    if "tempo" not in told:
        return joined(article, mood, noun)
    draw = rng.random()
    if draw < 0.3:
        return f"{joined(article, mood, noun)} {pick(rng, words.BEAT_WORDS[a.tempo][:2])}"
    comma = "," if draw < 0.45 else ""
    first, then = (tempo, mood) if rng.random() < 0.5 else (mood, tempo)
    return joined(article, f"{first}{comma}", then, noun)
