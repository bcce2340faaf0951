import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen.generation.decode_stage import Decoded
from streamgen.generation.encode_stage import ENCODER_THREADS, EncodeStage
from streamgen.media.layers import ladder
from streamgen.media.scaler import Scaler
from streamgen.media.video_encoder import VideoEncoder
from streamgen.packets import VIDEO_CODECS, ChunkRecord, Layer, VideoCodec, VideoPacket
from streamgen_engines.chunk import Chunk
from streamgen_engines.manifest import Manifest
from tests.media.decoding import decode_opus, decode_video

VP8, H264 = Layer("vp8", 0), Layer("h264", 0)
BOTH = frozenset({VP8, H264})
EVERY = frozenset(Layer(codec, rung) for codec in VIDEO_CODECS for rung in range(3))  # at the usual scale


def decoded_chunk(
    index: int,
    *,
    pictures: NDArray[np.uint8] | None = None,
    sound: NDArray[np.float32] | None = None,
) -> Decoded:
    """A dark, silent chunk, or what is given."""
    chunk = Chunk(
        index,
        np.full((4, 96, 160, 3), 20, np.uint8) if pictures is None else pictures,
        np.zeros((2, 7_680), np.float32) if sound is None else sound,
    )
    return Decoded(chunk, ChunkRecord(index, index * 4, (25, 2), index * 28_800, None, "", 0, 1.5, 4))


@pytest.fixture
def stage(manifest: Manifest) -> Iterator[EncodeStage]:
    stage = EncodeStage(manifest)
    yield stage
    stage.close()


def test_only_watched_layers_are_encoded_and_each_starts_with_a_keyframe(stage: EncodeStage) -> None:
    small = Layer("vp8", 2)
    watched: list[frozenset[Layer]] = [frozenset(), frozenset({VP8}), BOTH | {small}, frozenset({H264}), BOTH]
    chunks = [stage.encode(decoded_chunk(index), layers) for index, layers in enumerate(watched)]

    for chunk, layers in zip(chunks, watched, strict=True):
        assert {packet.layer for packet in chunk.video} == layers
        assert len(chunk.video) == 4 * len(layers)
        assert len(chunk.audio) == 16
        assert chunk.duration_ticks == 28_800
        assert chunk.fade
    keyframes = [[(p.layer, p.pts) for p in chunk.video if p.keyframe] for chunk in chunks]
    assert keyframes == [[], [(VP8, 28_800)], [(H264, 57_600), (small, 57_600)], [], [(VP8, 4 * 28_800)]]


def test_requested_keyframe_comes_with_the_first_picture_of_that_layer_only(stage: EncodeStage) -> None:
    stage.encode(decoded_chunk(0), EVERY)
    asked = Layer("h264", 1)
    chunk = stage.encode(decoded_chunk(1), EVERY, frozenset({asked}))
    assert [(p.layer, p.pts) for p in chunk.video if p.keyframe] == [(asked, 28_800)]


def test_stills_of_the_layers_with_which_viewers_begin_can_be_decoded_on_their_own(stage: EncodeStage) -> None:
    pictures = np.full((4, 96, 160, 3), 40, np.uint8)
    pictures[0, :, :80] = (200, 90, 30)  # the first picture alone
    chunks = [stage.encode(decoded_chunk(index, pictures=pictures), EVERY) for index in range(2)]
    for chunk in chunks:
        assert {still.layer for still in chunk.stills} == BOTH
        for still in chunk.stills:
            assert still.pts == chunk.record.pts
            (shown,) = decode_video([VideoPacket(still.layer, still.pts, True, still.data)])
            assert shown.shape == (384, 640, 3)
            assert np.abs(shown[200, 100].astype(int) - (200, 90, 30)).max() < 12
    # The streams themselves go on as they would without.
    assert [(p.layer, p.pts) for p in chunks[1].video if p.keyframe] == []
    assert stage.encode(decoded_chunk(2), frozenset({Layer("vp8", 2)})).stills == ()
    assert stage.encode(decoded_chunk(3), frozenset()).stills == ()


def test_stills_are_no_larger_than_keyframes_of_the_stream(stage: EncodeStage) -> None:
    rng = np.random.default_rng(3)
    stills: dict[Layer, list[int]] = {layer: [] for layer in BOTH}
    keyframes: dict[Layer, list[int]] = {layer: [] for layer in BOTH}
    for index in range(16):
        pictures = rng.integers(60, 190, (4, 96, 160, 3), dtype=np.uint8)
        chunk = stage.encode(decoded_chunk(index, pictures=pictures), BOTH, BOTH if index % 3 == 0 else frozenset())
        for still in chunk.stills:
            stills[still.layer].append(len(still.data))
        for packet in chunk.video:
            if packet.keyframe:
                keyframes[packet.layer].append(len(packet.data))
    for layer in BOTH:
        # Once the encoders have seen how hard the pictures are.
        assert max(stills[layer][6:]) <= 1.25 * max(keyframes[layer][2:]), layer


