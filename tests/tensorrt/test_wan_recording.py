"""A bundle with held inputs is recorded, checked and prepared as any other: to a plan they are inputs."""

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.tensorrt.builder import build
from streamgen_engines.tensorrt.check import compare, reference_engine
from streamgen_engines.tensorrt.lint import Target, lint
from streamgen_engines.tensorrt.prepare import prepare
from streamgen_engines.tensorrt.recording import record_calls
from tests.tensorrt.rtx import needs_rtx, rtx
from tests.tiny_wan_bundle import write_tiny_wan_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.open(write_tiny_wan_bundle(tmp_path_factory.mktemp("wan") / "tiny"))


def test_every_graph_is_recorded_and_its_calls_hold_what_was_held(bundle: Bundle) -> None:
    calls = record_calls(bundle, OnnxRuntimeCpu())
    assert calls.keys() == bundle.manifest.graphs.keys()
    assert {name: len(found) for name, found in calls.items()} == {
        "text": 2,
        "prompt_kv": 2,
        "denoise": 15,
        "decode_video": 8,
        "decode_video_first": 1,
    }
    first, last = (call["prompt_key_0"] for call in (calls["denoise"][0], calls["denoise"][-1]))
    assert not np.array_equal(first, last)  # another prompt
    assert calls["denoise"][1]["prompt_key_0"] is first  # and no copy per pass


def test_recorded_calls_give_the_same_again(bundle: Bundle) -> None:
    runtime = OnnxRuntimeCpu()
    for name, calls in record_calls(bundle, runtime).items():
        states = bundle.manifest.graphs[name].states
        reference = reference_engine(bundle.path(name).read_bytes(), states, runtime, name=name)
        errors = compare(runtime.load(bundle.path(name), states), reference, calls)
        assert all(error < 1e-5 for error in errors.values()), (name, errors)


@pytest.mark.parametrize("target", ["tensorrt", "tensorrt-rtx", "onnxruntime-cpu"])
def test_the_ring_of_its_graph_stands_being_written_in_place(bundle: Bundle, target: Target) -> None:
    states = bundle.manifest.graphs["denoise"].states
    prepared = prepare(bundle.path("denoise").read_bytes(), "fp32", name="denoise")
    assert lint(prepared.model, target, states, in_place=True) == []


@needs_rtx
def test_every_graph_builds_and_the_ring_is_written_in_place(bundle: Bundle) -> None:
    """By TensorRT for RTX, which builds without a GPU; nothing has run there."""
    for name, graph in bundle.manifest.graphs.items():
        prepared = prepare(bundle.path(name).read_bytes(), name=name)
        report = build(rtx(), prepared.model, name=name, states=graph.states).report
        assert report.caches == (len(graph.states) if name == "denoise" else 0)
