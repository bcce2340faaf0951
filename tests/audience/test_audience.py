import dataclasses
import json
from typing import Any

import pytest

from streamgen.audience.audience import MAX_COMMANDS, MAX_IDENTITY_CHARS, Audience
from streamgen.audience.effects import Answer, AudienceStateError, Effects
from streamgen.audience.settings import AudienceSettings


def audience(**settings: Any) -> Audience:
    made = Audience(AudienceSettings.model_validate({"collect_s": 10, "vote_s": 10, "result_s": 5, **settings}))
    made.start("op", "start", 0.0)
    return made


def answer(effects: Effects) -> tuple[str, str | None]:
    """What the one who asked was told."""
    first = effects.answers[-1]
    return first.status, first.reason


FIXED: dict[str, Any] = {"options": ["rain", "snow"]}
CASCADE: dict[str, Any] = {
    "mode": "cascade",
    "stages": [{"name": "subject"}, {"name": "setting", "options": ["a wood", "the sea"]}, {"name": "style"}],
}


def test_a_whole_round() -> None:
    crowd = audience()
    crowd.propose("ann", "1", "rain", "allow", 1.0, name="Ann")
    crowd.propose("bob", "1", "snow", "hold", 1.0)
    assert crowd.approve("op", "2", "p2", 2.0).answers == (
        Answer("op", "2", "done"),
        Answer("bob", "1", "open", proposal="p2"),
    )
    crowd.tick(10.0)
    assert crowd.vote("ann", "2", "1.prompt", "p1", 11.0).answers == (Answer("ann", "2", "counted"),)
    effects = crowd.tick(20.0)
    assert [(each.prompts, each.credits) for each in effects.chosen] == [((("rain", 1.0),), ("Ann",))]
    assert effects.answers == (Answer("ann", "1", "chosen", proposal="p1"),)
    assert crowd.outcomes == {"chosen": 1}


def test_a_late_vote_is_refused_even_when_nobody_ticked_and_what_it_sets_off_is_not_lost() -> None:
    crowd = audience(**FIXED)
    crowd.vote("ann", "1", "1.prompt", "o1", 9.999)
    effects = crowd.vote("bob", "1", "1.prompt", "o2", 10.0)
    assert [each.prompts for each in effects.chosen] == [(("rain", 1.0),)]
    assert answer(effects) == ("refused", "closed")
    assert crowd.refusals == {"closed": 1}
    assert crowd.votes == 1


def test_what_expired_before_the_collecting_ended_is_not_voted_on() -> None:
    crowd = audience(expire_s=8)
    crowd.propose("ann", "1", "rain", "allow", 1.0)
    crowd.propose("bob", "1", "snow", "allow", 5.0)
    effects = crowd.tick(14.0)  # late: rain expired at 9, collecting ended at 10, snow would have expired at 13
    assert [(each.to, each.status) for each in effects.answers] == [("ann", "expired")]
    assert [each.id for each in crowd.overlay(14.0).options] == ["p2"]


def test_rejecting_what_is_voted_on_voids_its_votes() -> None:
    crowd = audience(change_votes=False)
    crowd.propose("ann", "1", "rain", "allow", 1.0)
    crowd.propose("bob", "1", "snow", "allow", 1.0)
    crowd.tick(10.0)
    crowd.vote("ann", "2", "1.prompt", "p1", 11.0)
    effects = crowd.reject("op", "2", "p1", "not today", 12.0)
    assert Answer("ann", "1", "rejected", message="not today", proposal="p1") in effects.answers
    assert [each.id for each in crowd.overlay(12.0).options] == ["p2"]
    assert crowd.overlay(12.0).voters == 0
    assert answer(crowd.vote("ann", "3", "1.prompt", "p2", 13.0)) == ("counted", None)
    assert answer(crowd.strike("op", "3", "p2", "neither", 14.0)) == ("rejected", None)
    assert crowd.tick(20.0).chosen == ()


def test_a_fixed_option_can_be_struck_too() -> None:
    crowd = audience(**FIXED)
    assert answer(crowd.strike("op", "1", "o1", "", 1.0)) == ("done", None)
    assert answer(crowd.strike("op", "2", "o1", "", 1.0)) == ("refused", "unknown_option")


def test_an_operators_command_sent_again_acts_once() -> None:
    crowd = audience(**FIXED)
    crowd.skip("op", "7", 1.0)
    assert crowd.overlay(1.0).phase == "result"
    assert crowd.skip("op", "7", 2.0).answers == (Answer("op", "7", "done"),)
    assert crowd.overlay(2.0).phase == "result"
    assert answer(crowd.stop("op", "7", 2.0)) == ("refused", "id_reused")
    # One that was refused is not remembered: it may be possible later.
    crowd.stop("op", "8", 2.0)
    assert answer(crowd.pause("op", "9", 2.0)) == ("refused", "stopped")
    crowd.start("op", "10", 2.0)
    assert answer(crowd.pause("op", "9", 2.0)) == ("done", None)


def test_commands_are_remembered_up_to_a_number() -> None:
    crowd = audience(**FIXED)
    for number in range(MAX_COMMANDS + 1):
        crowd.extend("op", str(number), 1.0, 0.0)
    assert len(crowd.dump(0.0)["commands"]) == MAX_COMMANDS


