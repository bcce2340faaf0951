import numpy as np
import pytest
from scipy import signal

from streamgen.errors import UnsupportedRateError
from streamgen.media.resampler import Upsampler


@pytest.mark.parametrize("rate", [8_000, 12_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("frequency", [97.0, 3_100.0])
def test_tone_comes_out_delayed_by_exactly_the_stated_samples(rate: int, frequency: float) -> None:
    resampler = Upsampler(rate, 1)
    source = np.sin(2 * np.pi * frequency * np.arange(rate // 5) / rate).astype(np.float32)[None]

    out = resampler.process(source)

    assert out.shape == (1, source.shape[1] * 48_000 // rate)
    time_s = (np.arange(out.shape[1]) - resampler.delay) / 48_000
    settled = slice(4_000, None)
    np.testing.assert_allclose(out[0, settled], np.sin(2 * np.pi * frequency * time_s)[settled], atol=2e-3)


def test_matches_scipy_upfirdn_in_the_band() -> None:
    rng = np.random.default_rng(3)
    source = signal.sosfiltfilt(signal.butter(8, 0.7, output="sos"), rng.standard_normal(4_800)).astype(np.float32)
    resampler = Upsampler(24_000, 1)

    ours = resampler.process(source[None])[0, resampler.delay :]

    theirs = signal.resample_poly(source.astype(np.float64), 2, 1, window=("kaiser", 9.0))[: len(ours)]
    inner = slice(500, -500)
    assert np.sqrt(np.mean((ours[inner] - theirs[inner]) ** 2)) < 2e-3 * np.std(theirs)


def test_joints_between_calls_leave_no_trace() -> None:
    source = np.random.default_rng(1).standard_normal((2, 7_680)).astype(np.float32)
    whole = Upsampler(24_000, 2).process(source)
    piecewise = Upsampler(24_000, 2)
    pieces = [piecewise.process(piece) for piece in np.split(source, [1, 100, 5_000, 5_001], axis=1)]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-5)


def test_images_above_the_sources_band_are_suppressed() -> None:
    source = np.sin(2 * np.pi * 9_000 * np.arange(24_000) / 24_000).astype(np.float32)[None]
    spectrum = np.abs(np.fft.rfft(Upsampler(24_000, 1).process(source)[0, 4_800:43_200] * np.hanning(38_400)))
    hz = np.fft.rfftfreq(38_400, 1 / 48_000)
    image = spectrum[(hz > 14_000) & (hz < 16_000)].max()  # 24 kHz - 9 kHz
    assert 20 * np.log10(image / spectrum.max()) < -70


@pytest.mark.parametrize("rate", [44_100, 22_050, 96_000, 0, -8_000])
def test_rates_that_cannot_be_carried_exactly_are_refused(rate: int) -> None:
    with pytest.raises(UnsupportedRateError, match="24000"):
        Upsampler(rate, 2)


def test_wrong_channel_count_is_refused() -> None:
    with pytest.raises(ValueError, match="2 channels"):
        Upsampler(24_000, 2).process(np.zeros((1, 10), np.float32))
