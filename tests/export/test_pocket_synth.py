"""The exported synthesiser against the numpy reference that the training sounds are made with."""

import numpy as np
import torch

from streamgen_export.pocket.config import NANO
from streamgen_export.pocket.scenes.synth import BANDS, HOP, NOTES, Synth
from streamgen_export.pocket.synth import FRAMES, Synthesiser


def test_twenty_chunks_match_the_reference() -> None:
    rng = np.random.default_rng(3)
    reference, module = Synth(), Synthesiser(NANO)
    states = [torch.zeros(shape) for shape in module.states().values()]
    for _ in range(20):
        controls = rng.uniform(0, 0.03, (FRAMES, NOTES + BANDS)).astype(np.float32)
        noise = rng.standard_normal((2, FRAMES * HOP)).astype(np.float32)
        expected = reference.render(controls[:, :NOTES], controls[:, NOTES:], noise)
        samples, *states = module(torch.from_numpy(controls), torch.from_numpy(noise), *states)
        np.testing.assert_allclose(samples.numpy(), expected, atol=2e-4)
