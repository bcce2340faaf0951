"""Graphs whose weights do not fit into one file, and modules without states."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from streamgen_engines.tensorrt.halve import HEAVY, KEPT
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


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.small, self.narrow = nn.Linear(64, 64), nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.narrow(self.small(x))
        return out


@pytest.mark.parametrize("rank", [2, 3])
def test_products_of_modules_that_are_kept_are_marked(tmp_path: Path, rank: int) -> None:
    x = torch.zeros((1,) * (rank - 1) + (64,))
    write(tmp_path / "named.onnx", Named(), {"x": x}, ["y"], kept=["small"])
    nodes = [node for node in onnx.load(tmp_path / "named.onnx").graph.node if node.op_type in HEAVY]
    assert [node.name.endswith(KEPT) for node in nodes] == [True, False]
    assert len({node.name for node in nodes}) == 2


def test_a_module_without_products_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no product of the graph is of smal, tall"):
        write(tmp_path / "named.onnx", Named(), {"x": torch.zeros(1, 64)}, ["y"], kept=["tall", "smal"])
