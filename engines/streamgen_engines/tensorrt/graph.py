"""An ONNX graph that is rewritten: who makes and who reads each value, and which constants there are.

Needs the package `onnx`, which comes with the extras `tensorrt` and `tensorrt-rtx`.
"""

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Constant = NDArray[Any]


class Rewriting:
    """One graph under change. Nodes keep their order unless they are replaced; `finish` drops what nobody reads.

    Attributes:
        model: the ONNX model, changed in place.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._named = 0
        self._constants: dict[str, Any] = {tensor.name: tensor for tensor in model.graph.initializer}
        made = (name for node in model.graph.node for name in node.output)
        self._taken = {*self._constants, *made, *(value.name for value in model.graph.input)}

    @property
    def nodes(self) -> list[Any]:
        """Every node, in order."""
        return list(self.model.graph.node)

    @property
    def inputs(self) -> set[str]:
        """Names of the graph's inputs."""
        return {value.name for value in self.model.graph.input}

    @property
    def outputs(self) -> set[str]:
        """Names of the graph's outputs."""
        return {value.name for value in self.model.graph.output}

    def makers(self) -> dict[str, Any]:
        """Which node makes each value."""
        return {name: node for node in self.model.graph.node for name in node.output if name}

    def readers(self) -> dict[str, list[Any]]:
        """Which nodes read each value."""
        found: dict[str, list[Any]] = {}
        for node in self.model.graph.node:
            for name in node.input:
                if name:
                    found.setdefault(name, []).append(node)
        return found

    def is_constant(self, name: str) -> bool:
        """Whether a value is an initializer."""
        return name in self._constants

    def is_outside(self, name: str) -> bool:
        """Whether the numbers of an initializer lie in a file beside the graph: they stay there, as they are."""
        return bool(self._constants[name].data_location == TensorProto.EXTERNAL)

    def constant_size(self, name: str) -> int:
        """How many numbers an initializer has."""
        return prod(self._constants[name].dims)

    def constant(self, name: str) -> Constant:
        """The numbers of an initializer.

        Raises:
            ValueError: they lie in a file beside the graph, and are not changed there.
        """
        if self.is_outside(name):
            raise ValueError(
                f"{name} lies in a file of weights, whose numbers TensorRT has to take as they are; export this graph "
                f"in fp16 or bf16"
            )
        value: Constant = numpy_helper.to_array(self._constants[name])
        return value

    def constant_type(self, name: str) -> int:
        """ONNX's number for the element type of an initializer."""
        return int(self._constants[name].data_type)

    def constant_names(self) -> list[str]:
        """Names of every initializer."""
        return list(self._constants)

    def add_constant(self, value: Constant, name: str | None = None) -> str:
        """Add an initializer, or replace the one of that name; returns its name."""
        return self.add_tensor(numpy_helper.from_array(np.ascontiguousarray(value)), name)

    def add_tensor(self, tensor: Any, name: str | None = None) -> str:
        """The same for an ONNX tensor, for types that numpy does not have."""
        tensor.name = name or self.fresh("constant")
        self._constants[tensor.name] = tensor
        return str(tensor.name)

    def fresh(self, kind: str) -> str:
        """A name for a new value."""
        while True:  # a graph that was rewritten before has such names already
            self._named += 1
            name = f"streamgen_{kind}_{self._named}"
            if name not in self._taken:
                return name

    def set_nodes(self, nodes: Iterable[Any]) -> None:
        """Replace all nodes."""
        kept = list(nodes)
        del self.model.graph.node[:]
        self.model.graph.node.extend(kept)

    def finish(self) -> Any:
        """Drop nodes and constants that lead to no output, and inferred types that may be wrong now; the model."""
        wanted = set(self.outputs)
        kept = []
        for node in reversed(self.model.graph.node):
            if wanted.intersection(node.output):
                kept.append(node)
                wanted.update(node.input)
        self.set_nodes(reversed(kept))
        graph = self.model.graph
        del graph.initializer[:]
        graph.initializer.extend(tensor for name, tensor in self._constants.items() if name in wanted)
        graph.ClearField("value_info")
        return self.model


def types_of(model: Any) -> dict[str, tuple[int, tuple[int, ...] | None]]:
    """Element type (ONNX's number) and static shape (None where it is not known) of every value of a graph."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    found: dict[str, tuple[int, tuple[int, ...] | None]] = {}
    for value in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output):
        tensor = value.type.tensor_type
        sizes = [size.dim_value if size.HasField("dim_value") else None for size in tensor.shape.dim]
        known = None if not tensor.HasField("shape") or None in sizes else tuple(int(s) for s in sizes if s is not None)
        found[value.name] = (int(tensor.elem_type), known)
    for tensor in inferred.graph.initializer:
        found[tensor.name] = (int(tensor.data_type), tuple(int(size) for size in tensor.dims))
    return found


def attributes(node: Any) -> Mapping[str, Any]:
    """A node's attributes as Python values."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def cast(source: str, to: int, out: str) -> Any:
    """A node that converts `source`."""
    return helper.make_node("Cast", [source], [out], name=f"{out}/cast", to=to)
