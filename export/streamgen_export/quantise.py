"""int8 variants of exported graphs, with the error that they cost measured on real feeds.

Two recipes pay on a CPU: dynamic int8 for matrix products with constant weights, and static int8 (QDQ) for
convolutions. Products of two activations (attention) stay float32: quantising them is slower and less exact.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

Array = NDArray[np.generic]
Feed = Mapping[str, Array]
"""Every input of a graph by name, for one call."""


class QuantisationError(ValueError):
    """A graph cannot be quantised as asked; the message says which graph and why."""


@dataclass(frozen=True)
class Quantised:
    """What a quantised graph costs and saves.

    Attributes:
        path: the int8 graph.
        nodes: how many linears or convolutions became int8.
        bytes_before: size of the float32 graph.
        bytes_after: size of the int8 graph.
        errors: per output, norm of the difference over the norm of the float32 output, over all feeds.
    """

    path: Path
    nodes: int
    bytes_before: int
    bytes_after: int
    errors: dict[str, float]

    @property
    def worst(self) -> float:
        """The largest error of any output; 0.0 when nothing was measured."""
        return max(self.errors.values(), default=0.0)


def quantise_linears(source: Path, target: Path, feeds: Sequence[Feed] = (), keep: Sequence[str] = ()) -> Quantised:
    """Dynamic int8, one scale per output channel, for every MatMul with a constant second operand.

    Args:
        source: float32 graph.
        target: where the int8 graph is written.
        feeds: calls on which the error is measured; none means no measurement.
        keep: names of nodes that stay float32.

    Raises:
        QuantisationError: no linear is left to quantise.
    """
    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul"],
        nodes_to_exclude=list(keep),
        per_channel=True,
        weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True},
    )
    strip_notes(target)
    return _measured(source, target, "MatMulInteger", feeds)


def quantise_convolutions(
    source: Path,
    target: Path,
    calibration: Sequence[Feed],
    feeds: Sequence[Feed] = (),
    keep: Sequence[str] = (),
    method: CalibrationMethod = CalibrationMethod.MinMax,
) -> Quantised:
    """Static int8 (QDQ, one weight scale per output channel) for every Conv.

    Args:
        source: float32 graph.
        target: where the int8 graph is written.
        calibration: calls that show the range of every activation; with carried states, as `rollout` returns.
        feeds: calls on which the error is measured (others than the calibration, to be honest).
        keep: names of nodes that stay float32, such as the layer that draws the picture.
        method: how a range is chosen from what was seen.

    Raises:
        QuantisationError: there is no calibration, or no convolution to quantise.
    """
    if not calibration:
        raise QuantisationError(f"{source.name} needs at least one calibration feed")
    kept = set(keep)
    names = [
        node.name
        for node in onnx.load(source, load_external_data=False).graph.node
        if node.op_type == "Conv" and node.name not in kept
    ]
    if not names:
        raise QuantisationError(f"{source.name} has no Conv to quantise")
    quantize_static(
        source,
        target,
        _Calibration(calibration),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        nodes_to_quantize=names,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=method,
    )
    strip_notes(target)
    return _measured(source, target, "Conv", feeds, names)


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Hands the feeds to ONNX Runtime's calibrator one by one."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._rest: Iterator[Feed] = iter(feeds)

    def get_next(self) -> dict[str, Array] | None:
        """The next feed, or None at the end."""
        feed = next(self._rest, None)
        return None if feed is None else dict(feed)


def _measured(
    source: Path, target: Path, op_type: str, feeds: Sequence[Feed], names: Sequence[str] | None = None
) -> Quantised:
    nodes = [node for node in onnx.load(target, load_external_data=False).graph.node if node.op_type == op_type]
    count = len(nodes) if names is None else sum(node.name in set(names) for node in nodes)
    if not count:
        raise QuantisationError(f"{source.name} has no MatMul with a constant weight to quantise")
    errors = relative_errors(source, target, feeds) if feeds else {}
    return Quantised(target, count, source.stat().st_size, target.stat().st_size, errors)


def strip_notes(path: Path) -> None:
    """Removes what only a developer reads: stack traces of the exporting machine, inferred shapes."""
    model = onnx.load(path, load_external_data=False)  # weights in a file of their own stay where they are
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    model.graph.ClearField("value_info")
    model.graph.ClearField("metadata_props")
    onnx.save(model, path)


def session(path: Path) -> ort.InferenceSession:
    """A one-thread CPU session without spinning, as serving uses it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # where states are not bound in place, TensorScatter warns on every call
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def relative_errors(reference: Path, candidate: Path, feeds: Sequence[Feed]) -> dict[str, float]:
    """Per output: norm of the difference over the norm of the reference, over all feeds together.

    Each call gets the same feed on both sides, so errors do not pile up; see `rollout` for that.
    """
    true, got = session(reference), session(candidate)
    names = [output.name for output in true.get_outputs()]
    squares = {name: [0.0, 0.0] for name in names}
    for feed in feeds:
        outputs = zip(names, true.run(names, dict(feed)), got.run(names, dict(feed)), strict=True)
        for name, expected, actual in outputs:
            exact = np.asarray(expected, np.float64)
            squares[name][0] += float(np.sum((np.asarray(actual, np.float64) - exact) ** 2))
            squares[name][1] += float(np.sum(exact**2))
    return {name: float(np.sqrt(off / max(norm, 1e-30))) for name, (off, norm) in squares.items()}


@dataclass(frozen=True)
class Rollout:
    """Calls of one graph in sequence, each fed the states that the call before returned.

    Attributes:
        feeds: the complete feed of each call, states included: calibration material.
        outputs: what each call returned, states left out.
    """

    feeds: list[dict[str, Array]]
    outputs: list[dict[str, Array]]


def rollout(path: Path, calls: Sequence[Feed], states: Mapping[str, str]) -> Rollout:
    """Runs a stateful graph call after call, from zero states.

    Args:
        path: the graph.
        calls: the inputs of each call without the states.
        states: name of each state input to the output that replaces it.
    """
    graph = session(path)
    outputs = [output.name for output in graph.get_outputs()]
    carried: dict[str, Array] = {
        node.name: np.zeros(node.shape, _NUMPY_TYPES[node.type]) for node in graph.get_inputs() if node.name in states
    }
    result = Rollout([], [])
    for call in calls:
        feed = {**call, **carried}
        returned = dict(zip(outputs, graph.run(outputs, feed), strict=True))
        carried = {name: returned.pop(output) for name, output in states.items()}
        result.feeds.append(feed)
        result.outputs.append(returned)
    return result


_NUMPY_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
}


def sensitivities(
    source: Path,
    calibration: Sequence[Feed],
    feeds: Sequence[Feed],
    report: Callable[[str, float], None] = lambda name, error: None,
) -> dict[str, float]:
    """The error that each convolution causes when it alone is int8, worst first: whom to put into `keep`.

    Costs one calibration per convolution.
    """
    graph = onnx.load(source, load_external_data=False).graph
    names = [node.name for node in graph.node if node.op_type == "Conv"]
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            others = [other for other in names if other != name]
            target = Path(scratch) / "one.onnx"
            found[name] = quantise_convolutions(source, target, calibration, feeds, keep=others).worst
            report(name, found[name])
    return dict(sorted(found.items(), key=lambda item: -item[1]))
