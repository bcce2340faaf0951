from typing import Any

import pytest

from streamgen.audience.continuous import ROTATION, Continuous
from streamgen.audience.effects import Chosen, RefusedError
from streamgen.audience.proposals import Proposals
from streamgen.audience.settings import AudienceSettings

FIXED: dict[str, Any] = {"options": ["rain", "snow", "hail"]}


class Vote:
    """A vote that has been started at 0 and is weighed every 10 s, with short calls."""

    def __init__(self, **settings: Any) -> None:
        self.settings = AudienceSettings.model_validate(
            {"mode": "continuous", "period_s": 10, "half_life_s": 10, "blend_size": 2, **settings}
        )
        self.proposals = Proposals(self.settings)
        self.continuous = Continuous(self.settings, self.proposals)
        self.continuous.start(0.0)

    def propose(self, text: str, now_s: float = 0.0) -> None:
        self.proposals.propose(text, text, text, now_s, stage="prompt", allowed=True, name=text.title())

    def vote(self, *votes: str, now_s: float, first: int = 0) -> None:
        for number, option in enumerate(votes, first):
            self.continuous.vote(f"v{number}", "1.prompt", option, now_s)

    def tick(self, now_s: float) -> Chosen | None:
        chosen = self.continuous.tick(now_s).chosen
        assert len(chosen) <= 1
        return chosen[0] if chosen else None

    def shown(self, now_s: float) -> list[str]:
        return [each.id for each in self.continuous.overlay(now_s).options]


def test_votes_become_a_blend_every_period() -> None:
    vote = Vote(**FIXED)
    vote.vote("o1", "o2", "o1", "o1", now_s=1.0)
    assert vote.tick(9.9) is None
    assert vote.tick(10.0) == Chosen((("rain", 0.75), ("snow", 0.25)), "1.1", 4)
    overlay = vote.continuous.overlay(10.0)
    assert [(each.votes, each.share, each.playing) for each in overlay.options] == [
        (3, 0.75, 0.75),
        (1, 0.25, 0.25),
        (0, 0.0, 0.0),
    ]
    assert (overlay.ballot, overlay.seconds_left, overlay.voters) == ("1.prompt", 10.0, 4)


def test_the_same_votes_change_nothing_and_fresh_ones_win_in_time() -> None:
    vote = Vote(**FIXED)
    vote.vote("o1", "o1", now_s=1.0)
    assert vote.tick(10.0) == Chosen((("rain", 1.0),), "1.1", 2)
    assert vote.tick(20.0) is None
    vote.vote("o2", "o2", now_s=31.0, first=5)  # eight times as much as those of 30 s ago
    assert vote.tick(41.0) == Chosen((("snow", 1.0),), "1.3", 4)


def test_what_plays_stays_while_nobody_votes() -> None:
    vote = Vote(**FIXED, quorum=2)
    vote.vote("o1", now_s=1.0)
    assert vote.tick(10.0) is None
    vote.vote("o1", "o1", now_s=11.0)
    assert vote.tick(20.0) is not None
    for now_s in range(30, 500, 10):
        assert vote.tick(now_s) is None
    overlay = vote.continuous.overlay(500.0)
    assert overlay.voters == 0
    assert overlay.options[0].playing == 1.0


def test_proposals_come_on_the_ballot_and_are_chosen_when_they_play() -> None:
    vote = Vote()
    vote.propose("rain")
    assert vote.shown(0.0) == []
    vote.tick(10.0)
    assert vote.shown(10.0) == ["p1"]
    vote.vote("p1", now_s=11.0)
    effects = vote.continuous.tick(20.0)
    assert effects.chosen == (Chosen((("rain", 1.0),), "1.2", 1, ("Rain",)),)
    assert [(each.to, each.status) for each in effects.answers] == [("rain", "chosen")]
    # It stays an option while it plays, also when its votes have faded, and leaves when it neither plays nor has any.
    vote.propose("snow", 20.0)
    vote.tick(30.0)
    assert vote.shown(30.0) == ["p1", "p2"]
    vote.tick(200.0)
    vote.vote("p2", now_s=201.0)
    assert vote.tick(210.0) == Chosen((("snow", 1.0),), "1.5", 1, ("Snow",))
    assert vote.shown(210.0) == ["p2"]


