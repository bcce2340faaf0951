"""The CUDA runtime: what it asks ONNX Runtime for, and its errors, on a fake GPU; nothing here runs on a GPU.

Its engines' numbers are in `test_runtime_contract.py` (on the host's memory) and `test_onnxruntime_loop.py`.
"""

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from streamgen_engines.errors import (
    DeviceLostError,
    GraphLoadError,
    GraphMismatchError,
    GraphRunError,
    OutOfMemoryError,
    RuntimeUnavailableError,
)
from streamgen_engines.manifest import State
from streamgen_engines.planes import PlaneRequest, PlanesRuntime
from streamgen_engines.runtimes.onnxruntime_cuda import OnnxRuntimeCuda
from tests.engines.fake_cuda_ort import FakeCudaOrt, Node, Part
from tests.engines.graphs import LAST, REAL, RING, feed, last_graph, ring_graph, save


def on(ort: FakeCudaOrt, **more: Any) -> OnnxRuntimeCuda:
    return OnnxRuntimeCuda(ort=ort, open_device=ort.open_device, **more)


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    return ring_graph(tmp_path)


@pytest.mark.parametrize("in_place", [True, False])
def test_only_inputs_and_results_are_copied_and_runs_are_played(ring: Path, in_place: bool) -> None:
    ort = FakeCudaOrt()
    engine = on(ort).load(ring, [RING], in_place=in_place)
    assert engine.in_place == ({"ring"} if in_place else set())
    before = len(ort.gpu.memory)
    totals = [float(engine.run(feed(value, index))["total"]) for value, index in ((1, 0), (2, 4), (3, 0), (4, 2))]
    assert totals == [4, 12, 20, 36]
    assert len(ort.gpu.memory) == before == (4 if in_place else 5)  # inputs, result, state
    assert (ort.gpu.uploads, ort.gpu.downloads, ort.calls["binding"]) == (2 * 4, 4, 1)
    assert dict(ort.sessions[0].runs) == {"plain": 1, "recorded": 1, "played": 2}
    assert engine.recorded


def test_a_state_that_is_no_cache_has_two_buffers_for_it_is_written_several_times(tmp_path: Path) -> None:
    """ONNX Runtime runs a graph again and again before it records, and a state in place would go on each time."""
    engine = on(FakeCudaOrt(), precision="fp32").load(last_graph(tmp_path), [LAST], in_place=True)
    assert engine.in_place == set()
    values = [1.0, 5.0, 6.0, 2.0, 7.0, 7.0, 1.0, 0.0]
    changes = [float(engine.run({"new": np.full((1, 4), value, np.float32)})["change"][0, 0]) for value in values]
    assert changes == [1, 6, 11, 8, 9, 14, 8, 1]


def test_states_are_copied_inside_the_device(ring: Path) -> None:
    ort = FakeCudaOrt()
    runtime = on(ort)
    first, then = runtime.load(ring, [RING], in_place=True), runtime.load(ring, [RING])
    for number in range(3):
        first.run(feed(1, 2 * number))
    then.run(feed(5, 0))
    uploads, downloads = ort.gpu.uploads, ort.gpu.downloads
    then.take_states(first)
    assert (ort.gpu.uploads, ort.gpu.downloads) == (uploads, downloads)
    assert then.run(feed(0, 0))["total"] == 8


def test_the_provider_is_told_the_gpu_the_stream_and_graphs(ring: Path) -> None:
    ort = FakeCudaOrt()
    on(ort).load(ring, [RING])
    on(ort, cuda_graph=False, precision="fp32").load(ring, [RING])
    streams = [str(device.stream) for device in ort.devices]
    common = {"device_id": "0", "arena_extend_strategy": "kSameAsRequested"}
    assert [session.settings for session in ort.sessions] == [
        {**common, "user_compute_stream": streams[0], "enable_cuda_graph": "1", "use_tf32": "1"},
        {**common, "user_compute_stream": streams[1], "enable_cuda_graph": "0", "use_tf32": "0"},
    ]
    assert streams[0] != streams[1]


