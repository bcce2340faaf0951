"""The steering of one channel: joins the session core, the generator's commands and the connections.

All methods belong to the event loop's thread, and none of them waits: messages go into each connection's bounded
outbox, commands go to `send`.
"""

import asyncio
import itertools
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from pydantic import JsonValue

from streamgen.log.contents import Content, Decided, Panicked, Requested
from streamgen.moderation.verdict import UNAVAILABLE, Verdict, strictest
from streamgen.packets import ChunkRecord, Command, PromptFailed, PromptQueued, PromptSuperseded
from streamgen.protocol import (
    Accepted,
    Applied,
    Approve,
    AudienceControl,
    AudienceOverlay,
    ClientMessage,
    Held,
    PanicAction,
    Permission,
    Ping,
    Pong,
    Prompt,
    PromptSet,
    Propose,
    ProtocolError,
    Reject,
    Rejected,
    ServerMessage,
    State,
    Status,
    Superseded,
    Timeline,
    Vote,
)
from streamgen.steering.connections import Connection as Connection
from streamgen.steering.connections import Connections
from streamgen.steering.crowd import BROADCASTS_PER_S, CrowdPace
from streamgen.steering.effects import Delivery, Effects, Screening
from streamgen.steering.encoding import EncodedOnce
from streamgen.steering.health import HealthMeter, Readings
from streamgen.steering.judging import MAX_DOCUMENTS, MAX_JUDGED
from streamgen.steering.open_request import Request
from streamgen.steering.permissions import PERMISSION_OF
from streamgen.steering.session import SteeringSession
from streamgen.steering.turnstile import Turnstile
from streamgen.steering.voting import AUDIENCE, Asker, BallotRequest, Moment, ProposalScreening, Voting, VotingEffects
from streamgen.steering.voting import MAX_JUDGED as MAX_PROPOSALS_JUDGED

logger = logging.getLogger(__name__)

NO_AUDIENCE: Final = "no audience takes part on this channel; its operator can let it with the setting audience"
MIN_WAIT_S: Final = 0.001  # between two ticks

Judge: TypeAlias = Callable[[str], Awaitable[Verdict]]
_CANNOT_BE_JUDGED: Final = Verdict(
    "refuse", UNAVAILABLE, "Requests cannot be checked right now; try again in a moment."
)
_MAY_PROMPT: Final[frozenset[Permission]] = frozenset({"prompt"})
LEADS: Final[frozenset[Permission]] = frozenset({"moderate", "config", "panic"})
"""Whoever has one of these looks after the channel, and is told everything at once however large the crowd is."""
SEES_TIMELINE: Final[frozenset[Permission]] = frozenset({"schedule", "moderate"})
"""One of these is enough."""


