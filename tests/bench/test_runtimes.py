from pathlib import Path

import numpy as np
import onnx
import pytest

from bench import generate
from bench.dequantised import dequantised
from bench.record import open_bundle, plain
from streamgen_engines.errors import RuntimeUnavailableError
from streamgen_engines.runtimes import OnnxRuntimeCpu, Runtime, runtime_named
from streamgen_engines.text import TextEncoder
from tests.tiny_bundle import write_tiny_bundle


def test_a_bundle_without_quantisation_means_the_same(tmp_path: Path) -> None:
    bundle = open_bundle(write_tiny_bundle(tmp_path / "tiny"))
    other = dequantised(bundle, tmp_path / "plain")
    assert bundle.manifest.graphs["text"].precision == "int8"
    assert other.manifest.graphs["text"].precision == "fp32"
    operators = {node.op_type for node in onnx.load(other.path("text")).graph.node}
    assert not operators & {"DynamicQuantizeLinear", "MatMulInteger"}
    assert other.manifest.graphs["denoise"] == bundle.manifest.graphs["denoise"]  # had none
    one, two = (TextEncoder(each, OnnxRuntimeCpu()).encode("calm sea at night").pooled for each in (bundle, other))
    likeness = float((one * two).sum() / np.sqrt((one**2).sum() * (two**2).sum()))
    assert 0.97 < likeness < 1 - 1e-9  # the same but for the rounding of activations


def test_the_runtimes_that_are_here_run_side_by_side(tmp_path: Path) -> None:
    bundle = open_bundle(write_tiny_bundle(tmp_path / "tiny"))
    told: list[str] = []
    found = plain({"runtimes": generate.compare(bundle, chunks=12, threads=1, scale=1, progress=told.append)})
    runtimes = found["runtimes"]
    names = [each["runtime"] for each in runtimes]
    assert names[:2] == [generate.FLOAT32, "onnxruntime-cpu"]
    assert "openvino" in names
    passes = bundle.manifest.sampler.steps * 2 + 1
    for each in runtimes:
        assert each["realtime_ratio"] > 0
        assert each["graph_ms"]["denoise"]["count"] == 12 * passes
        assert each["graph_ms"]["decode_video"]["count"] == 12
    assert runtimes[0]["of_float32"] == 1
    assert len([line for line in told if line.startswith("runtimes, round")]) == 2
    lines = generate.compared_table(runtimes)
    assert all(any(line.startswith(name) for line in lines) for name in names)


def test_a_runtime_that_cannot_load_is_told_and_the_others_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def named(name: str) -> Runtime:
        if name == "openvino":
            raise RuntimeUnavailableError("no such device")
        return runtime_named(name)

    monkeypatch.setattr(generate, "runtime_named", named)
    bundle = open_bundle(write_tiny_bundle(tmp_path / "tiny"))
    found = plain({"runtimes": generate.compare(bundle, chunks=1, threads=1, scale=1, progress=lambda line: None)})
    runtimes = found["runtimes"]
    assert {"runtime": "openvino", "failed": "no such device"} in runtimes
    assert any(each["runtime"] == "onnxruntime-cpu" and each["realtime_ratio"] > 0 for each in runtimes)
    assert any("does not run: no such device" in line for line in generate.compared_table(runtimes))


def test_without_a_comparison_there_is_no_table() -> None:
    assert generate.compared_table(()) == []
