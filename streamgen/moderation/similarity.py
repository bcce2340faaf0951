"""How near a text comes to described policies, for what no list of words holds. Belongs to a worker thread.

A sentence embedding mixes subject and intent: "a sword fight in a play" lies near "a man is stabbed". So a text is
never measured against a policy alone, but against harmless sentences of the same subject as well. Its score is

    max over the policy's sentences of cos(text, sentence)  -  max over the harmless ones of cos(text, sentence)

and it breaks the policy when the score reaches the policy's margin. A long text is looked at in overlapping windows,
because one embedding of all of it would let twenty pleasant words hide five others.
"""

import hashlib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamgen.moderation.errors import RuleListError
from streamgen.moderation.lists import Category
from streamgen.moderation.normalise import MAX_TEXT_CHARS, bare
from streamgen.moderation.verdict import ALLOWED, Decision, Evidence, Verdict, strictest
from streamgen_engines.chunk import Float32Array
from streamgen_engines.text import TextEncoder

Embed = Callable[[Sequence[str]], Float32Array]
"""From N texts to float32 `[N, D]`, each row of length 1 (or 0, which is like nothing)."""

WINDOW_WORDS: Final = 16  # about what 32 tokens hold
STRIDE_WORDS: Final = 8
MAX_WINDOWS: Final = MAX_TEXT_CHARS // 2 // STRIDE_WORDS + 1  # of a text of one-letter words
LEAST_LATIN: Final = 0.6  # share of letters; the encoder knows other scripts only letter by letter
_LENGTH_TOLERANCE: Final = 0.01

_Sentence = Annotated[str, Field(min_length=3, max_length=200)]
_Cosine = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Common(_Strict):
    harmless: tuple[_Sentence, ...] = ()


class _Policy(_Strict):
    category: str
    sentences: Annotated[tuple[_Sentence, ...], Field(min_length=1, max_length=200)]
    harmless: Annotated[tuple[_Sentence, ...], Field(min_length=1, max_length=200)]
    least: _Cosine = 0.0
    hold: _Cosine
    refuse: _Cosine


class _Policies(_Strict):
    version: Literal[1]
    common: _Common = _Common()
    policies: tuple[_Policy, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A described subject, and how near is too near.

    Attributes:
        category: what breaking it means.
        sentences: descriptions of what is not wanted.
        harmless: descriptions of what is wanted and looks like it.
        least: cosine similarity below which nothing counts.
        hold: margin from which a text is held.
        refuse: margin from which it is refused, if its category refuses at all.
    """

    category: Category
    sentences: tuple[str, ...]
    harmless: tuple[str, ...]
    least: float
    hold: float
    refuse: float


@dataclass(frozen=True, slots=True)
class Score:
    """How near a text comes to a policy, and to which of its sentences."""

    policy: Policy
    margin: float
    nearest: str
    cosine: float

    @property
    def decision(self) -> Decision:
        """What it means."""
        if self.cosine < self.policy.least or self.margin < self.policy.hold:
            return "allow"
        return "hold" if self.margin < self.policy.refuse else self.policy.category.decision


def embed_with(encoder: TextEncoder) -> Embed:
    """The text encoder of a bundle as an `Embed`."""

    def embed(texts: Sequence[str]) -> Float32Array:
        return np.concatenate([encoder.encode(text).pooled for text in texts])

    return embed


def read_policies(categories: Mapping[str, Category], path: Path | None = None) -> tuple[tuple[Policy, ...], str]:
    """The policies of a TOML file (None: those that come with the server), and a version that changes with them.

    Raises:
        RuleListError: the file cannot be read, or names a category that the lists do not have.
    """
    name = str(path or "policies.toml")
    try:
        text = (path or resources.files(__package__).joinpath("policies.toml")).read_text("utf-8")
        parsed = _Policies.model_validate(tomllib.loads(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RuleListError(f"{name} cannot be read ({error}); give the path of a TOML file in UTF-8") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RuleListError(f"{name}: {place}: {first['msg']}; docs/moderation.md shows the format") from error
    policies: list[Policy] = []
    for each in parsed.policies:
        category = categories.get(each.category)
        if category is None:
            raise RuleListError(f"{name}: no list has [categories.{each.category}]; add it to a list of words")
        if each.refuse < each.hold:
            raise RuleListError(f"{name}: {each.category}: refuse is below hold; what is refused lies further out")
        harmless = (*each.harmless, *parsed.common.harmless)
        policies.append(Policy(category, each.sentences, harmless, each.least, each.hold, each.refuse))
    return tuple(policies), hashlib.sha256(text.encode()).hexdigest()[:16]


class Similarity:
    """Policies, embedded once. Making one and asking it embeds texts, which takes milliseconds each."""

    def __init__(self, policies: Sequence[Policy], embed: Embed, *, version: str = "") -> None:
        self.version = version
        self._embed = embed
        self._policies = [(policy, self._rows(policy.sentences), self._rows(policy.harmless)) for policy in policies]

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies that texts are compared with."""
        return tuple(policy for policy, _, _ in self._policies)

    def scores(self, text: str) -> tuple[Score, ...]:
        """How near a text comes to each policy in the window that comes nearest; none for scripts it cannot read."""
        reading = bare(text)
        if not _readable(reading):
            return ()
        rows = self._rows(windows(reading))
        found: list[Score] = []
        for policy, sentences, harmless in self._policies:
            near = rows @ sentences.T
            margins = near.max(axis=1) - (rows @ harmless.T).max(axis=1)
            # Of the windows that count at all, the one that is furthest over to the policy's side.
            margins = np.where(near.max(axis=1) >= policy.least, margins, -2.0)
            window = int(margins.argmax())
            sentence = int(near[window].argmax())
            found.append(
                Score(policy, float(margins[window]), policy.sentences[sentence], float(near[window, sentence]))
            )
        return tuple(found)

    def judge(self, text: str) -> Verdict:
        """The strictest of what the scores mean; allowed when no policy is near enough."""
        broken = [score for score in self.scores(text) if score.decision != "allow"]
        if not broken:
            return ALLOWED
        broken.sort(key=lambda score: -score.margin)
        return strictest(
            Verdict(
                score.decision,
                score.policy.category.name,
                score.policy.category.told,
                (Evidence("similarity", score.policy.category.name, score.nearest, round(score.margin, 3)),),
            )
            for score in broken
        )

    def _rows(self, texts: Sequence[str]) -> Float32Array:
        rows = self._embed(texts)
        if rows.ndim != 2 or rows.shape[0] != len(texts) or not np.isfinite(rows).all():
            raise ValueError(f"embed gave {rows.shape} for {len(texts)} texts, or no numbers; it must give [N, D]")
        lengths = np.linalg.norm(rows, axis=1)
        if not ((np.abs(lengths - 1) < _LENGTH_TOLERANCE) | (lengths == 0)).all():
            raise ValueError("embed gave vectors that are not of length 1; normalise them")
        return rows


def windows(text: str) -> tuple[str, ...]:
    """Overlapping stretches of a text, in words; all of it lies in one of them."""
    words = text.split()
    starts = range(0, max(1, len(words) - WINDOW_WORDS + STRIDE_WORDS), STRIDE_WORDS)
    return tuple(" ".join(words[start : start + WINDOW_WORDS]) for start in starts)[:MAX_WINDOWS]


def _readable(text: str) -> bool:
    letters = [letter for letter in text if letter.isalpha()]
    return bool(letters) and sum(letter.isascii() for letter in letters) >= LEAST_LATIN * len(letters)
