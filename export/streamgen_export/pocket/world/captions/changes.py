"""Captions of changes: what of a change has to be told, and instructions that tell nothing else."""

from __future__ import annotations

from typing import Final

import numpy as np

from streamgen_export.pocket.world.attributes import ABSTRACT, NONE, OUTDOORS, Attributes, has_side
from streamgen_export.pocket.world.captions import change_words, phrases, settings, skies, words
from streamgen_export.pocket.world.captions.describe import sayable
from streamgen_export.pocket.world.captions.english import bare, finite, participle, pick, plural, with_articles
from streamgen_export.pocket.world.captions.pieces import MAX_PIECES, pieces

INSTRUCTED_SHARE: Final = 0.42
"""Share of changes told by an instruction, where one is possible, instead of a description of the new state."""
_MIXED_SHARE: Final = 0.25
"""Share of instructions about the subject that also say where and when."""
_MOST: Final = 3
"""Clauses of one instruction."""


def relevant(before: Attributes, after: Attributes) -> tuple[str, ...]:
    """Names of the changed attributes that a caption must tell: not those that only follow from others."""
    names = Attributes.__dataclass_fields__
    changed = [name for name in names if getattr(before, name) != getattr(after, name) and sayable(after, name)]
    dropped: set[str] = set()
    if after.happening == NONE and ("place" in changed or ("time" in changed and after.time != "night")):
        dropped |= {"happening"}
    if "subject" in changed:
        dropped |= {"motion", "side"}
        dropped |= {name for name, plain in (("count", "one"), ("second", NONE)) if getattr(after, name) == plain}
    if "motion" in changed:
        dropped |= {"side"}
    return tuple(name for name in changed if name not in dropped)


def instruct(before: Attributes, after: Attributes, mention: frozenset[str], rng: np.random.Generator) -> str:
    """Tell what is in `mention` and nothing else; "" where that takes too many words."""
    untold = {name for name in mention if sayable(after, name)}
    about_subject = "place" not in untold and bool(untold & {"subject", "colour", "motion"}) and after.subject != NONE
    clauses = _clauses(before, after, untold, rng)
    if untold or not clauses or len(clauses) > _MOST:
        return ""
    text = clauses[0]
    if text.startswith("now ") or text.endswith(" now"):
        clauses[1:] = [clause.removeprefix("now ").removesuffix(" now") for clause in clauses[1:]]
    if len(clauses) > 1:
        text = f"{', '.join(clauses[:-1])}{pick(rng, (' and ', ', ', ', and '))}{clauses[-1]}"
    if about_subject and len(clauses) == 1 and rng.random() < _MIXED_SHARE:
        text += f", {_setting(after, rng)}"
    if not text.startswith(("now", "suddenly", "back", "cut")) and " now" not in text:
        text = pick(rng, ("", "", "", "now ", "then ", "suddenly ", "and now ")) + text
    text = with_articles(text)
    draw = rng.random()
    if draw < 0.25:
        text = f"{text[0].upper()}{text[1:]}{'.' if draw < 0.15 else ''}"
    return text if pieces(text) <= MAX_PIECES else ""


def called(a: Attributes, rng: np.random.Generator, *, both: bool = True) -> str:
    """The subject as something known, "the birds"; a second one too, if there is one and `both`."""

    def name(subject: str) -> str:
        noun = words.SUBJECT_WORDS[subject][0] if rng.random() < 0.6 else pick(rng, words.SUBJECT_WORDS[subject])
        return f"the {plural(noun) if a.count != 'one' else noun}"

    return f"{name(a.subject)} and {name(a.second)}" if both and a.second != NONE else name(a.subject)


