"""Prompts that are judged: none reaches the generator unjudged, each gets one final answer, the latest wins."""

import asyncio
from typing import Any

import pytest

from streamgen.moderation.verdict import ALLOWED, Verdict
from streamgen.packets import Command, SetPrompt
from streamgen.protocol import (
    Approve,
    ConfigUpdate,
    Permission,
    PromptSet,
    Reject,
    Rejected,
    ServerMessage,
    State,
    TimelineLoad,
    Weighted,
)
from streamgen.steering.effects import Effects, Screening
from streamgen.steering.hub import Connection, SteeringHub
from streamgen.steering.judging import MAX_DOCUMENTS, MAX_HELD, MAX_JUDGED
from streamgen.steering.session import SteeringSession
from tests.steering.records import record

ALL: frozenset[Permission] = frozenset({"prompt", "config"})
OPERATOR: frozenset[Permission] = ALL | {"moderate"}
HOLD = Verdict("hold", "violence", "This waits.")
REFUSE = Verdict("refuse", "hate", "This cannot be shown.")


def moderated() -> SteeringSession:
    session = SteeringSession("main", prompt="calm sea", moderated=True)
    session.generator_ready()
    return session


def ask(session: SteeringSession, id: str, client: str = "ann", **what: Any) -> Effects:
    return session.request(client, PromptSet(id=id, **(what or {"text": id})), ALL)


def told(effects: Effects, client: str = "ann") -> list[str]:
    return [each.message.type for each in effects.deliveries if each.client == client]


def test_nothing_goes_to_the_generator_before_its_verdict() -> None:
    session = moderated()
    asked = ask(session, "a")
    assert (told(asked), asked.commands) == (["received"], ())
    assert asked.screening == Screening("a", ("a",))
    assert session.state().pending == ()
    allowed = session.judged("a", ALLOWED)
    assert told(allowed) == ["accepted"]
    assert allowed.commands == (SetPrompt(id="a", text="a"),)
    assert session.judged("a", ALLOWED) == Effects(), "a verdict counts once"


def test_every_text_of_a_blend_is_judged() -> None:
    asked = ask(moderated(), "a", blend=(Weighted(text="rain"), Weighted(text="snow")))
    assert asked.screening == Screening("a", ("rain", "snow"))


def test_what_is_refused_is_told_and_gone() -> None:
    session = moderated()
    ask(session, "a")
    refused = session.judged("a", REFUSE)
    (answer,) = [each.message for each in refused.deliveries if each.client == "ann"]
    assert answer == Rejected(id="a", reason="moderation", field="text", message="This cannot be shown.")
    assert refused.commands == ()
    assert session.generator_ready().commands == (SetPrompt(id="start", text="calm sea"),)


def test_what_is_held_waits_for_an_operator_and_then_is_the_newest() -> None:
    session = moderated()
    ask(session, "a")
    assert told(session.judged("a", HOLD)) == ["held"]
    assert [(each.id, each.text, each.category) for each in session.state().held] == [("a", "a", "violence")]
    ask(session, "b")
    session.judged("b", ALLOWED)
    approved = session.request("op", Approve(id="yes", target="a"), OPERATOR)
    assert told(approved) == ["accepted"]
    assert told(approved, "op") == ["received", "accepted", "applied"]
    assert approved.commands == (SetPrompt(id="a", text="a"),)
    shown = session.chunk_started(record(3, "a", "a", applied=("a",)))
    assert told(shown) == ["superseded", "applied"], "b came before the operator's word"
    assert session.state().held == ()


def test_an_operator_turns_away_in_words() -> None:
    session = moderated()
    ask(session, "a")
    session.judged("a", HOLD)
    rejected = session.request("op", Reject(id="no", target="a", message="not tonight"), OPERATOR)
    assert told(rejected) == ["rejected"]
    (answer,) = [each.message for each in rejected.deliveries if each.client == "ann"]
    assert answer == Rejected(id="a", reason="moderation", field="text", message="not tonight")
    again = session.request("op", Approve(id="yes", target="a"), OPERATOR)
    assert told(again, "op") == ["received", "rejected"]


