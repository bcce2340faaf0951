from collections.abc import Iterator

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen.errors import UnsupportedRateError
from streamgen.media.ceiling import TOLERANCE
from streamgen.media.layers import Rung
from streamgen.media.scaler import Scaler
from streamgen.media.video_encoder import (
    DEFAULT_SCALE,
    KEYFRAME_INTERVAL_S,
    MAX_ATTEMPTS,
    VideoEncoder,
    encoded_size,
    h264_level,
    ticks_per_picture,
    usual_scale,
)
from streamgen.packets import VIDEO_CODECS, Layer, VideoCodec
from tests.media.decoding import decode_video, psnr_db, shrink

WIDTH, HEIGHT, FPS = 160, 96, (25, 2)
FULL = Rung(WIDTH * DEFAULT_SCALE, HEIGHT * DEFAULT_SCALE, 2_500_000)
SMALL = Rung(320, 192, 600_000)


def picture(index: int) -> NDArray[np.uint8]:
    """A soft disc that moves over a gradient."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    disc = 1 / (1 + np.exp((np.hypot(x - 40 - 2 * index, y - 50) - 20) / 1.5))
    sky = np.stack([60 + y, 90 + 0.5 * x, 200 - y], axis=-1)
    shown = np.clip(sky * (1 - disc[..., None]) + disc[..., None] * np.array([230, 90, 40]), 0, 255)
    return np.asarray(shown, np.uint8)


def planes(picture: NDArray[np.uint8], rung: Rung = FULL) -> NDArray[np.uint8]:
    """A picture as the encoder of a rung takes it."""
    height, width, _ = picture.shape
    return Scaler((width, height), (rung.width, rung.height)).planes(picture)


def make(codec: VideoCodec, rung: Rung = FULL) -> VideoEncoder:
    return VideoEncoder(Layer(codec, 0), rung, fps=FPS)


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_pictures_survive_the_round_trip(codec: VideoCodec) -> None:
    encoder = make(codec)
    packets = [encoder.encode(planes(picture(n)), n * 7_200) for n in range(12)]
    decoded = decode_video(packets)

    assert [packet.pts for packet in packets] == [n * 7_200 for n in range(12)]
    assert len(decoded) == 12
    for index, shown in enumerate(decoded):
        assert shown.shape == (HEIGHT * 4, WIDTH * 4, 3)
        assert psnr_db(shrink(shown, 4), picture(index)) > 34, index


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_colours_survive_the_round_trip(codec: VideoCodec) -> None:
    for colour in ([220, 30, 30], [30, 200, 40], [40, 40, 220], [128, 128, 128], [8, 8, 8], [247, 247, 247]):
        encoder = make(codec)
        plain = np.full((HEIGHT, WIDTH, 3), colour, np.uint8)
        (shown,) = decode_video([encoder.encode(planes(plain), 0)])
        assert np.abs(shown.astype(int) - np.array(colour)).mean() < 4


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_keyframes_come_first_on_request_and_at_the_interval(codec: VideoCodec) -> None:
    encoder = make(codec)
    asked = 7
    interval = round(KEYFRAME_INTERVAL_S * FPS[0] / FPS[1])
    packets = [
        encoder.encode(planes(picture(n % 30)), n * 7_200, keyframe=n == asked) for n in range(asked + interval + 1)
    ]
    assert [n for n, packet in enumerate(packets) if packet.keyframe] == [0, asked, asked + interval]


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_a_viewer_can_join_at_a_requested_keyframe(codec: VideoCodec) -> None:
    encoder = make(codec)
    packets = [encoder.encode(planes(picture(n)), n * 7_200, keyframe=n == 5) for n in range(10)]
    decoded = decode_video(packets[5:])
    assert len(decoded) == 5
    assert psnr_db(shrink(decoded[-1], 4), picture(9)) > 34


def nal_types(data: bytes) -> list[int]:
    """Types of the NAL units of an Annex B stream."""
    return [unit.lstrip(b"\0")[0] & 0x1F for unit in data.split(b"\x00\x00\x01")[1:]]


def test_h264_is_annex_b_constrained_baseline_with_parameter_sets_at_every_keyframe() -> None:
    encoder = make("h264")
    packets = [encoder.encode(planes(picture(n)), n * 7_200, keyframe=n == 3) for n in range(5)]
    for packet in packets:
        assert packet.data.startswith((b"\x00\x00\x00\x01", b"\x00\x00\x01"))
        types = nal_types(packet.data)
        if packet.keyframe:
            assert {7, 8, 5} <= set(types)
            assert types.index(7) < types.index(8) < types.index(5)
            sps = packet.data.split(b"\x00\x00\x01\x67")[1]
            assert sps[0] == 66  # baseline
            assert sps[1] & 0x40  # constraint_set1: no feature outside constrained baseline
            assert sps[2] == 31  # level 3.1, what browsers offer
        else:
            assert set(types) == {1}
        # One slice per picture: a packetiser may then fragment it as it likes.
        assert types.count(1) + types.count(5) == 1


def noise() -> Iterator[tuple[NDArray[np.uint8], bool]]:
    """Every picture is new, and every fourth is asked for as a keyframe."""
    rng = np.random.default_rng(0)
    for n in range(60):
        yield rng.integers(0, 256, (SMALL.height, SMALL.width, 3), dtype=np.uint8), n % 4 == 0


def calm_then_noise() -> Iterator[tuple[NDArray[np.uint8], bool]]:
    """Long enough still that rate control expects next to nothing, then the worst there is."""
    rng = np.random.default_rng(1)
    for n in range(75):
        wild = n // 15 % 2
        still = np.full((SMALL.height, SMALL.width, 3), 90, np.uint8)
        yield rng.integers(0, 256, still.shape, dtype=np.uint8) if wild else still, n % 5 == 0


def cuts() -> Iterator[tuple[NDArray[np.uint8], bool]]:
    """A textured scene that moves, and another one after six pictures, without a keyframe being asked for."""
    for n in range(60):
        texture = np.random.default_rng(n // 6).normal(128, 60, (SMALL.height // 4, SMALL.width // 4, 3))
        scene = np.clip(texture, 0, 255).astype(np.uint8).repeat(4, 0).repeat(4, 1)
        yield np.roll(scene, 3 * n, axis=1), False


HOSTILE = {"noise": noise, "calm, then noise": calm_then_noise, "cuts": cuts}


@pytest.mark.parametrize("codec", VIDEO_CODECS)
@pytest.mark.parametrize("content", HOSTILE)
def test_no_second_is_above_the_ceiling_whatever_is_shown(codec: VideoCodec, content: str) -> None:
    encoder = make(codec, SMALL)
    packets = [
        encoder.encode(planes(shown, SMALL), n * 7_200, keyframe=keyframe)
        for n, (shown, keyframe) in enumerate(HOSTILE[content]())
    ]
    bits = [8 * len(packet.data) for packet in packets]
    # 12.5 pictures/s: 13 of them begin within a second.
    seconds = [sum(bits[n : n + 13]) for n in range(len(bits) - 12)]
    assert max(seconds) <= TOLERANCE * SMALL.bitrate
    # It is a ceiling and no brake: what is asked for gets through.
    assert max(seconds) > 0.6 * SMALL.bitrate
    assert len(decode_video(packets)) == len(packets)


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_calm_pictures_stay_far_below_the_ceiling(codec: VideoCodec) -> None:
    encoder = make(codec)
    sizes = [len(encoder.encode(planes(picture(n)), n * 7_200).data) for n in range(50)]
    assert 8 * sum(sizes) / 4 < 0.5 * FULL.bitrate


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_a_picture_that_cannot_be_small_enough_leaves_all_the_same(codec: VideoCodec) -> None:
    starved = Rung(SMALL.width, SMALL.height, 20_000)
    encoder = make(codec, starved)
    rng = np.random.default_rng(0)
    packets = []
    for n in range(6):
        shown = rng.integers(0, 256, (SMALL.height, SMALL.width, 3), dtype=np.uint8)
        packets.append(encoder.encode(planes(shown, starved), n * 7_200))
    assert [packet.pts for packet in packets] == [n * 7_200 for n in range(6)]
    assert len(decode_video(packets)) == 6


def test_a_picture_is_not_encoded_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make("vp8", SMALL)
    attempts: list[int] = []
    attempt = VideoEncoder._attempt

    def counted(self: VideoEncoder, frame: av.VideoFrame, *, keyframe: bool) -> "av.Packet[av.VideoStream]":
        attempts[-1] += 1
        return attempt(self, frame, keyframe=keyframe)

    monkeypatch.setattr(VideoEncoder, "_attempt", counted)
    for n, (shown, keyframe) in enumerate(calm_then_noise()):
        attempts.append(0)
        encoder.encode(planes(shown, SMALL), n * 7_200, keyframe=keyframe)
    assert 1 < max(attempts) <= MAX_ATTEMPTS
    assert sum(attempts) < 2 * len(attempts)


@pytest.mark.parametrize(("width", "height", "scale"), [(161, 96, 1), (160, 95, 1), (160, 96, 0), (160, 96, 40)])
def test_sizes_that_cannot_be_encoded_are_refused(width: int, height: int, scale: int) -> None:
    with pytest.raises(ValueError, match=r"choose another scale|give a whole number"):
        encoded_size(width, height, scale)


def test_wrong_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        make("vp8").encode(np.zeros((FULL.height * 3 // 2, FULL.width + 2), np.uint8), 0)


def test_packets_name_their_layer() -> None:
    packet = VideoEncoder(Layer("h264", 2), SMALL, fps=FPS).encode(planes(picture(0), SMALL), 0)
    assert packet.layer == Layer("h264", 2)
    assert packet.codec == "h264"


@pytest.mark.parametrize(
    ("fps", "ticks"), [((25, 2), 7_200), ((30, 1), 3_000), ((24, 1), 3_750), ((30_000, 1_001), 3_003), ((8, 1), 11_250)]
)
def test_picture_length_in_ticks(fps: tuple[int, int], ticks: int) -> None:
    assert ticks_per_picture(fps) == ticks


def test_rate_that_drifts_is_refused() -> None:
    with pytest.raises(UnsupportedRateError, match="90 kHz"):
        ticks_per_picture((7, 1))


def test_pictures_are_enlarged_until_they_can_be_watched() -> None:
    assert [usual_scale(height) for height in (96, 128, 256, 360, 720)] == [4, 3, 2, 1, 1]


@pytest.mark.parametrize(
    ("width", "height", "fps", "level"),
    [
        (160, 96, (25, 2), "3.1"),
        (1280, 720, (30, 1), "3.1"),
        (1280, 720, (60, 1), "3.2"),
        (1282, 720, (25, 1), "3.2"),
        (1792, 1024, (50, 3), "4.0"),
        (1920, 1080, (60, 1), "4.2"),
        (3328, 1920, (16, 1), "5.1"),
        (4096, 4096, (60, 1), "5.2"),
    ],
)
def test_a_level_is_told_that_has_room_for_the_picture(
    width: int, height: int, fps: tuple[int, int], level: str
) -> None:
    assert h264_level(width, height, fps) == level


def test_large_pictures_say_their_level() -> None:
    encoder = VideoEncoder(Layer("h264", 0), Rung(1440, 1440, 5_000_000), fps=(25, 1))
    packet = encoder.encode(np.full((2160, 1440), 128, np.uint8), 0)
    sps = packet.data[packet.data.index(b"\x00\x00\x01\x67") + 4 :]
    assert sps[2] == 40
