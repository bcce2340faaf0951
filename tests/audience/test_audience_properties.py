"""Whatever voters and operators do, in whatever order: nobody counts twice, no vote is lost, late ones are refused.

Beside the audience runs a twin that is never stored. The audience is stored and loaded again at any point, on a clock
that then shows another time, and both must do the same. All times are multiples of 1/4 s, so that shifting the clock
is exact.
"""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamgen.audience.audience import Audience, Verdict
from streamgen.audience.effects import Effects
from streamgen.audience.overlay import Overlay
from streamgen.audience.settings import AudienceSettings

FINAL = {"rejected", "chosen", "expired", "withdrawn"}
VOTERS = [f"v{number}" for number in range(8)]
MAX_VOTERS = 6
VOTE_S = 16.0

voters = st.sampled_from(VOTERS)
picks = st.integers(0, 10**6)
lengths = st.sampled_from([0.25, 1.0, 4.0, 8.0, 16.0, 40.0])


class Acts(RuleBasedStateMachine):
    """What people and time can do; subclasses know the rules that their mode has beside."""

    @initialize(
        change=st.booleans(),
        returns=st.booleans(),
        requests=st.sampled_from([6, 1000]),
        quorum=st.sampled_from([0, 2]),
        more=st.data(),
    )
    def begin(self, change: bool, returns: bool, requests: int, quorum: int, more: st.DataObject) -> None:
        given = {
            "collect_s": 8,
            "vote_s": VOTE_S,
            "result_s": 4,
            "period_s": 8,
            "half_life_s": 512,
            "expire_s": 64,
            "max_voters": MAX_VOTERS,
            "max_options": 3,
            "max_proposals": 4,
            "max_requests": requests,
            "change_votes": change,
            "losers_return": returns,
            "quorum": quorum,
        }
        self.settings = AudienceSettings.model_validate({**given, **self.drawn(more)})
        self.audience = Audience(self.settings)
        self.twin = Audience(self.settings)
        self.now_s = 0.0  # of the twin
        self.shift_s = 0.0  # what the audience's clock shows more
        self.sent = 0
        self.proposed: dict[tuple[str, str], tuple[str, Verdict]] = {}
        self.told: dict[tuple[str, str], list[str]] = {}  # statuses of each request, repeated answers left out
        self.finals: dict[str, str] = {}
        self.votes: dict[str, str] = {}  # of the ballot that runs
        self.ballots: list[str] = ["0.prompt"]
        self.revision = 0
        self.command("start")
        # There is something to vote on from the beginning: what needs a vote is what is looked for.
        for voter, text in zip(VOTERS, ["rain", "snow", "hail"], strict=False):
            self.submit(voter, text, "allow")
        self.command("skip")

    def drawn(self, more: st.DataObject) -> dict[str, Any]:
        return {}

    # Doing the same to both.

    def do(self, name: str, *arguments: Any, **named: Any) -> Effects:
        shown = self.twin.overlay(self.now_s)
        effects = getattr(self.audience, name)(*arguments, self.now_s + self.shift_s, **named)
        expected = getattr(self.twin, name)(*arguments, self.now_s, **named)
        assert isinstance(effects, Effects)
        assert isinstance(expected, Effects)
        assert dataclasses.replace(effects, overlay=None) == dataclasses.replace(expected, overlay=None)
        for answer in expected.answers:
            if answer.proposal is not None:
                steps = self.told.setdefault((answer.to, answer.id), [])
                if not steps or steps[-1] != answer.status:
                    steps.append(answer.status)
                if answer.status in FINAL:
                    # A proposal has one end; one who leaves it to others has a proposal of their own from then on.
                    assert self.finals.setdefault(answer.proposal, answer.status) == answer.status
        for published in (effects.overlay, expected.overlay):
            assert published is None or sum(option.votes for option in published.options) <= 1000
        if effects.overlay is not None:
            assert effects.overlay.revision > self.revision
            self.revision = effects.overlay.revision
        self.follow(shown, expected)
        return expected

    def follow(self, before: Overlay, effects: Effects) -> None:
        """Bring the reference to where the vote is now."""
        now = self.twin.overlay(self.now_s)
        if now.ballot != before.ballot:
            self.votes.clear()
            if now.ballot is not None:
                assert now.ballot not in self.ballots  # no vote for an earlier ballot can count for this one
                self.ballots.append(now.ballot)
        self.drop_struck(now)

    def drop_struck(self, now: Overlay) -> None:
        if now.phase == "vote":
            there = {option.id for option in now.options}
            self.votes = {voter: option for voter, option in self.votes.items() if option in there}

    def command(self, name: str, *arguments: Any) -> Effects:
        self.sent += 1
        return self.do(name, "op", f"c{self.sent}", *arguments)

    # Rules.

    @rule(passes_s=lengths)
    def time_passes(self, passes_s: float) -> None:
        self.now_s += passes_s
        self.do("tick")

    @rule(voter=voters, text=st.sampled_from(["rain", "RAIN", "snow", "hail", "fog", "sun"]), odds=st.integers(0, 5))
    def propose(self, voter: str, text: str, odds: int) -> None:
        self.submit(voter, text, "refuse" if odds == 0 else "hold" if odds == 1 else "allow")

    def submit(self, voter: str, text: str, verdict: Verdict) -> None:
        self.sent += 1
        effects = self.do("propose", voter, f"r{self.sent}", text, verdict, stage=self.settings.all_stages()[-1].name)
        if effects.answers[-1].status != "refused":
            self.proposed[voter, f"r{self.sent}"] = (text, verdict)

    @precondition(lambda self: self.proposed)
    @rule(number=picks, same=st.booleans())
    def propose_again(self, number: int, same: bool) -> None:
        key = list(self.proposed)[number % len(self.proposed)]
        remembered = self.remembered()
        if key not in remembered:
            return  # it was forgotten to make room
        text, verdict = self.proposed[key]
        stage = self.settings.all_stages()[-1].name
        before = list(self.told[key])
        answer = self.do("propose", *key, text if same else text + " again", verdict, stage=stage).answers[-1]
        if same:
            assert (answer.status, answer.proposal) == (before[-1], remembered[key])
            assert self.told[key] == before
        else:
            assert (answer.status, answer.reason) == ("refused", "id_reused")

    @precondition(lambda self: self.proposed)
    @rule(number=picks)
    def withdraw(self, number: int) -> None:
        key = list(self.proposed)[number % len(self.proposed)]
        self.do("withdraw", *key)

    @precondition(lambda self: self.finals or self.twin.queue())
    @rule(number=picks, what=st.sampled_from(["approve", "approve", "reject", "strike", "edit"]))
    def moderate(self, number: int, what: str) -> None:
        ids = [*(each.id for each in self.twin.queue()), *self.finals]
        more = {"approve": (), "edit": (f"text {number}",)}.get(what, ("no",))
        self.command(what, ids[number % len(ids)], *more)

    @rule(what=st.sampled_from(["pause", "resume", "resume", "skip", "stop", "start", "start"]))
    def operate(self, what: str) -> None:
        self.command(what)

    @rule(seconds=lengths)
    def extend(self, seconds: float) -> None:
        self.command("extend", seconds)

    @rule(voter=voters, number=picks, odds=st.integers(0, 9))
    def vote(self, voter: str, number: int, odds: int) -> None:
        self.cast(voter, number, odds)

    @rule(votes=st.lists(st.tuples(voters, st.integers(0, 2)), min_size=2, max_size=10))
    def many_vote(self, votes: list[tuple[str, int]]) -> None:
        for voter, number in votes:
            self.cast(voter, number, 9)

    @rule(votes=st.lists(st.tuples(voters, st.integers(0, 2)), max_size=6))
    def vote_and_decide(self, votes: list[tuple[str, int]]) -> None:
        if self.twin.overlay(self.now_s).ballot is not None:
            self.many_vote(votes)
            self.command("skip")

    def cast(self, voter: str, number: int, odds: int) -> None:
        self.sent += 1
        overlay = self.twin.overlay(self.now_s)
        options = [option.id for option in overlay.options] if overlay.ballot is not None else []
        option = options[number % len(options)] if options and odds else "p0"
        ballot = self.ballots[-1 - (odds == 1 and len(self.ballots) > 1)]
        before = self.votes.get(voter)
        expected = (
            "closed"
            if ballot != overlay.ballot
            else "paused"
            if overlay.paused
            else "unknown_option"
            if option not in options
            else "full"
            if before is None and len(self.votes) >= MAX_VOTERS
            else "standing"
            if before not in (None, option) and not self.settings.change_votes
            else None
        )
        answer = self.do("vote", voter, f"v{self.sent}", ballot, option).answers[-1]
        assert answer.reason == expected
        assert answer.status == ("counted" if expected is None else "refused")
        if expected is None:
            self.votes[voter] = option

    @rule(at_s=st.sampled_from([0.0, 3.25, 4096.0]))
    def store(self, at_s: float) -> None:
        document = json.loads(json.dumps(self.audience.dump(self.now_s + self.shift_s)))
        self.shift_s = at_s - self.now_s
        self.audience = Audience.load(self.settings, document, at_s)
        assert json.loads(json.dumps(self.audience.dump(at_s))) == document

    # What holds.

    def remembered(self) -> dict[tuple[str, str], str]:
        stored = self.twin.dump(self.now_s)["proposals"]
        return {
            (who["voter"], who["id"]): each["id"]
            for each in [*stored["active"], *stored["finished"]]
            for who in each["supporters"]
        }

    @invariant()
    def nobody_counts_twice_and_no_vote_is_lost(self) -> None:
        overlay = self.twin.overlay(self.now_s)
        if overlay.ballot is not None:
            cast = list(self.votes.values())
            assert {each.id: each.votes for each in overlay.options} == {
                each.id: cast.count(each.id) for each in overlay.options
            }
            assert sum(each.votes for each in overlay.options) == overlay.voters == len(self.votes)

    @invariant()
    def each_proposal_has_one_end(self) -> None:
        for steps in self.told.values():
            assert sum(step in FINAL for step in steps) <= 1
            assert not FINAL & set(steps[:-1])
            assert steps in (["held"], ["open"]) or steps[-1] in FINAL or steps == ["held", "open"]

    @invariant()
    def memory_is_bounded_and_nobody_has_more_than_their_part(self) -> None:
        stored = self.twin.dump(self.now_s)["proposals"]
        assert len(stored["active"]) <= self.settings.max_proposals
        assert len(self.remembered()) <= self.settings.max_requests
        for voter in VOTERS:
            mine = [each for each in stored["active"] if any(who["voter"] == voter for who in each["supporters"])]
            assert len(mine) <= self.settings.proposals_per_voter
        for each in [*stored["active"], *stored["finished"]]:
            assert len({who["voter"] for who in each["supporters"]}) == len(each["supporters"])

    @invariant()
    def both_show_the_same(self) -> None:
        shown = self.audience.overlay(self.now_s + self.shift_s)
        assert dataclasses.replace(shown, revision=0) == dataclasses.replace(self.twin.overlay(self.now_s), revision=0)
        assert [each.id for each in self.audience.queue()] == [each.id for each in self.twin.queue()]


