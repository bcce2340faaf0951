"""The shell around a viewer's data channel, with a hand-written channel in place of the network."""

import asyncio
from typing import Any

import pytest

from streamgen.access.limits import Limits, Rates
from streamgen.protocol import ProtocolError
from streamgen.steering.conversation import POLICY_VIOLATION, TRY_AGAIN_LATER, Guest, LineClosedError, converse
from streamgen.steering.data_channel import MOST_BUFFERED_BYTES, MOST_EARLY, DataChannelLine, refuse
from streamgen.steering.outbox import MAX_WAITING
from tests.steering.fake_channel import FakeChannel
from tests.steering.test_websocket import ALL, Moment, end, hub, until

LONG = "x" * MOST_BUFFERED_BYTES


def text(number: int) -> str:
    return f'{{"number": {number}, "filling": "{LONG}"}}'


def line(channel: FakeChannel) -> DataChannelLine:
    given: Any = channel
    return DataChannelLine(given)


def serving(channel: FakeChannel, steering: Any, **options: Any) -> "asyncio.Task[None]":
    given: Any = channel
    return asyncio.create_task(converse(DataChannelLine(given), steering, client=None, can=ALL, **options))


async def test_a_conversation_from_beginning_to_end() -> None:
    channel, steering = FakeChannel(), hub()
    task = serving(channel, steering)
    await until(lambda: len(channel.sent) >= 1)
    channel.say(type="prompt.set", id="a", text="rain")
    await until(lambda: len(channel.sent) >= 4)
    assert [each["type"] for each in channel.sent] == ["state", "received", "accepted", "state"]
    channel.emit("message", b"\x00")
    await until(lambda: len(channel.sent) >= 5)
    assert channel.sent[-1]["reason"] == "not_text"
    channel.close()
    await end(task)
    assert steering.connections == 0


async def test_sending_waits_while_too_much_waits() -> None:
    channel = FakeChannel()
    channel.stuck = True
    ours = line(channel)
    assert channel.bufferedAmountLowThreshold == MOST_BUFFERED_BYTES
    sending = asyncio.create_task(ours.send(text(1)))
    await until(lambda: channel.bufferedAmount > 0)
    channel.emit("bufferedamountlow")  # of some moment before
    for _ in range(10):
        await asyncio.sleep(0)
    assert not sending.done()
    channel.drain()
    async with asyncio.timeout(5):
        await sending


async def test_one_who_leaves_while_something_is_sent_is_gone() -> None:
    channel = FakeChannel()
    channel.stuck = True
    ours = line(channel)
    sending = asyncio.create_task(ours.send(text(1)))
    await until(lambda: channel.bufferedAmount > 0)
    channel.close()
    with pytest.raises(LineClosedError):
        await sending
    with pytest.raises(LineClosedError):
        await ours.send("{}")


async def test_a_viewer_that_takes_no_message_of_this_length_is_closed() -> None:
    channel, steering = FakeChannel(longest=10), hub()
    await end(serving(channel, steering))
    assert (channel.readyState, channel.sent, steering.connections) == ("closed", [], 0)


async def test_one_who_does_not_read_is_closed_and_told_that_it_may_come_again() -> None:
    channel, steering = FakeChannel(), hub()
    task = serving(channel, steering)
    await until(lambda: len(channel.sent) >= 1)
    channel.stuck = True
    (connection,) = steering._connections
    for _ in range(2):
        steering.reject(connection, ProtocolError("frame", "invalid", LONG))
    await until(lambda: channel.bufferedAmount > MOST_BUFFERED_BYTES)
    assert len(channel.sent) == 2  # the second waits in the outbox
    for number in range(MAX_WAITING + 1):
        steering.reject(connection, ProtocolError("frame", "invalid", str(number)))
    channel.drain()
    await end(task)
    told = channel.sent[-1]
    assert (told["type"], told["id"], told["reason"], told["field"]) == ("rejected", None, "unavailable", "connection")
    assert "too far behind" in told["message"]
    assert (channel.readyState, steering.connections) == ("closed", 0)