def test_heavy_operators_are_in_the_precision_that_is_asked_for(tmp_path: Path) -> None:
    weight = helper.make_node("ConstantOfShape", ["size"], ["weight"])
    size = helper.make_node("Constant", [], ["size"], value=helper.make_tensor("size", 7, [2], [64, 64]))
    product = helper.make_node("MatMul", ["x", "weight"], ["y"])
    path = save(tmp_path / "product.onnx", [size, weight, product], {"x": (REAL, (1, 64))}, {"y": (REAL, (1, 64))})
    kinds = {}
    for precision in ("fp32", None):
        runtime = on(FakeCudaOrt(), precision=precision)
        kinds[precision] = b"Cast" in runtime._prepared(path)
        assert not runtime.load(path).run({"x": np.ones((1, 64), np.float32)})["y"].any()
    assert kinds == {"fp32": False, None: True}


def test_a_build_without_cuda_names_the_command() -> None:
    with pytest.raises(RuntimeUnavailableError, match=r"no CUDAExecutionProvider; .*streamgen\[cuda\].*-gpu"):
        on(FakeCudaOrt(providers=("CPUExecutionProvider",)))


def test_a_session_that_fell_back_to_the_cpu_is_no_gpu(ring: Path) -> None:
    ort = FakeCudaOrt(usable=("CPUExecutionProvider",))
    with pytest.raises(RuntimeUnavailableError, match=r"finds no GPU 0 .*nvidia-smi.*cudnn.*onnxruntime-cpu works"):
        on(ort).load(ring, [RING])
    assert [device.closed for device in ort.devices] == [True]


