"""What remains of a take when it has been looked at: numbers, and the few takes that are drawn."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from streamgen_export.pocket.judge.briefs import Brief
from streamgen_export.pocket.judge.instruments import Instruments, Opinion, judge_take
from streamgen_export.pocket.judge.joints import Seams, seams
from streamgen_export.pocket.judge.looks import loudness
from streamgen_export.pocket.judge.takes import Take


@dataclass(frozen=True, eq=False)
class Finding:
    """What was found in a take.

    Attributes:
        brief: what was asked for.
        opinion: what the instruments make of it.
        seams: changes across its joints and inside its chunks.
        look: what its last chunk looks like, and how loud it is as a whole.
        duration_s: its length.
        truth: kind of event to its true times, for a render.
        take: itself, where it is to be drawn.
    """

    brief: Brief
    opinion: Opinion
    seams: Seams
    look: dict[str, float]
    duration_s: float
    truth: dict[str, list[float]]
    take: Take | None


def examine(tools: Instruments, take: Take, *, keep: bool) -> Finding:
    """Looks at a take and listens to it; keeps it only where it is asked to."""
    truth: dict[str, list[float]] = defaultdict(list)
    for kind, time_s in take.events:
        truth[kind].append(time_s)
    return Finding(
        brief=take.brief,
        opinion=judge_take(tools, take),
        seams=seams(take),
        look=take.look | {"loudness_db": loudness(take.audio)},
        duration_s=take.duration_s,
        truth=dict(truth),
        take=take if keep else None,
    )
