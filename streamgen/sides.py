"""Picture and sound as the two sides that a prompt can be for, and which prompts leave nothing of an older one.

Prompts for different sides stand beside one another; one is only overridden where all of its sides have later ones. So
of any number that wait at most two count: the latest of each side.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

Side: TypeAlias = Literal["video", "audio"]
Target: TypeAlias = Literal["av", "video", "audio"]

SIDES_OF: Final[Mapping[Target, frozenset[Side]]] = {
    "av": frozenset(("video", "audio")),
    "video": frozenset(("video",)),
    "audio": frozenset(("audio",)),
}


def overridden(target: Target, later: Iterable[Target]) -> bool:
    """Whether prompts for these targets, all of them later, leave nothing of one for `target`."""
    return SIDES_OF[target] <= frozenset[Side]().union(*(SIDES_OF[each] for each in later))
