"""Joins the audience's core to a channel, without I/O: people's requests go in, messages and prompts come out.

What holds:

- a proposal takes the path of every prompt: no text is shown, voted on or played before its verdict allows it, or an
  operator does. What was chosen becomes a prompt of the channel. A cascade joins texts, and the joined one is judged
  again; what was judged as it stands is not;
- people are counted by who they are (`Asker.voter`), never by connection, and are told of their proposals on all of
  their connections; a request and its refusal are between the server and one client;
- nothing here depends on the generator. What it says of a prompt that the audience chose goes to those who proposed it;
- memory is bounded by the core's limits, `MAX_JUDGED` and those of `Winners`.

Times are seconds on one monotonic clock. Not thread-safe: all methods belong to the event loop's thread.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from streamgen.audience import effects as core
from streamgen.audience.audience import Audience, AudienceState
from streamgen.audience.settings import AudienceSettings
from streamgen.log.contents import Content
from streamgen.moderation.verdict import ALLOWED, Verdict
from streamgen.packets import VIDEO_CLOCK_HZ
from streamgen.protocol import (
    Accepted,
    Applied,
    Approve,
    AudienceControl,
    AudienceOverlay,
    Permission,
    PromptSet,
    Propose,
    Reason,
    Received,
    Reject,
    Rejected,
    ServerMessage,
    Vote,
)
from streamgen.steering.effects import Delivery
from streamgen.steering.permissions import PERMISSION_OF
from streamgen.steering.voting_words import of_proposal, overlay_message, prompt, refused, voted
from streamgen.steering.winners import Winners

AUDIENCE: Final = "\naudience"
"""The client of prompts that the audience chose. No client can have this name: parameters hold no line break."""

MAX_JUDGED: Final = 64  # proposals whose verdict has not come; one more is rejected
STORED_VERSION: Final = 1
RESTORED_WITHIN_S: Final = 5.0  # how much longer a phase may last after a server was killed

Direct: TypeAlias = Callable[[core.Answer], tuple[Delivery, ...]]
BallotRequest: TypeAlias = Propose | Vote | AudienceControl | Approve | Reject
_FORBIDDEN: Final = "your link lets you watch; open one that lets you take part"
_BROKEN_OFF: Final = "the round ended before this could play"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, from one connection."""

    client: str
    voter: str | None
    can: frozenset[Permission]


@dataclass(frozen=True, slots=True)
class Moment:
    """What leaves for the viewers now."""

    media_time_s: float = 0.0
    chunk: int | None = None


@dataclass(frozen=True, slots=True)
class ProposalScreening:
    """A proposal that waits for a verdict: call `judged` with it."""

    voter: str
    id: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChosenPrompt:
    """A prompt of the channel. `judged`: all of its texts have been let through before as they stand."""

    message: PromptSet
    judged: bool


@dataclass(frozen=True, slots=True)
class VotingEffects:
    """What the caller has to do: send the messages in order, ask for the prompts, have judged, write down."""

    deliveries: tuple[Delivery, ...] = ()
    prompts: tuple[ChosenPrompt, ...] = ()
    screening: ProposalScreening | None = None
    notes: tuple[Content, ...] = ()


