"""From a text to the few forms of it in which rules look for words. Pure, and linear in the text's length.

Nobody needs to spell a word the way a list does: letters of other scripts, digits for letters, spaces between letters,
characters that are not drawn. Each such trick is undone in a form of its own, and the text as it was written stays the
first form: what is undone for one language would break honest words of another. So scripts are folded only inside
words that mix them, and accents are taken off beside the form that keeps them.

A form is lower-case words between single spaces, with a space at both ends: a space in a pattern is a word's edge.
"""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from streamgen.moderation.lookalikes import CYRILLIC, LATIN, SQUARED, looks_latin

FormName = Literal["plain", "bare", "cyrillic", "article", "leet", "leet l", "squeezed", "pairs", "spelled", "masked"]

MAX_TEXT_CHARS: Final = 500  # of a text; the same as the protocol lets through
MAX_DRAWN_CHARS: Final = 1_000  # of what it is drawn as: one Unicode character may stand for eighteen letters
LEAST_SPELLED: Final = 3  # letters standing alone one after another that are read as a word
LEAST_PAIRED: Final = 6  # letters of a word that is found in two halves; "pen is" and "an us flag" stay two words
LEAST_INSIDE: Final = 4  # letters of a word that is found inside a spelled run, where no gap tells words apart
MASKS: Final = "*#"

_LEET: Final = {
    **dict(zip("0134578@$!|€£+¢", "oieastbasileltc", strict=True)),
    "6": "g",
    "9": "g",
}
_EDGES: Final = ".,;:?!\"'()[]{}<>«»„“”‘’¿¡…、。！？"
_GLUE: Final = re.compile(r"[._\-*'’~+|/\\·•=^]")
_RUNS: Final = re.compile(r"(.)\1{2,}")
_ARTICLE: Final = re.compile(r"^[وف]?[بك]?(?:ال|لل)(?=\w{3})")
_ARABIC: Final = str.maketrans(
    {"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ی": "ي", "ک": "ك", "ة": "ه", "ـ": None}
)
_UNDRAWN: Final = dict.fromkeys([0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10)])
_WIDE: Final = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\u3040-\u30ff\u0e00-\u0e7f\U00020000-\U0003ffff]")


@dataclass(frozen=True, slots=True)
class Form:
    """One reading of a text.

    Attributes:
        name: which trick it undoes.
        text: words between single spaces, with a space at both ends.
        least: only words of so many letters count in it.
        whole: it is a reading of the whole text, on which patterns and exceptions make sense.
        inside: a word counts anywhere inside one of its words, but is no sure find.
    """

    name: FormName
    text: str
    least: int = 1
    whole: bool = True
    inside: bool = False


def plain(text: str) -> str:
    """The text as it was written, tidied: what entries of a list and texts have in common."""
    return _spaced(_words(_fold_case(_drawn(text))))


def bare(text: str) -> str:
    """The text as a reader of Latin letters takes it: look-alikes and accents gone, words between spaces."""
    return _spaced(_words(_fold_case(without_accents(_map_words(_drawn(text), _to_latin))))).strip()


def forms(text: str) -> tuple[Form, ...]:
    """All forms of a text, the plain one first, without those that read the same as one before."""
    drawn = _drawn(text)
    latin = _map_words(drawn, _to_latin)
    unaccented = without_accents(latin)
    joined, spelled = _join_letters(unaccented)
    found = [
        Form("plain", _spaced(_words(_fold_case(drawn)))),
        Form("bare", _spaced(_words(_fold_case(unaccented)))),
        Form("cyrillic", _spaced(_words(_fold_case(_join_letters(_map_words(drawn, _to_cyrillic))[0])))),
        Form("article", _spaced(_ARTICLE.sub("", word) for word in _words(_fold_case(drawn)))),
    ]
    leet = [_spaced(_words(_fold_case(_unleet(joined, one)))) for one in ("i", "l")]
    found += [Form("leet", leet[0]), Form("leet l", leet[1])]
    for reading in (found[0].text, *leet):
        found += [Form("squeezed", _RUNS.sub(r"\1", reading)), Form("squeezed", _RUNS.sub(r"\1\1", reading))]
    words = found[1].text.split()
    found.append(Form("pairs", _spaced(map("".join, itertools.pairwise(words))), LEAST_PAIRED, whole=False))
    found.append(
        Form("spelled", _spaced(_words(_fold_case(_unleet(" ".join(spelled), "i")))), LEAST_INSIDE, False, inside=True)
    )
    masked = (chunk.strip(_EDGES) for chunk in _fold_case(unaccented).split())
    found.append(Form("masked", _spaced(chunk for chunk in masked if any(mask in chunk for mask in MASKS)), 3, False))
    return tuple(_distinct(found))


def too_long(text: str) -> bool:
    """Whether a text is longer than the path takes; nothing looks through a text in part."""
    return len(text) > MAX_TEXT_CHARS or len(_drawn(text)) > MAX_DRAWN_CHARS


def same_letters(text: str) -> str:
    """Letters that forms do not tell apart, one for one: for patterns, whose signs must stay as they are."""
    return text.replace("ı", "i").translate(_ARABIC)


def is_wide(text: str) -> bool:
    """Whether a word is of a script that is written without spaces, or whose endings stick to it (Korean)."""
    return _WIDE.search(text) is not None


