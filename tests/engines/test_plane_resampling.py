"""Filters by what is known of them: sums, symmetry, places, and pictures that they must not change."""

import numpy as np
import pytest

from streamgen_engines.planes.resampling import Matrix, area, lanczos, plane_filters

SIZES = [(96, 384), (160, 426), (96, 96), (256, 342), (256, 172), (97, 48), (3, 12), (1, 6)]


@pytest.mark.parametrize(("source", "target"), SIZES)
@pytest.mark.parametrize("kind", [lanczos, area])
def test_a_flat_picture_stays_flat_and_a_mirrored_one_is_mirrored(source: int, target: int, kind: object) -> None:
    made: Matrix = kind(source, target)  # type: ignore[operator]
    assert made.shape == (target, source)
    np.testing.assert_allclose(made.sum(axis=1), 1.0)
    np.testing.assert_allclose(made[::-1, ::-1], made, atol=1e-9)


@pytest.mark.parametrize("size", [1, 7, 96])
def test_the_same_size_changes_nothing(size: int) -> None:
    np.testing.assert_allclose(lanczos(size, size), np.eye(size), atol=1e-12)
    np.testing.assert_allclose(area(size, size), np.eye(size), atol=1e-12)


@pytest.mark.parametrize(("source", "target"), [(96, 384), (160, 426), (256, 342)])
def test_enlarging_keeps_slopes_in_their_place(source: int, target: int) -> None:
    """A picture that rises evenly rises evenly, with each sample in the middle of what it stands for."""
    slope = np.arange(source) + 0.5
    made = lanczos(source, target) @ slope
    inner = slice(4 * target // source, -4 * target // source)
    middles = (np.arange(target) + 0.5) * source / target
    assert np.abs(made - middles)[inner].max() < 0.04  # Lanczos is not exact for slopes, and this is how far off it is


def test_lanczos_is_lanczos() -> None:
    """The four phases of a factor of 4, computed by hand from sinc(x) sinc(x/3)."""
    taps = np.arange(-3, 4)
    for phase in range(4):
        at = taps - ((phase + 0.5) / 4 - 0.5)
        weights = np.where(np.abs(at) < 3, np.sinc(at) * np.sinc(at / 3), 0)
        row = lanczos(32, 128)[4 * 16 + phase]
        np.testing.assert_allclose(row[13:20], weights / weights.sum(), atol=1e-12)
        assert np.count_nonzero(row) <= 7


def test_shrinking_by_a_whole_factor_is_the_mean() -> None:
    np.testing.assert_allclose(area(12, 4), np.kron(np.eye(4), np.full((1, 3), 1 / 3)), atol=1e-12)


def test_shrinking_by_a_fraction_counts_pixels_by_what_is_covered() -> None:
    np.testing.assert_allclose(area(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], atol=1e-12)


def test_chroma_is_made_from_the_source_at_half_of_the_size() -> None:
    filters = plane_filters((160, 96), (640, 384))
    np.testing.assert_allclose(filters.luma_columns, lanczos(160, 640))
    np.testing.assert_allclose(filters.luma_rows, lanczos(96, 384))
    np.testing.assert_allclose(filters.chroma_columns, lanczos(160, 320))
    np.testing.assert_allclose(filters.chroma_rows, lanczos(96, 192))


def test_chroma_that_gets_no_wider_is_made_from_pairs() -> None:
    filters = plane_filters((160, 96), (160, 96))
    np.testing.assert_allclose(filters.chroma_columns, np.kron(np.eye(80), np.full((1, 2), 0.5)))
    np.testing.assert_allclose(filters.chroma_rows, lanczos(96, 48))
    np.testing.assert_allclose(filters.luma_rows, np.eye(96), atol=1e-12)


def test_whatever_shrinks_in_one_direction_is_the_mean_in_both() -> None:
    filters = plane_filters((160, 96), (80, 96))
    np.testing.assert_allclose(filters.luma_columns, area(160, 80))
    np.testing.assert_allclose(filters.chroma_rows, area(96, 48))
