"""A vote sent again counts once, and memory is bounded."""

import pytest

from streamgen.audience.effects import RefusedError
from streamgen.audience.vote_ids import IDS_OF_ONE, VoteIds


def test_the_same_vote_is_known_and_another_one_of_its_id_is_refused() -> None:
    ids = VoteIds(10)
    assert not ids.known("ann", "1", "b", "x")
    ids.keep("ann", "1", "b", "x")
    assert ids.known("ann", "1", "b", "x")
    assert not ids.known("bob", "1", "b", "y")
    for ballot, option in (("b", "y"), (None, "x"), ("c", "x")):
        with pytest.raises(RefusedError) as caught:
            ids.known("ann", "1", ballot, option)
        assert caught.value.reason == "id_reused"


def test_the_oldest_vote_of_one_and_the_one_who_voted_longest_ago_are_forgotten() -> None:
    ids = VoteIds(2)
    for number in range(IDS_OF_ONE + 1):
        ids.keep("ann", str(number), "b", "x")
    assert [ids.known("ann", str(number), "b", "x") for number in range(IDS_OF_ONE + 1)] == [False] + [
        True
    ] * IDS_OF_ONE
    ids.keep("bob", "1", "b", "x")
    ids.keep("ann", "9", "b", "y")
    ids.keep("eve", "1", "b", "x")
    assert len(ids) == 2
    assert not ids.known("bob", "1", "b", "x")
    assert ids.known("ann", "9", "b", "y")


def test_what_is_stored_goes_on() -> None:
    ids, again = VoteIds(10), VoteIds(1)
    ids.keep("ann", "1", "b", "x")
    ids.keep("bob", "1", None, "y")
    again.load(ids.dump())
    assert again.dump() == {"bob": (("1", None, "y"),)}
