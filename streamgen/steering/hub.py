"""The steering of one channel: joins the session core, the generator's commands and the connections.

All methods belong to the event loop's thread, and none of them waits: messages go into each connection's bounded
outbox, commands go to `send`.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pydantic import JsonValue

from streamgen.log.contents import Content, Decided, Panicked, Requested
from streamgen.moderation.verdict import UNAVAILABLE, Verdict, strictest
from streamgen.packets import ChunkRecord, Command, PromptFailed, PromptQueued, PromptSuperseded
from streamgen.protocol import (
    Accepted,
    Applied,
    AudienceControl,
    ClientMessage,
    Held,
    PanicAction,
    Permission,
    Ping,
    Pong,
    PromptSet,
    Propose,
    ProtocolError,
    Rejected,
    ServerMessage,
    State,
    Status,
    Superseded,
    Vote,
)
from streamgen.steering.effects import Effects, Screening
from streamgen.steering.health import HealthMeter, Readings
from streamgen.steering.outbox import Outbox
from streamgen.steering.session import MAX_JUDGED, PERMISSION_OF, SteeringSession

logger = logging.getLogger(__name__)

NO_AUDIENCE: Final = "no audience takes part on this channel; its operator can let it with the setting audience"


@dataclass(eq=False, slots=True)
class Connection:
    """One client that is connected now. Its ids are its own, or shared by all connections of the same `client`."""

    client: str
    can: frozenset[Permission]
    voter: str | None = None  # who it is to whoever counts people: a token's subject, a visitor or an address
    outbox: Outbox = field(default_factory=Outbox)


class SteeringHub:
    """What a channel exposes as `.steering`.

    The channel calls `generator_ready`, `generator_lost`, `prompt_queued`, `prompt_superseded`, `prompt_failed`,
    `chunk_started`, `set_status` and `set_viewers` as those things happen; connections call `connect`, `take`,
    `reject` and `disconnect`.
    `send` hands a command to the running generator and must return at once; it is only called between
    `generator_ready` and `generator_lost`. `panic` covers the programme, and must return at once too. `media_time_s`
    gives the media time (s) that leaves the server now. `log` writes down who asked for what and what became of it, and
    must return at once. `now_s` is a monotonic clock, which `health` measures by.
    """

    def __init__(
        self,
        session: SteeringSession,
        *,
        send: Callable[[Command], None],
        panic: Callable[[PanicAction], None] = lambda action: None,
        media_time_s: Callable[[], float] = lambda: 0.0,
        log: Callable[[Content], None] = lambda content: None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session = session
        self.health = HealthMeter()
        self._now_s = now_s
        self._log = log
        self._send = send
        self._panic = panic
        self._media_time_s = media_time_s
        self._connections: set[Connection] = set()
        # As many as the session lets wait, so that it never is full.
        self._screenings: asyncio.Queue[Screening] = asyncio.Queue(MAX_JUDGED)
        self._anonymous = itertools.count()

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._connections)

    @property
    def status(self) -> Status:
        """What viewers see and hear now."""
        return self.session.status

    def state(self) -> State:
        """The whole situation, without anybody's permissions."""
        return self.session.state()

    async def moderate(self, judge: Callable[[str], Awaitable[Verdict]]) -> None:
        """Have prompts judged, one after the other in the order in which they came, until it is cancelled.

        Only for a session that is `moderated`; while this does not run, nothing is let through. A judge that fails
        refuses.
        """
        while True:
            screening = await self._screenings.get()
            try:
                verdict = await _judged(judge, screening.texts)
            except Exception:  # the task's outermost edge: the next prompts have to be judged as well
                logger.exception("a prompt could not be judged and is refused")
                verdict = Verdict("refuse", UNAVAILABLE, "Requests cannot be checked right now; try again in a moment.")
            self._perform(self.session.judged(screening.channel_id, verdict))

    # The channel's side.

    def offer(self, choices: Mapping[str, Sequence[str]]) -> None:
        """The model has these knobs, which take these values."""
        self._perform(self.session.offer(choices))

    def generator_ready(self) -> None:
        """A generator runs and waits for its first command."""
        self._perform(self.session.generator_ready())

    def generator_lost(self) -> None:
        """The generator is gone."""
        self._perform(self.session.generator_lost())

    def prompt_queued(self, event: PromptQueued) -> None:
        """The generator holds a prompt."""
        self._perform(self.session.queued(event.id, event.eta_ms))

    def prompt_superseded(self, event: PromptSuperseded) -> None:
        """The generator gave a prompt up."""
        self._perform(self.session.superseded(event.id, event.by))

    def prompt_failed(self, event: PromptFailed) -> None:
        """The generator cannot use a prompt."""
        self._perform(self.session.failed(event.id, event.message))

    def chunk_started(self, record: ChunkRecord) -> None:
        """The first packet of a chunk leaves now."""
        self.health.chunk_started(record, self._now_s())
        self._perform(self.session.chunk_started(record))

    def set_status(self, status: Status) -> None:
        """What viewers see and hear has changed."""
        self._perform(self.session.set_status(status))

    def set_viewers(self, viewers: int) -> None:
        """So many viewers receive media now."""
        self._perform(self.session.set_viewers(viewers))

    def report_health(self, readings: Readings) -> None:
        """Tell those who may moderate how the channel goes. `readings` may leave out what is known here."""
        told = [connection for connection in self._connections if "moderate" in connection.can]
        if not told:
            return
        known = self.session.depths
        deepest = max(len(connection.outbox) for connection in self._connections)
        queues = readings.queues.model_copy(
            update={
                "moderation": known.moderation,
                "held": known.held,
                "prompts": known.prompts,
                "outbox": deepest,
            }
        )
        health = self.health.report(replace(readings, connections=self.connections, queues=queues), self._now_s())
        for connection in told:
            connection.outbox.put(health)

    def close(self) -> None:
        """Give every open request its final answer. Idempotent."""
        self._perform(self.session.close())

    # The connections' side.

    def connect(self, client: str | None, can: frozenset[Permission], *, voter: str | None = None) -> Connection:
        """Join: the first message in the outbox is the whole `state`."""
        # A name that no client can choose: parameters of an address hold no line break.
        connection = Connection(client or f"\n{next(self._anonymous)}", can, voter)
        self._connections.add(connection)
        connection.outbox.put(_for(connection, self.session.state()))
        return connection

    def disconnect(self, connection: Connection) -> None:
        """Leave. Idempotent. What the client asked for stays in force."""
        self._connections.discard(connection)

    def take(self, connection: Connection, message: ClientMessage) -> None:
        """A connection says something."""
        if isinstance(message, Ping):
            pong = Pong(id=message.id, t=message.t, server_media_time=self._media_time_s())
            connection.outbox.put(pong)
        elif isinstance(message, Propose | Vote | AudienceControl):
            self.reject(connection, ProtocolError("type", "unavailable", NO_AUDIENCE, id=message.id))
        else:
            self._log(_requested(connection, message))
            now_s = self._media_time_s()
            effects = self.session.request(connection.client, message, connection.can, media_time_s=now_s)
            # One that is answered at once is refused, or was taken long ago and is sent again.
            if isinstance(message, PromptSet) and not _answered(connection.client, message.id, effects):
                self.health.prompts.taken(connection.client, message.id, self._now_s())
            self._perform(effects)

    def reject(self, connection: Connection, error: ProtocolError, retry_after_s: float | None = None) -> None:
        """Answer a frame that cannot be taken."""
        rejected: Rejected = error.rejected()
        if retry_after_s is not None:
            rejected = rejected.model_copy(update={"retry_after_s": retry_after_s})
        self.session.rejections[error.reason] += 1
        connection.outbox.put(rejected)

    def _perform(self, effects: Effects) -> None:
        if effects.panic is not None:
            self._panic(effects.panic)
            self._log(Panicked(action=effects.panic, by=_name(effects.deliveries[0].client) or ""))
        for delivery in effects.deliveries:
            self.health.prompts.told(delivery.client, delivery.message, self._now_s())
            if isinstance(delivery.message, Held | Accepted | Rejected | Applied | Superseded):
                self._log(_decided(_name(delivery.client), delivery.message))
            for connection in self._connections:
                if delivery.client is None or delivery.client == connection.client:
                    connection.outbox.put(_for(connection, delivery.message))
        for command in effects.commands:
            self._send(command)
        if effects.screening is not None:
            self._screenings.put_nowait(effects.screening)


