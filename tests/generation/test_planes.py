"""Planes that a decoder makes on the way to the encoders: which it is asked for, and what becomes of them."""

import dataclasses
import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen.generation import worker
from streamgen.generation.decode_stage import Decoded, DecodeStage
from streamgen.generation.denoise_stage import Denoised
from streamgen.generation.encode_stage import EncodeStage, wanted_planes
from streamgen.generation.process import GeneratorSettings
from streamgen.media.scaler import Scaler
from streamgen.packets import VIDEO_CODECS, ChunkRecord, EncodedChunk, Layer
from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.chunk import Chunk, LatentChunk, Size
from streamgen_engines.errors import GraphRunError
from streamgen_engines.families import Condition, PocketDecoder, load
from streamgen_engines.manifest import Manifest
from streamgen_engines.planes import PlaneRequest
from tests.tiny_bundle import write_tiny_bundle
from tests.upscaling import add_upscaler

EVERY = frozenset(Layer(codec, rung) for codec in VIDEO_CODECS for rung in range(3))  # at a scale of 4
SIZES = ((640, 384), (426, 256), (320, 192))


@pytest.fixture
def stages(manifest: Manifest) -> Iterator[tuple[EncodeStage, EncodeStage]]:
    both = EncodeStage(manifest), EncodeStage(manifest)
    yield both
    for stage in both:
        stage.close()


def decoded(index: int, planes: tuple[Size, ...] = (), *, rgb: bool = True) -> Decoded:
    """A chunk of soft moving colours, with planes as the scaler makes them."""
    coarse = np.random.default_rng(index).integers(0, 256, (4, 6, 10, 3), dtype=np.uint8)
    pictures = coarse.repeat(16, axis=1).repeat(16, axis=2)
    made: dict[Size, NDArray[np.uint8]] = {
        size: np.stack([Scaler((160, 96), size).planes(picture) for picture in pictures]) for size in planes
    }
    chunk = Chunk(index, pictures if rgb else pictures[:0], np.zeros((2, 7_680), np.float32), made)
    return Decoded(chunk, ChunkRecord(index, index * 4, (25, 2), index * 28_800, None, "", 0, 1.5, 4))


