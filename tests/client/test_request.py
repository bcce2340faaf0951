import asyncio

import pytest

from streamgen.protocol import Accepted, Applied, Queued, Received, Rejected, Superseded
from streamgen_client.errors import ConnectionLostError, RejectedError, SupersededError
from streamgen_client.request import MAX_EVENTS, LifeEvent, Request

APPLIED = Applied(id="a", chunk=7, media_time=2.24, rtp_video=201_600)
LIFE: tuple[LifeEvent, ...] = (Received(id="a"), Accepted(id="a"), Queued(id="a", eta_ms=400), APPLIED)


async def test_awaiting_gives_the_moment_of_application() -> None:
    request = Request("a")
    waiting = asyncio.ensure_future(_outcome(request))
    for event in LIFE:
        await asyncio.sleep(0)
        assert not waiting.done()
        request.take(event)
    assert await waiting == APPLIED
    assert await request == APPLIED


async def test_iterating_gives_the_whole_life_to_everybody() -> None:
    request = Request("a")

    async def types() -> list[str]:
        return [event.type async for event in request]

    early = asyncio.create_task(types())
    for event in LIFE:
        await asyncio.sleep(0)
        request.take(event)
    async with asyncio.timeout(5):
        assert await early == await types() == ["received", "accepted", "queued", "applied"]
    assert request.events == LIFE


async def test_rejection_is_raised_with_its_reason() -> None:
    request = Request("a")
    request.take(Rejected(id="a", reason="forbidden", message="open the operator's link"))
    with pytest.raises(RejectedError, match="operator's link") as caught:
        await request
    assert caught.value.answer.reason == "forbidden"
    assert [event.type async for event in request] == ["rejected"]


async def test_superseded_names_the_later_prompt() -> None:
    request = Request("a")
    request.take(Superseded(id="a", by="b"))
    with pytest.raises(SupersededError, match="superseded by b"):
        await request


async def test_lost_connection_ends_waiting_and_iterating() -> None:
    request = Request("a")
    request.take(Received(id="a"))
    request.fail(ConnectionLostError("gone"))
    with pytest.raises(ConnectionLostError):
        await request
    life = aiter(request)
    assert await anext(life) == Received(id="a")
    with pytest.raises(ConnectionLostError):
        await anext(life)


def test_nothing_follows_the_outcome() -> None:
    request = Request("a")
    request.take(APPLIED)
    request.take(Superseded(id="a", by="b"))
    request.fail(ConnectionLostError("gone"))
    assert request.events == (APPLIED,)
    assert request.done


def test_memory_is_bounded_and_the_outcome_still_fits() -> None:
    request = Request("a")
    for each in range(10 * MAX_EVENTS):
        request.take(Queued(id="a", eta_ms=each))
    request.take(APPLIED)
    assert len(request.events) == MAX_EVENTS + 1
    assert request.events[-1] == APPLIED


async def _outcome(request: Request) -> Applied:
    return await request
