import asyncio

import pytest
from websockets.asyncio.server import ServerConnection, serve

import streamgen_client
from streamgen.packets import ClearTimeline, DropContext, ScheduleEntry, SetConfig, SetPaused, SetPrompt
from streamgen.protocol import At, Chunk, Loop, PanicAction, State, TimelineDocument, encode
from streamgen_client.errors import RejectedError, SupersededError
from streamgen_client.lines import WebSocketLine
from streamgen_client.steer import OUTBOX_MESSAGES, Steering
from tests.client.station import on_air

TOKEN = "the-operator's-token"
ACTIONS: tuple[PanicAction, ...] = ("black", "off")


async def test_state_is_there_at_once() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        assert (steering.state.channel, steering.state.prompt) == ("main", "calm sea")
        assert set(steering.state.can) == {"prompt", "config", "panic", "moderate", "schedule"}


async def test_prompt_is_awaited_until_it_is_in_the_media() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        async with asyncio.timeout(30):
            request = steering.prompt("heavy rain", cut=True)
            applied = await request
            assert [event.type async for event in request] == ["received", "accepted", "queued", "applied"]
        assert applied.id == request.id
        assert applied.rtp_video == round(applied.media_time * 90_000)
        command = station.commands[-1]
        assert isinstance(command, SetPrompt)
        assert (command.text, command.cut) == ("heavy rain", True)
        assert request.sent_s is not None


async def test_knobs_go_with_a_prompt() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        station.steering.offer({"camera": ["still", "left"]})
        request = steering.prompt("heavy rain", knobs={"camera": "left"})
        async with asyncio.timeout(30):
            async for event in request:
                if event.type == "accepted":
                    break
        command = station.commands[-1]
        assert isinstance(command, SetPrompt)
        assert command.knobs == {"camera": "left"}
        assert steering.state.choices == {"camera": ("still", "left")}


async def test_a_blend_on_its_way_for_the_picture_alone() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        request = steering.prompt({"rain": 3, "snow": 1}, target="video", transition_ms=800, keep=2, recache=False)
        async with asyncio.timeout(30):
            await request
        command = station.commands[-1]
        assert isinstance(command, SetPrompt)
        assert command.blend == (("rain", 3.0), ("snow", 1.0))
        assert (command.target, command.transition_ms, command.keep, command.recache) == ("video", 800, 2, False)


async def test_panic_is_there_at_once_and_taken_back() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        told, covers = len(station.commands), []
        async with asyncio.timeout(30):
            for action in ACTIONS:
                await steering.panic(action)
                await steering.ping()  # its answer comes behind the state
                covers.append(steering.state.cover)
        assert covers == ["black", "none"]
        assert len(station.commands) == told, "the generator has nothing to do with it"


async def test_what_is_not_held_cannot_be_approved() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        for request in (steering.approve("a81c"), steering.reject("a81c", "not tonight")):
            async with asyncio.timeout(30):
                with pytest.raises(RejectedError, match="a81c is not held"):
                    await request


async def test_settings() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        request = steering.configure(guidance=2.5)
        async with asyncio.timeout(30):
            async for event in request:
                if event.type == "accepted":
                    break
        assert station.commands[-1] == SetConfig(guidance=2.5, seed=None)


async def test_a_burst_is_settled_and_the_last_one_wins() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        requests = [steering.prompt(f"picture {number}") for number in range(8)]
        async with asyncio.timeout(30):
            outcomes = await asyncio.gather(*requests, return_exceptions=True)
        assert not isinstance(outcomes[-1], BaseException)
        assert all(
            isinstance(outcome, streamgen_client.SupersededError) or not isinstance(outcome, BaseException)
            for outcome in outcomes
        )


@pytest.mark.parametrize(("text", "reason"), [("", "empty"), (" \n ", "empty"), ("x" * 501, "too_long")])
async def test_text_that_cannot_be_sent(text: str, reason: str) -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        with pytest.raises(streamgen_client.RejectedError) as caught:
            steering.prompt(text)
        assert (caught.value.answer.reason, caught.value.answer.field) == (reason, "text")


async def test_messages_of_the_channel() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        chunks: list[int] = []
        async with asyncio.timeout(30):
            async for message in steering.messages():
                if isinstance(message, Chunk):
                    chunks.append(message.index)
                    if len(chunks) == 3:
                        break
        assert chunks == sorted(set(chunks))


async def test_ping_tells_the_media_time() -> None:
    async with on_air(start=125) as station, streamgen_client.connect(station.url) as client:
        async with client.steer() as steering, asyncio.timeout(30):
            first, second = await steering.ping(), await steering.ping()
        assert 10 <= first.server_media_time <= second.server_media_time
        assert first.t < second.t


async def test_without_the_token_one_may_look_but_not_steer() -> None:
    async with on_air(token=TOKEN) as station, streamgen_client.connect(station.url) as client:
        async with client.steer() as steering, asyncio.timeout(30):
            assert steering.state.can == ()
            with pytest.raises(streamgen_client.RejectedError) as caught:
                await steering.prompt("heavy rain")
        assert caught.value.answer.reason == "forbidden"
        assert all(command.text == "calm sea" for command in station.commands if isinstance(command, SetPrompt))


async def test_with_the_token_one_may_steer() -> None:
    async with (
        on_air(token=TOKEN) as station,
        streamgen_client.connect(station.url, TOKEN) as client,
        client.steer() as steering,
        asyncio.timeout(30),
    ):
        await steering.prompt("heavy rain")


