"""Pictures to another size: colours stay, enlarging is sharp, shrinking averages."""

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from streamgen.media.scaler import Scaler


def back(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """To RGB, as a player does it."""
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    return np.asarray(frame.reformat(format="rgb24", src_colorspace=Colorspace.ITU601).to_ndarray(), np.uint8)


@pytest.mark.parametrize("target", [(640, 384), (426, 256), (160, 96), (106, 64), (80, 48)])
def test_any_size_keeps_the_colours(target: tuple[int, int]) -> None:
    picture = np.full((96, 160, 3), (220, 60, 90), np.uint8)
    planes = Scaler((160, 96), target).planes(picture)
    assert planes.shape == (target[1] * 3 // 2, target[0])
    assert planes.dtype == np.uint8
    shown = back(planes)
    assert shown.shape == (target[1], target[0], 3)
    assert np.abs(shown.astype(int) - (220, 60, 90)).max() < 5


def test_shrinking_averages_over_what_it_leaves_out() -> None:
    stripes = np.zeros((96, 160, 3), np.uint8)
    stripes[:, ::2] = 200  # a filter that picks points would give 0 or 200
    shown = back(Scaler((160, 96), (80, 48)).planes(stripes))
    assert np.abs(shown.astype(int) - 100).max() < 6


def test_enlarging_overshoots_at_an_edge_as_lanczos_does() -> None:
    edge = np.full((96, 160, 3), 60, np.uint8)
    edge[:, 80:] = 180
    luma = Scaler((160, 96), (640, 384)).planes(edge)[:384].astype(int)
    assert luma.max() > luma[0, -1] + 4
    assert luma.min() < luma[0, 0] - 4


def test_planes_are_not_changed_by_the_next_picture() -> None:
    scaler = Scaler((160, 96), (80, 48))
    first = scaler.planes(np.full((96, 160, 3), 200, np.uint8))
    kept = first.copy()
    scaler.planes(np.zeros((96, 160, 3), np.uint8))
    np.testing.assert_array_equal(first, kept)


def test_wrong_picture_is_refused() -> None:
    scaler = Scaler((160, 96), (80, 48))
    with pytest.raises(ValueError, match="expected uint8"):
        scaler.planes(np.zeros((96, 162, 3), np.uint8))
    with pytest.raises(ValueError, match="expected uint8"):
        scaler.frame(np.zeros((96, 160, 3), np.float32))