def host_only(folder: Path) -> Path:
    """A graph that keeps an operator without a kernel for GPUs, whatever is done to it."""
    return save(
        folder / "host.onnx",
        [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"])],
        {"x": (REAL, (1, 4))},
        {"scale": (REAL, ())},
    )


def test_a_graph_that_is_not_whole_on_the_gpu_runs_without_graphs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ort = FakeCudaOrt()
    with caplog.at_level(logging.WARNING):
        engine = on(ort).load(host_only(tmp_path))
    assert "runs without CUDA graphs, because not all of it runs on the GPU" in caplog.text
    for _ in range(3):
        assert engine.run({"x": np.full((1, 4), 2.55, np.float32)})["scale"] == pytest.approx(0.01)
    assert dict(ort.sessions[0].runs) == {"plain": 3}
    assert not engine.recorded


def test_operators_without_a_kernel_for_the_gpu_are_told(ring: Path, caplog: pytest.LogCaptureFixture) -> None:
    on_gpu = Part("CUDAExecutionProvider", [Node("MatMul")] * 5)
    on_cpu = [Part("CPUExecutionProvider", [Node(name)]) for name in ("DynamicQuantizeLinear",) * 2 + ("Gather",)]
    with caplog.at_level(logging.WARNING):
        on(FakeCudaOrt(assignment=[on_gpu])).load(ring, [RING])
        assert not caplog.records
        on(FakeCudaOrt(assignment=[on_gpu, *on_cpu])).load(ring, [RING])
    (record,) = caplog.records
    assert "3 of 8 operators" in record.getMessage()
    assert "2 DynamicQuantizeLinear, 1 Gather" in record.getMessage()


def test_an_input_that_is_read_on_the_host_is_refused(ring: Path) -> None:
    """Bound once, it would be copied there once, and every later run would read the first one's."""
    ort = FakeCudaOrt(on_host=frozenset({"index"}))
    with pytest.raises(GraphLoadError, match=r"ring\.onnx: the input index is read on the CPU"):
        on(ort).load(ring, [RING])
    assert (ort.gpu.memory, [device.closed for device in ort.devices]) == ({}, [True])


@pytest.mark.parametrize(
    ("words", "kind", "advice"),
    [
        ("CUDA failure 2: out of memory ; GPU=0", OutOfMemoryError, "smaller bundle"),
        ("CUDA failure 100: no CUDA-capable device is detected", DeviceLostError, "nvidia-smi"),
        ("Non-standard operator Det", GraphLoadError, "pip install --upgrade"),
    ],
)
def test_what_fails_while_loading_says_what_to_do(ring: Path, words: str, kind: type[Exception], advice: str) -> None:
    ort = FakeCudaOrt(fails={"session": ort_errors.RuntimeException(words)})
    with pytest.raises(kind, match=f"ring.onnx.*{words[:12]}.*{advice}"):
        on(ort).load(ring, [RING])
    assert (ort.gpu.memory, [device.closed for device in ort.devices]) == ({}, [True])


def test_a_gpu_that_is_full_is_told_with_the_graph(tmp_path: Path) -> None:
    ort = FakeCudaOrt()

    def full(index: int) -> Any:
        device = ort.open_device(index)
        device.room = 40
        return device

    with pytest.raises(OutOfMemoryError, match=r"ring\.onnx: the fake is full"):
        OnnxRuntimeCuda(ort=ort, open_device=full).load(ring_graph(tmp_path), [RING])
    assert (ort.gpu.memory, [device.closed for device in ort.devices]) == ({}, [True])


@pytest.mark.parametrize(
    ("words", "kind", "advice"),
    [
        ("CUDA failure 719: unspecified launch failure", DeviceLostError, "nvidia-smi"),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", GraphRunError, "want of memory"),
        ("Non-zero status code returned", GraphRunError, "failed"),
    ],
)
def test_what_fails_in_the_middle_of_a_stream_is_named_and_can_be_reset(
    ring: Path, words: str, kind: type[Exception], advice: str
) -> None:
    ort = FakeCudaOrt()
    engine = on(ort).load(ring, [RING])
    engine.run(feed(1, 0))
    ort.fails["run"] = RuntimeError(words)
    with pytest.raises(kind, match=advice):
        engine.run(feed(1, 2))
    ort.fails.clear()
    engine.reset()
    assert engine.run(feed(1, 0))["total"] == 4


def test_a_gpu_that_is_gone_is_left_all_the_same(ring: Path, caplog: pytest.LogCaptureFixture) -> None:
    ort = FakeCudaOrt()
    runtime = on(ort)
    engine = runtime.load(ring, [RING])
    engine.run(feed(1, 0))
    for device in ort.devices:
        device.lost = True
    for call in (lambda: engine.run(feed(1, 0)), lambda: engine.state("ring"), engine.reset):
        with pytest.raises(DeviceLostError, match="lost"):
            call()
    runtime.close()
    assert "cannot be given back" in caplog.text


def test_planes_are_made_by_the_graph_that_the_session_gets(tmp_path: Path) -> None:
    ort = FakeCudaOrt()
    runtime = on(ort)
    assert isinstance(runtime, PlanesRuntime)
    picture = (2, (2, 8, 8, 3))
    node = helper.make_node("Cast", ["x"], ["frames"], to=2)
    path = save(tmp_path / "pictures.onnx", [node], {"x": (REAL, (2, 8, 8, 3))}, {"frames": picture})
    engine = runtime.load_planes(path, (), PlaneRequest(((8, 8), (4, 4))))
    grey = engine.run({"x": np.full((2, 8, 8, 3), 128, np.float32)})
    assert {name: planes.shape for name, planes in grey.items()} == {"planes_8x8": (2, 12, 8), "planes_4x4": (2, 6, 4)}
    assert np.abs(grey["planes_8x8"][:, :8].astype(int) - 126).max() <= 1
    assert np.abs(grey["planes_8x8"][:, 8:].astype(int) - 128).max() <= 1
    assert len(ort.devices) == 1 + 2  # the graph's stream, and one for each turn
    with pytest.raises(GraphLoadError, match="no output frames"):
        runtime.load_planes(ring_graph(tmp_path), [RING], PlaneRequest(((8, 8),)))


def test_without_onnx_the_package_is_named(ring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streamgen_engines.tensorrt.prepare", None)
    with pytest.raises(RuntimeUnavailableError, match="pip install onnx"):
        on(FakeCudaOrt()).load(ring, [RING])


def test_weights_beside_a_graph_are_found(tmp_path: Path) -> None:
    values = np.arange(4096, dtype=np.float16).reshape(1, 4096)
    path = save(
        tmp_path / "outside.onnx",
        [helper.make_node("Add", ["x", "weight"], ["y"])],
        {"x": (10, (1, 4096))},
        {"y": (10, (1, 4096))},
    )
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(values, "weight"))
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    found = on(FakeCudaOrt()).load(path).run({"x": np.ones((1, 4096), np.float16)})["y"]
    np.testing.assert_array_equal(found, values + np.float16(1))


def test_a_state_of_another_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphMismatchError, match="state ring should be input ring"):
        on(FakeCudaOrt()).load(ring_graph(tmp_path), [State(name="ring", shape=(1, 1, 6, 2), dtype="float16")])
