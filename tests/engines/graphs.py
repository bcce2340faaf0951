"""Small ONNX graphs with known results, for tests of what runs graphs."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from streamgen_engines.manifest import State

REAL: Final = TensorProto.FLOAT
RING: Final = State(name="ring", shape=(1, 1, 6, 2), dtype="float32")
LAST: Final = State(name="last", shape=(1, 4), dtype="float32")


def save(path: Path, nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any]) -> Path:
    """Write a graph of opset 24."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, *spec) for name, spec in inputs.items()],
        [helper.make_tensor_value_info(name, *spec) for name, spec in outputs.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11), path)
    return path


def ring_graph(folder: Path, mode: str = "linear") -> Path:
    """Writes `new` into `ring` from the row `index` on, and sums the ring."""
    return save(
        folder / "ring.onnx",
        [
            helper.make_node("TensorScatter", ["ring", "new", "index"], ["ring_out"], axis=2, mode=mode),
            helper.make_node("ReduceSum", ["ring_out"], ["total"], keepdims=0),
        ],
        {"new": (REAL, (1, 1, 2, 2)), "index": (TensorProto.INT64, (1,)), "ring": (REAL, (1, 1, 6, 2))},
        {"total": (REAL, ()), "ring_out": (REAL, (1, 1, 6, 2))},
    )


def feed(value: float, index: int) -> dict[str, NDArray[Any]]:
    """Inputs of the ring's graph."""
    return {"new": np.full((1, 1, 2, 2), value, np.float32), "index": np.array([index], np.int64)}


def last_graph(folder: Path) -> Path:
    """The change since the last input; nothing makes the old state be read before the new one is written."""
    vector = (REAL, (1, 4))
    return save(
        folder / "last.onnx",
        [
            helper.make_node("Neg", ["new"], ["last_out"]),
            helper.make_node("Neg", ["last_out"], ["again"]),
            helper.make_node("Sub", ["again", "last"], ["change"]),
        ],
        {"new": vector, "last": vector},
        {"change": vector, "last_out": vector},
    )


def held_graph(folder: Path) -> Path:
    """Adds the inputs `large` and `other` to `x`, and counts runs in the state `last`."""
    vector = (REAL, (1, 4))
    return save(
        folder / "held.onnx",
        [
            helper.make_node("Add", ["x", "large"], ["sum"]),
            helper.make_node("Add", ["sum", "other"], ["y"]),
            helper.make_node("Add", ["last", "x"], ["last_out"]),
        ],
        {"x": vector, "large": vector, "other": vector, "last": vector},
        {"y": vector, "last_out": vector},
    )
