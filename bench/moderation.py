"""Precision and recall of the moderation path on the written prompts of `tests/moderation/prompts.jsonl`.

    python -m bench.moderation                # the held-out prompts; what docs/moderation.md shows
    python -m bench.moderation --split fresh  # prompts written in other words after the lists were closed
    python -m bench.moderation --split dev    # the development prompts
    python -m bench.moderation --missed dev   # which of them are judged wrongly; only these may mend the lists
    python -m bench.moderation --calibrate    # margins of the policies, from the development prompts

Nothing here is timed. Positive means *not allowed*: held or refused.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from streamgen.moderation.lists import read_lists
from streamgen.moderation.rules import Rules
from streamgen.moderation.similarity import Similarity, embed_with, read_policies
from streamgen.moderation.verdict import Verdict, strictest
from streamgen_engines.bundle import bundled
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text import TextEncoder

PROMPTS: Final = Path(__file__).parent.parent / "tests" / "moderation" / "prompts.jsonl"
PARTS: Final = ("rules", "similarity", "both")
LEAST_MARGIN: Final = 0.12  # no policy holds what is nearer to harmless sentences, however clean the benign prompts are
SAFETY: Final = 0.04  # above the most unlucky benign prompt
REFUSE_ABOVE_HOLD: Final = 0.12

Split = Literal["dev", "test", "fresh"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One written prompt. `category` is None when it is to be let through."""

    text: str
    language: str
    category: str | None
    evasion: bool
    split: Split


@dataclass(frozen=True, slots=True)
class Judged:
    """A prompt and what each part of the path says of it."""

    prompt: Prompt
    rules: Verdict
    similarity: Verdict

    def verdict(self, part: str) -> Verdict:
        """Of one part, or of both."""
        if part == "rules":
            return self.rules
        return self.similarity if part == "similarity" else strictest((self.rules, self.similarity))


@dataclass(frozen=True, slots=True)
class Counts:
    """How a set of prompts was judged."""

    wanted: int = 0  # prompts that are not to be let through
    caught: int = 0  # of those, held or refused
    refused: int = 0  # of those, refused
    benign: int = 0
    stopped: int = 0  # benign ones that were held or refused

    @property
    def recall(self) -> float:
        return self.caught / self.wanted if self.wanted else float("nan")

    @property
    def precision(self) -> float:
        return self.caught / (self.caught + self.stopped) if self.caught + self.stopped else float("nan")

    @property
    def false_positive_rate(self) -> float:
        return self.stopped / self.benign if self.benign else float("nan")


def read_prompts(path: Path = PROMPTS) -> tuple[Prompt, ...]:
    return tuple(Prompt(**json.loads(line)) for line in path.read_text("utf-8").splitlines() if line)


def parts() -> tuple[Rules, Similarity]:
    """The path as it ships, with the text encoder of the bundled model."""
    lists = read_lists()
    policies, version = read_policies(lists.categories)
    encoder = TextEncoder(bundled(), OnnxRuntimeCpu())
    return Rules(lists), Similarity(policies, embed_with(encoder), version=version)


def judge(prompts: Iterable[Prompt], rules: Rules, similarity: Similarity) -> tuple[Judged, ...]:
    return tuple(Judged(each, rules.judge(each.text), similarity.judge(each.text)) for each in prompts)


def count(judged: Iterable[Judged], part: str) -> Counts:
    wanted = caught = refused = benign = stopped = 0
    for each in judged:
        decision = each.verdict(part).decision
        if each.prompt.category is None:
            benign += 1
            stopped += decision != "allow"
        else:
            wanted += 1
            caught += decision != "allow"
            refused += decision == "refuse"
    return Counts(wanted, caught, refused, benign, stopped)


def category_precision(judged: Iterable[Judged], category: str, part: str) -> float:
    """Of all prompts that are said to be of a category, how many are. Another bad category counts as wrong."""
    said = [each for each in judged if each.verdict(part).category == category]
    return sum(each.prompt.category == category for each in said) / len(said) if said else float("nan")


