"""Orthogonalised momentum (Muon, Jordan et al. 2024) for convolutions, which torch's own takes matrices only for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

LARGEST_NORM: Final = 1.0
SMALLEST_MATRIX: Final = 16
"""Rows and columns from which a matrix is worth orthogonalising."""


class Orthogonal:
    """Muon for the kernels of convolutions and for matrices, AdamW for the rest.

    A kernel [out, in, h, w] is taken as a matrix [out, h w in]: a view of the same memory, so kernels have to lie in
    channels-last order before.
    """

    def __init__(self, fast: Sequence[nn.Parameter], slow: Sequence[nn.Parameter] = (), share: float = 1.0) -> None:
        """`slow` parameters learn with AdamW at `share` of the rate."""
        self.parameters = [*fast, *slow]
        self.kernels = [p for p in fast if p.dim() in (2, 4) and min(p.shape[0], p[0].numel()) >= SMALLEST_MATRIX]
        self.views = [_as_matrix(p.detach()) for p in self.kernels]
        taken = {id(p) for p in self.kernels}
        others = [p for p in fast if id(p) not in taken]
        self.matrices = torch.optim.Muon(
            self.views, lr=1.0, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"
        )
        groups = [{"params": others, "share": 1.0}, {"params": list(slow), "share": share}]
        self.rest = torch.optim.AdamW([g for g in groups if g["params"]], betas=(0.9, 0.98), weight_decay=0.0)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self, rate: float) -> None:
        """Learn from the gradients that are there."""
        torch.nn.utils.clip_grad_norm_(self.parameters, LARGEST_NORM)
        for parameter, view in zip(self.kernels, self.views, strict=True):
            view.grad = None if parameter.grad is None else _as_matrix(parameter.grad)
        for group in self.matrices.param_groups:
            group["lr"] = rate
        for group in self.rest.param_groups:
            group["lr"] = rate * group["share"]
        self.matrices.step()
        self.rest.step()

    def state_dict(self) -> dict[str, Any]:
        """Both optimisers' states."""
        return {"matrices": self.matrices.state_dict(), "rest": self.rest.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.matrices.load_state_dict(state["matrices"])
        self.rest.load_state_dict(state["rest"])


def _as_matrix(x: Tensor) -> Tensor:
    return x if x.dim() == 2 else x.permute(0, 2, 3, 1).flatten(1)
