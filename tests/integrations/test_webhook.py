"""The webhook against a receiver behind httpx's own transport, and once over a real socket."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from streamgen.integrations import webhook as module
from streamgen.integrations.webhook import MAX_WAITING, RETRY_S, Webhook
from streamgen.integrations.webhook_signature import verify
from tests.integrations.stage import Stage, until
from tests.steering.records import record

KEY = bytes(range(32))
NOW_S = 1_700_000_000.25


class Receiver:
    """Answers as it is told, and keeps what came."""

    def __init__(self, *answers: int | Exception | httpx.Response) -> None:
        self.requests: list[httpx.Request] = []
        self.answers = list(answers)
        self.pauses: list[float] = []
        self.open = asyncio.Event()
        self.open.set()

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await self.open.wait()
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(answer)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]


def webhook(stage: Stage, receiver: Receiver, **changes: Any) -> Webhook:
    return Webhook(
        stage,
        "https://hooks.example/path?key=1",
        KEY,
        channel="main",
        transport=httpx.MockTransport(receiver.handle),
        wall_s=lambda: NOW_S,
        pause=receiver.pause,
        spread=lambda: 0.5,
        **changes,
    )


def heard(running: Webhook) -> int:
    """Events that have arrived so far."""
    return running.waiting + running.counts.delivered + running.counts.failed + running.counts.dropped


async def change_status(stage: Stage, running: Webhook, many: int) -> None:
    """So many events; each is heard before the next, as outboxes coalesce."""
    for expected in range(heard(running) + 1, heard(running) + 1 + many):
        if stage.status == "live":
            stage.set_status("slate")
        else:
            stage.chunk_started(record(1))
        while heard(running) < expected:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


async def joined(stage: Stage) -> None:
    await until(lambda: stage.joined and not len(stage.joined[0].outbox))


async def test_an_applied_prompt_is_posted_and_signed() -> None:
    stage, receiver = Stage(), Receiver()
    async with webhook(stage, receiver) as running:
        await joined(stage)
        stage.chunk_started(record(3, "a", "ein Fuchs ❄"))
        await until(lambda: running.counts.delivered == 2)
    by_type = {
        document["type"]: (document, request)
        for document, request in zip(receiver.documents, receiver.requests, strict=True)
    }
    document, request = by_type["prompt.applied"]
    assert document["timestamp"] == "2023-11-14T22:13:20.250Z"
    assert document["data"]["prompt"] == "ein Fuchs ❄"
    assert document["data"]["prompt_id"] == "a"
    assert str(request.url) == "https://hooks.example/path?key=1"
    assert request.headers["content-type"] == "application/json"
    assert verify(KEY, dict(request.headers), request.content, now_s=NOW_S)
    assert "status.changed" in by_type
    assert len({each.headers["webhook-id"] for each in receiver.requests}) == 2


async def test_what_fails_is_tried_again_under_the_same_id() -> None:
    busy = httpx.Response(503, headers={"retry-after": "7"})
    stage, receiver = Stage(), Receiver(500, httpx.ConnectError("no"), busy, 200)
    async with webhook(stage, receiver) as running:
        await joined(stage)
        await change_status(stage, running, 1)
        await until(lambda: running.counts.delivered == 1)
    assert len(receiver.requests) == 4
    assert len({each.headers["webhook-id"] for each in receiver.requests}) == 1
    assert receiver.pauses == [pytest.approx(RETRY_S[0] * 1.1), pytest.approx(RETRY_S[1] * 1.1), 33.0]
    assert (running.counts.retries, running.counts.failed) == (3, 0)


async def test_how_long_the_other_side_asks_to_wait_is_heard_and_bounded() -> None:
    answers = [httpx.Response(429, headers={"retry-after": each}) for each in ("60", "9999", "99999999", "tomorrow")]
    stage, receiver = Stage(), Receiver(*answers, 200)
    async with webhook(stage, receiver) as running:
        await joined(stage)
        await change_status(stage, running, 1)
        await until(lambda: running.counts.delivered == 1)
    assert receiver.pauses == [60.0, 300.0, pytest.approx(33.0), pytest.approx(132.0)]


async def test_after_the_last_attempt_the_next_event_has_its_turn() -> None:
    stage, receiver = Stage(), Receiver(*[500] * (len(RETRY_S) + 1), 200)
    async with webhook(stage, receiver) as running:
        await joined(stage)
        await change_status(stage, running, 2)
        await until(lambda: running.counts.delivered == 1)
        assert (running.counts.failed, running.counts.retries) == (1, len(RETRY_S))


async def test_what_tls_or_a_defect_throws_ends_one_attempt_and_not_the_deliveries() -> None:
    stage, receiver = Stage(), Receiver(ssl.SSLError("alert"), ZeroDivisionError("a defect"))
    async with webhook(stage, receiver) as running:
        await joined(stage)
        await change_status(stage, running, 3)
        await until(lambda: running.counts.delivered == 2)
        assert (running.counts.retries, running.counts.failed) == (1, 1)


async def test_redirects_are_not_followed() -> None:
    elsewhere = httpx.Response(307, headers={"location": "http://169.254.169.254/"})
    stage, receiver = Stage(), Receiver(elsewhere, 200)
    async with webhook(stage, receiver) as running:
        await joined(stage)
        await change_status(stage, running, 1)
        await until(lambda: running.counts.delivered == 1)
    assert {request.url.host for request in receiver.requests} == {"hooks.example"}
    assert running.counts.retries == 1


async def test_a_receiver_that_is_gone_gets_nothing_more() -> None:
    stage, receiver = Stage(), Receiver(410)
    async with webhook(stage, receiver) as running:
        await joined(stage)
        await change_status(stage, running, 3)
        assert len(receiver.requests) == 1
        await until(lambda: running.counts.dropped == 3)
        assert running.waiting == 0


async def test_a_receiver_that_stands_still_costs_the_oldest_events_and_nothing_else() -> None:
    stage, receiver = Stage(), Receiver()
    receiver.open.clear()
    async with webhook(stage, receiver) as running:
        await joined(stage)
        await change_status(stage, running, MAX_WAITING + 11)
        assert running.waiting == MAX_WAITING + 1  # the one under way, and those behind it
        assert running.counts.dropped == 10
        receiver.open.set()
        await until(lambda: running.counts.delivered == MAX_WAITING + 1)
    assert running.counts.dropped == 10


async def test_a_receiver_that_is_too_slow_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.01)
    stage, receiver = Stage(), Receiver()
    receiver.open.clear()
    async with webhook(stage, receiver) as running:
        await joined(stage)
        await change_status(stage, running, 1)
        await until(lambda: running.counts.failed == 1)
        assert len(receiver.requests) == 1 + len(RETRY_S)


async def test_what_waits_at_the_end_is_counted_as_dropped() -> None:
    stage, receiver = Stage(), Receiver()
    receiver.open.clear()
    async with webhook(stage, receiver) as running:
        await joined(stage)
        await change_status(stage, running, 3)
    assert (running.counts.dropped, running.waiting) == (3, 0)
    await running.close()
    assert running.counts.dropped == 3
    assert stage.connections == 0


async def test_failures_are_logged_without_the_address(caplog: pytest.LogCaptureFixture) -> None:
    stage, receiver = Stage(), Receiver(500, 200)
    async with webhook(stage, receiver) as running:
        await joined(stage)
        await change_status(stage, running, 1)
        await until(lambda: running.counts.delivered == 1)
    lines = [each.getMessage() for each in caplog.records if each.name == module.__name__]
    assert lines == ["the webhook cannot be delivered (status 500); it is tried again"]


async def serve_http(answer: bytes, keep: Callable[[bytes], None]) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            keep(head + await reader.readexactly(length))
            writer.write(answer)
            await writer.drain()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def test_over_a_real_socket() -> None:
    received: list[bytes] = []
    server = await serve_http(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", received.append)
    async with server:
        port = server.sockets[0].getsockname()[1]
        stage = Stage()
        async with Webhook(stage, f"http://127.0.0.1:{port}/hook", KEY, channel="main") as running:
            await joined(stage)
            stage.chunk_started(record(3, "a", "rain"))
            await until(lambda: running.counts.delivered == 2)
    assert all(each.startswith(b"POST /hook HTTP/1.1\r\n") for each in received)
    assert all(b"webhook-signature: v1," in each.lower() for each in received)
