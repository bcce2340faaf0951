"""Sound at a multiple of its rate: exact counts, no seam, the same sound and no images of it."""

import numpy as np
import pytest

from streamgen_engines.chunk import Float32Array
from streamgen_engines.upsample import DELAY, Upsampler

RATE = 24_000


def tone(hz: float, rate: int, samples: int, delay_s: float = 0.0) -> Float32Array:
    time = np.arange(samples) / rate - delay_s
    return np.sin(2 * np.pi * hz * time).astype(np.float32)[None]


@pytest.mark.parametrize("ratio", [2, 3, 4])
@pytest.mark.parametrize("hz", [50, 1000, 8000])
def test_a_tone_stays_what_it_is(ratio: int, hz: float) -> None:
    found = Upsampler(ratio, 1)(tone(hz, RATE, 4800))
    assert found.shape == (1, 4800 * ratio)
    right = tone(hz, ratio * RATE, 4800 * ratio, DELAY / RATE)
    settled = slice(4 * DELAY * ratio, None)
    assert np.abs(found - right)[:, settled].max() < 2e-3


def test_images_are_gone() -> None:
    found = Upsampler(2, 1)(tone(9_000, RATE, 24_000))[0, 1000:-1000]
    spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found)))) ** 2
    hz = np.fft.rfftfreq(len(found), 1 / 48_000)
    assert spectrum[hz > 13_000].max() < 1e-6 * spectrum.max()


@pytest.mark.parametrize("ratio", [1, 2])
def test_blocks_join_as_if_they_were_one(ratio: int) -> None:
    noise = np.random.default_rng(1).standard_normal((2, 1000)).astype(np.float32)
    whole = Upsampler(ratio, 2)(noise)
    tested = Upsampler(ratio, 2)
    blocks = np.split(noise, [1, 8, 300, 301, 700], axis=1)
    found = [tested(block) for block in blocks]
    assert [part.shape[1] for part in found] == [ratio * block.shape[1] for block in blocks]
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=1e-6)
    tested.reset()
    np.testing.assert_allclose(tested(noise), whole, atol=1e-6)
