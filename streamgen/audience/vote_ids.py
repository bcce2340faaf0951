"""Which votes have been counted, by the id that their voter gave them, so that one sent again counts once.

Memory is bounded: the last `IDS_OF_ONE` votes of each of `max_voters` voters. Full-policy: the oldest vote of the
voter is forgotten, and of voters the one who voted longest ago.
"""

from collections import OrderedDict
from typing import Final, TypeAlias

from streamgen.audience.effects import RefusedError

IDS_OF_ONE: Final = 4

Counted: TypeAlias = tuple[str, str | None, str]  # id, ballot as it was named, option


class VoteIds:
    """Votes that were counted. Votes that were refused are not remembered: sent again, they are judged again."""

    def __init__(self, max_voters: int) -> None:
        self._max_voters = max_voters
        self._counted: OrderedDict[str, tuple[Counted, ...]] = OrderedDict()  # who voted longest ago comes first

    def __len__(self) -> int:
        """Voters of whom votes are remembered."""
        return len(self._counted)

    def known(self, voter: str, id: str, ballot: str | None, option: str) -> bool:
        """Whether this very vote has been counted. Raises `RefusedError` (`id_reused`) for another one of that id."""
        for counted in self._counted.get(voter, ()):
            if counted[0] == id:
                if counted != (id, ballot, option):
                    raise RefusedError("id_reused", "this id belongs to another vote of yours; use an id of its own")
                return True
        return False

    def keep(self, voter: str, id: str, ballot: str | None, option: str) -> None:
        """This vote has been counted."""
        before = self._counted.pop(voter, ())
        if len(self._counted) >= self._max_voters:
            self._counted.popitem(last=False)
        self._counted[voter] = (*before[1 - IDS_OF_ONE :], (id, ballot, option))

    def dump(self) -> dict[str, tuple[Counted, ...]]:
        """The state to be stored."""
        return dict(self._counted)

    def load(self, state: dict[str, tuple[Counted, ...]]) -> None:
        """Go on with a stored state; of more than fit, the latest are kept."""
        kept = list(state.items())[-self._max_voters :]
        self._counted = OrderedDict((voter, counted[-IDS_OF_ONE:]) for voter, counted in kept)
