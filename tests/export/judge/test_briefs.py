"""What is asked for: held out, named, and different in one thing only."""

from __future__ import annotations

from dataclasses import replace

from streamgen_export.pocket.judge.briefs import change_briefs, event_briefs, long_briefs
from streamgen_export.pocket.judge.labels import CHANGED, JUDGED, UNASKED, label
from streamgen_export.pocket.world.attributes import NONE, VOCABULARY, held_out, possible
from streamgen_export.pocket.world.captions import words
from streamgen_export.pocket.world.world import changed_fields
from tests.export.judge.material import BLUE, MEADOW, brief


def test_everything_asked_for_is_possible_and_held_out() -> None:
    for made in [*change_briefs(0, 12, 3, 4), *event_briefs(0, 6, 2), *long_briefs(0, 2, 2)]:
        assert all(possible(shown) and held_out(shown) and shown.second == NONE for shown in made.wanted)
        assert len(made.wanted) == len(made.prompts)


def test_a_change_touches_what_it_says_and_its_prompts_name_it() -> None:
    briefs = change_briefs(3, 18, before=2, after=3)
    for index, made in enumerate(briefs):
        what = CHANGED[index % len(CHANGED)]
        before, after = made.wanted[0], made.wanted[-1]
        assert made.wanted == (before,) * 2 + (after,) * 3
        assert set(changed_fields(before, after)) <= ({what, "motion"} if what == "subject" else {what})
        assert what in made.named
        asked = made.asked[:, JUDGED.index(what)]
        assert UNASKED not in asked
        assert asked[1] != asked[2]
        assert made.prompts[1] != made.prompts[2]
    assert briefs == change_briefs(3, 18, before=2, after=3)


def test_what_a_prompt_names_is_in_its_words() -> None:
    for made in change_briefs(5, 12, 1, 1):
        if "colour" in made.named:
            for shown, prompt in zip(made.wanted, made.prompts, strict=True):
                assert any(word in prompt.lower() for word in words.COLOUR_WORDS[shown.colour])


def test_successive_prompts_name_everything_in_turns() -> None:
    named = set().union(*(made.named for made in (*change_briefs(0, 24, 1, 1), *event_briefs(0, 6, 1))))
    assert named >= set(JUDGED)


def test_only_what_is_named_is_asked() -> None:
    asked = brief((MEADOW,) * 2, named=("place", "colour", "happening")).asked
    assert asked[0, JUDGED.index("place")] == VOCABULARY["place"].index("meadow")
    assert asked[0, JUDGED.index("colour")] == VOCABULARY["colour"].index("red")
    assert asked[0, JUDGED.index("motion")] == UNASKED
    assert asked[0, JUDGED.index("happening")] == UNASKED, "nothing that happens is no question"
    assert brief((MEADOW, MEADOW, BLUE, BLUE)).ages == (0, 1, 0, 1)


def test_what_has_no_right_answer_is_not_asked() -> None:
    def answer(name: str, **changes: str) -> int:
        return label(replace(MEADOW, **changes))[JUDGED.index(name)]

    assert answer("colour", palette="mono") == UNASKED
    assert answer("subject", second="cube", second_colour="green") == UNASKED
    assert answer("tempo", mood=NONE) == UNASKED
    assert answer("mood", mood=NONE) == VOCABULARY["mood"].index(NONE)
    assert answer("weather", place="space", weather=NONE) == UNASKED


def test_events_take_turns() -> None:
    shown = [made.wanted[0] for made in event_briefs(1, 7, 2)]
    assert [shown[0].motion, shown[1].motion, shown[6].motion] == ["bounces", "leaps", "bounces"]
    assert [shown[2].happening, shown[4].happening] == ["fireworks", "aurora"]
    assert shown[3].weather == "storm"
