"""What moderation says of a text: for the one who asked, and for the operator.

The two are kept apart on purpose. `told` names the subject and nothing else, because whoever is told which word was
found learns how to write around it. `evidence` names everything, and belongs in the operator's view and log only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Decision = Literal["allow", "hold", "refuse"]
Part = Literal["length", "rules", "similarity", "external", "mode", "path"]

STRICTNESS: Final[dict[Decision, int]] = {"allow": 0, "hold": 1, "refuse": 2}
UNAVAILABLE: Final = "unavailable"
"""The category of what is refused because some part of the path did not work."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why, for the operator.

    Attributes:
        part: which part of the path found it.
        rule: which entry, policy or failure it was.
        matched: what of the text matched, in the form in which it did.
        score: of a similarity, how far it lies on the policy's side; None where there is no such number.
    """

    part: Part
    rule: str
    matched: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a text.

    Attributes:
        decision: let it through, keep it for an operator, or refuse it.
        category: what it is about; None when nothing was found.
        told: one sentence for the one who asked; empty when it is let through.
        evidence: for the operator; never sent to the one who asked.
    """

    decision: Decision
    category: str | None = None
    told: str = ""
    evidence: tuple[Evidence, ...] = ()


ALLOWED: Final = Verdict("allow")


def strictest(verdicts: Iterable[Verdict]) -> Verdict:
    """The strictest of them, the first among equals, with the evidence of all; allowed when there is none."""
    all_of_them = tuple(verdicts)
    if not all_of_them:
        return ALLOWED
    winner = max(all_of_them, key=lambda verdict: STRICTNESS[verdict.decision])  # max keeps the first of equals
    evidence = tuple(piece for verdict in all_of_them for piece in verdict.evidence)
    return Verdict(winner.decision, winner.category, winner.told, evidence)
