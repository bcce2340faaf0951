"""The reference synthesiser: exact oscillators, calibrated noise, and no trace of how a take was cut into calls."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamgen_export.pocket.world.sound.synth import (
    BANDS,
    FIRST_NOTE,
    HOP,
    NOTES,
    SAMPLE_RATE_HZ,
    TAPS,
    Synth,
    band_edges,
    filter_bank,
    note_frequencies,
    pan,
)

FRAMES = 64


@pytest.fixture
def take() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Busy controls and their noise."""
    rng = np.random.default_rng(5)
    tones = rng.uniform(0, 0.02, (FRAMES, NOTES)).astype(np.float32)
    levels = rng.uniform(0, 0.05, (FRAMES, BANDS)).astype(np.float32)
    return tones, levels, rng.standard_normal((2, FRAMES * HOP)).astype(np.float32)


def test_constants_are_the_agreed_ones() -> None:
    assert (NOTES, FIRST_NOTE, BANDS, TAPS, HOP) == (73, 36, 16, 255, 240)
    assert filter_bank().shape == (16, 255)
    assert filter_bank().dtype == np.float32
    assert pan().shape == (2, 73)
    assert note_frequencies()[69 - FIRST_NOTE] == pytest.approx(440.0)


@pytest.mark.parametrize("cut", [(64,), (32, 32), (1, 2, 61), (1,) * 64])
def test_takes_do_not_depend_on_how_they_are_cut(
    cut: tuple[int, ...], take: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
) -> None:
    tones, levels, noise = take
    whole = Synth().render(tones, levels, noise)
    synth, parts, at = Synth(), [], 0
    for frames in cut:
        span = slice(at, at + frames)
        parts.append(synth.render(tones[span], levels[span], noise[:, at * HOP : (at + frames) * HOP]))
        at += frames
    assert synth.frame == FRAMES
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=2e-6)


def test_nothing_is_heard_of_the_future(
    take: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
) -> None:
    tones, levels, noise = take
    before = Synth().render(tones, levels, noise)
    now = 40
    tones, levels, noise = tones.copy(), levels.copy(), noise.copy()
    tones[now:], levels[now:], noise[:, now * HOP :] = 0.3, 0.3, 3.0
    after = Synth().render(tones, levels, noise)
    np.testing.assert_allclose(after[:, : now * HOP], before[:, : now * HOP], atol=2e-6)
    assert np.abs(after[:, now * HOP : (now + 1) * HOP] - before[:, now * HOP : (now + 1) * HOP]).max() > 0.05


def test_matches_the_definition_sample_by_sample(
    take: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
) -> None:
    tones, levels, noise = take
    frames = 4
    samples = np.arange(frames * HOP)
    weight = (samples % HOP + 1) / HOP
    heard = np.pad(noise[:, : frames * HOP].astype(np.float64), ((0, 0), (TAPS - 1, 0)))

    def ramped(values: NDArray[np.float32]) -> NDArray[np.float64]:
        held = np.concatenate([np.zeros((1, values.shape[1])), values])
        frame = samples // HOP
        ramps: NDArray[np.float64] = held[frame] * (1 - weight[:, None]) + held[frame + 1] * weight[:, None]
        return ramps

    waves = np.sin(2 * np.pi * note_frequencies() * samples[:, None] / SAMPLE_RATE_HZ) * ramped(tones[:frames])
    expected = (waves @ pan().T).T
    for channel in range(2):
        bands = np.stack([np.convolve(heard[channel], taps, "valid") for taps in filter_bank()], axis=1)
        expected[channel] += (bands * ramped(levels[:frames])).sum(axis=1)
    got = Synth().render(tones[:frames], levels[:frames], noise[:, : frames * HOP])
    np.testing.assert_allclose(got, np.tanh(expected), atol=5e-6)


def test_the_filter_bank_is_a_plain_convolution_in_torch() -> None:
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((2, 10 * HOP)).astype(np.float32)
    levels = np.full((10, BANDS), 0.02, np.float32)
    synth = Synth()
    synth.render(np.zeros((1, NOTES), np.float32), levels[:1], np.zeros((2, HOP), np.float32))
    got = synth.render(np.zeros((10, NOTES), np.float32), levels, noise)
    padded = torch.nn.functional.pad(torch.from_numpy(noise)[:, None], (TAPS - 1, 0))
    bands = torch.nn.functional.conv1d(padded, torch.from_numpy(filter_bank().copy())[:, None])
    np.testing.assert_allclose(got, torch.tanh(0.02 * bands.sum(dim=1)).numpy(), atol=2e-6)


