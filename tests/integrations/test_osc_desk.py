from typing import Any

import pytest

from streamgen.integrations.osc_datagram import OscCall, OscValue
from streamgen.integrations.osc_desk import MAX_DECISIONS, OscDesk, OscRefusedError
from streamgen.protocol import (
    Approve,
    AudienceControl,
    ConfigUpdate,
    Panic,
    Pending,
    PromptSet,
    Reject,
    RequestMessage,
    State,
)

ROOT = "/streamgen/main/"


def state(**changes: Any) -> State:
    given = {"revision": 1, "channel": "main", "status": "live", "prompt": "sea", **changes}
    return State.model_validate(given)


def desk() -> OscDesk:
    made = OscDesk("main")
    made.follow(state(choices={"camera": ("still", "left")}))
    return made


def call(on: OscDesk, name: str, *values: OscValue) -> str | None:
    return on.take(OscCall(ROOT + name, values))


def due(on: OscDesk, now_s: float = 0.0) -> list[RequestMessage]:
    asked, _ = on.due(now_s, lambda message, now_s: None)
    return [message for _, message in asked]


def only_prompt(on: OscDesk, now_s: float = 0.0) -> PromptSet:
    (message,) = due(on, now_s)
    assert isinstance(message, PromptSet)
    return message


def test_a_prompt() -> None:
    on = desk()
    call(on, "prompt", "  a  fox ")
    message = only_prompt(on)
    assert (message.text, message.cut, message.target, message.transition_ms) == ("a fox", False, "av", 0)
    assert due(on) == []


def test_a_cut_has_no_way_and_is_for_one_prompt() -> None:
    on = desk()
    call(on, "transition", 2.5)
    call(on, "target", "video")
    call(on, "prompt/cut", "a fox")
    first = only_prompt(on)
    assert (first.cut, first.transition_ms, first.target) == (True, 0, "video")
    call(on, "prompt", "rain")
    second = only_prompt(on)
    assert (second.cut, second.transition_ms) == (False, 2500)


def test_a_blend_is_what_its_faders_say() -> None:
    on = desk()
    call(on, "blend/1/text", "rain")
    call(on, "blend/2/text", "snow")
    assert due(on) == [], "all weights are 0 as yet"
    call(on, "blend/1/weight", 0.75)
    call(on, "blend/2/weight", 1)
    call(on, "blend/3/weight", 1.0)
    assert [(part.text, part.weight) for part in only_prompt(on).blend] == [("rain", 0.75), ("snow", 1.0)]
    call(on, "blend/2/weight", 0.0)
    assert [part.text for part in only_prompt(on, 1.0).blend] == ["rain"]


def test_a_blend_laid_out_beside_a_prompt_waits_for_its_first_weight() -> None:
    on = desk()
    call(on, "prompt", "sea")
    call(on, "blend/1/text", "rain")
    assert only_prompt(on).text == "sea"
    call(on, "blend/1/weight", 0.1)
    assert only_prompt(on, 1.0).text is None


def test_sixty_values_a_second_come_to_ten_requests_and_the_last_one_counts() -> None:
    on = desk()
    call(on, "blend/1/text", "rain")
    call(on, "blend/2/text", "snow")
    sent: list[PromptSet] = []
    for index in range(600):
        call(on, "blend/1/weight", 1.0)
        call(on, "blend/2/weight", (index + 1) / 600)
        sent += [message for message in due(on, index / 60) if isinstance(message, PromptSet)]
    _, wait_s = on.due(10.0, lambda message, now_s: 0.05)
    assert wait_s is not None
    sent += [message for message in due(on, 10.2) if isinstance(message, PromptSet)]
    assert 95 <= len(sent) <= 104
    assert sent[-1].blend[1].weight == 1.0
    assert on.coalesced >= 1000


def test_panic_is_not_in_the_way_of_faders() -> None:
    on = desk()
    for index in range(100):
        call(on, "prompt", f"text {index}")
        due(on, 0.0)
    call(on, "panic/black")
    assert [message.type for message in due(on, 0.0)] == ["panic"]


def test_off_takes_earlier_panics_away_and_each_waits_once() -> None:
    on = desk()
    for name in ("hold", "mute", "hold"):
        call(on, f"panic/{name}", 1.0)
    assert [message.action for message in due(on) if isinstance(message, Panic)] == ["mute", "hold"]
    for name in ("hold", "mute", "off"):
        call(on, f"panic/{name}")
    assert [message.action for message in due(on) if isinstance(message, Panic)] == ["off"]


def test_a_button_that_is_let_go_does_nothing() -> None:
    on = desk()
    for nothing in (0, 0.0, False):
        call(on, "panic/black", nothing)
    assert due(on) == []
    for something in (1, 1.0, True):
        call(on, "panic/black", something)
        assert len(due(on, 10.0)) == 1


def test_settings_coalesce_into_one_request() -> None:
    on = desk()
    call(on, "config/guidance", 1.0)
    call(on, "config/guidance", 2.5)
    call(on, "config/seed", 7.0)
    (message,) = due(on)
    assert isinstance(message, ConfigUpdate)
    assert (message.guidance, message.seed) == (2.5, 7)
    assert on.coalesced == 1
    assert due(on, 1.0) == []


def test_knobs_go_with_prompts_and_turn_ones_own_at_once() -> None:
    on = desk()
    call(on, "knob/camera", "left")
    assert due(on) == [], "what plays is not from here"
    call(on, "prompt", "a fox")
    message = only_prompt(on)
    assert message.knobs == {"camera": "left"}
    on.follow(state(choices={"camera": ("still", "left")}, prompt_id=message.id))
    call(on, "knob/camera", 0)
    assert only_prompt(on, 1.0).knobs == {"camera": "still"}
    call(on, "knob/camera", "")
    assert only_prompt(on, 2.0).knobs == {}


