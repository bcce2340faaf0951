"""Linears in eight bits as torch modules, with the operators of ONNX that they become.

| | weight | activation | product | for |
|---|---|---|---|---|
| `Fp8Linear` | E4M3, a scale per output channel | E4M3, one scale, measured | of what is turned back | TensorRT |
| `Int8Linear` | int8, a scale per output channel | uint8, ranges found in each call | of integers, exact | CPUs |

TensorRT multiplies in fp8 where both operands of a product come from DequantizeLinear. `Int8Linear` divides every token
by its largest number first: one range is for all tokens, and a loud one would leave few steps to the others.

A module computes in torch what its graph computes, rounding by rounding, so that it can be compared with float32 where
no kernel for the graph is at hand. E4M3 is float8_e4m3fn: four bits of exponent, three of mantissa, no infinity, 448 at
most (Micikevicius et al. 2022, "FP8 Formats for Deep Learning", section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import torch
from onnxscript.onnx_opset import opset24 as op
from torch import Tensor, nn

E4M3: Final = torch.float8_e4m3fn
LARGEST_E4M3: Final = 448.0
LARGEST_INT8: Final = 127
_LEAST_HALF: Final = 2.0**-14
"""The smallest number that float16 holds with all its digits."""
_LEAST: Final = 1e-12
_FLOAT: Final = 1
"""ONNX's number for float32."""


