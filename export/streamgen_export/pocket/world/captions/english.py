"""The grammar that captions need: plurals, verb forms and articles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

_DOUBLED: Final = frozenset({"bob", "flap", "hop", "run", "spin", "swim", "throb", "zip"})
_SAID_WITH_A_CONSONANT: Final = frozenset({"ufo", "ufos"})


def pick(rng: np.random.Generator, words: Sequence[str]) -> str:
    """One of the words, all equally likely; repeat a word to make it more so."""
    return words[int(rng.integers(len(words)))]


def plural(noun: str) -> str:
    """More than one of a noun, whose last word is its head."""
    if noun.endswith("fish") or noun.endswith("carp"):
        return noun
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def finite(verb: str, *, many: bool) -> str:
    """The present tense of a verb phrase such as "fly by"; "its" follows the number."""
    if many:
        return verb.replace(" its ", " their ")
    first, *rest = verb.split(" ")
    if first.endswith("y") and first[-2] not in "aeiou":
        first = f"{first[:-1]}ies"
    else:
        first += "es" if first.endswith(("s", "x", "ch", "sh", "o")) else "s"
    return " ".join((first, *rest)).replace(" and shrink", " and shrinks")


def participle(verb: str, *, many: bool) -> str:
    """The "-ing" form of a verb phrase."""
    first, *rest = verb.split(" ")
    if first.endswith("e") and not first.endswith("ee"):
        first = first[:-1]
    elif first in _DOUBLED:
        first += first[-1]
    text = " ".join((f"{first}ing", *rest)).replace(" and shrink", " and shrinking")
    return text.replace(" its ", " their ") if many else text


def bare(phrase: str) -> str:
    """A noun phrase without its article."""
    return re.sub(r"^((an?|the) |~)", "", phrase)


def joined(*parts: str) -> str:
    """The parts that are not empty, with spaces."""
    return " ".join(part for part in parts if part)


def with_articles(text: str) -> str:
    """Turn every "a" before a vowel into "an"."""

    def chosen(match: re.Match[str]) -> str:
        article, word = match.group(1), match.group(2)
        vowel = word[0] in "aeiouAEIOU8" and word.lower() not in _SAID_WITH_A_CONSONANT
        return f"{article}{'n' if vowel else ''} {word}"

    return re.sub(r"\b([Aa])n? (\w+)", chosen, text)