def test_a_knob_does_not_bring_an_old_prompt_back() -> None:
    on = desk()
    call(on, "prompt", "a fox")
    message = only_prompt(on)
    pending = (Pending(id=message.id, text="a fox", stage="queued"),)
    on.follow(state(choices={"camera": ("still", "left")}, pending=pending))
    call(on, "knob/camera", "left")
    assert only_prompt(on, 1.0).text == "a fox"
    on.follow(state(choices={"camera": ("still", "left")}, prompt_id="of somebody else"))
    call(on, "knob/camera", "still")
    assert due(on, 2.0) == []


def test_another_model_has_other_knobs() -> None:
    on = desk()
    call(on, "knob/camera", "left")
    on.follow(state(choices={"mood": ("calm", "tense")}))
    with pytest.raises(OscRefusedError, match="no such address"):
        call(on, "knob/camera", "left")
    call(on, "knob/mood", "tense")
    call(on, "prompt", "a fox")
    assert only_prompt(on).knobs == {"mood": "tense"}


def test_decisions_and_what_leads_the_vote() -> None:
    on = desk()
    call(on, "approve", "a81c")
    call(on, "reject", "b7")
    call(on, "audience/start")
    call(on, "audience/extend", 30)
    first, second, third, fourth = due(on)
    assert isinstance(first, Approve)
    assert isinstance(second, Reject)
    assert (first.target, second.target) == ("a81c", "b7")
    assert isinstance(third, AudienceControl)
    assert isinstance(fourth, AudienceControl)
    assert (third.action, third.seconds, fourth.action, fourth.seconds) == ("start", None, "extend", 30.0)


def test_the_programme_stands_still_goes_on_and_forgets() -> None:
    on = desk()
    call(on, "pause")
    assert [each.type for each in due(on)] == ["pause"]
    call(on, "pause")
    call(on, "play")  # of the two the latest counts
    call(on, "reset")
    assert [each.type for each in due(on)] == ["play", "reset"]


def test_only_so_many_decisions_wait() -> None:
    on = desk()
    for index in range(MAX_DECISIONS):
        call(on, "approve", f"id {index}")
    with pytest.raises(OscRefusedError, match="wait already"):
        call(on, "approve", "one more")
    call(on, "reject", "id 3")  # another word about the same one takes its place
    assert len(due(on)) == MAX_DECISIONS


def test_what_the_channel_does_not_take_yet_waits_and_the_newest_is_sent() -> None:
    on = desk()
    call(on, "prompt", "a fox")
    asked, wait_s = on.due(0.0, lambda message, now_s: 0.4)
    assert (asked, wait_s) == ([], 0.4)
    call(on, "prompt", "a bear")
    assert only_prompt(on, 0.4).text == "a bear"


def test_the_shell_is_told_what_is_for_it() -> None:
    on = desk()
    assert on.take(OscCall("/streamgen/map")) == "map"
    assert call(on, "report") == "report"
    assert due(on) == []


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("nothing", (), "no such address"),
        ("applied", ("out only",), "no such address"),
        ("prompt", (), "one argument"),
        ("prompt", ("a", "b"), "one argument"),
        ("prompt", (3,), "a text"),
        ("prompt", ("  ",), "empty"),
        ("prompt", ("x" * 501,), "501 characters"),
        ("target", ("smell",), "one of av, video, audio"),
        ("target", (7,), "from 0 to 2"),
        ("transition", (-1.0,), "from 0 to 120"),
        ("transition", ("slow",), "a number"),
        ("transition", (None,), "a number"),
        ("blend/1/weight", (1001.0,), "from 0 to 1000"),
        ("blend/9/weight", (1.0,), "no such address"),
        ("config/guidance", (11.0,), "from 0 to 10"),
        ("config/seed", (0.5,), "a whole number"),
        ("knob/camera", ("up",), "one of still, left"),
        ("knob/camera", (2,), "from 0 to 1"),
        ("panic/hold", ("now",), "without an argument"),
        ("panic/run", (), "no such address"),
        ("approve", ("",), "the id"),
        ("approve", ("a\nb",), "the id"),
        ("audience/extend", (0.0,), "from 1 to"),
    ],
)
def test_what_has_no_effect_says_why(name: str, values: tuple[OscValue, ...], why: str) -> None:
    on = desk()
    with pytest.raises(OscRefusedError, match=why):
        call(on, name, *values)
    assert due(on) == []


def test_the_past_is_asked_about_where_the_model_can_read_it_again() -> None:
    on = desk()
    with pytest.raises(OscRefusedError, match="no such address"):
        call(on, "past", "recache")
    on.follow(state(recaches=True))
    asked: tuple[tuple[OscValue, bool | None], ...] = (("recache", True), ("keep", False), ("usual", None), (2, True))
    for now_s, (past, recache) in enumerate(asked):
        call(on, "past", past)
        call(on, "prompt", "a fox")
        assert only_prompt(on, float(now_s)).recache is recache
    # A cut drops the past, a prompt for the sound alone leaves it, and both go without.
    call(on, "prompt/cut", "a hen")
    message = only_prompt(on, 4.0)
    assert (message.cut, message.recache) == (True, None)
    call(on, "target", "audio")
    call(on, "prompt", "drums")
    assert only_prompt(on, 5.0).recache is None
    call(on, "target", "av")
    call(on, "prompt", "a fox")
    assert only_prompt(on, 6.0).recache is True
    with pytest.raises(OscRefusedError, match="one of usual, keep, recache"):
        call(on, "past", "cut")
    # Another model may have come meanwhile.
    on.follow(state(recaches=False))
    call(on, "prompt", "a bear")
    assert only_prompt(on, 7.0).recache is None
