"""The critic of pictures: what the decoder hears from it, and that it learns to tell painted from rendered."""

from copy import deepcopy

import pytest
import torch
from torch.nn import functional as F

from streamgen_export.pocket.critic import SHARE, WARMING, Adversary
from streamgen_export.pocket.video_autoencoder import CHANNELS

CHANNELS_OF_LATENTS = 8


def striped() -> torch.Tensor:
    """Pictures [2, 1, 12, 32, 64] with sharp edges."""
    x = torch.ones(2, 1, CHANNELS, 32, 64)
    x[..., ::8] = -1
    x[..., 1::8] = -1
    return x


def softened(sharp: torch.Tensor) -> torch.Tensor:
    soft: torch.Tensor = F.avg_pool2d(sharp.flatten(0, 1), 5, 1, 2).unflatten(0, sharp.shape[:2])
    return soft


def adversary() -> Adversary:
    return Adversary(CHANNELS_OF_LATENTS, 0, torch.device("cpu"))


def gradient(critic: Adversary, made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """What is heard at the pictures beyond the reconstruction."""
    made = made.clone().requires_grad_()
    reconstruction = F.l1_loss(made, true)
    loss = critic.loss(made, true, torch.zeros(2, 1, CHANNELS_OF_LATENTS, 2, 4), reconstruction)
    (both,) = torch.autograd.grad(loss, made, retain_graph=True)
    (alone,) = torch.autograd.grad(reconstruction, made)
    heard: torch.Tensor = (both - alone) / alone.norm()
    return heard


def test_nothing_is_heard_at_first() -> None:
    true = striped()
    assert gradient(adversary(), softened(true), true).norm() == 0


def test_the_strength_is_a_share_of_the_reconstructions() -> None:
    critic, true = adversary(), striped()
    critic.steps = WARMING // 2
    assert gradient(critic, softened(true), true).norm().item() == pytest.approx(SHARE / 2, rel=1e-3)
    critic.steps = 10 * WARMING
    assert gradient(critic, softened(true), true).norm().item() == pytest.approx(SHARE, rel=1e-3)


def test_the_critic_learns_to_tell_soft_from_sharp() -> None:
    critic, true = adversary(), striped()
    told = torch.zeros(2, CHANNELS_OF_LATENTS, 2, 4)
    for _ in range(60):
        gradient(critic, softened(true), true)
    with torch.no_grad():
        rendered, _ = critic.critic(true.flatten(0, 1), told)
        painted, _ = critic.critic(softened(true).flatten(0, 1), told)
    assert rendered.mean() > painted.mean() + 0.5


def test_the_decoders_loss_teaches_the_critic_nothing() -> None:
    critic, true = adversary(), striped()
    critic.steps = WARMING
    made = softened(true).requires_grad_()
    loss = critic.loss(made, true, torch.zeros(2, 1, CHANNELS_OF_LATENTS, 2, 4), F.l1_loss(made, true))
    critic.optimiser.zero_grad()
    loss.backward()
    assert made.grad is not None
    assert made.grad.norm() > 0
    assert all(p.grad is None for p in critic.critic.parameters())


def test_it_goes_on_where_it_was_stopped() -> None:
    true, one, two = striped(), adversary(), adversary()
    for _ in range(3):
        gradient(one, softened(true), true)
    two.load_state_dict(deepcopy(one.state_dict()))
    assert two.steps == 3
    torch.testing.assert_close(gradient(one, softened(true), true), gradient(two, softened(true), true))
