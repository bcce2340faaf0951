import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.audience.blend import differs, select


def blend(weights: dict[str, float], *playing: str, size: int = 3) -> dict[str, float]:
    return select(weights, playing, size=size, min_share=0.15, margin=0.25)


def test_weights_are_shares_of_the_votes_and_the_largest_comes_first() -> None:
    assert blend({"a": 1.0, "b": 3.0, "c": 0.0}) == {"b": 0.75, "a": 0.25}
    assert list(blend({"a": 1.0, "b": 3.0})) == ["b", "a"]


def test_nothing_without_weight() -> None:
    assert blend({"a": 0.0}) == {}
    assert blend({}) == {}


def test_only_so_many_and_none_that_would_hardly_be_seen() -> None:
    assert list(blend({"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.9})) == ["a", "b", "c"]
    assert list(blend({"a": 8.0, "b": 1.0})) == ["a"]
    # Without d the share of c is large enough: the smallest leaves first.
    assert list(blend({"a": 6.5, "b": 2.0, "c": 0.5}, size=3)) == ["a", "b"]


def test_a_newcomer_must_be_ahead_of_what_plays() -> None:
    close = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 2.4}
    assert "d" in blend(close)
    assert "d" not in blend(close, "a", "b", "c")
    assert "d" in blend({**close, "d": 2.6}, "a", "b", "c")


def test_what_plays_keeps_its_place_a_little_below_the_least_share() -> None:
    assert "b" not in blend({"a": 86.0, "b": 14.0})
    assert "b" in blend({"a": 86.0, "b": 14.0}, "b")
    assert "b" not in blend({"a": 90.0, "b": 10.0}, "b")


def test_what_came_beside_it_does_not_push_it_out_at_the_next_weighing() -> None:
    votes = {"a": 150.0, "b": 1127.0}
    first = select(votes, {"a"}, size=4, min_share=0.125, margin=1.0)
    assert list(first) == ["b", "a"]
    assert select(votes, first, size=4, min_share=0.125, margin=1.0) == first


def test_small_changes_are_not_worth_it() -> None:
    assert not differs({"a": 0.5, "b": 0.5}, {"a": 0.52, "b": 0.48}, 0.05)
    assert differs({"a": 0.5, "b": 0.5}, {"a": 0.6, "b": 0.4}, 0.05)
    assert differs({"a": 1.0}, {"a": 0.97, "b": 0.03}, 0.05)
    assert differs({"a": 1.0}, {}, 0.05)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1e6).filter(lambda x: x == 0 or x > 1e-6)),
    st.sets(st.sampled_from("abcdef")),
    st.integers(1, 6),
    st.floats(0, 1),
)
def test_a_blend_is_whole_small_and_steady(
    weights: dict[str, float], playing: set[str], size: int, margin: float
) -> None:
    chosen = select(weights, playing, size=size, min_share=1 / size / 2, margin=margin)
    assert bool(chosen) == any(weights.values())
    assert len(chosen) <= size
    if chosen:
        assert sum(chosen.values()) == pytest.approx(1.0)
        assert min(chosen.values()) >= 1 / size / 2 / (1 + margin) - 1e-9
        # Nothing that was left out is ahead of one that plays by more than the margin.
        rest = [weight for option, weight in weights.items() if option not in chosen]
        if len(chosen) == size:
            assert max(rest, default=0.0) <= min(weights[option] for option in chosen) * (1 + margin) * (1 + 1e-9)
    # The same votes again change nothing.
    assert select(weights, chosen, size=size, min_share=1 / size / 2, margin=margin).keys() == chosen.keys()
