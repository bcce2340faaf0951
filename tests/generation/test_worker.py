import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from streamgen.generation.process import GeneratorProcess, GeneratorSettings
from streamgen.media.layers import Rung
from streamgen.packets import (
    EncodedChunk,
    GeneratorStats,
    Layer,
    PromptQueued,
    PromptSuperseded,
    RequestKeyframe,
    SetConfig,
    SetEpoch,
    SetLayers,
    SetPrompt,
)
from tests.generation.running import LIMIT_S, is_chunk, running, shows, until
from tests.tiny_bundle import write_tiny_bundle
from tests.upscaling import add_upscaler


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> GeneratorSettings:
    return GeneratorSettings(bundle=write_tiny_bundle(tmp_path_factory.mktemp("bundle")), scale=1)


async def test_chunks_come_in_order_and_join(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        ready = generator.ready
        assert (ready.width, ready.height, ready.fps, ready.sample_rate) == (160, 96, (25, 2), 24_000)
        assert ready.chunk_duration_ns == 320_000_000
        assert ready.rungs == (Rung(160, 96, settings.bitrate),)
        assert ready.model == "tiny"
        events = await until(generator, lambda event: is_chunk(event, 5))

    chunks = [event for event in events if isinstance(event, EncodedChunk)]
    assert [chunk.index for chunk in chunks] == list(range(6))
    assert [packet.pts for chunk in chunks for packet in chunk.video] == list(range(0, 24 * 7_200, 7_200))
    audio = [packet.pts for chunk in chunks for packet in chunk.audio]
    assert audio == list(range(audio[0], audio[0] + 960 * len(audio), 960))
    assert chunks[0].video[0].keyframe
    assert all(set(chunk.record.timings_ms) == {"denoise", "decode", "encode", "lead"} for chunk in chunks)
    stats = [event for event in events if isinstance(event, GeneratorStats)]
    assert stats
    assert stats[-1].rss_bytes > 10_000_000
    assert set(stats[-1].stage_p95_ms) == {"denoise", "decode", "encode"}


async def test_nothing_is_made_before_the_epoch_and_what_came_before_it_counts_from_the_start(
    settings: GeneratorSettings,
) -> None:
    async with asyncio.timeout(LIMIT_S), GeneratorProcess(settings) as generator:
        generator.send(SetConfig(guidance=2.0, seed=77))
        generator.send(SetPrompt("first", "a red sun"))
        events = await until(generator, lambda event: isinstance(event, PromptQueued))
        assert not any(isinstance(event, EncodedChunk) for event in events)
        generator.send(SetEpoch(time.monotonic_ns()))
        events = await until(generator, lambda event: is_chunk(event, 0))
    chunk = events[-1]
    assert isinstance(chunk, EncodedChunk)
    assert chunk.record.applied == ("first",)
    assert (chunk.record.prompt, chunk.record.guidance, chunk.record.seed) == ("a red sun", 2.0, 77)
    assert chunk.video == ()  # nobody watches
    assert len(chunk.audio) == 16


async def test_a_burst_of_prompts_coalesces_and_the_last_is_shown(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        await until(generator, lambda event: is_chunk(event, 2))
        names = [f"p{n}" for n in range(40)]
        for name in names:
            generator.send(SetPrompt(name, f"{name} over the sea"))
        events = await until(generator, shows("p39"))
        events += await until(generator, lambda event: isinstance(event, EncodedChunk))

    chunks = [event for event in events if isinstance(event, EncodedChunk)]
    applied = [name for chunk in chunks for name in chunk.record.applied]
    superseded = [event.id for event in events if isinstance(event, PromptSuperseded)]
    assert applied[-1] == "p39"
    assert len(applied) <= 3  # one per chunk at most: the burst lasts far less than a chunk
    assert sorted(applied + superseded) == sorted(names)
    assert chunks[-1].record.prompt_id == "p39"
    assert any(isinstance(event, PromptQueued) and event.id == "p39" and event.eta_ms < 5_000 for event in events)


async def test_text_of_any_kind_is_taken(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        for name, text in {"a": "", "b": "海の上の赤い月", "c": "\ud800 half a pair", "d": "x" * 100_000}.items():
            generator.send(SetPrompt(name, text))
            await until(generator, shows(name))


async def test_keyframe_on_request(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        await until(generator, lambda event: is_chunk(event, 1))
        generator.send(RequestKeyframe(Layer("vp8", 0)))
        events = await until(
            generator, lambda event: isinstance(event, EncodedChunk) and any(p.keyframe for p in event.video)
        )
        assert is_chunk(events[-1], 2) or is_chunk(events[-1], 3)


async def test_layers_of_several_sizes_come_with_their_chunks(settings: GeneratorSettings) -> None:
    layers = [Layer("h264", 1), Layer("vp8", 0), Layer("vp8", 2)]
    async with asyncio.timeout(LIMIT_S), GeneratorProcess(replace(settings, scale=4)) as generator:
        assert [(rung.width, rung.height) for rung in generator.ready.rungs] == [(640, 384), (426, 256), (320, 192)]
        generator.send(SetLayers(frozenset(layers)))
        generator.send(SetEpoch(time.monotonic_ns()))
        events = await until(generator, lambda event: is_chunk(event, 0))
    chunk = events[-1]
    assert isinstance(chunk, EncodedChunk)
    assert [(packet.layer, packet.pts) for packet in chunk.video] == [
        (layer, n * 7_200) for n in range(4) for layer in layers
    ]


async def test_pictures_that_a_graph_enlarges_are_encoded_at_their_size(tmp_path: Path) -> None:
    larger = add_upscaler(write_tiny_bundle(tmp_path), 2).root
    async with running(GeneratorSettings(bundle=larger, scale=1, upscale=True)) as generator:
        assert (generator.ready.width, generator.ready.height) == (320, 192)
        events = await until(generator, lambda event: is_chunk(event, 1))
    chunks = [event for event in events if isinstance(event, EncodedChunk)]
    assert all(len(chunk.video) == 4 for chunk in chunks)
    assert all("upscale" in chunk.record.timings_ms for chunk in chunks)


async def test_a_later_epoch_moves_the_start_of_chunks(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        await until(generator, lambda event: is_chunk(event, 2))
        later_ns = time.monotonic_ns() + 1_000_000_000
        generator.send(SetEpoch(later_ns - 5 * 320_000_000))  # chunk 5 is due in a second
        await until(generator, lambda event: is_chunk(event, 6))
        # Chunk 6 is due 320 ms after chunk 5, and no chunk is made more than one chunk and a bit ahead.
        assert time.monotonic_ns() > later_ns + 320_000_000 - 2 * 320_000_000


async def test_interrupt_is_left_to_the_parent(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        assert generator.pid is not None
        os.kill(generator.pid, signal.SIGINT)
        await until(generator, lambda event: is_chunk(event, 3))
        os.kill(generator.pid, signal.SIGINT)
        await until(generator, lambda event: is_chunk(event, 5))


async def test_memory_is_flat_over_many_chunks(settings: GeneratorSettings) -> None:
    async with asyncio.timeout(LIMIT_S), GeneratorProcess(settings) as generator:
        generator.send(SetLayers(frozenset({Layer("vp8", 0)})))
        generator.send(SetEpoch(time.monotonic_ns() - 3_600 * 10**9))
        process = psutil.Process(generator.pid)
        await until(generator, lambda event: is_chunk(event, 40))
        early = process.memory_info().rss
        await until(generator, lambda event: is_chunk(event, 240))
        assert process.memory_info().rss - early < 6 * 2**20
