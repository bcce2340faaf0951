"""The word table in 4 bits per value: a Lloyd-Max code book and one fp16 scale per block.

The published table holds more numbers than all linears together. Its values are close to normal inside a
row, so a code book that is optimal for the normal distribution (Lloyd 1982, Max 1960) loses less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

BLOCK = 128
"""Values that share one scale; a row of 384 has three blocks."""
_LEVELS = 16


def normal_code_book(rounds: int = 400) -> NDArray[np.float32]:
    """The 16 levels of least mean square error for a normal variable, float32 [16], ascending."""
    grid = np.linspace(-5.0, 5.0, 20001)
    weight = np.exp(-0.5 * grid**2)
    levels = np.linspace(-2.5, 2.5, _LEVELS)
    for _ in range(rounds):
        cell = np.searchsorted((levels[1:] + levels[:-1]) / 2, grid)
        levels = np.bincount(cell, weight * grid, _LEVELS) / np.bincount(cell, weight, _LEVELS)
    return levels.astype(np.float32)


@dataclass(frozen=True)
class PackedRows:
    """A table in 4 bits per value.

    Attributes:
        codes: uint8 [R, W / 2]; the low half of byte i is column i, the high half is column i + W / 2.
        scales: float16 [R, W / BLOCK].
        levels: float32 [16], the code book.
    """

    codes: NDArray[np.uint8]
    scales: NDArray[np.float16]
    levels: NDArray[np.float32]

    def unpack(self) -> NDArray[np.float32]:
        """The values that the codes stand for, float32 [R, W]."""
        indices = np.concatenate([self.codes & 15, self.codes >> 4], axis=1)
        blocks = self.levels[indices].reshape(len(indices), -1, BLOCK)
        values: NDArray[np.float32] = blocks * self.scales.astype(np.float32)[:, :, None]
        return values.reshape(indices.shape)


def pack_rows(rows: NDArray[np.float32], rounds: int = 6) -> PackedRows:
    """Packs float32 [R, W]; codes and least-squares scales are refined in turn.

    Raises:
        ValueError: W is not a multiple of the block.
    """
    if rows.shape[1] % BLOCK:
        raise ValueError(f"row width {rows.shape[1]} is not a multiple of {BLOCK}")
    levels = normal_code_book()
    borders = (levels[1:] + levels[:-1]) / 2
    blocks = rows.reshape(-1, BLOCK)
    scale = np.sqrt(np.mean(blocks**2, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
    for _ in range(rounds):
        indices = np.searchsorted(borders, blocks / np.maximum(scale, 1e-8)).astype(np.uint8)
        values = levels[indices]
        fitted = (values * blocks).sum(axis=1, keepdims=True) / (values**2).sum(axis=1, keepdims=True)
        scale = fitted.astype(np.float16).astype(np.float32)
    indices = indices.reshape(rows.shape)
    half = rows.shape[1] // 2
    codes = indices[:, :half] | (indices[:, half:] << 4)
    return PackedRows(codes, scale.reshape(len(rows), -1).astype(np.float16), levels)


class PackedWordTable(nn.Module):
    """Word vectors from a packed table: gathers the codes of the asked rows and unpacks only those."""

    def __init__(self, packed: PackedRows) -> None:
        super().__init__()
        self.register_buffer("codes", torch.from_numpy(packed.codes))
        self.register_buffer("scales", torch.from_numpy(packed.scales))
        self.register_buffer("levels", torch.from_numpy(packed.levels))
        self.codes: Tensor
        self.scales: Tensor
        self.levels: Tensor

    def forward(self, ids: Tensor) -> Tensor:
        """Looks rows up and unpacks them: int64 [B, T] -> float32 [B, T, W]."""
        # `embedding` becomes a Gather, plain indexing a GatherND. Division: every runtime has it.
        codes = functional.embedding(ids, self.codes).to(torch.int32)
        high = torch.div(codes, _LEVELS, rounding_mode="trunc")
        indices = torch.cat([codes - high * _LEVELS, high], dim=-1)
        scales = functional.embedding(ids, self.scales).to(torch.float32)
        levels = functional.embedding(indices, self.levels[:, None])
        return (levels.reshape(*ids.shape, -1, BLOCK) * scales[..., None]).flatten(-2)
