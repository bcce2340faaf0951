"""The mode `continuous`: votes fade, and what they are worth is weighed every period into a blend.

What holds:

- each voter has one vote; casting it again makes it fresh;
- what plays changes only when it is worth it (`streamgen.audience.blend`), and stays while nobody votes;
- the ballot is bounded by `max_options`. Proposals come on it as places become free: an option leaves when nobody
  votes for it and it does not play, after `ROTATION` weighings if others wait, or when it has expired.
"""

import math
from typing import Final, Self

from pydantic import BaseModel, ConfigDict

from streamgen.audience.ballot import Option
from streamgen.audience.blend import differs, select
from streamgen.audience.countdown import Countdown
from streamgen.audience.effects import AudienceStateError, Chosen, Effects, RefusedError, Tally
from streamgen.audience.fading import FadingState, FadingVotes
from streamgen.audience.overlay import Overlay, OverlayOption, Phase, shown_option
from streamgen.audience.proposals import Proposals
from streamgen.audience.settings import MAX_PHASE_S, AudienceSettings, StageSettings

ROTATION: Final = 4  # weighings for which an option without votes keeps its place while others wait

_CHANGED: Final = Effects(changed=True)


class ContinuousState(BaseModel):
    """The continuous vote as it is stored. `listed_at` says at which weighing an option came."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    round: int
    weighing: int
    left_s: float | None
    paused: bool
    options: tuple[Option, ...]
    listed_at: dict[str, int]
    playing: dict[str, float]
    votes: FadingState


class Continuous:
    """Weighs the votes every period, driven by `tick`. Commands are those of `Rounds`."""

    def __init__(self, settings: AudienceSettings, proposals: Proposals) -> None:
        self._settings = settings
        self._proposals = proposals
        self._stage = settings.all_stages()[0]
        self._round = 0
        self._weighing = 0
        self._countdown = Countdown()
        self._paused_s: float | None = None  # since when
        self._options: dict[str, Option] = {}
        self._listed_at: dict[str, int] = {}
        self._playing: dict[str, float] = {}  # option -> weight; what was chosen last
        self._votes = self._new_votes(0.0)

    @property
    def phase(self) -> Phase:
        """`vote` while it runs."""
        return "idle" if self._countdown.left_s(0.0) is None else "vote"

    @property
    def due_s(self) -> float | None:
        """When `tick` has something to do; None for never."""
        return self._countdown.ends_s

    @property
    def stage(self) -> StageSettings | None:
        """The one stage; None while idle."""
        return None if self.phase == "idle" else self._stage

    def tick(self, now_s: float) -> Effects:
        """Do what is due."""
        return self.skip(now_s) if self._countdown.over(now_s) else Effects()

    def vote(self, voter: str, ballot: str, option: str, now_s: float) -> bool:
        """Count a vote. Raises `RefusedError`."""
        if ballot != self.ballot_id:
            raise RefusedError("closed", "this vote is over; wait for the next one")
        if self._countdown.paused:
            raise RefusedError("paused", "the vote is paused; vote again when it goes on")
        self._votes.cast(voter, option, now_s)
        return True

    def vote_of(self, voter: str) -> str | None:
        """The option for which this voter's vote stands."""
        return self._votes.vote_of(voter)

    @property
    def ballot_id(self) -> str | None:
        """Of what is voted on now; None while nothing is."""
        return None if self.phase == "idle" else f"{self._round}.{self._stage.name}"

    @property
    def round_id(self) -> str | None:
        """Of the vote that runs; None while idle."""
        return None if self.phase == "idle" else str(self._round)

    def strike(self, option: str, now_s: float) -> Effects:
        """Take an option off the ballot, and out of the blend at once. Raises `RefusedError`."""
        if option not in self._options:
            raise RefusedError("unknown_option", "this is no option of the vote that runs; choose one that is shown")
        played = self._playing.pop(option, None) is not None
        rest = sum(self._playing.values())
        effects = _CHANGED
        if played and self._playing:
            self._playing = {id: weight / rest for id, weight in self._playing.items()}
            effects += self._play(now_s)
        self._remove(option)
        return effects

    def start(self, now_s: float) -> Effects:
        """Begin to vote. Without effect while it runs."""
        if self.phase != "idle":
            return Effects()
        self._round += 1
        self._votes = self._new_votes(now_s)
        for number, text in enumerate(self._stage.options, 1):
            self._add(Option(f"o{number}", text))
        self._fill()
        self._countdown.begin(self._settings.period_s, now_s)
        return Effects(changed=True, queued=True)

    def stop(self, now_s: float) -> Effects:
        """End the vote; what plays goes on. Without effect while idle."""
        if self.phase == "idle":
            return Effects()
        for option in self._options:
            self._proposals.release(option)
        self._options.clear()
        self._listed_at.clear()
        self._playing = {}
        self._votes = self._new_votes(now_s)
        self._countdown.clear()
        self._paused_s = None
        return Effects(changed=True, queued=True)

    def pause(self, now_s: float) -> Effects:
        """Stop the clock: votes do not fade. Raises `RefusedError` while idle."""
        self._check_runs()
        if not self._countdown.paused:
            self._countdown.pause(now_s)
            self._paused_s = now_s
        return _CHANGED

    def resume(self, now_s: float) -> Effects:
        """Let the clock go on. Raises `RefusedError` while idle."""
        self._check_runs()
        if self._paused_s is not None:
            self._votes.shift(now_s - self._paused_s)
            self._paused_s = None
        self._countdown.resume(now_s)
        return _CHANGED

    def skip(self, now_s: float) -> Effects:
        """Weigh now, and again a period later. Raises `RefusedError` while idle."""
        self._check_runs()
        effects = self._weigh(self._clock_s(now_s))
        self._countdown.begin(self._settings.period_s, now_s)
        return effects

    def extend(self, seconds: float, now_s: float) -> Effects:
        """Weigh so much later, this time. Raises `RefusedError`."""
        self._check_runs()
        left_s = self._countdown.left_s(now_s) or 0.0
        if not (math.isfinite(seconds) and seconds > 0.0) or left_s + seconds > MAX_PHASE_S:
            raise RefusedError("out_of_range", f"give seconds above 0; a phase lasts at most {MAX_PHASE_S:g} s")
        self._countdown.extend(seconds)
        return _CHANGED

    def _check_runs(self) -> None:
        if self.phase == "idle":
            raise RefusedError("stopped", "no vote runs; start one first")

    def _clock_s(self, now_s: float) -> float:
        return now_s if self._paused_s is None else self._paused_s

    def _new_votes(self, now_s: float) -> FadingVotes:
        settings = self._settings
        return FadingVotes(
            settings.half_life_s, max_voters=settings.max_voters, change=settings.change_votes, now_s=now_s
        )

    # Weighing.

    def _weigh(self, now_s: float) -> Effects:
        settings = self._settings
        self._weighing += 1
        self._votes.forget(now_s)
        effects = Effects(changed=True)
        if self._votes.voters >= max(1, settings.quorum):
            blend = select(
                self._votes.weights(now_s),
                self._playing,
                size=settings.blend_size,
                min_share=settings.min_share,
                margin=settings.margin,
            )
            if blend and differs(blend, self._playing, settings.min_change):
                self._playing = blend
                effects += self._play(now_s)
        return effects + self._retire(now_s) + self._fill()

    def _play(self, now_s: float) -> Effects:
        options = [self._options[id] for id in self._playing]
        effects = Effects(
            tallies=(Tally(self.ballot_id or "", self._shown_options(now_s), tuple(self._playing), "votes"),),
            chosen=(
                Chosen(
                    tuple((option.text, self._playing[option.id]) for option in options),
                    f"{self._round}.{self._weighing}",
                    self._votes.voters,
                    tuple(dict.fromkeys(name for option in options for name in option.names)),
                ),
            ),
        )
        for option in options:
            answers = self._proposals.choose(option.id)
            effects += Effects(answers, queued=bool(answers))
        return effects

    # The ballot.

    def _retire(self, now_s: float) -> Effects:
        effects = Effects()
        crowded = len(self._options) >= self._settings.max_options and bool(self._proposals.waiting(self._stage.name))
        for option in list(self._options.values()):
            if not option.proposal or option.id in self._playing or self._votes.votes(option.id):
                continue
            proposal = self._proposals.find(option.id)
            final = proposal is None or proposal.status != "open"
            expired = proposal is not None and now_s >= proposal.made_s + self._settings.expire_s
            if final or expired or (crowded and self._weighing - self._listed_at[option.id] >= ROTATION):
                answers = self._proposals.release(option.id, returns=not expired)
                effects += Effects(answers, changed=True, queued=not final)
                self._remove(option.id)
        return effects

    def _fill(self) -> Effects:
        if self._stage.options:
            return Effects()
        taken = self._proposals.take(self._stage.name, max(0, self._settings.max_options - len(self._options)))
        for each in taken:
            self._add(Option(each.id, each.text, proposal=True, names=each.names))
        return Effects(changed=True, queued=True) if taken else Effects()

    def _add(self, option: Option) -> None:
        self._options[option.id] = option
        self._listed_at[option.id] = self._weighing
        self._votes.add(option.id)

    def _remove(self, option: str) -> None:
        del self._options[option]
        del self._listed_at[option]
        self._votes.remove(option)

    # Shown and stored.

    def overlay(self, now_s: float) -> Overlay:
        """The situation, without a revision."""
        if self.phase == "idle":
            return Overlay(self._settings.mode)
        return Overlay(
            mode=self._settings.mode,
            phase="vote",
            paused=self._countdown.paused,
            round_id=str(self._round),
            ballot=self.ballot_id,
            stage=self._stage.name,
            stages=(self._stage.name,),
            options=self._shown_options(now_s),
            voters=self._votes.voters,
            proposals=len(self._proposals.waiting(self._stage.name)),
            seconds_left=self._countdown.left_s(now_s),
        )

    def _shown_options(self, now_s: float) -> tuple[OverlayOption, ...]:
        weights = self._votes.weights(self._clock_s(now_s))
        total = sum(weights.values()) or 1.0
        return tuple(
            shown_option(
                each.id,
                each.text,
                self._votes.votes(each.id),
                weights[each.id] / total,
                each.names,
                self._playing.get(each.id, 0.0),
            )
            for each in self._options.values()
        )

    def dump(self, now_s: float) -> ContinuousState:
        """The state to be stored."""
        return ContinuousState(
            round=self._round,
            weighing=self._weighing,
            left_s=self._countdown.left_s(now_s),
            paused=self._countdown.paused,
            options=tuple(self._options.values()),
            listed_at=dict(self._listed_at),
            playing=dict(self._playing),
            votes=self._votes.dump(self._clock_s(now_s)),
        )

    @classmethod
    def load(cls, settings: AudienceSettings, proposals: Proposals, state: ContinuousState, now_s: float) -> Self:
        """The vote of a stored state. Raises `AudienceStateError`."""
        self = cls(settings, proposals)
        self._round, self._weighing = state.round, state.weighing
        self._options = {option.id: option for option in state.options}
        self._listed_at, self._playing = dict(state.listed_at), dict(state.playing)
        if self._listed_at.keys() != self._options.keys() or self._playing.keys() - self._options.keys():
            raise AudienceStateError("the stored vote names options that are not there; start without it")
        self._votes = FadingVotes.load(
            state.votes,
            self._options,
            settings.half_life_s,
            max_voters=settings.max_voters,
            change=settings.change_votes,
            now_s=now_s,
        )
        self._countdown.paused = state.paused
        self._paused_s = now_s if state.paused else None
        if state.left_s is not None:
            self._countdown.begin(state.left_s, now_s)
        return self