def test_layers_have_the_sizes_of_the_ladder_and_show_the_same_picture(stage: EncodeStage) -> None:
    assert stage.rungs == ladder(640, 384, 2_500_000)
    pictures = np.full((4, 96, 160, 3), 40, np.uint8)
    pictures[:, 20:60, 100:140] = (200, 90, 30)
    chunk = stage.encode(decoded_chunk(0, pictures=pictures), EVERY)
    for layer in EVERY:
        shown = decode_video(packet for packet in chunk.video if packet.layer == layer)[-1]
        rung = stage.rungs[layer.rung]
        assert shown.shape == (rung.height, rung.width, 3)
        # The middle of the square and of what is around it, wherever they come to lie.
        inside = shown[rung.height * 40 // 96, rung.width * 120 // 160].astype(int)
        outside = shown[rung.height * 80 // 96, rung.width * 40 // 160].astype(int)
        assert np.abs(inside - (200, 90, 30)).max() < 12
        assert np.abs(outside - 40).max() < 8


def test_packets_of_all_layers_come_in_the_order_of_time(stage: EncodeStage) -> None:
    chunks = [stage.encode(decoded_chunk(index), EVERY) for index in range(3)]
    assert [(packet.pts, packet.layer) for chunk in chunks for packet in chunk.video] == [
        (picture * 7_200, layer) for picture in range(12) for layer in sorted(EVERY)
    ]


def test_a_size_is_made_once_for_both_codecs(stage: EncodeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, ...]] = []
    planes = Scaler.planes

    def counted(self: Scaler, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        made = planes(self, picture)
        sizes.append(made.shape)
        return made

    monkeypatch.setattr(Scaler, "planes", counted)
    stage.encode(decoded_chunk(0), BOTH | {Layer("vp8", 2)})
    assert sizes == [(576, 640)] * 4 + [(288, 320)] * 4


def test_encoders_run_in_the_stages_own_threads_side_by_side(
    stage: EncodeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = VideoEncoder.encode
    names: set[str] = set()
    together = threading.Barrier(ENCODER_THREADS, timeout=60)  # passed only by as many at once

    def seen(self: VideoEncoder, planes: NDArray[np.uint8], pts: int, *, keyframe: bool = False) -> VideoPacket:
        names.add(threading.current_thread().name)
        together.wait()
        return encode(self, planes, pts, keyframe=keyframe)

    monkeypatch.setattr(VideoEncoder, "encode", seen)
    stage.encode(decoded_chunk(0), BOTH)
    assert len(names) == ENCODER_THREADS
    assert threading.current_thread().name not in names


def test_an_encoders_failure_comes_out_when_the_others_have_ended(
    stage: EncodeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = VideoEncoder.encode
    ended: list[int] = []

    def fails(self: VideoEncoder, planes: NDArray[np.uint8], pts: int, *, keyframe: bool = False) -> VideoPacket:
        if self.layer == VP8:
            raise ZeroDivisionError("the encoder broke")
        packet = encode(self, planes, pts, keyframe=keyframe)
        ended.append(pts)
        return packet

    monkeypatch.setattr(VideoEncoder, "encode", fails)
    with pytest.raises(ZeroDivisionError, match="the encoder broke"):
        stage.encode(decoded_chunk(0), BOTH)
    assert sorted(ended) == [0, 0, 7_200, 14_400, 21_600]  # with the still


def test_a_layer_that_the_ladder_does_not_have_is_refused(manifest: Manifest) -> None:
    stage = EncodeStage(manifest, scale=1)
    with pytest.raises(ValueError, match=r"rung=1.*1 rungs"):
        stage.encode(decoded_chunk(0), frozenset({Layer("vp8", 1)}))
    stage.close()


def test_close_is_idempotent_and_leaves_no_thread(manifest: Manifest) -> None:
    before = set(threading.enumerate())
    stage = EncodeStage(manifest)
    stage.encode(decoded_chunk(0), BOTH)
    assert set(threading.enumerate()) > before
    stage.close()
    stage.close()
    assert set(threading.enumerate()) == before
    with pytest.raises(RuntimeError):
        stage.encode(decoded_chunk(1), BOTH)


def test_packets_of_successive_chunks_join(stage: EncodeStage) -> None:
    chunks = [stage.encode(decoded_chunk(index), frozenset({VP8})) for index in range(4)]
    video = [packet.pts for chunk in chunks for packet in chunk.video]
    audio = [packet.pts for chunk in chunks for packet in chunk.audio]
    assert video == list(range(0, 16 * 7_200, 7_200))
    assert audio == list(range(-stage.sound_delay, 64 * 960 - stage.sound_delay, 960))


def flash_and_click() -> list[Decoded]:
    """Three chunks; picture 2 of the middle one is white, and a click starts at the same moment."""
    flash = np.full((4, 96, 160, 3), 20, np.uint8)
    flash[2] = 235
    click = np.zeros((2, 7_680), np.float32)
    click[:, 2 * 1_920 : 2 * 1_920 + 40] = 0.8 * np.hanning(40) * np.sin(np.arange(40) * 1.3)
    return [decoded_chunk(0), decoded_chunk(1, pictures=flash, sound=click), decoded_chunk(2)]


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_flash_and_click_are_stamped_with_the_same_moment(stage: EncodeStage, codec: VideoCodec) -> None:
    chunks = [stage.encode(decoded, frozenset({Layer(codec, 1)})) for decoded in flash_and_click()]
    video = [packet for chunk in chunks for packet in chunk.video]
    audio = [packet for chunk in chunks for packet in chunk.audio]

    brightness = [picture.mean() for picture in decode_video(video)]
    flash_s = video[int(np.argmax(brightness))].pts / 90_000
    heard = np.abs(decode_opus(packet.data for packet in audio)[0])
    click_s = (audio[0].pts + int(np.argmax(heard)) - 40) / 48_000  # the click is loudest 40 samples after its start

    assert flash_s == pytest.approx(0.48)
    assert click_s == pytest.approx(0.48, abs=0.001)


def test_scale_is_checked_before_anything_runs(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="scale"):
        EncodeStage(manifest, scale=0)
