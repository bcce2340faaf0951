"""OSC over UDP: a thin shell around the desk (what comes in) and the report (what goes out).

Whoever may send here steers as an operator does, without a token: OSC has none. So it listens on loopback unless it is
told otherwise, and takes datagrams of allowed addresses only. What a sender asks for goes through the hub.

Nothing waits: datagrams beyond `DATAGRAMS_PER_S` of one sender, and beyond `ALL_PER_S` of all, are dropped and counted
before they are read, so that one that floods is not in the way of another's panic. What the system's buffer does not
take is counted and lost.
"""

import asyncio
import ipaddress
import logging
import socket
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from streamgen.access.limits import ACTION_OF, Limits
from streamgen.integrations.errors import OscUnavailableError
from streamgen.integrations.hub_client import HubClient
from streamgen.integrations.osc_datagram import MalformedOscError, OscCall, read_datagram, write_call
from streamgen.integrations.osc_desk import OscDesk, OscRefusedError
from streamgen.integrations.osc_map import MAP, MAP_END, OscAddress
from streamgen.integrations.osc_report import OscOut, OscReport
from streamgen.protocol import Applied, Permission, Rejected, RequestMessage, ServerMessage, State, Superseded
from streamgen.steering.hub import SteeringHub
from streamgen.steering.rate import TokenBucket

logger = logging.getLogger(__name__)

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = tuple[str, int]  # host or address, and UDP port

VOTER: Final = "osc"  # who it is in the log and for the limits
CAN: Final[frozenset[Permission]] = frozenset({"watch", "prompt", "config", "moderate", "panic"})

DATAGRAMS_PER_S: Final = 1000.0  # eight faders that move at once send half as many
ALL_PER_S: Final = 4000.0
MAX_SENDERS: Final = 64  # whose rate is known; the one heard longest ago is forgotten
MAX_FOLLOWED: Final = 64  # addresses to which a refusal can still be told
MAPS_PER_S: Final = 0.5  # a map is some ten thousand bytes for a few
REFUSALS_PER_S: Final = 10.0
COMPLAIN_EVERY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class OscSettings:
    """Where to listen and to send; None: not at all. `allow`: who may send here."""

    listen: Address | None
    send: Address | None
    allow: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass(slots=True)
class OscCounts:
    """What has been counted since the start.

    Attributes:
        datagrams: by what became of them: taken, malformed, foreign (an address that may not send), flood.
        calls: by what became of them: taken, refused.
        sent: datagrams that were sent.
        unsent: that the system's buffer did not take.
    """

    datagrams: Counter[str]
    calls: Counter[str]
    sent: int = 0
    unsent: int = 0


