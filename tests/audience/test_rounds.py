from typing import Any

import pytest

from streamgen.audience.effects import AudienceStateError, Chosen, RefusedError
from streamgen.audience.proposals import Proposals
from streamgen.audience.rounds import Rounds
from streamgen.audience.settings import AudienceSettings

FIXED: dict[str, Any] = {"options": ["rain", "snow", "hail"], "vote_s": 10, "result_s": 5}
CASCADE: dict[str, Any] = {
    "mode": "cascade",
    "vote_s": 10,
    "result_s": 0,
    "stages": [
        {"name": "subject", "options": ["a fox", "an owl"]},
        {"name": "style", "options": ["ink", "oil"]},
    ],
    "template": "{subject} in {style}",
}


class Vote:
    """Rounds that have been started at 0, with short calls."""

    def __init__(self, **settings: Any) -> None:
        self.settings = AudienceSettings.model_validate(settings)
        self.proposals = Proposals(self.settings)
        self.rounds = Rounds(self.settings, self.proposals)
        self.rounds.start(0.0)

    def propose(self, text: str, now_s: float = 0.0, voter: str = "") -> None:
        self.proposals.propose(voter or text, text, text, now_s, stage="prompt", allowed=True, name=text.title())

    def vote(self, *votes: str, now_s: float) -> None:
        ballot = self.rounds.overlay(now_s).ballot
        assert ballot is not None
        for number, option in enumerate(votes):
            self.rounds.vote(f"v{number}", ballot, option, now_s)

    def tick(self, now_s: float) -> Chosen | None:
        chosen = self.rounds.tick(now_s).chosen
        assert len(chosen) <= 1
        return chosen[0] if chosen else None


def reason(rounds: Rounds, ballot: str, now_s: float, option: str = "o1") -> str:
    with pytest.raises(RefusedError) as caught:
        rounds.vote("late", ballot, option, now_s)
    return caught.value.reason


def test_a_round_of_proposals() -> None:
    vote = Vote(collect_s=60, vote_s=30, result_s=5, max_options=2)
    vote.propose("rain")
    vote.propose("snow")
    vote.propose("hail")
    vote.propose("hail", voter="another")
    assert vote.rounds.phase == "collect"
    assert [each.text for each in vote.rounds.overlay(1.0).options] == ["hail", "rain"]
    assert vote.rounds.due_s == 60.0
    assert vote.tick(60.0) is None
    overlay = vote.rounds.overlay(60.0)
    assert (overlay.phase, overlay.ballot, overlay.proposals, overlay.seconds_left) == ("vote", "1.prompt", 1, 30.0)
    vote.vote("p1", "p1", "p3", now_s=61.0)
    assert vote.tick(90.0) == Chosen((("rain", 1.0),), "1", 3, ("Rain",))
    overlay = vote.rounds.overlay(91.0)
    assert (overlay.phase, overlay.winners, overlay.decided_by, overlay.ballot) == ("result", ("p1",), "votes", None)
    assert [each.votes for each in overlay.options] == [1, 2]
    rain, hail = vote.proposals.find("p1"), vote.proposals.find("p3")
    assert rain is not None
    assert hail is not None
    assert (rain.status, hail.status, hail.listed) == ("chosen", "open", False)
    vote.rounds.tick(95.0)
    assert (vote.rounds.phase, vote.rounds.overlay(95.0).round_id) == ("collect", "2")


def test_without_proposals_collecting_goes_on() -> None:
    vote = Vote(collect_s=60)
    vote.tick(60.0)
    assert (vote.rounds.phase, vote.rounds.due_s) == ("collect", 120.0)
    assert vote.rounds.overlay(60.0).round_id == "1"


def test_losers_can_be_given_up() -> None:
    vote = Vote(collect_s=10, vote_s=10, losers_return=False)
    vote.propose("rain")
    vote.propose("snow")
    vote.tick(10.0)
    vote.vote("p2", now_s=11.0)
    answers = vote.rounds.tick(20.0).answers
    assert [(each.to, each.status) for each in answers] == [("rain", "expired"), ("snow", "chosen")]


def test_a_vote_at_the_end_or_for_an_earlier_ballot_is_late() -> None:
    vote = Vote(**FIXED)
    vote.vote("o2", now_s=9.999)
    vote.tick(10.0)
    assert reason(vote.rounds, "1.prompt", 10.0) == "closed"
    vote.tick(15.0)
    assert vote.rounds.overlay(15.0).ballot == "2.prompt"
    assert reason(vote.rounds, "1.prompt", 15.0) == "closed"
    assert vote.rounds.overlay(15.0).voters == 0


def test_a_server_that_slept_does_not_run_through_what_it_missed() -> None:
    vote = Vote(**FIXED)
    vote.vote("o2", now_s=1.0)
    assert vote.tick(1000.0) is not None
    assert (vote.rounds.phase, vote.rounds.due_s) == ("result", 1005.0)


