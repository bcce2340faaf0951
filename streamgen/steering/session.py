"""The life of every request on one channel, without I/O: events go in, messages and commands come out.

    received -> held -> accepted | rejected -> queued -> applied | superseded

Where texts are moderated, a request with texts is `received` until its verdict comes, and may be `held` for an operator
after it.

What holds:

- a request that was received reaches exactly one final answer: `rejected`, `applied` or `superseded`;
- the latest prompt of each side, picture and sound, wins: an older one is never applied after newer ones for all of
  its sides, and one that is the newest for a side is not superseded by what was sent;
- what is scheduled comes at its time, over whatever was sent before;
- an id belongs to the client that chose it: sent again with the same content it gets the same answers and acts
  once, sent with another content it is rejected (`id_reused`), unless it edits an entry of the timeline;
- no text reaches the generator before its verdict allows it, or an operator does;
- memory is bounded by `MAX_OPEN_PROMPTS`, `MAX_RESETS`, the number of finished requests that are remembered, and the
  limits of what is judged and of the timeline.

Requests wait here while no generator runs. When one is ready it is told the settings in force, the prompts that count
and the timeline, so a restart forgets nothing that was accepted.
"""

import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from streamgen.moderation.verdict import Verdict
from streamgen.packets import ChunkRecord, Command, DropContext, SetConfig, SetPaused, SetPrompt
from streamgen.protocol import (
    Accepted,
    Approve,
    Config,
    ConfigUpdate,
    Panic,
    Pause,
    Pending,
    Permission,
    Play,
    PromptSet,
    Queued,
    QueueDepths,
    Reason,
    Reject,
    Reset,
    Schedule,
    ServerMessage,
    Stage,
    State,
    Status,
    Timeline,
    TimelineLoad,
)
from streamgen.steering.admission import refused, wrong_knob, wrong_recache
from streamgen.steering.config_changes import ConfigChanges
from streamgen.steering.effects import Delivery, Effects
from streamgen.steering.judging import Judging
from streamgen.steering.ledger import Ledger, repeated
from streamgen.steering.on_air import OnAir, chunk_message
from streamgen.steering.open_prompts import OpenPrompts
from streamgen.steering.open_request import (
    FINAL,
    OpenRequest,
    Request,
    Worded,
    applied,
    set_prompt,
    texts_of,
)
from streamgen.steering.programme import Programme
from streamgen.steering.registry import answer
from streamgen.steering.scheduling import Scheduling

MAX_OPEN_PROMPTS: Final = 32  # accepted and not final yet; one more and the oldest is superseded
MAX_FINISHED: Final = 1024  # remembered so that a request that is sent again gets the same answer
MAX_SETTLED_SHOWN: Final = 8  # superseded prompts that `state` still lists, until the one that replaced them plays
MAX_RESETS: Final = 8  # that no chunk has shown yet; one more is rejected


