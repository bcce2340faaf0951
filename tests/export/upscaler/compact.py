"""The compact network as a plain torch module, and small random weights of it as published files have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class CompactNet(nn.Module):
    """What the exported graph has to compute; float32 `[T, 3, H, W]` in [0, 1] in and out."""

    def __init__(self, features: int, convolutions: int, factor: int) -> None:
        super().__init__()
        inside = [
            layer
            for place in range(convolutions + 1)
            for layer in (nn.Conv2d(features if place else 3, features, 3, padding=1), nn.PReLU(features))
        ]
        self.body = nn.ModuleList([*inside, nn.Conv2d(features, 3 * factor**2, 3, padding=1)])
        self.factor = factor

    def forward(self, pictures: Tensor) -> Tensor:
        value = pictures
        for layer in self.body:
            value = layer(value)
        larger = functional.interpolate(pictures, scale_factor=self.factor, mode="nearest")
        return functional.pixel_shuffle(value, self.factor) + larger

    def bytes_of(self, pictures: Any) -> Any:
        """uint8 `[T, H, W, 3]` in, what is shown out."""
        with torch.no_grad():
            value = self(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255)
        return (value.clamp(0, 1) * 255).round().permute(0, 2, 3, 1).to(torch.uint8).numpy()


def random_net(features: int = 8, convolutions: int = 2, factor: int = 2, seed: int = 0) -> CompactNet:
    """Weights that leave traces in the picture: those that torch begins with, slopes apart from one another."""
    torch.manual_seed(seed)
    net = CompactNet(features, convolutions, factor).eval().requires_grad_(False)
    for layer in net.body:
        if isinstance(layer, nn.PReLU):
            layer.weight.copy_(torch.linspace(-0.3, 0.6, features))
    return net


def save(net: CompactNet, path: Path, *, entry: str | None = "params") -> Path:
    """A file as it is published, or without the entry around the tensors."""
    state = net.state_dict()
    torch.save(state if entry is None else {entry: state}, path)
    return path