def _clauses(before: Attributes, after: Attributes, untold: set[str], rng: np.random.Generator) -> list[str]:
    """A clause for each change in `untold`; takes out of it what they tell."""
    found: list[str] = []
    if "place" in untold:
        found.append(_place(after, untold, rng))
    if "subject" in untold:
        found.append(_subject(before, after, untold, rng))
    tables = (
        ("time", change_words.TIME_CLAUSES if after.place in OUTDOORS else change_words.SUBMERGED_CLAUSES),
        ("weather", change_words.WEATHER_CLAUSES),
        ("camera", change_words.CAMERA_CLAUSES),
    )
    for name, table in tables:
        if name in untold:
            found.append(pick(rng, table[getattr(after, name)]))
    if "happening" in untold:
        found.append(_happening(before, after, rng))
    if "colour" in untold and after.subject == NONE:
        colour = pick(rng, words.COLOUR_WORDS[after.colour])
        found.append(pick(rng, change_words.LIGHT_COLOURS).format(colour))
        untold -= {"colour"}
    if untold & {"colour", "motion", "pace", "side"}:
        found.extend(_same_subject(after, untold, rng))
    if "style" in untold:
        found.append(_style(after, rng))
    if "palette" in untold:
        found.append(_palette(after, rng))
    if untold & {"mood", "tempo"}:
        found.append(_music(before, after, untold, rng))
    untold -= {"time", "weather", "camera", "happening", "style", "palette", "mood", "tempo"}
    return found


def _setting(after: Attributes, rng: np.random.Generator) -> str:
    told = {"place"} | ({"time"} if rng.random() < 0.7 else set())
    if after.motion == "leaps":
        return settings.scene(after, told, rng)
    return settings.where(after, told, rng)


def _place(after: Attributes, untold: set[str], rng: np.random.Generator) -> str:
    told = {"place"} | (untold & {"time", "weather"})
    new = after.subject == NONE or "subject" in untold
    if new and after.place in ABSTRACT and after.subject == NONE:
        told |= untold & {"colour"}
    untold -= told
    if new or after.motion == "leaps" or rng.random() < 0.3:
        scene = settings.scene(after, told, rng, noun_only=True)
        return pick(rng, ("the scene changes to {}", "cut to {}", "now {}", "the scene becomes {}")).format(scene)
    be = "are" if after.count != "one" or after.second != NONE else "is"
    located, who = settings.where(after, told, rng), called(after, rng)
    return pick(rng, (f"now {located}", f"{who} {be} now {located}", f"now {who} {be} {located}"))


def _subject(before: Attributes, after: Attributes, untold: set[str], rng: np.random.Generator) -> str:
    if after.subject == NONE:
        untold -= {"subject"}
        many = before.count != "one" or before.second != NONE
        return _counted(pick(rng, change_words.GONE), many).format(called(before, rng))
    must = frozenset(untold)
    told = {"subject"} | (untold & {"colour", "count", "second", "second_colour", "side"})
    if before.subject == NONE:
        told |= {"count"} | ({"second", "second_colour"} if after.second != NONE else set())
        untold -= told
        who = phrases.doing(after, told, rng, must).who
        return _counted(pick(rng, change_words.APPEARS), after.count != "one").format(who)
    told -= {"second", "second_colour", "side"}
    told |= {"count"} if before.count != after.count else set()
    untold -= told
    new = phrases.thing(after, told, rng, must)
    both = before.second != NONE and after.second == NONE
    forms = change_words.TURNS if after.second != NONE else (*change_words.TURNS, "{1} instead of {0}", "now {1}")
    return _counted(pick(rng, forms), before.count != "one" or both).format(called(before, rng, both=both), new)


def _counted(clause: str, many: bool) -> str:
    """A clause with its verb for one or for many."""
    for marked, one, more in (("<s>", "s", ""), ("<es>", "es", ""), ("<is>", "is", "are")):
        clause = clause.replace(marked, more if many else one)
    return clause


