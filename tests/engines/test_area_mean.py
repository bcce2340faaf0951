"""Pictures at another size, against the definition."""

import numpy as np
import pytest

from streamgen_engines.area_mean import AreaMean
from streamgen_engines.chunk import UInt8Array


def picture(height: int, width: int) -> UInt8Array:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("old", "new"),
    [((12, 20), (4, 5)), ((15, 26), (8, 14)), ((6, 5), (9, 20)), ((7, 3), (5, 11)), ((480, 832), (256, 448))],
)
def test_each_pixel_is_the_mean_of_what_it_covers(old: tuple[int, int], new: tuple[int, int]) -> None:
    given = picture(*old)
    found = AreaMean(old, new)(given)
    assert found.shape == (*new, 3)
    assert found.dtype == np.uint8
    # Every old pixel as so many small ones that they make whole new ones.
    rows, columns = (np.lcm(a, b) for a, b in zip(old, new, strict=True)) if old[0] < 100 else (0, 0)
    if rows:
        fine = given.repeat(rows // old[0], axis=0).repeat(columns // old[1], axis=1).astype(float)
        blocks = fine.reshape(new[0], rows // new[0], new[1], columns // new[1], 3)
        assert np.abs(found - blocks.mean(axis=(1, 3))).max() <= 0.51
    assert abs(found.mean() - given.mean()) < 0.5


def test_the_same_size_changes_nothing_and_another_one_than_announced_is_refused() -> None:
    given = picture(9, 7)
    assert np.array_equal(AreaMean((9, 7), (9, 7))(given), given)
    with pytest.raises(ValueError, match=r"\(9, 7\), and pictures of \(8, 7\)"):
        AreaMean((8, 7), (4, 7))(given)
