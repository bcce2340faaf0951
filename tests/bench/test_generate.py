import threading
from pathlib import Path

import pytest

from bench import generate
from bench.generate import Line, Stopwatch, measure
from bench.record import open_bundle, plain
from streamgen.media.video_encoder import VideoEncoder
from streamgen_engines.chunk import Chunk, LatentChunk
from streamgen_engines.families import PocketDecoder
from tests.tiny_bundle import write_tiny_bundle

CHUNKS = 3


def test_every_call_of_every_stage_is_counted(tmp_path: Path) -> None:
    bundle = open_bundle(write_tiny_bundle(tmp_path / "tiny", guidance=1.5))
    told: list[str] = []
    original = VideoEncoder.encode
    figures = plain(measure(bundle, chunks=CHUNKS, threads=1, scale=1, progress=told.append))
    assert VideoEncoder.encode is original
    assert figures["chunk_ms"] == 320
    own = bundle.manifest.sampler.steps
    steps = [*range(own, 0, -1)]
    assert [(each["steps"], each["guidance"]) for each in figures["variants"]] == [
        *((each, 1.5) for each in steps),
        *((each, 1.0) for each in steps),
    ]
    assert len(told) == 2 * own
    for variant in figures["variants"]:
        counts = {name: ms["count"] for name, ms in variant["ms"].items()}
        # A guided step runs the transformer twice, and one pass writes the chunk into the cache.
        passes = variant["steps"] * (2 if variant["guidance"] == 1.5 else 1) + 1
        assert variant["passes"] == passes
        assert counts == {
            "chunk: denoise": CHUNKS,
            "chunk: decode and encode": CHUNKS,
            "chunk: Opus, resampling included": CHUNKS,
            "chunk: fade in reserve": CHUNKS,
            "picture: enlarging, RGB to YUV": 4 * CHUNKS,
            "picture: VP8": 5 * CHUNKS,  # with the still
            "denoise": passes * CHUNKS,
            "decode_video": CHUNKS,
            "decode_audio": CHUNKS,
        }
        assert variant["realtime_ratio"] > 0
        assert variant["processor_s_per_media_minute"] > 0
    assert any(f"{own:5}" in line for line in generate.table(figures))


def test_stages_run_on_two_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = open_bundle(write_tiny_bundle(tmp_path / "tiny"))
    stopwatch = Stopwatch()
    model = generate.load(bundle, stopwatch)
    threads: dict[str, set[str]] = {"denoise": set(), "decode": set()}
    decode, step = PocketDecoder.decode, type(model.generator).step

    def seen_decode(self: PocketDecoder, latents: LatentChunk) -> Chunk:
        threads["decode"].add(threading.current_thread().name)
        return decode(self, latents)

    def seen_step(self: object, condition: object) -> LatentChunk:
        threads["denoise"].add(threading.current_thread().name)
        return step(self, condition)  # type: ignore[arg-type]

    monkeypatch.setattr(PocketDecoder, "decode", seen_decode)
    monkeypatch.setattr(type(model.generator), "step", seen_step)
    Line(model, stopwatch, scale=1).run(CHUNKS, steps=1, guidance=1.0)
    assert threads == {"denoise": {"denoise"}, "decode": {threading.main_thread().name}}


def test_a_stage_that_fails_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = open_bundle(write_tiny_bundle(tmp_path / "tiny"))
    stopwatch = Stopwatch()
    model = generate.load(bundle, stopwatch)

    def fail(self: object, condition: object) -> LatentChunk:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(type(model.generator), "step", fail)
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        Line(model, stopwatch, scale=1).run(CHUNKS, steps=1, guidance=1.0)


def test_a_stopwatch_lets_errors_through_and_puts_the_method_back() -> None:
    class Fragile:
        def work(self) -> None:
            raise ValueError("broken")

    stopwatch = Stopwatch()
    original = Fragile.work
    with pytest.raises(ValueError, match="broken"), stopwatch.watching(Fragile, "work", "work"):
        Fragile().work()
    assert Fragile.work is original
    assert stopwatch.summaries() == {}
