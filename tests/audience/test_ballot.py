import json
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streamgen.audience.ballot import Ballot, BallotState, Option
from streamgen.audience.effects import AudienceStateError, RefusedError

OPTIONS = tuple(Option(id, f"text of {id}") for id in "abc")
CLOSES_S = 20.0
MAX_VOTERS = 5


def ballot(*, change: bool = True, max_voters: int = MAX_VOTERS) -> Ballot:
    return Ballot("1.prompt", OPTIONS, closes_s=CLOSES_S, max_voters=max_voters, change=change)


def reason(ballot: Ballot, voter: str, option: str, now_s: float = 0.0) -> str:
    with pytest.raises(RefusedError) as caught:
        ballot.cast(voter, option, now_s)
    assert ballot.refused[caught.value.reason] > 0
    return caught.value.reason


def test_the_last_vote_of_a_voter_counts() -> None:
    vote = ballot()
    assert vote.cast("ann", "a", 0.0)
    assert not vote.cast("ann", "a", 1.0)
    assert vote.cast("ann", "b", 2.0)
    assert [vote.votes(each) for each in "abc"] == [0, 1, 0]
    assert (vote.voters, vote.vote_of("ann")) == (1, "b")


def test_a_vote_at_the_close_is_late() -> None:
    vote = ballot()
    vote.cast("ann", "a", CLOSES_S - 1e-6)
    assert reason(vote, "bob", "a", CLOSES_S) == "closed"
    vote.closes_s += 1.0
    vote.cast("bob", "a", CLOSES_S)
    vote.close()
    assert reason(vote, "cy", "a", 0.0) == "closed"
    assert vote.votes("a") == 2


def test_a_vote_can_be_for_good() -> None:
    vote = ballot(change=False)
    vote.cast("ann", "a", 0.0)
    assert not vote.cast("ann", "a", 1.0)
    assert reason(vote, "ann", "b") == "standing"
    assert vote.vote_of("ann") == "a"


def test_when_full_newcomers_are_refused_and_the_others_may_still_change() -> None:
    vote = ballot(max_voters=1)
    vote.cast("ann", "a", 0.0)
    assert reason(vote, "bob", "a") == "full"
    vote.cast("ann", "b", 0.0)
    assert vote.refused == {"full": 1}


def test_an_option_that_is_struck_frees_its_voters() -> None:
    vote = ballot(change=False)
    vote.cast("ann", "a", 0.0)
    vote.cast("bob", "b", 0.0)
    assert vote.strike("a")
    assert not vote.strike("a")
    assert vote.voters == 1
    assert reason(vote, "ann", "a") == "unknown_option"
    vote.cast("ann", "c", 0.0)
    assert [each.id for each in vote.options] == ["b", "c"]


def test_who_reached_the_count_first_also_after_votes_have_left() -> None:
    vote = ballot()
    vote.cast("1", "a", 0.0)
    vote.cast("2", "b", 0.0)
    vote.cast("3", "a", 0.0)
    vote.cast("4", "b", 0.0)  # a had two first
    a, b, _ = vote.standings()
    assert a.reached < b.reached
    vote.cast("1", "c", 0.0)
    vote.cast("1", "a", 0.0)  # a has two again, and b has had two all along
    a, b, _ = vote.standings()
    assert a.votes == b.votes == 2
    assert a.reached > b.reached


def test_stored_votes_that_do_not_add_up_are_refused() -> None:
    vote = ballot()
    vote.cast("ann", "a", 0.0)
    stored = vote.dump()
    wrongs: list[dict[str, object]] = [
        {"votes": {"ann": "z"}},
        {"votes": {}},
        {"rises": ((), (1,), ())},
        {"rises": ((1,),)},
    ]
    for wrong in wrongs:
        with pytest.raises(AudienceStateError, match="add up"):
            Ballot.load(stored.model_copy(update=wrong), closes_s=9.0, max_voters=9, change=True)


class Votes(RuleBasedStateMachine):
    """Against a reference that keeps every tally there ever was."""

    @initialize(change=st.booleans())
    def begin(self, change: bool) -> None:
        self.change = change
        self.ballot = ballot(change=change)
        self.now_s = 0.0
        self.options = {"a", "b", "c"}
        self.votes: dict[str, str] = {}
        self.tallies: list[Counter[str]] = [Counter()]

    @rule(voter=st.sampled_from("stuvwxyz"), option=st.sampled_from("aabbcz"), passes_s=st.sampled_from([0, 0, 0, 1]))
    def cast(self, voter: str, option: str, passes_s: float) -> None:
        self.now_s += passes_s
        before = self.votes.get(voter)
        expected = (
            "closed"
            if self.now_s >= CLOSES_S
            else "unknown_option"
            if option not in self.options
            else None
            if before == option
            else "full"
            if before is None and len(self.votes) >= MAX_VOTERS
            else "standing"
            if before is not None and not self.change
            else None
        )
        if expected is not None:
            assert reason(self.ballot, voter, option, self.now_s) == expected
            return
        assert self.ballot.cast(voter, option, self.now_s) == (before != option)
        self.votes[voter] = option
        self.tallies.append(Counter(self.votes.values()))

    @rule(option=st.sampled_from("ab"), really=st.integers(0, 9))
    def strike(self, option: str, really: int) -> None:
        if really == 0:
            assert self.ballot.strike(option) == (option in self.options)
            self.options.discard(option)
            self.votes = {voter: choice for voter, choice in self.votes.items() if choice != option}

    @rule(closes=st.integers(0, 15))
    def late(self, closes: int) -> None:
        if closes == 0:
            self.now_s = max(self.now_s, CLOSES_S)

    @rule()
    def store(self) -> None:
        state = BallotState.model_validate(json.loads(json.dumps(self.ballot.dump().model_dump(mode="json"))))
        self.ballot = Ballot.load(state, closes_s=CLOSES_S, max_voters=MAX_VOTERS, change=self.change)

    @invariant()
    def nobody_counts_twice_and_no_vote_is_lost(self) -> None:
        standings = self.ballot.standings()
        assert {each.option: each.votes for each in standings} == {
            option: list(self.votes.values()).count(option) for option in self.options
        }
        assert sum(each.votes for each in standings) == self.ballot.voters == len(self.votes) <= MAX_VOTERS
        for voter in "stuvwxyz":
            assert self.ballot.vote_of(voter) == self.votes.get(voter)

    @invariant()
    def the_order_of_reaching_is_that_of_the_tallies(self) -> None:
        # When its tally last rose to where it is now.
        def rose(option: str) -> int:
            count = sum(choice == option for choice in self.votes.values())
            steps = range(1, len(self.tallies))
            return max(step for step in steps if self.tallies[step - 1][option] < count <= self.tallies[step][option])

        standings = [each for each in self.ballot.standings() if each.votes]
        by_ballot = sorted(standings, key=lambda each: each.reached)
        assert by_ballot == sorted(standings, key=lambda each: rose(each.option))


TestVotes = Votes.TestCase
TestVotes.settings = settings(max_examples=80, stateful_step_count=40, deadline=None, derandomize=True)
