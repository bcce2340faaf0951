import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.integrations.chat_words import MAX_OPTION, WantsToPropose, WantsToVote, Wish, read_wish


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("!propose a fox in the snow", WantsToPropose("a fox in the snow")),
        ("  !PROPOSE   a  fox ", WantsToPropose("a fox")),
        ("!propose", WantsToPropose("")),
        ("!propose 2", WantsToPropose("2")),
        ("!vote 2", WantsToVote(2)),
        ("!Vote #2", WantsToVote(2)),
        ("!vote 02", WantsToVote(2)),
        ("!vote", None),
        ("!vote fox", None),
        ("!vote 0", None),
        ("!vote 100", None),
        ("!vote 1 2", None),
        ("!votes 2", None),
        ("2", WantsToVote(2)),
        ("#2", WantsToVote(2)),
        ("2 \U000e0000", WantsToVote(2)),  # what chat clients add to say the same again
        ("２", WantsToVote(2)),
        ("2!", None),
        ("2 foxes", None),
        ("-2", None),
        ("2.5", None),
        ("0", None),
        ("", None),
        ("a fox", None),
        ("\x01ACTION votes 2\x01", None),
    ],
)
def test_what_somebody_wants_during_a_vote(text: str, wish: Wish | None) -> None:
    assert read_wish(text, voting=True) == wish


def test_a_number_alone_is_a_vote_only_while_there_is_one() -> None:
    assert read_wish("2", voting=False) is None
    assert read_wish("!vote 2", voting=False) == WantsToVote(2)


@given(st.text(max_size=600), st.booleans())
def test_whatever_is_said_is_a_wish_or_none(text: str, voting: bool) -> None:
    wish = read_wish(text, voting=voting)
    if isinstance(wish, WantsToVote):
        assert 1 <= wish.option <= MAX_OPTION
    elif isinstance(wish, WantsToPropose):
        assert len(wish.text) <= len(text)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\u034f\U000e0000\U000e0001"), max_size=200))
def test_the_words_of_a_proposal_are_kept(text: str) -> None:
    assert read_wish(f"!propose {text}", voting=True) == WantsToPropose(" ".join(text.split()))


@given(st.integers(1, MAX_OPTION), st.sampled_from(["{}", "#{}", "!vote {}", " !VOTE  #{} ", "00{}"]))
def test_every_option_can_be_voted_for(option: int, form: str) -> None:
    assert read_wish(form.format(option), voting=True) == WantsToVote(option)
