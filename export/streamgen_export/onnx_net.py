"""Small ONNX graphs written by hand: for bundles that need no training, such as the test card and those of tests."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 24
IR_VERSION: Final = 11


class OnnxNet:
    """Nodes and constants of one graph, gathered in order.

    net = OnnxNet("sum")
    net("Add", "x", net.constant(1.0), out="y")
    model = net.model({"x": (TensorProto.FLOAT, (4,))}, {"y": (TensorProto.FLOAT, (4,))})
    """

    def __init__(self, name: str) -> None:
        """`name` is that of the graph."""
        self._name = name
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def constant(self, value: object, dtype: type = np.float32) -> str:
        """A constant; returns its name."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def shape(self, *sizes: int) -> str:
        """Sizes, axes or places, as int64; returns their name."""
        return self.constant(sizes, np.int64)

    def __call__(self, operator: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """An operator on values by their names; returns the name of what comes out."""
        out = out or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [out], **attributes))
        return out

    def whole(self, value: str, divisor: float) -> str:
        """How many times `divisor` goes into whole numbers."""
        return self("Floor", self("Div", value, self.constant(divisor)))

    def rest(self, value: str, divisor: float) -> str:
        """What is left of whole numbers."""
        return self("Sub", value, self("Mul", self.whole(value, divisor), self.constant(divisor)))

    def below(self, value: str, limit: float) -> str:
        """1 where it is less, else 0."""
        return self("Cast", self("Less", value, self.constant(limit)), to=TensorProto.FLOAT)

    def cut(self, value: str, start: int, end: int, axis: int) -> str:
        """A piece of a value along one axis."""
        return self("Slice", value, *(self.shape(n) for n in (start, end, axis)))

    def model(self, inputs: dict[str, tuple[int, Any]], outputs: dict[str, tuple[int, Any]]) -> Any:
        """The checked model. Inputs and outputs by name: type and shape."""
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [helper.make_tensor_value_info(name, *spec) for name, spec in inputs.items()],
            [helper.make_tensor_value_info(name, *spec) for name, spec in outputs.items()],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model