@pytest.mark.parametrize("message", [Approve(id="x", target="a"), Reject(id="x", target="a")])
def test_only_those_who_may_decide(message: Approve | Reject) -> None:
    session = moderated()
    ask(session, "a")
    session.judged("a", HOLD)
    assert told(session.request("ann", message, ALL))[-1] == "rejected"
    assert len(session.state().held) == 1


def test_what_waits_is_bounded_and_ends_with_the_channel() -> None:
    session = moderated()
    for number in range(MAX_HELD):
        ask(session, f"h{number}", client=f"client {number}")
        session.judged(f"h{number}", HOLD)
    ask(session, "one more")
    assert told(session.judged("one more", HOLD)) == ["rejected"]
    for number in range(MAX_JUDGED):
        ask(session, f"j{number}")
    assert told(ask(session, "too many")) == ["received", "rejected"]
    ended = session.close()
    assert len([each for each in ended.deliveries if isinstance(each.message, Rejected)]) == MAX_HELD + MAX_JUDGED
    assert session.judged("j0", ALLOWED) == Effects()


def test_the_newest_of_a_client_takes_the_place_of_its_older_one_that_is_held() -> None:
    session = moderated()
    for id in "ab":
        ask(session, id)
    session.judged("a", HOLD)
    ask(session, "c", client="bob")
    session.judged("c", HOLD)
    assert told(session.judged("b", HOLD)) == ["superseded", "held"]
    assert [each.id for each in session.state().held] == ["c", "b"]


def test_no_text_that_was_refused_plays_however_often_ids_and_generators_come_again() -> None:
    """An id that is forgotten may be chosen again while the prompt that had it plays on."""
    session = SteeringSession("main", prompt="calm sea", moderated=True, max_finished=3)
    session.generator_ready()
    told_texts: list[str] = []

    def play(id: str, chunk: int, **what: Any) -> None:
        ask(session, id, **what)
        session.judged(id, ALLOWED)
        session.chunk_started(record(chunk, id, what["text"], applied=(id,)))

    play("a", 1, text="good")
    play("s", 2, text="wind", target="audio")
    for number in range(6):
        ask(session, f"r{number}", text="bad")
        session.judged(f"r{number}", REFUSE)
    again = ask(session, "a", client="bob", text="bad")
    assert again.screening is not None
    assert again.screening.channel_id != "a", "the prompt of that id plays"
    session.judged(again.screening.channel_id, REFUSE)
    for restart in range(3):
        session.generator_lost()
        (command,) = session.generator_ready().commands
        assert isinstance(command, SetPrompt)
        told_texts += [command.text, *(text for text, _ in command.sound)]
        session.chunk_started(record(10 + restart, command.id, command.text))
    assert told_texts == ["good", "wind"] * 3
    assert session.state().sound == "wind"


def test_settings_are_not_held() -> None:
    session = moderated()
    assert session.request("ann", ConfigUpdate(id="c", seed=3), ALL).screening is None


async def drain(connection: Connection) -> list[ServerMessage]:
    return [await connection.outbox.get() for _ in range(len(connection.outbox))]


async def test_the_hub_has_texts_judged_in_order_and_shows_what_is_held_to_operators_only() -> None:
    verdicts = {"rain": ALLOWED, "a fight": HOLD, "worse": REFUSE}
    seen: list[str] = []
    sent: list[Command] = []

    async def judge(text: str) -> Verdict:
        seen.append(text)
        await asyncio.sleep(0)
        return verdicts[text]

    hub = SteeringHub(SteeringSession("main", moderated=True), send=sent.append)
    hub.generator_ready()
    ann, operator = hub.connect("ann", ALL), hub.connect("op", OPERATOR)
    await drain(ann)
    await drain(operator)
    judging = asyncio.create_task(hub.moderate(judge))
    for id, text in (("a", "a fight"), ("b", "worse"), ("c", "rain")):
        hub.take(ann, PromptSet(id=id, text=text))
    hub.take(ann, PromptSet(id="d", blend=(Weighted(text="rain"), Weighted(text="worse"))))
    while hub.session.outcomes["rejected"] < 2:  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0)
    judging.cancel()
    await asyncio.wait([judging])
    assert seen == ["a fight", "worse", "rain", "rain", "worse"]
    assert sent == [SetPrompt(id="c", text="rain")]
    anns, operators = await drain(ann), await drain(operator)
    assert {len(each.held) for each in anns if isinstance(each, State)} == {0}
    assert [each.held[0].text for each in operators if isinstance(each, State) and each.held] != []
    assert hub.connect("late", OPERATOR).outbox
    first, _ = await drain(hub.connect("later", OPERATOR))
    assert isinstance(first, State)
    assert [each.id for each in first.held] == ["a"]