def test_an_option_that_nobody_wants_makes_room_for_those_who_wait() -> None:
    vote = Vote(max_options=2)
    for text in ("rain", "snow", "hail"):
        vote.propose(text)
    vote.tick(10.0)
    vote.vote("p1", now_s=11.0)
    for number in range(2, ROTATION + 1):
        vote.tick(10.0 * number)
        assert vote.shown(10.0 * number) == ["p1", "p2"]
        vote.vote("p1", now_s=10.0 * number)
    vote.tick(10.0 * (ROTATION + 1))
    assert vote.shown(0.0) == ["p1", "p3"]
    snow = vote.proposals.find("p2")
    assert snow is not None
    assert (snow.status, snow.listed) == ("open", False)


def test_an_option_without_votes_expires() -> None:
    vote = Vote(expire_s=30)
    vote.propose("rain")
    vote.tick(10.0)
    effects = vote.continuous.tick(30.0)
    assert [each.status for each in effects.answers] == ["expired"]
    assert vote.shown(30.0) == []


def test_a_struck_option_leaves_the_blend_at_once() -> None:
    vote = Vote(**FIXED)
    vote.vote("o1", "o2", now_s=1.0)
    vote.tick(10.0)
    effects = vote.continuous.strike("o1", 12.0)
    assert [each.prompts for each in effects.chosen] == [(("snow", 1.0),)]
    assert vote.shown(12.0) == ["o2", "o3"]
    assert vote.continuous.overlay(12.0).voters == 1
    assert vote.continuous.strike("o2", 13.0).chosen == ()
    with pytest.raises(RefusedError, match="no option"):
        vote.continuous.strike("o2", 13.0)


def test_in_a_pause_nothing_fades() -> None:
    vote = Vote(**FIXED)
    vote.vote("o1", now_s=0.0)
    vote.continuous.pause(5.0)
    vote.continuous.pause(7.0)
    with pytest.raises(RefusedError, match="paused"):
        vote.vote("o2", now_s=50.0)
    assert vote.tick(100.0) is None
    vote.continuous.resume(105.0)
    assert vote.continuous.due_s == 110.0
    vote.vote("o2", now_s=105.0, first=1)  # the vote for o1 is 5 s old
    shares = [each.share for each in vote.continuous.overlay(105.0).options]
    assert shares == [round(2**-0.5 / (1 + 2**-0.5), 3), round(1 / (1 + 2**-0.5), 3), 0.0]


def test_the_operator_weighs_now_or_later_or_stops() -> None:
    vote = Vote(**FIXED)
    vote.vote("o1", now_s=1.0)
    assert vote.continuous.skip(2.0).chosen[0].prompts == (("rain", 1.0),)
    assert vote.continuous.due_s == 12.0
    vote.continuous.extend(5.0, 3.0)
    assert vote.continuous.due_s == 17.0
    with pytest.raises(RefusedError, match="give seconds"):
        vote.continuous.extend(float("nan"), 3.0)
    vote.continuous.stop(4.0)
    assert vote.continuous.due_s is None
    assert vote.continuous.overlay(4.0).phase == "idle"
    with pytest.raises(RefusedError, match="over"):
        vote.vote("o1", now_s=5.0)
    with pytest.raises(RefusedError, match="start one"):
        vote.continuous.skip(5.0)
    vote.continuous.start(6.0)
    with pytest.raises(RefusedError, match="over"):
        vote.vote("o1", now_s=7.0)  # that ballot was the first start's
