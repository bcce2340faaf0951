"""The picture autoencoder: streaming equals whole clips, finite reach, and the closed-form start."""

import pytest
import torch

from streamgen_export.pocket.config import POCKET, POCKET_SMALL, PocketConfig
from streamgen_export.pocket.video_autoencoder import (
    FADE,
    INEXACT,
    VideoDecoder,
    VideoEncoder,
    faded,
    float_to_pictures,
    least_squares,
    pictures_to_float,
    principal_components,
)


def _awaken(module: torch.nn.Module) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)


def _awake(seed: int, config: PocketConfig = POCKET_SMALL) -> VideoDecoder:
    torch.manual_seed(seed)
    decoder = VideoDecoder(config).eval()
    _awaken(decoder)
    return decoder


def _stream(decoder: VideoDecoder, latents: torch.Tensor, config: PocketConfig = POCKET_SMALL) -> torch.Tensor:
    previous, features = torch.zeros(1, 48, 6, 10), torch.zeros(1, config.decoder_widths[2], 24, 40)
    made = []
    for latent in latents[0]:
        pictures, features = decoder(latent[None], previous, features)
        previous = latent[None]
        made.append(pictures)
    return torch.stack(made, dim=1)


@torch.no_grad()
@pytest.mark.parametrize("config", [POCKET_SMALL, POCKET], ids=lambda config: config.name)
def test_chunk_by_chunk_equals_the_whole_clip(config: PocketConfig) -> None:
    decoder = _awake(1, config)
    latents = torch.randn(1, 5, 48, 6, 10)
    torch.testing.assert_close(_stream(decoder, latents, config), decoder.clips(latents), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_part_of_a_picture_is_what_it_is_in_the_whole_away_from_the_cut() -> None:
    encoder, decoder = VideoEncoder(POCKET).eval(), _awake(4, POCKET)
    _awaken(encoder)
    whole = torch.rand(1, 12, 64, 448) * 2 - 1
    latents, part = encoder(whole), encoder(whole[..., :320])
    torch.testing.assert_close(part[..., :15], latents[..., :15], atol=1e-4, rtol=1e-3)
    made, piece = decoder.clips(latents[:, None]), decoder.clips(latents[:, None, ..., :20])
    torch.testing.assert_close(piece[..., : POCKET.patch * 4], made[..., : POCKET.patch * 4], atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_a_wrong_latent_is_forgotten_after_three_chunks_and_never_reaches_back() -> None:
    decoder = _awake(2)
    latents = torch.randn(1, 8, 48, 6, 10)
    wrong = latents.clone()
    wrong[:, 3] += 1.0
    change = (decoder.clips(wrong) - decoder.clips(latents)).abs().amax((0, 2, 3, 4))
    assert not change[:3].any()
    assert change[3] > 0.01
    assert not change[6:].any()


def _fade(pictures: torch.Tensor) -> torch.Tensor:
    """[T, 12, H, W] as decoded, one chunk after the other."""
    last, begun = torch.zeros(1, 3, *pictures.shape[-2:]), torch.zeros(1)
    made = []
    for chunk in pictures:
        made.append(faded(chunk[None], last, begun))
        last, begun = made[-1][:, -3:], torch.ones(1)
    return torch.cat(made)


def test_a_jump_between_chunks_is_spread_over_the_pictures_of_the_later_one() -> None:
    levels = torch.tensor([0.5, -0.5])[:, None, None, None].expand(2, 12, 4, 6)
    shown = _fade(levels).unflatten(1, (4, 3))
    assert torch.equal(shown[0], levels[0].unflatten(0, (4, 3)))  # the first chunk has nothing to fade from
    torch.testing.assert_close(shown[1, :, 0, 0, 0], -0.5 + torch.tensor(FADE))
    steps = shown[:, :, 0, 0, 0].flatten().diff()[3:].abs()
    assert steps.max() < 0.4  # it was 1
    assert torch.equal(shown[1, -1], levels[1, -3:])


def test_what_was_held_back_is_gone_a_chunk_later() -> None:
    torch.manual_seed(5)
    pictures = torch.rand(5, 12, 8, 8)
    wrong = pictures.clone()
    wrong[1] += 1.0
    change = (_fade(wrong) - _fade(pictures)).abs().amax((1, 2, 3))
    assert not change[0]
    assert change[2] > 0.1
    assert not change[3:].any()


@torch.no_grad()
def test_the_linear_start_rebuilds_what_has_few_components() -> None:
    torch.manual_seed(3)
    encoder, decoder = VideoEncoder(POCKET_SMALL), VideoDecoder(POCKET_SMALL)
    basis = torch.randn(20, 12 * 16 * 16) / 60
    patches = torch.randn(40 * 60, 20) @ basis
    pictures = torch.nn.functional.fold(patches.view(40, 60, -1).transpose(1, 2), (96, 160), 16, stride=16)
    principal_components(encoder, pictures)
    least_squares(encoder, decoder, [pictures])
    latents = encoder.linear(pictures)
    variance = latents.var((0, 2, 3))
    assert float(variance.mean()) == pytest.approx(1, abs=0.02)
    rebuilt = decoder.reconstructed(latents)
    # Inexact latents are trusted a little less than fully.
    assert (rebuilt - pictures).abs().mean() < (INEXACT + 0.02) * pictures.abs().mean()


@torch.no_grad()
def test_channels_are_as_loud_as_loses_least_when_all_get_the_same_noise() -> None:
    torch.manual_seed(7)
    encoder = VideoEncoder(POCKET_SMALL)
    spread = torch.logspace(0, -1, 48)
    patches = (torch.randn(6000, 48) * spread) @ torch.linalg.qr(torch.randn(3072, 48))[0].T
    pictures = torch.nn.functional.fold(patches.view(100, 60, -1).transpose(1, 2), (96, 160), 16, stride=16)
    principal_components(encoder, pictures)
    loudness = encoder.linear(pictures).std((0, 2, 3))
    assert loudness[0] > 2 * loudness[40]

    def error(power: torch.Tensor, noise: float = 0.25) -> float:
        """Of the best estimate of components of variance `spread` squared, sent with these powers through noise."""
        return float((spread**2 * noise**2 / (power + noise**2)).sum())

    chosen = loudness.square()
    for exponent in (0.0, 0.5, 1.5, 2.0):  # of the standard deviation; 1 is what was chosen
        other = spread**exponent
        assert error(chosen) < error(other * chosen.sum() / other.sum())


@torch.no_grad()
def test_a_new_last_stage_enlarges_what_the_decoder_painted_before() -> None:
    sketcher, decoder = _awake(8, POCKET.sketched), VideoDecoder(POCKET).eval()
    decoder.take_over(sketcher)
    latents = torch.randn(1, 2, 48, 6, 10)
    small, large = sketcher.clips(latents)[0], decoder.clips(latents)[0]
    assert large.shape[-2:] == (192, 320)
    enlarged = torch.nn.functional.interpolate(small, scale_factor=2.0, mode="bilinear", align_corners=False)
    torch.testing.assert_close(large, enlarged)


def test_pictures_come_back_from_floats() -> None:
    rgb = torch.randint(0, 256, (8, 96, 160, 3), dtype=torch.uint8)
    as_float = pictures_to_float(rgb)
    assert as_float.shape == (2, 12, 96, 160)
    assert torch.equal(float_to_pictures(as_float).flatten(0, 1), rgb)
