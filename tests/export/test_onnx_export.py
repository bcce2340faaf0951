"""Graphs whose weights do not fit into one file, and modules without states."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from streamgen_export import onnx_export
from streamgen_export.onnx_export import WEIGHTS_SUFFIX, difference, write
from streamgen_export.quantise import session


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.linear(x))


@pytest.mark.parametrize("apart", [False, True])
def test_weights_of_large_graphs_lie_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apart: bool) -> None:
    monkeypatch.setattr(onnx_export, "LARGEST_FILE", 1000 if apart else 1_000_000)
    module, path = Line(), tmp_path / "new" / "line.onnx"
    write(path, module, {"x": torch.zeros(1, 64)}, ["y"])
    beside = path.with_name(path.name + WEIGHTS_SUFFIX)
    assert beside.exists() == apart
    assert not apart or path.stat().st_size < 4000 < 64 * 64 * 4 <= beside.stat().st_size
    x = np.random.default_rng(0).standard_normal((1, 64)).astype(np.float32)
    assert difference(path, module, [{"x": x}], {})["y"] < 1e-5
    assert [node.name for node in session(path).get_inputs()] == ["x"]
