"""The audience of one channel, without I/O: proposals and votes go in, answers and chosen prompts come out.

The caller passes every time from one monotonic clock, calls `tick` at `due_s` at the latest, and does what the
returned `Effects` say. It also knows who somebody is and what they may do: `voter` and `operator` are identities that
it has checked, and texts and names have been through the moderation, whose verdict comes as an argument.

Not thread-safe: all methods belong to the event loop's thread. None of them takes longer with more voters, except
`strike` and `reject` of an option that has votes, and `dump`.
"""

import dataclasses
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from streamgen.audience.continuous import Continuous, ContinuousState
from streamgen.audience.effects import Answer, AudienceStateError, Effects, ProposalStatus, Refusal, RefusedError
from streamgen.audience.overlay import Mode, Overlay, OverlayPace, Phase
from streamgen.audience.proposal import Proposal, ProposalsState
from streamgen.audience.proposals import Proposals
from streamgen.audience.rounds import Rounds, RoundsState
from streamgen.audience.settings import AudienceSettings
from streamgen.audience.vote_ids import Counted, VoteIds
from streamgen.protocol import MAX_ID_CHARS

STATE_VERSION: Final = 1
MAX_IDENTITY_CHARS: Final = 128
MAX_COMMANDS: Final = 64  # of operators, remembered so that one sent again acts once; the oldest is forgotten

Verdict: TypeAlias = Literal["allow", "hold", "refuse"]

_ALLOWED: Final[dict[Verdict, bool | None]] = {"allow": True, "hold": None, "refuse": False}


class CommandState(BaseModel):
    """An operator's command that was done, as stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operator: str
    id: str
    content: tuple[str, ...]


class AudienceState(BaseModel):
    """All of it, as stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1]
    mode: Mode
    stages: tuple[str, ...]
    revision: int
    proposals: ProposalsState
    rounds: RoundsState | None
    continuous: ContinuousState | None
    commands: tuple[CommandState, ...]
    vote_ids: dict[str, tuple[Counted, ...]] = {}


