"""ONNX operators that OpenVINO's reader does not know, in terms of those that it has."""

from typing import Any, Final

import numpy as np
from openvino import opset15 as operators
from openvino.frontend.onnx import ConversionExtension

_LINEAR: Final = "linear"
_CIRCULAR: Final = "circular"


def conversions() -> list[Any]:
    """What to add to OpenVINO's core before it reads a graph."""
    return [ConversionExtension("TensorScatter", _tensor_scatter)]


def _tensor_scatter(node: Any) -> Any:
    """TensorScatter (ONNX opset 24): rows of `update` go into `past` from the row `write_indices` on.

    Only batch 1, which has one write index; every graph of a bundle has it. OpenVINO copies the state where input and
    output are different memory, and writes the rows alone where they are the same.

    Raises:
        ValueError: another batch or mode; OpenVINO reports it as a graph that it cannot convert.
    """
    past, update = node.get_input(0), node.get_input(1)
    mode = node.get_attribute("mode", _LINEAR)
    shape, rows = past.get_partial_shape(), update.get_partial_shape()
    axis = node.get_attribute("axis", -2)
    axis += shape.rank.get_length() if axis < 0 else 0
    if mode not in (_LINEAR, _CIRCULAR) or shape[0].get_length() != 1:
        raise ValueError(f"TensorScatter in mode {mode} with {shape[0]} sequences at once; only one can be converted")
    index = operators.constant(np.arange(rows[axis].get_length(), dtype=np.int64))
    if node.get_input_size() > 2:
        index = operators.add(operators.convert(node.get_input(2), "i64"), index)
    if mode == _CIRCULAR:
        index = operators.floor_mod(index, operators.constant(np.int64(shape[axis].get_length())))
    return operators.scatter_update(past, index, update, operators.constant(np.int64(axis))).outputs()