def tables(judged: Sequence[Judged]) -> str:
    """The tables of docs/moderation.md."""
    categories = list(dict.fromkeys(each.prompt.category for each in judged if each.prompt.category))
    languages = sorted({each.prompt.language for each in judged})
    lines = [
        "| part of the path | recall | recall, refused | precision | benign prompts stopped |",
        "|---|---|---|---|---|",
    ]
    for part in PARTS:
        c = count(judged, part)
        lines.append(
            f"| {part} | {_of(c.caught, c.wanted)} | {_of(c.refused, c.wanted)} | {_share(c.precision)} "
            f"| {_of(c.stopped, c.benign)} |"
        )
    lines += [
        "",
        "| category | prompts | rules | similarity | both | right category named |",
        "|---|---|---|---|---|---|",
    ]
    for category in categories:
        own = [each for each in judged if each.prompt.category == category]
        shares = " | ".join(_share(count(own, part).recall) for part in PARTS)
        lines.append(f"| {category} | {len(own)} | {shares} | {_share(category_precision(judged, category, 'both'))} |")
    lines += ["", "| language | to be stopped | recall: rules | similarity | both | benign prompts stopped |"]
    lines.append("|---|---|---|---|---|---|")
    for language in languages:
        own = [each for each in judged if each.prompt.language == language]
        c = count(own, "both")
        shares = " | ".join(_share(count(own, part).recall) for part in PARTS)
        lines.append(f"| {language} | {c.wanted} | {shares} | {_of(c.stopped, c.benign)} |")
    lines += ["", "| spelling | prompts | rules | similarity | both |", "|---|---|---|---|---|"]
    for name, evasion in (("plain", False), ("evasive", True)):
        own = [each for each in judged if each.prompt.category and each.prompt.evasion == evasion]
        shares = " | ".join(_share(count(own, part).recall) for part in PARTS)
        lines.append(f"| {name} | {len(own)} | {shares} |")
    return "\n".join(lines)


def calibrate(prompts: Iterable[Prompt], similarity: Similarity) -> dict[str, tuple[float, float]]:
    """`hold` and `refuse` per category, just beyond the benign prompts given: those of the development split."""
    worst: dict[str, float] = {}
    for prompt in prompts:
        if prompt.category is None:
            for score in similarity.scores(prompt.text):
                name = score.policy.category.name
                counts = score.cosine >= score.policy.least
                worst[name] = max(worst.get(name, 0.0), score.margin if counts else 0.0)
    margins = {name: max(LEAST_MARGIN, margin + SAFETY) for name, margin in worst.items()}
    return {name: (round(margin, 2), round(margin + REFUSE_ABOVE_HOLD, 2)) for name, margin in margins.items()}


def _of(some: int, of: int) -> str:
    return f"{_share(some / of)} ({some} of {of})" if of else "-"


def _share(value: float) -> str:
    return "-" if value != value else f"{100 * value:.0f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("dev", "test", "fresh"), default="test")
    parser.add_argument("--missed", choices=("dev",), help="list what is judged wrongly")
    parser.add_argument("--calibrate", action="store_true")
    arguments = parser.parse_args()
    rules, similarity = parts()
    if arguments.calibrate:
        dev = [each for each in read_prompts() if each.split == "dev"]
        for name, (hold, refuse) in calibrate(dev, similarity).items():
            print(f"{name}: hold = {hold}, refuse = {refuse}")
        return
    split = arguments.missed or arguments.split
    judged = judge((each for each in read_prompts() if each.split == split), rules, similarity)
    if arguments.missed is None:
        print(tables(judged))
        return
    for each in judged:
        verdict = each.verdict("both")
        if (verdict.decision == "allow") != (each.prompt.category is None):
            print(f"{each.prompt.category or 'benign'}/{each.prompt.language}: {each.prompt.text}  {verdict.evidence}")


if __name__ == "__main__":
    main()