def _same_subject(after: Attributes, untold: set[str], rng: np.random.Generator) -> list[str]:
    """New colour, motion, pace and side of a subject that stays."""
    found = []
    who = called(after, rng)
    many = after.count != "one" or after.second != NONE
    if "colour" in untold:
        colour, one = pick(rng, words.COLOUR_WORDS[after.colour]), called(after, rng, both=False)
        article = "" if after.count != "one" else "a "
        forms = (*change_words.RECOLOURED, f"now {article}{colour} {bare(one)}")
        found.append(_counted(pick(rng, forms), after.count != "one").format(one, colour))
        who = ("they" if many else "it") if after.second == NONE else who
    if "motion" in untold:
        said = phrases.verb(after, rng)
        starts = (f"{who} start<s> to {said}", f"{who} begin<s> to {said}", f"now {who} {finite(said, many=many)}")
        text = _counted(pick(rng, (*starts, f"{who} start<s> {participle(said, many=many)}")), many)
        text = text.replace(" its ", " their ") if many else text
        found.append(f"{text} {pick(rng, words.PACE_WORDS[after.pace])}" if "pace" in untold else text)
    elif "pace" in untold:
        found.append(_counted(pick(rng, change_words.PACE_CLAUSES[after.pace]), many).format(who))
    if "side" in untold and after.second == NONE and has_side(after.motion):
        found.append(_counted(f"now {who} <is> {pick(rng, words.SIDE_WORDS[after.side])}", many))
        untold -= {"side"}
    untold -= {"colour", "motion", "pace"}
    return found


def _happening(before: Attributes, after: Attributes, rng: np.random.Generator) -> str:
    if after.happening != NONE:
        return pick(rng, change_words.HAPPENING_CLAUSES[after.happening])
    if before.happening == NONE:
        return "nothing happens in the sky"
    tag = pick(rng, skies.HAPPENING_TAGS[before.happening])
    return _counted(pick(rng, change_words.OVER), tag != "aurora").format(tag)


def _style(after: Attributes, rng: np.random.Generator) -> str:
    if after.style == "natural":
        return pick(rng, ("back to a realistic style", "now realistic", "everything looks realistic again"))
    draw = rng.random()
    if draw < 0.35:
        verb = pick(rng, ("the picture becomes", "it turns into", "everything turns into", "now it is"))
        return f"{verb} {pick(rng, change_words.STYLE_NOUNS[after.style])}"
    said = pick(rng, words.STYLE_WORDS[after.style])
    return f"{said} now" if said.startswith(("in ", "as ", "made", "cut")) and draw < 0.6 else f"now {said}"


def _palette(after: Attributes, rng: np.random.Generator) -> str:
    if rng.random() < 0.5:
        return pick(rng, change_words.PALETTE_CLAUSES[after.palette])
    return f"now {pick(rng, words.PALETTE_WORDS[after.palette])}"


def _music(before: Attributes, after: Attributes, untold: set[str], rng: np.random.Generator) -> str:
    if after.mood == NONE:
        silent = pick(rng, change_words.MUSIC_ENDS) if "mood" in untold else ""
        pulse = f"now {pick(rng, words.PULSE_WORDS[after.tempo])}" if "tempo" in untold else ""
        return " and ".join(part for part in (silent, pulse) if part)
    if "mood" not in untold:
        return pick(rng, change_words.TEMPO_CLAUSES[after.tempo])
    mood = pick(rng, words.MOOD_WORDS[after.mood])
    noun = pick(rng, ("music", "music", "music", "score", "soundtrack"))
    article = "" if noun == "music" else "a "
    if "tempo" in untold:
        tempo = pick(rng, words.TEMPO_WORDS[after.tempo])
        both = ("the {2} becomes {0} and {1}", "now {3}{0}, {1} {2}", "the {2} turns {1} and {0}")
        return pick(rng, both).format(tempo, mood, noun, article)
    forms = change_words.MUSIC_STARTS if before.mood == NONE else change_words.MUSIC_TURNS
    return pick(rng, forms).format(mood, noun, article)