class SteeringSession:
    """The steering state of one channel.

    `prompt` is what plays until somebody steers. With `moderated`, prompts wait for `judged`. No request gets an id on
    the channel that matches `reserved`, because it belongs to something else. Not thread-safe: all
    methods belong to the event loop's thread.
    """

    def __init__(
        self,
        channel: str,
        *,
        prompt: str = "",
        moderated: bool = False,
        reserved: re.Pattern[str] | None = None,
        max_open_prompts: int = MAX_OPEN_PROMPTS,
        max_finished: int = MAX_FINISHED,
    ) -> None:
        self.channel = channel
        self._moderated = moderated
        self._prompts = OpenPrompts(max_open_prompts)
        self._resets: dict[str, OpenRequest] = {}  # that no chunk has shown yet, by channel id
        self._on_air = OnAir()
        self._ledger = Ledger(max_finished, self._on_air, lambda: self._programme.ids | self._scheduling.ids, reserved)
        self._judging = Judging(self._ledger)
        self._scheduling = Scheduling(self._ledger)
        self._configs = ConfigChanges()
        self._settled: deque[OpenRequest] = deque(maxlen=MAX_SETTLED_SHOWN)
        self._running = False
        self._closed = False
        self._revision = 0
        self._programme = Programme(prompt)
        self._choices: dict[str, tuple[str, ...]] = {}
        self._recaches = False  # whether the model can read its past again

    @property
    def outcomes(self) -> Counter[Stage]:
        """How many requests reached each final answer."""
        return self._ledger.outcomes

    @property
    def rejections(self) -> Counter[Reason]:
        """Why requests were rejected."""
        return self._ledger.rejections

    @property
    def paused(self) -> bool:
        """Whether no chunks are to be made."""
        return self._on_air.paused

    def timeline(self) -> Timeline:
        """What is scheduled, for somebody who joins now."""
        return self._scheduling.message()

    @property
    def status(self) -> Status:
        """What viewers see and hear now."""
        return self._on_air.status

    @property
    def chunk(self) -> int | None:
        """The chunk that plays, None before the first."""
        return self._on_air.chunk

    @property
    def remembered(self) -> int:
        """How many requests are held in memory, open and finished."""
        return len(self._ledger.registry)

    @property
    def depths(self) -> QueueDepths:
        """How many prompts wait, and for what."""
        return QueueDepths(moderation=self._judging.unseen, held=len(self._judging.held), prompts=len(self._prompts))

    def state(self, can: tuple[Permission, ...] = ()) -> State:
        """The whole situation, for somebody who joins now."""
        waiting = [*self._settled, *self._prompts]
        return State(
            revision=self._revision,
            channel=self.channel,
            status=self._on_air.status,
            prompt=self._programme.text,
            prompt_id=self._programme.prompt_id,
            sound=self._programme.sound,
            pending=tuple(
                Pending(id=each.channel_id, text=each.message.shown, stage=each.stage, eta_ms=each.eta_ms)
                for each in waiting
                if isinstance(each.message, PromptSet)
            ),
            held=self._judging.held,
            knobs=self._programme.knobs,
            choices=self._choices,
            recaches=self._recaches,
            config=self._configs.config,
            cover=self._on_air.cover,
            muted=self._on_air.muted,
            paused=self._on_air.paused,
            media_time=self._on_air.media_time_s,
            chunk=self._on_air.chunk,
            viewers=self._on_air.viewers,
            can=can,
        )

    # From clients.

    def request(
        self,
        client: str,
        message: Request,
        can: frozenset[Permission],
        *,
        media_time_s: float = 0.0,
        judged: bool = False,
    ) -> Effects:
        """Take a request of `client`, who holds the permissions `can`, while media of `media_time_s` leaves.

        `judged`: the texts of a prompt have been let through already, one by one as they stand.
        """
        known = self._ledger.registry.find(client, message.id)
        if known is not None and known.message == message:
            return Effects(repeated(client, known))
        refusal = refused(message, known, can, closed=self._closed)
        if refusal is not None:
            return self._refuse(client, message.id, *refusal)
        match message:
            case PromptSet() | Schedule() | TimelineLoad():
                return self._word(client, message, judged=judged)
            case Panic():
                return self._panic(client, message, media_time_s)
            case Approve() | Reject():
                return self._decide(client, message, media_time_s)
            case ConfigUpdate():
                return self._configure(client, message)
            case Play() | Pause():
                return self._pause(client, message, media_time_s)
            case Reset():
                return self._reset(client, message)
            case _:
                return self._told(self._scheduling.change(client, message, media_time_s))

    def judged(self, channel_id: str, verdict: Verdict) -> Effects:
        """The verdict about the texts of a `Screening`."""
        request, deliveries = self._judging.judged(channel_id, verdict)
        if request is not None:
            return self._accept(request)
        return Effects((*deliveries, *self._changed())) if deliveries else Effects()

    def give_up(self, channel_id: str) -> Effects:
        """A request that failed in here gets its final answer, if it had none; what it changed until then stays."""
        request = self._ledger.registry.on_channel(channel_id)
        if request is None or request.stage in FINAL:
            return Effects()
        told = "this could not be carried out; the server's log says why"
        return Effects((self._reject(request, "unavailable", None, told), *self._changed()))

    def offer(self, choices: Mapping[str, Sequence[str]], *, chunk_s: float = 1.0, recaches: bool = False) -> Effects:
        """The model has these knobs, which take these values, chunks of this length, and may read its past again."""
        self._recaches = recaches
        self._scheduling.chunk_s = chunk_s
        self._choices = {name: tuple(values) for name, values in choices.items()}
        return Effects(self._changed())

    # From the generator and the pacer.

    def generator_ready(self) -> Effects:
        """A generator runs and knows nothing yet: give it what is in force and the newest prompt."""
        self._running = True
        commands: list[Command] = []
        config = self._configs.config
        if config != Config():
            commands.append(SetConfig(guidance=config.guidance, seed=config.seed))
        waiting = [set_prompt(each) for each in self._prompts if not self._prompts.is_overridden(each)]
        told = self._programme.whole(waiting[0] if waiting else None)
        if told is not None:
            commands.append(told)
        commands += waiting[1:]
        commands += self._scheduling.told()
        commands += [DropContext(id) for id in self._resets]
        if self._on_air.paused:
            commands.append(SetPaused(True))
        return Effects(commands=tuple(commands))

    def generator_lost(self) -> Effects:
        """The generator is gone, with whatever it was making. The prompts that count wait for the next one."""
        self._running = False
        deliveries = self._keep_newest()
        return Effects((*deliveries, *self._changed())) if deliveries else Effects()

    def queued(self, channel_id: str, eta_ms: float) -> Effects:
        """The generator holds this prompt and expects to show it in `eta_ms`."""
        request = self._prompts.get(channel_id)
        if request is None:
            return Effects(self._scheduling.queued(channel_id, eta_ms))
        request.stage = "queued"
        request.eta_ms = max(0, round(eta_ms))
        return Effects((answer(request, Queued(id=request.message.id, eta_ms=request.eta_ms)), *self._changed()))

    def superseded(self, channel_id: str, by: str) -> Effects:
        """The generator gave this prompt up for prompt `by`."""
        request = self._prompts.get(channel_id)
        if request is None:
            return Effects(self._scheduling.superseded(channel_id, by))
        winner = self._ledger.registry.on_channel(by)
        newer = winner is not None and winner.order > request.order and self._prompts.is_overridden(request)
        if not newer and not self._scheduling.knows(by):
            return Effects()
        return Effects((self._supersede(request, by), *self._changed()))

    def failed(self, channel_id: str, message: str) -> Effects:
        """The generator cannot use this prompt."""
        request = self._prompts.get(channel_id)
        if request is None:
            return self._told(self._scheduling.failed(channel_id, message))
        return self._turn_away(request, "invalid", message)

    def chunk_started(self, record: ChunkRecord) -> Effects:
        """The first packet of this chunk has left for the viewers, at media time `record.pts`."""
        live = self._on_air.chunk_started(record)
        deliveries = [] if live is None else [Delivery(None, live)]
        changed = bool(deliveries)
        prompts = [id for id in record.applied if id not in self._resets]
        scheduled = [id for id in prompts if self._scheduling.knows(id)]
        for request in filter(None, map(self._prompts.get, record.superseded)):
            newest = self._prompts.newest
            if self._prompts.is_overridden(request):
                by = prompts[-1] if prompts or newest is None else newest.channel_id
            elif scheduled:
                by = scheduled[-1]
            else:
                continue
            deliveries.append(self._supersede(request, by))
            changed = True
        # A prompt counts as applied with the first chunk that shows it. Usually `applied` names it; when that very
        # chunk was given up before it left, only `prompt_id` of the next one does.
        for shown in (*record.applied, record.prompt_id):
            prompt, reset = self._prompts.get(shown), self._resets.get(shown or "")
            if prompt is not None:
                deliveries += self._apply_prompt(prompt, record)
                changed = True
            if reset is not None:
                deliveries.append(self._finish(reset, "applied", applied(reset, record)))
        told, settings = self._scheduling.chunk_started(record)
        deliveries += told
        for each in settings:
            self._configs.force(each.settings, by=each.by, place=record.place)
        changed |= self._programme.follow_all(record, self._prompt_of) or bool(settings)
        for request in self._configs.seen(record):
            deliveries.append(self._finish(request, "applied", applied(request, record)))
        for request, by in self._configs.overridden(record.place):
            deliveries.append(self._supersede(request, by))
            changed = True
        deliveries.append(Delivery(None, chunk_message(record)))
        return Effects((*deliveries, *(self._changed() if changed else ())))

    def set_status(self, status: Status) -> Effects:
        """What viewers see and hear has changed. A chunk that starts makes the channel `live` by itself."""
        changed, buffering = self._on_air.set_status(status)
        deliveries = () if buffering is None else (Delivery(None, buffering),)
        return Effects((*deliveries, *self._changed())) if changed else Effects()

    def set_viewers(self, viewers: int) -> Effects:
        """So many viewers receive media now."""
        if viewers == self._on_air.viewers:
            return Effects()
        self._on_air.viewers = viewers
        return Effects(self._changed())

    def close(self) -> Effects:
        """No more requests; those under way get their final answer. Idempotent."""
        self._closed = True
        self._running = False
        waiting = (*self._judging, *self._prompts, *self._configs.open)
        deliveries = [
            self._reject(request, "unavailable", None, "the channel closed before it played")
            for request in (*waiting, *self._resets.values(), *self._scheduling.open)
        ]
        return Effects((*deliveries, *self._changed())) if deliveries else Effects()

    # Requests.

    def _panic(self, client: str, message: Panic, media_time_s: float) -> Effects:
        """Nothing of it has to wait for the generator."""
        self._on_air.panic(message.action)
        deliveries = self._ledger.at_once(client, message, media_time_s)
        return Effects((*deliveries, *self._changed()), panic=message.action)

    def _word(self, client: str, message: Worded, *, judged: bool) -> Effects:
        """A request with texts: refused at once, judged first unless they have been, or accepted."""
        wrong = wrong_knob(message, self._choices) or wrong_recache(message, self._recaches)
        if wrong is None and not isinstance(message, PromptSet):
            wrong = self._scheduling.check(client, message)
        if wrong is not None:
            return self._refuse(client, message.id, *wrong)
        texts = texts_of(message)
        unseen = self._moderated and not judged and bool(texts)
        if unseen and self._judging.full(message):
            told = "too many prompts are being looked at; try again in a moment"
            return self._refuse(client, message.id, "unavailable", None, told)
        request, received = self._ledger.receive(client, message)
        if unseen:
            return Effects((received,), screening=self._judging.screen(request, texts))
        accepted = self._accept(request)
        return replace(accepted, deliveries=(received, *accepted.deliveries))

    def _pause(self, client: str, message: Play | Pause, media_time_s: float) -> Effects:
        self._on_air.paused = isinstance(message, Pause)
        deliveries = self._ledger.at_once(client, message, media_time_s)
        commands = (SetPaused(self._on_air.paused),) if self._running else ()
        return Effects((*deliveries, *self._changed()), commands)

    def _reset(self, client: str, message: Reset) -> Effects:
        if len(self._resets) >= MAX_RESETS:
            return self._refuse(client, message.id, "unavailable", None, "a reset waits already; it will do")
        request, received = self._ledger.receive(client, message)
        request.stage = "accepted"
        self._resets[request.channel_id] = request
        commands = (DropContext(request.channel_id),) if self._running else ()
        return Effects((received, answer(request, Accepted(id=message.id))), commands)

    def _told(self, effects: Effects) -> Effects:
        """Commands are for a generator that runs; the next one is told the whole."""
        return effects if self._running else replace(effects, commands=())

    def _decide(self, client: str, message: Approve | Reject, media_time_s: float) -> Effects:
        """An operator's word about a prompt that is held."""
        request = self._judging.decide(message.target)
        if request is None:
            told = f"{message.target} is not held; `state.held` lists what is"
            return self._refuse(client, message.id, "unknown_target", "target", told)
        deliveries = self._ledger.at_once(client, message, media_time_s)
        if isinstance(message, Approve):
            effects = self._accept(request)
        else:
            effects = self._turn_away(request, "moderation", message.message or "an operator turned this prompt away")
        return replace(effects, deliveries=(*deliveries, *effects.deliveries))

    def _accept(self, request: OpenRequest) -> Effects:
        """A request is allowed: it counts as the newest from here on."""
        self._ledger.registry.renew(request)
        if not isinstance(request.message, PromptSet):
            effects = self._told(self._scheduling.accept(request, self._on_air.media_time_s))
            return (
                effects
                if request.category is None
                else replace(effects, deliveries=(*effects.deliveries, *self._changed()))
            )
        request.stage, request.allowed = "accepted", True
        deliveries = [answer(request, Accepted(id=request.message.id))]
        gone = self._prompts.add(request)
        if not self._running:
            deliveries += self._keep_newest()
        else:
            deliveries += [self._supersede(each, request.channel_id) for each in gone]
        return Effects((*deliveries, *self._changed()), (set_prompt(request),) if self._running else ())

    def _turn_away(self, request: OpenRequest, reason: Reason, message: str) -> Effects:
        """A prompt that was received and does not get further."""
        return Effects((self._reject(request, reason, "text", message), *self._changed()))

    def _configure(self, client: str, message: ConfigUpdate) -> Effects:
        request, received = self._ledger.receive(client, message)
        request.stage = "accepted"
        deliveries = [received, answer(request, Accepted(id=message.id))]
        deliveries += [self._supersede(older, request.channel_id) for older in self._configs.take(request)]
        command = SetConfig(guidance=message.guidance, seed=message.seed)
        return Effects((*deliveries, *self._changed()), (command,) if self._running else ())

    def _refuse(self, client: str, id: str, reason: Reason, field: str | None, message: str) -> Effects:
        return Effects(self._ledger.refuse(client, id, reason, field, message))

    def _keep_newest(self) -> list[Delivery]:
        newest = self._prompts.newest
        if newest is None:
            return []
        return [self._supersede(request, newest.channel_id) for request in self._prompts.overridden]

    def _apply_prompt(self, request: OpenRequest, record: ChunkRecord) -> list[Delivery]:
        overridden = self._prompts.applied(request)
        deliveries = [self._supersede(older, request.channel_id) for older in overridden]
        self._settled.clear()
        deliveries.append(self._finish(request, "applied", applied(request, record)))
        return deliveries

    def _prompt_of(self, id: str) -> SetPrompt | None:
        """The prompt that goes by this id on the channel, sent or scheduled; None: forgotten, or no prompt."""
        asked = self._ledger.registry.on_channel(id)
        if asked is not None and asked.allowed and isinstance(asked.message, PromptSet | Schedule):
            return set_prompt(asked)
        return self._scheduling.prompt(id)

    def _supersede(self, request: OpenRequest, by: str) -> Delivery:
        self._drop(request)
        if isinstance(request.message, PromptSet):
            self._settled.append(request)
        return self._ledger.supersede(request, by)

    def _reject(self, request: OpenRequest, reason: Reason, field: str | None, message: str) -> Delivery:
        self._drop(request)
        return self._ledger.reject(request, reason, field, message)

    def _finish(self, request: OpenRequest, stage: Stage, message: ServerMessage) -> Delivery:
        self._drop(request)
        return self._ledger.finish(request, stage, message)

    def _drop(self, request: OpenRequest) -> None:
        """It waits nowhere any more."""
        self._resets.pop(request.channel_id, None)
        self._judging.drop(request)
        self._prompts.drop(request)
        self._configs.drop(request)
        self._scheduling.drop(request)

    # The situation.

    def _changed(self) -> tuple[Delivery, ...]:
        self._revision += 1
        return (Delivery(None, self.state()),)
