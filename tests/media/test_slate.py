import numpy as np
import pytest

from streamgen.media.audio_encoder import AudioEncoder
from streamgen.media.slate import SlateSegment, make_slate
from streamgen.packets import VIDEO_CODECS, VideoCodec
from tests.media.decoding import decode_opus, decode_video

FPS = (25, 2)


@pytest.fixture(scope="module")
def slate() -> tuple[SlateSegment, ...]:
    return make_slate(width=320, height=192, fps=FPS, sample_rate=24_000)


def test_segments_are_whole_and_start_with_keyframes(slate: tuple[SlateSegment, ...]) -> None:
    assert len(slate) >= 2
    for segment in slate:
        for codec in VIDEO_CODECS:
            pictures = [packet for packet in segment.video if packet.codec == codec]
            assert pictures[0].keyframe
            assert len(pictures) * 7_200 == len(segment.audio) * 1_800
        pts = [packet.pts for packet in segment.audio]
        assert pts == list(range(pts[0], pts[0] + 960 * len(pts), 960))
    # The same delay as a generator's encoder, so that both lie on one grid of slots.
    assert slate[0].audio[0].pts == -AudioEncoder(24_000, 2).delay


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_it_moves_slowly_is_dark_and_closes(slate: tuple[SlateSegment, ...], codec: VideoCodec) -> None:
    pictures = np.stack(
        decode_video(packet for segment in slate for packet in segment.video if packet.codec == codec)
    ).astype(float)
    assert 15 < pictures.mean() < 110
    changes = np.abs(np.diff(pictures, axis=0)).mean((1, 2, 3))
    assert np.abs(pictures[len(pictures) // 2] - pictures[0]).mean() > 4  # light has moved
    joint = np.abs(pictures[-1] - pictures[0]).mean()
    assert joint < 3 * changes.max()
    assert changes.max() < 4


def test_a_viewer_can_join_at_any_segment(slate: tuple[SlateSegment, ...]) -> None:
    packets = [packet for packet in slate[1].video if packet.codec == "vp8"]
    assert len(decode_video(packets)) == len(packets)


def test_sound_is_quiet_and_silent_at_both_ends(slate: tuple[SlateSegment, ...]) -> None:
    heard = decode_opus(packet.data for segment in slate for packet in segment.audio)
    assert 0.02 < np.abs(heard).max() < 0.2
    assert np.abs(heard[:, :2_400]).max() < 5e-3
    assert np.abs(heard[:, -2_400:]).max() < 5e-3
