"""Which rules of the lists a text breaks. Pure; work is linear in the text for a given list.

Words are looked up, not searched one by one: a dictionary for words, one by first letters for open ends. Words of
scripts without spaces are found anywhere. Patterns run one by one: a set of patterns in one automaton would be faster,
but RE2 answers "nothing found" when such a set runs out of memory, and that would let everything through.

An exception covers a stretch of the text, and what lies wholly inside it does not count: "kill the lights and kill the
guard" is still found.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from streamgen.moderation.lists import Rule, RuleList
from streamgen.moderation.normalise import MASKS, Form, forms, is_wide
from streamgen.moderation.verdict import ALLOWED, Decision, Evidence, Verdict, strictest

MAX_FINDINGS: Final = 16  # kept for the operator; the strictest are never left out
_STEM: Final = 2  # letters by which words with an open end are looked up
_Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that a text breaks, what of it matched, and in which form."""

    rule: Rule
    form: str
    matched: str
    unsure: bool

    @property
    def decision(self) -> Decision:
        """What it means on its own."""
        if self.rule.category is None:
            return "allow"
        return "hold" if self.unsure else self.rule.category.decision


class _Words:
    """Rules made of words, arranged for looking up."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._exact: dict[str, list[Rule]] = {}
        self._stems: dict[str, list[Rule]] = {}
        self._open: list[Rule] = []
        self._wide: list[tuple[str, Rule]] = []
        self._inside: list[tuple[str, Rule]] = []
        self._masks: dict[str, list[Rule]] = {}
        for rule in rules:
            first = rule.words[0]
            if is_wide("".join(rule.words)):
                self._wide.append((" ".join(rule.words).strip("*"), rule))
                continue
            if first.startswith("*") or len(first.rstrip("*")) < _STEM:
                self._open.append(rule)
            elif first.endswith("*"):
                self._stems.setdefault(first[:_STEM], []).append(rule)
            else:
                self._exact.setdefault(first, []).append(rule)
            if len(rule.words) == 1 and not first.startswith("*"):
                self._inside.append((first.strip("*"), rule))
                self._masks.setdefault(first[0], []).append(rule)

    def find(self, form: Form) -> Iterator[tuple[Rule, _Span]]:
        words: list[tuple[str, int]] = []
        place = 1
        for word in form.text.split():
            words.append((word, place))
            place += len(word) + 1
        for index, (word, start) in enumerate(words):
            for rule in (*self._exact.get(word, ()), *self._stems.get(word[:_STEM], ()), *self._open):
                found = words[index : index + len(rule.words)]
                if len(found) == len(rule.words) and all(
                    _fits(pattern, given) for pattern, (given, _) in zip(rule.words, found, strict=True)
                ):
                    last, last_start = found[-1]
                    yield rule, (start, last_start + len(last))
        yield from self._anywhere(self._wide, form.text)

    def find_inside(self, form: Form) -> Iterator[tuple[Rule, _Span]]:
        """Words of a run of letters, wherever they stand in it."""
        long_enough = [(word, rule) for word, rule in self._inside if len(word) >= form.least]
        yield from self._anywhere([*long_enough, *self._wide], form.text)

    def find_masked(self, form: Form) -> Iterator[tuple[Rule, _Span]]:
        """Words of which some letters are stars, at most as many as are not."""
        place = 1
        for word in form.text.split():
            letters = sum(letter not in MASKS for letter in word)
            if word[0] not in MASKS and len(word) >= form.least and 2 * letters >= len(word):
                for rule in self._masks.get(word[0], ()):
                    wanted = rule.words[0].rstrip("*")
                    is_open = rule.words[0].endswith("*")
                    given = word[: len(wanted)] if is_open else word
                    # An open end may lie behind the masked letters, never inside them.
                    if len(given) == len(wanted) and all(
                        one == other or one in MASKS for one, other in zip(given, wanted, strict=True)
                    ):
                        yield rule, (place, place + len(word))
            place += len(word) + 1

    @staticmethod
    def _anywhere(words: Iterable[tuple[str, Rule]], text: str) -> Iterator[tuple[Rule, _Span]]:
        for word, rule in words:
            place = text.find(word)
            while place >= 0:
                yield rule, (place, place + len(word))
                place = text.find(word, place + len(word))


class Rules:
    """The rules of some lists, ready to look through texts. Thread-safe: nothing in it changes."""

    def __init__(self, lists: RuleList) -> None:
        self.version = lists.version
        self._order = list(lists.categories)
        self._words = _Words(rule for rule in lists.rules if rule.words)
        self._patterns = [rule for rule in lists.rules if rule.pattern is not None]
        self._excepted_words = _Words(rule for rule in lists.exceptions if rule.words)
        self._excepted_patterns = [rule for rule in lists.exceptions if rule.pattern is not None]

    def findings(self, text: str) -> tuple[Finding, ...]:
        """What a text breaks, each rule once: where it was found first, the plain form before all others."""
        found: dict[str, Finding] = {}
        for form in forms(text):
            for rule, (start, end), unsure in self._look(form):
                known = found.get(rule.name)
                if known is None or (known.unsure and not unsure):
                    found[rule.name] = Finding(rule, form.name, form.text[start:end].strip(), unsure)
        return tuple(found.values())

    def judge(self, text: str) -> Verdict:
        """The strictest of what a text breaks; allowed when it breaks nothing."""
        verdicts = [
            Verdict(
                each.decision,
                each.rule.category.name,
                each.rule.category.told,
                (Evidence("rules", each.rule.name, f"{each.matched} ({each.form})"),),
            )
            for each in self.findings(text)
            if each.rule.category is not None
        ]
        if not verdicts:
            return ALLOWED
        # The strictest first, and among those the category that stands first in the lists.
        verdicts.sort(key=lambda verdict: (verdict.decision != "refuse", self._order.index(verdict.category or "")))
        return strictest(verdicts[:MAX_FINDINGS])

    def _look(self, form: Form) -> Iterator[tuple[Rule, _Span, bool]]:
        if form.name == "masked":
            for rule, span in self._words.find_masked(form):
                yield rule, span, rule.unsure
            return
        if form.inside:
            for rule, span in self._words.find_inside(form):
                yield rule, span, True
            return
        covered = _covered(self._excepted_words, self._excepted_patterns, form)
        for rule, span in self._words.find(form):
            # Two words that happen to stand together are one word of the list only if they are all of it.
            if not form.whole and (
                form.text[slice(*span)] != rule.words[0].strip("*") or len(rule.words[0]) < form.least
            ):
                continue
            if not _lies_in(span, covered):
                yield rule, span, rule.unsure
        if form.whole:
            for rule in self._patterns:
                for span in _spans(rule, form.text):
                    if not _lies_in(span, covered):
                        yield rule, span, rule.unsure
                        break


def _covered(words: _Words, patterns: Sequence[Rule], form: Form) -> list[_Span]:
    covered = [span for _, span in words.find(form)]
    return covered + [span for rule in patterns for span in _spans(rule, form.text)]


def _spans(rule: Rule, text: str) -> Iterator[_Span]:
    """Where a pattern matches, without the spaces at its ends."""
    # Asked in bytes first: most patterns match nowhere, and only a match is worth finding its place in characters.
    if rule.pattern.search(text.encode()) is None:
        return
    for match in rule.pattern.finditer(text):
        start, end = match.span()
        found = text[start:end]
        yield start + len(found) - len(found.lstrip()), end - len(found) + len(found.rstrip())


def _lies_in(span: _Span, covered: Iterable[_Span]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in covered)


def _fits(pattern: str, word: str) -> bool:
    opens, closes = pattern.startswith("*"), pattern.endswith("*")
    core = pattern.strip("*")
    if opens and closes:
        return core in word
    if opens:
        return word.endswith(core)
    if closes:
        return word.startswith(core)
    return word == pattern