async def test_token_in_the_pasted_link() -> None:
    async with (
        on_air(token=TOKEN) as station,
        streamgen_client.connect(f"{station.url}/?token={TOKEN}") as client,
        client.steer() as steering,
    ):
        assert set(steering.state.can) == {"prompt", "config", "panic", "moderate", "schedule"}


async def test_wrong_token_is_refused_with_the_servers_words() -> None:
    async with on_air(token=TOKEN) as station, streamgen_client.connect(station.url, "wrong") as client:
        with pytest.raises(streamgen_client.RefusedError, match="Wrong token"):
            await client.steer().__aenter__()


async def test_channel_that_closes_rejects_what_is_open() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        station.hold = True  # nothing is applied any more
        request = steering.prompt("heavy rain")
        async with asyncio.timeout(30):
            async for event in request:
                if event.type == "accepted":
                    break
            station.steering.close()
            with pytest.raises(streamgen_client.RejectedError, match="closed"):
                await request


async def test_lost_server_fails_what_is_open() -> None:
    received: list[str | bytes] = []

    async def vanish(connection: ServerConnection) -> None:
        await connection.send(encode(State(revision=1, channel="main", status="live", prompt="calm sea")))
        await connection.send('{"type": "from-the-future"}')
        received.append(await connection.recv())
        connection.transport.abort()

    async with serve(vanish, "127.0.0.1", 0) as server, asyncio.timeout(30):
        port = next(iter(server.sockets)).getsockname()[1]
        async with Steering(WebSocketLine(f"ws://127.0.0.1:{port}/steer/main")) as steering:
            reading = asyncio.create_task(_read_all(steering))
            request = steering.prompt("heavy rain")
            with pytest.raises(streamgen_client.ConnectionLostError, match="connect again"):
                await request
            with pytest.raises(streamgen_client.ConnectionLostError):
                await reading
            with pytest.raises(streamgen_client.ConnectionLostError):
                steering.prompt("too late")
            assert steering.unknown_messages == 1
    assert len(received) == 1


async def _read_all(steering: Steering) -> None:
    async for _ in steering.messages():
        pass


async def test_closing_fails_what_is_open_and_is_idempotent() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client:
        station.hold = True
        async with client.steer() as steering:
            request = steering.prompt("heavy rain")
        await steering.close()
        with pytest.raises(streamgen_client.ConnectionLostError, match="this side"):
            await request


async def test_outbox_is_bounded() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        # The writer has no turn in between.
        for number in range(OUTBOX_MESSAGES):
            steering.prompt(f"picture {number}")
        with pytest.raises(streamgen_client.OutboxFullError, match="await some"):
            steering.prompt("one more")


async def test_nobody_there() -> None:
    with pytest.raises(streamgen_client.UnreachableError, match="streamgen serve"):
        await streamgen_client.connect("http://127.0.0.1:9").__aenter__()


async def test_unknown_channel() -> None:
    async with on_air() as station, streamgen_client.connect(station.url, channel="other") as client:
        with pytest.raises(streamgen_client.RefusedError):
            await client.steer().__aenter__()
        with pytest.raises(streamgen_client.RefusedError):
            await client.watch().__aenter__()


async def test_a_prompt_is_scheduled_edited_looped_and_taken_off() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        async with asyncio.timeout(30):
            await steering.set_tempo(120.0, beat=0.0)
            entry = steering.schedule({"rain": 1, "snow": 2}, At(beat=1e6), target="audio", loop=Loop(every=8.0))
            edit = steering.schedule("snow", At(chunk=10**6), transition_ms=500, replace=entry.id)
            with pytest.raises(SupersededError):
                await entry
            await steering.loop([edit.id], 4.0, times=3)
            await steering.clear_timeline()
            with pytest.raises(SupersededError):
                await edit
        sent = [each for each in station.commands if isinstance(each, ScheduleEntry)]
        texts = [each.prompt.text for each in sent if each.prompt is not None]
        assert texts == ["33 % rain + 67 % snow", "snow", "snow"]
        assert isinstance(station.commands[-1], ClearTimeline)


async def test_a_timeline_is_taken_home_and_loaded_again() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        document = TimelineDocument.model_validate(
            {"entries": [{"id": "a", "at": {"chunk": 10**6}, "action": {"type": "prompt", "text": "rain"}}]}
        )
        async with asyncio.timeout(30):
            await steering.load_timeline(document)
            while steering.timeline is None or not steering.timeline.document.entries:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0)
            assert steering.timeline.document == document
            await steering.unschedule("a")
            await steering.pause()
            assert SetPaused(True) in station.commands
            await steering.play()
        assert station.commands[-1] == SetPaused(False)


async def test_a_reset_is_asked_for() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        request = steering.reset()
        async with asyncio.timeout(30):
            async for event in request:
                if event.type == "accepted":
                    break
        assert station.commands[-1] == DropContext(request.id)


async def test_connections_of_one_name_are_one_client() -> None:
    async def until_it_plays(steering: Steering) -> list[str]:
        types: list[str] = []
        async for message in steering.messages():
            types.append(message.type)
            if message.type == "chunk" and message.prompt == "rain":
                break
        return types

    async with (
        on_air() as station,
        streamgen_client.connect(station.url) as client,
        client.steer(name="ann / 7") as first,
        client.steer(name="ann / 7") as second,
        client.steer() as other,
        asyncio.timeout(20),
    ):
        own, others = (asyncio.create_task(until_it_plays(each)) for each in (second, other))
        await asyncio.sleep(0)  # so that they listen
        await first.prompt("rain")
        assert {"received", "accepted", "queued", "applied"} <= set(await own)
        assert set(await others) <= {"state", "chunk", "buffering"}
