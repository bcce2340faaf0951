import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen.errors import UnsupportedRateError
from streamgen.media.video_encoder import (
    DEFAULT_SCALE,
    KEYFRAME_INTERVAL_S,
    VideoEncoder,
    ticks_per_picture,
    usual_scale,
)
from streamgen.packets import VIDEO_CODECS, VideoCodec
from tests.media.decoding import decode_video, psnr_db, shrink

WIDTH, HEIGHT, FPS = 160, 96, (25, 2)


def picture(index: int) -> NDArray[np.uint8]:
    """A soft disc that moves over a gradient."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    disc = 1 / (1 + np.exp((np.hypot(x - 40 - 2 * index, y - 50) - 20) / 1.5))
    sky = np.stack([60 + y, 90 + 0.5 * x, 200 - y], axis=-1)
    shown = np.clip(sky * (1 - disc[..., None]) + disc[..., None] * np.array([230, 90, 40]), 0, 255)
    return np.asarray(shown, np.uint8)


def make(codec: VideoCodec, scale: int = DEFAULT_SCALE) -> VideoEncoder:
    return VideoEncoder(codec, width=WIDTH, height=HEIGHT, fps=FPS, scale=scale)


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_pictures_survive_the_round_trip(codec: VideoCodec) -> None:
    encoder = make(codec)
    packets = [encoder.encode(picture(n), n * 7_200) for n in range(12)]
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
        (shown,) = decode_video([encoder.encode(plain, 0)])
        assert np.abs(shown.astype(int) - np.array(colour)).mean() < 4


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_keyframes_come_first_on_request_and_at_the_interval(codec: VideoCodec) -> None:
    encoder = make(codec)
    asked = 7
    interval = round(KEYFRAME_INTERVAL_S * FPS[0] / FPS[1])
    packets = [encoder.encode(picture(n % 30), n * 7_200, keyframe=n == asked) for n in range(asked + interval + 1)]
    assert [n for n, packet in enumerate(packets) if packet.keyframe] == [0, asked, asked + interval]


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_a_viewer_can_join_at_a_requested_keyframe(codec: VideoCodec) -> None:
    encoder = make(codec)
    packets = [encoder.encode(picture(n), n * 7_200, keyframe=n == 5) for n in range(10)]
    decoded = decode_video(packets[5:])
    assert len(decoded) == 5
    assert psnr_db(shrink(decoded[-1], 4), picture(9)) > 34


def nal_types(data: bytes) -> list[int]:
    """Types of the NAL units of an Annex B stream."""
    return [unit.lstrip(b"\0")[0] & 0x1F for unit in data.split(b"\x00\x00\x01")[1:]]


def test_h264_is_annex_b_constrained_baseline_with_parameter_sets_at_every_keyframe() -> None:
    encoder = make("h264")
    packets = [encoder.encode(picture(n), n * 7_200, keyframe=n == 3) for n in range(5)]
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


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_rate_stays_near_its_limit_when_everything_changes(codec: VideoCodec) -> None:
    encoder = VideoEncoder(codec, width=WIDTH, height=HEIGHT, fps=FPS, bitrate=500_000)
    rng = np.random.default_rng(0)
    sizes = []
    for index in range(100):
        blocks = rng.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
        sizes.append(len(encoder.encode(blocks.repeat(8, 0).repeat(8, 1), index * 7_200).data))
    assert 250_000 < sum(sizes[25:]) * 8 / (75 / 12.5) < 750_000


def test_scale_one_keeps_the_size() -> None:
    (shown,) = decode_video([make("vp8", scale=1).encode(picture(0), 0)])
    assert shown.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(("width", "height", "scale"), [(161, 96, 1), (160, 95, 1), (160, 96, 0), (160, 96, 40)])
def test_sizes_that_cannot_be_encoded_are_refused(width: int, height: int, scale: int) -> None:
    with pytest.raises(ValueError, match=r"choose another scale|give a whole number"):
        VideoEncoder("vp8", width=width, height=height, fps=FPS, scale=scale)


def test_wrong_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        make("vp8").encode(np.zeros((HEIGHT, WIDTH + 2, 3), np.uint8), 0)


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
