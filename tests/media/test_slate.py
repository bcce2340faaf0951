from itertools import pairwise

import numpy as np
import pytest

from streamgen.media.audio_encoder import AudioEncoder
from streamgen.media.layers import Rung
from streamgen.media.slate import SlateSegment, make_black, make_slate
from streamgen.packets import VIDEO_CODECS, Layer
from tests.media.decoding import decode_opus, decode_video

FPS = (25, 2)
RUNGS = (Rung(320, 192, 900_000), Rung(214, 128, 600_000))
LAYERS = [Layer(codec, rung) for codec in VIDEO_CODECS for rung in range(2)]


@pytest.fixture(scope="module")
def slate() -> tuple[SlateSegment, ...]:
    return make_slate(RUNGS, fps=FPS, sample_rate=24_000)


def test_segments_are_whole_and_start_with_keyframes(slate: tuple[SlateSegment, ...]) -> None:
    assert len(slate) >= 2
    for segment in slate:
        assert {packet.layer for packet in segment.video} == set(LAYERS)
        assert [packet.pts for packet in segment.video] == sorted(packet.pts for packet in segment.video)
        for layer in LAYERS:
            pictures = [packet for packet in segment.video if packet.layer == layer]
            assert pictures[0].keyframe
            assert len(pictures) * 2 * 7_200 == len(segment.audio) * 1_800  # every second picture of the channel
        pts = [packet.pts for packet in segment.audio]
        assert pts == list(range(pts[0], pts[0] + 960 * len(pts), 960))
    # The same delay as a generator's encoder, so that both lie on one grid of slots.
    assert slate[0].audio[0].pts == -AudioEncoder(24_000, 2).delay


@pytest.mark.parametrize("layer", LAYERS)
def test_it_moves_slowly_is_dark_and_closes(slate: tuple[SlateSegment, ...], layer: Layer) -> None:
    pictures = np.stack(
        decode_video(packet for segment in slate for packet in segment.video if packet.layer == layer)
    ).astype(float)
    rung = RUNGS[layer.rung]
    assert pictures.shape[1:] == (rung.height, rung.width, 3)
    assert 15 < pictures.mean() < 110
    changes = np.abs(np.diff(pictures, axis=0)).mean((1, 2, 3))
    assert np.abs(pictures[len(pictures) // 2] - pictures[0]).mean() > 4  # light has moved
    joint = np.abs(pictures[-1] - pictures[0]).mean()
    assert joint < 3 * changes.max()
    assert changes.max() < 6  # of 255, from one picture to the next


def test_a_viewer_can_join_at_any_segment(slate: tuple[SlateSegment, ...]) -> None:
    packets = [packet for packet in slate[1].video if packet.layer == Layer("vp8", 1)]
    assert len(decode_video(packets)) == len(packets)


def test_sound_is_quiet_and_silent_at_both_ends(slate: tuple[SlateSegment, ...]) -> None:
    heard = decode_opus(packet.data for segment in slate for packet in segment.audio)
    assert 0.02 < np.abs(heard).max() < 0.2
    assert np.abs(heard[:, :2_400]).max() < 5e-3
    assert np.abs(heard[:, -2_400:]).max() < 5e-3


@pytest.mark.parametrize("fps", [(24, 1), (50, 3), (30, 1), (8, 1), (5, 1)])
def test_segments_of_any_rate_are_whole_slots(fps: tuple[int, int]) -> None:
    (black,) = make_black((Rung(64, 48, 100_000),), fps=fps, sample_rate=24_000)
    pts = [packet.pts for packet in black.video if packet.codec == "vp8"]
    (step,) = {later - earlier for earlier, later in pairwise(pts)}
    assert step % (90_000 * fps[1] // fps[0]) == 0
    assert 5 <= 90_000 / step <= 12
    assert len(pts) * step == len(black.audio) * 1_800


def test_black_is_black_and_silent(slate: tuple[SlateSegment, ...]) -> None:
    black = make_black(RUNGS, fps=FPS, sample_rate=24_000)
    assert len(black) == 1
    assert black[0].audio[0].pts == slate[0].audio[0].pts
    for layer in LAYERS:
        pictures = decode_video(packet for packet in black[0].video if packet.layer == layer)
        assert max(picture.max() for picture in pictures) < 4
    assert np.abs(decode_opus(packet.data for packet in black[0].audio)).max() < 1e-3
