"""The exported synthesiser against the numpy reference that the training sounds are made with."""

import numpy as np
import torch

from streamgen_export.pocket.config import AMPLITUDES, POCKET
from streamgen_export.pocket.synth import Synthesiser
from streamgen_export.pocket.world.sound.controls import Controls
from streamgen_export.pocket.world.sound.stereo import StereoSynth
from streamgen_export.pocket.world.sound.synth import BANDS, HOP, NOTES, Synth


def test_twenty_chunks_match_the_reference() -> None:
    rng = np.random.default_rng(3)
    reference, module = Synth(), Synthesiser(POCKET)
    states = [torch.zeros(shape) for shape in module.states(POCKET).values()]
    for _ in range(20):
        controls = np.zeros((POCKET.control_frames, POCKET.controls), np.float32)  # all balances in the middle
        controls[:, :AMPLITUDES] = rng.uniform(0, 0.03, (POCKET.control_frames, AMPLITUDES))
        noise = rng.standard_normal((2, POCKET.control_frames * HOP)).astype(np.float32)
        expected = reference.render(controls[:, :NOTES], controls[:, NOTES:AMPLITUDES], noise)
        samples, *states = module(torch.from_numpy(controls), torch.from_numpy(noise), *states)
        np.testing.assert_allclose(samples.numpy(), expected, atol=2e-4)


def test_tones_and_noise_are_panned_as_the_reference_pans_them() -> None:
    rng = np.random.default_rng(4)
    reference, module = StereoSynth(), Synthesiser(POCKET)
    states = [torch.zeros(shape) for shape in module.states(POCKET).values()]
    frames = POCKET.control_frames
    for _ in range(6):
        tones, levels = (rng.uniform(0, 0.03, (frames, n)).astype(np.float32) for n in (NOTES, BANDS))
        balance = rng.uniform(-1, 1, (frames, 2)).astype(np.float32)
        noise = rng.standard_normal((2, frames * HOP)).astype(np.float32)
        expected = reference.play(Controls(tones, levels, balance), noise)
        controls = torch.from_numpy(np.concatenate((tones, levels, balance), axis=1))
        samples, *states = module(controls, torch.from_numpy(noise), *states)
        np.testing.assert_allclose(samples.numpy(), expected, atol=2e-4)
