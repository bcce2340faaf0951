"""Rounds of voting: the modes `single` and `cascade`. A single vote is a cascade of one.

    idle -> (collect ->) vote -> result -> the next stage, the next round, or idle

What holds:

- a phase that ends at t is over at t: a vote at t is late. The next one begins with the tick that ends it, so a
  server that slept does not run through the phases that it missed;
- the result depends on the votes and the round's number only. Nothing here knows a generator, so a round survives
  one that dies;
- while paused no time passes and no vote is taken.

Times come as arguments, in seconds on one monotonic clock.
"""

import math
from collections.abc import Callable
from itertools import product
from typing import Final, Self

from pydantic import BaseModel, ConfigDict

from streamgen.audience.ballot import Ballot, BallotState, Option
from streamgen.audience.countdown import Countdown
from streamgen.audience.decision import Decision, decide
from streamgen.audience.effects import AudienceStateError, Chosen, Effects, RefusedError, Tally
from streamgen.audience.overlay import Overlay, OverlayOption, Phase, shown_option
from streamgen.audience.proposal import Proposal
from streamgen.audience.proposals import Proposals
from streamgen.audience.settings import MAX_PHASE_S, AudienceSettings, StageSettings

_CHANGED: Final = Effects(changed=True)


class Pick(BaseModel):
    """What a stage came to. `kept`: nothing was chosen, these words are from the round before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    texts: tuple[str, ...]
    kept: bool
    names: tuple[str, ...] = ()
    votes: int = 0


class RoundsState(BaseModel):
    """The rounds as they are stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    round: int
    stage: int
    phase: Phase
    left_s: float | None
    paused: bool
    ballot: BallotState | None
    decision: Decision | None
    picks: tuple[Pick, ...]
    last: dict[str, tuple[str, ...]]