class SteeringHub:
    """What a channel exposes as `.steering`.

    The channel calls `generator_ready`, `generator_lost`, `prompt_queued`, `prompt_superseded`, `prompt_failed`,
    `chunk_started`, `set_status` and `set_viewers` as those things happen; connections call `connect`, `take`,
    `reject` and `disconnect`.
    Where an audience takes part, `voting` is its side, and `voting_clock.keep_time` has to run.
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
        voting: Voting | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session = session
        self.voting = voting
        self.health = HealthMeter()
        self._now_s = now_s
        self._sooner = asyncio.Event()  # something of the vote may be due earlier than it was
        self._due_s = math.inf  # what whoever keeps the time waits for
        # As many as wait for a verdict at most, so that it never is full.
        self._proposals: asyncio.Queue[ProposalScreening] = asyncio.Queue(MAX_PROPOSALS_JUDGED)
        self._log = log
        self._send = send
        self._panic = panic
        self._media_time_s = media_time_s
        self._connections = Connections()
        self._encoded = EncodedOnce()
        self._turnstile = Turnstile()  # for all who send
        self._pace = CrowdPace()
        # As many as the session lets wait, so that it never is full.
        self._screenings: asyncio.Queue[Screening] = asyncio.Queue(MAX_JUDGED)
        self._documents: asyncio.Queue[Screening] = asyncio.Queue(MAX_DOCUMENTS)
        self._anonymous = itertools.count()

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._connections)

    @property
    def paused(self) -> bool:
        """Whether somebody asked for no more chunks."""
        return self.session.paused

    @property
    def status(self) -> Status:
        """What viewers see and hear now."""
        return self.session.status

    def state(self) -> State:
        """The whole situation, without anybody's permissions."""
        return self.session.state()

    async def moderate(self, judge: Judge) -> None:
        """Have prompts and proposals judged, each in the order in which they came, until it is cancelled.

        Only for a session that is `moderated`; while this does not run, nothing is let through. A judge that fails
        refuses. Prompts wait neither for proposals, of which there may be many, nor for documents with many texts.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._judge_requests(self._screenings, judge), name="moderation of prompts")
            tasks.create_task(self._judge_requests(self._documents, judge), name="moderation of documents")
            tasks.create_task(self._judge_proposals(judge), name="moderation of proposals")

    async def _judge_requests(self, screenings: asyncio.Queue[Screening], judge: Judge) -> None:
        while True:
            screening = await screenings.get()
            verdict = await _verdict(judge, screening.texts)
            try:
                self._perform(self.session.judged(screening.channel_id, verdict))
            except Exception:  # the edge of one request: the next ones have to be judged as well
                logger.exception("a request could not be carried out after its verdict")
                self._perform(self.session.give_up(screening.channel_id))

    async def _judge_proposals(self, judge: Judge) -> None:
        while True:
            screening = await self._proposals.get()
            verdict = await _verdict(judge, screening.texts)
            if self.voting is None:
                continue
            try:
                self._perform_vote(self.voting.judged(screening, verdict, self._now_s()))
            except Exception:  # the edge of one proposal: the next ones have to be judged as well
                logger.exception("a proposal could not be taken after its verdict and is refused")
                self._perform_vote(self.voting.judged(screening, _CANNOT_BE_JUDGED, self._now_s()))

    # The audience.

    def tick_audience(self) -> float | None:
        """Do what is due in the vote; returns in how many seconds something is next."""
        if self.voting is None:
            return None
        self._sooner.clear()
        self._perform_vote(self.voting.tick(self._now_s()))
        due_s = self.voting.due_s
        self._due_s = math.inf if due_s is None else due_s
        return None if due_s is None else max(MIN_WAIT_S, due_s - self._now_s())

    async def audience_changed(self) -> None:
        """Return once something of the vote may be due earlier than the last tick said."""
        await self._sooner.wait()

    def _take_vote(self, connection: Connection, message: BallotRequest) -> None:
        if self.voting is None:
            self.reject(connection, ProtocolError("type", "unavailable", NO_AUDIENCE, id=message.id))
            return
        if not isinstance(message, Vote):  # of votes the log has the tallies
            self._log(_requested(connection, message))
        asker = Asker(connection.client, connection.voter, connection.can)
        moment = Moment(self._media_time_s(), self.session.chunk)
        self._perform_vote(self.voting.request(asker, message, self._now_s(), moment))

    def _perform_vote(self, effects: VotingEffects) -> None:
        for note in effects.notes:
            self._log(note)
        self._deliver(effects.deliveries)
        for chosen in effects.prompts:
            self._log(Requested(id=chosen.message.id, role="audience", message=chosen.message.model_dump(mode="json")))
            self._perform(self.session.request(AUDIENCE, chosen.message, _MAY_PROMPT, judged=chosen.judged))
        if effects.screening is not None:
            self._proposals.put_nowait(effects.screening)
        due_s = None if self.voting is None else self.voting.due_s
        if due_s is not None and due_s < self._due_s:
            self._sooner.set()

    # The channel's side.

    def offer(self, choices: Mapping[str, Sequence[str]], *, chunk_s: float = 1.0, recaches: bool = False) -> None:
        """The model has these knobs, which take these values, chunks of this length, and may read its past again."""
        self._perform(self.session.offer(choices, chunk_s=chunk_s, recaches=recaches))

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
        self._catch_up()

    def set_status(self, status: Status) -> None:
        """What viewers see and hear has changed."""
        self._perform(self.session.set_status(status))

    def set_viewers(self, viewers: int) -> None:
        """So many viewers receive media now."""
        self._perform(self.session.set_viewers(viewers))

    def report_health(self, readings: Readings) -> None:
        """Tell those who may moderate how the channel goes. `readings` may leave out what is known here."""
        self._catch_up()
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
        if self.voting is not None:
            self._perform_vote(self.voting.close())
        self._perform(self.session.close())

    # The connections' side.

    def connect(self, client: str | None, can: frozenset[Permission], *, voter: str | None = None) -> Connection:
        """Join: the first messages in the outbox are the whole `state`, the vote and the timeline.

        The vote where there is one, the timeline for those who may see it.
        """
        # A name that no client can choose: parameters of an address hold no line break.
        connection = Connection(client or f"\n{next(self._anonymous)}", can, voter)
        # Before it counts as connected: whatever fails here must leave nothing behind.
        _tell(connection, self.session.state())
        if self.voting is not None:
            _tell(connection, self.voting.joined(voter, self._now_s()))
        _tell(connection, self.session.timeline())
        self._connections.add(connection)
        self._spread()
        return connection

    def disconnect(self, connection: Connection) -> None:
        """Leave. Idempotent. What the client asked for stays in force."""
        self._connections.discard(connection)
        self._spread()

    def _spread(self) -> None:
        """The more are connected, the less often all of them are told."""
        if self.voting is not None:
            self.voting.audience.publish_within(len(self._connections) / BROADCASTS_PER_S)

    def take(self, connection: Connection, message: ClientMessage) -> None:
        """A connection says something."""
        if isinstance(message, Ping):
            pong = Pong(id=message.id, t=message.t, server_media_time=self._media_time_s())
            connection.outbox.put(pong)
        elif isinstance(message, Propose | Vote | AudienceControl) or (
            isinstance(message, Approve | Reject) and self.voting is not None and self.voting.decides(message.target)
        ):
            self._take_vote(connection, message)
        else:
            request = connection.thin.ask(message) if isinstance(message, Prompt) else message
            self._log(_requested(connection, request))
            now_s = self._media_time_s()
            effects = self.session.request(connection.client, request, connection.can, media_time_s=now_s)
            # One that is answered at once is refused, or was taken long ago and is sent again.
            if isinstance(request, PromptSet) and not _answered(connection.client, request.id, effects):
                self.health.prompts.taken(connection.client, request.id, self._now_s())
            self._perform(effects)

    def reject(self, connection: Connection, error: ProtocolError, retry_after_s: float | None = None) -> None:
        """Answer a frame that cannot be taken."""
        self.session.rejections[error.reason] += 1
        connection.outbox.put(error.answer(retry_after_s))

    def _perform(self, effects: Effects) -> None:
        if effects.panic is not None:
            self._panic(effects.panic)
            self._log(Panicked(action=effects.panic, by=_name(effects.deliveries[0].client) or ""))
        self._deliver(effects.deliveries)
        for command in effects.commands:
            self._send(command)
        if effects.screening is not None:
            waiting = self._documents if effects.screening.document else self._screenings
            waiting.put_nowait(effects.screening)

    def _deliver(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            message = delivery.message
            self.health.prompts.told(delivery.client, message, self._now_s())
            if delivery.logged and isinstance(message, Held | Accepted | Rejected | Applied | Superseded):
                self._log(_decided(_name(delivery.client), delivery.voter, message))
            if delivery.client == AUDIENCE and self.voting is not None:
                self._perform_vote(self.voting.prompt_said(message))
                continue
            to_all = delivery.client is None and delivery.voter is None
            paced = to_all and not self._pace.passes(message, len(self._connections), self._now_s())
            # One object for all who may see the same, so that it is encoded once.
            seen: dict[frozenset[Permission], ServerMessage | None] = {}
            for connection in self._connections.of(delivery):
                if paced and not connection.can & LEADS:
                    continue
                if connection.can not in seen:
                    seen[connection.can] = _for(connection.can, message)
                if (shown := seen[connection.can]) is not None:
                    _put(connection, shown)

    def _catch_up(self) -> None:
        """Tell a crowd how things stand, where it was not told at once."""
        if self._pace.owes_state(self._now_s()):
            self._deliver((Delivery(None, self.session.state()),))

    def turn_s(self, connection: Connection) -> float:
        """Take the next turn to send: in how many seconds it comes. Whoever leads does not wait behind a crowd."""
        return 0.0 if connection.can & LEADS else self._turnstile.wait_s(self._now_s())

    def encoded(self, message: ServerMessage) -> str:
        """The JSON text of a message; made once of what goes to many."""
        return self._encoded.text(message)


def _answered(client: str, id: str, effects: Effects) -> bool:
    """Whether a request has its final answer with this."""
    said = (each.message for each in effects.deliveries if each.client == client)
    return any(isinstance(each, Applied | Rejected | Superseded) and each.id == id for each in said)


def _requested(connection: Connection, message: Request | Propose | AudienceControl) -> Requested:
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


async def _verdict(judge: Judge, texts: Sequence[str]) -> Verdict:
    try:
        return await _judged(judge, texts)
    except Exception:  # the task's outermost edge: the next ones have to be judged as well
        logger.exception("a text could not be judged and is refused")
        return _CANNOT_BE_JUDGED


async def _judged(judge: Judge, texts: Sequence[str]) -> Verdict:
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


def _decided(
    client: str | None, voter: str | None, message: Held | Accepted | Rejected | Applied | Superseded
) -> Decided:
    """What the log says of an answer; ids are a client's or a person's own, so that it needs both."""
    decided = Decided(id=message.id or "", client=client, voter=voter, decision=message.type)
    match message:
        case Rejected():
            return decided.model_copy(update={"reason": f"{message.reason}: {message.message}"})
        case Superseded():
            return decided.model_copy(update={"by": message.by})
        case Held():
            return decided.model_copy(update={"reason": message.message})
        case _:
            return decided


def _tell(connection: Connection, message: ServerMessage) -> None:
    """Put a message into the outbox, as far as it is for the one who reads it."""
    seen = _for(connection.can, message)
    if seen is not None:
        _put(connection, seen)


def _put(connection: Connection, message: ServerMessage) -> None:
    """Put what a connection may see into its outbox, in the form in which it asked."""
    heard = connection.thin.heard(message)
    if heard is not None:
        connection.outbox.put(heard)


def _for(can: frozenset[Permission], message: ServerMessage) -> ServerMessage | None:
    """A message as those may see it who hold `can`; None: not at all.

    `state` says what the one who reads it may do, and what waits is shown only to those who decide about it.
    """
    if isinstance(message, Timeline):
        return message if can & SEES_TIMELINE else None
    if isinstance(message, AudienceOverlay):
        return message if "moderate" in can or not message.queue else message.model_copy(update={"queue": ()})
    if not isinstance(message, State):
        return message
    change: dict[str, object] = {"can": _ordered(can)}
    if "moderate" not in can:
        change["held"] = ()
    return message.model_copy(update=change)


def _ordered(can: frozenset[Permission]) -> tuple[Permission, ...]:
    return tuple(sorted(can))