class Audience:
    """Proposals, votes and rounds together. Every request is answered; none raises for what a person sent."""

    def __init__(self, settings: AudienceSettings) -> None:
        self.settings = settings
        self.votes = 0  # that were counted since the start, changes included
        self.changes = 0  # rises with everything that is worth storing
        self.refusals: Counter[Refusal] = Counter()
        self._now_s = -math.inf
        self._proposals = Proposals(settings)
        self._mode: Rounds | Continuous = (
            Continuous(settings, self._proposals)
            if settings.mode == "continuous"
            else Rounds(settings, self._proposals)
        )
        self._pace = OverlayPace(settings.overlay_hz)
        self._revision = 0
        self._vote_ids = VoteIds(settings.max_voters)
        self._commands: OrderedDict[tuple[str, str], tuple[str, ...]] = OrderedDict()

    @property
    def due_s(self) -> float | None:
        """When `tick` has something to do; None for not before the next request."""
        due = (self._mode.due_s, self._proposals.due_s, self._pace.due_s)
        first = min((each for each in due if each is not None), default=None)
        return None if first is None else max(first, self._now_s)

    @property
    def outcomes(self) -> Mapping[ProposalStatus, int]:
        """How many proposals reached each final status."""
        return self._proposals.outcomes

    @property
    def coalesced(self) -> int:
        """Changes that were published together with a later one."""
        return self._pace.coalesced

    def publish_within(self, interval_s: float) -> None:
        """Leave at least so much time between two overlays, from the next one on."""
        self._pace.least_interval_s = interval_s

    def tick(self, now_s: float) -> Effects:
        """Do what is due."""
        return self._run(now_s, lambda _: Effects())

    def overlay(self, now_s: float) -> Overlay:
        """The situation, for somebody who joins now."""
        return dataclasses.replace(self._mode.overlay(max(now_s, self._now_s)), revision=self._revision)

    def queue(self) -> tuple[Proposal, ...]:
        """For the operator: the proposals that are held, then those that are open, oldest first."""
        return self._proposals.queue()

    def find(self, proposal: str) -> Proposal | None:
        """A proposal that is remembered."""
        return self._proposals.find(proposal)

    def vote_of(self, voter: str) -> str | None:
        """The option of the ballot for which this voter's vote stands."""
        return self._mode.vote_of(voter)

    @property
    def phase(self) -> Phase:
        """Of the round, as of the last call."""
        return self._mode.phase

    @property
    def round_id(self) -> str | None:
        """Of the round that runs, as of the last call; None while idle."""
        return self._mode.round_id

    # From voters.

    def again(
        self, voter: str, id: str, text: str, now_s: float, *, stage: str | None, name: str = ""
    ) -> Effects | None:
        """The answer to a proposal that was sent before, for which no verdict is needed; None for a new one."""
        found = True

        def act(now_s: float) -> Effects:
            nonlocal found
            answer = self._proposals.again(voter, id, text, stage=stage, name=name)
            found = answer is not None
            return Effects() if answer is None else Effects((answer,))

        effects = self._request(voter, id, now_s, act)
        return effects if found else None

    def propose(
        self,
        voter: str,
        id: str,
        text: str,
        verdict: Verdict,
        now_s: float,
        *,
        stage: str | None = None,
        name: str = "",
        reason: str = "",
        category: str | None = None,
    ) -> Effects:
        """Take a text that was judged. Without `stage` it is for the one under way, or the only one that takes any.

        `name` is how the proposer wants to be credited, `reason` what they are told unless the verdict is `allow`, and
        `category` tells the operator what a held one may be about.
        """

        def act(now_s: float) -> Effects:
            again = self._proposals.again(voter, id, text, stage=stage, name=name)
            if again is not None:
                return Effects((again,))
            answer = self._proposals.propose(
                voter,
                id,
                text,
                now_s,
                stage=self._stage_for(stage),
                allowed=_ALLOWED[verdict],
                name=name,
                reason=reason,
                category=category,
            )
            return Effects((answer,), changed=answer.status == "open", queued=answer.status in ("held", "open"))

        return self._request(voter, id, now_s, act)

    def withdraw(self, voter: str, id: str, now_s: float) -> Effects:
        """Take back what this voter proposed under `id`."""
        return self._request(
            voter, id, now_s, lambda _: Effects((self._proposals.withdraw(voter, id),), changed=True, queued=True)
        )

    def vote(self, voter: str, id: str, ballot: str | None, option: str, now_s: float) -> Effects:
        """Count a vote on the ballot that the voter saw (`overlay.ballot`), in the place of their one before.

        With None it counts on whatever is voted on now.
        """

        def act(now_s: float) -> Effects:
            if self._vote_ids.known(voter, id, ballot, option):
                return Effects((Answer(voter, id, "counted"),))
            named = self._mode.ballot_id if ballot is None else ballot
            changed = self._mode.vote(voter, named or "", option, now_s)
            self._vote_ids.keep(voter, id, ballot, option)
            self.votes += changed
            return Effects((Answer(voter, id, "counted"),), changed=changed)

        return self._request(voter, id, now_s, act)

    # From operators.

    def approve(self, operator: str, id: str, proposal: str, now_s: float) -> Effects:
        """Open a proposal that is held."""
        return self._command(operator, id, ("approve", proposal), now_s, lambda _: self._approve(proposal))

    def reject(self, operator: str, id: str, proposal: str, reason: str, now_s: float) -> Effects:
        """Reject a proposal, also one that is being voted on; its votes are then void."""
        return self._command(operator, id, ("reject", proposal), now_s, partial(self._reject, proposal, reason))

    def edit(self, operator: str, id: str, proposal: str, text: str, now_s: float) -> Effects:
        """Put another text in the place of a proposal's own."""
        return self._command(
            operator,
            id,
            ("edit", proposal, text),
            now_s,
            lambda _: Effects(self._proposals.edit(proposal, text), changed=True, queued=True),
        )

    def strike(self, operator: str, id: str, option: str, reason: str, now_s: float) -> Effects:
        """Take any option off the ballot; an open proposal is rejected by that."""

        def act(now_s: float) -> Effects:
            proposal = self._proposals.find(option)
            if proposal is not None and proposal.status == "open":
                return self._reject(option, reason, now_s)
            return self._mode.strike(option, now_s)

        return self._command(operator, id, ("strike", option), now_s, act)

    def start(self, operator: str, id: str, now_s: float) -> Effects:
        """Begin a round, or the continuous vote."""
        return self._command(operator, id, ("start",), now_s, self._mode.start)

    def stop(self, operator: str, id: str, now_s: float) -> Effects:
        """Break off without a result. Proposals stay."""
        return self._command(operator, id, ("stop",), now_s, self._mode.stop)

    def pause(self, operator: str, id: str, now_s: float) -> Effects:
        """Stop the clock; votes are refused until `resume`, proposals are still taken."""
        return self._command(operator, id, ("pause",), now_s, self._mode.pause)

    def resume(self, operator: str, id: str, now_s: float) -> Effects:
        """Let the clock go on."""
        return self._command(operator, id, ("resume",), now_s, self._mode.resume)

    def skip(self, operator: str, id: str, now_s: float) -> Effects:
        """End the phase now."""
        return self._command(operator, id, ("skip",), now_s, self._mode.skip)

    def extend(self, operator: str, id: str, seconds: float, now_s: float) -> Effects:
        """Make the phase longer."""
        return self._command(operator, id, ("extend", f"{seconds:g}"), now_s, partial(self._mode.extend, seconds))

    # How a request runs.

    def _run(self, now_s: float, act: Callable[[float], Effects]) -> Effects:
        now_s = self._now_s = max(now_s, self._now_s)
        effects = self._catch_up(now_s) + act(now_s)
        self.changes += bool(effects.answers or effects.changed or effects.queued)
        if effects.changed or effects.queued:
            self._pace.touch()
        if self._pace.take(now_s):
            self._revision += 1
            effects = dataclasses.replace(effects, overlay=self.overlay(now_s))
        return effects

    def _catch_up(self, now_s: float) -> Effects:
        # In the order of time: what had expired when a phase ended does not come on the ballot.
        phase_s = self._mode.due_s
        answers = self._proposals.expire(now_s if phase_s is None else min(now_s, phase_s))
        effects = self._mode.tick(now_s)
        answers += self._proposals.expire(now_s)
        return effects + Effects(answers, changed=True, queued=True) if answers else effects

    def _request(self, to: str, id: str, now_s: float, act: Callable[[float], Effects]) -> Effects:
        if not 0 < len(to) <= MAX_IDENTITY_CHARS or not 0 < len(id) <= MAX_ID_CHARS:
            raise ValueError(f"an identity has 1 to {MAX_IDENTITY_CHARS} characters, an id 1 to {MAX_ID_CHARS}")

        def answered(now_s: float) -> Effects:
            try:
                return act(now_s)
            except RefusedError as error:
                self.refusals[error.reason] += 1
                return Effects((Answer(to, id, "refused", error.reason, error.message),))

        return self._run(now_s, answered)

    def _command(
        self, operator: str, id: str, content: tuple[str, ...], now_s: float, act: Callable[[float], Effects]
    ) -> Effects:
        done = Effects((Answer(operator, id, "done"),))

        def once(now_s: float) -> Effects:
            known = self._commands.get((operator, id))
            if known is not None:
                if known != content:
                    raise RefusedError("id_reused", "this id belongs to another command of yours; use an id of its own")
                return done
            effects = act(now_s)
            self._commands[operator, id] = content
            if len(self._commands) > MAX_COMMANDS:
                self._commands.popitem(last=False)
            return done + effects

        return self._request(operator, id, now_s, once)

    def _approve(self, proposal: str) -> Effects:
        return Effects(self._proposals.approve(proposal), changed=True, queued=True)

    def _reject(self, proposal: str, reason: str, now_s: float) -> Effects:
        found = self._proposals.find(proposal)
        effects = Effects(self._proposals.reject(proposal, reason), changed=True, queued=True)
        if found is not None and found.listed:
            effects += self._mode.strike(proposal, now_s)
        return effects

    def _stage_for(self, wanted: str | None) -> str:
        takes = [stage.name for stage in self.settings.all_stages() if not stage.options]
        if not takes:
            raise RefusedError("unknown_stage", "nothing can be proposed here; vote for one of the options")
        current = self._mode.stage
        if wanted is None and current is not None and current.name in takes:
            return current.name
        if wanted is None and len(takes) == 1:
            return takes[0]
        if wanted not in takes:
            raise RefusedError("unknown_stage", f"say what the proposal is for: {', '.join(takes)}")
        return wanted

    # Stored.

    def dump(self, now_s: float) -> dict[str, Any]:
        """The state as a JSON object, for `load` after a restart. Times are stored as seconds that remain."""
        return self.state(now_s).model_dump(mode="json")

    def state(self, now_s: float) -> AudienceState:
        """The same as values that change no more, so that they can be written elsewhere than here."""
        now_s = max(now_s, self._now_s)
        mode = self._mode
        return AudienceState(
            version=STATE_VERSION,
            mode=self.settings.mode,
            stages=tuple(stage.name for stage in self.settings.all_stages()),
            revision=self._revision,
            proposals=self._proposals.dump(now_s),
            rounds=mode.dump(now_s) if isinstance(mode, Rounds) else None,
            continuous=mode.dump(now_s) if isinstance(mode, Continuous) else None,
            commands=tuple(
                CommandState(operator=operator, id=id, content=content)
                for (operator, id), content in self._commands.items()
            ),
            vote_ids=self._vote_ids.dump(),
        )

    @classmethod
    def load(cls, settings: AudienceSettings, document: Mapping[str, Any], now_s: float) -> Self:
        """Go on where `dump` was called; the time between does not count. Raises `AudienceStateError`."""
        try:
            state = AudienceState.model_validate(document)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(step) for step in first["loc"])
            raise AudienceStateError(
                f"the stored audience cannot be read ({field}: {first['msg']}); start without it"
            ) from None
        return cls.restored(settings, state, now_s)

    @classmethod
    def restored(cls, settings: AudienceSettings, state: AudienceState, now_s: float) -> Self:
        """The same from values that have been read. Raises `AudienceStateError`."""
        audience = cls(settings)
        if state.mode != settings.mode or state.stages != tuple(stage.name for stage in settings.all_stages()):
            raise AudienceStateError("the stored audience is of another mode or other stages; start without it")
        audience._now_s = now_s
        audience._proposals = Proposals.load(settings, state.proposals, now_s)
        if state.rounds is not None and settings.mode != "continuous":
            audience._mode = Rounds.load(settings, audience._proposals, state.rounds, now_s)
        elif state.continuous is not None and settings.mode == "continuous":
            audience._mode = Continuous.load(settings, audience._proposals, state.continuous, now_s)
        else:
            raise AudienceStateError("the stored audience lacks its round; start without it")
        audience._revision = state.revision
        audience._commands.update({(each.operator, each.id): each.content for each in state.commands})
        audience._vote_ids.load(state.vote_ids)
        audience._pace.touch()
        return audience