class InRounds(Acts):
    def drawn(self, more: st.DataObject) -> dict[str, Any]:
        chosen: dict[str, Any] = {
            "tie": more.draw(st.sampled_from(["earliest", "random", "keep", "blend"])),
            "no_vote": more.draw(st.sampled_from(["keep", "random", "next_proposal"])),
        }
        if more.draw(st.booleans()):
            stages = [{"name": "subject", "options": ["a fox", "an owl", "a cat"]}, {"name": "setting"}]
            chosen |= {"mode": "cascade", "stages": stages}
        return chosen

    def follow(self, before: Overlay, effects: Effects) -> None:
        now = self.twin.overlay(self.now_s)
        # How long the ballot has been open comes from the acts alone, not from what the vote tells.
        if now.ballot != before.ballot and now.ballot is not None:
            self.left_s = VOTE_S
        if now.phase == "result" and before.phase == "vote":
            self.check_decision(now)
        super().follow(before, effects)
        for chosen in effects.chosen:
            assert sum(weight for _, weight in chosen.prompts) == pytest.approx(1.0)
            assert len(chosen.prompts) <= self.settings.blend_size

    def check_decision(self, now: Overlay) -> None:
        cast = list(self.votes.values())
        counts = {option.id: cast.count(option.id) for option in now.options}
        most = max(counts.values(), default=0)
        best = {option for option, count in counts.items() if count == most}
        if not counts:
            assert now.winners == ()
        elif len(cast) < max(1, self.settings.quorum):
            assert now.decided_by == self.settings.no_vote
            assert len(now.winners) == (self.settings.no_vote != "keep")
        elif len(best) == 1:
            assert (set(now.winners), now.decided_by) == (best, "votes")
        else:
            assert now.decided_by == self.settings.tie
            expected = {"keep": 0, "blend": min(len(best), self.settings.blend_size)}.get(self.settings.tie, 1)
            assert len(now.winners) == expected
            assert set(now.winners) <= best

    @rule(passes_s=lengths)
    def time_passes(self, passes_s: float) -> None:
        overlay = self.twin.overlay(self.now_s)
        if overlay.ballot is not None and not overlay.paused:
            self.left_s -= passes_s
        super().time_passes(passes_s)
        if overlay.ballot is not None:
            assert (self.twin.overlay(self.now_s).ballot == overlay.ballot) == (self.left_s > 0)

    @precondition(lambda self: len(self.ballots) > 1)
    @rule(voter=voters)
    def vote_at_the_last_moment_and_at_the_close(self, voter: str) -> None:
        overlay = self.twin.overlay(self.now_s)
        if overlay.ballot is None or overlay.paused or not overlay.options:
            return
        quarter_s = min(0.25, self.left_s)
        self.now_s += self.left_s - quarter_s
        self.left_s = quarter_s
        self.do("tick")
        self.cast(voter, 0, 9)
        self.now_s += quarter_s
        self.left_s = 0.0
        self.sent += 1
        answers = self.do("vote", voter, f"v{self.sent}", overlay.ballot, overlay.options[0].id).answers
        assert (answers[-1].status, answers[-1].reason) == ("refused", "closed")

    @rule(seconds=lengths)
    def extend(self, seconds: float) -> None:
        if self.twin.overlay(self.now_s).ballot is not None:
            self.left_s += seconds
        super().extend(seconds)


class Continuously(Acts):
    def drawn(self, more: st.DataObject) -> dict[str, Any]:
        options = ["a fox", "an owl", "a cat"] if more.draw(st.booleans()) else []
        return {"mode": "continuous", "options": options}

    def follow(self, before: Overlay, effects: Effects) -> None:
        super().follow(before, effects)
        now = self.twin.overlay(self.now_s)
        for chosen in effects.chosen:
            assert sum(weight for _, weight in chosen.prompts) == pytest.approx(1.0)
            assert 1 <= len(chosen.prompts) <= self.settings.blend_size
            assert all(0.0 < weight <= 1.0 for _, weight in chosen.prompts)
        if effects.chosen:
            assert {option.text for option in now.options if option.playing} == {
                text for text, _ in effects.chosen[-1].prompts
            }


TestInRounds = InRounds.TestCase
TestContinuously = Continuously.TestCase
TestInRounds.settings = settings(max_examples=70, stateful_step_count=40, deadline=None, derandomize=True)
TestContinuously.settings = settings(max_examples=50, stateful_step_count=40, deadline=None, derandomize=True)
