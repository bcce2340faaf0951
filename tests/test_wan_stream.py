"""A wan bundle goes the whole way: stages, a file, the generator's process, a log and its replay."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamgen.doctor import check_bundle
from streamgen.generation.denoise_stage import DenoiseStage
from streamgen.generation.pipeline import Pipeline
from streamgen.generation.process import GeneratorProcess, GeneratorSettings
from streamgen.generation.prompts import Taken
from streamgen.generation.schedule import Plan
from streamgen.generation.start_picture import start_picture
from streamgen.generation.worker import Worker, _Outbox, _warm_up
from streamgen.http.server import moderation
from streamgen.log.contents import ChunkMade, Content, GeneratorStarted
from streamgen.log.fingerprint import fingerprint
from streamgen.log.reader import LogReader
from streamgen.log.writer import ChannelLog
from streamgen.media.audio_encoder import silence
from streamgen.media.clock import MediaClock
from streamgen.media.pacing import Pacing, Release, Shifted
from streamgen.media.slate import make_black
from streamgen.packets import (
    AudioPacket,
    ChunkRecord,
    EncodedChunk,
    Layer,
    SetConfig,
    SetEpoch,
    SetLayers,
    SetPrompt,
    VideoPacket,
)
from streamgen.render import render
from streamgen.replay_file import replay_to_file
from streamgen.settings import Settings
from streamgen.speed import measure
from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import LatentChunk
from streamgen_engines.condition import Condition
from streamgen_engines.errors import MissingGraphError
from streamgen_engines.families import WanDecoder, load
from tests.counting_engine import CountingEngine
from tests.generation.running import LIMIT_S, is_chunk, shows, until
from tests.media.decoding import decode_opus
from tests.replayed import replayed
from tests.tiny_wan_bundle import write_tiny_wan_bundle

VP8 = frozenset({Layer("vp8", 0)})
_CRUEL = "bodies lie in their own blood after the attack"
PICTURE_TICKS = 5_625  # 90 kHz at 16 a second
CHUNK_SAMPLES = 36_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_wan_bundle(tmp_path_factory.mktemp("wan") / "tiny")


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return Bundle.open(folder)


@pytest.fixture
def pipeline(bundle: Bundle) -> Iterator[Pipeline]:
    with Pipeline(load(bundle), scale=2, seed=3) as made:
        yield made


def test_picture_and_sound_of_a_stream_are_exact_though_a_chunk_is_no_whole_number_of_packets(
    pipeline: Pipeline,
) -> None:
    pipeline.set_prompt(SetPrompt("a", "a calm sea"))
    chunks = [pipeline.next_encoded(VP8) for _ in range(6)]
    assert [len(chunk.audio) for chunk in chunks] == [37, 38, 37, 38, 37, 38]
    sound = [packet.pts for chunk in chunks for packet in chunk.audio]
    assert sound == list(range(sound[0], sound[0] + 960 * len(sound), 960))
    assert sound[0] + 960 * len(sound) == 6 * CHUNK_SAMPLES + sound[0]
    pictures = [packet.pts for chunk in chunks for packet in chunk.video]
    assert pictures == list(range(0, 72 * PICTURE_TICKS, PICTURE_TICKS))
    for chunk in chunks:
        heard = decode_opus([*(packet.data for packet in chunk.audio), *chunk.fade])
        assert np.abs(heard).max() < 1e-3
        # No packet of a chunk is due before what the schedule reckons with.
        due = chunk.audio[0].pts * 90 // 48 - chunk.record.pts
        assert -pipeline._encode.sound_delay * 90 // 48 <= due <= 0


def test_the_pacer_plays_such_chunks_without_a_gap(pipeline: Pipeline) -> None:
    black = make_black(pipeline._encode.rungs, fps=(16, 1), sample_rate=48_000)
    pacing = Pacing(MediaClock(1_000_000_000), slate=black, silence=silence())
    released: list[Release] = []
    for _ in range(6):
        pacing.put(pipeline.next_encoded(VP8))
        while pacing.waiting:  # the next one comes while this one plays
            released += pacing.release(pacing.next_due_ns())
    sounds = [each.pts for each in released if isinstance(each, AudioPacket)]
    assert sounds == list(range(sounds[0], sounds[0] + 960 * len(sounds), 960))
    began = next(n for n, each in enumerate(released) if isinstance(each, ChunkRecord))
    records = [each.pts for each in released if isinstance(each, ChunkRecord)]
    pictures = [each.pts for each in released[began:] if isinstance(each, VideoPacket) and each.layer in VP8]
    assert pictures == list(range(records[0], records[0] + PICTURE_TICKS * len(pictures), PICTURE_TICKS))
    assert len(pictures) >= 48
    assert records == pictures[::12][: len(records)]
    assert sum(isinstance(each, Shifted) for each in released) <= 1  # where the programme began
    assert (pacing.underruns, pacing.filled_slots) == (0, 0)


def test_a_sound_that_lasts_another_time_is_still_refused(pipeline: Pipeline) -> None:
    black = make_black(pipeline._encode.rungs, fps=(16, 1), sample_rate=48_000)
    pacing = Pacing(MediaClock(0), slate=black, silence=silence())
    chunk = pipeline.next_encoded(VP8)
    for audio in (chunk.audio[:-1], (*chunk.audio, *chunk.audio[:2])):
        with pytest.raises(ValueError, match=r"3[69] packets of sound for 67500 ticks"):
            pacing.put(replace(chunk, audio=audio))


def test_guidance_is_left_out_and_the_record_says_so(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    model = load(bundle)
    stage = DenoiseStage(model.generator, bundle.manifest, model.text.encode(""))
    made = [stage.make(guidance=3.0) for _ in range(3)]
    assert [each.record.guidance for each in made] == [1.0] * 3
    assert [each.per_step for each in made] == [1] * 3
    assert [record.message for record in caplog.records] == [
        "guidance 3 is left out: this model is distilled, and has one pass per step without it"
    ]


def test_the_schedule_is_told_of_passes_that_read_the_past_again(tmp_path: Path) -> None:
    bundle = Bundle.open(write_tiny_wan_bundle(tmp_path / "tiny", switch="recache"))
    model = load(bundle)
    stage = DenoiseStage(model.generator, bundle.manifest, model.text.encode(""))
    made = [stage.make().passes for _ in range(5)]
    request = SetPrompt("a", "a campfire")
    foreseen = [stage.extra_passes([]), stage.extra_passes([request])]
    taken = Taken(request, model.text.encode("a campfire"))
    assert [*made, stage.make([taken]).passes, stage.make().passes] == [5, 5, 5, 5, 5, 5 + 2, 5]
    assert foreseen == [0, 3]
    for asked in (SetPrompt("b", "snow", recache=False), SetPrompt("b", "snow", cut=True)):
        assert stage.extra_passes([asked]) == 0


def test_the_worker_plans_with_these_passes_and_measures_by_those_that_were_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tiny_wan_bundle(tmp_path / "tiny", switch="recache")
    model = load(Bundle.open(folder))
    ours, theirs = Pipe()
    worker = Worker(model, GeneratorSettings(bundle=folder, scale=2), _Outbox(theirs))
    worker._schedule.epoch_ns = time.monotonic_ns()
    planned: list[int] = []
    measured: list[int | None] = []
    plan = worker._schedule.plan

    def noted(*arguments: Any, extra_passes: int, **more: Any) -> Plan | None:
        planned.append(extra_passes)
        return plan(*arguments, extra_passes=extra_passes, **more)

    monkeypatch.setattr(worker._schedule, "plan", noted)
    monkeypatch.setattr(worker._schedule, "denoised", lambda *_, made, **__: measured.append(made))
    for prompts in ((), (SetPrompt("a", "a campfire"),)):
        for prompt in prompts:
            worker._turns.obey(prompt)
            request = worker._turns.begin_encoding(0.0)
            assert request is prompt
            told = model.text.encode(prompt.text)
            worker._turns.encoded(request, told, None, media_time_s=0.0, eta_ms=0.0)
        turn = worker._next_turn()
        assert turn is not None
        turns = iter([turn, None])
        with monkeypatch.context() as once:
            once.setattr(worker, "_next_turn", lambda turns=turns: next(turns))
            worker._denoised = None
            worker._run_denoise()
    assert (planned, measured) == ([0, 3], [5, 5 + 1])  # of one chunk in sight
    worker._encode.close()
    ours.close()
    theirs.close()


def test_a_warm_up_runs_every_decoder_twice_where_it_can_and_leaves_no_trace(tmp_path: Path) -> None:
    """One latent frame a chunk: the first chunk is decoded by a graph of its own alone."""
    bundle = Bundle.open(write_tiny_wan_bundle(tmp_path / "tiny", chunk=1, window=3, sink=1))
    model, fresh = load(bundle), load(bundle)
    decoder = model.decoder
    assert isinstance(decoder, WanDecoder)
    counting = CountingEngine(decoder._steady)
    decoder._steady = counting
    _warm_up(model)
    assert counting.runs == 2  # a GPU records the second one
    prompt = model.text.encode("a calm sea")
    for _ in range(3):
        chunks = [each.decoder.decode(each.generator.step(Condition(prompt))) for each in (model, fresh)]
        assert np.array_equal(chunks[0].video, chunks[1].video)


def test_a_sound_of_its_own_costs_no_passes(bundle: Bundle) -> None:
    text = load(bundle).text
    condition = Condition(text.encode("rain"), sound=text.encode("thunder"))
    assert condition.passes_per_step(guided=False, joint=False) == 1
    assert condition.passes_per_step(guided=False) == 2


def test_a_file_is_rendered(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    report = render(folder, ["a red ball", "@0.75 calm sea at night"], 2.0, out, scale=2, seed=5)
    assert (report.pictures, report.seconds) == (32, 2.0)
    assert [record.prompt for record in report.records] == ["a red ball", "calm sea at night", "calm sea at night"]
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 32
    with av.open(str(out)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples / 48_000 == pytest.approx(2.0, abs=0.03)


def test_it_cannot_start_from_a_picture_and_says_so(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(MissingGraphError, match="bundle tiny-wan cannot start from a picture"):
        start_picture(bundle, tmp_path / "picture.png")


def test_doctor_and_speed_take_it_as_any_other(bundle: Bundle, folder: Path) -> None:
    assert check_bundle(folder).verdict == "ok"
    speed = measure(bundle, chunks=1)
    assert (speed.steps, speed.chunk_ms) == (4, 750.0)


async def test_a_generator_process_plays_it_and_its_log_gives_the_same_pictures(
    folder: Path, bundle: Bundle, tmp_path: Path
) -> None:
    """Every mode of a change, asked for as a channel does, and then made again from the records."""
    asked = [
        SetPrompt("sea", "calm sea at night"),
        SetPrompt("again", "a campfire", recache=True),
        SetPrompt("way", "snow", transition_ms=1500.0, recache=True),
        SetPrompt("cut", "a red ball", cut=True),
        SetPrompt("less", "fast cars", keep=1),
    ]
    chunks: list[EncodedChunk] = []
    settings = GeneratorSettings(bundle=folder, scale=2, seed=11)
    async with asyncio.timeout(LIMIT_S), GeneratorProcess(settings) as generator:
        assert (generator.ready.fps, generator.ready.sample_rate) == ((16, 1), 48_000)
        assert generator.ready.chunk_duration_ns == 750_000_000
        generator.send(SetLayers(VP8))
        generator.send(SetConfig(guidance=2.0))
        generator.send(SetEpoch(time.monotonic_ns() - 3_600 * 10**9))  # late already: it never waits
        for prompt in asked:
            generator.send(prompt)
            events = await until(generator, shows(prompt.id))
            last = events[-1]
            assert isinstance(last, EncodedChunk)
            events += await until(generator, lambda event, n=last.index + 3: is_chunk(event, n))  # type: ignore[misc]
            chunks += [event for event in events if isinstance(event, EncodedChunk)]

    records = [chunk.record for chunk in chunks]
    assert [record.chunk for record in records] == list(range(len(records)))
    by_id = {name: record for record in records for name in record.applied}
    assert by_id.keys() == {prompt.id for prompt in asked}
    assert (by_id["again"].recache, by_id["cut"].cut, by_id["less"].keep) == (True, True, 1)
    way = records[by_id["way"].chunk : by_id["way"].chunk + 3]
    assert [[round(share, 2) for _, share in record.told] for record in way] == [[0.5, 0.5], [1.0], [1.0]]
    assert [(record.recache, record.keep, record.alone_above) for record in way] == [
        (None, None, None),
        (True, None, None),
        (None, None, None),
    ]
    assert {record.guidance for record in records} == {1.0}

    started = GeneratorStarted(life=1, bundle="tiny-wan", fingerprint=fingerprint(bundle.manifest), seed=11)
    contents: list[Content] = [started, *(ChunkMade.of(record, 1) for record in records)]
    with ChannelLog(tmp_path, "main") as log:
        for content in contents:
            log.add(content, 0.0)
    read = [each.content for each in LogReader(tmp_path, "main")]
    made, again = list(replayed(read, bundle)), list(replayed(contents, bundle))
    assert all(_equal(a, b) for a, b in zip(made, again, strict=True))
    # What the process has shown is what the replay decodes.
    out = tmp_path / "replayed.mp4"
    assert replay_to_file(tmp_path, "main", folder, out, scale=2) == (len(records), 0.75 * len(records))
    decoder = load(bundle).decoder
    brightness = [float(decoder.decode(chunk).video.mean()) for chunk in made]
    assert brightness == pytest.approx(_shown_brightness(chunks), abs=2.5)
    # And every field that has a part in it is in the log: without it, other latents come out.
    for field, value in {"recache": None, "cut": False, "keep": None, "steps": 2, "seed": 12}.items():
        left_out = [
            content.model_copy(update={field: value}) if isinstance(content, ChunkMade) else content
            for content in contents
        ]
        assert not all(_equal(a, b) for a, b in zip(made, replayed(left_out, bundle), strict=True)), field


def _equal(one: LatentChunk, other: LatentChunk) -> bool:
    return np.array_equal(one.video, other.video) and (one.seed, one.cut) == (other.seed, other.cut)


def _shown_brightness(chunks: list[EncodedChunk]) -> list[float]:
    """Mean of each chunk's pictures as a viewer decodes them."""
    decoder = av.CodecContext.create("vp8", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    found = []
    for chunk in chunks:
        frames = [frame for packet in chunk.video for frame in decoder.decode(av.Packet(packet.data))]
        found.append(float(np.mean([frame.to_ndarray(format="rgb24").mean() for frame in frames])))
    return found


async def test_its_texts_are_moderated_by_the_encoder_of_the_bundled_model(folder: Path) -> None:
    """Its own gives no vector by which a text could be compared with a policy."""
    async with moderation(Settings(moderation="auto"), folder) as judge:
        assert judge is not None
        harmless, cruel = [await judge(text) for text in ("a calm sea at night", _CRUEL)]
    assert harmless.decision == "allow"
    assert "similarity" in {evidence.part for evidence in cruel.evidence}  # no list has its words
