"""Lists of words and patterns, and how they are read from TOML. `docs/moderation.md` shows how to write one.

Patterns are compiled with RE2, never with `re`: RE2 runs in time linear in the text whatever the pattern is, so a list
that somebody wrote in a hurry cannot be used to stop the server. What linear time cannot do (look-around, references
back) it refuses when the list is read.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import re2  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamgen.moderation.errors import RuleListError
from streamgen.moderation.normalise import plain, same_letters, without_accents

MAX_ENTRIES: Final = 20_000  # of all lists together
MAX_PATTERN_CHARS: Final = 2_000  # with its terms filled in
_PATTERN_BYTES: Final = 4 << 20  # that RE2 may take for one pattern; beyond it the list is refused

_Text = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN_CHARS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Category(_Strict):
    decision: Literal["refuse", "hold"]
    told: _Text


class _Entries(_Strict):
    category: str
    language: str
    words: tuple[_Text, ...] = ()
    unsure: tuple[_Text, ...] = ()
    patterns: tuple[_Text, ...] = ()
    unsure_patterns: tuple[_Text, ...] = ()


class _Exceptions(_Strict):
    language: str
    words: tuple[_Text, ...] = ()
    patterns: tuple[_Text, ...] = ()


class _List(_Strict):
    version: Literal[1]
    categories: dict[str, _Category] = {}
    terms: dict[str, dict[str, _Text]] = {}
    entries: tuple[_Entries, ...] = ()
    exceptions: tuple[_Exceptions, ...] = ()


@dataclass(frozen=True, slots=True)
class Category:
    """A subject: what is decided when it is found, and what the one who asked is told."""

    name: str
    decision: Literal["refuse", "hold"]
    told: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One word, phrase or pattern. `category` is None for an exception.

    Attributes:
        category: what finding it means.
        language: of the list that it stands in, for the operator's eyes.
        source: as it was written.
        unsure: it is held for an operator, whatever its category decides.
        words: what is to be found in this order; empty for a pattern.
        pattern: a compiled RE2 pattern; None for words.
    """

    category: Category | None
    language: str
    source: str
    unsure: bool = False
    words: tuple[str, ...] = ()
    pattern: Any = None

    @property
    def name(self) -> str:
        """How the operator's evidence calls it."""
        return f"{self.category.name if self.category else 'exception'}/{self.language}: {self.source}"


@dataclass(frozen=True, slots=True)
class RuleList:
    """What one or several lists hold. `version` changes with any word of them."""

    rules: tuple[Rule, ...]
    exceptions: tuple[Rule, ...]
    categories: dict[str, Category]
    version: str


def read_lists(paths: Sequence[Path] = (), *, default: bool = True) -> RuleList:
    """Read lists. Later ones add entries and may give a category another decision or sentence.

    Args:
        paths: of TOML files.
        default: begin with the list that comes with the server.

    Raises:
        RuleListError: one of them cannot be read; the message names the file and the place.
    """
    texts: list[tuple[str, str]] = []
    if default:
        texts.append(("default.toml", resources.files(__package__).joinpath("default.toml").read_text("utf-8")))
    for path in paths:
        try:
            texts.append((str(path), path.read_text("utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise RuleListError(f"{path} cannot be read ({error}); give the path of a UTF-8 file") from error
    return parse_lists(texts)


def parse_lists(texts: Iterable[tuple[str, str]]) -> RuleList:
    """The same from `(name, TOML)` pairs."""
    sources: list[tuple[str, _List]] = []
    digest = hashlib.sha256()
    categories: dict[str, Category] = {}
    terms: dict[str, dict[str, str]] = {}
    for name, text in texts:
        digest.update(text.encode() + b"\0")
        source = _parse(name, text)
        sources.append((name, source))
        categories |= {key: Category(key, each.decision, each.told) for key, each in source.categories.items()}
        for language, given in source.terms.items():
            terms[language] = terms.get(language, {}) | given
    rules: list[Rule] = []
    exceptions: list[Rule] = []
    for name, source in sources:
        for entry in source.entries:
            category = categories.get(entry.category)
            if category is None:
                raise RuleListError(
                    f"{name}: there is no [categories.{entry.category}]; add it, or name one of "
                    f"{', '.join(sorted(categories)) or 'none'}"
                )
            for words, patterns, unsure in (
                (entry.words, entry.patterns, False),
                (entry.unsure, entry.unsure_patterns, True),
            ):
                rules += [_words(name, category, entry.language, word, unsure) for word in words]
                own = terms.get(entry.language, {})
                rules += [_pattern(name, category, entry.language, each, unsure, own) for each in patterns]
        for exception in source.exceptions:
            exceptions += [
                _words(name, None, exception.language, spelling, False)
                for word in exception.words
                for spelling in dict.fromkeys((word, without_accents(word)))  # it has to cover the bare form as well
            ]
            own = terms.get(exception.language, {})
            exceptions += [_pattern(name, None, exception.language, each, False, own) for each in exception.patterns]
    if len(rules) + len(exceptions) > MAX_ENTRIES:
        raise RuleListError(f"the lists hold {len(rules) + len(exceptions)} entries; keep to {MAX_ENTRIES}")
    return RuleList(tuple(rules), tuple(exceptions), categories, digest.hexdigest()[:16])


def _parse(name: str, text: str) -> _List:
    try:
        return _List.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RuleListError(f"{name} is not TOML: {error}; words stand in double quotes, \\ is written \\\\") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RuleListError(f"{name}: {place}: {first['msg']}; docs/moderation.md shows the format") from error


def _words(name: str, category: Category | None, language: str, source: str, unsure: bool) -> Rule:
    # A star is no letter and would be lost; it marks an open end, so it stands aside while the word is normalised.
    parts: list[str] = []
    for part in source.split():
        core = plain(part.strip("*")).split()
        if not core or "*" in part.strip("*"):
            raise RuleListError(
                f"{name}: {source!r} holds no letters, or a * inside a word; a * opens an end of a word"
            )
        core[0] = ("*" if part.startswith("*") else "") + core[0]
        core[-1] += "*" if part.endswith("*") else ""
        parts += core
    return Rule(category, language, source, unsure, words=tuple(parts))


def _pattern(
    name: str, category: Category | None, language: str, source: str, unsure: bool, terms: dict[str, str]
) -> Rule:
    def fill(found: re.Match[str]) -> str:
        term = terms.get(found[1])
        if term is None:
            raise RuleListError(f"{name}: {source!r} names <{found[1]}>; add it to [terms.{language}]")
        return f"(?:{term})"

    filled = re.sub(r"<(\w+)>", fill, source)
    if "\\b" in filled:  # RE2 knows the edges of ASCII words only
        raise RuleListError(f"{name}: {source!r} uses \\b; write a space, forms have one at every edge of a word")
    if len(filled) > MAX_PATTERN_CHARS:
        raise RuleListError(f"{name}: {source!r} is longer than {MAX_PATTERN_CHARS} with its terms; split it")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PATTERN_BYTES
    try:
        pattern = re2.compile(same_letters(filled), options)
    except re2.error as error:
        raise RuleListError(f"{name}: {source!r} is no pattern that RE2 takes ({error})") from error
    if pattern.search(" ") is not None:
        raise RuleListError(f"{name}: {source!r} matches an empty text; it would refuse everything")
    return Rule(category, language, source, unsure, pattern=pattern)