def _answered(client: str, id: str, effects: Effects) -> bool:
    """Whether a request has its final answer with this."""
    said = (each.message for each in effects.deliveries if each.client == client)
    return any(isinstance(each, Applied | Rejected | Superseded) and each.id == id for each in said)


def _requested(connection: Connection, message: ClientMessage) -> Requested:
    """What the log says of a request. Of one that is not allowed only its kind: else refusals could fill the log."""
    asked: dict[str, JsonValue] = {"type": message.type}
    if PERMISSION_OF.get(message.type) in connection.can:
        asked |= message.model_dump(mode="json", exclude_unset=True)
    return Requested(
        id=message.id,
        client=_name(connection.client),
        voter=connection.voter,
        role=" ".join(_ordered(connection.can)),
        message=asked,
    )


async def _judged(judge: Callable[[str], Awaitable[Verdict]], texts: Sequence[str]) -> Verdict:
    """The strictest verdict on some texts; the first that is refused ends it, so that others wait no longer."""
    verdicts: list[Verdict] = []
    for text in texts:
        verdicts.append(await judge(text))
        if verdicts[-1].decision == "refuse":
            break
    return strictest(verdicts)


def _name(client: str | None) -> str | None:
    """The name that a client gave itself, if it did."""
    return None if client is None or client.startswith("\n") else client


def _decided(client: str | None, message: Held | Accepted | Rejected | Applied | Superseded) -> Decided:
    """What the log says of an answer; ids are a client's own, so that it needs both."""
    decided = Decided(id=message.id or "", client=client, decision=message.type)
    match message:
        case Rejected():
            return decided.model_copy(update={"reason": f"{message.reason}: {message.message}"})
        case Superseded():
            return decided.model_copy(update={"by": message.by})
        case Held():
            return decided.model_copy(update={"reason": message.message})
        case _:
            return decided


def _for(connection: Connection, message: ServerMessage) -> ServerMessage:
    """`state` says what the one who reads it may do, and shows what is held only to those who decide about it."""
    if not isinstance(message, State):
        return message
    change: dict[str, object] = {"can": _ordered(connection.can)}
    if "moderate" not in connection.can:
        change["held"] = ()
    return message.model_copy(update=change)


def _ordered(can: frozenset[Permission]) -> tuple[Permission, ...]:
    return tuple(sorted(can))
