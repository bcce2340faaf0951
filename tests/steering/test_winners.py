"""Who is told what becomes of a prompt that the audience chose."""

from streamgen.protocol import Accepted, Applied, Queued
from streamgen.steering.winners import MAX_PROMPTS, Winners


def test_everybody_whose_proposal_is_in_it_is_told_in_words_about_their_own() -> None:
    winners = Winners()
    winners.won("ann", "1", "4")
    winners.won("bob", "x", "4")
    winners.play("vote-4")
    assert winners.waiting == ()
    assert winners.said(Queued(id="vote-4", eta_ms=5)) == [
        ("ann", Queued(id="1", eta_ms=5)),
        ("bob", Queued(id="x", eta_ms=5)),
    ]
    assert winners.said(Accepted(id="vote-4")) == ()
    assert winners.said(Queued(id="a", eta_ms=5)) == ()
    assert winners.again("bob", "x") == Queued(id="x", eta_ms=5)
    assert winners.again("eve", "x") is None


def test_what_won_a_round_that_is_over_is_lost() -> None:
    winners = Winners()
    winners.won("ann", "1", "4")
    assert winners.broken_off("4") == ()
    assert winners.broken_off("5") == (("ann", "1"),)
    winners.won("ann", "2", "5")
    assert winners.broken_off(None) == (("ann", "2"),)
    assert winners.waiting == ()


def test_the_oldest_prompt_is_forgotten() -> None:
    winners = Winners()
    for number in range(MAX_PROMPTS + 1):
        winners.won("ann", str(number), "1")
        winners.play(f"vote-{number}")
        winners.said(Applied(id=f"vote-{number}", chunk=1, media_time=1.0))
    assert winners.said(Queued(id="vote-0", eta_ms=5)) == ()
    assert winners.again("ann", "0") is None
    assert winners.again("ann", "1") == Applied(id="1", chunk=1, media_time=1.0)