class VotingState(BaseModel):
    """What is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    audience: AudienceState
    waiting: tuple[tuple[str, str, str], ...]


class Voting:
    """The audience of one channel. With `moderated`, proposals wait for `judged`."""

    def __init__(self, audience: Audience, *, moderated: bool = False) -> None:
        self.audience = audience
        self._moderated = moderated
        self._judging: dict[tuple[str, str], Propose] = {}  # by voter and id
        self._winners = Winners()
        self._last_round = ""  # of the last prompt that was chosen, and how many there were of it
        self._prompts_of_round = 0
        self._closed = False

    @property
    def due_s(self) -> float | None:
        """When `tick` has something to do; None for not before the next request."""
        return self.audience.due_s

    def joined(self, voter: str | None, now_s: float) -> AudienceOverlay:
        """The whole situation, for somebody who joins now; whoever sends it leaves the queue to operators."""
        mine = None if voter is None else self.audience.vote_of(voter)
        return overlay_message(self.audience.overlay(now_s), self.audience.queue(), mine)

    def decides(self, target: str) -> bool:
        """Whether this is the id of a proposal, so that `approve` and `reject` of it belong here."""
        return self.audience.find(target) is not None

    def tick(self, now_s: float) -> VotingEffects:
        """Do what is due."""
        return self._said(self.audience.tick(now_s))

    def request(self, asker: Asker, message: BallotRequest, now_s: float, moment: Moment) -> VotingEffects:
        """Somebody asks for something."""
        if self._closed:
            return _refuse(asker, message.id, "unavailable", None, "the channel is closing; reconnect later")
        if PERMISSION_OF[message.type] not in asker.can:
            return _refuse(asker, message.id, "forbidden", "token", _FORBIDDEN)
        if not isinstance(message, Propose | Vote):
            return self._command(asker, message, now_s, moment)
        if asker.voter is None:
            return _refuse(asker, message.id, "forbidden", "token", _FORBIDDEN)
        if isinstance(message, Vote):
            effects = self.audience.vote(asker.voter, message.id, message.ballot, message.option, now_s)
            return self._said(effects, partial(_of_vote, asker.client, moment))
        return self._propose(asker, asker.voter, message, now_s)

    def judged(self, screening: ProposalScreening, verdict: Verdict, now_s: float) -> VotingEffects:
        """The verdict about a proposal."""
        message = self._judging.pop((screening.voter, screening.id), None)
        if message is None:
            return VotingEffects()
        return self._take(screening.voter, message, verdict, now_s)

    def prompt_said(self, message: ServerMessage) -> VotingEffects:
        """The channel says something of a prompt that the audience chose: those who proposed it are told."""
        return VotingEffects(tuple(Delivery(None, said, voter) for voter, said in self._winners.said(message)))

    def close(self) -> VotingEffects:
        """No more requests; proposals that are judged get their final answer. Idempotent."""
        self._closed = True
        told = "the channel closed before it was looked at; propose it again later"
        deliveries = tuple(
            Delivery(None, Rejected(id=id, reason="unavailable", message=told), voter) for voter, id in self._judging
        )
        self._judging.clear()
        return VotingEffects(deliveries)

    # Requests.

    def _propose(self, asker: Asker, voter: str, message: Propose, now_s: float) -> VotingEffects:
        received = Delivery(asker.client, Received(id=message.id))
        under_way = self._judging.get((voter, message.id))
        if under_way is not None:
            if under_way == message:
                return VotingEffects((received,))
            told = "this id belongs to another proposal of yours; use an id of its own"
            return _refuse(asker, message.id, "id_reused", "id", told)
        again = self.audience.again(voter, message.id, message.text, now_s, stage=message.stage, name=message.name)
        if again is not None:
            # The last answer is the one to this request; what came before was due anyway.
            effects = self._said(replace(again, answers=again.answers[:-1]))
            known = self._of_known(asker.client, again.answers[-1])
            return replace(effects, deliveries=(*effects.deliveries, *known))
        if not self._moderated:
            effects = self._take(voter, message, ALLOWED, now_s)
            return replace(effects, deliveries=(received, *effects.deliveries))
        if len(self._judging) >= MAX_JUDGED:
            told = "too many proposals are being looked at; try again in a moment"
            return _refuse(asker, message.id, "unavailable", None, told)
        self._judging[voter, message.id] = message
        texts = (message.text, message.name) if message.name.strip() else (message.text,)
        return VotingEffects((received,), screening=ProposalScreening(voter, message.id, texts))

    def _take(self, voter: str, message: Propose, verdict: Verdict, now_s: float) -> VotingEffects:
        effects = self.audience.propose(
            voter,
            message.id,
            message.text,
            verdict.decision,
            now_s,
            stage=message.stage,
            name=message.name,
            reason=verdict.told,
            category=verdict.category,
        )
        return self._said(effects, lambda answer: (Delivery(None, refused(answer), voter),))

    def _command(
        self, asker: Asker, message: AudienceControl | Approve | Reject, now_s: float, moment: Moment
    ) -> VotingEffects:
        audience, operator, id = self.audience, asker.client, message.id
        match message:
            case Approve():
                effects = audience.approve(operator, id, message.target, now_s)
            case Reject():
                effects = audience.reject(operator, id, message.target, message.message, now_s)
            case AudienceControl(action="extend"):
                assert message.seconds is not None  # the protocol's reader has seen to it
                effects = audience.extend(operator, id, message.seconds, now_s)
            case AudienceControl():
                act = {
                    "start": audience.start,
                    "stop": audience.stop,
                    "pause": audience.pause,
                    "resume": audience.resume,
                    "skip": audience.skip,
                }[message.action]
                effects = act(operator, id, now_s)
        return self._said(effects, partial(_of_command, operator, moment))

    def _of_known(self, client: str, answer: core.Answer) -> tuple[Delivery, ...]:
        """A proposal that was sent again: the one client that asks hears what has become of it."""
        told: tuple[ServerMessage | None, ...]
        if answer.reason == "id_reused":
            told = (refused(answer),)
        elif answer.status == "refused":
            told = (Received(id=answer.id), refused(answer))
        elif answer.status == "chosen":
            told = (Received(id=answer.id), Accepted(id=answer.id), self._winners.again(answer.to, answer.id))
        else:
            told = (Received(id=answer.id), of_proposal(answer))
        return tuple(Delivery(client, each, logged=False) for each in told if each is not None)

    # What the core says.

    def _said(self, effects: core.Effects, direct: Direct | None = None) -> VotingEffects:
        """The core's effects in the channel's words. `direct` answers the request that brought them about."""
        deliveries: list[Delivery] = []
        for answer in effects.answers:
            if answer.status in ("counted", "done", "refused"):
                assert direct is not None, "only a request is counted, done or refused"
                deliveries += direct(answer)
                continue
            told = of_proposal(answer)
            if told is not None:
                deliveries.append(Delivery(None, told, answer.to))
            elif answer.status == "chosen":
                self._winners.won(answer.to, answer.id, self.audience.round_id or "")
        prompts = tuple(self._prompt(chosen) for chosen in effects.chosen)
        if prompts:
            self._winners.play(prompts[-1].message.id)
        for voter, id in self._winners.broken_off(self.audience.round_id):
            deliveries.append(Delivery(None, Rejected(id=id, reason="closed", message=_BROKEN_OFF), voter))
        if effects.overlay is not None:
            deliveries.append(Delivery(None, overlay_message(effects.overlay, self.audience.queue())))
        return VotingEffects(tuple(deliveries), prompts, notes=tuple(voted(tally) for tally in effects.tallies))

    def _prompt(self, chosen: core.Chosen) -> ChosenPrompt:
        settings = self.audience.settings
        # Unique on the channel: a continuous vote can come to several prompts in one round.
        self._prompts_of_round = self._prompts_of_round + 1 if chosen.round_id == self._last_round else 1
        self._last_round = chosen.round_id
        suffix = "" if self._prompts_of_round == 1 else f"-{self._prompts_of_round}"
        message = prompt(chosen, f"vote-{chosen.round_id}{suffix}", settings.transition_s)
        return ChosenPrompt(message, judged=settings.mode != "cascade")

    # Stored.

    def version(self, now_s: float) -> tuple[int, int]:
        """Another one whenever there is something new to store: also every few seconds while a phase runs out."""
        return self.audience.changes, 0 if self.audience.due_s is None else int(now_s / RESTORED_WITHIN_S)

    def dump(self, now_s: float) -> dict[str, Any]:
        """The state as a JSON object, for `load` after a restart of the server."""
        return self.state(now_s).model_dump(mode="json")

    def state(self, now_s: float) -> VotingState:
        """The same as values that change no more: making JSON of them takes longer than the event loop has."""
        audience = self.audience.state(now_s)
        return VotingState(version=STORED_VERSION, audience=audience, waiting=self._winners.waiting)

    @classmethod
    def load(
        cls, settings: AudienceSettings, document: Mapping[str, Any], now_s: float, *, moderated: bool = False
    ) -> Self:
        """Go on where `dump` was called. Proposals that were being judged are sent again by whoever wants them.

        Raises:
            AudienceStateError: the state cannot be continued with these settings.
        """
        try:
            state = VotingState.model_validate(document)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(step) for step in first["loc"])
            raise core.AudienceStateError(
                f"the stored audience cannot be read ({field}: {first['msg']}); start without it"
            ) from None
        if state.version != STORED_VERSION:
            raise core.AudienceStateError(f"the stored audience has version {state.version}; start without it")
        voting = cls(Audience.restored(settings, state.audience, now_s), moderated=moderated)
        for voter, id, round in state.waiting:
            voting._winners.won(voter, id, round)
        return voting


def _of_vote(client: str, moment: Moment, answer: core.Answer) -> tuple[Delivery, ...]:
    """A vote has one answer, so that thousands of them cost little."""
    message = refused(answer) if answer.status == "refused" else _applied(answer.id, moment)
    return (Delivery(client, message, logged=False),)


def _of_command(client: str, moment: Moment, answer: core.Answer) -> tuple[Delivery, ...]:
    received = Received(id=answer.id)
    if answer.status == "refused":
        rejected = refused(answer)
        return tuple(
            Delivery(client, each) for each in ((rejected,) if answer.reason == "id_reused" else (received, rejected))
        )
    return tuple(Delivery(client, each) for each in (received, Accepted(id=answer.id), _applied(answer.id, moment)))


def _applied(id: str, moment: Moment) -> Applied:
    rtp_video = round(moment.media_time_s * VIDEO_CLOCK_HZ)
    return Applied(id=id, chunk=moment.chunk, media_time=moment.media_time_s, rtp_video=rtp_video)


def _refuse(asker: Asker, id: str, reason: Reason, field: str | None, message: str) -> VotingEffects:
    rejected = Delivery(asker.client, Rejected(id=id, reason=reason, field=field, message=message))
    if reason == "id_reused":  # `received` of this id has been said, about the request that owns it
        return VotingEffects((rejected,))
    return VotingEffects((Delivery(asker.client, Received(id=id)), rejected))
