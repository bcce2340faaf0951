"""How often everybody is told the same kind of thing, so that a crowd leaves the media their time. Free of I/O.

Up to `CROWD` connections hear of everything. Beyond that `chunk` and `state` are told less often the more are
connected. A `chunk` that is left out is over. A `state` that is left out is owed: a fresh one follows when its time
has come, so that everybody knows how things stand in the end.
"""

import math
from typing import Final

from streamgen.protocol import Chunk, ServerMessage, State

BROADCASTS_PER_S: Final = 4000
"""Of one kind, all copies counted: with 2,000 connected two each a second. One costs about 50 us."""
CROWD: Final = 1000


class CrowdPace:
    """Says which broadcasts go out. Times are seconds on any monotonic clock."""

    def __init__(self) -> None:
        self._next_s: dict[str, float] = {}
        self._owed = False

    def passes(self, message: ServerMessage, connected: int, now_s: float) -> bool:
        """Whether a message to so many goes out now."""
        if not isinstance(message, Chunk | State):
            return True
        if connected > CROWD and now_s < self._next_s.get(message.type, -math.inf):
            self._owed |= isinstance(message, State)
            return False
        # A little less than the time itself, so that chunks of just that length are not all told late.
        self._next_s[message.type] = now_s + 0.9 * connected / BROADCASTS_PER_S
        if isinstance(message, State):
            self._owed = False
        return True

    def owes_state(self, now_s: float) -> bool:
        """Whether a `state` was left out, and the time for a fresh one has come."""
        return self._owed and now_s >= self._next_s.get("state", -math.inf)