def test_a_proposal_goes_to_the_stage_that_takes_it() -> None:
    crowd = audience(**CASCADE)
    crowd.propose("ann", "1", "a fox", "allow", 1.0)
    crowd.propose("ann", "2", "ink", "allow", 1.0, stage="style")
    assert [each.stage for each in crowd.queue()] == ["subject", "style"]
    assert answer(crowd.propose("bob", "1", "a lake", "allow", 1.0, stage="setting")) == ("refused", "unknown_stage")
    crowd.skip("op", "1", 2.0)
    crowd.skip("op", "2", 2.0)
    crowd.skip("op", "3", 2.0)
    assert crowd.overlay(2.0).stage == "setting"
    # Now none of the stages that take proposals runs, so the voter has to say which.
    told = crowd.propose("bob", "2", "oil", "allow", 3.0)
    assert "subject, style" in told.answers[-1].message
    crowd.propose("bob", "2", "oil", "allow", 3.0, stage="style")
    for number in ("4", "5", "6"):
        crowd.skip("op", number, 4.0)
    assert crowd.overlay(4.0).stage == "style"
    crowd.vote("bob", "3", "1.style", "p3", 5.0)
    assert crowd.tick(14.0).chosen[0].prompts == (("a fox, a wood, oil", 1.0),)


def test_nothing_can_be_proposed_where_all_options_are_fixed() -> None:
    assert answer(audience(**FIXED).propose("ann", "1", "hail", "allow", 1.0)) == ("refused", "unknown_stage")


def test_a_refused_text_and_its_reason() -> None:
    effects = audience().propose("ann", "1", "worse", "refuse", 1.0, reason="no names here")
    assert effects.answers == (Answer("ann", "1", "rejected", message="no names here", proposal="p1"),)


def test_withdrawing_and_editing() -> None:
    crowd = audience()
    crowd.propose("ann", "1", "rian", "hold", 1.0)
    assert answer(crowd.edit("op", "1", "p1", "rain", 1.0)) == ("held", None)
    assert crowd.queue()[0].text == "rain"
    assert answer(crowd.withdraw("ann", "1", 2.0)) == ("withdrawn", None)
    assert crowd.queue() == ()


def test_identities_are_bounded() -> None:
    crowd = audience(**FIXED)
    for voter, id in (("", "1"), ("v" * (MAX_IDENTITY_CHARS + 1), "1"), ("ann", ""), ("ann", "1" * 65)):
        with pytest.raises(ValueError, match="characters"):
            crowd.vote(voter, id, "1.prompt", "o1", 1.0)


def test_the_overlay_is_published_at_once_and_then_at_its_rate() -> None:
    crowd = Audience(AudienceSettings(options=("rain", "snow"), overlay_hz=4.0))
    assert crowd.due_s is None
    first = crowd.start("op", "1", 0.0).overlay
    assert first is not None
    assert crowd.vote("ann", "1", "1.prompt", "o1", 0.1).overlay is None
    assert crowd.vote("bob", "1", "1.prompt", "o1", 0.2).overlay is None
    assert crowd.due_s == 0.25
    second = crowd.tick(0.25).overlay
    assert second is not None
    assert (second.revision, second.voters) == (first.revision + 1, 2)
    assert crowd.coalesced == 1
    # A vote that stood already is no news.
    assert crowd.vote("bob", "2", "1.prompt", "o1", 5.0).overlay is None
    assert crowd.due_s == 30.0


def test_a_clock_that_steps_back_does_no_harm() -> None:
    crowd = audience(**FIXED)
    crowd.tick(5.0)
    crowd.vote("ann", "1", "1.prompt", "o1", 1.0)
    assert crowd.overlay(0.0).seconds_left == 5.0


def stored() -> tuple[AudienceSettings, dict[str, Any]]:
    crowd = audience()
    crowd.propose("ann", "1", "rain", "allow", 1.0)
    return crowd.settings, json.loads(json.dumps(crowd.dump(4.0)))


def test_a_restart_goes_on_with_the_time_that_was_left() -> None:
    settings, document = stored()
    crowd = Audience.load(settings, document, 1000.0)
    assert crowd.due_s == 1000.0  # a snapshot for those who come back
    assert crowd.tick(1000.0).overlay is not None
    assert crowd.due_s == 1006.0
    assert crowd.overlay(1000.0).options[0].text == "rain"
    assert crowd.start("op", "start", 1001.0).answers == (Answer("op", "start", "done"),)


def test_a_state_that_cannot_be_continued_says_what_to_do() -> None:
    settings, document = stored()
    for wrong in (
        {**document, "version": 2},
        {**document, "rounds": None},
        {**document, "extra": 1},
        {**document, "rounds": {**document["rounds"], "left_s": "soon"}},
        {},
    ):
        with pytest.raises(AudienceStateError, match="start without it"):
            Audience.load(settings, wrong, 0.0)
    with pytest.raises(AudienceStateError, match="another mode or other stages"):
        Audience.load(AudienceSettings.model_validate(CASCADE), document, 0.0)


def test_everything_shown_can_be_sent_as_json() -> None:
    crowd = audience(mode="continuous", options=["rain", "snow"])
    overlay = crowd.overlay(1.0)
    assert json.loads(json.dumps(dataclasses.asdict(overlay)))["options"][0]["text"] == "rain"
