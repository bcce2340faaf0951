"""The sound autoencoder: causality, streaming, and the scale on which it works."""

import torch

from streamgen_export.pocket.audio_autoencoder import AudioDecoder, AudioEncoder, compress, control_loss, expand
from streamgen_export.pocket.config import NANO


def test_the_compressed_scale_is_undone() -> None:
    amplitude = torch.tensor([0.0, 1e-4, 0.003, 0.2, 1.0])
    u = compress(amplitude)
    assert u[0] == 0
    assert abs(float(u[-1]) - 1) < 1e-6
    torch.testing.assert_close(expand(u), amplitude, atol=1e-6, rtol=1e-4)
    assert expand(torch.tensor([-0.3])) == 0


@torch.no_grad()
def test_decoding_in_pieces_equals_decoding_at_once() -> None:
    torch.manual_seed(1)
    decoder = AudioDecoder(NANO)
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
    encoder, decoder = AudioEncoder(NANO), AudioDecoder(NANO)
    quiet = torch.rand(1, 64, 89) * 0.2
    struck = quiet.clone()
    struck[:, 40:44] += 0.5
    heard = [decoder(encoder(u), *decoder.start(1))[0] for u in (quiet, struck)]
    change = (heard[1] - heard[0]).abs().amax((0, 2))
    assert not change[:40].any()
    assert change[40:44].any()


def test_silence_does_not_win_the_loss() -> None:
    true = torch.zeros(1, 8, 89)
    true[:, :, 10] = 0.5
    weight = torch.ones(1, 8)
    assert control_loss(true, true, weight) == 0
    missing = control_loss(torch.zeros_like(true), true, weight)
    ghost = control_loss(true + 0.5 * (torch.arange(89) == 20), true, weight)
    assert missing > 2 * ghost
