import pytest

from streamgen.protocol import PromptSet, Target
from streamgen.steering.open_prompts import OpenPrompts
from streamgen.steering.open_request import OpenRequest


def asked(order: int, target: Target = "av") -> OpenRequest:
    return OpenRequest("ann", PromptSet(id=str(order), text="rain", target=target), str(order), order, "accepted")


def ids(requests: list[OpenRequest]) -> list[str]:
    return [each.channel_id for each in requests]


def test_a_later_prompt_for_all_of_its_sides_overrides_one_that_waits() -> None:
    prompts = OpenPrompts(8)
    for request in (asked(1), asked(2, "audio")):
        prompts.add(request)
    assert ids(prompts.overridden) == []
    prompts.add(asked(3, "video"))
    assert ids(prompts.overridden) == ["1"]
    assert prompts.newest is not None
    assert prompts.newest.channel_id == "3"


def test_one_in_the_media_overrides_what_was_asked_for_before_it() -> None:
    prompts = OpenPrompts(8)
    first, sound, newest = asked(1), asked(2, "audio"), asked(4)
    picture = asked(3, "video")
    for request in (first, sound, picture):
        prompts.add(request)
    assert ids(prompts.applied(picture)) == ["1"], "its sound has a later one that waits"
    prompts.drop(first)
    prompts.drop(picture)
    prompts.add(newest)
    assert ids(prompts.applied(sound)) == []
    assert not prompts.is_overridden(newest)


def test_the_oldest_that_is_overridden_goes_when_too_many_wait() -> None:
    prompts = OpenPrompts(3)
    prompts.add(asked(1, "audio"))
    assert [ids(prompts.add(asked(order, "video"))) for order in (2, 3, 4)] == [[], [], ["2"]]
    assert [each.channel_id for each in prompts] == ["1", "2", "3", "4"]


def test_fewer_places_than_sides_are_our_own_bug() -> None:
    with pytest.raises(AssertionError):
        OpenPrompts(1)