@pytest.mark.parametrize("band", range(BANDS))
def test_a_band_has_the_level_that_it_is_given(band: int) -> None:
    rng = np.random.default_rng(band)
    frames = 1500
    levels = np.zeros((frames, BANDS), np.float32)
    levels[:, band] = 0.05
    noise = rng.standard_normal((2, frames * HOP)).astype(np.float32)
    sound = Synth().render(np.zeros((frames, NOTES), np.float32), levels, noise)
    assert np.sqrt((sound[:, HOP:] ** 2).mean()) == pytest.approx(0.05, rel=0.05)


def test_bands_are_in_order_and_free_of_dc() -> None:
    response = np.abs(np.fft.rfft(filter_bank(), 8192, axis=1)) ** 2
    frequencies = np.arange(response.shape[1]) * SAMPLE_RATE_HZ / 8192
    centres = (response * frequencies).sum(axis=1) / response.sum(axis=1)
    assert (np.diff(centres) > 0).all()
    assert np.abs(filter_bank().sum(axis=1)).max() < 1e-5
    edges = band_edges()
    for band in range(6, BANDS):  # those that 255 taps can resolve
        inside = (frequencies >= edges[band] - 80) & (frequencies <= edges[band + 1] + 80)
        assert response[band, inside].sum() > 0.9 * response[band].sum()


def test_the_filters_are_symmetric() -> None:
    np.testing.assert_array_equal(filter_bank(), filter_bank()[:, ::-1])


def test_pan_keeps_power_and_centres_the_bass() -> None:
    np.testing.assert_allclose((pan() ** 2).sum(axis=0), 1.0, atol=1e-6)
    np.testing.assert_allclose(pan()[0, :13], pan()[1, :13], atol=1e-6)
    assert np.abs(pan()[0] - pan()[1]).max() > 0.3


def test_a_joint_is_no_louder_than_the_inside() -> None:
    tones = np.zeros((32, NOTES), np.float32)
    tones[:, 60 - FIRST_NOTE] = 0.5
    synth, silence = Synth(), np.zeros((2, 32 * HOP), np.float32)
    sound = np.concatenate([synth.render(tones, np.zeros((32, BANDS), np.float32), silence) for _ in range(4)], axis=1)
    steps = np.abs(np.diff(np.diff(sound, axis=1), axis=1))
    for joint in (32 * HOP, 64 * HOP, 96 * HOP):
        assert steps[:, joint - 3 : joint + 3].max() <= steps[:, 20 * HOP : 31 * HOP].max() * 1.001


def test_hours_later_the_tone_is_as_clean() -> None:
    tones = np.zeros((100, NOTES), np.float32)
    tones[:, -1] = 0.1
    quiet, silence = np.zeros((100, BANDS), np.float32), np.zeros((2, 100 * HOP), np.float32)
    synth = Synth()
    synth.frame = 10 * 3600 * 100
    sound = synth.render(tones, quiet, silence)[:, HOP:]
    samples = np.arange(sound.shape[1])
    turns = note_frequencies()[-1] / SAMPLE_RATE_HZ * samples
    basis = np.stack([np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)], axis=1)
    residue = sound[0] - basis @ np.linalg.lstsq(basis, sound[0], rcond=None)[0]
    assert np.abs(residue).max() < 1e-4


def test_reset_starts_over(take: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]) -> None:
    synth = Synth()
    first = synth.render(*take)
    second = synth.render(*take)
    synth.reset()
    np.testing.assert_array_equal(synth.render(*take), first)
    assert np.abs(second - first).max() > 1e-3


def test_it_stays_within_one_however_loud() -> None:
    tones, levels = np.full((8, NOTES), 2.0, np.float32), np.full((8, BANDS), 2.0, np.float32)
    sound = Synth().render(tones, levels, np.random.default_rng(0).standard_normal((2, 8 * HOP)).astype(np.float32))
    assert sound.dtype == np.float32
    assert np.abs(sound).max() <= 1.0


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have the shapes"):
        Synth().render(np.zeros((4, NOTES), np.float32), np.zeros((4, BANDS), np.float32), np.zeros((2, 7), np.float32))
