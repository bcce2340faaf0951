import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.generation.prompts import MAX_REPORTED, PromptSlot
from streamgen.packets import PromptSuperseded, SetPrompt, Target


def prompt(name: str, target: Target = "av") -> SetPrompt:
    return SetPrompt(id=name, text=f"text of {name}", target=target)


def encode_one(slot: PromptSlot[str]) -> list[PromptSuperseded]:
    request = slot.begin_encoding()
    assert request is not None
    return slot.encoded(request.text)


def test_a_prompt_is_encoded_then_taken_once() -> None:
    slot: PromptSlot[str] = PromptSlot()
    assert slot.settled
    assert slot.put(prompt("a")) == []
    assert not slot.settled
    assert encode_one(slot) == []
    assert slot.settled

    (taken,), superseded = slot.take(), slot.take_superseded()

    assert taken.request == prompt("a")
    assert taken.encoded == "text of a"
    assert superseded == ()
    assert (slot.take(), slot.take_superseded()) == ((), ())


def test_a_burst_coalesces_before_it_is_encoded() -> None:
    slot: PromptSlot[str] = PromptSlot()
    events = [event for name in "abcd" for event in slot.put(prompt(name))]
    assert events == [PromptSuperseded("a", "b"), PromptSuperseded("b", "c"), PromptSuperseded("c", "d")]
    encode_one(slot)
    (taken,), superseded = slot.take(), slot.take_superseded()
    assert taken.request.id == "d"
    assert superseded == ("a", "b", "c")


def test_an_encoded_prompt_gives_way_only_to_an_encoded_one() -> None:
    slot: PromptSlot[str] = PromptSlot()
    slot.put(prompt("a"))
    encode_one(slot)
    assert slot.put(prompt("b")) == []
    slot.begin_encoding()
    (taken,) = slot.take()  # a chunk starts while b is being encoded
    assert taken.request.id == "a"
    assert slot.encoded("b") == []

    slot.put(prompt("c"))
    assert encode_one(slot) == [PromptSuperseded("b", "c")]


def test_failure_leaves_what_was_ready() -> None:
    slot: PromptSlot[str] = PromptSlot()
    slot.put(prompt("a"))
    encode_one(slot)
    slot.put(prompt("b"))
    slot.begin_encoding()
    assert slot.failed() == prompt("b")
    (taken,), superseded = slot.take(), slot.take_superseded()
    assert taken.request.id == "a"
    assert superseded == ()


def test_the_same_id_again_does_not_supersede_itself() -> None:
    slot: PromptSlot[str] = PromptSlot()
    slot.put(prompt("a"))
    assert slot.put(prompt("a")) == []


def test_a_flood_is_remembered_up_to_a_limit() -> None:
    slot: PromptSlot[str] = PromptSlot()
    events = [event for n in range(1_000) for event in slot.put(prompt(str(n)))]
    assert len(events) == 999
    encode_one(slot)
    (taken,), superseded = slot.take(), slot.take_superseded()
    assert taken.request.id == "999"
    assert len(superseded) == MAX_REPORTED


@given(st.lists(st.sampled_from(["put", "begin", "encoded", "failed", "take"]), max_size=60))
def test_every_prompt_ends_exactly_once_and_the_last_is_never_lost(steps: list[str]) -> None:
    slot: PromptSlot[str] = PromptSlot()
    ended: list[str] = []
    applied: list[int] = []
    count, encoding = 0, False

    def end(events: list[PromptSuperseded]) -> None:
        for event in events:
            assert int(event.by) > int(event.id)
            ended.append(event.id)

    def take() -> None:
        for taken in slot.take():
            ended.append(taken.request.id)
            applied.append(int(taken.request.id))

    for step in steps:
        if step == "put":
            end(slot.put(prompt(str(count))))
            count += 1
        elif step == "begin" and not encoding:
            encoding = slot.begin_encoding() is not None
        elif step == "encoded" and encoding:
            end(slot.encoded("x"))
            encoding = False
        elif step == "failed" and encoding:
            ended.append(slot.failed().id)
            encoding = False
        elif step == "take":
            take()
    failed_last = "failed" in steps
    if encoding:
        end(slot.encoded("x"))
    while slot.begin_encoding() is not None:
        end(slot.encoded("x"))
    take()

    assert sorted(ended, key=int) == [str(n) for n in range(count)]
    assert applied == sorted(applied)
    if count and not failed_last:
        assert applied[-1] == count - 1


def test_ending_an_encoding_that_did_not_begin_is_our_own_bug() -> None:
    slot: PromptSlot[str] = PromptSlot()
    with pytest.raises(AssertionError, match="nothing is being encoded"):
        slot.encoded("x")
    with pytest.raises(AssertionError, match="nothing is being encoded"):
        slot.failed()


def test_prompts_for_different_sides_do_not_take_each_others_place() -> None:
    slot: PromptSlot[str] = PromptSlot()
    assert slot.put(prompt("both")) == []
    assert slot.put(prompt("sound", "audio")) == []
    assert slot.put(prompt("louder", "audio")) == [PromptSuperseded("sound", "louder")]
    assert encode_one(slot) == []
    assert encode_one(slot) == []
    assert [each.request.id for each in slot.take()] == ["both", "louder"]
    assert slot.take_superseded() == ("sound",)


def test_a_prompt_for_both_gives_way_once_each_side_has_a_later_one() -> None:
    slot: PromptSlot[str] = PromptSlot()
    slot.put(prompt("both"))
    assert slot.put(prompt("picture", "video")) == []
    assert slot.put(prompt("sound", "audio")) == [PromptSuperseded("both", "sound")]
    assert slot.put(prompt("new")) == [PromptSuperseded("picture", "new"), PromptSuperseded("sound", "new")]
    encode_one(slot)
    assert slot.settled
    assert [each.request.id for each in slot.take()] == ["new"]


@given(st.lists(st.sampled_from(["av", "video", "audio"]), max_size=30))
def test_at_most_two_wait_and_each_side_keeps_its_latest(targets: list[Target]) -> None:
    slot: PromptSlot[str] = PromptSlot()
    for number, target in enumerate(targets):
        slot.put(prompt(str(number), target))
    while slot.begin_encoding() is not None:
        slot.encoded("x")
    taken = [each.request for each in slot.take()]
    assert len(taken) <= 2
    for side in ("video", "audio"):
        latest = [str(number) for number, target in enumerate(targets) if target in ("av", side)][-1:]
        assert [each.id for each in taken if each.target in ("av", side)][-1:] == latest


def test_a_prompt_that_could_not_be_encoded_is_tried_again_before_those_that_came_later() -> None:
    slot: PromptSlot[str] = PromptSlot()
    slot.put(prompt("a", "video"), 1.0)
    slot.begin_encoding()
    slot.put(prompt("b", "audio"), 1.0)
    assert slot.again() == []
    assert not slot.settled
    assert [slot.begin_encoding(), slot.encoded("one")] == [prompt("a", "video"), []]
    assert slot.begin_encoding() == prompt("b", "audio")


def test_a_prompt_that_could_not_be_encoded_gives_way_to_a_later_one() -> None:
    slot: PromptSlot[str] = PromptSlot()
    slot.put(prompt("a"))
    slot.begin_encoding()
    slot.put(prompt("b"))
    assert slot.again() == [PromptSuperseded("a", "b")]
    assert slot.begin_encoding() == prompt("b")
    slot.encoded("b")
    assert slot.begin_encoding() is None
    assert slot.take_superseded() == ("a",)