class Osc:
    """`async with Osc(hub, settings, channel="main", limits=limits)`. `now_s` is a monotonic clock (s)."""

    def __init__(
        self,
        hub: SteeringHub,
        settings: OscSettings,
        *,
        channel: str,
        limits: Limits,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = OscCounts(Counter(), Counter())
        self._settings = settings
        self._limits = limits
        self._now_s = now_s
        self._desk = OscDesk(channel)
        self._report = OscReport(channel)
        self._client = HubClient(hub, VOTER, can=CAN, hear=self._hear)
        self._asked_from: OrderedDict[str, str] = OrderedDict()  # addresses by the ids of requests under way
        self._socket: socket.socket | None = None  # that is listened on
        self._listener: asyncio.DatagramTransport | None = None
        self._sender: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._senders: OrderedDict[Address, TokenBucket] = OrderedDict()
        self._all = TokenBucket(ALL_PER_S, round(ALL_PER_S))
        self._maps = TokenBucket(MAPS_PER_S, 2)
        self._refusals = TokenBucket(REFUSALS_PER_S, round(REFUSALS_PER_S))
        self._complaints = TokenBucket(1 / COMPLAIN_EVERY_S, 1)

    async def __aenter__(self) -> Self:
        """Listen and join the channel.

        Raises:
            OscUnavailableError: the address cannot be listened on, or nothing of that name can be sent to.
        """
        try:
            if self._settings.send is not None:
                self._sender = await _socket(self._settings.send, "osc_send", socket.socket.connect)
            if self._settings.listen is not None:
                self._socket = await _socket(self._settings.listen, "osc_listen", socket.socket.bind)
                self._listener, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: _Heard(self), sock=self._socket
                )
            await self._client.__aenter__()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop to listen, leave the channel. Idempotent."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        elif self._socket is not None:
            self._socket.close()
        self._socket = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._client.close()
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    @property
    def listens_on(self) -> Address | None:
        """Where it listens, with the port that a 0 has become."""
        if self._socket is None:
            return None
        host, port = self._socket.getsockname()[:2]
        return host, port

    @property
    def addresses(self) -> tuple[OscAddress, ...]:
        """The map."""
        return self._desk.addresses

    @property
    def coalesced(self) -> int:
        """Prompts and settings in whose place later ones went."""
        return self._desk.coalesced

    def datagram(self, datagram: bytes, sender: Address) -> None:
        """One arrives."""
        if not self._allowed(sender[0]):
            self._drop("foreign", f"{sender[0]} may not send (osc_allow)")
        elif self._too_many(sender):
            self._drop("flood", f"more than {DATAGRAMS_PER_S:.0f} a second of {sender[0]}, or {ALL_PER_S:.0f} of all")
        else:
            try:
                calls = read_datagram(datagram)
            except MalformedOscError as error:
                self._drop("malformed", f"no OSC: {error}")
                return
            self.counts.datagrams["taken"] += 1
            for call in calls:
                self._call(call, sender)
            self._release()

    def _too_many(self, sender: Address) -> bool:
        rate = self._senders.pop(sender, None) or TokenBucket(DATAGRAMS_PER_S, round(DATAGRAMS_PER_S))
        self._senders[sender] = rate
        if len(self._senders) > MAX_SENDERS:
            self._senders.popitem(last=False)
        return rate.take(self._now_s()) is not None or self._all.take(self._now_s()) is not None

    def _drop(self, why: str, words: str) -> None:
        self.counts.datagrams[why] += 1
        if self._complaints.take(self._now_s()) is None:
            logger.warning("an OSC datagram is dropped: %s", words)

    def _allowed(self, host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._settings.allow)

    def _call(self, call: OscCall, sender: Address) -> None:
        try:
            wanted = self._desk.take(call)
        except OscRefusedError as error:
            self.counts.calls["refused"] += 1
            self._tell_refusal(call.address, str(error))
            return
        self.counts.calls["taken"] += 1
        if wanted == "map":
            self._send_map(sender)
        elif wanted == "report":
            self._send(self._report.everything())

    def _release(self) -> None:
        """Ask for what is due, and come again when more is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        asked, wait_s = self._desk.due(self._now_s(), self._limit)
        for address, message in asked:
            self._asked_from[message.id] = address
            if len(self._asked_from) > MAX_FOLLOWED:
                self._asked_from.popitem(last=False)
            self._client.ask(message)
        if wait_s is not None:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._release)

    def _limit(self, message: RequestMessage, now_s: float) -> float | None:
        action = ACTION_OF.get(message.type)
        return None if action is None else self._limits.take(action, voter=VOTER, host=None, now_s=now_s)

    def _hear(self, message: ServerMessage) -> None:
        if isinstance(message, State):
            self._desk.follow(message)
        elif isinstance(message, Applied | Rejected | Superseded):
            address = self._asked_from.pop(message.id or "", None)
            if address is not None and isinstance(message, Rejected):
                self._tell_refusal(address, message.message)
        self._send(self._report.of(message))

    def _tell_refusal(self, address: str, why: str) -> None:
        if self._refusals.take(self._now_s()) is None:
            self._send([self._report.rejected(address, why)])

    def _send(self, outgoing: list[OscOut]) -> None:
        if self._sender is not None:
            for address, tags, values in outgoing:
                self._put(self._sender, write_call(address, tags, *values), None)

    def _send_map(self, to: Address) -> None:
        if self._socket is None or self._maps.take(self._now_s()) is not None:
            return
        every = self._desk.addresses
        for each in every:
            low, high = each.low or 0.0, each.high or 0.0
            datagram = write_call(
                MAP, "sssffss", each.path, each.tags, each.direction, low, high, ",".join(each.words), each.about
            )
            self._put(self._socket, datagram, to)
        self._put(self._socket, write_call(MAP_END, "i", len(every)), to)

    def _put(self, out: socket.socket, datagram: bytes, to: Address | None) -> None:
        """Now or not at all: nothing is queued here."""
        try:
            if to is None:
                out.send(datagram)
            else:
                out.sendto(datagram, to)
        except OSError:  # a full buffer, or nobody there: what was sent before came back
            self.counts.unsent += 1
        else:
            self.counts.sent += 1


class _Heard(asyncio.DatagramProtocol):
    def __init__(self, osc: Osc) -> None:
        self._osc = osc

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """One arrives."""
        self._osc.datagram(data, (str(addr[0]), int(addr[1])))


async def _socket(address: Address, setting: str, use: Callable[[socket.socket, Any], None]) -> socket.socket:
    """A socket that is bound or connected to an address. Raises `OscUnavailableError`."""
    host, port = address
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, place = found[0]
        made = socket.socket(family, kind, protocol)
        try:
            made.setblocking(False)
            use(made, place)
        except BaseException:
            made.close()
            raise
    except OSError as error:
        raise OscUnavailableError(
            f"{setting}: UDP {host}:{port} cannot be used ({error.strerror or error}); see whether the name is right, "
            "and the port free"
        ) from None
    return made
