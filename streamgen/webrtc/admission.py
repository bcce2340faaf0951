"""Who may join now, and when to come again. Free of I/O: times are arguments, in seconds on any monotonic clock.

Setting up a viewer costs 10 to 15 ms of CPU on the loop that also sends everybody's media, and an offer that never
connects keeps a place until its timeout. So places, unconnected places and joins per second are limited, the last
two before anything is set up. One client must not take everything: each limit has a counterpart for one address.

An address is an IPv4 address or the /64 network of an IPv6 address, which is what one host is given. Who comes from
this machine's own loopback address is limited together with all others only: it is a local person, or a reverse
proxy behind which everybody would count as one.
"""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from streamgen.webrtc.errors import TooManyViewersError

RETRY_FULL_S: Final = 10
RETRY_PENDING_S: Final = 1
MAX_RETRY_S: Final = 30  # longest time that somebody is sent away for because of a rate

# 20 joins at 10-15 ms each are 20 to 30 % of the core that sends the media.
JOINS_PER_S: Final = 20.0
ADDRESS_JOINS_PER_S: Final = 2.0
ADDRESS_BURST: Final = 10
# Of all places, and of all places of those who are joining.
ADDRESS_SHARE: Final = 0.75
MAX_ADDRESSES: Final = 4096

_IPV6_HOST_PREFIX: Final = 64
_ROUNDING_S: Final = 1e-6  # what sums of many intervals may be off


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How many may be there, and how fast they may come."""

    max_viewers: int = 64
    max_pending: int = 16  # answered or being answered, and not connected yet
    joins_per_s: float = JOINS_PER_S  # a second's worth of joins may come at once
    address_joins_per_s: float = ADDRESS_JOINS_PER_S
    address_burst: int = ADDRESS_BURST
    address_share: float = ADDRESS_SHARE  # of the places, at least one


@dataclass(frozen=True, slots=True)
class Place:
    """A place that is taken."""

    address: str | None  # as `address_key` gives it
    connected: bool


def address_key(host: str | None) -> str | None:
    """The text under which a client's address is counted; None for one that is not counted on its own."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return None  # a Unix socket, or whatever a proxy sent
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            network = ipaddress.ip_network((int(address), _IPV6_HOST_PREFIX), strict=False)
            return None if address.is_loopback else str(network)
        address = address.ipv4_mapped
    return None if address.is_loopback else str(address)


class Admission:
    """Lets viewers join, or says why not and when to come again."""

    def __init__(self, limits: AdmissionLimits | None = None) -> None:
        self.limits = limits if limits is not None else AdmissionLimits()
        self._joins = JoinRate(self.limits.joins_per_s, max(1, math.floor(self.limits.joins_per_s)))
        # In the order of their last join. Full: the address that joined longest ago is forgotten.
        self._addresses: OrderedDict[str, JoinRate] = OrderedDict()

    def admit(self, host: str | None, taken: Collection[Place], now_s: float) -> None:
        """Count a join from the address `host`. Raises `TooManyViewersError`; nothing is counted then."""
        key = address_key(host)
        self._check_places(key, taken)
        rate = None if key is None else self._addresses.get(key)
        if rate is not None and rate.wait_s(now_s) > 0.0:
            raise TooManyViewersError(
                "too many viewers join from your address; try again later", retry_after_s=rate.promise_s(now_s)
            )
        if self._joins.wait_s(now_s) > 0.0:
            raise TooManyViewersError(
                "many viewers are joining at this moment; try again later", retry_after_s=self._joins.promise_s(now_s)
            )
        self._joins.take(now_s)
        if key is not None:
            self._count(key, now_s)

    def _check_places(self, key: str | None, taken: Collection[Place]) -> None:
        limits = self.limits
        if len(taken) >= limits.max_viewers:
            raise TooManyViewersError(
                f"all {limits.max_viewers} places are taken; try again later", retry_after_s=RETRY_FULL_S
            )
        pending = [place for place in taken if not place.connected]
        if len(pending) >= limits.max_pending:
            raise TooManyViewersError("too many viewers are joining; try again", retry_after_s=RETRY_PENDING_S)
        if key is None:
            return
        if sum(place.address == key for place in taken) >= self._share(limits.max_viewers):
            raise TooManyViewersError(
                "your address has as many viewers as one address may have; close one, or try again later",
                retry_after_s=RETRY_FULL_S,
            )
        if sum(place.address == key for place in pending) >= self._share(limits.max_pending):
            raise TooManyViewersError(
                "too many viewers are joining from your address; try again", retry_after_s=RETRY_PENDING_S
            )

    def _share(self, places: int) -> int:
        return max(1, math.ceil(self.limits.address_share * places))

    def _count(self, key: str, now_s: float) -> None:
        rate = self._addresses.pop(key, None)
        if rate is None:
            rate = JoinRate(self.limits.address_joins_per_s, self.limits.address_burst)
            if len(self._addresses) >= MAX_ADDRESSES:
                self._addresses.popitem(last=False)
        self._addresses[key] = rate
        rate.take(now_s)


class JoinRate:
    """`burst` at once and `rate_hz` on average: a token bucket, kept as the time at which it is full.

    (The generic cell rate algorithm, ITU-T I.371, annex A.) It also spreads those whom it refuses: each is told the
    next turn that nobody has been told yet, so that they do not all come back in the same second.
    """

    def __init__(self, rate_hz: float, burst: int) -> None:
        self._interval_s = 1.0 / rate_hz
        self._tolerance_s = (burst - 1) * self._interval_s
        self._full_at_s = -math.inf
        self._promised_until_s = -math.inf

    def wait_s(self, now_s: float) -> float:
        """How long until the next may pass; 0 when it may now."""
        wait_s = self._full_at_s - self._tolerance_s - now_s
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def take(self, now_s: float) -> None:
        """Let one pass."""
        self._full_at_s = max(self._full_at_s, now_s) + self._interval_s

    def promise_s(self, now_s: float) -> int:
        """Whole seconds after which one who was refused should come again, 1 to `MAX_RETRY_S`."""
        next_s = now_s + self.wait_s(now_s)
        last_s = min(self._promised_until_s, now_s + MAX_RETRY_S - self._interval_s)
        self._promised_until_s = max(next_s, last_s + self._interval_s)
        return min(MAX_RETRY_S, max(1, math.ceil(self._promised_until_s - now_s)))