def _distinct(found: Iterable[Form]) -> Iterator[Form]:
    seen: set[tuple[str, bool]] = set()
    for form in found:
        key = (form.text, form.whole)
        if form.text.strip() and key not in seen:
            seen.add(key)
            yield form


def _spaced(words: Iterable[str]) -> str:
    return f" {' '.join(words)} "


def _drawn(text: str) -> str:
    """What a reader sees, in one spelling: compatibility letters mapped, undrawn characters and stray marks gone."""
    text = unicodedata.normalize("NFKC", text.translate(SQUARED).translate(_UNDRAWN)).translate(_UNDRAWN)
    kept = "".join(_line(character) for character in text if unicodedata.category(character) != "Cf")
    # What still stands alone after composing is no letter of an alphabet: a line through the word, or a pile of marks.
    out: list[str] = []
    for character in kept:
        if unicodedata.category(character) in ("Mn", "Me") and (not out or not _keeps_marks(out[-1])):
            continue
        out.append(character)
    return "".join(out).translate(_ARABIC)


def _line(character: str) -> str:
    return (
        " "
        if character.isspace() or character == "\u2800" or unicodedata.category(character) in ("Cc", "Cs")
        else character
    )


def _keeps_marks(letter: str) -> bool:
    """Vowel signs of Indic and South-East Asian scripts, and Japanese voicing, are part of a word."""
    return 0x0900 <= ord(letter) <= 0x1CFF or 0x3040 <= ord(letter) <= 0x30FF


def _fold_case(text: str) -> str:
    """Lower case for comparing; Turkish dotless and dotted i are one letter, so that capitals read the same."""
    return text.casefold().replace("i\u0307", "i").replace("ı", "i")


def _words(text: str) -> list[str]:
    """Runs of letters, digits and their marks; a pictogram is a word of its own."""
    return "".join(_place(character) for character in text).split()


def _place(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] in "LNM":
        return character
    return f" {character} " if category == "So" else " "


def _map_words(text: str, change: Callable[[str], str]) -> str:
    return re.sub(r"[^\s]+", lambda found: change(found[0]), text)


def _scripts(word: str) -> set[str]:
    return {_script(letter) for letter in word if letter.isalpha()}


def _script(letter: str) -> str:
    if letter.isascii():
        return "LATIN"
    return unicodedata.name(letter, "?").split(" ", 1)[0]


def _to_latin(word: str) -> str:
    """A word of several scripts, or of letters that all look Latin, as the Latin word that it looks like."""
    scripts = _scripts(word)
    # Phonetic letters and small capitals are called Latin too, and no honest prompt is made of them alone.
    if scripts <= {"LATIN"}:
        return "".join(LATIN.get(letter, letter) for letter in word)
    letters = [letter for letter in word.lower() if letter.isalpha()]
    if len(scripts) > 1 or looks_latin("".join(letters)) or "CHEROKEE" in scripts:
        return "".join(LATIN.get(letter, letter) for letter in word)
    return word


def _to_cyrillic(word: str) -> str:
    """A word that mixes Cyrillic with Latin letters or digits, as the Cyrillic word that it looks like."""
    if "CYRILLIC" not in _scripts(word):
        return word
    return "".join(CYRILLIC.get(letter, letter) for letter in word)


def without_accents(text: str) -> str:
    """Latin letters without their accents; other scripts have letters that are told apart by nothing else."""
    out: list[str] = []
    for letter in text:
        base = unicodedata.normalize("NFD", letter)[0]
        out.append(base if base.isascii() and base.isalpha() else letter)
    return "".join(out)


def _join_letters(text: str) -> tuple[str, list[str]]:
    """Letters that stand alone, joined: "k i l l" and "k.i.l.l". Also returns the joined runs as they would read
    without any gap between words. A gap that is wider than the run's narrowest parts two words."""
    pieces = re.findall(r"[^\s._\-*'’~,;:/\\·•=^]+|[\s._\-*'’~,;:/\\·•=^]+", text)
    out: list[str] = []
    spelled: list[str] = []
    run: list[str] = []

    def end_run() -> None:
        letters = run[::2]
        wide = any(_WIDE.match(letter) for letter in letters)
        if len(letters) >= (2 if wide else LEAST_SPELLED) and any(letter.isalpha() for letter in letters):
            narrowest = min((len(gap) for gap in run[1 : 2 * len(letters) - 1 : 2]), default=0)
            spelled.append("".join(letters))
            for place, piece in enumerate(run):
                last = place == len(run) - 1
                if place % 2 == 0:
                    out.append(piece)
                elif last or len(piece) > narrowest:
                    out.append(" ")
        else:
            out.extend(run)
        run.clear()

    for piece in pieces:
        is_gap = not _solid(piece)
        if len(run) % 2 == 0:
            if len(piece) == 1 and not is_gap:
                run.append(piece)
                continue
        elif is_gap:
            run.append(piece)
            continue
        end_run()
        out.append(piece)
    end_run()
    return "".join(out), spelled


def _solid(piece: str) -> bool:
    return re.match(r"[\s._\-*'’~,;:/\\·•=^]", piece) is None


def _unleet(text: str, one: str) -> str:
    """Digits and signs inside words as the letters that they stand for; what glues the parts of a word goes."""
    out: list[str] = []
    for chunk in text.split():
        word = _GLUE.sub("", chunk.strip(_EDGES))
        if any(letter.isalpha() for letter in word):
            word = "".join(one if letter in "1|!" else _LEET.get(letter, letter) for letter in word)
        out.append(word)
    return " ".join(out)
