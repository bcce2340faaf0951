"""The shell around a connection, with a hand-written socket in place of the network."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.websockets import WebSocket

from streamgen.access.limits import Limits, Rates
from streamgen.access.rate_limit import RateLimit
from streamgen.packets import Command
from streamgen.protocol import Permission, PromptSet, encode
from streamgen.steering import conversation
from streamgen.steering.hub import SteeringHub
from streamgen.steering.rate import BURST_MESSAGES
from streamgen.steering.session import SteeringSession
from streamgen.steering.websocket import WebSocketLine

ALL: frozenset[Permission] = frozenset({"prompt", "config"})


class FakeSocket:
    """An accepted ASGI WebSocket; what the client sends is put into `incoming`."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.socket = WebSocket({"type": "websocket", "headers": [], "path": "/"}, self.incoming.get, self._send)

    async def _send(self, message: Any) -> None:
        await self.reads.wait()
        self.outgoing.put_nowait(message)

    def say(self, **frame: Any) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", **frame})

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})

    async def heard(self) -> dict[str, Any]:
        """The next event that reaches the client: a message's JSON, or a close."""
        async with asyncio.timeout(5):
            event = await self.outgoing.get()
        if event["type"] == "websocket.send":
            document: dict[str, Any] = json.loads(event["text"])
            return document
        return event


def hub() -> SteeringHub:
    commands: list[Command] = []
    return SteeringHub(SteeringSession("main", prompt="sea"), send=commands.append)


async def served(fake: "FakeSocket", steering: SteeringHub, **options: Any) -> None:
    await conversation.converse(WebSocketLine(fake.socket), steering, client=None, can=ALL, **options)


async def start(fake: FakeSocket, steering: SteeringHub, **options: Any) -> "asyncio.Task[None]":
    await fake.socket.accept()
    assert (await fake.heard())["type"] == "websocket.accept"
    return asyncio.create_task(
        conversation.converse(WebSocketLine(fake.socket), steering, client=None, can=ALL, **options)
    )


async def until(condition: Callable[[], bool]) -> None:
    """Let the other tasks run until it is so; it never waits for time to pass."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


async def end(task: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(5):
        await task


async def test_a_connection_from_beginning_to_end() -> None:
    fake, steering = FakeSocket(), hub()
    task = await start(fake, steering)
    assert (await fake.heard())["type"] == "state"
    assert steering.connections == 1
    fake.say(text=encode(PromptSet(id="a", text="rain")))
    assert [(await fake.heard())["type"] for _ in range(3)] == ["received", "accepted", "state"]
    fake.leave()
    await end(task)
    assert steering.connections == 0


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ({"bytes": b"\x00\xff"}, "not_text"),
        ({"text": "{"}, "not_json"),
        ({"text": "[]"}, "not_an_object"),
        ({"text": '{"type": "prompt.set", "id": "a", "text": "   "}'}, "empty"),
        ({"text": json.dumps({"type": "prompt.set", "id": "a", "text": "x" * 100_000})}, "too_long"),
        ({"text": '{"type": "nonsense"}'}, "unknown_type"),
    ],
)
async def test_a_bad_frame_is_answered_and_the_connection_goes_on(frame: dict[str, Any], reason: str) -> None:
    fake, steering = FakeSocket(), hub()
    task = await start(fake, steering)
    await fake.heard()
    fake.say(**frame)
    answer = await fake.heard()
    assert (answer["type"], answer["reason"]) == ("rejected", reason)
    fake.say(text='{"type": "ping", "id": "p", "t": 1}')
    assert (await fake.heard())["type"] == "pong"
    fake.leave()
    await end(task)


async def test_too_many_messages_are_refused_with_the_time_to_wait() -> None:
    fake, steering = FakeSocket(), hub()
    now_s = 50.0
    task = await start(fake, steering, now_s=lambda: now_s)
    await fake.heard()
    for number in range(BURST_MESSAGES + 1):
        fake.say(text=json.dumps({"type": "ping", "id": str(number), "t": 0}))
    fake.say(text="nonsense")
    answers = [await fake.heard() for _ in range(BURST_MESSAGES + 2)]
    assert [each["type"] for each in answers] == ["pong"] * BURST_MESSAGES + ["rejected"] * 2
    assert answers[-2]["id"] == str(BURST_MESSAGES)
    assert {each["reason"] for each in answers[-2:]} == {"rate_limited"}
    assert answers[-1]["retry_after_s"] == pytest.approx(0.1)
    now_s = 51.0
    fake.say(text='{"type": "ping", "id": "again", "t": 0}')
    assert (await fake.heard())["type"] == "pong"
    fake.leave()
    await end(task)


async def test_a_client_that_does_not_read_is_closed_with_1013() -> None:
    fake, steering = FakeSocket(), hub()
    fake_now = iter(range(10_000))
    task = await start(fake, steering, now_s=lambda: float(next(fake_now)))
    await fake.heard()
    fake.reads.clear()
    for number in range(400):
        fake.say(text=json.dumps({"type": "ping", "id": str(number), "t": 0}))
    await until(fake.incoming.empty)
    fake.reads.set()
    async with asyncio.timeout(5):
        while (event := await fake.heard())["type"] != "websocket.close":
            pass
    assert event["code"] == conversation.TRY_AGAIN_LATER
    await end(task)
    assert steering.connections == 0


async def test_a_frame_that_cannot_be_sent_ends_the_connection() -> None:
    fake, steering = FakeSocket(), hub()
    await fake.socket.accept()
    await fake.heard()
    fake.reads.clear()
    await end(
        asyncio.create_task(
            conversation.converse(WebSocketLine(fake.socket), steering, client=None, can=ALL, send_timeout_s=0.0)
        )
    )
    assert steering.connections == 0


async def test_connections_are_bounded() -> None:
    fake = FakeSocket()
    task = await start(fake, hub(), max_connections=0)
    assert (await fake.heard())["code"] == conversation.TRY_AGAIN_LATER
    await end(task)


async def test_connections_of_one_address_are_bounded_and_given_back() -> None:
    limits, steering = Limits(Rates(address_connections=1)), hub()
    fake, other = FakeSocket(), FakeSocket()
    guest = conversation.Guest(host="192.0.2.7")
    task = await start(fake, steering, limits=limits, guest=guest)
    await fake.heard()
    await end(await start(other, steering, limits=limits, guest=guest))
    closed = await other.heard()
    assert (closed["code"], "your address" in closed["reason"]) == (conversation.TRY_AGAIN_LATER, True)
    fake.leave()
    await end(task)
    again = FakeSocket()
    task = await start(again, steering, limits=limits, guest=guest)
    assert (await again.heard())["type"] == "state"
    again.leave()
    await end(task)


async def test_prompts_of_one_person_are_limited_and_pings_are_not() -> None:
    fake, limits = FakeSocket(), Limits(Rates(prompt=RateLimit(1, 8.0)))
    task = await start(
        fake, hub(), limits=limits, guest=conversation.Guest(voter="token:a", host="192.0.2.7"), now_s=lambda: 50.0
    )
    await fake.heard()
    fake.say(text=encode(PromptSet(id="a", text="rain")))
    assert [(await fake.heard())["type"] for _ in range(3)] == ["received", "accepted", "state"]
    fake.say(text=encode(PromptSet(id="b", text="snow")))
    refused = await fake.heard()
    assert (refused["id"], refused["reason"], refused["retry_after_s"]) == ("b", "rate_limited", 8.0)
    fake.say(text='{"type": "ping", "id": "p", "t": 1}')
    assert (await fake.heard())["type"] == "pong"
    fake.leave()
    await end(task)


class Moment:
    """A moment of the wall clock that comes when the test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.come = asyncio.Event()

    async def __call__(self, unix_s: float) -> None:
        self.asked.append(unix_s)
        await self.come.wait()


