"""The timeline on a whole channel with the tiny bundle: exact chunks, restarts, pauses, and the log made again."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from streamgen.log.contents import ChunkMade
from streamgen.log.reader import LogReader
from streamgen.log.writer import ChannelLog
from streamgen.packets import ChunkRecord
from streamgen.protocol import (
    MAX_ENTRIES,
    Applied,
    At,
    Buffering,
    ConfigUpdate,
    Pause,
    Permission,
    Play,
    PromptSet,
    Queued,
    Reset,
    Schedule,
    ScheduledPrompt,
    ServerMessage,
    Timeline,
    TimelineDocument,
    TimelineLoad,
)
from streamgen.steering.hub import Connection
from streamgen_engines.bundle import Bundle
from streamgen_engines.condition import Condition
from streamgen_engines.families import load
from tests.replayed import replayed
from tests.taped_channel import TapedChannel, answers, running
from tests.tiny_bundle import write_tiny_bundle

OPERATOR: frozenset[Permission] = frozenset({"prompt", "schedule", "config"})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"))


def schedule(id: str, at: At, text: str, target: str = "av", **more: object) -> Schedule:
    prompt = ScheduledPrompt.model_validate({"text": text, "target": target})
    return Schedule.model_validate({"id": id, "at": at, "prompt": prompt, **more})


def applied(id: str, message: ServerMessage) -> bool:
    return isinstance(message, Applied) and message.id == id


def first_with(channel: TapedChannel, id: str) -> ChunkRecord:
    return next(record for record in channel.records if record.prompt_id == id)


def connected(channel: TapedChannel) -> Connection:
    return channel.steering.connect("op", OPERATOR)


async def test_scheduled_prompts_are_in_the_media_at_their_exact_chunks_and_are_made_again_from_the_log(
    bundle: Path, tmp_path: Path
) -> None:
    with ChannelLog(tmp_path, "main") as log:
        async with running(bundle, prompt="", log=log) as channel:
            await channel.until_live(2)
            operator = connected(channel)
            now = channel.records[-1].place
            wanted = {"a": (now + 8, "rain"), "b": (now + 9, "snow"), "c": (now + 11, "fire")}
            for id, (chunk, text) in wanted.items():
                channel.steering.take(operator, schedule(id, At(chunk=chunk), text))
            heard = await answers(operator, lambda message: applied("c", message))
            for id, (chunk, text) in wanted.items():
                record = first_with(channel, id)
                assert (record.place, record.prompt, record.applied) == (chunk, text, (id,))
            kinds = [(each.type, each.id) for each in heard if isinstance(each, Applied | Queued)]
            assert sorted(kinds) == sorted((kind, id) for id in "abc" for kind in ("applied", "queued"))
            queued = next(each for each in heard if isinstance(each, Queued) and each.id == "a")
            assert queued.eta_ms > 1_000, "it was encoded long before its time"
            assert not channel.steering.session.timeline().document.entries

    opened = Bundle.open(bundle)
    contents = [each.content for each in LogReader(tmp_path, "main")]
    made = [each for each in contents if isinstance(each, ChunkMade)]
    # What a generator makes that is told the same, chunk by chunk, and nothing else.
    model = load(opened, seed=0)
    again = list(replayed(contents, opened))
    told = dict(wanted.values())
    text = ""
    for content, latents in zip(made, again, strict=True):
        text = told.get(content.chunk, text)
        expected = model.generator.step(
            Condition(model.text.encode(text), guidance=content.guidance, steps=content.steps)
        )
        assert np.array_equal(latents.video, expected.video)
        assert np.array_equal(latents.audio, expected.audio)


async def test_a_prompt_at_a_media_time_is_in_the_first_chunk_that_starts_then_or_later(bundle: Path) -> None:
    async with running(bundle, prompt="") as channel:
        await channel.until_live(3)
        operator = connected(channel)
        at_s = channel.records[-1].media_time_s + 3.0
        channel.steering.take(operator, schedule("a", At(media_time=at_s), "rain"))
        channel.steering.take(operator, PromptSet(id="live", text="a desert"))
        await answers(operator, lambda message: applied("a", message))
        record = first_with(channel, "a")
        before = channel.records[channel.records.index(record) - 1]
        assert record.media_time_s >= at_s - 1e-6
        assert before.prompt_id == "live", "what was sent plays until then"
        assert before.media_time_s < at_s or channel.stats().underruns > 0


async def test_a_new_generator_goes_on_with_the_timeline(bundle: Path) -> None:
    async with running(bundle, prompt="a red sun") as channel:
        await channel.until_live(2)
        operator = connected(channel)
        at_s = channel.records[-1].media_time_s + 0.8
        channel.steering.take(operator, schedule("soon", At(media_time=at_s), "rain"))
        channel.steering.take(operator, schedule("later", At(media_time=at_s + 30.0), "snow"))
        assert channel.generator_pid is not None
        os.kill(channel.generator_pid, signal.SIGKILL)
        heard = await answers(operator, lambda message: applied("soon", message))
        assert isinstance(heard[-1], Applied)
        assert heard[-1].media_time >= at_s - 1e-6
        places = [record.place for record in channel.records]
        assert places == sorted(set(places)), "chunks are counted over the channel's life"
        assert heard[-1].chunk == first_with(channel, "soon").place
        assert [each.id for each in channel.steering.session.timeline().document.entries] == ["later"]


async def test_a_pause_holds_the_programme_without_underruns_and_play_goes_on_with_the_next_chunk(
    bundle: Path,
) -> None:
    async with running(bundle, silence_timeout_s=3.0) as channel:
        await channel.until_live(3)
        operator = connected(channel)
        underruns, restarts = channel.stats().underruns, channel.stats().restarts
        channel.steering.take(operator, Pause(id="p"))
        heard = await answers(operator, lambda each: isinstance(each, Buffering) and each.active)
        assert heard[-1].reason == "paused"  # type: ignore[union-attr]
        assert channel.steering.state().paused
        last, media_s = channel.records[-1].place, channel.media_time_s
        # Longer than a generator may say nothing.
        await channel.until(lambda: channel.media_time_s > media_s + 4.0)
        assert channel.records[-1].place == last
        channel.steering.take(operator, Play(id="q"))
        await channel.until_live(2)
        assert [record.place for record in channel.records[-2:]] == [last + 1, last + 2]
        assert (channel.stats().underruns, channel.stats().restarts) == (underruns, restarts)
        assert not channel.steering.state().paused


async def test_a_pause_full_of_commands_is_no_silence(bundle: Path) -> None:
    async with running(bundle, silence_timeout_s=3.0) as channel:
        await channel.until_live(2)
        operator = connected(channel)
        restarts = channel.stats().restarts
        channel.steering.take(operator, Pause(id="p"))
        await answers(operator, lambda each: isinstance(each, Buffering) and each.active)
        media_s, number = channel.media_time_s, 0

        def turning_a_knob() -> bool:
            nonlocal number
            while number < 2 * (channel.media_time_s - media_s):  # twice a second: nothing of it is answered
                number += 1
                channel.steering.take(operator, ConfigUpdate(id=f"c{number}", guidance=1.0 + number / 10))
            return channel.media_time_s > media_s + 5.0

        await channel.until(turning_a_knob)
        channel.steering.take(operator, Play(id="q"))
        await channel.until_live(1)
        assert channel.stats().restarts == restarts
        assert number >= 10


async def test_a_full_timeline_is_loaded_and_outlives_the_generator(bundle: Path) -> None:
    def entry(number: int) -> dict[str, object]:
        text = f"picture {number % 40}"
        return {"id": f"e{number}", "at": {"media_time": 5000 + number}, "action": {"type": "prompt", "text": text}}

    document = TimelineDocument.model_validate({"entries": [entry(number) for number in range(MAX_ENTRIES)]})
    async with running(bundle) as channel:
        await channel.until_live(2)
        operator = connected(channel)
        restarts = channel.stats().restarts
        for number in range(3):
            channel.steering.take(operator, TimelineLoad(id=f"load {number}", document=document))
        await channel.until_live(2)
        assert channel.stats().restarts == restarts
        assert channel.generator_pid is not None
        os.kill(channel.generator_pid, signal.SIGKILL)
        await channel.until(lambda: channel.stats().restarts == restarts + 1)
        await channel.until_live(3)
        assert channel.stats().restarts == restarts + 1
        assert len(channel.steering.session.timeline().document.entries) == MAX_ENTRIES


async def test_a_reset_drops_the_context_with_one_chunk_and_keeps_the_prompt(bundle: Path) -> None:
    async with running(bundle, prompt="a red sun") as channel:
        await channel.until_live(2)
        operator = connected(channel)
        channel.steering.take(operator, Reset(id="r"))
        heard = await answers(operator, lambda message: applied("r", message))
        await channel.until_live(2)
        cut = [record for record in channel.records if record.cut]
        assert [(each.applied, each.prompt) for each in cut] == [(("r",), "a red sun")]
        assert isinstance(heard[-1], Applied)
        assert heard[-1].chunk == cut[0].place


async def test_picture_and_sound_are_steered_at_once_and_neither_supersedes_the_other(bundle: Path) -> None:
    async with running(bundle, prompt="a red sun") as channel:
        await channel.until_live(2)
        operator = connected(channel)
        channel.steering.take(operator, PromptSet(id="sound", text="drums", target="audio"))
        channel.steering.take(operator, PromptSet(id="picture", text="a city", target="video"))
        heard: list[ServerMessage] = []
        while len({each.id for each in heard if isinstance(each, Applied)}) < 2:
            heard.append(await operator.outbox.get())
        assert not [each for each in heard if each.type == "superseded"]
        state = channel.steering.state()
        assert (state.prompt, state.sound, state.prompt_id) == ("a city", "drums", "picture")
        await channel.until_live(2)
        assert channel.records[-1].sound, "told apart"


def over(message: ServerMessage) -> bool:
    return isinstance(message, Timeline) and not message.document.entries


async def test_a_loop_comes_again_and_again_until_it_is_taken_off(bundle: Path) -> None:
    async with running(bundle, prompt="") as channel:
        await channel.until_live(2)
        operator = connected(channel)
        first = channel.records[-1].place + 6
        channel.steering.take(operator, schedule("a", At(chunk=first), "rain", loop={"every": 4.0, "times": 3}))
        channel.steering.take(operator, schedule("b", At(chunk=first + 2), "snow", loop={"every": 4.0, "times": 3}))
        await channel.until(lambda: bool(channel.records[-1].place >= first + 11))
        assert [record.place - first for record in channel.records if record.applied == ("a",)] == [0, 4, 8]
        assert [record.place - first for record in channel.records if record.applied == ("b",)] == [2, 6, 10]
        heard = [await operator.outbox.get() for _ in range(len(operator.outbox))]
        assert [each.id for each in heard if isinstance(each, Applied)] == ["a", "b"]
        if not any(over(each) for each in heard):  # what merely occurs is told within a second
            await answers(operator, over)
