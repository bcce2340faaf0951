"""Linears in eight bits: how far they are off, that graphs compute what torch does, and what cannot be one."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import Tensor, nn

from streamgen_export.onnx_export import write
from streamgen_export.quantise import session
from streamgen_export.quantised_linear import LARGEST_E4M3, Fp8Linear, Int8Linear, replace_linears

INSIDE, OUTSIDE, TOKENS = 160, 96, 40


def linear(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    made = nn.Linear(INSIDE, OUTSIDE).requires_grad_(False)
    loud = torch.logspace(-3, 1, OUTSIDE)  # channels of all loudnesses
    made.weight.mul_(loud[:, None])
    made.bias.mul_(loud)
    return made


def tokens(seed: int = 1) -> Tensor:
    return torch.randn(1, TOKENS, INSIDE, generator=torch.Generator().manual_seed(seed))


def channel_errors(found: Tensor, right: Tensor) -> Tensor:
    """Norm of the difference over the norm, for each output channel."""
    off: Tensor = torch.linalg.vector_norm(found.float() - right, dim=(0, 1))
    share: Tensor = off / torch.linalg.vector_norm(right, dim=(0, 1))
    return share


def test_weights_come_back_within_half_a_step_of_their_channel() -> None:
    source = linear()
    eighth = Fp8Linear(source, 1.0)
    codes, scales = eighth.codes.float(), eighth.scales.float()
    back = (codes * scales).t()
    # Three bits of mantissa: a sixteenth of the number, or half of the smallest step that the scale leaves.
    step = torch.maximum(source.weight.abs() / 16, scales[:, None] * 2.0**-10)
    assert bool(((back - source.weight).abs() <= 1.001 * step).all())
    assert float(codes.abs().max()) > 0.9 * LARGEST_E4M3
    integer = Int8Linear(source)
    back = (integer.codes.float() * integer.scales).t()
    assert bool(((back - source.weight).abs() <= 0.501 * integer.scales[:, None]).all())
    assert (integer.codes.abs().amax(dim=0) == 127).all()


def test_every_channel_is_off_by_what_eight_bits_explain() -> None:
    source, x = linear(), tokens()
    right = source(x)
    eighth = channel_errors(Fp8Linear(source.half(), float(x.abs().max()))(x.half()), right)
    assert 0.005 < float(eighth.min()) < float(eighth.max()) < 0.08
    integer = channel_errors(Int8Linear(linear())(x), right)
    assert 0.001 < float(integer.min()) < float(integer.max()) < 0.03


def test_a_range_that_is_too_small_cuts_off_and_one_that_is_too_large_costs_little() -> None:
    source, x = linear(), tokens()
    right, most = source(x), float(x.abs().max())
    errors = {
        share: float(channel_errors(Fp8Linear(source, share * most)(x.half()), right).max()) for share in (0.2, 1, 16)
    }
    assert errors[0.2] > 3 * errors[1]
    assert errors[16] < 1.5 * errors[1]


def test_a_loud_token_takes_no_steps_from_the_others() -> None:
    source, x = linear(), tokens()
    x[0, 3] *= 1000.0
    found, right = Int8Linear(source)(x), source(x)
    others = [token for token in range(TOKENS) if token != 3]
    assert float(channel_errors(found[:, others], right[:, others]).max()) < 0.03


class Pair(nn.Module):
    """Two linears that read the same."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.first(x).float(), self.second(x).float()


@pytest.mark.parametrize("kind", ["fp8", "int8"])
def test_the_graph_computes_what_torch_does_and_shares_what_both_read(kind: str, tmp_path: Path) -> None:
    x = tokens().half() if kind == "fp8" else tokens()
    most = float(x.abs().max())
    pair = Pair(*(Fp8Linear(linear(n), most) if kind == "fp8" else Int8Linear(linear(n)) for n in range(2)))
    write(tmp_path / "pair.onnx", pair, {"x": x}, ["a", "b"])
    found = session(tmp_path / "pair.onnx").run(["a", "b"], {"x": x.numpy()})
    for right, made in zip(pair(x), found, strict=True):
        off = np.linalg.norm(made - right.numpy()) / np.linalg.norm(right.numpy())
        assert off < (2e-3 if kind == "fp8" else 1e-5)  # float16 is rounded in another order
    model = onnx.load(tmp_path / "pair.onnx")
    counts = Counter(node.op_type for node in model.graph.node)
    kinds = Counter(tensor.data_type for tensor in model.graph.initializer)
    if kind == "fp8":
        assert (counts["QuantizeLinear"], counts["DequantizeLinear"], counts["MatMul"]) == (1, 3, 2)
        assert kinds[TensorProto.FLOAT8E4M3FN] == 3  # two weights and a zero
    else:
        assert (counts["DynamicQuantizeLinear"], counts["MatMulInteger"], counts["MatMul"]) == (1, 2, 0)
        assert kinds[TensorProto.INT8] == 2


@pytest.mark.parametrize("largest", [0.0, -1.0, float("inf"), float("nan")])
def test_a_range_that_is_none_is_refused(largest: float) -> None:
    with pytest.raises(ValueError, match="measure it on calls"):
        Fp8Linear(linear(), largest)


def test_only_linears_with_a_bias_are_replaced() -> None:
    module = nn.Sequential(linear(), nn.GELU(), nn.Linear(OUTSIDE, 4, bias=False))
    replace_linears(module, ["0"], lambda _, each: Int8Linear(each))
    assert [type(each) for each in module] == [Int8Linear, nn.GELU, nn.Linear]
    for name in ("1", "2"):
        with pytest.raises(TypeError, match=f"^{name} is a .* not a linear with a bias"):
            replace_linears(module, [name], lambda _, each: Int8Linear(each))