def test_ties_and_no_votes_by_the_rules() -> None:
    tie = ("o2", "o1", "o3", "o1", "o2")  # o1 has two first

    def result(*votes: str, **settings: Any) -> tuple[str, ...]:
        vote = Vote(**FIXED, **settings)
        if votes:
            vote.vote(*votes, now_s=1.0)
        chosen = vote.tick(10.0)
        return () if chosen is None else tuple(text for text, _ in chosen.prompts)

    assert result(*tie) == ("rain",)
    assert result(*tie, tie="keep") == ()
    assert result(*tie, tie="blend") == ("rain", "snow")
    assert result(*tie, tie="blend", blend_size=1) == ("rain",)
    assert {result(*tie, tie="random", seed=seed) for seed in range(20)} == {("rain",), ("snow",)}
    assert result() == ()
    assert result(no_vote="next_proposal") == ("rain",)
    assert result("o2", "o2", quorum=3, no_vote="next_proposal") == ("rain",)
    assert result("o2", "o2", quorum=3) == ()


def test_the_operator_pauses_extends_and_skips() -> None:
    vote = Vote(**FIXED)
    vote.vote("o2", now_s=4.0)
    vote.rounds.pause(4.0)
    assert reason(vote.rounds, "1.prompt", 5.0) == "paused"
    assert vote.tick(500.0) is None
    vote.rounds.extend(2.0, 500.0)
    vote.rounds.resume(500.0)
    assert vote.rounds.due_s == 508.0
    vote.vote("o2", "o3", now_s=507.9)
    effects = vote.rounds.skip(507.95)
    assert [each.prompts for each in effects.chosen] == [(("snow", 1.0),)]
    vote.rounds.skip(508.0)
    assert vote.rounds.overlay(508.0).ballot == "2.prompt"


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 86_400.0])
def test_a_phase_cannot_be_extended_by_nonsense(seconds: float) -> None:
    with pytest.raises(RefusedError, match="give seconds"):
        Vote(**FIXED).rounds.extend(seconds, 1.0)


def test_stopping_gives_proposals_back_and_start_begins_anew() -> None:
    vote = Vote(collect_s=10, vote_s=10)
    vote.propose("rain")
    vote.tick(10.0)
    vote.rounds.stop(11.0)
    assert (vote.rounds.phase, vote.rounds.due_s) == ("idle", None)
    assert [each.id for each in vote.proposals.waiting("prompt")] == ["p1"]
    assert reason(vote.rounds, "1.prompt", 11.0) == "closed"
    for act in (vote.rounds.pause, vote.rounds.resume, vote.rounds.skip):
        with pytest.raises(RefusedError, match="start one first"):
            act(12.0)
    vote.rounds.start(20.0)
    vote.rounds.start(25.0)
    assert vote.rounds.due_s == 30.0
    assert vote.rounds.overlay(20.0).round_id == "2"


def test_one_round_only() -> None:
    vote = Vote(**FIXED, repeat=False)
    vote.tick(10.0)
    vote.tick(15.0)
    assert vote.rounds.phase == "idle"


def test_an_option_that_was_struck_cannot_win() -> None:
    vote = Vote(**FIXED)
    vote.vote("o2", "o2", "o3", now_s=1.0)
    vote.rounds.strike("o2", 2.0)
    with pytest.raises(RefusedError, match="no option"):
        vote.rounds.strike("o2", 2.0)
    chosen = vote.tick(10.0)
    assert chosen is not None
    assert chosen.prompts == (("hail", 1.0),)
    assert chosen.votes == 1


def test_a_cascade_joins_the_winners_of_its_stages() -> None:
    vote = Vote(**CASCADE)
    overlay = vote.rounds.overlay(0.0)
    assert (overlay.stage, overlay.stages, overlay.ballot) == ("subject", ("subject", "style"), "1.subject")
    vote.vote("o2", "o2", now_s=1.0)
    assert vote.tick(10.0) is None
    assert vote.rounds.overlay(10.0).stage == "style"
    vote.vote("o1", now_s=11.0)
    assert vote.tick(20.0) == Chosen((("an owl in ink", 1.0),), "1", 3)
    # The next round: nobody votes for the subject, so it keeps the owl.
    vote.tick(30.0)
    vote.vote("o2", now_s=31.0)
    assert vote.tick(40.0) == Chosen((("an owl in oil", 1.0),), "2", 1)
    # Nobody votes at all: what plays stays.
    vote.tick(50.0)
    assert vote.tick(60.0) is None
    assert vote.rounds.overlay(60.0).round_id == "4"


def test_a_stage_without_votes_in_the_first_round_takes_its_first_option() -> None:
    vote = Vote(**CASCADE)
    vote.tick(10.0)
    vote.vote("o2", now_s=11.0)
    assert vote.tick(20.0) == Chosen((("a fox in oil", 1.0),), "1", 1)


def test_ties_in_a_cascade_blend_every_combination_within_the_limit() -> None:
    for size, expected in ((4, 4), (3, 2), (1, 1)):
        vote = Vote(**CASCADE, tie="blend", blend_size=size)
        vote.vote("o1", "o2", now_s=1.0)
        vote.tick(10.0)
        vote.vote("o1", "o2", now_s=11.0)
        chosen = vote.tick(20.0)
        assert chosen is not None
        assert [weight for _, weight in chosen.prompts] == [1 / expected] * expected
        assert len({text for text, _ in chosen.prompts}) == expected


def test_a_stored_round_that_does_not_add_up_is_refused() -> None:
    vote = Vote(**FIXED)
    stored = vote.rounds.dump(1.0)
    for wrong in ({"ballot": None}, {"stage": 7}, {"left_s": None}, {"phase": "collect"}, {"picks": ({"x": 1},)}):
        with pytest.raises(AudienceStateError, match="add up"):
            Rounds.load(vote.settings, vote.proposals, stored.model_copy(update=wrong), 0.0)
