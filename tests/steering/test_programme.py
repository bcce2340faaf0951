"""What plays, and that a generator which knows nothing is told all of it."""

from streamgen.packets import SetPrompt
from streamgen.steering.programme import START_ID, Programme
from tests.steering.records import record


def test_it_begins_with_the_channels_own_prompt() -> None:
    programme = Programme("calm sea")
    assert programme.whole(None) == SetPrompt(id=START_ID, text="calm sea")
    assert (programme.text, programme.prompt_id, programme.sound) == ("calm sea", None, None)
    assert Programme("").whole(None) is None


def test_a_prompt_plays_once_a_chunk_shows_it_and_counts_as_a_change_once() -> None:
    programme = Programme("calm sea")
    asked = SetPrompt(id="a", text="rain", cut=True, keep=None, transition_ms=500)
    assert programme.follow(record(1, "a", "rain"), asked)
    assert not programme.follow(record(2, "a", "rain"), asked)
    # What belongs to the moment of the change is not asked for again.
    assert programme.whole(None) == SetPrompt(id="a", text="rain")


def test_a_chunk_without_a_prompt_changes_nothing() -> None:
    programme = Programme("calm sea")
    assert not programme.follow(record(1, None, ""), None)
    assert programme.text == "calm sea"


def test_a_forgotten_prompt_is_taken_from_the_record() -> None:
    programme = Programme("calm sea")
    assert programme.follow(record(1, "old", "rain"), None)
    assert programme.whole(None) == SetPrompt(id="old", text="rain")


def test_the_sound_keeps_what_it_was_told_when_only_the_picture_changes() -> None:
    programme = Programme("calm sea")
    programme.follow(record(1, "v", "a city"), SetPrompt(id="v", text="a city", target="video"))
    assert (programme.text, programme.sound) == ("a city", "calm sea")
    blend = SetPrompt(id="s", text="50 % wind + 50 % rain", blend=(("wind", 1.0), ("rain", 1.0)), target="audio")
    programme.follow(record(2, "s", blend.text), blend)
    assert programme.whole(None) == SetPrompt(id="v", text="a city", sound=blend.blend)
    assert programme.whole(SetPrompt(id="n", text="a forest", target="video")) == SetPrompt(
        id="n", text="a forest", sound=blend.blend
    )
    assert programme.whole(SetPrompt(id="n", text="a forest")) == SetPrompt(id="n", text="a forest")


def test_each_side_keeps_its_own_knobs() -> None:
    programme = Programme("calm sea")
    forest = SetPrompt(id="v", text="a forest", knobs={"camera": "left"})
    programme.follow(record(1, "v", "a forest"), forest)
    drums = SetPrompt(id="s", text="drums", knobs={"mood": "joyful"}, target="audio")
    programme.follow(record(2, "s", "drums"), drums)
    told = programme.whole(None)
    assert told == SetPrompt(
        id="v",
        text="a forest",
        knobs={"camera": "left"},
        sound=(("drums", 1.0),),
        sound_knobs={"mood": "joyful"},
    )


def test_two_generators_in_a_row_are_told_the_same() -> None:
    programme = Programme("calm sea")
    city = SetPrompt(id="v", text="a city")
    programme.follow(record(1, "v", "a city"), city)
    programme.follow(record(2, "s", "wind"), SetPrompt(id="s", text="wind", target="audio"))
    first = programme.whole(None)
    assert not programme.follow(record(3, "v", "a city"), city)
    assert programme.whole(None) == first
    assert programme.sound == "wind"
