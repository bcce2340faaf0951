"""The thin form: one message in, one answer out, by the same path as every prompt."""

import pytest

from streamgen.log.contents import Content, Decided, Requested
from streamgen.moderation.verdict import Verdict
from streamgen.packets import Command, SetPrompt
from streamgen.protocol import Permission, Prompt, PromptAck, PromptSet, ProtocolError, ServerMessage, parse_client
from streamgen.steering.hub import Connection, SteeringHub
from streamgen.steering.session import SteeringSession
from tests.steering.records import record

CAN: frozenset[Permission] = frozenset({"prompt"})


def hub(sent: list[Command], log: list[Content] | None = None, *, moderated: bool = False) -> SteeringHub:
    session = SteeringSession("main", moderated=moderated)
    steering = SteeringHub(session, send=sent.append, log=([] if log is None else log).append)
    steering.generator_ready()
    return steering


async def acks(connection: Connection) -> list[PromptAck]:
    found: list[ServerMessage] = [await connection.outbox.get() for _ in range(len(connection.outbox))]
    assert not [each for each in found if each.type in ("received", "accepted", "queued", "applied", "rejected")]
    return [each for each in found if isinstance(each, PromptAck)]


async def test_a_thin_prompt_is_answered_once_when_it_is_in_the_media() -> None:
    sent: list[Command] = []
    log: list[Content] = []
    steering = hub(sent, log)
    ann, other = steering.connect("ann", CAN), steering.connect("bob", CAN)
    steering.take(ann, Prompt(text="rain"))
    (told,) = sent
    assert isinstance(told, SetPrompt)
    assert told.text == "rain"
    assert await acks(ann) == []
    steering.chunk_started(record(7, told.id, "rain", applied=(told.id,)))
    assert await acks(ann) == [PromptAck(text="rain", success=True, chunk=7, media_time=7 * 0.32)]
    assert await acks(other) == []
    assert [each.message["type"] for each in log if isinstance(each, Requested)] == ["prompt.set"]
    assert [each.decision for each in log if isinstance(each, Decided)] == ["accepted", "applied"]


async def test_a_thin_prompt_is_told_that_it_never_will_be() -> None:
    sent: list[Command] = []
    steering = hub(sent)
    ann, watcher = steering.connect("ann", CAN), steering.connect("bob", frozenset())
    steering.take(watcher, Prompt(text="rain"))
    (refused,) = await acks(watcher)
    assert (refused.text, refused.success) == ("rain", False)
    assert refused.error is not None
    steering.take(ann, Prompt(text="rain"))
    steering.take(ann, Prompt(text="snow"))
    first, second = sent
    assert isinstance(first, SetPrompt)
    assert isinstance(second, SetPrompt)
    steering.chunk_started(record(1, second.id, "snow", applied=(second.id,)))
    assert [(each.text, each.success) for each in await acks(ann)] == [("rain", False), ("snow", True)]


async def test_a_thin_prompt_is_judged_like_any_other() -> None:
    sent: list[Command] = []
    steering = hub(sent, moderated=True)
    ann = steering.connect("ann", CAN)
    steering.take(ann, Prompt(text="rain"))
    assert sent == []
    request = next(iter(steering.session._judging))
    steering._perform(steering.session.judged(request.channel_id, Verdict("refuse", "x", "not here")))
    assert [(each.success, each.error) for each in await acks(ann)] == [(False, "not here")]


@pytest.mark.parametrize(
    "frame", ['{"type": "prompt", "text": ""}', '{"type": "prompt"}', '{"type": "prompt", "x": 1}']
)
async def test_a_thin_prompt_that_cannot_be_read_has_its_own_answer(frame: str) -> None:
    steering = hub([])
    ann = steering.connect("ann", CAN)
    with pytest.raises(ProtocolError) as caught:
        parse_client(frame)
    steering.reject(ann, caught.value, 0.5)
    (ack,) = await acks(ann)
    assert (ack.text, ack.success, ack.retry_after_s) == (None, False, 0.5)


async def test_requests_of_the_same_connection_with_ids_keep_their_answers() -> None:
    steering = hub([])
    ann = steering.connect("ann", CAN)
    steering.take(ann, Prompt(text="rain"))
    steering.take(ann, PromptSet(id="a", text="snow"))
    found = [await ann.outbox.get() for _ in range(len(ann.outbox))]
    assert [each.type for each in found if each.type != "state"] == ["received", "accepted"]
