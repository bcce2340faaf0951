"""The arithmetic between the passes of a chunk as small ONNX graphs, which a runtime loads like any other.

They compute what `sampler.py` and `guard.py` compute on the host. What changes from chunk to chunk (noise levels,
guidance, shares) are inputs, so that work recorded once serves every value; what the bundle fixes are constants.

A clamp may swallow what is not a number, so the mean square of every predicted chunk is added up before the clamp, in
`energy`: sums keep what is not finite, and one number tells the host.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamgen_engines.guard import LEAST_DEVIATION
from streamgen_engines.manifest import ChannelRanges, PocketManifest

SIDES: Final = ("video", "audio")
OPSET: Final = 21
IR_VERSION: Final = 10
COEFFICIENTS: Final = 3
"""Of a step: guidance, sigma, and the next noise level divided by sigma."""


@dataclass(frozen=True, slots=True)
class SamplerGraphs:
    """ONNX files; `*` stands for video and audio.

    Attributes:
        step: one guided Euler step. `*`, `null_*`, `told_*`, `coefficients [3]`, `energy [1]` ->
            `next_*`, `next_energy [1]`. Without guidance `told_*` stands in for `null_*`.
        weigh: one more velocity in a weighted sum. `sum_*`, `part_*`, `share [1]` -> `next_*`.
        finish: the statistics guard, and the chunk as the ring gets it. `*`, `echo_*`, `energy [1]` ->
            `clean_*`, `context_*`, `total_energy [1]`.
    """

    step: bytes
    weigh: bytes
    finish: bytes


def sampler_graphs(manifest: PocketManifest) -> SamplerGraphs:
    """The graphs for the latents and the sampler of a bundle."""
    shapes = {"video": (1, *manifest.video.latent), "audio": (1, *manifest.audio.latent)}
    return SamplerGraphs(_step(shapes, manifest), _weigh(shapes), _finish(shapes, manifest))


Shapes = Mapping[str, tuple[int, ...]]


class _Net:
    """Nodes and constants of a graph as it grows; calling it adds a node and names its first output."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def __call__(self, operator: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        made = out or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [made], name=f"{made}_node", **attributes))
        return made

    def split(self, source: str, count: int) -> list[str]:
        """Numbers of a vector, each `[1]`."""
        made = [f"{source}_{place}" for place in range(count)]
        self._nodes.append(helper.make_node("Split", [source], made, name=f"{source}_split", axis=0, num_outputs=count))
        return made

    def constant(self, value: NDArray[Any] | float) -> str:
        """A float32 constant."""
        return self._add(np.asarray(value, np.float32))

    def sizes(self, *values: int) -> str:
        """An int64 vector, for shapes and axes."""
        return self._add(np.array(values, np.int64))

    def mean_square(self, name: str, rank: int) -> str:
        """Over all elements, `[1]`."""
        mean = self("ReduceMean", self("Mul", name, name), self.sizes(*range(rank)), keepdims=1)
        return self("Reshape", mean, self.sizes(1))

    def file(self, name: str, inputs: Shapes, outputs: Shapes) -> bytes:
        """The finished graph, all of whose inputs and outputs are float32."""
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(each, TensorProto.FLOAT, shape) for each, shape in inputs.items()],
            [helper.make_tensor_value_info(each, TensorProto.FLOAT, shape) for each, shape in outputs.items()],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        made: bytes = model.SerializeToString(deterministic=True)
        return made

    def _add(self, value: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value, name))
        return name


def _step(shapes: Shapes, manifest: PocketManifest) -> bytes:
    net = _Net()
    guard = manifest.sampler.guard
    guidance, sigma, ratio = net.split("coefficients", COEFFICIENTS)
    energy = "energy"
    for side in SIDES:
        change = net("Mul", guidance, net("Sub", f"told_{side}", f"null_{side}"))
        velocity = net("Add", f"null_{side}", change)
        clean = net("Sub", side, net("Mul", sigma, velocity))
        last = side == SIDES[-1]
        square = net.mean_square(clean, len(shapes[side]))
        energy = net("Add", energy, square, out="next_energy" if last else "")
        if guard is not None and guard.limit is not None:
            clean = net("Clip", clean, net.constant(-guard.limit), net.constant(guard.limit))
        # The ratio of the last step is 0, so that it is exactly the clean prediction.
        noise = net("Mul", ratio, net("Sub", side, clean))
        net("Add", clean, noise, out=f"next_{side}")
    inputs = {**shapes, **_each("null", shapes), **_each("told", shapes), "coefficients": (COEFFICIENTS,)}
    return net.file("step", {**inputs, "energy": (1,)}, {**_each("next", shapes), "next_energy": (1,)})


def _weigh(shapes: Shapes) -> bytes:
    net = _Net()
    for side in SIDES:
        net("Add", f"sum_{side}", net("Mul", "share", f"part_{side}"), out=f"next_{side}")
    inputs = {**_each("sum", shapes), **_each("part", shapes), "share": (1,)}
    return net.file("weigh", inputs, _each("next", shapes))


def _finish(shapes: Shapes, manifest: PocketManifest) -> bytes:
    net = _Net()
    guard, noise = manifest.sampler.guard, manifest.sampler.context_noise
    energy = "energy"
    for side in SIDES:
        ranges = getattr(guard, side) if guard is not None else None
        clean, rank = f"clean_{side}", len(shapes[side])
        if guard is not None and ranges is not None:
            change = _guarded(net, side, shapes[side], ranges, guard.pull)
            net("Add", side, change, out=clean)
        else:
            net("Identity", side, out=clean)
        energy = net("Add", energy, net.mean_square(clean, rank), out="total_energy" if side == SIDES[-1] else "")
        kept, added = net("Mul", net.constant(1 - noise), clean), net("Mul", net.constant(noise), f"echo_{side}")
        net("Add", kept, added, out=f"context_{side}")
    inputs = {**shapes, **_each("echo", shapes), "energy": (1,)}
    outputs = {**_each("clean", shapes), **_each("context", shapes), "total_energy": (1,)}
    return net.file("finish", inputs, outputs)


def _guarded(net: _Net, latent: str, shape: Sequence[int], ranges: ChannelRanges, pull: float) -> str:
    """What the statistics guard adds to a latent."""
    rows = net("Reshape", latent, net.sizes(shape[1], -1))
    mean = net("ReduceMean", rows, net.sizes(1), keepdims=1)
    centred = net("Sub", rows, mean)
    deviation = net("Sqrt", net("ReduceMean", net("Mul", centred, centred), net.sizes(1), keepdims=1))
    shift = _pulled(net, mean, ranges.mean, pull)
    wider = _pulled(net, deviation, ranges.deviation, pull)
    flat = net("Less", deviation, net.constant(LEAST_DEVIATION))
    stretch = net("Div", wider, net("Max", deviation, net.constant(LEAST_DEVIATION)))
    stretch = net("Where", flat, net.constant(0.0), stretch)
    return net("Reshape", net("Add", net("Mul", stretch, centred), shift), net.sizes(*shape))


def _pulled(net: _Net, value: str, ranges: Sequence[tuple[float, float]], pull: float) -> str:
    """How far one number per channel, `[C, 1]`, is moved towards its range."""
    low, high = np.asarray(ranges, np.float32).T[:, :, None]
    held = net("Min", net("Max", value, net.constant(low)), net.constant(high))
    return net("Mul", net.constant(pull), net("Sub", held, value))


def _each(prefix: str, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}_{side}": shape for side, shape in shapes.items()}
