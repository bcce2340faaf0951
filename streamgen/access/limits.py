"""How often one voter, and one address, may do what costs others something. Free of I/O.

Times are arguments, in seconds on any monotonic clock. An address is an IPv4 address or the /64 network of an IPv6
address (`streamgen.webrtc.admission.address_key`). This machine's own loopback address is limited in nothing but new
visitors: it is a local person, or a reverse proxy behind which everybody would count as one.

Each connection has a limit for all of its messages besides (`streamgen.steering.rate`). What an operator needs in an
emergency, such as panic, is limited by that one only.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from streamgen.access.rate_limit import RateLimit
from streamgen.webrtc.admission import address_key

Action: TypeAlias = Literal["vote", "propose", "prompt", "load"]
Key: TypeAlias = tuple[str, str, str]  # action, kind of whom, whom

# By the `type` of a message.
ACTION_OF: Final[Mapping[str, Action]] = {
    "vote": "vote",
    "propose": "propose",
    "prompt.set": "prompt",
    "config.update": "prompt",
    "prompt": "prompt",
    "schedule": "prompt",
    "timeline.load": "load",  # as often as prompts, but counted by its texts, and apart: prompts can be sent after it
    "reset": "prompt",
    "play": "prompt",
    "pause": "prompt",
    "unschedule": "prompt",
    "loop": "prompt",
    "tempo": "prompt",
    "timeline.clear": "prompt",
}

VOTE_RATE: Final = RateLimit(10, 2.0)
PROPOSE_RATE: Final = RateLimit(1, 5.0)
PROMPT_RATE: Final = RateLimit(20, 2.0)
VISITOR_RATE: Final = RateLimit(20, 60.0)
ADDRESS_FACTOR: Final = 20
ADDRESS_CONNECTIONS: Final = 64
MAX_STEERING: Final = 4096  # connections of everybody together
MAX_KEYS: Final = 16_384  # about 4 MB: of as many as can be connected, with five actions each

_THIS_MACHINE: Final = "this machine"
_ROUNDING_S: Final = 1e-6  # what sums of many intervals may be off


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each thing may be done, and how much more one address may do than one person."""

    vote: RateLimit = VOTE_RATE
    propose: RateLimit = PROPOSE_RATE
    prompt: RateLimit = PROMPT_RATE
    address_factor: int = ADDRESS_FACTOR  # a household, an office or a hall behind one router is one address
    address_connections: int = ADDRESS_CONNECTIONS
    address_visitors: RateLimit = VISITOR_RATE

    def of(self, action: Action) -> RateLimit:
        """The limit of one person."""
        match action:
            case "vote":
                return self.vote
            case "propose":
                return self.propose
            case "prompt" | "load":
                return self.prompt


class RateTable:
    """Token buckets of many, each kept as the time at which it is full (ITU-T I.371, annex A).

    Full-policy: the bucket that was used longest ago is forgotten, and whoever it belongs to starts with a full one.
    Used longest ago, it is full again already unless more than `max_keys` act within one period; `forgotten_early`
    counts those that were not.
    """

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self.forgotten_early = 0
        self._max_keys = max_keys
        self._full_at_s: OrderedDict[Key, float] = OrderedDict()  # the one used longest ago first

    def __len__(self) -> int:
        """Buckets that are remembered."""
        return len(self._full_at_s)

    def wait_s(self, key: Key, rate: RateLimit, now_s: float) -> float:
        """How long until this may be done once more; 0 when it may now."""
        full_at_s = self._full_at_s.get(key, -math.inf)
        wait_s = full_at_s - (rate.times - 1) * rate.interval_s - now_s
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def take(self, key: Key, rate: RateLimit, now_s: float, times: int = 1) -> None:
        """It is done so many times. More than the bucket holds empties it for as long as they take together."""
        full_at_s = self._full_at_s.pop(key, -math.inf)
        if len(self._full_at_s) >= self._max_keys:
            _, other_s = self._full_at_s.popitem(last=False)
            self.forgotten_early += other_s > now_s
        self._full_at_s[key] = max(full_at_s, now_s) + times * rate.interval_s


class Limits:
    """The limits of one server. Not thread-safe: all methods belong to the event loop's thread."""

    def __init__(self, rates: Rates | None = None, *, max_keys: int = MAX_KEYS) -> None:
        self.rates = rates if rates is not None else Rates()
        self.refused: Counter[str] = Counter()  # by action, "connection" and "visitor"
        self.table = RateTable(max_keys)
        # Bounded by the connections that there are: an address without any is not remembered.
        self._connections: Counter[str] = Counter()

    def take(
        self, action: Action, *, voter: str | None, host: str | None, now_s: float, times: int = 1
    ) -> float | None:
        """Do it: None, or how long to wait (s). Nothing is counted then.

        Args:
            action: what is done.
            voter: who does it; None: somebody unknown, whom only the limits of the address hold.
            host: the address that they come from.
            now_s: the time.
            times: as how many it counts afterwards. One that may be done now may be done whatever it counts as.
        """
        rate = self.rates.of(action)
        wanted: list[tuple[Key, RateLimit]] = []
        if voter is not None:
            wanted.append(((action, "voter", voter), rate))
        address = address_key(host)
        if address is not None:
            wanted.append(((action, "address", address), rate.of(self.rates.address_factor)))
        wait_s = max((self.table.wait_s(key, limit, now_s) for key, limit in wanted), default=0.0)
        if wait_s > 0.0:
            self.refused[action] += 1
            return wait_s
        for key, limit in wanted:
            self.table.take(key, limit, now_s, times)
        return None

    def connect(self, host: str | None) -> bool:
        """Whether one more connection of this address may be; if so it counts until `disconnect`."""
        address = address_key(host)
        if address is None:
            return True
        if self._connections[address] >= self.rates.address_connections:
            self.refused["connection"] += 1
            return False
        self._connections[address] += 1
        return True

    def disconnect(self, host: str | None) -> None:
        """A connection that was let in is over."""
        address = address_key(host)
        if address is None:
            return
        self._connections[address] -= 1
        if self._connections[address] <= 0:
            del self._connections[address]

    def new_visitor(self, host: str | None, now_s: float) -> bool:
        """Whether this address may have one more new visitor now; if so it counts."""
        key: Key = ("visitor", "address", visitor_address(host))
        if self.table.wait_s(key, self.rates.address_visitors, now_s) > 0.0:
            self.refused["visitor"] += 1
            return False
        self.table.take(key, self.rates.address_visitors, now_s)
        return True


def visitor_address(host: str | None) -> str:
    """Under which address somebody without a token counts; loopback counts here, since identity is at stake."""
    return address_key(host) or _THIS_MACHINE