@torch.library.custom_op("streamgen::through_fp8", mutates_args=())
def through_fp8(x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """Numbers rounded to E4M3 and back; what is too large becomes the largest.

    Args:
        x: any shape.
        scale: [], in the type of `x`.
        zero: [], 0 in E4M3: the type that QuantizeLinear rounds to.
    """
    del zero
    # ONNX divides in the type of the scale where no `precision` is said, and so rounds twice.
    codes = (x / scale).float().clamp(-LARGEST_E4M3, LARGEST_E4M3).to(E4M3)
    return (codes.float() * scale.float()).to(x.dtype)


@through_fp8.register_fake
def _(x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    del scale, zero
    return torch.empty_like(x)


@torch.library.custom_op("streamgen::from_fp8", mutates_args=())
def from_fp8(codes: Tensor, scales: Tensor) -> Tensor:
    """A weight turned back. codes E4M3 [in, out], scales [out] -> [in, out] in the type of the scales."""
    return (codes.float() * scales.float()).to(scales.dtype)


@from_fp8.register_fake
def _(codes: Tensor, scales: Tensor) -> Tensor:
    return codes.new_empty(codes.shape, dtype=scales.dtype)


@torch.library.custom_op("streamgen::int8_product", mutates_args=())
def int8_product(x: Tensor, codes: Tensor, scales: Tensor) -> Tensor:
    """x float32 [..., in], codes int8 [in, out], scales float32 [out] -> float32 [..., out]."""
    largest = x.abs().amax(dim=-1, keepdim=True).clamp(min=_LEAST)
    even = x / largest
    # As ONNX defines DynamicQuantizeLinear: the range has 0 in it, and 0 is one of the 256 codes.
    low, high = even.amin().clamp(max=0.0), even.amax().clamp(min=0.0)
    step = ((high - low) / 255).clamp(min=_LEAST)
    zero = torch.round((-low / step).clamp(0, 255))
    held = (torch.round(even / step) + zero).clamp(0, 255) - zero
    # Sums of integers below 2^53: exact in float64, as they are in int32.
    sums = torch.matmul(held.double(), codes.double()).float()
    return sums * (step * scales) * largest


@int8_product.register_fake
def _(x: Tensor, codes: Tensor, scales: Tensor) -> Tensor:
    del scales
    return x.new_empty((*x.shape[:-1], codes.shape[1]))


def _to_through_fp8(x: Any, scale: Any, zero: Any) -> Any:
    return op.DequantizeLinear(op.QuantizeLinear(x, scale, zero), scale, zero)


def _to_from_fp8(codes: Any, scales: Any) -> Any:
    return op.DequantizeLinear(codes, scales, axis=1)


def _to_int8_product(x: Any, codes: Any, scales: Any) -> Any:
    last: Any = op.Constant(value_ints=[-1])
    loudest: Any = op.ReduceMax(op.Abs(x), last, keepdims=1)
    largest: Any = op.Max(loudest, op.Constant(value_float=_LEAST))
    code, step, zero = op.DynamicQuantizeLinear(op.Div(x, largest))
    sums: Any = op.Cast(op.MatMulInteger(code, codes, zero), to=_FLOAT)
    return op.Mul(op.Mul(sums, op.Mul(step, scales)), largest)


TRANSLATIONS: Final[dict[Any, Any]] = {
    torch.ops.streamgen.through_fp8.default: _to_through_fp8,
    torch.ops.streamgen.from_fp8.default: _to_from_fp8,
    torch.ops.streamgen.int8_product.default: _to_int8_product,
}
"""What torch's exporter makes of the three operators."""


class Fp8Linear(nn.Module):
    """A linear whose weight and activation are rounded to E4M3; the rest is in float16.

    Args:
        linear: in any floating-point type, with a bias.
        largest: absolute value of its activations, measured. What is larger is cut off.

    Raises:
        ValueError: it is not positive or not finite.
    """

    codes: Tensor
    scales: Tensor
    scale: Tensor
    zero: Tensor

    def __init__(self, linear: nn.Linear, largest: float) -> None:
        super().__init__()
        if not 0.0 < largest < float("inf"):
            raise ValueError(f"the largest activation of a linear is {largest}; measure it on calls that reach it")
        weight = linear.weight.detach().float()
        scales = _half_upwards(weight.abs().amax(dim=1) / LARGEST_E4M3)
        codes = (weight / scales.float()[:, None]).clamp(-LARGEST_E4M3, LARGEST_E4M3)
        self.register_buffer("codes", codes.t().contiguous().to(E4M3))
        self.register_buffer("scales", scales)
        self.register_buffer("scale", _half_upwards(torch.tensor(largest / LARGEST_E4M3)))
        self.register_buffer("zero", torch.zeros((), dtype=E4M3))
        self.bias = nn.Parameter(linear.bias.detach().half(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """float16 [..., in] -> float16 [..., out]."""
        out: Tensor = torch.matmul(through_fp8(x, self.scale, self.zero), from_fp8(self.codes, self.scales)) + self.bias
        return out


class Int8Linear(nn.Module):
    """A linear whose weight is int8 and whose activation is rounded to uint8 in each call.

    Args:
        linear: in any floating-point type, with a bias.
    """

    codes: Tensor
    scales: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scales = weight.abs().amax(dim=1).clamp(min=_LEAST) / LARGEST_INT8
        codes = torch.round(weight / scales[:, None]).clamp(-LARGEST_INT8, LARGEST_INT8)
        self.register_buffer("codes", codes.t().contiguous().to(torch.int8))
        self.register_buffer("scales", scales)
        self.bias = nn.Parameter(linear.bias.detach().float(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [..., in] -> float32 [..., out]."""
        out: Tensor = int8_product(x, self.codes, self.scales) + self.bias
        return out


def replace_linears(module: nn.Module, names: Iterable[str], make: Callable[[str, nn.Linear], nn.Module]) -> None:
    """Put another module in the place of some linears, one after the other: each goes before the next one is made.

    Args:
        module: what they are in.
        names: theirs, as `named_modules` has them.
        make: what takes the place of the linear of this name.

    Raises:
        TypeError: something of such a name is not a linear with a bias.
    """
    for name in names:
        linear = module.get_submodule(name)
        if not isinstance(linear, nn.Linear) or linear.bias is None:
            raise TypeError(f"{name} is a {type(linear).__name__}, and not a linear with a bias")
        parent, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(parent), leaf, make(name, linear))


def _half_upwards(scales: Tensor) -> Tensor:
    """float32 -> float16, rounded up, so that nothing is cut off because float16 is coarse."""
    wanted = scales.clamp(min=_LEAST_HALF)
    half = wanted.half()
    return torch.where(half.float() < wanted, (half.view(torch.int16) + 1).view(torch.float16), half)