async def test_a_judge_that_fails_refuses_and_the_next_prompt_is_judged() -> None:
    sent: list[Command] = []

    async def judge(text: str) -> Verdict:
        if text == "first":
            raise RuntimeError("the judge has a bad day")
        return ALLOWED

    hub = SteeringHub(SteeringSession("main", moderated=True), send=sent.append)
    hub.generator_ready()
    ann = hub.connect("ann", ALL)
    judging = asyncio.create_task(hub.moderate(judge))
    for text in ("first", "second"):
        hub.take(ann, PromptSet(id=text, text=text))
    while not sent:  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0)
    judging.cancel()
    await asyncio.wait([judging])
    assert sent == [SetPrompt(id="second", text="second")]
    (answer,) = [each for each in await drain(ann) if isinstance(each, Rejected)]
    assert (answer.id, answer.reason) == ("first", "moderation")


async def test_a_request_that_fails_after_its_verdict_is_answered_and_the_next_is_judged() -> None:
    sent: list[Command] = []

    def send(command: Command) -> None:
        if command == SetPrompt(id="first", text="first"):
            raise RuntimeError("the generator's pipe broke")
        sent.append(command)

    async def judge(text: str) -> Verdict:
        return ALLOWED

    hub = SteeringHub(SteeringSession("main", moderated=True), send=send)
    hub.generator_ready()
    ann = hub.connect("ann", ALL)
    judging = asyncio.create_task(hub.moderate(judge))
    for text in ("first", "second"):
        hub.take(ann, PromptSet(id=text, text=text))
    while not sent:
        assert not judging.done()
        await asyncio.sleep(0)
    judging.cancel()
    await asyncio.wait([judging])
    assert sent == [SetPrompt(id="second", text="second")]
    (answer,) = [each for each in await drain(ann) if isinstance(each, Rejected)]
    assert (answer.id, answer.reason) == ("first", "unavailable")


async def test_a_prompt_does_not_wait_for_the_texts_of_a_document() -> None:
    sent: list[Command] = []
    asked: list[str] = []
    never = asyncio.Event()

    async def judge(text: str) -> Verdict:
        asked.append(text)
        if text.startswith("document"):
            await never.wait()
        return ALLOWED

    hub = SteeringHub(SteeringSession("main", moderated=True), send=sent.append)
    hub.generator_ready()
    ann = hub.connect("ann", ALL | {"schedule"})
    judging = asyncio.create_task(hub.moderate(judge))
    for number in range(MAX_DOCUMENTS + 1):
        entry = {"id": "e", "at": {"chunk": 9}, "action": {"type": "prompt", "text": f"document {number}"}}
        hub.take(ann, TimelineLoad.model_validate({"id": f"l{number}", "document": {"entries": [entry]}}))
    hub.take(ann, PromptSet(id="rain", text="rain"))
    async with asyncio.timeout(10):
        while not sent:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)
    judging.cancel()
    await asyncio.wait([judging])
    assert sent == [SetPrompt(id="rain", text="rain")]
    assert sorted(asked) == ["document 0", "rain"]
    (refused,) = [each for each in await drain(ann) if isinstance(each, Rejected)]
    assert (refused.id, refused.reason) == (f"l{MAX_DOCUMENTS}", "unavailable")