class Rounds:
    """Collects, votes and decides, driven by `tick`."""

    def __init__(self, settings: AudienceSettings, proposals: Proposals) -> None:
        self.phase: Phase = "idle"
        self.ballot: Ballot | None = None  # in the phases `vote` and `result`
        self._settings = settings
        self._stages = settings.all_stages()
        self._proposals = proposals
        self._round = 0
        self._stage_index = 0
        self._countdown = Countdown()
        self._decision: Decision | None = None  # of the ballot, in the phase `result`
        self._picks: list[Pick] = []  # of the stages of this round that are decided
        self._last: dict[str, tuple[str, ...]] = {}  # stage -> the words that it had in the last round that chose

    @property
    def due_s(self) -> float | None:
        """When `tick` has something to do; None for never."""
        return self._countdown.ends_s

    @property
    def stage(self) -> StageSettings | None:
        """The stage under way; None while idle."""
        return None if self.phase == "idle" else self._stages[self._stage_index]

    def tick(self, now_s: float) -> Effects:
        """Do what is due."""
        effects = Effects()
        while self._countdown.over(now_s):
            effects += self._end_phase(now_s)
        return effects

    # From voters and operators. `Audience` has called `tick` before.

    def vote(self, voter: str, ballot: str, option: str, now_s: float) -> bool:
        """Count a vote; False when it stood already. Raises `RefusedError`."""
        if self.ballot is None or self.ballot.id != ballot or self.phase != "vote":
            raise RefusedError("closed", "this vote is over; wait for the next one")
        if self._countdown.paused:
            raise RefusedError("paused", "the vote is paused; vote again when it goes on")
        return self.ballot.cast(voter, option, now_s)

    def vote_of(self, voter: str) -> str | None:
        """The option for which this voter's vote stands."""
        return None if self.ballot is None else self.ballot.vote_of(voter)

    @property
    def ballot_id(self) -> str | None:
        """Of what is voted on now; None while nothing is."""
        return self.ballot.id if self.ballot is not None and self.phase == "vote" else None

    @property
    def round_id(self) -> str | None:
        """Of the round that runs; None while idle."""
        return None if self.phase == "idle" else str(self._round)

    def strike(self, option: str, now_s: float) -> Effects:
        """Take an option off the ballot that runs. Raises `RefusedError` when it is on none."""
        if self.ballot is None or self.phase != "vote" or not self.ballot.strike(option):
            raise RefusedError("unknown_option", "this is no option of a vote that runs; choose one that is shown")
        return _CHANGED

    def start(self, now_s: float) -> Effects:
        """Begin a round. Without effect while one runs."""
        return self._begin_round(now_s) if self.phase == "idle" else Effects()

    def stop(self, now_s: float) -> Effects:
        """Break the round off without a result. Without effect while idle."""
        if self.phase == "idle":
            return Effects()
        self._release_listed()
        self._countdown.clear()
        self._end_ballot()
        self.phase = "idle"
        return Effects(changed=True, queued=True)

    def pause(self, now_s: float) -> Effects:
        """Stop the clock. Raises `RefusedError` while idle."""
        self._check_runs()
        self._countdown.pause(now_s)
        self._move_close()
        return _CHANGED

    def resume(self, now_s: float) -> Effects:
        """Let the clock go on. Raises `RefusedError` while idle."""
        self._check_runs()
        self._countdown.resume(now_s)
        self._move_close()
        return _CHANGED

    def skip(self, now_s: float) -> Effects:
        """End the phase now: proposals come to a vote, a vote is decided, a result makes way."""
        self._check_runs()
        return self._end_phase(now_s)

    def extend(self, seconds: float, now_s: float) -> Effects:
        """Make the phase longer. Raises `RefusedError`."""
        self._check_runs()
        left_s = self._countdown.left_s(now_s) or 0.0
        if not (math.isfinite(seconds) and seconds > 0.0) or left_s + seconds > MAX_PHASE_S:
            raise RefusedError("out_of_range", f"give seconds above 0; a phase lasts at most {MAX_PHASE_S:g} s")
        self._countdown.extend(seconds)
        self._move_close()
        return _CHANGED

    def _check_runs(self) -> None:
        if self.phase == "idle":
            raise RefusedError("stopped", "no round runs; start one first")

    # Phases.

    def _begin_round(self, now_s: float) -> Effects:
        self._round += 1
        self._stage_index = 0
        self._picks = []
        return self._begin_stage(now_s)

    def _begin_stage(self, now_s: float) -> Effects:
        stage = self._stages[self._stage_index]
        self._end_ballot()
        if stage.options:
            options = [Option(f"o{number}", text) for number, text in enumerate(stage.options, 1)]
            return self._open_ballot(options, now_s)
        self.phase = "collect"
        self._countdown.begin(self._settings.collect_length_s(stage), now_s)
        return _CHANGED

    def _open_ballot(self, options: list[Option], now_s: float) -> Effects:
        stage = self._stages[self._stage_index]
        self.phase = "vote"
        self._countdown.begin(self._settings.vote_length_s(stage), now_s)
        self.ballot = Ballot(
            f"{self._round}.{stage.name}",
            options,
            closes_s=math.inf,
            max_voters=self._settings.max_voters,
            change=self._settings.change_votes,
        )
        self._move_close()
        return Effects(changed=True, queued=True)

    def _end_ballot(self) -> None:
        self.ballot = None
        self._decision = None

    def _end_phase(self, now_s: float) -> Effects:
        end: dict[Phase, Callable[[float], Effects]] = {
            "collect": self._end_collect,
            "vote": self._end_vote,
            "result": self._end_result,
        }
        return end[self.phase](now_s)

    def _end_collect(self, now_s: float) -> Effects:
        stage = self._stages[self._stage_index]
        taken = self._proposals.take(stage.name, self._settings.max_options)
        if not taken:  # nothing to vote on: go on collecting
            self._countdown.begin(self._settings.collect_length_s(stage), now_s)
            return _CHANGED
        return self._open_ballot([ballot_option(each) for each in taken], now_s)

    def _end_vote(self, now_s: float) -> Effects:
        assert self.ballot is not None
        settings = self._settings
        self.ballot.close()
        self._decision = decide(
            self.ballot.standings(),
            tie=settings.tie,
            no_vote=settings.no_vote,
            quorum=settings.quorum,
            seed=f"{settings.seed}/{self.ballot.id}",
            max_blend=settings.blend_size,
        )
        tally = Tally(self.ballot.id, self._shown_options(self.ballot), self._decision.winners, self._decision.by)
        effects = Effects(tallies=(tally,)) + self._settle_proposals(self._decision)
        self._picks.append(self._pick(self._decision))
        if self._stage_index == len(self._stages) - 1:
            effects += self._conclude()
        self.phase = "result"
        self._countdown.begin(settings.result_s, now_s)
        return effects + Effects(changed=True, queued=True)

    def _end_result(self, now_s: float) -> Effects:
        if self._stage_index < len(self._stages) - 1:
            self._stage_index += 1
            return self._begin_stage(now_s)
        if self._settings.repeat:
            return self._begin_round(now_s)
        return self.stop(now_s)

    # What was decided.

    def _settle_proposals(self, decision: Decision) -> Effects:
        assert self.ballot is not None
        effects = Effects()
        for option in self.ballot.options:
            if not option.proposal:
                continue
            if option.id in decision.winners:
                effects += Effects(self._proposals.choose(option.id))
            else:
                effects += Effects(self._proposals.release(option.id, returns=self._settings.losers_return))
        return effects

    def _release_listed(self) -> None:
        if self.ballot is not None:
            for option in self.ballot.options:
                self._proposals.release(option.id)

    def _pick(self, decision: Decision) -> Pick:
        """The words of this stage. Where nothing was chosen, those of the round before, or else its first option."""
        assert self.ballot is not None
        options = {option.id: option for option in self.ballot.options}
        votes = self.ballot.voters
        if decision.winners:
            winners = [options[id] for id in decision.winners]
            names = tuple(name for winner in winners for name in winner.names)
            return Pick(texts=tuple(winner.text for winner in winners), kept=False, names=names, votes=votes)
        first = next(iter(options.values()), None)
        fallback = () if first is None else (first.text,)
        return Pick(texts=self._last.get(self._stages[self._stage_index].name, fallback), kept=True, votes=votes)

    def _conclude(self) -> Effects:
        """The prompts that the round comes to: none when all that plays stays, or when a stage has no word at all."""
        if all(pick.kept for pick in self._picks) or not all(pick.texts for pick in self._picks):
            return Effects()
        self._last = {stage.name: pick.texts for stage, pick in zip(self._stages, self._picks, strict=True)}
        # Every combination of what was blended plays, all alike. The later stages give in where that were too many.
        room = self._settings.blend_size
        words: list[tuple[str, ...]] = []
        for pick in self._picks:
            words.append(pick.texts[: max(1, room)])
            room //= len(words[-1])
        names = [stage.name for stage in self._stages]
        prompts = [self._settings.join(dict(zip(names, each, strict=True))) for each in product(*words)]
        chosen = Chosen(
            tuple((text, 1.0 / len(prompts)) for text in prompts),
            str(self._round),
            sum(pick.votes for pick in self._picks),
            tuple(dict.fromkeys(name for pick in self._picks for name in pick.names)),
        )
        return Effects(chosen=(chosen,))

    def _move_close(self) -> None:
        if self.ballot is not None:
            ends_s = self._countdown.ends_s
            self.ballot.closes_s = math.inf if ends_s is None else ends_s

    # Shown and stored.

    def overlay(self, now_s: float) -> Overlay:
        """The situation, without a revision."""
        stage = self.stage
        if stage is None:
            return Overlay(self._settings.mode)
        waiting = self._proposals.waiting(stage.name)
        if self.ballot is not None:
            options = self._shown_options(self.ballot)
        else:
            preview = waiting[: self._settings.max_options]
            total = max(1, sum(each.supporters for each in preview))
            options = tuple(
                shown_option(each.id, each.text, each.supporters, each.supporters / total, each.names)
                for each in preview
            )
        return Overlay(
            mode=self._settings.mode,
            phase=self.phase,
            paused=self._countdown.paused,
            round_id=str(self._round),
            ballot=self.ballot_id,
            stage=stage.name,
            stages=tuple(each.name for each in self._stages),
            options=options,
            voters=0 if self.ballot is None else self.ballot.voters,
            proposals=len(waiting),
            seconds_left=self._countdown.left_s(now_s),
            winners=() if self._decision is None else self._decision.winners,
            decided_by=None if self._decision is None else self._decision.by,
        )

    @staticmethod
    def _shown_options(ballot: Ballot) -> tuple[OverlayOption, ...]:
        total = max(1, ballot.voters)
        return tuple(
            shown_option(each.id, each.text, ballot.votes(each.id), ballot.votes(each.id) / total, each.names)
            for each in ballot.options
        )

    def dump(self, now_s: float) -> RoundsState:
        """The state to be stored."""
        return RoundsState(
            round=self._round,
            stage=self._stage_index,
            phase=self.phase,
            left_s=self._countdown.left_s(now_s),
            paused=self._countdown.paused,
            ballot=None if self.ballot is None else self.ballot.dump(),
            decision=self._decision,
            picks=tuple(self._picks),
            last=self._last,
        )

    @classmethod
    def load(cls, settings: AudienceSettings, proposals: Proposals, state: RoundsState, now_s: float) -> Self:
        """The rounds of a stored state. Raises `AudienceStateError`."""
        rounds = cls(settings, proposals)
        voting = state.phase in ("vote", "result")
        decided = state.stage + (state.phase == "result")
        if (
            not 0 <= state.stage < len(rounds._stages)
            or voting != (state.ballot is not None)
            or (state.phase == "idle") != (state.left_s is None)
            or (state.phase != "idle" and len(state.picks) != decided)
        ):
            raise AudienceStateError("the stored round does not add up; start without it")
        rounds._round, rounds._stage_index, rounds.phase = state.round, state.stage, state.phase
        rounds._decision, rounds._picks, rounds._last = state.decision, list(state.picks), dict(state.last)
        rounds._countdown.paused = state.paused
        if state.left_s is not None:
            rounds._countdown.begin(state.left_s, now_s)
        if state.ballot is not None:
            rounds.ballot = Ballot.load(
                state.ballot,
                closes_s=math.inf,
                max_voters=settings.max_voters,
                change=settings.change_votes,
            )
            rounds._move_close()
        return rounds


def ballot_option(proposal: Proposal) -> Option:
    """A proposal as an option of a ballot."""
    return Option(proposal.id, proposal.text, proposal=True, names=proposal.names)