def no_scaling(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Notes the shape of every set of planes that a scaler makes from here on."""
    sizes: list[tuple[int, ...]] = []
    planes = Scaler.planes

    def noted(self: Scaler, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        made = planes(self, picture)
        sizes.append(made.shape)
        return made

    monkeypatch.setattr(Scaler, "planes", noted)
    return sizes


def test_every_size_of_the_ladder_is_wanted_and_no_rgb(manifest: Manifest) -> None:
    for scale in (1, 2, 4):
        stage = EncodeStage(manifest, scale=scale, bitrate=500_000)
        request = wanted_planes(manifest, scale)
        assert request.sizes == tuple((rung.width, rung.height) for rung in stage.rungs)
        assert (request.rgb, request.order) == (False, "i420")
        stage.close()
    assert wanted_planes(manifest, 4).sizes == SIZES


def test_enlarged_pictures_have_sizes_of_their_own(tmp_path: Path) -> None:
    larger = add_upscaler(write_tiny_bundle(tmp_path), 2).manifest
    assert wanted_planes(larger, 2, upscale=True).sizes == SIZES
    assert wanted_planes(larger, 4).sizes == SIZES


def test_packets_are_those_of_pictures_that_are_scaled_here(
    stages: tuple[EncodeStage, EncodeStage], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = stages
    chunks = [(decoded(index), decoded(index, SIZES, rgb=False)) for index in range(3)]
    sizes = no_scaling(monkeypatch)
    for scaled, made in chunks:
        left = here.encode(scaled, EVERY)
        del sizes[:]
        right = there.encode(made, EVERY)
        assert sizes == []
        assert right.video == left.video
        assert right.stills == left.stills
        assert len(right.video) == 4 * len(EVERY)


def test_a_size_that_is_not_there_is_scaled_here(
    stages: tuple[EncodeStage, EncodeStage], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = stages
    right, lacking = decoded(0), decoded(0, (SIZES[0], SIZES[2]))
    sizes = no_scaling(monkeypatch)
    encoded = there.encode(lacking, EVERY)
    assert sizes == [(384, 426)] * 4
    assert encoded.video == here.encode(right, EVERY).video


def test_planes_that_nobody_watches_are_left(stages: tuple[EncodeStage, EncodeStage]) -> None:
    encoded = stages[0].encode(decoded(0, SIZES, rgb=False), frozenset({Layer("vp8", 2)}))
    assert {packet.layer for packet in encoded.video} == {Layer("vp8", 2)}
    assert stages[0].encode(decoded(1, SIZES, rgb=False), frozenset()).video == ()


def test_what_can_be_made_of_nothing_is_refused(stages: tuple[EncodeStage, EncodeStage]) -> None:
    with pytest.raises(ValueError, match=r"chunk 0 has neither planes of 426x256 nor RGB"):
        stages[0].encode(decoded(0, SIZES[:1], rgb=False), EVERY)


def test_planes_of_another_shape_than_their_size_are_refused(stages: tuple[EncodeStage, EncodeStage]) -> None:
    chunk = decoded(0, SIZES[:1], rgb=False)
    wrong = {SIZES[0]: chunk.chunk.planes[SIZES[0]][:, :-2]}
    with pytest.raises(ValueError, match="expected uint8"):
        stages[0].encode(
            Decoded(dataclasses.replace(chunk.chunk, planes=wrong), chunk.record), frozenset({Layer("vp8", 0)})
        )


def test_a_runtime_of_cpus_gives_rgb_whatever_is_asked_for() -> None:
    card = bundled("testcard")
    asked = wanted_planes(card.manifest, 2)
    decoder = load(card, planes=asked).decoder
    assert isinstance(decoder, PocketDecoder)
    assert decoder._planes == {}


def test_the_generator_asks_for_the_planes_that_it_encodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Told by what the process loads; it ends there."""
    asked: list[PlaneRequest | None] = []

    def loading(bundle: Bundle, *, planes: PlaneRequest | None = None, **options: object) -> None:
        asked.append(planes)
        raise RuntimeError("loaded")

    class Ear:
        def send(self, event: object) -> None:
            assert "loaded" in str(event)

    monkeypatch.setattr(worker, "load", loading)
    monkeypatch.setattr(signal, "signal", lambda *arguments: None)
    monkeypatch.setattr(signal, "pthread_sigmask", lambda *arguments: None)
    monkeypatch.setattr(logging, "basicConfig", lambda **options: None)
    settings = GeneratorSettings(write_tiny_bundle(tmp_path), scale=4)
    with pytest.raises(SystemExit):
        worker.run(Ear(), settings)  # type: ignore[arg-type]
    assert asked == [PlaneRequest(SIZES)]


class Scripted:
    """A decoder that notes what it is asked for; its chunks have the planes of the ladder and no RGB."""

    def __init__(self, log: list[str], *, works_beside: bool = True) -> None:
        self.log, self.works_beside = log, works_beside
        self.fails: set[str] = set()
        self.fetched: Callable[[int], None] = lambda index: None

    def decode(self, latents: LatentChunk) -> Chunk:
        self._note("decode", latents)
        return decoded(latents.index, SIZES, rgb=False).chunk

    def begin(self, latents: LatentChunk) -> Callable[[], Chunk]:
        self._note("begin", latents)

        def finished() -> Chunk:
            self._note("fetch", latents)
            return decoded(latents.index, SIZES, rgb=False).chunk

        return finished

    def reset(self, seed: int | None = None) -> None:
        self.log.append("reset")

    def _note(self, what: str, latents: LatentChunk) -> None:
        said = f"{what} {latents.index}"
        self.log.append(said)
        if what != "begin":
            self.fetched(latents.index)
        if said in self.fails:
            self.fails.remove(said)
            raise GraphRunError("refused")


def denoised(index: int) -> Denoised:
    latents = LatentChunk(index, np.zeros((1, 48, 6, 10), np.float32), np.zeros((1, 16, 8), np.float32))
    return Denoised(latents, dataclasses.replace(decoded(index).record, timings_ms={"denoise": 1.0}))


@pytest.mark.parametrize("fails", ["begin 1", "fetch 1"])
def test_a_chunk_that_was_begun_in_vain_is_decoded_anew(fails: str) -> None:
    log: list[str] = []
    decoder = Scripted(log)
    stage = DecodeStage(decoder)
    assert stage.works_beside
    decoder.fails = {fails}
    made = stage.begin(denoised(1))()
    assert made.chunk.index == 1
    assert set(made.chunk.planes) == set(SIZES)
    assert set(made.record.timings_ms) == {"denoise", "decode"}
    again = ["begin 1", "fetch 1"] if fails == "begin 1" else ["decode 1"]
    assert log == (["begin 1"] if fails == "begin 1" else ["begin 1", "fetch 1"]) + ["reset", *again]


@pytest.mark.parametrize("works_beside", [True, False])
def test_what_is_denoised_already_is_decoded_while_the_chunk_before_is_encoded(
    works_beside: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log: list[str] = []
    model = load(Bundle.open(write_tiny_bundle(tmp_path)))
    decoder = Scripted(log, works_beside=works_beside)
    made: list[int] = []

    class Outbox:
        def send(self, event: object) -> None:
            if isinstance(event, EncodedChunk):
                made.append(event.index)
                log.append(f"sent {event.index}")
                if event.index == 3:
                    tested._stopping = True
                elif tested._denoised is None and event.index == 2:
                    tested._denoised = denoised(3)

    scripted = dataclasses.replace(model, decoder=decoder)
    tested = worker.Worker(scripted, GeneratorSettings(tmp_path), Outbox())  # type: ignore[arg-type]

    def denoise_two_more(index: int) -> None:
        """Chunks 1 and 2 are there while the one before is decoded, chunk 3 comes late."""
        if index < 2:
            tested._denoised = denoised(index + 1)

    decoder.fetched = denoise_two_more
    tested._schedule.epoch_ns = 0
    tested._denoised = denoised(0)
    tested._run_media()
    tested._encode.close()
    assert made == [0, 1, 2, 3]
    if works_beside:
        assert log == [
            *("decode 0", "begin 1", "sent 0", "fetch 1", "begin 2", "sent 1", "fetch 2", "sent 2"),
            *("decode 3", "sent 3"),
        ]
    else:
        assert log == [f"{what} {index}" for index in range(4) for what in ("decode", "sent")]


def test_a_chunk_that_is_not_enlarged_is_shown_at_the_same_size(tmp_path: Path) -> None:
    """So no encoder sees another size, and no keyframe is needed: what changes is the picture."""
    bundle = add_upscaler(write_tiny_bundle(tmp_path), 2)
    model = load(bundle, upscale=True)
    decode = DecodeStage(model.decoder)
    assert decode.may_skip_upscaling
    encode = EncodeStage(bundle.manifest, scale=2, upscale=True)
    assert (encode.rungs[0].width, encode.rungs[0].height) == SIZES[0]
    prompt = model.text.encode("a red sun")
    sizes, keyframes = [], []
    for index in range(4):
        made = dataclasses.replace(denoised(index), latents=model.generator.step(Condition(prompt)), upscale=index != 2)
        shown = decode.decode(made)
        sizes.append(shown.chunk.video.shape[1:3])
        assert (shown.record.timings_ms["upscale"] > 0) == made.upscale
        assert shown.record.timings_ms["decode"] >= shown.record.timings_ms["upscale"]
        encoded = encode.encode(shown, EVERY)
        assert len(encoded.video) == 4 * len(EVERY)
        keyframes += [packet.keyframe for packet in encoded.video if packet.layer == Layer("vp8", 0)]
    encode.close()
    assert sizes == [(192, 320), (192, 320), (96, 160), (192, 320)]
    assert keyframes == [True, *[False] * 15]


def test_pictures_of_another_size_than_either_are_refused(tmp_path: Path) -> None:
    encode = EncodeStage(add_upscaler(write_tiny_bundle(tmp_path), 2).manifest, scale=1, upscale=True)
    wrong = dataclasses.replace(decoded(0).chunk, video=np.zeros((4, 98, 160, 3), np.uint8))
    with pytest.raises(ValueError, match="expected uint8"):
        encode.encode(Decoded(wrong, decoded(0).record), frozenset({Layer("vp8", 0)}))
    encode.close()


def test_a_decoder_without_it_has_nothing_to_leave_out(tmp_path: Path) -> None:
    stage = DecodeStage(load(Bundle.open(write_tiny_bundle(tmp_path))).decoder)
    assert not stage.may_skip_upscaling
    assert not DecodeStage(Scripted([])).may_skip_upscaling