async def test_a_token_that_ends_is_told_and_closed_with_1008() -> None:
    fake, steering, moment = FakeSocket(), hub(), Moment()
    task = await start(fake, steering, guest=conversation.Guest(expires_at=1234.0), wait_until=moment)
    assert (await fake.heard())["type"] == "state"
    assert moment.asked == [1234.0]
    fake.say(text='{"type": "ping", "id": "p", "t": 1}')
    assert (await fake.heard())["type"] == "pong"  # until then all goes on
    moment.come.set()
    told, closed = await fake.heard(), await fake.heard()
    assert (told["type"], told["reason"], told["field"]) == ("rejected", "forbidden", "token")
    assert "expired" in told["message"]
    assert (closed["type"], closed["code"]) == ("websocket.close", conversation.POLICY_VIOLATION)
    assert "expired" in closed["reason"]
    await end(task)
    assert steering.connections == 0


async def test_one_who_does_not_read_is_gone_at_the_end_of_their_token_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conversation, "FAREWELL_TIMEOUT_S", 0.0)
    fake, steering, moment = FakeSocket(), hub(), Moment()
    task = await start(fake, steering, guest=conversation.Guest(expires_at=1234.0), wait_until=moment)
    await fake.heard()
    fake.reads.clear()
    moment.come.set()
    await end(task)
    assert steering.connections == 0


async def test_who_leaves_before_the_end_of_their_token_leaves_nothing_behind() -> None:
    fake, moment = FakeSocket(), Moment()
    task = await start(fake, hub(), guest=conversation.Guest(expires_at=1234.0), wait_until=moment)
    await fake.heard()
    fake.leave()
    await end(task)
    assert fake.outgoing.empty()
    assert not [each for each in asyncio.all_tasks() if each.get_name().startswith("steering-")]


async def test_a_cancelled_connection_leaves_nothing_behind() -> None:
    fake, steering = FakeSocket(), hub()
    task = await start(fake, steering)
    await fake.heard()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steering.connections == 0
    assert not [each for each in asyncio.all_tasks() if each.get_name().startswith("steering-")]
