"""How long prompts take from the moment at which they are taken to their first packet. Free of I/O.

What is measured is the machine: of a prompt that an operator had to look at, the time counts from the operator's word.
Both sets are bounded. Full-policy: drop oldest.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Final

from streamgen.protocol import Accepted, Applied, Held, Rejected, ServerMessage, Superseded
from streamgen.protocol.health import PromptTimes

MAX_WAITING: Final = 128  # prompts whose end is not known yet
MAX_SAMPLES: Final = 100


class PromptClock:
    """Times of prompts; all times are seconds on one monotonic clock."""

    def __init__(self) -> None:
        # When it was taken; None while an operator looks at it.
        self._waiting: OrderedDict[tuple[str, str], float | None] = OrderedDict()
        self._samples_s: deque[float] = deque(maxlen=MAX_SAMPLES)

    def taken(self, client: str, id: str, now_s: float) -> None:
        """A prompt was taken. One that comes again while it is under way counts from the first time."""
        self._waiting.setdefault((client, id), now_s)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)

    def told(self, client: str | None, message: ServerMessage, now_s: float) -> None:
        """Something is said to `client` about one of its requests, whichever it is."""
        if client is None or not isinstance(message, Held | Accepted | Applied | Superseded | Rejected):
            return
        key = (client, message.id or "")
        if key not in self._waiting:
            return
        match message:
            case Held():
                self._waiting[key] = None
            case Accepted():
                if self._waiting[key] is None:
                    self._waiting[key] = now_s
            case Applied():
                taken_s = self._waiting.pop(key)
                if taken_s is not None:
                    self._samples_s.append(now_s - taken_s)
            case _:
                del self._waiting[key]

    def times(self) -> PromptTimes:
        """The newest `MAX_SAMPLES`, in milliseconds."""
        if not self._samples_s:
            return PromptTimes()
        return PromptTimes(
            prompts=len(self._samples_s),
            p50_ms=_percentile_ms(self._samples_s, 0.5),
            p95_ms=_percentile_ms(self._samples_s, 0.95),
            last_ms=round(1000 * self._samples_s[-1]),
        )


def _percentile_ms(samples_s: Sequence[float], share: float) -> int:
    """Nearest rank: a value that was measured."""
    ordered = sorted(samples_s)
    return round(1000 * ordered[max(0, math.ceil(share * len(ordered)) - 1)])
