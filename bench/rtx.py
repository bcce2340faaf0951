"""Does TensorRT run on this GPU at all? `python -m bench.rtx`: one small graph, built, loaded, run and compared.

It answers for one compute capability what NVIDIA's list of supported ones leaves open (docs/tensorrt.md). The graph has
what every model here needs: a product in float16, fused attention, and a ring that is written in place.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from bench import record
from bench.cards import installed
from bench.channels import make_runtime
from streamgen_engines.errors import EngineError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.interface import Array, Runtime
from streamgen_engines.tensorrt.flavour import FLAVOURS

HEADS, TOKENS, ROWS, WIDTH = 2, 8, 32, 64
TOLERANCE: Final = 0.02
"""Norm of the difference over the norm: products in float16, one after the other."""
RUNS: Final = 4  # written step by step, recorded, and played


def question() -> onnx.ModelProto:
    """x `[1, H, N, D]` times a weight is written into the ring `[1, H, R, D]`, which x then attends to."""
    size, ring = [1, HEADS, TOKENS, WIDTH], [1, HEADS, ROWS, WIDTH]
    half = TensorProto.FLOAT16
    weight = np.random.default_rng(0).standard_normal((WIDTH, WIDTH)) / WIDTH**0.5
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["new"]),
        helper.make_node("TensorScatter", ["ring", "new", "at"], ["ring_out"], axis=2),
        helper.make_node("Attention", ["new", "ring_out", "ring_out"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "question",
        [
            helper.make_tensor_value_info("x", half, size),
            helper.make_tensor_value_info("at", TensorProto.INT64, [1]),
            helper.make_tensor_value_info("ring", half, ring),
        ],
        [helper.make_tensor_value_info("y", half, size), helper.make_tensor_value_info("ring_out", half, ring)],
        [onnx.numpy_helper.from_array(weight.astype(np.float16), "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=10)


def distance(runtime: Runtime, folder: Path) -> float:
    """How far a runtime is from ONNX Runtime over some calls in a row: norm of the difference over the norm.

    Raises:
        EngineError: it cannot load or run the graph.
    """
    path = folder / "question.onnx"
    onnx.save(question(), path)
    states = [State(name="ring", shape=(1, HEADS, ROWS, WIDTH), dtype="float16")]
    random = np.random.default_rng(1)
    calls: list[dict[str, Array]] = [
        {
            "x": random.standard_normal((1, HEADS, TOKENS, WIDTH)).astype(np.float16),
            "at": np.array([index * TOKENS % ROWS], np.int64),
        }
        for index in range(RUNS)
    ]

    def results(made: Runtime) -> Array:
        engine = made.load(path, states, in_place=True)
        return np.concatenate([engine.run(call)["y"].astype(np.float64) for call in calls])

    right, found = results(OnnxRuntimeCpu()), results(runtime)
    return float(np.linalg.norm(found - right) / np.linalg.norm(right))


def main(arguments: list[str] | None = None) -> int:
    """The command: 0 for yes, 1 for no."""
    parser = argparse.ArgumentParser(prog="python -m bench.rtx", description="Does TensorRT run on this GPU?")
    parser.add_argument("--runtime", choices=(*FLAVOURS, "onnxruntime-cuda"), default="tensorrt-rtx")
    parser.add_argument("--results", type=Path, default=record.RESULTS, help="where the record goes")
    parser.add_argument("--no-record", action="store_true", help="only print")
    given = parser.parse_args(arguments)
    gpu = installed() or {}
    where = f"{gpu.get('name', 'this machine')}, compute capability {gpu.get('compute_cap', 'unknown')}"
    run = record.begin("runs", None, {"runtime": given.runtime})
    figures: dict[str, Any] = {"gpu": gpu, "runs": False, "off": None}
    failures: list[str] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            runtime = make_runtime(given.runtime, 0)
            try:
                figures["off"] = distance(runtime, Path(folder))
            finally:
                close = getattr(runtime, "close", None)
                if close is not None:
                    close()
        figures["runs"] = figures["off"] <= TOLERANCE
        if not figures["runs"]:
            failures.append(f"results are {figures['off']:.3f} off, {TOLERANCE} at most is float16")
    except EngineError as error:
        failures.append(str(error))
    if gpu and not given.no_record:
        record.append(record.finish(run, figures, failures), given.results)
    if figures["runs"]:
        print(f"{given.runtime} runs on {where}: {figures['off']:.4f} off ONNX Runtime")
        return 0
    print(f"{given.runtime} does not run on {where}: {failures[0]}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
