import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.audience.effects import AudienceStateError, RefusedError
from streamgen.audience.fading import LIFE_HALF_LIVES, FadingState, FadingVotes

OPTIONS = ("a", "b", "c")


def fading(*, max_voters: int = 100, change: bool = True, now_s: float = 0.0) -> FadingVotes:
    votes = FadingVotes(8.0, max_voters=max_voters, change=change, now_s=now_s)
    for option in OPTIONS:
        votes.add(option)
    return votes


def reason(votes: FadingVotes, voter: str, option: str, now_s: float) -> str:
    with pytest.raises(RefusedError) as caught:
        votes.cast(voter, option, now_s)
    assert votes.refused[caught.value.reason] > 0
    return caught.value.reason


def test_a_vote_counts_half_after_its_half_life_and_is_fresh_when_cast_again() -> None:
    votes = fading()
    votes.cast("ann", "a", 0.0)
    votes.cast("bob", "b", 8.0)
    assert votes.weights(8.0) == {"a": 0.5, "b": 1.0, "c": 0.0}
    votes.cast("ann", "a", 8.0)
    assert votes.weights(8.0)["a"] == 1.0
    assert votes.votes("a") == 1


def test_a_voter_has_one_vote() -> None:
    votes = fading()
    votes.cast("ann", "a", 0.0)
    votes.cast("ann", "b", 1.0)
    assert votes.weights(1.0) == {"a": 0.0, "b": 1.0, "c": 0.0}
    assert (votes.voters, votes.vote_of("ann"), votes.vote_of("bob")) == (1, "b", None)


def test_a_vote_that_has_faded_is_forgotten_and_makes_room() -> None:
    votes = fading(max_voters=1, change=False)
    votes.cast("ann", "a", 0.0)
    life_s = 8.0 * LIFE_HALF_LIVES
    assert reason(votes, "bob", "b", life_s - 1) == "full"
    assert reason(votes, "ann", "b", life_s - 1) == "standing"
    votes.cast("bob", "b", life_s)
    assert votes.vote_of("ann") is None
    assert votes.weights(life_s)["a"] == 0.0


def test_an_option_that_leaves_takes_its_votes_along() -> None:
    votes = fading()
    votes.cast("ann", "a", 0.0)
    votes.cast("bob", "b", 0.0)
    votes.remove("a")
    votes.remove("a")
    assert votes.voters == 1
    assert reason(votes, "ann", "a", 0.0) == "unknown_option"
    votes.cast("ann", "b", 0.0)
    assert votes.weights(0.0) == {"b": 2.0, "c": 0.0}


def test_time_that_does_not_count() -> None:
    votes = fading()
    votes.cast("ann", "a", 0.0)
    votes.shift(100.0)
    assert votes.weights(108.0)["a"] == 0.5


# Each step: seconds that pass (also far beyond the range of a float's exponent, in half-lives), who, what.
steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 7.5, 79.0, 80.0, 4100.0, 10**6]), st.sampled_from("vwxyz"), st.sampled_from(OPTIONS)
    ),
    max_size=60,
)


@given(steps)
def test_kept_sums_are_what_counting_again_gives(acts: list[tuple[float, str, str]]) -> None:
    votes, now_s = fading(now_s=123.0), 123.0
    reference: dict[str, tuple[str, float]] = {}
    for passes_s, voter, option in acts:
        now_s += passes_s
        votes.cast(voter, option, now_s)
        reference[voter] = (option, now_s)
        reference = {who: vote for who, vote in reference.items() if now_s - vote[1] < 80.0}
        for each in OPTIONS:
            expected = sum(2.0 ** ((at - now_s) / 8.0) for what, at in reference.values() if what == each)
            assert votes.weights(now_s)[each] == pytest.approx(expected, rel=1e-9, abs=1e-9)
            assert votes.votes(each) == sum(what == each for what, _ in reference.values())
    assert votes.voters == len(reference)


@given(steps, st.integers(0, 60))
def test_stored_votes_go_on_as_if_nothing_had_been(acts: list[tuple[float, str, str]], at: int) -> None:
    votes, loaded, now_s, shift_s = fading(), fading(), 0.0, 0.0
    for number, (passes_s, voter, option) in enumerate(acts):
        if number == at:
            stored = json.loads(json.dumps(loaded.dump(now_s).model_dump(mode="json")))
            shift_s = -now_s + 512.0
            state = FadingState.model_validate(stored)
            loaded = FadingVotes.load(state, OPTIONS, 8.0, max_voters=100, change=True, now_s=now_s + shift_s)
        now_s += passes_s
        votes.cast(voter, option, now_s)
        loaded.cast(voter, option, now_s + shift_s)
        assert loaded.weights(now_s + shift_s) == votes.weights(now_s)


def test_a_stored_vote_for_nothing_is_refused() -> None:
    votes = fading()
    votes.cast("ann", "a", 0.0)
    with pytest.raises(AudienceStateError, match="start without"):
        FadingVotes.load(votes.dump(0.0), ("b", "c"), 8.0, max_voters=9, change=True, now_s=0.0)
