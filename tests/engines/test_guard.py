"""The statistics guard leaves good chunks alone and brings others back."""

import numpy as np
import pytest

from streamgen_engines.chunk import Float32Array, Latents
from streamgen_engines.guard import StatisticsGuard
from streamgen_engines.manifest import ChannelRanges, Guard

CHANNELS = 3
RANGES = ChannelRanges(mean=((-0.5, 0.5),) * CHANNELS, deviation=((0.5, 1.5),) * CHANNELS)


def latents(mean: float = 0.0, deviation: float = 1.0) -> Latents:
    """A chunk whose channels have exactly this mean and standard deviation."""
    random = np.random.default_rng(0)

    def exact(*shape: int) -> Float32Array:
        x = random.standard_normal((1, CHANNELS, int(np.prod(shape))))
        x = (x - x.mean(axis=2, keepdims=True)) / x.std(axis=2, keepdims=True)
        return np.asarray((mean + deviation * x).reshape(1, CHANNELS, *shape), np.float32)

    return Latents(exact(6, 10), exact(8))


def test_a_chunk_inside_its_ranges_is_untouched() -> None:
    chunk = latents(0.3, 1.2)
    result = StatisticsGuard(Guard(video=RANGES, audio=RANGES))(chunk)
    np.testing.assert_array_equal(result.video, chunk.video)
    np.testing.assert_array_equal(result.audio, chunk.audio)


@pytest.mark.parametrize(("mean", "back"), [(2.0, 1.625), (-2.0, -1.625)])
def test_a_mean_goes_back_by_the_pull(mean: float, back: float) -> None:
    result = StatisticsGuard(Guard(pull=0.25, video=RANGES, audio=RANGES))(latents(mean, 1.0))
    for part in (result.video, result.audio):
        rows = part.reshape(CHANNELS, -1)
        np.testing.assert_allclose(rows.mean(axis=1), back, atol=1e-5)
        np.testing.assert_allclose(rows.std(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize(("deviation", "back"), [(3.5, 2.5), (0.1, 0.3)])
def test_a_deviation_goes_back_by_the_pull(deviation: float, back: float) -> None:
    result = StatisticsGuard(Guard(pull=0.5, video=RANGES, audio=RANGES))(latents(0.2, deviation))
    for part in (result.video, result.audio):
        rows = part.reshape(CHANNELS, -1)
        np.testing.assert_allclose(rows.mean(axis=1), 0.2, atol=1e-5)
        np.testing.assert_allclose(rows.std(axis=1), back, atol=1e-5)


def test_a_flat_channel_stays_a_number() -> None:
    result = StatisticsGuard(Guard(pull=1.0, video=RANGES))(latents(2.0, 0.0))
    np.testing.assert_allclose(result.video, 0.5, atol=1e-6)


def test_a_side_without_ranges_is_untouched() -> None:
    chunk = latents(9.0, 9.0)
    result = StatisticsGuard(Guard(video=RANGES))(chunk)
    assert result.audio is chunk.audio
    assert not np.array_equal(result.video, chunk.video)
