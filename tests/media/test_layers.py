"""The ladder of sizes: even, of one shape, and with bitrates that a receiver's estimate can climb."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.media.layers import MIN_HEIGHT, Rung, ladder


@pytest.mark.parametrize(
    ("width", "height", "sizes"),
    [
        (640, 384, [(640, 384), (426, 256), (320, 192)]),
        (896, 512, [(896, 512), (598, 342), (448, 256)]),
        (832, 480, [(832, 480), (554, 320), (416, 240)]),
        (1280, 720, [(1280, 720), (854, 480), (640, 360)]),
    ],
)
def test_full_size_two_thirds_and_half(width: int, height: int, sizes: list[tuple[int, int]]) -> None:
    assert [(rung.width, rung.height) for rung in ladder(width, height, 2_500_000)] == sizes


def test_each_rung_has_two_thirds_of_the_bitrate_above() -> None:
    assert [rung.bitrate for rung in ladder(640, 384, 2_500_000)] == [2_500_000, 1_666_667, 1_111_111]


def test_small_pictures_have_fewer_rungs_and_always_their_own() -> None:
    assert ladder(160, 96, 500_000) == (Rung(160, 96, 500_000),)
    assert [rung.height for rung in ladder(512, 288, 500_000)] == [288, 192]
    assert [rung.height for rung in ladder(640, 2 * MIN_HEIGHT, 500_000)] == [360, 240, 180]
    assert [rung.height for rung in ladder(640, 2 * MIN_HEIGHT - 4, 500_000)] == [356, 238]


@given(st.integers(1, 2_048), st.integers(1, 2_048), st.integers(1_000, 20_000_000))
def test_rungs_are_even_of_one_shape_and_in_reach_of_one_another(half_width: int, half_height: int, rate: int) -> None:
    width, height = 2 * half_width, 2 * half_height
    rungs = ladder(width, height, rate)
    assert rungs[0] == Rung(width, height, rate)
    for above, rung in pairwise(rungs):
        assert rung.height >= MIN_HEIGHT
        assert above.height > rung.height
        assert above.bitrate <= 1.5 * rung.bitrate + 2  # whole bit/s
        assert above.bitrate > 1.4 * rung.bitrate
        # No even width is nearer to the full shape.
        assert rung.width % 2 == rung.height % 2 == 0
        assert abs(rung.width - rung.height * width / height) <= 1


@pytest.mark.parametrize(("width", "height", "bitrate"), [(641, 384, 1), (640, 383, 1), (0, 384, 1), (640, 384, 0)])
def test_what_cannot_be_encoded_is_refused(width: int, height: int, bitrate: int) -> None:
    with pytest.raises(ValueError, match=r"even and positive|positive bitrate"):
        ladder(width, height, bitrate)
