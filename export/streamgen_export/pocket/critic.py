"""A critic of pictures: what makes the decoder draw edges where a mean of all that could be there would be soft.

Latents are never exact, and the best guess in the sense of L1 is then a blur. A second network learns to tell what was
painted from what was rendered, patch by patch (Isola et al. 2017, section 3.2), and the decoder learns to be taken for
rendered (hinge loss, Lim and Ye 2017) and to have features like those of what was rendered (Wang et al. 2018, section
3.2). Its weight follows the gradients (Esser et al. 2021, equation 7), here those at the pictures.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from streamgen_export.pocket.video_autoencoder import CHANNELS

WIDTHS: Final = (32, 64, 96)
"""Of the critic at a half, a quarter and an eighth of the size."""
SHARE: Final = 0.6
"""How strong the critic's gradient at the pictures is, in units of the reconstruction's."""
LIKENESS: Final = 4.0
"""Weight of features being alike, beside being taken for rendered."""
WARMING: Final = 100
"""Steps over which the decoder starts to listen: a critic that has learnt nothing has nothing to say."""
RATE: Final = 3e-4


class Critic(nn.Module):
    """Four pictures and their latents -> how much each patch looks rendered, and features on the way."""

    def __init__(self, video_channels: int) -> None:
        super().__init__()
        # Squares of pixels become channels, not strided convolutions: see `in_float32`.
        inputs = (CHANNELS * 4, *(4 * width for width in WIDTHS[:-1]))
        self.stages = nn.ModuleList(_bounded(i, o) for i, o in zip(inputs, WIDTHS, strict=True))
        self.told = _bounded(WIDTHS[-1] + video_channels, WIDTHS[-1])
        self.verdict = _bounded(WIDTHS[-1], 1)

    def forward(self, pictures: Tensor, latents: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Pictures [N, 12, H, W] and latents [N, Z, h, w] -> verdicts [N, 1, H / 8, W / 8] and features."""
        x, features = pictures, []
        for stage in self.stages:
            x = F.leaky_relu(stage(F.pixel_unshuffle(x, 2)), 0.2)
            features.append(x)
        about = F.interpolate(latents, size=x.shape[-2:], mode="nearest")
        x = F.leaky_relu(self.told(torch.cat((x, about), dim=1)), 0.2)
        return self.verdict(x), [*features, x]


def _bounded(inputs: int, outputs: int) -> nn.Module:
    """A 3x3 convolution that enlarges nothing (Miyato et al. 2018)."""
    module: nn.Module = parametrizations.spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1))
    return module


class Adversary:
    """A critic in training, and what the decoder hears from it."""

    def __init__(self, video_channels: int, seed: int, device: torch.device) -> None:
        torch.manual_seed(seed + 4)
        self.critic = Critic(video_channels).to(device)
        self.optimiser = torch.optim.AdamW(self.critic.parameters(), lr=RATE, betas=(0.5, 0.95), weight_decay=0.0)
        self.steps = 0

    def loss(self, made: Tensor, true: Tensor, latents: Tensor, reconstruction: Tensor) -> Tensor:
        """The reconstruction's loss with the critic's beside it; the critic learns a step from the same pictures.

        Args:
            made: [B, T, 12, H, W] as painted.
            true: the same as rendered.
            latents: [B, T, Z, h, w] that they were painted from.
            reconstruction: the loss of `made` against `true`.
        """
        painted, rendered, told = made.flatten(0, 1), true.flatten(0, 1), latents.flatten(0, 1).detach()
        self._learn(painted.detach(), rendered, told)
        self.critic.requires_grad_(requires_grad=False)
        verdict, features = self.critic(painted, told)
        with torch.no_grad():
            _, wanted = self.critic(rendered, told)
        alike = torch.stack([F.l1_loss(a.float(), b.float()) for a, b in zip(features, wanted, strict=True)]).mean()
        heard = LIKENESS * alike - verdict.float().mean()
        self.critic.requires_grad_(requires_grad=True)
        weight = SHARE * min(1.0, self.steps / WARMING) * _strength(reconstruction, made) / _strength(heard, made)
        self.steps += 1
        loss: Tensor = reconstruction + weight * heard
        return loss

    def _learn(self, painted: Tensor, rendered: Tensor, latents: Tensor) -> None:
        seen, _ = self.critic(torch.cat((rendered, painted)), torch.cat((latents, latents)))
        real, fake = seen.float().chunk(2)
        loss = F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        """Everything that it has learnt."""
        return {"critic": self.critic.state_dict(), "optimiser": self.optimiser.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.critic.load_state_dict(state["critic"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps = int(state["steps"])


def _strength(loss: Tensor, at: Tensor) -> Tensor:
    """Length of the gradient of a loss at some tensor."""
    (gradient,) = torch.autograd.grad(loss, at, retain_graph=True)
    length: Tensor = gradient.norm().clamp(min=1e-12)
    return length