async def test_one_message_that_takes_too_long_ends_it() -> None:
    channel, steering = FakeChannel(), hub()
    channel.stuck = True
    task = serving(channel, steering, send_timeout_s=0.0)
    await until(lambda: steering.connections == 1)
    (connection,) = steering._connections
    steering.reject(connection, ProtocolError("frame", "invalid", LONG))
    await end(task)
    assert (channel.readyState, steering.connections) == ("closed", 0)


async def test_a_message_that_is_too_long_for_the_viewer_is_left_out_and_it_steers_on() -> None:
    channel, steering = FakeChannel(longest=4096), hub()
    task = serving(channel, steering)
    await until(lambda: len(channel.sent) >= 1)
    (connection,) = steering._connections
    steering.reject(connection, ProtocolError("frame", "invalid", "x" * 5000))
    channel.say(type="ping", id="p", t=1.0)
    await until(lambda: channel.sent[-1]["type"] == "pong")
    left_out = channel.sent[-2]
    assert (left_out["type"], left_out["id"], left_out["reason"]) == ("rejected", None, "too_long")
    assert (left_out["field"], channel.readyState) == ("connection", "open")
    channel.close()
    await end(task)


async def test_a_token_that_ends_is_told_once_and_the_channel_closed() -> None:
    channel, moment = FakeChannel(), Moment()
    task = serving(channel, hub(), guest=Guest(expires_at=1234.0), wait_until=moment)
    await until(lambda: len(channel.sent) >= 1)
    assert channel.readyState == "open"
    moment.come.set()
    await end(task)
    (told,) = channel.sent[1:]
    assert (told["type"], told["reason"], told["field"]) == ("rejected", "forbidden", "token")
    assert channel.readyState == "closed"


async def test_too_many_of_one_address_are_told_to_come_later() -> None:
    channel, other, steering = FakeChannel(), FakeChannel(), hub()
    limits, guest = Limits(Rates(address_connections=1)), Guest(host="192.0.2.7")
    task = serving(channel, steering, limits=limits, guest=guest)
    await until(lambda: steering.connections == 1)
    await end(serving(other, steering, limits=limits, guest=guest))
    assert [each["reason"] for each in other.sent] == ["unavailable"]
    assert other.readyState == "closed"
    channel.close()
    await end(task)


async def test_frames_that_nobody_listens_to_yet_are_kept_up_to_a_bound() -> None:
    patient, flooded = FakeChannel(), FakeChannel()
    ours = line(patient)
    line(flooded)
    for number in range(MOST_EARLY):
        patient.say(number=number)
        flooded.say(number=number)
    assert flooded.readyState == "open"
    flooded.say(number=MOST_EARLY)
    assert flooded.readyState == "closed"
    heard: list[str | bytes] = []
    listening = asyncio.create_task(ours.listen(heard.append))
    await until(lambda: len(heard) == MOST_EARLY)
    patient.say(number=-1)
    assert heard[-1] == '{"number": -1}'
    patient.close()
    await end(listening)


async def test_nothing_is_heard_on_a_channel_that_closes() -> None:
    channel = FakeChannel()
    heard: list[str | bytes] = []
    listening = asyncio.create_task(line(channel).listen(heard.append))
    await asyncio.sleep(0)
    channel.say(number=1)
    channel.readyState = "closing"
    channel.say(number=2)
    assert heard == ['{"number": 1}']
    channel.emit("close")
    await end(listening)


async def test_closing_says_why_where_nothing_has_been_said() -> None:
    for code, said in ((POLICY_VIOLATION, []), (TRY_AGAIN_LATER, ["unavailable"])):
        channel = FakeChannel()
        await line(channel).close(code, "so it is")
        assert ([each["reason"] for each in channel.sent], channel.readyState) == (said, "closed")
    refused: Any = FakeChannel()
    await refuse(refused, "not from here")
    (told,) = refused.sent
    assert (told["reason"], told["field"], told["message"]) == ("forbidden", "token", "not from here")
    assert refused.readyState == "closed"
    gone: Any = FakeChannel()
    gone.close()
    await refuse(gone, "not from here")  # nobody to tell
