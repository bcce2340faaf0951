import asyncio

import pytest

from streamgen.protocol import AudienceOverlay, Chunk, Health, Pong, State
from streamgen.steering.outbox import Outbox, OutboxOverflowError


def state(revision: int) -> State:
    return State(revision=revision, channel="main", status="live", prompt="sea")


def chunk(index: int) -> Chunk:
    return Chunk(index=index, media_time=0.32 * index, prompt="sea", rtp_video=28_800 * index)


def pong(id: str) -> Pong:
    return Pong(id=id, t=0.0, server_media_time=0.0)


async def test_messages_leave_in_order() -> None:
    outbox = Outbox()
    for message in (state(1), pong("a"), chunk(1)):
        outbox.put(message)
    assert [await outbox.get() for _ in range(3)] == [state(1), pong("a"), chunk(1)]


async def test_only_the_newest_state_chunk_and_health_wait_and_answers_all_do() -> None:
    outbox = Outbox()
    for number in range(100):
        outbox.put(state(number))
        outbox.put(chunk(number))
        outbox.put(Health(media_time=number))
        if number % 50 == 0:
            outbox.put(pong(str(number)))
    waiting = [await outbox.get() for _ in range(len(outbox))]
    assert waiting == [pong("0"), pong("50"), state(99), chunk(99), Health(media_time=99)]
    assert outbox.coalesced == 297


async def test_get_waits_for_put() -> None:
    outbox = Outbox()
    waiting = asyncio.create_task(outbox.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.put(pong("a"))
    async with asyncio.timeout(5):
        assert await waiting == pong("a")


async def test_a_receiver_that_is_hopelessly_behind_is_told_and_holds_no_memory() -> None:
    outbox = Outbox(limit=3)
    for number in range(5):
        outbox.put(pong(str(number)))
    assert len(outbox) == 0
    with pytest.raises(OutboxOverflowError):
        await outbox.get()


async def test_state_and_chunks_alone_never_overflow() -> None:
    outbox = Outbox(limit=2)
    for number in range(10):
        outbox.put(state(number))
        outbox.put(chunk(number))
    assert [await outbox.get(), await outbox.get()] == [state(9), chunk(9)]


async def test_of_the_vote_only_the_newest_waits_and_ones_own_choice_is_not_lost_with_the_others() -> None:
    outbox = Outbox()
    outbox.put(AudienceOverlay(revision=1, mode="single", mine="o1"))
    for revision in (2, 3):
        outbox.put(AudienceOverlay(revision=revision, mode="single"))
    assert len(outbox) == 1
    assert await outbox.get() == AudienceOverlay(revision=3, mode="single", mine="o1")
    assert outbox.coalesced == 2
