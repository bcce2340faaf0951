"""The life of every request on one channel, without I/O: events go in, messages and commands come out.

    received -> held -> accepted | rejected -> queued -> applied | superseded

Where texts are moderated, a prompt is `received` until its verdict comes, and may be `held` for an operator after it.

What holds:

- a request that was received reaches exactly one final answer: `rejected`, `applied` or `superseded`;
- the latest prompt wins: an older one is never applied after a newer one, and the newest is never superseded;
- an id belongs to the client that chose it: sent again with the same content it gets the same answers and acts
  once, sent with another content it is rejected (`id_reused`);
- no text reaches the generator before its verdict allows it, or an operator does;
- memory is bounded by `MAX_OPEN_PROMPTS`, `MAX_JUDGED`, `MAX_HELD` and by the number of finished requests that are
  remembered.

Requests wait here while no generator runs. When one is ready it is told the settings in force and the one prompt
that counts, so a restart forgets nothing that was accepted.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from streamgen.moderation.verdict import Verdict
from streamgen.packets import VIDEO_CLOCK_HZ, ChunkRecord, Command, SetConfig
from streamgen.protocol import (
    Accepted,
    Applied,
    Approve,
    Buffering,
    Chunk,
    Config,
    ConfigUpdate,
    Cover,
    Held,
    HeldPrompt,
    Panic,
    Pending,
    Permission,
    PromptSet,
    Queued,
    QueueDepths,
    Reason,
    Received,
    Reject,
    Rejected,
    ServerMessage,
    Stage,
    State,
    Status,
    Superseded,
)
from streamgen.steering.config_changes import ConfigChanges
from streamgen.steering.effects import Delivery, Effects, Screening
from streamgen.steering.open_request import OpenRequest, Request, applied, set_prompt
from streamgen.steering.programme import START_ID, Programme
from streamgen.steering.registry import Registry, answer

MAX_OPEN_PROMPTS: Final = 32  # accepted and not final yet; one more and the oldest is superseded
MAX_FINISHED: Final = 1024  # remembered so that a request that is sent again gets the same answer
MAX_SETTLED_SHOWN: Final = 8  # superseded prompts that `state` still lists, until the one that replaced them plays
MAX_JUDGED: Final = 32  # prompts whose verdict has not come; one more is rejected
MAX_HELD: Final = 64  # prompts that wait for an operator; one more is rejected

StandstillReason = Literal["underrun", "starting", "restarting"]

PERMISSION_OF: Final[dict[str, Permission]] = {
    "prompt.set": "prompt",
    "config.update": "config",
    "panic": "panic",
    "approve": "moderate",
    "reject": "moderate",
    "schedule": "schedule",
    "unschedule": "schedule",
    "loop": "schedule",
    "tempo": "schedule",
    "timeline.load": "schedule",
    "timeline.clear": "schedule",
    "play": "prompt",
    "pause": "prompt",
    "reset": "prompt",
}
_REASON_OF: Final[dict[Status, StandstillReason]] = {
    "starting": "starting",
    "buffering": "underrun",
    "slate": "restarting",
}


class SteeringSession:
    """The steering state of one channel.

    `prompt` is what plays until somebody steers. With `moderated`, prompts wait for `judged`. Not thread-safe: all
    methods belong to the event loop's thread.
    """

    def __init__(
        self,
        channel: str,
        *,
        prompt: str = "",
        moderated: bool = False,
        max_open_prompts: int = MAX_OPEN_PROMPTS,
        max_finished: int = MAX_FINISHED,
    ) -> None:
        self.channel = channel
        self._moderated = moderated
        self._judged: dict[str, OpenRequest] = {}  # whose verdict has not come, oldest first
        self._held: dict[str, OpenRequest] = {}  # that wait for an operator, oldest first
        # How many requests reached each final answer, and why requests were rejected.
        self.outcomes: Counter[Stage] = Counter()
        self.rejections: Counter[Reason] = Counter()
        self._max_open_prompts = max_open_prompts
        self._registry = Registry(max_finished)
        self._prompts: dict[str, OpenRequest] = {}  # open ones by channel id, oldest first
        self._configs = ConfigChanges()
        self._settled: deque[OpenRequest] = deque(maxlen=MAX_SETTLED_SHOWN)
        self._running = False
        self._closed = False
        self._status: Status = "starting"
        self._revision = 0
        self._viewers = 0
        self._cover: Cover = "none"
        self._muted = False
        self._programme = Programme(prompt)
        self._choices: dict[str, tuple[str, ...]] = {}
        self._chunk: int | None = None
        self._media_time_s = 0.0

    @property
    def status(self) -> Status:
        """What viewers see and hear now."""
        return self._status

    @property
    def remembered(self) -> int:
        """How many requests are held in memory, open and finished."""
        return len(self._registry)

    @property
    def depths(self) -> QueueDepths:
        """How many prompts wait, and for what."""
        return QueueDepths(moderation=len(self._judged), held=len(self._held), prompts=len(self._prompts))

    def state(self, can: tuple[Permission, ...] = ()) -> State:
        """The whole situation, for somebody who joins now."""
        waiting = [*self._settled, *self._prompts.values()]
        return State(
            revision=self._revision,
            channel=self.channel,
            status=self._status,
            prompt=self._programme.text,
            prompt_id=self._programme.prompt_id,
            sound=self._programme.sound,
            pending=tuple(
                Pending(id=each.channel_id, text=each.message.shown, stage=each.stage, eta_ms=each.eta_ms)
                for each in waiting
                if isinstance(each.message, PromptSet)
            ),
            held=tuple(
                HeldPrompt(id=each.channel_id, text=each.message.shown, category=each.category)
                for each in self._held.values()
                if isinstance(each.message, PromptSet)
            ),
            knobs=self._programme.knobs,
            choices=self._choices,
            config=self._configs.config,
            cover=self._cover,
            muted=self._muted,
            media_time=self._media_time_s,
            chunk=self._chunk,
            viewers=self._viewers,
            can=can,
        )

    # From clients.

    def request(
        self, client: str, message: Request, can: frozenset[Permission], *, media_time_s: float = 0.0
    ) -> Effects:
        """Take a request of `client`, who holds the permissions `can`, while media of `media_time_s` leaves."""
        known = self._registry.find(client, message.id)
        if known is not None:
            if known.message != message:
                return self._refuse(
                    client,
                    message.id,
                    "id_reused",
                    "id",
                    "this id belongs to another request of yours; give each request an id of its own",
                )
            return Effects(tuple(Delivery(client, said) for said in known.answers))
        if self._closed:
            return self._refuse(client, message.id, "unavailable", None, "the channel is closing; reconnect later")
        permission = PERMISSION_OF[message.type]
        if permission not in can:
            return self._refuse(
                client,
                message.id,
                "forbidden",
                "token",
                "you are watching; to steer, open the operator's link that the server printed when it started",
            )
        if isinstance(message, PromptSet):
            for name, value in message.knobs.items():
                if value not in self._choices.get(name, ()):
                    offered = ", ".join(self._choices.get(name, ())) or "nothing: this model has no such knob"
                    told = f"{name} cannot be {value!r}; it can be {offered}"
                    return self._refuse(client, message.id, "invalid", f"knobs.{name}", told)
        if isinstance(message, Panic):
            return self._panic(client, message, media_time_s)
        if isinstance(message, Approve | Reject):
            return self._decide(client, message, media_time_s)
        if isinstance(message, ConfigUpdate):
            return self._configure(client, message)
        if self._moderated:
            return self._screen(client, message)
        request = self._registry.add(client, message, self._programme.ids)
        received = answer(request, Received(id=message.id))
        accepted = self._accept(request)
        return replace(accepted, deliveries=(received, *accepted.deliveries))

    def judged(self, channel_id: str, verdict: Verdict) -> Effects:
        """The verdict about the texts of a `Screening`."""
        request = self._judged.pop(channel_id, None)
        if request is None:
            return Effects()
        if verdict.decision == "allow":
            return self._accept(request)
        if verdict.decision == "refuse":
            return self._turn_away(request, "moderation", verdict.told)
        if sum(each.client != request.client for each in self._held.values()) >= MAX_HELD:
            return self._turn_away(request, "unavailable", "too many prompts wait for an operator; try again later")
        request.stage, request.category = "held", verdict.category
        # One for each client, its latest: nobody fills the operator's list alone.
        older = [each for each in self._held.values() if each.client == request.client]
        self._held[channel_id] = request
        deliveries = [self._supersede(each, channel_id) for each in older]
        deliveries.append(answer(request, Held(id=request.message.id, message=verdict.told)))
        return Effects((*deliveries, *self._changed()))

    def offer(self, choices: Mapping[str, Sequence[str]]) -> Effects:
        """The model has these knobs, which take these values."""
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
        newest = self._newest()
        told = self._programme.whole(None if newest is None else set_prompt(newest))
        if told is not None:
            commands.append(told)
        return Effects(commands=tuple(commands))

    def generator_lost(self) -> Effects:
        """The generator is gone, with whatever it was making. The newest prompt waits for the next one."""
        self._running = False
        deliveries = self._keep_newest()
        return Effects((*deliveries, *self._changed())) if deliveries else Effects()

    def queued(self, channel_id: str, eta_ms: float) -> Effects:
        """The generator holds this prompt and expects to show it in `eta_ms`."""
        request = self._prompts.get(channel_id)
        if request is None:
            return Effects()
        request.stage = "queued"
        request.eta_ms = max(0, round(eta_ms))
        return Effects((answer(request, Queued(id=request.message.id, eta_ms=request.eta_ms)), *self._changed()))

    def superseded(self, channel_id: str, by: str) -> Effects:
        """The generator gave this prompt up for prompt `by`."""
        request = self._prompts.get(channel_id)
        winner = self._registry.on_channel(by)
        if request is None or winner is None or winner.order <= request.order:
            return Effects()
        return Effects((self._supersede(request, by), *self._changed()))

    def failed(self, channel_id: str, message: str) -> Effects:
        """The generator cannot use this prompt."""
        request = self._prompts.get(channel_id)
        if request is None:
            return Effects()
        rejected = Rejected(id=request.message.id, reason="invalid", field="text", message=message)
        return Effects((self._finish(request, "rejected", rejected), *self._changed()))

    def chunk_started(self, record: ChunkRecord) -> Effects:
        """The first packet of this chunk has left for the viewers, at media time `record.pts`."""
        self._chunk = record.chunk
        self._media_time_s = record.media_time_s
        deliveries = self._leave_standstill()
        changed = bool(deliveries)
        newest = self._newest()
        for channel_id in record.superseded:
            request = self._prompts.get(channel_id)
            if request is not None and newest is not None and request is not newest:
                by = record.applied[-1] if record.applied else newest.channel_id
                deliveries.append(self._supersede(request, by))
                changed = True
        # A prompt counts as applied with the first chunk that shows it. Usually `applied` names it; when that very
        # chunk was given up before it left, only `prompt_id` of the next one does.
        for shown in (*record.applied, record.prompt_id):
            if shown is not None and shown in self._prompts:
                deliveries += self._apply_prompt(self._prompts[shown], record)
                changed = True
        asked = self._registry.on_channel(record.prompt_id)
        told = set_prompt(asked) if asked is not None and asked.allowed else None
        changed |= self._programme.follow(record, told)
        for request in self._configs.seen(record):
            deliveries.append(self._finish(request, "applied", applied(request, record)))
        chunk = Chunk(
            index=record.chunk,
            media_time=record.media_time_s,
            prompt=record.prompt,
            prompt_id=None if record.prompt_id == START_ID else record.prompt_id,
            rtp_video=record.pts,
        )
        deliveries.append(Delivery(None, chunk))
        return Effects((*deliveries, *(self._changed() if changed else ())))

    def set_status(self, status: Status) -> Effects:
        """What viewers see and hear has changed. A chunk that starts makes the channel `live` by itself."""
        if status == "slate" and self._chunk is None:
            status = "starting"  # the slate before the very first chunk is no interruption
        if status == self._status:
            return Effects()
        was_live = self._status == "live"
        self._status = status
        deliveries: list[Delivery] = []
        if status != "live":
            deliveries.append(self._buffering(active=True))
        elif not was_live:
            deliveries.append(self._buffering(active=False))
        return Effects((*deliveries, *self._changed()))

    def set_viewers(self, viewers: int) -> Effects:
        """So many viewers receive media now."""
        if viewers == self._viewers:
            return Effects()
        self._viewers = viewers
        return Effects(self._changed())

    def close(self) -> Effects:
        """No more requests; those under way get their final answer. Idempotent."""
        self._closed = True
        self._running = False
        deliveries = [
            self._finish(
                request,
                "rejected",
                Rejected(id=request.message.id, reason="unavailable", message="the channel closed before it played"),
            )
            for request in [*self._judged.values(), *self._held.values(), *self._prompts.values(), *self._configs.open]
        ]
        return Effects((*deliveries, *self._changed())) if deliveries else Effects()

    # Requests.

    def _at_once(self, client: str, message: Request, media_time_s: float) -> list[Delivery]:
        """The whole life of a request that acts at once, and waits for no chunk."""
        request = self._registry.add(client, message, self._programme.ids)
        rtp_video = round(media_time_s * VIDEO_CLOCK_HZ)
        return [
            answer(request, Received(id=message.id)),
            answer(request, Accepted(id=message.id)),
            self._finish(
                request,
                "applied",
                Applied(id=message.id, chunk=self._chunk, media_time=media_time_s, rtp_video=rtp_video),
            ),
        ]

    def _panic(self, client: str, message: Panic, media_time_s: float) -> Effects:
        """Nothing of it has to wait for the generator."""
        if message.action == "mute":
            self._muted = True
        elif message.action == "off":
            self._cover, self._muted = "none", False
        else:
            self._cover = message.action
        deliveries = self._at_once(client, message, media_time_s)
        return Effects((*deliveries, *self._changed()), panic=message.action)

    def _screen(self, client: str, message: PromptSet) -> Effects:
        if len(self._judged) >= MAX_JUDGED:
            told = "too many prompts are being looked at; try again in a moment"
            return self._refuse(client, message.id, "unavailable", None, told)
        request = self._registry.add(client, message, self._programme.ids)
        self._judged[request.channel_id] = request
        texts = tuple(part.text for part in message.blend) if message.text is None else (message.text,)
        return Effects((answer(request, Received(id=message.id)),), screening=Screening(request.channel_id, texts))

    def _decide(self, client: str, message: Approve | Reject, media_time_s: float) -> Effects:
        """An operator's word about a prompt that is held."""
        request = self._held.pop(message.target, None)
        if request is None:
            told = f"{message.target} is not held; `state.held` lists what is"
            return self._refuse(client, message.id, "unknown_target", "target", told)
        deliveries = self._at_once(client, message, media_time_s)
        if isinstance(message, Approve):
            effects = self._accept(request)
        else:
            effects = self._turn_away(request, "moderation", message.message or "an operator turned this prompt away")
        return replace(effects, deliveries=(*deliveries, *effects.deliveries))

    def _accept(self, request: OpenRequest) -> Effects:
        """A prompt is allowed: it counts as the newest from here on."""
        self._registry.renew(request)
        request.stage, request.allowed = "accepted", True
        deliveries = [answer(request, Accepted(id=request.message.id))]
        self._prompts[request.channel_id] = request
        if not self._running:
            deliveries += self._keep_newest()
        elif len(self._prompts) > self._max_open_prompts:
            oldest = next(iter(self._prompts.values()))
            deliveries.append(self._supersede(oldest, request.channel_id))
        return Effects((*deliveries, *self._changed()), (set_prompt(request),) if self._running else ())

    def _turn_away(self, request: OpenRequest, reason: Reason, message: str) -> Effects:
        """A prompt that was received and does not get further."""
        rejected = Rejected(id=request.message.id, reason=reason, field="text", message=message)
        return Effects((self._finish(request, "rejected", rejected), *self._changed()))

    def _configure(self, client: str, message: ConfigUpdate) -> Effects:
        request = self._registry.add(client, message, self._programme.ids)
        request.stage = "accepted"
        deliveries = [
            answer(request, Received(id=message.id)),
            answer(request, Accepted(id=message.id)),
        ]
        deliveries += [self._supersede(older, request.channel_id) for older in self._configs.take(request)]
        command = SetConfig(guidance=message.guidance, seed=message.seed)
        return Effects((*deliveries, *self._changed()), (command,) if self._running else ())

    def _refuse(self, client: str, id: str, reason: Reason, field: str | None, message: str) -> Effects:
        """A request without effect. It is not remembered: what forbids it may be gone when it comes again."""
        self.outcomes["rejected"] += 1
        self.rejections[reason] += 1
        rejected = Delivery(client, Rejected(id=id, reason=reason, field=field, message=message))
        if reason == "id_reused":  # `received` of this id has been said, about the request that owns it
            return Effects((rejected,))
        return Effects((Delivery(client, Received(id=id)), rejected))

    def _newest(self) -> OpenRequest | None:
        return next(reversed(self._prompts.values()), None)

    def _keep_newest(self) -> list[Delivery]:
        newest = self._newest()
        return [
            self._supersede(request, newest.channel_id)
            for request in list(self._prompts.values())
            if newest is not None and request is not newest
        ]

    def _apply_prompt(self, request: OpenRequest, record: ChunkRecord) -> list[Delivery]:
        deliveries = []
        for older in list(self._prompts.values()):
            if older is request:
                break
            deliveries.append(self._supersede(older, request.channel_id))
        self._settled.clear()
        deliveries.append(self._finish(request, "applied", applied(request, record)))
        return deliveries

    def _supersede(self, request: OpenRequest, by: str) -> Delivery:
        winner = self._registry.on_channel(by)
        # In the words of the one who asked: its own id where the winner is its own request too.
        by_id = winner.message.id if winner is not None and winner.client == request.client else by
        delivery = self._finish(request, "superseded", Superseded(id=request.message.id, by=by_id))
        if isinstance(request.message, PromptSet):
            self._settled.append(request)
        return delivery

    def _finish(self, request: OpenRequest, stage: Stage, message: ServerMessage) -> Delivery:
        request.stage = stage
        request.eta_ms = None
        for waiting in (self._judged, self._held, self._prompts):
            waiting.pop(request.channel_id, None)
        self._configs.drop(request)
        self.outcomes[stage] += 1
        if isinstance(message, Rejected):
            self.rejections[message.reason] += 1
        self._registry.finish(request)
        return answer(request, message)

    # The situation.

    def _leave_standstill(self) -> list[Delivery]:
        if self._status == "live":
            return []
        self._status = "live"
        return [self._buffering(active=False)]

    def _buffering(self, *, active: bool) -> Delivery:
        reason = _REASON_OF.get(self._status) if active else None
        return Delivery(None, Buffering(active=active, reason=reason, media_time=self._media_time_s))

    def _changed(self) -> tuple[Delivery, ...]:
        self._revision += 1
        return (Delivery(None, self.state()),)
