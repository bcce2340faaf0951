"""The sound autoencoder: causality, streaming, and the scale on which it works."""

import torch

from streamgen_export.pocket.audio_autoencoder import (
    AudioDecoder,
    AudioEncoder,
    compress,
    control_loss,
    expand,
    scaled,
    unscaled,
)
from streamgen_export.pocket.config import AMPLITUDES, POCKET


def test_the_compressed_scale_is_undone() -> None:
    amplitude = torch.tensor([0.0, 1e-4, 0.003, 0.2, 1.0])
    u = compress(amplitude)
    assert u[0] == 0
    assert abs(float(u[-1]) - 1) < 1e-6
    torch.testing.assert_close(expand(u), amplitude, atol=1e-6, rtol=1e-4)
    assert expand(torch.tensor([-0.3])) == 0


def test_balances_are_not_compressed() -> None:
    controls = torch.rand(6, POCKET.controls)
    controls[:, AMPLITUDES:] = torch.tensor([-0.8, 0.3])
    u = scaled(controls)
    torch.testing.assert_close(u[:, :AMPLITUDES], compress(controls[:, :AMPLITUDES]))
    assert torch.equal(u[:, AMPLITUDES:], controls[:, AMPLITUDES:])
    torch.testing.assert_close(unscaled(u), controls, atol=1e-6, rtol=1e-4)
    u[:, AMPLITUDES:] = torch.tensor([-1.7, 1.2])
    assert unscaled(u)[0, AMPLITUDES:].tolist() == [-1.0, 1.0]


def test_a_sound_on_the_wrong_side_is_not_ignored() -> None:
    true = torch.zeros(1, 8, POCKET.controls)
    true[:, :, -1] = -0.8
    middle, quiet = true.clone(), torch.zeros(1, 8, POCKET.controls)
    middle[:, :, -1] = 0.0
    quiet[:, :, -1] = 0.8  # the same distance, where nothing should come from a side
    weight = torch.ones(1, 8)
    assert control_loss(middle, true, weight) > 4 * control_loss(quiet, torch.zeros_like(true), weight) > 0


@torch.no_grad()
def test_decoding_in_pieces_equals_decoding_at_once() -> None:
    torch.manual_seed(1)
    decoder = AudioDecoder(POCKET)
    latents = torch.randn(2, 16, 24)
    whole, _, _ = decoder(latents, *decoder.start(2))
    states, pieces = decoder.start(2), []
    for part in latents.split(8, dim=2):
        made, *after = decoder(part, *states)
        states = (after[0], after[1])
        pieces.append(made)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_nothing_is_heard_before_it_happens() -> None:
    torch.manual_seed(2)
    encoder, decoder = AudioEncoder(POCKET), AudioDecoder(POCKET)
    quiet = torch.rand(1, 64, POCKET.controls) * 0.2
    struck = quiet.clone()
    struck[:, 40:44] += 0.5
    heard = [decoder(encoder(u), *decoder.start(1))[0] for u in (quiet, struck)]
    change = (heard[1] - heard[0]).abs().amax((0, 2))
    assert not change[:40].any()
    assert change[40:44].any()


def test_silence_does_not_win_the_loss() -> None:
    true = torch.zeros(1, 8, POCKET.controls)
    true[:, :, 10] = 0.5
    weight = torch.ones(1, 8)
    assert control_loss(true, true, weight) == 0
    missing = control_loss(torch.zeros_like(true), true, weight)
    ghost = control_loss(true + 0.5 * (torch.arange(POCKET.controls) == 20), true, weight)
    assert missing > 2 * ghost
