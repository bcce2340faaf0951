"""The exported graph against a plain torch module with the same weights.

Tolerance: a byte. Sums come in another order, so that a level that lies between two bytes may fall either way.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from streamgen_engines.planes import PlaneRequest
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.tensorrt.builder import build
from streamgen_engines.tensorrt.lint import lint
from streamgen_engines.tensorrt.prepare import Precision, prepare
from streamgen_export.upscaler.checkpoint import load
from streamgen_export.upscaler.graph import upscale_graph
from tests.export.upscaler.compact import random_net, save
from tests.tensorrt.rtx import needs_rtx, rtx

PICTURES, HEIGHT, WIDTH = 4, 12, 20


def graph(tmp_path: Path, *, features: int = 16, convolutions: int = 3, factor: int = 2, seed: int = 0) -> bytes:
    net = load(save(random_net(features, convolutions, factor, seed), tmp_path / "net.pth"))
    return upscale_graph(net, pictures=PICTURES, width=WIDTH, height=HEIGHT)


def pictures(seed: int = 0) -> NDArray[np.uint8]:
    """Soft colours with an edge, and some that are white and black altogether."""
    coarse = np.random.default_rng(seed).integers(0, 256, (PICTURES, HEIGHT // 4, WIDTH // 4, 3), dtype=np.uint8)
    made = coarse.repeat(4, axis=1).repeat(4, axis=2)
    made[1, :3], made[2, :, :5] = 255, 0
    return made


def run(model: bytes, folder: Path, given: NDArray[np.uint8]) -> Any:
    file = folder / "upscale.onnx"
    file.write_bytes(model)
    return OnnxRuntimeCpu().load(file).run({"pictures": given})["frames"]


def off(made: Any, right: Any) -> Any:
    return np.abs(made.astype(int) - right.astype(int))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_it_computes_what_the_network_does(tmp_path: Path, factor: int, seed: int) -> None:
    model, given = graph(tmp_path, factor=factor, seed=seed), pictures(seed)
    made, right = run(model, tmp_path, given), random_net(16, 3, factor, seed).bytes_of(given)
    assert made.shape == (PICTURES, HEIGHT * factor, WIDTH * factor, 3)
    assert off(made, right).max() <= 1
    assert (made == right).mean() > 0.999
    plain = given.repeat(factor, axis=1).repeat(factor, axis=2)
    assert off(made, plain).mean() > 2, "the weights leave no trace"


@pytest.mark.parametrize(("precision", "allowed"), [("fp16", 2), ("fp32", 1)])
def test_in_half_precision_it_is_off_by_two_bytes_at_most(tmp_path: Path, precision: Precision, allowed: int) -> None:
    given = pictures(5)
    made = run(prepare(graph(tmp_path), precision).model, tmp_path, given)
    assert off(made, random_net(16, 3, 2).bytes_of(given)).max() <= allowed


def test_without_weights_it_is_nearest_neighbours(tmp_path: Path) -> None:
    net = random_net(4, 1, 3)
    for name in ("weight", "bias"):
        net.state_dict()[f"body.4.{name}"].zero_()
    model = upscale_graph(load(save(net, tmp_path / "net.pth")), pictures=PICTURES, width=WIDTH, height=HEIGHT)
    given = pictures(7)
    np.testing.assert_array_equal(run(model, tmp_path, given), given.repeat(3, axis=1).repeat(3, axis=2))


def test_the_same_weights_make_the_same_file(tmp_path: Path) -> None:
    assert graph(tmp_path) == graph(tmp_path)
    assert all(node.op_type != "Resize" for node in onnx.load_from_string(graph(tmp_path)).graph.node)


@pytest.mark.parametrize("planes", [None, PlaneRequest(((40, 24), (20, 12)))], ids=["rgb", "planes"])
@pytest.mark.parametrize("target", ["tensorrt", "tensorrt-rtx", "onnxruntime-cpu"])
def test_no_runtime_is_known_to_reject_it(tmp_path: Path, target: Any, planes: PlaneRequest | None) -> None:
    assert lint(prepare(graph(tmp_path), planes=planes).model, target) == []


@needs_rtx
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_tensorrt_builds_it_with_planes(tmp_path: Path, precision: Precision) -> None:
    """By TensorRT for RTX, which builds without a GPU; nothing has run there."""
    prepared = prepare(graph(tmp_path), precision, planes=PlaneRequest(((40, 24), (20, 12))))
    assert build(rtx(), prepared.model, name="upscale").report.plan_bytes > 1000
