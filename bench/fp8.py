"""A linear layer in eight bits, to measure what such products save; whether pictures stand it is another question."""

from typing import Final

import torch
from torch import Tensor, nn

KIND: Final = torch.float8_e4m3fn
LARGEST: Final = 448.0
"""That the type can hold."""
_LEAST: Final = 1e-12


class Fp8Linear(nn.Module):
    """`nn.Linear` with weight and activation in float8 (e4m3), sums in float32, and the result in the bias's type.

    One scale for the weight, and one for each activation, which is computed in every run: no calibration is needed.
    (Micikevicius et al. 2022, "FP8 Formats for Deep Learning", section 3.)

    Args:
        source: in bfloat16, with a bias; both widths are multiples of 16.
    """

    weight: Tensor
    scale: Tensor

    def __init__(self, source: nn.Linear) -> None:
        super().__init__()
        if source.in_features % 16 or source.out_features % 16:
            raise ValueError(f"{source.in_features} to {source.out_features}: products in fp8 need multiples of 16")
        scale = _scale(source.weight)
        self.register_buffer("weight", (source.weight / scale).to(KIND))
        self.register_buffer("scale", scale)
        self.bias = source.bias

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        rows = x.flatten(0, -2)
        scale = _scale(rows)
        narrow = (rows / scale).clamp(-LARGEST, LARGEST).to(KIND)
        made: Tensor = torch._scaled_mm(
            narrow, self.weight.t(), scale_a=scale, scale_b=self.scale, bias=self.bias, out_dtype=self.bias.dtype
        )
        return torch.unflatten(made, 0, x.shape[:-1])


def narrow_linears(module: nn.Module) -> None:
    """Replace every linear inside a module that is in bfloat16."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear) and child.weight.dtype == torch.bfloat16:
            setattr(module, name, Fp8Linear(child))
        else:
            narrow_linears(child)


def _scale(x: Tensor) -> Tensor:
    """What the largest number has to be divided by; float32 []."""
    return x.abs().amax().float().clamp_min(_LEAST) / LARGEST
